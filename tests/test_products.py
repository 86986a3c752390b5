"""Products of arrays: what the generated tests of every rule cannot say by a formula."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.rules import einsum, products


def tracked(*shape: int, seed: int = 0, dtype: type = float) -> ag.Tensor:
    random = np.random.default_rng(seed)
    values = random.normal(size=shape)
    return ag.tensor(values + 1j * random.normal(size=shape) if dtype is complex else values, requires_grad=True)


def calls_of(monkeypatch, module, names):
    """Notes the names of NumPy's functions of `names` that `module` calls."""
    called = []

    class Noting:
        def __getattr__(self, name):
            value = getattr(np, name)
            if name not in names:
                return value

            def noted(*args, **kwargs):
                called.append(name)
                return value(*args, **kwargs)

            return noted

    monkeypatch.setattr(module, "np", Noting())
    return called


def test_the_rule_of_a_matrix_product_is_one_product_of_views():
    """The hot path of a neural network: no copy, no other array function."""

    calls = []

    class Watched(np.ndarray):
        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            calls.append(ufunc.__name__)
            return getattr(ufunc, method)(*[np.asarray(i) for i in inputs], **kwargs)

        def __array_function__(self, function, types, args, kwargs):
            raise AssertionError(f"{function.__name__} was called")

    g, a, b = (np.ones(shape).view(Watched) for shape in ((2, 4), (2, 3), (3, 4)))
    products.matmul_first(g, a, b)
    products.matmul_second(g, b, a)
    assert calls == ["matmul", "matmul"]


def test_weights_under_a_stack_of_inputs_cost_one_product(monkeypatch):
    called = calls_of(monkeypatch, products, {"matmul", "tensordot", "einsum", "sum"})
    g, x = np.ones((5, 7, 4)), np.ones((5, 7, 3))
    assert products.matmul_second(g, np.ones((3, 4)), x).shape == (3, 4)
    assert called == []  # the operator @ on two-dimensional arrays, nothing summed afterwards


@pytest.mark.parametrize("shapes", [((2, 0), (0, 3)), ((0, 2), (2, 3)), ((4, 2, 0), (0, 3)), ((0,), (0,)), ((0,), (0, 3))])
def test_products_over_nothing_are_zero_and_have_zero_gradients(shapes):
    a, b = tracked(*shapes[0]), tracked(*shapes[1])
    y = a @ b
    assert not y.data.any()
    y.sum().backward()
    assert a.grad.shape == a.shape
    assert b.grad.shape == b.shape
    assert not a.grad.data.any()
    assert not b.grad.data.any()


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ii->i", ((3, 3),)),
        ("ii", ((3, 3),)),
        ("iji->j", ((3, 2, 3),)),
        ("iij,jk->ik", ((2, 2, 3), (3, 2))),
        ("...ii->...", ((2, 3, 3),)),
        ("i,i,i->", ((3,), (3,), (3,))),
        ("ij,ij->ij", ((2, 1), (1, 3))),
        ("i->", ((4,),)),
    ],
)
def test_einsum_with_repeated_stretched_and_lonely_indices_agrees_with_torch(subscripts, shapes, rng):
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=s) for s in shapes]
    ours = [ag.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    (np.einsum(subscripts, *ours) ** 2).sum().backward()
    (torch.einsum(subscripts, *theirs) ** 2).sum().backward()
    for x, t in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x.grad.data, t.grad.numpy(), atol=1e-12)


def test_the_forms_of_einsum_have_one_gradient():
    a, b = tracked(2, 3), tracked(3, 4, seed=1)
    w = np.random.default_rng(2).normal(size=(2, 4))

    def gradients(y):
        return [g.data for g in ag.gradient((y * w).sum(), [a, b])]

    expected = gradients(a @ b)
    implicit, explicit, sublists, optimised = (
        np.einsum("ij,jk", a, b),
        np.einsum("ij , jk -> ik", a, b),
        np.einsum(a, [7, 1], b, [1, 9], [7, 9]),
        np.einsum("ij,jk->ik", a, b, optimize=np.einsum_path("ij,jk->ik", a.data, b.data)[0]),
    )
    for y in (implicit, explicit, sublists, optimised):
        for found, right in zip(gradients(y), expected, strict=True):
            np.testing.assert_allclose(found, right)


def test_an_operand_of_einsum_that_needs_no_gradient_costs_nothing(monkeypatch):
    called = calls_of(monkeypatch, einsum, {"einsum"})
    x = tracked(3)
    np.einsum("ij,jk,k->i", np.ones((2, 3)), np.ones((3, 3)), x).sum().backward()
    assert called == ["einsum"]


def test_a_chain_of_three_is_not_differentiated_all_at_once():
    """Without an order of products the gradient of 'ij,jk,kl->il' at n = 60 would take 60^4 steps each: a minute, not a moment."""
    arrays = [tracked(60, 60, seed=k) for k in range(3)]
    y = np.einsum("ij,jk,kl->il", *arrays, optimize=True)
    y.backward(np.ones(y.shape))
    a, b, c = (x.data for x in arrays)
    ones = np.ones((60, 60))
    for x, expected in zip(arrays, (ones @ (b @ c).T, a.T @ ones @ c.T, (a @ b).T @ ones), strict=True):
        np.testing.assert_allclose(x.grad.data, expected, rtol=1e-9, atol=1e-9)


