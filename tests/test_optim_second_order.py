"""Curvature products against explicit matrices, and the methods built on them."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim
from optim.second_order import Vector, conjugate_gradients, gauss_newton_product, hessian_product


def test_hessian_products_are_those_of_the_hessian(rng: np.random.Generator) -> None:
    a = rng.normal(size=(6, 6))
    x, y = ag.tensor(rng.normal(size=(2, 2)), requires_grad=True), ag.tensor(rng.normal(size=2), requires_grad=True)
    vector = Vector([x, y])

    def f(v: Any) -> Any:
        return (np.sin(a @ v) ** 2).sum() + (v**4).sum()

    g, product = hessian_product(f(np.concatenate([x.reshape(-1), y])), vector)
    v0, h = vector.get(), 1e-5

    def gradient_at(v: Any) -> Any:
        t = ag.tensor(v, requires_grad=True)
        return ag.gradient(f(t), t).data

    np.testing.assert_allclose(g, gradient_at(v0), rtol=1e-12)
    hessian = np.stack([(gradient_at(v0 + h * e) - gradient_at(v0 - h * e)) / (2 * h) for e in np.eye(6)])
    np.testing.assert_allclose(np.stack([product(e) for e in np.eye(6)]), hessian, rtol=1e-6, atol=1e-6)


def test_gauss_newton_products_are_those_of_the_matrix(rng: np.random.Generator) -> None:
    model = nn.MLP(3, 4, 2, activation=nn.Tanh, dtype=np.float64, generator=0)
    x, target = rng.normal(size=(5, 3)), rng.integers(0, 2, size=5)
    vector = Vector(list(model.parameters()))
    outputs = model(x)
    loss, g, product = gauss_newton_product(outputs, lambda z: nn.functional.cross_entropy(z, target), vector)
    jacobian = np.stack([vector.join(vector.gradient(outputs, ag.tensor(e.reshape(5, 2)))) for e in np.eye(10)])
    p = nn.functional.softmax(outputs.detach().numpy())
    inner = np.zeros((10, 10))
    for i in range(5):
        inner[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = (np.diag(p[i]) - np.outer(p[i], p[i])) / 5
    expected = jacobian.T @ inner @ jacobian
    np.testing.assert_allclose(np.stack([product(e) for e in np.eye(vector.size)]), expected, rtol=1e-9, atol=1e-12)
    nn.functional.cross_entropy(model(x), target).backward()
    np.testing.assert_allclose(g, vector.join([q.grad for q in model.parameters()]), rtol=1e-10, atol=1e-12)
    assert loss == pytest.approx(nn.functional.cross_entropy(outputs, target).item())


def test_conjugate_gradients_solve_in_as_many_steps_as_there_are_eigenvalues(rng: np.random.Generator) -> None:
    q = np.linalg.qr(rng.normal(size=(8, 8)))[0]
    a = q @ np.diag([1.0, 1, 1, 2, 2, 5, 5, 5]) @ q.T
    b = rng.normal(size=8)
    solution = conjugate_gradients(lambda v: a @ v, b, 1e-10, 50)
    np.testing.assert_allclose(solution.x, np.linalg.solve(a, b), rtol=1e-8)
    assert solution.iterations == 3


def test_conjugate_gradients_stop_at_negative_curvature() -> None:
    b = np.array([1.0, 1.0])
    solution = conjugate_gradients(lambda v: np.array([-1.0, -2.0]) * v, b, 1e-10, 50)
    assert solution.negative_curvature
    assert solution.x @ b > 0


def test_newton_converges_quadratically_on_rosenbrock() -> None:
    x = ag.tensor(np.full(10, -1.0), requires_grad=True)
    optimizer = optim.NewtonCG([x])
    losses = [optimizer.step(lambda: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()).item() for _ in range(80)]
    np.testing.assert_allclose(x.data, 1, atol=1e-8)
    assert all(later <= earlier for earlier, later in itertools.pairwise(losses))


def test_newton_solves_a_quadratic_in_one_step_and_leaves_a_maximum(rng: np.random.Generator) -> None:
    x = ag.tensor(rng.normal(size=3), requires_grad=True)
    optim.NewtonCG([x]).step(lambda: 1e-8 * ((x - np.array([1.0, 2.0, 3.0])) ** 2).sum())
    np.testing.assert_allclose(x.data, [1, 2, 3], rtol=1e-6)
    y = ag.tensor([0.1], requires_grad=True)
    optimizer = optim.NewtonCG([y])
    for _ in range(20):
        optimizer.step(lambda: np.cos(y).sum())
    assert y.data[0] == pytest.approx(np.pi)


def test_a_step_that_would_not_help_is_not_taken() -> None:
    x = ag.tensor([1.0], requires_grad=True)
    optimizer = optim.NewtonCG([x], max_backtracks=1, lr=1e6)
    with np.errstate(over="ignore"):
        optimizer.step(lambda: (np.exp(x) - x).sum())
    assert x.tolist() == [1.0]


def test_levenberg_marquardt_fits_a_curve_in_float32_and_float64(rng: np.random.Generator) -> None:
    t = np.linspace(0, 3, 40)
    data = 2.5 * np.exp(-1.3 * t) + 0.5
    for dtype, tolerance in ((np.float64, 1e-7), (np.float32, 1e-3)):
        p = ag.tensor(np.array([1.0, -0.1, 0.0], dtype=dtype), requires_grad=True)
        optimizer = optim.LevenbergMarquardt([p])
        for _ in range(25):
            optimizer.step(lambda p=p, dtype=dtype: p[0] * np.exp(p[1] * t.astype(dtype)) + p[2] - data.astype(dtype))  # type: ignore[misc]
        np.testing.assert_allclose(p.data, [2.5, -1.3, 0.5], rtol=tolerance)
        assert p.dtype == dtype


def test_gauss_newton_trains_a_classifier_in_a_few_steps(rng: np.random.Generator) -> None:
    x = rng.normal(size=(100, 2))
    y = (x[:, 0] * x[:, 1] > 0).astype(int)
    model = nn.MLP(2, 8, 2, activation=nn.Tanh, dtype=np.float64, generator=1)
    optimizer = optim.GaussNewton(model.parameters(), lambda z: nn.functional.cross_entropy(z, y))
    losses = [optimizer.step(lambda: model(x)).item() for _ in range(30)]
    assert losses[-1] < 0.05
    assert all(later <= earlier for earlier, later in itertools.pairwise(losses))


@pytest.mark.parametrize("make", [optim.NewtonCG, optim.LevenbergMarquardt])
def test_misuse_is_named(make: Any) -> None:
    x = ag.tensor([1.0], requires_grad=True)
    with pytest.raises(TypeError, match=f"{make.__name__}: step needs a closure"):
        make([x]).step()
    with pytest.raises(ValueError, match=f"{make.__name__}: damping must be"):
        make([x], damping=-1.0)
    with pytest.raises(FloatingPointError, match="nothing was changed"), np.errstate(all="ignore"):
        make([x]).step(lambda: x / 0.0)
    with pytest.raises(TypeError, match="need real parameters"):
        make([ag.tensor([1j], requires_grad=True)]).step(lambda: x)


SQUARES = {
    "LevenbergMarquardt": optim.LevenbergMarquardt,
    "GaussNewton": lambda p, **options: optim.GaussNewton(p, lambda r: 0.5 * (r * r).sum(), **options),
}


@pytest.mark.parametrize("make", SQUARES.values(), ids=SQUARES)
def test_damping_may_be_a_schedule_which_begins_each_step(make: Any) -> None:
    t = np.linspace(0, 2, 20)
    schedule = optim.Exponential(1e-2, 0.5)
    p = ag.tensor([1.0, 0.0], requires_grad=True)
    optimizer = make([p], damping=schedule)
    for _ in range(12):
        optimizer.step(lambda: p[0] * np.exp(p[1] * t) - 3 * np.exp(-2 * t))
    np.testing.assert_allclose(p.data, [3.0, -2.0], atol=1e-5)
    assert optimizer.param_groups[0]["damping"] is schedule


def test_frozen_parameters_are_left_alone_by_methods_that_take_one_vector() -> None:
    for make, power in ((optim.NewtonCG, 2), (optim.LevenbergMarquardt, 1)):
        p, frozen = ag.tensor([2.0], requires_grad=True), ag.tensor([3.0])
        optimizer = make([frozen, p])
        for _ in range(20):
            optimizer.step(lambda p=p, frozen=frozen, power=power: (p - frozen).sum() ** power)
        np.testing.assert_allclose([p.item(), frozen.item()], [3.0, 3.0], atol=1e-4)
        p.requires_grad = False
        with pytest.raises(ValueError, match=r"all parameters are frozen \(requires_grad is False\)"):
            optimizer.step(lambda p=p: p.sum())


@pytest.mark.parametrize("make", [optim.LBFGS, optim.NewtonCG, optim.LevenbergMarquardt])
def test_a_second_group_is_refused_by_methods_that_take_one_vector(make: Any) -> None:
    optimizer = make([ag.tensor(1.0, requires_grad=True)])
    with pytest.raises(ValueError, match="all parameters have to be in one group, as they are one vector"):
        optimizer.add_param_group({"params": [ag.tensor(1.0, requires_grad=True)]})
    with pytest.raises(ValueError, match="all parameters have to be in one group, as they are one vector"):
        make([{"params": [ag.tensor(1.0, requires_grad=True)]}, {"params": [ag.tensor(1.0, requires_grad=True)]}])
