"""Dask arrays inside tensors: the engine builds lazy gradients without computing anything, equal to NumPy's when computed."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag

da = pytest.importorskip("dask.array")


def lazy(array, chunks="auto"):
    return da.from_array(array, chunks=chunks)


@pytest.fixture
def data(rng):
    return rng.normal(size=(1000, 5)), rng.normal(size=(1000, 1)), rng.normal(size=(5, 1))


def loss_of(a, b, w):
    return ((a @ w - b) ** 2).mean()


def test_the_gradient_of_a_linear_regression_is_lazy_and_equal_to_numpys(data):
    a, b, start = data
    w = ag.tensor(lazy(start), requires_grad=True)
    loss = loss_of(ag.tensor(lazy(a, (250, 5))), ag.tensor(lazy(b, (250, 1))), w)
    assert isinstance(loss.data, da.Array)
    gradient = ag.gradient(loss, w)
    assert isinstance(gradient, ag.Tensor)
    assert isinstance(gradient.data, da.Array)
    assert gradient.shape == (5, 1)
    np.testing.assert_allclose(gradient.data.compute(), 2 * a.T @ (a @ start - b) / 1000)


def test_nothing_is_computed_before_it_is_asked_for(data):
    a, b, start = data
    computed = []

    def watched(block):
        if block.size:  # Dask tries the function on an empty array, to learn the dtype
            computed.append(block.shape)
        return block

    w = ag.tensor(lazy(start), requires_grad=True)
    features = ag.tensor(lazy(a, (250, 5)).map_blocks(watched, dtype=float))
    loss_of(features, ag.tensor(lazy(b, (250, 1))), w).backward()
    assert computed == []
    w.grad.data.compute()
    assert computed


def test_backward_leaves_a_lazy_grad_and_accumulates(data):
    a, b, start = data
    w = ag.tensor(lazy(start), requires_grad=True)
    for _ in range(2):
        loss_of(ag.tensor(lazy(a, (250, 5))), ag.tensor(lazy(b, (250, 1))), w).backward()
    assert isinstance(w.grad.data, da.Array)
    np.testing.assert_allclose(w.grad.data.compute(), 4 * a.T @ (a @ start - b) / 1000)


EXPRESSIONS = {
    "arithmetic": lambda x: (x * 3.0 - x / 2.0 + 1.0) ** 2,
    "reflected": lambda x: 1.0 / (2.0 - x * 0.1),
    "functions": lambda x: np.tanh(x) * np.exp(-x) + np.sin(x) + np.sqrt(x * x + 1.0) + np.log(x * x + 1.0),
    "sums": lambda x: x.sum(axis=0) * x.mean(),
    "shapes": lambda x: x.reshape(2, 2, 3).sum(axis=0).T + np.ones(2),
    "broadcast": lambda x: x + x.sum(axis=1, keepdims=True),
    "slices": lambda x: x[1:, ::2] * 2.0,
    "products": lambda x: x @ x.T,
    "joined": lambda x: np.concatenate([x, x * 2.0]),
    "where": lambda x: np.where(x.data > 0, x, 0.5 * x),
    "shared": lambda x: x * x + x,
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_agree_with_numpy_forward_and_back(name, rng):
    values = rng.normal(size=(4, 3))
    x, plain = ag.tensor(lazy(values, (2, 3)), requires_grad=True), ag.tensor(values, requires_grad=True)
    y, expected = EXPRESSIONS[name](x), EXPRESSIONS[name](plain)
    assert isinstance(y.data, da.Array)
    np.testing.assert_allclose(y.data.compute(), expected.data, rtol=1e-12)
    y.sum().backward()
    expected.sum().backward()
    assert isinstance(x.grad.data, da.Array)
    assert x.grad.shape == x.shape
    np.testing.assert_allclose(x.grad.data.compute(), plain.grad.data, rtol=1e-12)


def test_dask_arrays_and_tensors_meet_from_both_sides(rng):
    values = rng.normal(size=(4, 3))
    x = ag.tensor(lazy(values, (2, 3)), requires_grad=True)
    for y in (x * lazy(values), lazy(values) * x, x * values, values * x, lazy(values) @ x.T):
        assert isinstance(y, ag.Tensor)
        assert y.requires_grad
        assert isinstance(y.data, da.Array)


def test_a_second_order_gradient_is_lazy_too(rng):
    values = rng.normal(size=(4, 3))
    x = ag.tensor(lazy(values, (2, 3)), requires_grad=True)
    first = ag.gradient((x**3).sum(), x, create_graph=True)
    second = ag.gradient((first * first).sum(), x)
    assert isinstance(second.data, da.Array)
    np.testing.assert_allclose(second.data.compute(), 36 * values**3, rtol=1e-12)


def test_a_model_is_trained_lazily(data):
    a, b, start = data
    features, targets = ag.tensor(lazy(a, (250, 5))), ag.tensor(lazy(b, (250, 1)))
    w, plain = ag.tensor(lazy(start), requires_grad=True), start
    for _ in range(3):
        gradient = ag.gradient(loss_of(features, targets, w), w)
        w = ag.tensor((w.data - 0.1 * gradient.data).persist(), requires_grad=True)
        plain = plain - 0.1 * 2 * a.T @ (a @ plain - b) / 1000
    np.testing.assert_allclose(w.data.compute(), plain, rtol=1e-10)


def test_a_lazy_tensor_is_printed_without_computing_it():
    x = ag.tensor(da.ones((1000, 1000)), requires_grad=True)
    assert "requires_grad=True" in repr(x)
