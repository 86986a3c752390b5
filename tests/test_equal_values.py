"""Decompositions of matrices with equal eigenvalues or singular values, in functions that do not depend on the choice of vectors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from numeric_gradient import numeric_gradient

import autograd_core as ag

RNG = np.random.default_rng(7)
G = RNG.normal(size=(4, 4))
Q = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
R = np.linalg.qr(RNG.normal(size=(4, 4)))[0]

EQUAL = {
    "identity": np.eye(4),
    "two and two": Q @ np.diag([1.0, 1.0, 2.0, 2.0]) @ Q.T,
    "three": Q @ np.diag([-1.0, 2.0, 2.0, 2.0]) @ Q.T,
    "zero": np.zeros((4, 4)),
    "rank one": np.outer(Q[0], Q[0]),
}


def symmetric(x: Any) -> Any:
    return (x + x.T) / 2


def by_eigh(f: Any) -> Any:
    def function(x: Any) -> Any:
        w, v = np.linalg.eigh(symmetric(x))
        return np.sum((v * f(w)) @ v.T * G)

    return function


def by_eigh_and_eigvalsh(x: Any) -> Any:
    a = symmetric(x)
    return np.sum((np.linalg.eigh(a).eigenvectors * np.exp(np.linalg.eigvalsh(a))) @ np.linalg.eigh(a).eigenvectors.T * G)


MATRIX_FUNCTIONS = {
    "exp": by_eigh(np.exp),
    "square": by_eigh(lambda w: w * w),
    "itself": by_eigh(lambda w: w),
    "trace of exp": lambda x: np.sum(np.exp(np.linalg.eigvalsh(symmetric(x)))),
    "sum of squares": lambda x: np.sum(np.linalg.eigvalsh(symmetric(x)) ** 2),
    "log det of 1 + a a": lambda x: np.sum(np.log(1 + np.linalg.eigh(symmetric(x)).eigenvalues ** 2)),
}


def exp_by_series(a: Any) -> Any:
    total = term = np.eye(4)
    for k in range(1, 30):
        term = term @ a / k
        total = total + term
    return total


# The same without eigenvalues.
BY_PRODUCTS = {
    "exp": lambda x: np.sum(exp_by_series(symmetric(x)) * G),
    "square": lambda x: np.sum(symmetric(x) @ symmetric(x) * G),
    "itself": lambda x: np.sum(symmetric(x) * G),
    "trace of exp": lambda x: np.trace(exp_by_series(symmetric(x))),
    "sum of squares": lambda x: np.sum(symmetric(x) ** 2),
    "log det of 1 + a a": lambda x: np.linalg.slogdet(np.eye(4) + symmetric(x) @ symmetric(x)).logabsdet,
}


@pytest.mark.parametrize("name", MATRIX_FUNCTIONS)
@pytest.mark.parametrize("matrix", EQUAL)
def test_functions_of_a_symmetric_matrix(name: str, matrix: str) -> None:
    f, a = MATRIX_FUNCTIONS[name], EQUAL[matrix]
    expected = ag.grad(BY_PRODUCTS[name])(a)
    np.testing.assert_allclose(ag.grad(f)(a), expected, rtol=1e-9, atol=1e-9)
    x = ag.tensor(a, requires_grad=True)
    f(x).backward()
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", MATRIX_FUNCTIONS)
@pytest.mark.parametrize("matrix", EQUAL)
def test_second_derivatives_of_functions_of_a_symmetric_matrix(name: str, matrix: str) -> None:
    f, a = MATRIX_FUNCTIONS[name], EQUAL[matrix]
    np.testing.assert_allclose(ag.hessian(f)(a), ag.hessian(BY_PRODUCTS[name])(a), rtol=1e-8, atol=1e-8)


def projector(x: Any) -> Any:
    v = np.linalg.eigh(symmetric(x)).eigenvectors[:, :2]
    return np.sum(v @ v.T * G)


def test_a_projector_on_all_vectors_of_equal_values() -> None:
    a = EQUAL["two and two"]
    np.testing.assert_allclose(ag.grad(projector)(a), numeric_gradient(projector, a), rtol=1e-6, atol=1e-7)

    def by_inverse(x: Any) -> Any:
        """The projector on the eigenvalues below 1.5, by Newton's iteration for the sign of a matrix."""
        sign = symmetric(x) - 1.5 * np.eye(4)
        for _ in range(12):
            sign = (sign + np.linalg.inv(sign)) / 2
        return np.sum((np.eye(4) - sign) / 2 * G)

    np.testing.assert_allclose(ag.hessian(projector)(a), ag.hessian(by_inverse)(a), rtol=1e-8, atol=1e-8)


