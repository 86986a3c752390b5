"""Linear algebra: singular and rank-deficient matrices, norms at their kinks, errors, and agreement with torch."""

from __future__ import annotations

import numpy as np
import pytest
from numeric_gradient import numeric_gradient

import autograd_core as ag


def leaf(values) -> ag.Tensor:
    return ag.tensor(np.asarray(values) * 1.0, requires_grad=True)


# --- determinants ------------------------------------------------------------------------------------------------------------


def cofactors(a):
    """By minors: the definition."""
    n = len(a)
    minors = [[np.delete(np.delete(a, i, 0), j, 1) for j in range(n)] for i in range(n)]
    return np.array([[(-1) ** (i + j) * np.linalg.det(minors[i][j]) for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("kind", [float, complex])
def test_the_gradient_of_det_is_the_adjugate_at_every_rank(rank, kind, rng):
    a = rng.normal(size=(4, rank)) @ rng.normal(size=(rank, 4))
    if kind is complex:
        a = a * (1 + 1j) + 1j * (rng.normal(size=(4, rank)) @ rng.normal(size=(rank, 4))) * (rank > 3)
    x = ag.tensor(a, requires_grad=True)
    np.real(np.linalg.det(x)).backward()
    np.testing.assert_allclose(x.grad.data, cofactors(a).conj(), atol=1e-12)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_the_third_derivative_of_a_3x3_det_does_not_depend_on_the_matrix(rank, rng):
    """det is a polynomial of degree three: its third derivative along d is 6 det(d), singular or not."""
    a = rng.normal(size=(3, rank)) @ rng.normal(size=(rank, 3))
    d = rng.normal(size=(3, 3))
    t = ag.tensor(0.0, requires_grad=True)
    y = np.linalg.det(a + t * d)
    for _ in range(3):
        y = ag.gradient(y, t, create_graph=True)
    assert float(y) == pytest.approx(6 * np.linalg.det(d))


def test_singular_matrices_in_a_stack_leave_the_others_exact(rng):
    """Each by itself: what is done for a zero matrix of 20 x 20 would lose all digits of a regular one."""
    a = rng.normal(size=(2, 3, 20, 20))
    a[0, 0] = 0
    a[0, 1, 19] = a[0, 1, 0]
    a[1, 2, :, 0] = a[1, 2, :, 1]
    x = ag.tensor(a, requires_grad=True)
    for create_graph in (False, True):
        (found,) = ag.gradient(np.linalg.det(x).sum(), [x], create_graph=create_graph)
        for place in np.ndindex(2, 3):
            expected = cofactors(a[place])
            np.testing.assert_allclose(found.data[place], expected, rtol=1e-7, atol=1e-10 * np.abs(expected).max())


def test_det_of_a_nearly_singular_matrix_keeps_its_digits():
    a = np.diag([1.0, 1.0, 1e-13]) + 1e-13 * np.ones((3, 3))
    x = leaf(a)
    np.linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.data, cofactors(a), rtol=1e-9, atol=1e-25)


def test_slogdet_of_a_singular_matrix_has_an_infinite_gradient_like_log_0(rng):
    a = np.stack([[[1.0, 2.0], [2.0, 4.0]], rng.normal(size=(2, 2))])
    x = ag.tensor(a, requires_grad=True)
    sign_and_log = np.linalg.slogdet(x)
    assert sign_and_log.logabsdet.data[0] == -np.inf
    sign_and_log.logabsdet.sum().backward()
    assert np.isinf(x.grad.data[0]).all()
    np.testing.assert_allclose(x.grad.data[1], np.linalg.inv(a[1]).T)


def test_slogdet_behind_where_does_not_poison_the_gradient():
    x = leaf([[[1.0, 2.0], [2.0, 4.0]], [[2.0, 0.0], [0.0, 3.0]]])
    log = np.linalg.slogdet(x).logabsdet
    np.where(np.isfinite(log), log, 0.0).sum().backward()
    np.testing.assert_allclose(x.grad.data[1], np.diag([1 / 2, 1 / 3]))


def test_named_results_keep_their_names(rng):
    x = ag.tensor(rng.normal(size=(3, 3)), requires_grad=True)
    for function, names in (
        (np.linalg.slogdet, ("sign", "logabsdet")),
        (np.linalg.eigh, ("eigenvalues", "eigenvectors")),
        (np.linalg.eig, ("eigenvalues", "eigenvectors")),
        (np.linalg.svd, ("U", "S", "Vh")),
        (np.linalg.qr, ("Q", "R")),
    ):
        result = function(x)
        assert result._fields == names
        assert all(isinstance(r, ag.Tensor) for r in result)


# --- rank -------------------------------------------------------------------------------------------------------------------


def test_pinv_of_low_rank_is_right_along_changes_that_keep_the_rank(rng):
    """Where a change raises the rank, pinv jumps; the gradient is that of the matrices of the same rank."""
    b, c, w = rng.normal(size=(4, 2)), rng.normal(size=(2, 3)), rng.normal(size=(3, 4))

    def loss(b):
        return (np.linalg.pinv(b @ c, rcond=1e-10) * w).sum()

    x = ag.tensor(b, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, numeric_gradient(loss, b), rtol=1e-6, atol=1e-8)


def test_lstsq_of_low_rank_is_right_along_changes_that_keep_the_rank(rng):
    b, c, y, w = rng.normal(size=(4, 2)), rng.normal(size=(2, 3)), rng.normal(size=4), rng.normal(size=3)

    def loss(b):
        solution, _, rank, _ = np.linalg.lstsq(b @ c, y, rcond=1e-10)
        assert rank == 2
        return (solution * w).sum()

    x = ag.tensor(b, requires_grad=True)
    loss(x).backward()
    np.testing.assert_allclose(x.grad.data, numeric_gradient(loss, b), rtol=1e-6, atol=1e-8)


# --- norms ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, "fro", "nuc", 2, -2, 1, -1, np.inf, -np.inf])
def test_norms_of_the_zero_matrix_have_zero_gradients(order):
    x = leaf(np.zeros((2, 3)))
    np.linalg.norm(x, order).backward()
    np.testing.assert_array_equal(x.grad.data, np.zeros((2, 3)))


@pytest.mark.parametrize("order", [None, 2, 1, 3, 1.5, 0.5, np.inf, -np.inf, 0])
def test_norms_of_the_zero_vector_and_their_squares_have_zero_gradients(order):
    for function in (lambda n: n, lambda n: n**2):
        x = leaf(np.zeros(3))
        function(np.linalg.norm(x, order)).backward()
        np.testing.assert_array_equal(x.grad.data, np.zeros(3))


@pytest.mark.parametrize("order", [1, 1.5, 3, 0.5])
def test_an_element_that_is_zero_gets_zero_from_a_norm(order):
    x = leaf([0.0, 2.0])
    first = ag.gradient(np.linalg.norm(x, order), x, create_graph=True)
    np.testing.assert_allclose(first.data, [0, 1])
    np.testing.assert_allclose(ag.gradient(first[1], x).data, [0, 0], atol=1e-12)


def test_ties_in_a_largest_element_row_or_singular_value_share_the_gradient():
    for matrix, order, expected in (
        ([2.0, -2.0, 1.0], np.inf, [0.5, -0.5, 0]),
        ([1.0, -1.0, 2.0], -np.inf, [0.5, -0.5, 0]),
        ([[1.0, 2.0], [-3.0, 0.0]], np.inf, [[0.5, 0.5], [-0.5, 0]]),
        (np.eye(2), 2, np.eye(2) / 2),
        (np.eye(2), -2, np.eye(2) / 2),
        ([[1.0, 2.0], [-3.0, 2.0]], 1, [[0.5, 0.5], [-0.5, 0.5]]),
    ):
        x = leaf(matrix)
        np.linalg.norm(x, order).backward()
        np.testing.assert_allclose(x.grad.data, expected, atol=1e-15)


def test_cond_of_a_singular_matrix_is_infinite_and_its_gradient_not_a_number():
    x = leaf([[1.0, 2.0], [2.0, 4.0]])
    y = np.linalg.cond(x, 1)
    assert np.isinf(y.data)
    y.backward()
    assert np.isnan(x.grad.data).any()


# --- errors -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "matrix"),
    [
        (np.linalg.inv, np.ones((2, 2))),
        (lambda x: np.linalg.solve(x, np.ones(2)), np.ones((2, 2))),
        (np.linalg.cholesky, -np.eye(2)),
        (np.linalg.inv, np.ones((2, 3))),
        (np.linalg.det, np.ones((2, 3))),
        (lambda x: np.linalg.matrix_power(x, 2), np.ones((2, 3))),
        (np.linalg.eigh, np.ones((2, 3))),
        (lambda x: np.linalg.matrix_power(x, -1), np.ones((2, 2))),
        (lambda x: np.linalg.tensorinv(x, ind=1), np.ones((2, 3))),
        (lambda x: np.linalg.tensorsolve(x, np.ones(3)), np.ones((2, 3))),
        (lambda x: np.linalg.multi_dot([x, x[0, 0], x]), np.ones((2, 2))),
    ],
)
def test_numpys_own_linear_algebra_errors_are_raised(function, matrix):
    with pytest.raises(np.linalg.LinAlgError):
        function(leaf(matrix))


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda x: np.linalg.matrix_power(x, 1.5), TypeError),
        (lambda x: np.linalg.tensorinv(x, ind=0), ValueError),
        (lambda x: np.linalg.multi_dot([x]), ValueError),
        (lambda x: np.linalg.norm(x, "nonsense"), ValueError),
        (lambda x: np.linalg.norm(x[0], "fro"), ValueError),
        (lambda x: np.linalg.qr(x, mode="nonsense"), ValueError),
    ],
)
def test_bad_arguments_are_refused(function, error):
    with pytest.raises(error):
        function(leaf(np.eye(2)))


