"""Functions with a gradient of their user's making: it is the one that is used, everywhere, and it is checked."""

from __future__ import annotations

import functools
import gc
import weakref
from typing import NamedTuple

import numpy as np
import pytest

import autograd_core as ag

X = np.linspace(-1.0, 1.5, 6).reshape(2, 3)


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def with_gradient(function, forward, backward, **options):
    wrapped = ag.custom_vjp(function, **options)
    wrapped.defvjp(forward, backward)
    return wrapped


# sin, with three times the derivative: so that each use shows.
threefold = with_gradient(np.sin, lambda x: (np.sin(x), x), lambda x, g: (3 * np.cos(x) * g,))


def test_the_value_is_the_functions_and_the_gradient_is_the_given_one():
    x = leaf(X)
    y = threefold(x)
    assert np.array_equal(y.data, np.sin(X))
    y.sum().backward()
    assert np.array_equal(x.grad.data, 3 * np.cos(X))


def test_all_transforms_use_it():
    assert np.allclose(ag.grad(lambda x: np.sum(threefold(2 * x)))(X), 6 * np.cos(2 * X))
    assert np.allclose(ag.elementwise_grad(threefold)(X), 3 * np.cos(X))
    assert np.allclose(ag.vjp(threefold, X)[1](X)[0], 3 * X * np.cos(X))
    assert np.allclose(ag.jvp(threefold, (X,), (X,))[1], 3 * X * np.cos(X))
    assert np.allclose(ag.jacobian(threefold)(X[0]), np.diag(3 * np.cos(X[0])))
    x = leaf(X)
    ag.checkpoint(lambda t: threefold(t) ** 2)(x).sum().backward()
    assert np.allclose(x.grad.data, 6 * np.sin(X) * np.cos(X))
    x.grad = None
    ag.checkpoint_chain(threefold, 2)(x).sum().backward()
    assert np.allclose(x.grad.data, 9 * np.cos(X) * np.cos(np.sin(X)))


def test_higher_orders_differentiate_the_backward_function():
    assert np.allclose(ag.hessian(lambda x: np.sum(threefold(x)))(X[0]), np.diag(-3 * np.sin(X[0])))
    assert np.allclose(ag.hvp(lambda x: np.sum(threefold(x) * x))(X[0], np.ones(3)), 6 * np.cos(X[0]) - 3 * X[0] * np.sin(X[0]))
    nested = with_gradient(np.sin, lambda x: (np.sin(x), x), lambda x, g: (threefold(x + np.pi / 2) * g,))
    third = ag.grad(ag.grad(ag.grad(nested)))
    assert np.isclose(third(0.7), 3 * -np.cos(0.7))  # nested' = sin(x + pi/2), nested'' = 3 cos(x + pi/2), nested''' = -3 sin(x + pi/2)


def test_the_gradient_of_the_gradients_cotangent_is_right():
    twice = with_gradient(lambda x: x * x, lambda x: (x * x, x), lambda x, g: (2 * x * g,))
    assert ag.gradcheck(twice, X, order=2)


def test_residuals_carry_what_the_forward_pass_found():
    """softmax cross-entropy: the probabilities are computed once, forward."""

    def loss(logits, labels):
        return -np.sum(np.log(np.exp(logits) / np.sum(np.exp(logits), axis=1, keepdims=True))[np.arange(len(labels)), labels])

    def forward(logits, labels):
        e = np.exp(logits - np.max(logits, axis=1, keepdims=True))
        p = e / np.sum(e, axis=1, keepdims=True)
        return -np.sum(np.log(p[np.arange(len(labels)), labels])), {"p": p, "one_hot": np.eye(3)[labels]}

    def backward(kept, g):
        return g * (kept["p"] - kept["one_hot"]), None

    custom, labels = with_gradient(loss, forward, backward), np.array([2, 0])
    assert np.allclose(ag.grad(custom)(X, labels), ag.grad(loss)(X, labels), rtol=1e-12)
    assert np.allclose(ag.hessian(custom)(X, labels), ag.hessian(loss)(X, labels), rtol=1e-10, atol=1e-14)


class Pair(NamedTuple):
    a: object
    b: object


def test_containers_are_taken_and_given():
    def function(p, factor):
        return {"product": p["x"].a * p["x"].b * factor, "note": p["n"]}

    def backward(kept, g):
        p, factor = kept
        scaled = g["product"] * factor
        return {"n": None, "x": Pair(10 * scaled * p["x"].b, None)}, np.sum(g["product"] * p["x"].a * p["x"].b)

    custom = with_gradient(function, lambda p, factor: (function(p, factor), (p, factor)), backward)
    a, factor = leaf(X), leaf(2.0)
    out = custom({"x": Pair(a, leaf(X + 1)), "n": 3}, factor=factor)
    assert int(out["note"]) == 3
    out["product"].sum().backward()
    assert np.allclose(a.grad.data, 20 * (X + 1))
    assert np.isclose(factor.grad.item(), np.sum(X * (X + 1)))