def by_svd(f: Any) -> Any:
    def function(x: Any) -> Any:
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        return np.sum((u * f(s)) @ vh * G[: x.shape[0], : x.shape[1]])

    return function


def best_of_rank_one(x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.sum((u[:, :1] * s[:1]) @ vh[:1] * G[: x.shape[0], : x.shape[1]])


def norm_of_the_product(x: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.linalg.norm((u * s) @ vh)


SINGULAR = {
    "itself": by_svd(lambda s: s),
    "sine": by_svd(np.sin),
    "rank one": best_of_rank_one,
    "norm": norm_of_the_product,
    "sum of squares": lambda x: np.sum(np.linalg.svdvals(x) ** 2),
}
MATRICES = {
    "orthogonal": Q,
    "rank one": np.outer(Q[0], R[1]) * 2,
    "rank two, equal": 3 * (np.outer(Q[0], R[1]) + np.outer(Q[2], R[0])),
    "tall, rank one": np.outer(Q[0], R[1, :3]),
    "wide, equal": Q[:2],
}


@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("matrix", MATRICES)
def test_functions_of_singular_vectors(name: str, matrix: str) -> None:
    f, a = SINGULAR[name], MATRICES[matrix]
    if name == "rank one" and matrix in ("orthogonal", "rank two, equal", "wide, equal"):
        with pytest.warns(RuntimeWarning, match="singular values are equal"):
            assert np.isnan(ag.grad(f)(a)).any()  # which one is first is arbitrary
        return
    np.testing.assert_allclose(ag.grad(f)(a), numeric_gradient(f, a), rtol=1e-6, atol=1e-7)


def test_the_vectors_themselves_still_give_nan_and_say_so() -> None:
    for f in (lambda x: np.sum(np.linalg.eigh(symmetric(x)).eigenvectors * G), lambda x: np.sum(np.linalg.svd(x).U * G)):
        for transform in (ag.grad, ag.hessian):
            with pytest.warns(RuntimeWarning, match="not determined"):
                assert np.isnan(transform(f)(np.eye(4))).any()


def test_hvp_and_jacobians_and_maps() -> None:
    f, a = MATRIX_FUNCTIONS["exp"], EQUAL["identity"]
    hessian = ag.hessian(f)(a).reshape(16, 16)
    t = RNG.normal(size=(4, 4))
    np.testing.assert_allclose(ag.hvp(f)(a, t).ravel(), hessian @ t.ravel(), rtol=1e-9, atol=1e-9)
    stack = np.stack([a, EQUAL["three"]])
    np.testing.assert_allclose(ag.vmap(ag.grad(f))(stack), [ag.grad(f)(m) for m in stack], rtol=1e-9, atol=1e-9)
    small = ag.jacobian(lambda x: (lambda w, v: (v * np.exp(w)) @ v.T)(*np.linalg.eigh(symmetric(x))))(np.eye(2))
    np.testing.assert_allclose(small, np.e * (np.einsum("ik,jl->ijkl", np.eye(2), np.eye(2)) + np.einsum("il,jk->ijkl", np.eye(2), np.eye(2))) / 2)


def test_the_graph_is_freed_after_a_pass_that_was_recorded_for_a_rule() -> None:
    x = ag.tensor(np.eye(3), requires_grad=True)
    y = np.sum(np.linalg.eigh(symmetric(x)).eigenvectors ** 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y.backward()
    assert not x.grad.requires_grad
    with pytest.raises(RuntimeError, match="freed"):
        y.backward()


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_sum_of_squared_singular_values_is_that_of_squared_elements_at_second_order_too(matrix: str) -> None:
    a = MATRICES[matrix]
    for f in (lambda x: np.sum(np.linalg.svdvals(x) ** 2), lambda x: np.sum(np.linalg.svd(x, full_matrices=False).S ** 2)):
        np.testing.assert_allclose(ag.hessian(f)(a).reshape(a.size, a.size), 2 * np.eye(a.size), atol=1e-9)
