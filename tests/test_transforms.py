"""Functions of functions: what they return, how they nest, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import autograd_core as ag


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_hessian(x):
    n = len(x)
    h = np.zeros((n, n))
    for i in range(n - 1):
        h[i, i] += 1200 * x[i] ** 2 - 400 * x[i + 1] + 2
        h[i, i + 1] = h[i + 1, i] = -400 * x[i]
        h[i + 1, i + 1] += 200
    return h


X = np.linspace(0.4, 1.6, 5)


def test_grad_returns_an_array_of_the_arguments_shape_and_dtype():
    g = ag.grad(lambda x: np.sum(x**2))(X.astype(np.float32))
    assert type(g) is np.ndarray
    assert g.dtype == np.float32
    assert np.array_equal(g, 2 * X.astype(np.float32))


def test_value_and_grad_gives_both():
    value, g = ag.value_and_grad(rosenbrock)(X)
    assert value == rosenbrock(X)
    assert g.shape == X.shape


def test_argnums_chooses_arguments_and_a_sequence_gives_a_tuple():
    f = lambda a, b, c: a * b**2 * c**3
    assert ag.grad(f, 1)(2.0, 3.0, 1.0) == 12.0
    assert ag.grad(f, (0, -1))(2.0, 3.0, 1.0) == (9.0, 54.0)


def test_has_aux_passes_the_rest_through_as_plain_values():
    value, g = ag.value_and_grad(lambda x: (np.sum(x * x), {"doubled": 2 * x}), has_aux=True)(X)
    assert value[0] == np.sum(X * X)
    assert type(value[1]["doubled"]) is np.ndarray
    assert np.array_equal(g, 2 * X)
    g, aux = ag.grad(lambda x: (np.sum(x), "note"), has_aux=True)(X)
    assert aux == "note"
    assert np.array_equal(g, np.ones(5))


class Pair(NamedTuple):
    w: np.ndarray
    b: float


@dataclass
class Layer:
    w: np.ndarray
    b: np.ndarray


@pytest.mark.parametrize(
    "params",
    [{"w": X, "b": 1.0}, Pair(X, 1.0), Layer(X, np.array(1.0)), [X, (1.0,)]],
    ids=["dict", "named tuple", "dataclass", "nested list"],
)
def test_gradients_of_containers_are_the_same_containers(params):
    def loss(p):
        w, b = (p["w"], p["b"]) if isinstance(p, dict) else (p[0], p[1][0]) if isinstance(p, list) else (p.w, p.b)
        return np.sum(w**2) * b

    g = ag.grad(loss)(params)
    assert type(g) is type(params)
    w, b = (g["w"], g["b"]) if isinstance(g, dict) else (g[0], g[1][0]) if isinstance(g, list) else (g.w, g.b)
    assert np.array_equal(w, 2 * X)
    assert b == np.sum(X**2)


def test_nested_transforms_do_not_confuse_their_variables():
    # Siskind & Pearlmutter 2005: a confused engine gives 2 here.
    assert ag.grad(lambda x: x * ag.grad(lambda y: x + y)(1.0))(2.0) == 1.0
    assert ag.grad(lambda x: x * ag.grad(lambda y: x * y)(1.0))(2.0) == 4.0


def test_grad_of_grad_of_grad():
    assert np.isclose(ag.grad(ag.grad(ag.grad(np.sin)))(0.3), -np.cos(0.3), rtol=1e-15)


def test_grad_of_a_function_of_a_tracked_tensor_can_be_differentiated_through():
    x = ag.tensor(2.0, requires_grad=True)
    slope = ag.grad(lambda t: t**3)(x)
    slope.backward()
    assert slope.item() == 12.0
    assert x.grad.item() == 12.0


def test_a_function_that_does_not_depend_on_its_argument_has_a_zero_gradient():
    assert np.array_equal(ag.grad(lambda x: 3.0)(X), np.zeros(5))
    assert np.array_equal(ag.jacobian(lambda x: np.ones(2))(X), np.zeros((2, 5)))
    _y, back = ag.vjp(lambda x: np.ones(2), X)
    assert np.array_equal(back(np.ones(2))[0], np.zeros(5))


def test_elementwise_grad_is_the_derivative_at_each_element():
    assert np.allclose(ag.elementwise_grad(np.tanh)(X), 1 - np.tanh(X) ** 2, rtol=1e-14)


def test_vjp_can_be_called_often_and_differentiated_in_the_cotangent():
    y, back = ag.vjp(lambda x: (x**2, {"sum": np.sum(x)}), X)
    assert np.array_equal(y[0], X**2)
    zero = np.float64(0.0)
    assert np.array_equal(back((np.ones(5), {"sum": zero}))[0], 2 * X)
    assert np.array_equal(back((np.ones(5), {"sum": np.float64(1.0)}))[0], 2 * X + 1)
    assert np.array_equal(ag.grad(lambda u: np.sum(back((u, {"sum": zero}))[0]))(np.ones(5)), 2 * X)


@pytest.mark.parametrize(
    "f", [np.sin, lambda x: np.outer(x, x), lambda x: x[::-1] * np.sum(x), np.cumprod], ids=["sin", "outer", "reversed", "cumprod"]
)
def test_jvp_and_vjp_pass_the_dot_product_test(f):
    rng = np.random.default_rng(0)
    v = rng.normal(size=X.shape)
    y, dy = ag.jvp(f, (X,), (v,))
    u = rng.normal(size=y.shape)
    (back,) = ag.vjp(f, X)[1](u)
    assert np.isclose(np.sum(u * dy), np.sum(back * v), rtol=1e-12)


def test_jvp_of_a_complex_function_is_its_derivative_times_the_tangent():
    z, dz = np.array([1 + 2j]), np.array([0.5 - 1j])
    _, dy = ag.jvp(lambda z: z**2, (z,), (dz,))
    assert np.allclose(dy, 2 * z * dz, rtol=1e-14)


@pytest.mark.parametrize("rows", [2, 9], ids=["backward", "forward"])
def test_jacobian_has_the_shape_of_output_then_input(rows):
    a = np.random.default_rng(1).normal(size=(rows, 5))
    assert np.allclose(ag.jacobian(lambda x: a @ x**2)(X), a * 2 * X, rtol=1e-13)
    assert ag.jacobian(lambda x: np.multiply.outer(x, np.ones((2, 3))))(np.ones((4, 1))).shape == (4, 1, 2, 3, 4, 1)


def test_jacobian_of_containers_nests_outputs_around_inputs():
    j = ag.jacobian(lambda p: {"product": p["a"] * p["b"]})({"a": X, "b": 2.0})
    assert np.array_equal(j["product"]["a"], 2 * np.eye(5))
    assert np.array_equal(j["product"]["b"], X)


def test_hessian_of_rosenbrock_is_the_formula():
    assert np.allclose(ag.hessian(rosenbrock)(X), rosenbrock_hessian(X), rtol=1e-12)


def test_hvp_is_the_hessian_times_the_vector():
    v = np.arange(5.0)
    assert np.allclose(ag.hvp(rosenbrock)(X, v), rosenbrock_hessian(X) @ v, rtol=1e-12)


def test_third_order_through_hvp():
    third = ag.grad(lambda x: np.sum(ag.hvp(lambda t: np.sum(t**4))(x, np.ones(5))))(X)
    assert np.allclose(third, 24 * X, rtol=1e-13)


def test_stop_gradient_makes_a_constant():
    assert ag.grad(lambda x: x * ag.stop_gradient(x))(3.0) == 3.0


def test_scipy_minimises_with_value_and_grad():
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize(ag.value_and_grad(rosenbrock), np.zeros(4), jac=True, method="BFGS")
    assert np.allclose(found.x, 1, atol=1e-4)


def test_scipy_minimises_with_hvp():
    optimize = pytest.importorskip("scipy.optimize")
    found = optimize.minimize(ag.value_and_grad(rosenbrock), np.zeros(4), jac=True, hessp=ag.hvp(rosenbrock), method="Newton-CG")
    assert np.allclose(found.x, 1, atol=1e-3)


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: ag.grad(lambda x: x * 2)(X), "one real number, it returned float64 of shape \\(5,\\)"),
        (lambda: ag.grad(lambda x: x * 1j)(1.0), "complex128"),
        (lambda: ag.grad(lambda x: x > 0)(1.0), "bool"),
        (lambda: ag.grad(np.square)(2), "argument 0 is of dtype int64"),
        (lambda: ag.grad(lambda p: p["w"] * 1.0)({"w": 1}), "argument 0\\['w'\\] is of dtype int64"),
        (lambda: ag.grad(np.square, 1)(2.0), "argnums=1, but the function was called with 1"),
    ],
    ids=["array", "complex", "boolean", "integer", "integer in a dict", "argnums"],
)
def test_what_has_no_gradient_is_refused_by_name(attempt, message):
    with pytest.raises(TypeError, match=message):
        attempt()


def test_a_tangent_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="tangent of shape \\(2,\\) for an argument of shape \\(5,\\)"):
        ag.jvp(np.sin, (X,), (np.ones(2),))


def test_an_exception_in_the_function_leaves_no_transform_open():
    def fails(x):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        ag.grad(fails)(1.0)
    assert type(ag.grad(np.square)(1.0)) is np.float64  # plain again: the depth was restored


# --- linear maps ----------------------------------------------------------------------------------------------------------


def test_linearize_gives_the_jacobian_applied_to_each_tangent_without_another_evaluation():
    times = []

    def function(x, p):
        times.append(1)
        return {"y": np.tanh(p["w"] @ x), "s": np.sum(x**2)}

    x, p = X[:3], {"w": np.arange(6.0).reshape(2, 3) / 7}
    y, push = ag.linearize(function, x, p)
    assert np.array_equal(y["y"], np.tanh(p["w"] @ x))
    for tangent in np.eye(3):
        pushed = push(tangent, {"w": np.ones((2, 3))})
        _, expected = ag.jvp(function, (x, p), (tangent, {"w": np.ones((2, 3))}))
        assert np.allclose(pushed["y"], expected["y"], rtol=1e-14)
        assert np.allclose(pushed["s"], expected["s"], rtol=1e-14)
    assert len(times) == 1 + 3


def test_linearize_can_be_differentiated_through_the_point_and_the_tangent():
    def slope(x, v):
        return np.sum(ag.linearize(lambda t: t**3, x)[1](v))

    x, v = X[:3], np.array([1.0, -2.0, 0.5])
    assert np.allclose(ag.grad(slope)(x, v), 6 * x * v, rtol=1e-13)
    assert np.allclose(ag.grad(slope, 1)(x, v), 3 * x**2, rtol=1e-13)


@pytest.mark.parametrize("tangents", [(np.ones(2),), (np.ones(3), np.ones(3))], ids=["shape", "count"])
def test_linearize_refuses_tangents_that_do_not_fit(tangents):
    _, push = ag.linearize(np.sin, np.ones(3))
    with pytest.raises(ValueError, match="linearize"):
        push(*tangents)


def test_gauss_newton_products_are_those_of_the_jacobian_and_the_losses_hessian():
    A = np.linspace(-1, 1, 12).reshape(4, 3)

    def model(x):
        return np.tanh(A @ x)

    def loss(y):
        return np.sum(np.exp(y)) + y[0] * y[1]

    x, v = X[:3], np.array([1.0, -2.0, 0.5])
    J = ag.jacobian(model)(x)
    assert np.allclose(ag.gauss_newton_vp(model)(x, v), J.T @ J @ v, rtol=1e-12)
    H = ag.hessian(loss)(model(x))
    assert np.allclose(ag.gauss_newton_vp(model, loss)(x, v), J.T @ H @ J @ v, rtol=1e-12)


def test_gauss_newton_products_take_containers_and_can_be_differentiated():
    def model(p):
        return [p["a"] * np.arange(1.0, 4.0), p["b"] ** 2]

    p, v = {"a": np.float64(2.0), "b": np.array([1.0, 3.0])}, {"a": np.float64(1.0), "b": np.array([1.0, 1.0])}
    found = ag.gauss_newton_vp(model, lambda parts: np.sum(parts[0] ** 2) + np.sum(parts[1] ** 2))(p, v)
    assert np.allclose(found["a"], 2 * 14.0)
    assert np.allclose(found["b"], 2 * 4 * p["b"] ** 2)
    slope = ag.grad(lambda b: np.sum(ag.gauss_newton_vp(lambda t: t**2)(b, np.ones(2))))(p["b"])
    assert np.allclose(slope, 8 * p["b"])


def test_gauss_newton_products_refuse_a_vector_of_another_shape():
    with pytest.raises(ValueError, match="gauss_newton_vp"):
        ag.gauss_newton_vp(np.sin)(np.ones(3), np.ones(2))


def test_the_hessian_of_several_values_has_the_values_shape_first():
    f = lambda x: np.stack([x[0] ** 2 * x[1], x[1] ** 3, x[0], np.sin(x[0] * x[1])]).reshape(2, 2)
    x = np.array([3.0, 2.0])
    found = ag.hessian(f)(x)
    assert found.shape == (2, 2, 2, 2)
    for i, j in np.ndindex(2, 2):
        assert np.allclose(found[i, j], ag.hessian(lambda x, i=i, j=j: f(x)[i, j])(x), rtol=1e-13)
    assert ag.hessian(lambda x: x[:1] ** 2)(x).shape == (1, 2, 2)
    assert ag.hessian(lambda x: (x[0] ** 3, {"a": x}))(x)[1]["a"].shape == (2, 2, 2)
    both = ag.hessian(lambda x, y: x * y, argnums=(0, 1))(x, x)
    assert both[0][1].shape == (2, 2, 2)
    assert ag.hessian(lambda x: x[0] * x[1] * (1 + 1j))(x).dtype == complex
    assert np.allclose(ag.vmap(ag.hessian(f))(np.stack([x, 2 * x]))[0], found)
