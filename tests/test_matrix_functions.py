"""`ag.linalg`: SciPy's matrix functions, structured and sparse matrices."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import linalg


def leaf(values) -> ag.Tensor:
    return ag.tensor(np.asarray(values) * 1.0, requires_grad=True)


@pytest.mark.parametrize("name", ["expm", "logm", "sqrtm"])
def test_functions_of_matrices_invert_one_another(name, rng):
    """d f^-1(f(A)) = dA: the gradient of the sum is all ones."""
    pytest.importorskip("scipy")
    inverse = {"expm": linalg.logm, "logm": linalg.expm, "sqrtm": lambda x: x @ x}[name]
    x = ag.tensor(rng.normal(size=(3, 3)) / 3 + 2 * np.eye(3), requires_grad=True)
    inverse(getattr(linalg, name)(x)).sum().backward()
    np.testing.assert_allclose(x.grad.data, np.ones((3, 3)), rtol=1e-9)


def test_expm_agrees_with_torch(rng):
    pytest.importorskip("scipy")
    torch = pytest.importorskip("torch")
    a = rng.normal(size=(3, 3))
    x, t = ag.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    (linalg.expm(x) ** 2).sum().backward()
    (torch.linalg.matrix_exp(t) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-9)


def test_a_gaussian_likelihood_by_cholesky_and_by_slogdet(rng):
    """Two ways to one number, and to one gradient."""
    pytest.importorskip("scipy")
    factor, y = rng.normal(size=(4, 4)), rng.normal(size=4)

    def by_cholesky(x):
        covariance = x @ x.T + np.eye(4)
        lower = np.linalg.cholesky(covariance)
        return y @ linalg.cho_solve((lower, True), y) / 2 + np.log(np.diagonal(lower)).sum()

    def by_slogdet(x):
        covariance = x @ x.T + np.eye(4)
        return y @ np.linalg.solve(covariance, y) / 2 + np.linalg.slogdet(covariance).logabsdet / 2

    results = []
    for function in (by_cholesky, by_slogdet):
        x = ag.tensor(factor, requires_grad=True)
        value = function(x)
        value.backward()
        results.append((float(value), x.grad.data))
    assert results[0][0] == pytest.approx(results[1][0])
    np.testing.assert_allclose(results[0][1], results[1][1])


def test_structured_and_sparse_matrices(rng):
    sparse = pytest.importorskip("scipy.sparse")
    scipy_linalg = pytest.importorskip("scipy.linalg")
    c, r, block = rng.normal(size=3), rng.normal(size=4), rng.normal(size=(2, 3))
    np.testing.assert_array_equal(linalg.toeplitz(c, r), scipy_linalg.toeplitz(c, r))
    np.testing.assert_array_equal(linalg.toeplitz(c + 1j * c), scipy_linalg.toeplitz(c + 1j * c))
    np.testing.assert_array_equal(linalg.block_diag(block, c, block), scipy_linalg.block_diag(block, c, block))
    x, w = ag.tensor(c, requires_grad=True), rng.normal(size=(3, 4))
    (linalg.toeplitz(x, r) * w).sum().backward()
    np.testing.assert_allclose(x.grad.data, [np.trace(w, -k) if k else np.trace(w) for k in range(3)])
    matrix = sparse.random_array((5, 3), density=0.5, rng=np.random.default_rng(0))
    x = ag.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    y = linalg.sparse_matmul(matrix, x)
    np.testing.assert_allclose(y.data, matrix.toarray() @ x.data)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.data, matrix.toarray().T @ np.ones((5, 2)))
    with pytest.raises(TypeError):
        matrix @ x


def test_gradients_of_block_diag_are_the_blocks(rng):
    blocks = [ag.tensor(rng.normal(size=s), requires_grad=True) for s in ((2, 3), (1, 1), (3, 2))]
    y = linalg.block_diag(*blocks)
    w = rng.normal(size=y.shape)
    (y * w).sum().backward()
    for x, rows, columns in zip(blocks, (slice(0, 2), slice(2, 3), slice(3, 6)), (slice(0, 3), slice(3, 4), slice(4, 6)), strict=True):
        np.testing.assert_array_equal(x.grad.data, w[rows, columns])


@pytest.mark.parametrize("function", [linalg.toeplitz, lambda x: linalg.block_diag(x[None]), lambda x: linalg.expm(x[:1])])
def test_shapes_that_do_not_fit_are_refused(function):
    pytest.importorskip("scipy")
    with pytest.raises(ValueError):
        function(leaf(np.eye(2)))
