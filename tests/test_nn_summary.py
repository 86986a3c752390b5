"""`nn.summary`: what it lists, what it counts, and that it leaves the model as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn


class Residual(nn.Module):
    """Calls a layer twice, has a product of its own, and a layer that is never called."""

    def __init__(self) -> None:
        self.layer = nn.Linear(4, 4)
        self.spare = nn.Linear(2, 2)
        self.mixing = nn.Parameter(np.ones((4, 3), dtype=np.float32))

    def forward(self, x: Any) -> Any:
        return (x + self.layer(self.layer(x))) @ self.mixing


def test_rows_have_shapes_parameters_bytes_and_operations() -> None:
    summary = nn.summary(nn.Sequential(Residual(), nn.BatchNorm1d(3), nn.Dropout(0.5)), (8, 4))
    rows = {row.name: row for row in summary.rows}
    assert list(rows) == ["", "0", "0.layer", "0.spare", "1", "2"]
    assert [row.depth for row in summary.rows] == [0, 1, 2, 2, 1, 1]
    assert [row.output for row in summary.rows] == [(8, 3), (8, 3), (8, 4), None, (8, 3), (8, 3)]
    assert [row.parameters for row in summary.rows] == [0, 12, 20, 6, 6, 0]
    assert [row.bytes for row in summary.rows] == [0, 48, 80, 24, 24 + 24 + 8, 0]
    assert [row.flops for row in summary.rows] == [0, 2 * 8 * 4 * 3, 2 * 2 * 8 * 4 * 4, 0, 0, 0]
    assert (summary.parameters, summary.trainable, summary.bytes, summary.flops) == (44, 44, 208, 704)


def test_a_summary_prints_a_table_and_shows_it_in_notebooks() -> None:
    model = nn.Sequential({"<first>": nn.Linear(1000, 2000), "second": nn.ReLU()})
    model["second" if False else 1].requires_grad_(False)
    model[0].bias.requires_grad = False
    summary = nn.summary(model, (1, 1000))
    assert str(summary).splitlines() == [
        "module             output     parameters      bytes  FLOPs",
        "----------------------------------------------------------",
        "Sequential         (1, 2000)",
        "  <first>: Linear  (1, 2000)   2,002,000  7.637 MiB    4 M",
        "  second: ReLU     (1, 2000)",
        "----------------------------------------------------------",
        "2,002,000 parameters in 3 modules, 2,000,000 to be trained and 2,000 frozen",
        "7.637 MiB of parameters and buffers; " + str(summary).rpartition("buffers; ")[2].splitlines()[0],
        "4 M floating-point operations in the products of a forward pass",
    ]
    assert repr(summary) == str(summary)
    page = summary._repr_html_()
    assert page.startswith("<table>")
    assert "&lt;first&gt;: Linear" in page
    assert page.count("<tr>") == page.count("</tr>") == 4
    assert "2,000 frozen" in page


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    model[2].eval()
    model[0].requires_grad_(False)
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    nn.manual_seed(0)
    state = nn.init.default_generator.bit_generator.state
    nn.summary(model, np.ones((4, 3), dtype=np.float32))
    assert nn.init.default_generator.bit_generator.state == state
    assert [module.training for module in model.modules()] == [True, True, True, False, True]
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True, True, True]
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._hooks for module in model.modules())
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_a_model_that_raises_is_left_as_it_was_too() -> None:
    model = nn.Sequential(nn.Linear(3, 3))
    model[0].requires_grad_(False)
    with pytest.raises(ValueError, match="linear: input of shape"):
        nn.summary(model, (2, 5))
    assert model.training
    assert not model[0].weight.requires_grad
    assert not any(module._hooks for module in model.modules())


def test_shared_parameters_count_once_and_arguments_are_passed_on() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x: Any, y: Any, *, scale: float = 1.0) -> Any:
            return {"first": self.a(x) * scale, "rest": (self.b(y), [x])}

    summary = nn.summary(Tied(), np.ones((2, 3)), ag.tensor(np.ones((4, 3))), scale=2.0)
    assert summary.parameters == 9
    assert summary.rows[0].output == ((2, 3), ((4, 3), ((2, 3),)))
    assert summary.flops == 2 * (2 + 4) * 9
    with ag.no_grad():
        assert nn.summary(Tied(), (2, 3), (4, 3)).flops == summary.flops


def test_only_modules_have_a_summary() -> None:
    with pytest.raises(TypeError, match=r"summary: the model must be a module, not ndarray; write nn.summary\(model, input\)"):
        nn.summary(np.ones(3), (2, 3))  # type: ignore[arg-type]


def test_products_of_tensors_and_attention_count_as_torch_counts_them() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    class Mixed(nn.Module):
        def forward(self, x: Any, w: Any) -> Any:
            return (x @ w) @ np.ones((5, 2))

    assert nn.summary(Mixed(), np.ones((7, 2, 3)), np.ones((3, 5))).flops == 2 * 14 * 3 * 5 + 2 * 14 * 5 * 2
    with FlopCounterMode(display=False) as counter:
        torch.softmax(torch.ones(2, 3, 5, 4) @ torch.ones(2, 3, 4, 6), dim=-1) @ torch.ones(2, 3, 6, 4)

    class Attention(nn.Module):
        def forward(self, q: Any, k: Any) -> Any:
            return nn.functional.scaled_dot_product_attention(q, k, k)

    assert nn.summary(Attention(), (2, 3, 5, 4), (2, 3, 6, 4)).flops == counter.get_total_flops()
    heads = nn.summary(nn.MultiheadAttention(8, 2), np.ones((5, 3, 8), np.float32), np.ones((5, 3, 8), np.float32), np.ones((5, 3, 8), np.float32))
    assert heads.flops == 4 * 2 * 15 * 8 * 8 + 2 * (2 * 3 * 5 * 5 * 8)


def test_convolutions_and_recurrent_layers_count_as_torch_counts_them() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    ours = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.ConvTranspose2d(6, 2, 3, stride=2), nn.Conv2d(2, 3, 1))
    theirs = torch.nn.Sequential(torch.nn.Conv2d(4, 6, 3, padding=1, groups=2), torch.nn.ConvTranspose2d(6, 2, 3, stride=2), torch.nn.Conv2d(2, 3, 1))
    with FlopCounterMode(display=False) as counter:
        theirs(torch.ones(5, 4, 8, 7))
    assert nn.summary(ours, (5, 4, 8, 7)).flops == counter.get_total_flops()
    steps, batch, size, hidden = 5, 3, 4, 6
    for layer, gates in ((nn.LSTM(size, hidden), 4), (nn.GRU(size, hidden), 3), (nn.RNN(size, hidden), 1)):
        assert nn.summary(layer, (steps, batch, size)).flops == 2 * steps * batch * gates * hidden * (size + hidden)