def test_a_value_of_several_parts_gives_zeros_for_the_ones_that_nothing_depends_on():
    seen = []

    def backward(_, g):
        seen.append([part.data for part in g])
        return g[0] + 2 * g[1]

    custom = with_gradient(lambda x: (x, x), lambda x: ((x, x + 0.0), None), backward)
    x = leaf(X)
    custom(x)[1].sum().backward()
    assert np.array_equal(x.grad.data, np.full_like(X, 2))
    assert np.array_equal(seen[0], [np.zeros_like(X), np.ones_like(X)])


def test_arguments_without_gradient_come_first_in_the_backward_function():
    @functools.partial(ag.custom_vjp, nondiff_argnums=(0, 2))
    def apply(f, x, n=2):
        return f(x) * n

    apply.defvjp(lambda f, x, n: (f(x) * n, x), lambda f, n, x, g: (100 * n * np.cos(x) * g,))
    assert np.isclose(ag.grad(lambda x: apply(np.sin, x))(0.5), 200 * np.cos(0.5))
    assert np.isclose(ag.grad(lambda x: apply(np.sin, x, n=3))(0.5), 300 * np.cos(0.5))
    assert np.isclose(ag.grad(ag.grad(lambda x: apply(np.sin, x)))(0.5), -200 * np.sin(0.5))


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_gradients_are_clipped_in_the_middle_of_a_program(bound):
    clip = with_gradient(lambda x: x, lambda x: (x, None), lambda _, g: (np.clip(g, -bound, bound),))
    x = leaf(X)
    (clip(x) * np.array([0.1, 1.0, -10.0])).sum().backward()
    assert np.array_equal(x.grad.data, np.clip(np.tile([0.1, 1.0, -10.0], (2, 1)), -bound, bound))


def test_it_runs_plainly_where_nothing_is_differentiated():
    calls = []
    custom = with_gradient(lambda x: x * 2, lambda x: calls.append(x) or (x * 2, None), lambda _, g: (g,))
    assert custom(3.0) == 6.0
    assert type(custom(X)) is np.ndarray
    assert not custom(ag.tensor(X)).requires_grad
    with ag.no_grad():
        assert not custom(leaf(X)).requires_grad
    assert not calls


def test_none_is_no_gradient():
    custom = with_gradient(lambda x, y: x * y, lambda x, y: (x * y, None), lambda _, g: (None, g))
    x, y = leaf(2.0), leaf(3.0)
    custom(x, y).backward()
    assert x.grad is None
    assert y.grad.item() == 1.0


def test_float32_stays_float32():
    custom = with_gradient(lambda x: x * 2, lambda x: (x * 2, None), lambda _, g: (np.float64(5.0) * g.data,))
    x = leaf(X.astype(np.float32))
    custom(x).sum().backward()
    assert x.grad.data.dtype == np.float32


def test_the_tape_keeps_no_tensor_and_not_the_value():
    custom = with_gradient(lambda x: np.exp(x), lambda x: (np.exp(x), None), lambda _, g: (g,))
    x = leaf(X)
    h = x * 1.0
    y = custom(h)
    dead = [weakref.ref(h), weakref.ref(y.data)]
    z = y.sum()
    del h, y
    gc.collect()
    assert all(reference() is None for reference in dead)
    z.backward()
    assert np.array_equal(x.grad.data, np.ones_like(X))


