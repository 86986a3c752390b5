"""Recurrent layers and cells: torch over all arguments and their combinations, numeric derivatives, packed sequences, errors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn.functional import sequences
from nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2}),
    ("GRU", {}),
]
STACKS = [
    {"num_layers": layers, "bias": bias, "batch_first": first, "bidirectional": both}
    for layers, bias, first, both in itertools.product([1, 2], [True, False], [False, True], [False, True])
]


def pair(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Our module and torch's in float64, with the same weights."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(*args, **options).double()
    ours = getattr(nn, name)(*args, **options).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def leaves(*arrays: Any) -> tuple[list[Any], list[Any]]:
    torch = pytest.importorskip("torch")
    return [ag.tensor(a, requires_grad=True) for a in arrays], [torch.tensor(a, requires_grad=True) for a in arrays]


def flat(result: Any) -> list[Any]:
    """All float arrays in a result, in order."""
    if isinstance(result, PackedSequence) or type(result).__name__ == "PackedSequence":
        return [result.data]
    return [part for element in result for part in flat(element)] if isinstance(result, tuple | list) else [result]


def assert_same(ours: Any, theirs: Any, modules: tuple[Any, Any], inputs: tuple[list[Any], list[Any]], rng: np.random.Generator) -> None:
    """Values, and gradients of the inputs and parameters from random gradients of all results."""
    torch = pytest.importorskip("torch")
    ys, us = flat(ours), flat(theirs)
    gs = [rng.normal(size=y.shape) for y in ys]
    for y, u in zip(ys, us, strict=True):
        np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-11, atol=1e-13)
    sum((y * g).sum() for y, g in zip(ys, gs, strict=True)).backward()
    sum((u * torch.tensor(g)).sum() for u, g in zip(us, gs, strict=True)).backward()
    for a, t in zip((*inputs[0], *modules[0].parameters()), (*inputs[1], *modules[1].parameters()), strict=True):
        np.testing.assert_allclose(a.grad.data, t.grad.numpy(), rtol=1e-10, atol=1e-12)


def states_of(name: str, options: dict[str, Any], runs: int, batch: tuple[int, ...], hidden: int, rng: np.random.Generator) -> list[Any]:
    widths = [options.get("proj_size", 0) or hidden, *([hidden] if name == "LSTM" else [])]
    return [rng.normal(size=(runs, *batch, width)) for width in widths]


def given(name: str, states: list[Any]) -> Any:
    return tuple(states) if name == "LSTM" else states[0]


# --- layers against torch ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", STACKS, ids=str)
@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
def test_layers_agree_with_torch(name: str, options: dict[str, Any], stack: dict[str, Any], rng: np.random.Generator) -> None:
    ours, theirs = pair(name, 3, 4, **options, **stack)
    assert repr(ours) == repr(theirs)
    for with_states in (False, True):
        ours.zero_grad()
        theirs.zero_grad()
        shape = (2, 5, 3) if stack["batch_first"] else (5, 2, 3)
        runs = stack["num_layers"] * (2 if stack["bidirectional"] else 1)
        arrays = [rng.normal(size=shape), *(states_of(name, options, runs, (2,), 4, rng) if with_states else [])]
        (x, *hx), (t, *ht) = inputs = leaves(*arrays)
        found = ours(x, given(name, hx)) if with_states else ours(x)
        expected = theirs(t, given(name, ht)) if with_states else theirs(t)
        assert_same(found, expected, (ours, theirs), inputs, rng)


@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
def test_a_sequence_without_a_batch_agrees_with_torch(
    name: str, options: dict[str, Any], both: bool, with_states: bool, rng: np.random.Generator
) -> None:
    ours, theirs = pair(name, 3, 4, num_layers=2, bidirectional=both, batch_first=True, **options)
    arrays = [rng.normal(size=(5, 3)), *(states_of(name, options, 4 if both else 2, (), 4, rng) if with_states else [])]
    (x, *hx), (t, *ht) = inputs = leaves(*arrays)
    found = ours(x, given(name, hx)) if with_states else ours(x)
    expected = theirs(t, given(name, ht)) if with_states else theirs(t)
    assert_same(found, expected, (ours, theirs), inputs, rng)


@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 5, 1, 4], [4, 4, 4, 4], [1, 1, 1, 1]], ids=str)
@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
def test_packed_sequences_agree_with_torch(
    name: str, options: dict[str, Any], both: bool, with_states: bool, lengths: list[int], rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(name, 3, 4, num_layers=2, bidirectional=both, **options)
    arrays = [rng.normal(size=(5, 4, 3)), *(states_of(name, options, 4 if both else 2, (4,), 4, rng) if with_states else [])]
    (x, *hx), (t, *ht) = inputs = leaves(*arrays)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    pack_of_torch = torch.nn.utils.rnn.pack_padded_sequence(t, torch.tensor(lengths), enforce_sorted=False)
    np.testing.assert_array_equal(packed.batch_sizes, pack_of_torch.batch_sizes.numpy())
    np.testing.assert_array_equal(packed.sorted_indices, pack_of_torch.sorted_indices.numpy())
    np.testing.assert_array_equal(packed.unsorted_indices, pack_of_torch.unsorted_indices.numpy())
    output, last = ours(packed, given(name, hx)) if with_states else ours(packed)
    expected, last_of_torch = theirs(pack_of_torch, given(name, ht)) if with_states else theirs(pack_of_torch)
    padded, found_lengths = pad_packed_sequence(output, padding_value=-1.0, total_length=6)
    padded_of_torch, _ = torch.nn.utils.rnn.pad_packed_sequence(expected, padding_value=-1.0, total_length=6)
    assert found_lengths.tolist() == lengths
    assert_same((padded, last), (padded_of_torch, last_of_torch), (ours, theirs), inputs, rng)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_a_packed_sequence_gives_what_each_sequence_gives_by_itself(name: str, rng: np.random.Generator) -> None:
    layer = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True, dtype=np.float64, generator=0)
    parts = [rng.normal(size=(n, 3)) for n in (2, 5, 1)]
    output, last = layer(pack_sequence(parts, enforce_sorted=False))
    padded, lengths = pad_packed_sequence(output)
    for i, part in enumerate(parts):
        alone, last_alone = layer(part)
        np.testing.assert_allclose(padded.detach().numpy()[: lengths[i], i], alone.detach().numpy(), rtol=1e-13)
        for state, state_alone in zip(flat(last), flat(last_alone), strict=True):
            np.testing.assert_allclose(state.detach().numpy()[:, i], state_alone.detach().numpy(), rtol=1e-13)


@pytest.mark.parametrize("frozen", ["input", "weights"])
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_what_needs_no_gradient_gets_none(name: str, frozen: str, rng: np.random.Generator) -> None:
    ours, theirs = pair(name, 3, 4)
    x, t = rng.normal(size=(5, 2, 3)), pytest.importorskip("torch").tensor
    if frozen == "weights":
        ours.requires_grad_(False)
        theirs.requires_grad_(False)
        a, b = ag.tensor(x, requires_grad=True), t(x, requires_grad=True)
        ours(a)[0].sum().backward()
        theirs(b)[0].sum().backward()
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-10)
        assert all(p.grad is None for p in ours.parameters())
    else:
        ours(x)[0].sum().backward()
        theirs(t(x))[0].sum().backward()
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-10)


# --- cells against torch -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize(("name", "options"), [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("LSTMCell", {}), ("GRUCell", {})], ids=str)
def test_cells_agree_with_torch(
    name: str, options: dict[str, Any], batch: tuple[int, ...], bias: bool, with_states: bool, rng: np.random.Generator
) -> None:
    ours, theirs = pair(name, 3, 4, bias=bias, **options)
    assert repr(ours) == repr(theirs)
    arrays = [rng.normal(size=(*batch, 3)), *(rng.normal(size=(*batch, 4)) for _ in range((2 if name == "LSTMCell" else 1) * with_states))]
    (x, *hx), (t, *ht) = inputs = leaves(*arrays)
    found = ours(x, given(name[:-4], hx)) if with_states else ours(x)
    expected = theirs(t, given(name[:-4], ht)) if with_states else theirs(t)
    assert_same(found, expected, (ours, theirs), inputs, rng)


@pytest.mark.parametrize(("cell", "layer"), [("RNNCell", "RNN"), ("LSTMCell", "LSTM"), ("GRUCell", "GRU")])
def test_a_cell_in_a_loop_is_the_layer(cell: str, layer: str, rng: np.random.Generator) -> None:
    one = getattr(nn, cell)(3, 4, dtype=np.float64, generator=0)
    whole = getattr(nn, layer)(3, 4, dtype=np.float64)
    whole.load_state_dict({f"{name}_l0": value for name, value in one.state_dict().items()})
    x = rng.normal(size=(6, 2, 3))
    state, outputs = None, []
    for step in x:
        state = one(step, state)
        outputs.append(state[0] if layer == "LSTM" else state)
    output, _ = whole(x)
    np.testing.assert_allclose(np.stack(outputs).detach().numpy(), output.detach().numpy(), rtol=1e-13)
    (np.stack(outputs) ** 2).sum().backward()
    (output**2).sum().backward()
    for p, q in zip(one.parameters(), whole.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.data, rtol=1e-11)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn_tanh", "rnn_relu"])
def test_functions_of_flat_weights_agree_with_torch(name: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    gates = {"lstm": 4, "gru": 3}.get(name, 1)
    for bias, both, first in itertools.product([True, False], repeat=3):
        widths = [3, 4 * (2 if both else 1)]
        params = []
        for width in widths:
            for _ in range(2 if both else 1):
                params += [rng.normal(size=(gates * 4, width)), rng.normal(size=(gates * 4, 4))]
                params += [rng.normal(size=gates * 4) for _ in range(2)] if bias else []
        x = rng.normal(size=(2, 5, 3) if first else (5, 2, 3))
        states = [rng.normal(size=(4 if both else 2, 2, 4)) for _ in range(2 if name == "lstm" else 1)]
        hx = states if name == "lstm" else states[0]
        found = getattr(nn.functional, name)(x, hx, params, bias, 2, 0.0, False, both, first)
        theirs = [torch.tensor(state) for state in states]
        expected = getattr(torch, name)(
            torch.tensor(x), theirs if name == "lstm" else theirs[0], [torch.tensor(p) for p in params], bias, 2, 0.0, False, both, first
        )
        for a, t in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, t.numpy(), rtol=1e-11, atol=1e-13)


# --- derivatives -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", [sequences.rnn_sequence, sequences.gru_sequence, sequences.lstm_sequence])
def test_sequences_differentiate_twice_in_all_arguments(operation: Any) -> None:
    assert ag.gradcheck(operation)


@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
def test_layers_pass_the_gradient_checker(name: str, options: dict[str, Any], rng: np.random.Generator) -> None:
    layer = getattr(nn, name)(2, 3, bidirectional=True, dtype=np.float64, generator=0, **options)
    states = states_of(name, options, 2, (1,), 3, rng)
    assert ag.gradcheck(lambda x, *hx: layer(x, given(name, list(hx)))[0], rng.normal(size=(2, 1, 2)), *states, order=1)


@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
def test_second_derivatives_are_torchs(name: str, options: dict[str, Any], rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    ours, theirs = pair(name, 3, 4, num_layers=2, bidirectional=True, **options)
    (x,), (t,) = leaves(rng.normal(size=(4, 2, 3)))
    first = ag.gradient((ours(x)[0] ** 3).sum(), [x, *ours.parameters()], create_graph=True)
    sum((g * g).sum() for g in first).backward()
    second = torch.autograd.grad((theirs(t)[0] ** 3).sum(), [t, *theirs.parameters()], create_graph=True)
    sum((g * g).sum() for g in second).backward()
    for a, b in zip((x, *ours.parameters()), (t, *theirs.parameters()), strict=True):
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_layers_work_in_forward_mode_and_over_batches(name: str, rng: np.random.Generator) -> None:
    layer = getattr(nn, name)(2, 3, dtype=np.float64, generator=0).requires_grad_(False)

    def f(x: Any) -> Any:
        return layer(x)[0]

    x, v = rng.normal(size=(3, 4, 1, 2)), rng.normal(size=(4, 1, 2))
    step = 1e-6
    numeric = (np.asarray(f(x[0] + step * v)) - np.asarray(f(x[0] - step * v))) / (2 * step)
    np.testing.assert_allclose(ag.jvp(f, (x[0],), (v,))[1], numeric, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(np.tensordot(ag.jacobian(f)(x[0]), v, 3), numeric, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(ag.vmap(f)(x), [f(a) for a in x], rtol=1e-12)
    gradient = ag.grad(lambda x: (f(x) ** 2).sum())
    np.testing.assert_allclose(ag.vmap(gradient)(x), [gradient(a) for a in x], rtol=1e-10, atol=1e-12)
    product = ag.hvp(lambda x: (f(x) ** 2).sum())(x[0], v)
    np.testing.assert_allclose(product, (gradient(x[0] + step * v) - gradient(x[0] - step * v)) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "options"), KINDS, ids=str)
def test_float32_stays_float32(name: str, options: dict[str, Any], rng: np.random.Generator) -> None:
    layer = getattr(nn, name)(3, 4, num_layers=2, bidirectional=True, generator=0, **options)
    x = ag.tensor(rng.normal(size=(5, 2, 3)).astype(np.float32), requires_grad=True)
    output, last = layer(x)
    output.sum().backward()
    assert all(part.dtype == np.float32 for part in flat((output, last)))
    assert x.grad.dtype == np.float32
    assert all(p.grad.dtype == np.float32 for p in layer.parameters())


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_extreme_inputs_saturate_without_a_warning(name: str) -> None:
    layer = getattr(nn, name)(1, 2, dtype=np.float64, generator=0)
    x = ag.tensor(np.array([[[1e4]], [[-1e4]], [[1e300]]]), requires_grad=True)
    output, _ = layer(x)
    output.sum().backward()
    assert np.isfinite(output.detach().numpy()).all()
    assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_an_empty_batch_gives_empty_results(name: str) -> None:
    layer = getattr(nn, name)(3, 4, num_layers=2)
    output, last = layer(np.zeros((5, 0, 3), np.float32))
    assert output.shape == (5, 0, 4)
    assert all(state.shape == (2, 0, 4) for state in flat(last))
    output.sum().backward()


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_inputs_are_not_changed_and_may_be_strided(name: str, rng: np.random.Generator) -> None:
    layer = getattr(nn, name)(3, 4, dtype=np.float64, generator=0)
    x = rng.normal(size=(5, 2, 3))
    before = x.copy()
    states = [rng.normal(size=(1, 2, 4)) for _ in range(2 if name == "LSTM" else 1)]
    copies = [state.copy() for state in states]
    output, last = layer(x, given(name, states))
    (output.sum() + sum(state.sum() for state in flat(last))).backward()
    np.testing.assert_array_equal(x, before)
    for state, copy in zip(states, copies, strict=True):
        np.testing.assert_array_equal(state, copy)
    strided = np.repeat(x.transpose(2, 1, 0), 2, axis=1)[:, ::2].transpose(2, 1, 0)
    again, _ = layer(strided, given(name, [np.asfortranarray(state) for state in states]))
    np.testing.assert_allclose(again.detach().numpy(), output.detach().numpy(), rtol=1e-13)


# --- dropout, initial values, looks ------------------------------------------------------------------------------------------------


def test_dropout_zeroes_outputs_between_layers_in_training_only(rng: np.random.Generator) -> None:
    layer = nn.GRU(3, 50, num_layers=2, dropout=0.4, dtype=np.float64, generator=0)
    x = rng.normal(size=(5, 8, 3))
    nn.manual_seed(0)
    first = layer(x)[0].detach().numpy()
    assert not np.array_equal(first, layer(x)[0].detach().numpy())
    nn.manual_seed(0)
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), first)
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    # All of it: the second layer sees zeros.
    layer = nn.GRU(3, 4, num_layers=2, dropout=1.0, dtype=np.float64, generator=0)
    other = layer(x + 1)[0].detach().numpy()
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), other)


@pytest.mark.parametrize(("name", "options"), [*KINDS, ("LSTMCell", {}), ("GRUCell", {}), ("RNNCell", {})], ids=str)
def test_fresh_weights_are_uniform_as_torchs(name: str, options: dict[str, Any]) -> None:
    layer = getattr(nn, name)(40, 100, generator=0, **options)
    for parameter in layer.parameters():
        bound = 1 / math.sqrt(100)
        assert -bound <= parameter.data.min()
        assert parameter.data.max() <= bound
        assert abs(parameter.data.mean()) < 5 * bound / math.sqrt(3 * parameter.size)
        assert abs(parameter.data.std() - bound / math.sqrt(3)) < 0.1 * bound
    again = getattr(nn, name)(40, 100, generator=0, **options)
    assert all(np.array_equal(p.data, q.data) for p, q in zip(layer.parameters(), again.parameters(), strict=True))


def test_layers_have_torchs_attributes() -> None:
    layer = nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2)
    assert layer.mode == "LSTM"
    assert [len(weights) for weights in layer.all_weights] == [5] * 4
    assert layer.all_weights[1][4] is layer.weight_hr_l0_reverse
    layer.flatten_parameters()
    assert nn.RNN(3, 4, 1, "relu").nonlinearity == "relu"


# --- errors ------------------------------------------------------------------------------------------------------------------------

ONES = np.ones((5, 2, 3), np.float32)
OF_4, W_HH, W_IH = np.ones((15, 4)), np.ones((15, 5)), np.ones((15, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.LSTM(4, 5)(ONES), r"LSTM: input has shape \(5, 2, 3\), expected input_size=4 features"),
        (lambda: nn.LSTM(3, 5)(np.ones(3)), r"LSTM: input must be \(length, batch, features\) or \(length, features\), but has shape \(3,\)"),
        (lambda: nn.GRU(3, 5)(np.ones((0, 2, 3))), "GRU: input of shape .* has no steps"),
        (lambda: nn.GRU(3, 5)(ONES, np.ones((1, 3, 5))), r"GRU: h_0 has shape \(1, 3, 5\), expected .* = \(1, 2, 5\)"),
        (lambda: nn.LSTM(3, 5)(ONES, (np.ones((1, 2, 5)), np.ones((1, 2, 4)))), r"LSTM: c_0 has shape \(1, 2, 4\), expected .* = \(1, 2, 5\)"),
        (lambda: nn.RNN(3, 5)(np.ones((5, 3)), np.ones((1, 2, 5))), r"RNN: h_0 has shape \(1, 2, 5\), expected .* = \(1, 5\)"),
        (lambda: nn.RNN(3, 5)(pack_padded_sequence(np.ones((5, 2, 4)), [5, 1])), r"RNN: the packed data has shape \(6, 4\), expected input_size=3"),
        (lambda: nn.LSTM(0, 5), "LSTM: input_size must be an integer >= 1, not 0"),
        (lambda: nn.LSTM(3, 5, num_layers=0), "num_layers must be an integer >= 1"),
        (lambda: nn.LSTM(3, 5, dropout=1.5), r"dropout must be a probability in \[0, 1\], not 1.5"),
        (lambda: nn.LSTM(3, 5, proj_size=5), "proj_size must be at least 0 .* and less than hidden_size=5, not 5"),
        (lambda: nn.RNN(3, 5, nonlinearity="sigmoid"), 'nonlinearity must be "tanh" or "relu"'),
        (lambda: nn.LSTMCell(4, 5)(np.ones((2, 3))), r"LSTMCell: input has shape \(2, 3\), expected \(batch, input_size=4\)"),
        (lambda: nn.LSTMCell(3, 5)(np.ones((2, 3)), (np.ones((2, 5)), np.ones((1, 5)))), r"LSTMCell: c has shape \(1, 5\), expected .* = \(2, 5\)"),
        (lambda: nn.GRUCell(3, 5)(np.ones((2, 3)), np.ones((2, 4))), r"GRUCell: hx has shape \(2, 4\), expected .* = \(2, 5\)"),
        (lambda: nn.functional.gru_cell(np.ones((2, 3)), np.ones((2, 5)), OF_4, W_HH), r"gru_cell: input has shape \(2, 3\)"),
        (
            lambda: nn.functional.gru_cell(np.ones((2, 3)), np.ones((2, 4)), np.ones((15, 3)), np.ones((15, 5))),
            r"gru_cell: a state has shape \(2, 4\)",
        ),
        (
            lambda: nn.functional.lstm_cell(np.ones((2, 3)), [np.ones((2, 5))] * 2, np.ones((15, 3)), np.ones((15, 5))),
            r"lstm_cell: weight_ih has shape",
        ),
        (lambda: nn.functional.lstm(ONES, [np.ones((1, 2, 5))] * 2, [ONES] * 3, True, 1, 0.0, False, False, False), "lstm: 3 weights for 1 layers"),
    ],
)
def test_what_does_not_fit_is_named_with_both_shapes(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.LSTM(3, 5)([[1.0, 2.0, 3.0]]), "LSTM: input must be a tensor, an array or a PackedSequence, not list"),
        (lambda: nn.LSTM(3, 5)(ONES, np.ones((1, 2, 5))), "LSTM: hx must be a pair"),
        (lambda: nn.LSTMCell(3, 5)(ONES[0], np.ones((2, 5))), "LSTMCell: hx must be a pair"),
        (lambda: nn.GRU(3, 5, bias=1), "GRU: bias must be True or False, not 1"),
        (lambda: nn.GRU(3, 5)(np.ones((5, 2, 3), int)), "GRU: input has dtype int64; give floating-point numbers"),
        (lambda: nn.RNNCell(3, 5)(np.ones((2, 3), complex)), "RNNCell: input has dtype complex128"),
        (lambda: nn.GRUCell(3, 5)([1.0]), "GRUCell: input must be a tensor or an array, not list"),
    ],
)
def test_what_is_of_the_wrong_kind_is_named(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call()


def test_dropout_in_a_single_layer_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="dropout=0.5 has no effect with num_layers=1"):
        nn.LSTM(3, 5, dropout=0.5)
