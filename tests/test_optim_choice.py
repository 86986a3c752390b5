"""Hyperparameters chosen from curvature, data, noise, size and test runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from optim import choice, transformations


def quadratic(eigenvalues: Any, rng: np.random.Generator) -> tuple[Any, Any, ag.Tensor]:
    n = len(eigenvalues)
    q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    a = q @ np.diag(eigenvalues) @ q.T
    x = ag.tensor(rng.normal(size=n), requires_grad=True)
    return a, lambda: 0.5 * (x @ (a @ x)), x


@pytest.mark.parametrize("eigenvalues", [[1.0, 2.0, 10.0], [1.0, 2.0, -10.0], [3.0]])
def test_power_iteration_finds_the_eigenvalue_of_largest_size(eigenvalues: list[float], rng: np.random.Generator) -> None:
    _, closure, x = quadratic(eigenvalues, rng)
    assert choice.largest_eigenvalue(closure, [x]) == pytest.approx(max(eigenvalues, key=abs), rel=1e-3)


def test_the_lipschitz_step_never_overshoots_and_more_than_twice_it_diverges(rng: np.random.Generator) -> None:
    _, closure, x = quadratic([1.0, 5.0, 20.0], rng)
    step = choice.lipschitz_step(closure, [x])
    assert step == pytest.approx(1 / 20, rel=1e-3)
    start, first = np.array(x.data), closure().item()

    def final(lr: float) -> float:
        x.data[...] = start
        optimizer = optim.SGD([x], lr=lr)
        for _ in range(100):
            optimizer.zero_grad()
            loss = closure()
            loss.backward()
            optimizer.step()
        return float(closure().item())

    assert final(step) < 1e-2 * first
    assert final(2.1 * step) > 10 * first
    with pytest.raises(ValueError, match="no curvature"):
        choice.lipschitz_step(lambda: x.sum(), [x])


@pytest.mark.parametrize("loss", ["mse", "logistic", "softmax"])
def test_the_step_from_the_data_bounds_the_curvature_of_the_linear_model(loss: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 4)) * [1, 2, 3, 4]
    y = rng.integers(0, 3, size=50)
    w = ag.tensor(np.zeros((4, 3 if loss == "softmax" else 1)), requires_grad=True)

    def closure() -> Any:
        z = x @ w
        if loss == "softmax":
            return nn.functional.cross_entropy(z, y)
        target = (y[:, None] > 0).astype(float)
        return nn.functional.mse_loss(z, target) if loss == "mse" else np.mean(np.logaddexp(0, z) - target * z)

    bound = 1 / choice.step_from_data(x, loss)
    found = choice.largest_eigenvalue(closure, [w])
    assert found <= bound * (1 + 1e-6)
    assert found > 0.5 * bound


def test_feature_scales_let_features_of_all_sizes_learn_equally_fast(rng: np.random.Generator) -> None:
    x = rng.normal(size=(200, 2)) * [1.0, 100.0]
    y = x @ np.array([[1.0], [0.01]])

    def error(*links: Any, lr: float) -> float:
        model = nn.Linear(2, 1, bias=False, dtype=np.float64, generator=0)
        optimizer = optim.Chain(model.parameters(), *links, transformations.scale(-lr))
        for _ in range(50):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
        return float(loss.item())

    scales = choice.feature_scales(x)
    scaled = error(transformations.scale_features(scales), lr=0.5 / float((x * x * scales).mean(axis=0).max()))
    plain = error(lr=choice.step_from_data(x))
    assert scaled < 1e-6 * plain


def test_relevance_is_the_correlation_and_makes_relevant_features_faster(rng: np.random.Generator) -> None:
    x = rng.normal(size=(500, 3))
    y = (x[:, 0] > 0).astype(int)
    found = choice.relevance(x, y)
    assert found[0] > 0.7
    assert (found[1:] < 0.15).all()
    np.testing.assert_allclose(choice.relevance(x, x[:, [1]] * -3), [abs(np.corrcoef(x[:, k], x[:, 1])[0, 1]) for k in range(3)])
    scales = choice.feature_scales(x, y)
    assert scales[0] > 4 * scales[1:].max()
    assert scales.mean() == pytest.approx(1)


def test_the_noise_scale_is_that_of_the_gradients_distribution(rng: np.random.Generator) -> None:
    g, deviations, batch = np.array([1.0, -2.0, 0.5]), np.array([3.0, 1.0, 2.0]), 8
    noise = choice.GradientNoise(decay=0.999)
    for _ in range(4000):
        noise.update(list(g + deviations * rng.normal(size=(4, 3)) / batch**0.5), batch)
    assert noise.scale == pytest.approx((deviations**2).sum() / (g**2).sum(), rel=0.1)
    assert noise.batch_size(smallest=1, largest=2) == 2
    assert choice.GradientNoise().batch_size(largest=64) == 64
    with pytest.raises(ValueError, match="two batches or more"):
        noise.update([g], 8)


def test_sizes_give_learning_rates() -> None:
    assert choice.lr_from_size(10**8) == pytest.approx(0.003239 - 0.0001395 * np.log(1e8))
    assert choice.lr_from_width(0.1, 400, 100) == 0.025
    for parameters in (0, 10**11):
        with pytest.raises(ValueError, match="lr_from_size"):
            choice.lr_from_size(parameters)


@pytest.mark.parametrize("make", [lambda p: optim.SGD(p, lr=0.01, momentum=0.9), lambda p: optim.Adam(p, lr=0.01)])
def test_the_range_test_finds_a_usable_rate_and_leaves_no_trace(make: Any, rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(100, 5)), rng.normal(size=(100, 2))
    model = nn.MLP(5, 8, 2, dtype=np.float64, generator=0)
    optimizer = make(model.parameters())

    def closure() -> Any:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        return loss

    optimizer.step(closure)
    before, state = model.state_dict(), optimizer.state_dict()
    with np.errstate(over="ignore", invalid="ignore"):
        found = choice.range_test(closure, optimizer, low=1e-5, high=100.0, steps=80)
    assert 1e-4 < found.steepest <= found.largest < 10
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name].numpy())
    after = optimizer.state_dict()
    assert after["param_groups"] == state["param_groups"]
    assert after["steps"] == 1
    for i, entry in state["state"].items():
        for key, value in entry.items():
            np.testing.assert_array_equal(after["state"][i][key], value)


def test_the_range_test_draws_its_picture_and_names_misuse() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = choice.RangeTest([1e-3, 1e-2, 1e-1, 1.0], [3.0, 2.9, 1.0, 5.0]).plot()
    assert axes.get_xlabel() == "learning rate"
    matplotlib.pyplot.close("all")
    p = ag.tensor(1.0, requires_grad=True)
    with pytest.raises(ValueError, match="0 < low < high"):
        choice.range_test(lambda: p, optim.SGD([p]), low=1.0, high=0.1)

    def diverging() -> Any:
        p.grad = ag.tensor(np.nan)
        return p

    with pytest.raises(ValueError, match="begin lower"):
        choice.range_test(diverging, optim.SGD([p]))
    assert p.item() == 1.0


def test_what_is_not_finite_is_named_instead_of_chosen_by() -> None:
    x = np.array([[1.0, 2.0], [3.0, np.nan]])
    for choose in (choice.step_from_data, choice.feature_scales):
        with pytest.raises(ValueError, match=rf"{choose.__name__}: the data must be finite, but element \(1, 1\) is nan"):
            choose(x)
    with pytest.raises(ValueError, match=r"relevance: the targets must be finite, but element \(0, 0\) is inf"):
        choice.relevance(np.ones((2, 1)), np.array([np.inf, 1.0]))
    p = ag.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(FloatingPointError, match="largest_eigenvalue: a product with the Hessian is not finite"):
        choice.largest_eigenvalue(lambda: (p * p).sum() * np.nan, [p])
    noise = choice.GradientNoise()
    with pytest.raises(FloatingPointError, match="a gradient is not finite; nothing was noted"):
        noise.update([np.array([1.0, np.nan]), np.ones(2)], batch_size=2)
    assert noise.scale == np.inf
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        noise.update([np.ones(2), np.ones(2)], batch_size=0)


def test_the_range_test_leaves_schedules_and_what_is_no_learning_rate_alone() -> None:
    p = ag.tensor([3.0], requires_grad=True)
    schedule, plateau = optim.Cosine(0.1, 10), optim.Plateau(0.5)
    optimizer = optim.SGD([{"params": [p]}, {"params": [ag.tensor(1.0, requires_grad=True)], "lr": plateau}], lr=schedule, momentum=0.5)

    def closure() -> Any:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    value, momentum = p.data.copy(), optimizer.state[p]["momentum_buffer"].copy()
    found = choice.range_test(closure, optimizer, steps=20)
    assert len(found.rates) > 10
    assert [group["lr"] for group in optimizer.param_groups] == [schedule, plateau]
    np.testing.assert_array_equal(p.data, value)
    np.testing.assert_array_equal(optimizer.state[p]["momentum_buffer"], momentum)
    assert optimizer.steps == 1
    chain = optim.Chain([p], optim.transformations.scale(-0.1))
    with pytest.raises(TypeError, match=r"range_test: group 0 of Chain has no lr to try; there is scale.factor"):
        choice.range_test(closure, chain)
    assert "lr" not in chain.param_groups[0]
