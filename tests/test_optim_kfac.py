"""K-FAC: its factors are the Fisher matrix where they can be, its steps those of the dense matrix; bad input leaves no trace."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim


class Scale(nn.Module):
    """A layer that is not linear in the sense of `nn.Linear`: a factor per feature."""

    def __init__(self, features: int) -> None:
        self.weight = nn.Parameter(np.ones(features))

    def forward(self, x: Any) -> Any:
        return x * self.weight


def backward(optimizer: Any, model: Any, x: Any, y: Any) -> None:
    optimizer.zero_grad()
    nn.functional.mse_loss(model(x), y).backward()


def whole_gradient(layer: nn.Linear) -> Any:
    assert layer.weight.grad is not None
    assert layer.bias is not None
    assert layer.bias.grad is not None
    return np.hstack([layer.weight.grad.data, layer.bias.grad.data[:, None]])


def test_for_one_sample_the_factors_make_its_fisher_matrix(rng: np.random.Generator) -> None:
    model = nn.Linear(3, 2, dtype=np.float64, generator=0)
    optimizer = optim.KFAC(model)
    backward(optimizer, model, rng.normal(size=(1, 3)), rng.normal(size=(1, 2)))
    gradient = whole_gradient(model).T.reshape(-1)  # column after column
    optimizer.step()
    entry = optimizer.state[model.weight]
    np.testing.assert_allclose(np.kron(entry["A"], entry["G"]), np.outer(gradient, gradient), rtol=1e-12, atol=1e-14)


def test_the_factors_are_means_over_samples(rng: np.random.Generator) -> None:
    model = nn.Sequential(nn.Linear(3, 4, dtype=np.float64, generator=0), nn.Tanh(), nn.Linear(4, 2, bias=False, dtype=np.float64, generator=1))
    optimizer = optim.KFAC(model)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    hidden = np.tanh(model[0](x).data)
    outputs = hidden @ model[2].weight.data.T
    backward(optimizer, model, x, y)
    optimizer.step()
    slopes = 2 * (outputs - y) / 2  # of one sample's loss, the mean over its two outputs
    last, first = optimizer.state[model[2].weight], optimizer.state[model[0].weight]
    np.testing.assert_allclose(last["A"], hidden.T @ hidden / 5, rtol=1e-12)
    np.testing.assert_allclose(last["G"], slopes.T @ slopes / 5, rtol=1e-12)
    with_ones = np.hstack([x, np.ones((5, 1))])
    np.testing.assert_allclose(first["A"], with_ones.T @ with_ones / 5, rtol=1e-12)


def test_a_step_is_that_of_the_damped_kronecker_product(rng: np.random.Generator) -> None:
    model = nn.Linear(3, 2, dtype=np.float64, generator=0)
    optimizer = optim.KFAC(model, lr=0.5, damping=0.04, kl_clip=np.inf)
    backward(optimizer, model, rng.normal(size=(20, 3)), rng.normal(size=(20, 2)))
    gradient, before = whole_gradient(model), np.hstack([model.weight.data, model.bias.data[:, None]])  # type: ignore[union-attr]
    optimizer.step()
    a, g = optimizer.state[model.weight]["A"], optimizer.state[model.weight]["G"]
    share = np.sqrt((np.trace(a) / 4) / (np.trace(g) / 2))
    matrix = np.kron(a + share * 0.2 * np.eye(4), g + 0.2 / share * np.eye(2))
    change = np.linalg.solve(matrix, gradient.T.reshape(-1)).reshape(4, 2).T
    after = np.hstack([model.weight.data, model.bias.data[:, None]])  # type: ignore[union-attr]
    np.testing.assert_allclose(before - after, 0.5 * change, rtol=1e-10)


def test_the_clip_bounds_how_far_a_step_goes(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))

    def change(kl_clip: float) -> Any:
        model = nn.Linear(3, 2, dtype=np.float64, generator=0)
        optimizer = optim.KFAC(model, lr=0.5, kl_clip=kl_clip)
        backward(optimizer, model, x, y)
        gradient, before = whole_gradient(model), model.weight.data.copy()
        assert model.bias is not None
        bias = model.bias.data.copy()
        optimizer.step()
        moved = np.hstack([model.weight.data - before, (model.bias.data - bias)[:, None]])
        return moved, -0.5 * float(np.vdot(moved, gradient))

    free, far = change(np.inf)
    clipped, _ = change(far / 100)
    np.testing.assert_allclose(clipped, free / 10, rtol=1e-10)
    same, _ = change(far * 1.01)
    np.testing.assert_array_equal(same, free)


def test_parameters_outside_linear_layers_have_plain_momentum(rng: np.random.Generator) -> None:
    model = nn.Sequential(Scale(3), nn.Linear(3, 2, dtype=np.float64, generator=0))
    optimizer = optim.KFAC(model, lr=0.5, momentum=0.9, kl_clip=np.inf)
    scale = model[0].weight
    expected, v = scale.data.copy(), 0.0
    for _ in range(3):
        backward(optimizer, model, rng.normal(size=(6, 3)), rng.normal(size=(6, 2)))
        v = 0.9 * v + scale.grad.data
        expected = expected - 0.5 * v
        optimizer.step()
        np.testing.assert_allclose(scale.data, expected, rtol=1e-12)


def test_only_training_is_looked_at(rng: np.random.Generator) -> None:
    model = nn.Linear(3, 2, dtype=np.float64, generator=0)
    optimizer = optim.KFAC(model)
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    with ag.no_grad():
        model(x)
    model.eval()
    nn.functional.mse_loss(model(x), y).backward()
    assert optimizer.layers[0].passes == 0
    model.train()
    backward(optimizer, model, x, y)
    assert optimizer.layers[0].passes == 1
    optimizer.step()
    assert optimizer.layers[0].passes == 0


@pytest.mark.parametrize("where", ["gradient", "input"])
def test_what_is_not_finite_reaches_neither_parameters_nor_factors(where: str, rng: np.random.Generator) -> None:
    model = nn.Linear(3, 2, dtype=np.float64, generator=0)
    optimizer = optim.KFAC(model, nonfinite="skip")
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    backward(optimizer, model, x, y)
    optimizer.step()
    before, entry = model.weight.data.copy(), copy.deepcopy(optimizer.state[model.weight])
    bad = x.copy()
    bad[0, 0] = np.inf
    backward(optimizer, model, bad if where == "input" else x, y)
    if where == "gradient":
        model.weight.grad.data[0, 0] = np.nan
    optimizer.step()
    assert optimizer.skipped_steps == 1
    np.testing.assert_array_equal(model.weight.data, before)
    for name, value in entry.items():
        np.testing.assert_array_equal(optimizer.state[model.weight][name], value)


def test_a_saved_state_goes_on_bit_for_bit(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))

    def make() -> tuple[Any, Any]:
        model = nn.MLP(3, 4, 2, dtype=np.float64, generator=0)
        return model, optim.KFAC(model, lr=optim.Exponential(0.1, 0.9), update_every=3)

    model, optimizer = make()
    for _ in range(5):
        backward(optimizer, model, x, y)
        optimizer.step()
    other, second = make()
    other.load_state_dict(model.state_dict())
    second.load_state_dict(optimizer.state_dict())
    for _ in range(5):
        for m, o in ((model, optimizer), (other, second)):
            backward(o, m, x, y)
            o.step()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_learns_in_far_fewer_steps_than_momentum(dtype: Any) -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    images, digits = datasets.load_digits(return_X_y=True)
    x = (images / 16).astype(dtype)

    def after(make: Any) -> float:
        model = nn.MLP(64, 32, 10, dtype=dtype, generator=0)
        optimizer = make(model)
        loader = nn.batches(x, digits, batch_size=128, shuffle=True, seed=0)
        for batch, labels in (b for _ in range(4) for b in loader):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), labels).backward()
            optimizer.step()
        assert {p.dtype for p in model.parameters()} == {np.dtype(dtype)}
        return float(nn.functional.cross_entropy(model(x), digits).item())

    best = min(after(lambda m, lr=lr: optim.SGD(m.parameters(), lr=lr, momentum=0.9)) for lr in (0.03, 0.1, 0.3))
    assert after(optim.KFAC) < 0.5 * best


def test_misuse_is_named() -> None:
    with pytest.raises(TypeError, match="KFAC: the model must be a module, whose layers it can look into, not a list"):
        optim.KFAC([ag.tensor(1.0, requires_grad=True)])
    with pytest.raises(ValueError, match="KFAC: the model has no linear layer"):
        optim.KFAC(Scale(3))
    for options, message in (({"damping": 0.0}, "damping must be a finite number > 0"), ({"kl_clip": -1.0}, "kl_clip must be a number > 0")):
        with pytest.raises(ValueError, match=f"KFAC: {message}"):
            optim.KFAC(nn.Linear(2, 2), **options)  # type: ignore[arg-type]


class Keyword(nn.Module):
    """Calls its layer by keyword."""

    def __init__(self, layer: nn.Linear) -> None:
        self.layer = layer

    def forward(self, x: Any) -> Any:
        return self.layer(input=x)


def test_a_layer_that_is_called_by_keyword_is_seen_too(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    layers = [nn.Linear(3, 2, dtype=np.float64, generator=0) for _ in range(2)]
    for model in (layers[0], Keyword(layers[1])):
        optimizer = optim.KFAC(model)
        backward(optimizer, model, x, y)
        assert optimizer.layers[0].passes == 1
        optimizer.step()
    np.testing.assert_array_equal(layers[0].weight.data, layers[1].weight.data)


def test_a_factor_that_is_not_finite_is_refused_by_the_name_of_its_layer() -> None:
    model = nn.Linear(1, 1, bias=False, dtype=np.float64, generator=0)
    optimizer = optim.KFAC(model)
    optimizer.zero_grad()
    with np.errstate(over="ignore"):
        (1e-300 * model(np.array([[1e200]]))).sum().backward()
    assert np.isfinite(model.weight.grad.data).all()  # its square is not
    before = model.weight.data.copy()
    with pytest.raises(FloatingPointError, match="KFAC: the inputs of linear layer 0, or the gradients of its outputs, are not finite"):
        optimizer.step()
    np.testing.assert_array_equal(model.weight.data, before)


def test_a_group_with_a_learning_rate_of_its_own_is_stepped_with_it(rng: np.random.Generator) -> None:
    model = nn.Linear(3, 2, dtype=np.float64, generator=0)
    optimizer = optim.KFAC(model, lr=0.1, momentum=0.0)
    extra = ag.tensor(np.ones(2), requires_grad=True)
    optimizer.add_param_group({"params": [extra], "lr": 0.5, "momentum": 0.9})
    extra.grad = ag.tensor(np.ones(2))
    optimizer.step()
    np.testing.assert_allclose(extra.data, 0.5)
    optimizer.step()
    np.testing.assert_allclose(extra.data, 0.5 - 0.5 * 1.9)


def test_complex_layers_are_refused() -> None:
    model = nn.Linear(2, 2, dtype=np.float64, generator=0)
    model.weight = nn.Parameter(np.ones((2, 2), dtype=complex))
    with pytest.raises(TypeError, match="KFAC: parameter 'weight' is complex, but K-FAC is for real numbers only"):
        optim.KFAC(model)


def test_a_weight_that_two_layers_share_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    with pytest.raises(ValueError, match="two linear layers share a weight"):
        optim.KFAC(model)