def test_lists_of_axes_may_change_after_the_call():
    a, b, axes, labels = tracked(2, 3), tracked(3, 2, seed=1), [[1], [0]], [0, 1]
    y = np.tensordot(a, b, axes) + np.einsum(a, labels, b, [1, 2], [0, 2])
    axes[0][0], axes[1][0], labels[0] = 0, 1, 5
    y.sum().backward()
    np.testing.assert_allclose(a.grad.data, 2 * np.ones((2, 2)) @ b.data.T)


@pytest.mark.parametrize(
    ("function", "other"),
    [(np.dot, 2.0), (np.kron, [1.0, 2.0]), (np.outer, 3), (np.inner, [1.0, 2.0, 3.0]), (np.vdot, [1, 2, 3]), (np.matmul, [1.0, 2.0, 4.0])],
)
def test_numbers_and_lists_are_operands(function, other):
    x = tracked(3)
    y = function(other, x)
    np.testing.assert_array_equal(y.data, function(other, x.data))
    w = np.random.default_rng(1).normal(size=y.shape)
    (w * y).sum().backward()
    expected = [(w * function(other, e)).sum() for e in np.eye(3)]
    np.testing.assert_allclose(x.grad.data, expected)


def test_vdot_and_vecdot_conjugate_their_first_argument():
    a, b = tracked(3, dtype=complex), tracked(3, seed=1, dtype=complex)
    for product in (np.vdot, np.vecdot):
        ga, gb = ag.gradient(np.real(product(a, b)), [a, b])
        np.testing.assert_allclose(ga.data, b.data)  # Re(conj(a) b) changes by Re(conj(da) b)
        np.testing.assert_allclose(gb.data, a.data)


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors are deprecated")
@pytest.mark.parametrize("shapes", [((2,), (2,)), ((4, 2), (2,)), ((4, 3), (2,)), ((2,), (4, 3))])
def test_the_cross_product_of_plane_vectors(shapes):
    a, b = tracked(*shapes[0]), tracked(*shapes[1], seed=1)

    def padded(x):
        return np.concatenate([x, np.zeros((*x.shape[:-1], 1))], axis=-1) if x.shape[-1] == 2 else x

    y = np.cross(a, b)
    whole = np.cross(padded(a), padded(b))
    w = np.random.default_rng(3).normal(size=whole.shape)
    plane = shapes[0][-1] == shapes[1][-1] == 2
    found = ag.gradient((y * (w[..., 2] if plane else w)).sum(), [a, b])
    expected = ag.gradient((whole * w)[..., 2:].sum() if plane else (whole * w).sum(), [a, b])
    for f, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(f.data, e.data)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda x: x @ x, ValueError),
        (lambda x: np.dot(x, x), ValueError),
        (lambda x: np.einsum("ij,jk", x, x), ValueError),
        (lambda x: np.einsum("i", x), ValueError),
        (lambda x: np.tensordot(x, x, axes=1), ValueError),
        (lambda x: np.linalg.outer(x, x), ValueError),
        (lambda x: np.linalg.cross(x[:, :2], x[:, :2]), ValueError),
        (lambda x: np.cross(x, x[:, :1]), ValueError),
        (lambda x: np.matmul(x, x.T, axes=[(0, 1), (0, 1), (0, 1)]), TypeError),
    ],
)
def test_what_numpy_refuses_is_refused(function, error):
    with pytest.raises(error):
        function(tracked(2, 3))


def test_products_in_float32_stay_in_float32():
    a = ag.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    b = ag.tensor(np.ones((3, 2), np.float32), requires_grad=True)
    y = np.einsum("ij,jk->ik", a, b) + a @ b + np.tensordot(a, b, 1) + np.dot(a, b)
    assert y.dtype == np.float32
    y.sum().backward()
    assert a.grad.dtype == b.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "shapes"),
    [("matmul", ((2, 3), (3, 4))), ("matmul", ((2, 2, 3), (3, 4))), ("kron", ((2, 3), (3, 2))), ("inner", ((2, 3), (4, 3))), ("vdot", ((3,), (3,)))],
)
@pytest.mark.parametrize("dtype", [float, complex])
def test_products_agree_with_torch(name, shapes, dtype):
    torch = pytest.importorskip("torch")
    a, b = tracked(*shapes[0], dtype=dtype), tracked(*shapes[1], seed=1, dtype=dtype)
    ta, tb = (torch.tensor(x.data, requires_grad=True) for x in (a, b))
    y, t = getattr(np, name)(a, b), getattr(torch, name)(ta, tb)
    (np.abs(y) ** 2).sum().backward()
    (t.abs() ** 2).sum().backward()
    np.testing.assert_allclose(a.grad.data, ta.grad.numpy())
    np.testing.assert_allclose(b.grad.data, tb.grad.numpy())


@pytest.mark.parametrize(
    "product",
    [
        lambda a, b: a @ b,
        lambda a, b: np.dot(a, b),
        lambda a, b: np.tensordot(a, b, 1),
        lambda a, b: np.einsum("ij,jk->ki", a, b),
        lambda a, b: np.outer(a[0], b[0]),
        lambda a, b: np.vdot(a[0], b[:, 0]),
    ],
)
def test_products_of_dask_arrays_have_lazy_gradients(product, rng):
    da = pytest.importorskip("dask.array")
    arrays = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    found, expected = (
        ag.gradient((product(a, b) ** 2).sum(), [a, b])
        for a, b in (
            [ag.tensor(da.from_array(x, chunks=2), requires_grad=True) for x in arrays],
            [ag.tensor(x, requires_grad=True) for x in arrays],
        )
    )
    for f, e in zip(found, expected, strict=True):
        assert isinstance(f.data, da.Array)
        np.testing.assert_allclose(f.data.compute(), e.data)
