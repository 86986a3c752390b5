"""Roots and fixed points: their values, and their derivatives of any order by the implicit function theorem."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import scipy.optimize
from numeric_gradient import numeric_gradient

import autograd_core as ag
import nn
from autograd_core.transforms.krylov import gmres

A = np.array([[4.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 5.0]])
B = np.array([1.0, -2.0, 0.5])


def system(x, a, b):
    return a @ x + np.tanh(x) - b


def solved(a, b):
    return ag.root(system, np.zeros(3), a, b)


def contraction(x, a, b):
    return np.tanh(0.1 * (a @ x) + b)


def rested(a, b):
    return ag.fixed_point(contraction, np.zeros(3), a, b)


@pytest.mark.parametrize("find", [solved, rested], ids=["root", "fixed_point"])
@pytest.mark.parametrize("argnum", [0, 1])
def test_first_and_second_derivatives_are_the_numeric_ones(find, argnum):
    def loss(a, b):
        x = find(a, b)
        return np.sum(x**2 * np.array([1.0, 2.0, 3.0]))

    def slope(a, b):
        return np.sum(ag.grad(loss, argnum)(a, b) * np.cos(np.arange(A.size if argnum == 0 else 3.0)).reshape((3, 3) if argnum == 0 else 3))

    values = [A, B]
    for function in (loss, slope):
        expected = numeric_gradient(lambda v, f=function: f(*[v if i == argnum else w for i, w in enumerate(values)]), values[argnum])
        assert np.allclose(ag.grad(function, argnum)(A, B), expected, rtol=1e-6, atol=1e-8)


def test_the_third_derivative_of_a_square_root():
    def square_root(a):
        return ag.root(lambda x, a: x * x - a, 1.0, a)

    first = ag.grad(square_root)
    third = ag.grad(ag.grad(first))
    assert np.isclose(square_root(2.0), np.sqrt(2.0), rtol=1e-15)
    assert np.isclose(first(2.0), 0.5 * 2**-0.5, rtol=1e-12)
    assert np.isclose(third(2.0), 0.375 * 2**-2.5, rtol=1e-11)


def test_the_hessian_of_a_solution_is_symmetric():
    h = ag.hessian(lambda b: np.sum(solved(A, b) ** 3))(B)
    assert np.allclose(h, h.T, rtol=1e-10)


def test_forward_products_agree_with_backward_ones():
    v, u = np.array([1.0, 0.5, -1.0]), np.array([0.3, -0.2, 0.9])
    _, pushed = ag.jvp(lambda b: solved(A, b), (B,), (v,))
    _, back = ag.vjp(lambda b: solved(A, b), B)
    assert np.isclose(u @ pushed, back(u)[0] @ v, rtol=1e-12)


@pytest.mark.parametrize("n", [50, 400], ids=["factored", "by GMRES"])
def test_large_systems(n):
    def tridiagonal(x, b):
        inner = 3.0 * x + 0.1 * x**3
        return np.concatenate([inner[:1], inner[1:] - x[:-1]]) - b

    b = np.linspace(0.5, 1.5, n)
    x = ag.root(tridiagonal, np.zeros(n), b)
    assert np.abs(tridiagonal(x, b)).max() < 1e-12
    J = np.diag(3.0 + 0.3 * x**2) - np.eye(n, k=-1)
    assert np.allclose(ag.grad(lambda b: np.sum(ag.root(tridiagonal, np.zeros(n), b)))(b), np.linalg.solve(J.T, np.ones(n)), rtol=1e-10)


def test_containers_as_unknowns_and_arguments():
    def equations(x, p):
        return {"u": x["u"] ** 2 - p[0], "v": x["v"] * x["u"] - p[1]}

    start = {"u": np.ones(2), "v": np.float64(1.0) * np.ones(2)}
    parameters = (np.array([4.0, 9.0]), np.array([2.0, 6.0]))
    x = ag.root(equations, start, parameters)
    assert np.allclose(x["u"], [2.0, 3.0])
    assert np.allclose(x["v"], [1.0, 2.0])
    g = ag.grad(lambda p: np.sum(ag.root(equations, start, p)["v"]))(parameters)
    assert np.allclose(g[1], [0.5, 1 / 3])
    assert np.allclose(g[0], -parameters[1] / 2 * parameters[0] ** -1.5)


def test_a_modules_parameters_get_the_gradient_of_a_deep_equilibrium():
    layer = nn.Linear(3, 3)
    layer.load_state_dict({"weight": 0.1 * A, "bias": 0.2 * B})
    layer = layer.double()
    x = ag.tensor(B, requires_grad=True)

    def loss():
        return np.sum(ag.fixed_point(lambda z: np.tanh(layer(z) + x), np.zeros(3)) ** 2)

    loss().backward()
    for parameter in (layer.weight, layer.bias, x):
        start = parameter.data.copy()

        def moved(value, parameter=parameter):
            parameter.data[...] = value
            return float(loss().detach())

        expected = numeric_gradient(moved, start)
        parameter.data[...] = start
        assert np.allclose(parameter.grad.data, expected, rtol=1e-6, atol=1e-9)


def test_a_solution_that_the_users_solver_keeps_may_change_later():
    kept = np.array([2.0, 3.0])
    a = ag.tensor([4.0, 9.0], requires_grad=True)
    x = ag.root(lambda x, a: x**2 - a, np.ones(2), a, solver=lambda residual, start: kept)
    kept[:] = 100.0
    x.sum().backward()
    assert np.allclose(x.data, [2, 3])
    assert np.allclose(a.grad.data, [1 / 4, 1 / 6])


def test_a_solver_of_the_users_may_find_it():
    called = []

    def solver(residual, start):
        called.append(start)
        return scipy.optimize.root(residual, start, tol=1e-14).x

    find = lambda b: ag.root(system, np.zeros(3), A, b, solver=solver)
    assert np.allclose(find(B), solved(A, B), rtol=1e-12)
    assert np.allclose(ag.jacobian(find)(B), ag.jacobian(lambda b: solved(A, b))(B), rtol=1e-10)
    assert len(called) == 2
    halfway = ag.fixed_point(contraction, np.zeros(3), A, B, solver=lambda f, x: scipy.optimize.fixed_point(f, x, xtol=1e-14))
    assert np.allclose(halfway, rested(A, B), rtol=1e-10)


def test_plain_arguments_give_plain_arrays_and_tensors_give_tensors():
    assert type(ag.root(lambda x: x - 2.0, 1.0)) is np.float64
    assert isinstance(solved(A, B), np.ndarray)
    b = ag.tensor(B, requires_grad=True)
    assert solved(A, b).requires_grad
    assert not solved(A, b.detach()).requires_grad
    with ag.no_grad():
        assert not solved(A, b).requires_grad


def test_the_iterations_are_not_recorded():
    b = ag.tensor(B, requires_grad=True)
    x = rested(A, b)
    assert str(ag.tape(x)).count("\n") < 8


def test_float32_stays_float32():
    b = ag.tensor(B.astype(np.float32), requires_grad=True)
    x = ag.root(system, np.zeros(3, np.float32), A.astype(np.float32), b)
    x.sum().backward()
    assert x.dtype == b.grad.dtype == np.float32
    assert np.allclose(b.grad.data, ag.grad(lambda b: np.sum(solved(A, b)))(B), rtol=1e-4)


def test_the_graph_dies_by_reference_count():
    b = ag.tensor(B, requires_grad=True)
    x = solved(A, b)
    array = weakref.ref(x._array)
    gc.disable()
    try:
        x.sum().backward()
        del x
        assert array() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: ag.root(lambda x: x**2 + 1.0, 1.0), RuntimeError, "no solution was found near the start: the residual is still 1 .*may have none"),
        (lambda: ag.root(lambda x: x * 0.0 + 1.0, 1.0), RuntimeError, "no solution was found"),
        (lambda: ag.root(np.exp, 1.0), RuntimeError, "as if it lay at infinity"),
        (lambda: ag.root(lambda x: x * np.nan, -1.0), RuntimeError, "not finite at the start"),
        (
            lambda: ag.root(lambda x: x - 1.0, 0.0, solver=lambda f, x: x + 5.0),
            RuntimeError,
            "the solver returned no solution, the residual there is 4",
        ),
        (lambda: ag.fixed_point(np.cos, 0.0, solver=lambda f, x: x), RuntimeError, "the solver returned no solution"),
        (lambda: ag.fixed_point(lambda x: 2.0 * x + 1.0, 1.0), RuntimeError, "write it as a root"),
        (lambda: ag.fixed_point(lambda x: np.cos(x), 1.0, steps=3), RuntimeError, "after 3 steps"),
        (lambda: ag.root(lambda x: x - 1, 1), TypeError, "write 1.0 instead"),
        (lambda: ag.root(lambda x: x[:2], np.ones(3)), ValueError, r"gives shape \(2,\) for an unknown of shape \(3,\)"),
        (lambda: ag.fixed_point(lambda x: [x, x], 1.0), ValueError, "a list of 2 in the place of one"),
        (lambda: ag.grad(lambda a: ag.root(lambda x, a: (x - a) ** 2, 1.0, a, solver=lambda f, x: np.array(2.0)))(2.0), RuntimeError, "double root"),
    ],
    ids=[
        "no root",
        "constant",
        "at infinity",
        "nan",
        "wrong solver",
        "wrong solver of a fixed point",
        "diverging",
        "too few steps",
        "integers",
        "another size",
        "another structure",
        "double root",
    ],
)
def test_what_cannot_be_solved_is_told(attempt, error, message):
    with pytest.raises(error, match=message):
        attempt()


@pytest.mark.parametrize("n", [1, 5, 60])
def test_gmres_solves_and_restarts(n, rng):
    matrix = np.eye(n) * 4 + rng.standard_normal((n, n)) / np.sqrt(n)
    b = rng.standard_normal(n)
    assert np.allclose(gmres(lambda v: matrix @ v, b, 1e-13, restart=20), np.linalg.solve(matrix, b), rtol=1e-9)
    assert np.array_equal(gmres(lambda v: matrix @ v, 0 * b, 1e-13), 0 * b)


def test_gmres_refuses_a_singular_matrix():
    with pytest.raises(RuntimeError, match="singular"):
        gmres(lambda v: np.array([v[0], 0.0]), np.ones(2), 1e-12)


def test_a_parameter_changed_before_the_backward_pass_is_noticed():
    a = ag.tensor(4.0, requires_grad=True)
    x = ag.root(lambda x: x**2 - a, 1.0)
    a.data = np.float64(9.0)
    with pytest.raises(RuntimeError, match=r"the equation refers to a tensor of shape .* that was changed"):
        x.backward()
