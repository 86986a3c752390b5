"""Sparse Jacobians and Hessians: the same numbers as the dense ones, from a handful of products."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse

import autograd_core as ag
from autograd_core.transforms.evaluation import Call, Linearised


def tridiagonal(x):
    inner = x**3 - 2.0 * x
    return np.concatenate([inner[:1] + x[1:2], inner[1:-1] + x[2:] * x[:-2], inner[-1:] - x[-2:-1]])


def arrow(x):
    """Dense first column, diagonal besides."""
    return np.sin(x) * x[0]


def reversed_arrow(x):
    """Dense first row, diagonal besides."""
    return np.concatenate([np.sum(x**2, keepdims=True), np.cos(x[1:])])


def stencil(x):
    grid = np.reshape(x, (5, 6))
    inside = 4 * grid[1:-1, 1:-1] - grid[:-2, 1:-1] - grid[2:, 1:-1] - grid[1:-1, :-2] - grid[1:-1, 2:] * grid[1:-1, 1:-1]
    return inside.reshape(-1)


def permuted(x):
    return np.exp(x[::-1]) + x


FUNCTIONS = {f.__name__: f for f in (tridiagonal, arrow, reversed_arrow, stencil, permuted)} | {
    "constant": lambda x: np.ones(3) + 0 * np.sum(x[:0]),
    "dense": lambda x: np.cumsum(np.sin(x)),
    "scalar": lambda x: np.sum(x**2),
    "matrix": lambda x: np.reshape(x, (5, 6)) ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("given", [False, True], ids=["detected", "given"])
def test_the_sparse_jacobian_is_the_dense_one(name, given, rng):
    function, x = FUNCTIONS[name], rng.uniform(0.5, 1.5, 30)
    dense = np.asarray(ag.jacobian(function)(x)).reshape(-1, 30)
    found = ag.sparse_jacobian(function, (dense != 0) if given else None)(x)
    assert isinstance(found, scipy.sparse.csr_array)
    assert np.allclose(found.toarray(), dense, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 16])
def test_every_size_of_input(n, rng):
    x = rng.uniform(0.5, 1.5, n)
    found = ag.sparse_jacobian(np.tanh)(x)
    assert found.nnz == n
    assert np.allclose(found.toarray(), np.diag(1 - np.tanh(x) ** 2))


def test_an_element_that_vanishes_at_the_point_is_in_the_pattern():
    pattern = ag.sparsity(lambda x: x**2 + x[::-1] * 3.0, np.zeros(4))
    assert np.array_equal(pattern.toarray(), np.eye(4, dtype=bool) | np.eye(4, dtype=bool)[::-1])


@pytest.fixture
def products(monkeypatch):
    """How often a product with a Jacobian was computed."""
    counted = {"pull": 0, "push": 0}

    def count(owner, name, key):
        original = getattr(owner, name)

        def counting(*args, **kwargs):
            counted[key] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counting)

    count(Call, "pull", "pull")
    count(Linearised, "__call__", "push")
    return counted


def test_a_tridiagonal_system_of_a_hundred_thousand_takes_a_handful_of_products(products):
    n = 100_000
    x = np.linspace(0.5, 1.5, n)
    bands = scipy.sparse.diags_array([np.ones(n - 1), np.ones(n), np.ones(n - 1)], offsets=[-1, 0, 1])
    found = ag.sparse_jacobian(tridiagonal, bands)(x)
    assert products == {"pull": 4, "push": 0}  # three colours, and one to check
    assert np.allclose(found.diagonal(), 3 * x**2 - 2)
    assert np.allclose(found.diagonal(1)[1:], x[:-2])


def test_detecting_a_pattern_takes_a_logarithmic_number_of_products(products):
    x = np.linspace(0.5, 1.5, 4096)
    pattern = ag.sparsity(tridiagonal, x)
    assert pattern.nnz == 3 * 4096 - 2
    assert products["push"] <= 6 * 12 + 2


@pytest.mark.parametrize(("function", "products_used"), [(arrow, {"pull": 2, "push": 2}), (reversed_arrow, {"pull": 3, "push": 0})])
def test_rows_or_columns_are_coloured_whichever_needs_fewer(function, products_used, products, rng):
    x = rng.uniform(0.5, 1.5, 40)
    dense = np.eye(40, dtype=bool)
    dense[:, 0] |= function is arrow
    dense[0] |= function is reversed_arrow
    ag.sparse_jacobian(function, dense)(x)
    assert products == products_used


def test_the_pattern_is_found_once_for_each_shape(products):
    jacobian = ag.sparse_jacobian(tridiagonal)
    jacobian(np.ones(20))
    before = products["push"]
    jacobian(np.full(20, 2.0))
    assert products["push"] == before
    jacobian(np.ones(21))
    assert products["push"] > before


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def test_the_sparse_hessian_is_the_dense_one(products, rng):
    x = rng.uniform(-1, 1, 30)
    hessian = ag.sparse_hessian(rosenbrock)
    assert np.allclose(hessian(x).toarray(), ag.hessian(rosenbrock)(x), rtol=1e-10)
    assert hessian(x).nnz == 3 * 30 - 2


def test_arguments_that_are_not_differentiated_are_handed_on(rng):
    x, scale = rng.uniform(0.5, 1.5, 5), np.arange(1.0, 6.0)
    assert np.allclose(ag.sparse_jacobian(lambda x, s: s * x**2)(x, scale).diagonal(), 2 * scale * x)


def test_float32_stays_float32():
    assert ag.sparse_jacobian(np.sin)(np.ones(4, np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ag.sparse_jacobian(tridiagonal, np.eye(6))(np.full(6, 1.5)), ValueError, "pattern misses"),
        (lambda: ag.sparse_jacobian(tridiagonal, np.eye(5))(np.ones(6)), ValueError, r"\(5, 5\) for a Jacobian of 6 outputs and 6"),
        (lambda: ag.sparse_jacobian(lambda x: (x, x))(np.ones(3)), TypeError, "one array"),
        (lambda: ag.sparse_jacobian(np.sin)(np.ones(3, complex)), TypeError, "real floats"),
        (lambda: ag.sparse_jacobian(np.sin)(ag.tensor(np.ones(3))), TypeError, "no gradient flows"),
    ],
    ids=["missing elements", "another shape", "containers", "complex", "tensors"],
)
def test_what_cannot_be_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("f", "points"),
    [
        (np.sort, [np.arange(5.0), np.arange(5.0)[::-1], np.array([2.0, 0.0, 4.0, 1.0, 3.0])]),
        (lambda x: np.maximum(x[1:], x[:-1]), [np.zeros(4), np.arange(4.0), -np.arange(4.0)]),
        (lambda x: np.where(x > 0, x, 0.1 * x[::-1]), [np.zeros(5), np.ones(5), -np.ones(5)]),
        (lambda x: np.abs(x) + x, [-np.ones(4), np.zeros(4), np.ones(4)]),
    ],
    ids=["sort", "maximum", "where", "abs"],
)
def test_a_detected_pattern_is_widened_where_another_branch_is_taken(f, points):
    jacobian = ag.sparse_jacobian(f)
    for x in points:
        assert np.array_equal(jacobian(x).toarray(), ag.jacobian(f)(x))
