"""Eigenvectors, singular vectors and QR: equal values, phases of complex vectors, null spaces."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numeric_gradient import numeric_gradient

import autograd_core as ag


def leaf(values) -> ag.Tensor:
    return ag.tensor(np.asarray(values) * 1.0, requires_grad=True)


def symmetric(n, rng):
    a = rng.normal(size=(n, n))
    return a + a.T


def hermitian(n, rng):
    a = rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n))
    return a + a.conj().T


# --- degenerate values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vectors", "matrix"),
    [
        (lambda x: np.linalg.eigh(x).eigenvectors, np.diag([1.0, 1.0, 2.0])),
        (lambda x: np.linalg.eigh(x).eigenvectors, np.ones((3, 3))),  # 0 twice, but for rounding
        (lambda x: np.linalg.svd(x).U, np.diag([2.0, 1.0, 1.0])),
        (lambda x: np.linalg.svd(x, full_matrices=False).Vh, np.ones((3, 3))),
        (lambda x: np.real(np.linalg.eig(x).eigenvectors), np.diag([3.0, 3.0, 1.0])),
    ],
)
def test_vectors_of_equal_values_give_nan_and_a_warning_that_names_the_cause(vectors, matrix, rng):
    x = leaf(matrix)
    y = (vectors(x) * rng.normal(size=(3, 3))).sum()
    with pytest.warns(RuntimeWarning, match=r"some (eigen|singular )values are equal"):
        y.backward()
    assert np.isnan(x.grad.data).any()


def test_equal_values_alone_have_gradients_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for function in (np.linalg.eigvalsh, np.linalg.svdvals, lambda x: np.linalg.eigh(x).eigenvalues, lambda x: np.linalg.svd(x).S):
            x = leaf(np.eye(3))
            function(x).sum().backward()
            np.testing.assert_allclose(x.grad.data, np.eye(3), atol=1e-15)


@pytest.mark.parametrize("uplo", ["L", "U"])
def test_gradients_of_functions_of_symmetric_matrices_are_symmetric(uplo, rng):
    w = rng.normal(size=(3, 3))
    for function in (
        lambda x: np.linalg.eigvalsh(x, UPLO=uplo)[0],
        lambda x: (np.linalg.eigh(x, UPLO=uplo).eigenvectors * w).sum(),
        lambda x: (np.linalg.cholesky(x @ x + 5 * np.eye(3), upper=uplo == "U") * w).sum(),
        lambda x: (np.linalg.pinv(x, hermitian=True) * w).sum(),
        lambda x: (np.linalg.svd(x, hermitian=True).U * w).sum(),
    ):
        x = leaf(symmetric(3, np.random.default_rng(1)))
        function(x).backward()
        np.testing.assert_allclose(x.grad.data, x.grad.data.T, rtol=1e-12, atol=1e-14)


# --- complex vectors and their phases ------------------------------------------------------------------------------------------

GAUGE_FREE = {
    "eigh projector": lambda a: np.linalg.eigh(hermite(a)).eigenvectors[:, :1],
    "svd left": lambda a: np.linalg.svd(a, full_matrices=False).U[:, :1],
    "svd right": lambda a: np.linalg.svd(a, full_matrices=False).Vh[:1].conj().T,
    "eig": lambda a: np.linalg.eig(a @ a.conj().T @ a if a.shape[0] == a.shape[1] else a @ a.conj().T).eigenvectors[:, :1],
}


def hermite(a):
    square = a @ a.conj().T
    return (square + square.conj().T) / 2


@pytest.mark.parametrize("name", GAUGE_FREE)
@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3), (2, 7)])
def test_functions_of_complex_vectors_that_do_not_depend_on_the_phase(name, shape, rng):
    a = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    weights = rng.normal(size=(8, 8))

    def loss(x):
        v = GAUGE_FREE[name](x)
        projector = v @ v.conj().T
        return (np.real(projector) * weights[: len(v), : len(v)]).sum() + (np.abs(v[:, 0]) ** 4 * weights[0, : len(v)]).sum()

    x = ag.tensor(a, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, numeric_gradient(loss, a), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (2, 3)])
def test_a_matrix_function_by_complex_svd(shape, rng):
    """U f(S) V^H has one gradient, whatever the phases: the test of Wan and Zhang's extra term."""
    a = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    w = rng.normal(size=shape) + 1j * rng.normal(size=shape)

    def loss(x):
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        return np.real(((u * np.tanh(s)) @ vh * w).sum())

    x = ag.tensor(a, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, numeric_gradient(loss, a), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("function", [np.linalg.eigh, np.linalg.eig, lambda a: np.linalg.svd(a)[::2]])
def test_a_loss_that_depends_on_the_phase_follows_lapacks_choice_on_every_scale(function, scale, rng):
    a = hermitian(3, rng)
    w = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))

    def loss(x):
        return np.real((function((x + x.conj().T) / 2 if function is np.linalg.eigh else x)[-1] * w).sum()) * scale

    x = ag.tensor(a, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, numeric_gradient(loss, a), rtol=1e-6, atol=1e-7 * scale)


def test_a_loss_that_depends_on_a_phase_nobody_fixed_is_refused(rng, monkeypatch):
    """With a LAPACK that chooses its phases in another way: here, one that turns each vector."""
    from autograd_core.rules import matrices

    a = hermitian(3, rng)
    x = ag.tensor(a, requires_grad=True)
    vectors = np.linalg.eigh(x).eigenvectors
    real = matrices.phase_correction
    monkeypatch.setattr(
        "autograd_core.rules.decompositions.phase_correction",
        lambda turn, g, v, rows, function: real(turn, g, v * np.exp(0.3j), rows, function),
    )
    with pytest.raises(RuntimeError, match="depends on the phase"):
        np.imag(vectors * rng.normal(size=(3, 3))).sum().backward()


def test_a_loss_that_depends_on_the_basis_of_a_null_space_is_refused(rng):
    x = ag.tensor(rng.normal(size=(4, 2)), requires_grad=True)
    for scale in (1.0, 1e-12, 1e12):
        u = np.linalg.svd(x).U
        with pytest.raises(RuntimeError, match="full_matrices=False"):
            (u * rng.normal(size=(4, 4)) * scale).sum().backward()


def test_the_projector_on_a_null_space_has_a_gradient(rng):
    w = rng.normal(size=(4, 4))

    def loss(x):
        null = np.linalg.svd(x).U[:, 2:]
        return (null @ null.T * w).sum()

    a = rng.normal(size=(4, 2))
    x = ag.tensor(a, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, numeric_gradient(loss, a), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("shape", [(3, 2), (5, 2), (4, 3)])
@pytest.mark.parametrize("kind", [float, complex])
def test_a_complete_qr_of_a_tall_matrix_is_differentiated_as_lapack_computes_it(shape, kind, rng):
    a = rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind is complex else 0)
    w = rng.normal(size=(shape[0], shape[0]))

    def loss(x):
        q, r = np.linalg.qr(x, mode="complete")
        return np.real(q * w).sum() + np.imag(q * (w + 1j * w.T)).sum() + np.real(r).sum()

    x = ag.tensor(a, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, numeric_gradient(loss, a), rtol=1e-6, atol=1e-8)