def test_a_retained_graph_and_a_freed_one():
    x = leaf(X)
    y = threefold(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert np.array_equal(x.grad.data, 6 * np.cos(X))
    with pytest.raises(RuntimeError, match="freed graph \\(at"):
        y.backward()


def test_its_name_stands_in_listings():
    @ag.custom_vjp
    def softclip(x):
        return np.tanh(x)

    softclip.defvjp(lambda x: (np.tanh(x), None), lambda _, g: (g,))
    assert "softclip" in str(ag.tape(softclip(leaf(X))))
    assert softclip.__name__ == "softclip"


# --- what would be wrong ------------------------------------------------------------------------------------------------------------


LARGE = 3000  # elements; the tape copies what is smaller, and watches what is larger


def test_large_residuals_that_are_changed_in_place_are_noticed_and_small_ones_kept():
    def changed_later(n):
        a, x = np.ones(n), leaf(np.ones(n))
        custom = with_gradient(lambda x: x * a, lambda x: (x * a, a), lambda a, g: (g * a,))
        y = custom(x).sum()
        a[:] = 100.0
        y.backward()
        return x.grad.data

    assert np.array_equal(changed_later(3), np.ones(3))
    with pytest.raises(RuntimeError, match=r"its argument residuals .* was changed in place"):
        changed_later(LARGE)


IDENTITIES = {"checkpoint": ag.checkpoint(lambda t: t), "chain": ag.checkpoint_chain(lambda t: t, 3), "map": ag.vmap(lambda t: t), "custom": None}


@pytest.mark.parametrize("kind", IDENTITIES)
def test_a_function_that_returns_its_argument_shares_its_guard(kind):
    identity = IDENTITIES[kind] or with_gradient(lambda x: x, lambda x: (x, None), lambda _, g: (g,))

    def changed_later(n):
        x = leaf(np.ones(n))
        h = x * 2.0
        array = h.data
        z = (identity(h) ** 2).sum()
        array[0] = 5.0
        z.backward()
        return x.grad.data

    if kind != "chain":  # it keeps no copies of its states
        assert np.array_equal(changed_later(3), np.full(3, 8.0))
    with pytest.raises(RuntimeError, match="changed in place"):
        changed_later(LARGE)


def test_a_tensor_that_is_no_argument_is_refused():
    w = leaf(2.0)
    custom = with_gradient(lambda x: x * w, lambda x: (x * w, None), lambda _, g: (g,))
    for x in (leaf(1.0), ag.tensor(1.0)):
        with pytest.raises(RuntimeError, match="refers to a tensor that requires grad and is not among its arguments"):
            custom(x)
    hidden = with_gradient(lambda x: x * 1.0, lambda x: (x * 1.0, w * 2), lambda r, g: (g * r,))
    with pytest.raises(RuntimeError, match="not among its arguments"):
        hidden(leaf(1.0))


def test_a_forward_function_that_does_not_repeat_itself_is_refused_at_second_order():
    random = np.random.default_rng(0)

    def forward(x):
        mask = random.random(3)
        return x * mask, mask

    custom = with_gradient(lambda x: x, forward, lambda mask, g: (g * mask,))
    assert ag.grad(lambda x: np.sum(custom(x)))(X[0]).shape == (3,)
    with pytest.raises(RuntimeError, match="it gave other residuals than the first time"):
        ag.hessian(lambda x: np.sum(custom(x)))(X[0])


WRONG = {
    "no gradient given": (None, None, RuntimeError, "no gradient was given; call scale.defvjp"),
    "no pair": (lambda x, y: x * y["a"], None, TypeError, r"must return \(value, residuals\), it returned Tensor"),
    "no tensor": (lambda x, y: ("text", None), None, TypeError, "must be made of tensors, it holds a str|it holds str"),
    "one too few": (lambda x, y: (x * y["a"], None), lambda _, g: (g,), TypeError, "returned 1 gradients for 2 arguments"),
    "no tuple": (lambda x, y: (x * y["a"], None), lambda _, g: g, TypeError, "returned a Tensor for 2 arguments"),
    "shape": (lambda x, y: (x * y["a"], None), lambda _, g: (g[0], None), ValueError, r"shape \(3,\) for argument 'x', expected \(2, 3\)"),
    "shape in a dict": (
        lambda x, y: (x * y["a"], None),
        lambda _, g: (g, {"a": g}),
        ValueError,
        r"scale: its backward function returned shape \(2, 3\) for argument 'y'\['a'\], expected \(3,\)",
    ),
    "keys": (lambda x, y: (x * y["a"], None), lambda _, g: (g, {"b": g}), TypeError, "a dict for argument 'y', which is a dict of 1"),
    "container": (lambda x, y: (x * y["a"], None), lambda _, g: (g, g), TypeError, "a Tensor for argument 'y', which is a dict"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused_by_the_functions_name(name):
    forward, backward, error, message = WRONG[name]

    @ag.custom_vjp
    def scale(x, y):
        return x * y["a"]

    if forward is not None:
        scale.defvjp(forward, backward)
    with pytest.raises(error, match=message):
        scale(leaf(X), {"a": leaf(np.ones(3))}).sum().backward()


def test_a_tracked_tensor_in_an_argument_without_gradient_is_refused():
    custom = with_gradient(lambda n, x: x * n, lambda n, x: (x * n, None), lambda n, _, g: (g * n,), nondiff_argnums=(0,))
    with pytest.raises(TypeError, match="nondiff_argnums"):
        custom(leaf(2.0), leaf(3.0))