def test_qr_in_raw_mode_says_which_modes_have_a_gradient():
    with pytest.raises(TypeError, match="'reduced', 'complete' or 'r'"):
        np.linalg.qr(leaf(np.eye(2) + 1), mode="raw")[0].sum().backward()


def test_functions_of_shape_and_rank_are_constants(rng):
    x = ag.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    assert int(np.linalg.matrix_rank(x)) == 2


# --- other libraries --------------------------------------------------------------------------------------------------------

WITH_TORCH = {
    "inv": ((3, 3), {}),
    "pinv": ((3, 2), {}),
    "det": ((3, 3), {}),
    "svdvals": ((4, 3), {}),
    "eigvalsh": ((3, 3), {}),
    "eigvals": ((3, 3), {}),
    "cond": ((3, 3), {}),
    "matrix_norm": ((3, 2), {"ord": "nuc"}),
    "vector_norm": ((3, 2), {"ord": 3}),
}


@pytest.mark.parametrize("name", WITH_TORCH)
@pytest.mark.parametrize("kind", [float, complex])
def test_gradients_agree_with_torch(name, kind, rng):
    torch = pytest.importorskip("torch")
    shape, keywords = WITH_TORCH[name]
    a = rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind is complex else 0)
    if name == "eigvalsh":
        a = a + a.conj().T
    x, t = ag.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    (np.abs(getattr(np.linalg, name)(x, **keywords)) ** 3).sum().backward()
    (getattr(torch.linalg, name)(t, **keywords).abs() ** 3).sum().backward()
    np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (2, 4)])
def test_svd_qr_and_lstsq_agree_with_torch(shape, rng):
    torch = pytest.importorskip("torch")
    a, b = rng.normal(size=shape), rng.normal(size=(shape[0], 2))
    k = min(shape)
    wu, ws, wv = rng.normal(size=(shape[0], k)), rng.normal(size=k), rng.normal(size=(k, shape[1]))

    def loss(library, x):
        u, s, v = library.linalg.svd(x, full_matrices=False)
        q, r = library.linalg.qr(x)
        total = (abs(u) * lib(wu)).sum() + (s * lib(ws)).sum() + (abs(v) * lib(wv)).sum()
        return total + (abs(q) * lib(wu)).sum() + (abs(r) * lib(wv)).sum() + (library.linalg.pinv(x) @ lib(b)).sum()

    x, t = ag.tensor(a, requires_grad=True), torch.tensor(a, requires_grad=True)
    lib = np.asarray
    ours = loss(np, x)
    lib = torch.tensor
    theirs = loss(torch, t)
    assert float(ours) == pytest.approx(float(theirs.detach()))
    ours.backward()
    theirs.backward()
    np.testing.assert_allclose(x.grad.data, t.grad.numpy(), rtol=1e-9, atol=1e-9)


def test_the_gradient_of_a_norm_of_negative_order_is_zero_beside_an_element_that_is_zero():
    """The norm is 0 there, whatever the other elements are."""
    x = ag.tensor([0.0, -2.0, 3.0], requires_grad=True)
    with np.errstate(divide="ignore"):  # NumPy divides by the zero element
        np.linalg.norm(x, -1).backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(3000, 3), (3, 3000)])
def test_the_gradient_of_pinv_makes_no_matrix_square_in_the_longer_side(shape, rng):
    import tracemalloc

    x = leaf(rng.normal(size=shape))
    y = np.linalg.pinv(x)
    tracemalloc.start()
    y.backward(np.ones(y.shape))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * x.data.nbytes  # 3000 x 3000 would be 1000 times as large
