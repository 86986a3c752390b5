"""Python's operators and ndarray's methods on tensors: NumPy's values and dtypes from both sides, recorded."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import autograd_core as ag

FLOATS = [np.float16, np.float32, np.float64, np.complex64, np.complex128]

# --- operators ------------------------------------------------------------------------------------------------------------

OTHERS = {
    "python float": 2.0,
    "python int": 3,
    "bool": True,
    "numpy scalar": np.float64(2.0),
    "array": np.array([1.0, 2.0, 3.0]),
    "integer array": np.array([1, 2, 3]),
    "boolean array": np.array([True, True, True]),  # division by False would warn
    "column": np.array([[1.0], [2.0]]),
    "list": [1.0, 2.0, 3.0],
    "tensor": ag.tensor([3.0, 2.0, 1.0]),
    "tracked tensor": ag.tensor([3.0, 2.0, 1.0], requires_grad=True),
}
VALUES = np.array([0.5, 1.5, 2.5])


def plain(value):
    return value.data if isinstance(value, ag.Tensor) else value


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"])
@pytest.mark.parametrize("tracked", [False, True])
def test_arithmetic_equals_numpys_from_both_sides(name, other, tracked):
    value = OTHERS[other]
    function = getattr(operator, name)
    x = ag.tensor(VALUES, requires_grad=tracked)
    for got, expected in [
        (function(x, value), function(VALUES, plain(value))),
        (function(value, x), function(plain(value), VALUES)),
    ]:
        assert isinstance(got, ag.Tensor)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.data, expected)
        if tracked:
            assert got.requires_grad
            got.sum().backward()
            assert x.grad.shape == x.shape


@pytest.mark.parametrize("name", ["lt", "le", "gt", "ge", "eq", "ne"])
def test_comparisons_give_plain_masks_from_both_sides(name):
    compare = getattr(operator, name)
    x = ag.tensor(VALUES, requires_grad=True)
    for other in (1.5, np.array([1.5, 1.5, 3.0]), ag.tensor(1.5), x * 1.0):
        for got, expected in [(compare(x, other), compare(VALUES, plain(other))), (compare(other, x), compare(plain(other), VALUES))]:
            assert type(got) is np.ndarray
            assert got.dtype == bool
            np.testing.assert_array_equal(got, expected)


def test_comparison_with_what_is_no_number_is_false_as_on_arrays():
    x = ag.tensor([1.0, 2.0])
    assert not np.any(x == None)  # noqa: E711
    assert np.all(x != None)  # noqa: E711


def test_matmul_works_from_both_sides():
    a, v = np.arange(6.0).reshape(2, 3), np.arange(3.0)
    x = ag.tensor(a, requires_grad=True)
    np.testing.assert_array_equal((x @ v).data, a @ v)
    np.testing.assert_array_equal((a.T @ x).data, a.T @ a)
    (x @ v).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.tile(v, (2, 1)))


def test_unary_operators():
    x = ag.tensor([-1.0, 2.0], requires_grad=True)
    assert (-x).tolist() == [1.0, -2.0]
    assert (+x).tolist() == [-1.0, 2.0]
    assert abs(x).tolist() == [1.0, 2.0]
    (abs(-x) * 3).sum().backward()
    assert x.grad.tolist() == [-3.0, 3.0]


def test_divmod_from_both_sides():
    x = ag.tensor([2.5, 4.0], requires_grad=True)
    quotient, rest = divmod(x, 2.0)
    assert (quotient.tolist(), rest.tolist()) == ([1.0, 2.0], [0.5, 0.0])
    quotient, rest = divmod(7.0, x)
    assert (quotient.tolist(), rest.tolist()) == ([2.0, 1.0], [2.0, 3.0])


def test_logic_on_masks_in_tensors():
    a, b = ag.tensor([True, False]), ag.tensor([True, True])
    assert (a & b).tolist() == [True, False]
    assert (a | b).tolist() == [True, True]
    assert (a ^ b).tolist() == [False, True]
    assert (~a).tolist() == [False, True]
    assert (np.array([True, True]) & a).tolist() == [True, False]
    with pytest.raises(TypeError):
        ag.tensor([1.0]) & ag.tensor([1.0])


@pytest.mark.parametrize("other", [None, "text", {}, object()])
def test_arithmetic_with_what_is_no_number_is_pythons_type_error(other):
    for x in (ag.tensor([1.0]), ag.tensor([1.0], requires_grad=True)):
        with pytest.raises(TypeError, match="unsupported operand"):
            x - other
        with pytest.raises(TypeError, match="unsupported operand"):
            other - x


def test_an_augmented_assignment_binds_a_new_tensor():
    leaf = ag.tensor([1.0, 2.0], requires_grad=True)
    x = before = leaf * 1.0
    x += 1
    x *= 2
    assert x is not before
    assert before.tolist() == [1.0, 2.0]
    x.sum().backward()
    assert leaf.grad.tolist() == [2.0, 2.0]


AUGMENTED = ["+=", "-=", "*=", "/=", "**=", "//=", "%="]


@pytest.mark.parametrize("operator", AUGMENTED)
def test_an_augmented_assignment_changes_a_leaf_where_it_is_inside_no_grad(operator):
    array = np.array([1.0, 2.5])
    p = same = ag.tensor(array, requires_grad=True)
    held = p.data
    scope = {"p": p, "array": array, "t": ag.tensor([2.0, 3.0])}
    with ag.no_grad():
        exec(f"p {operator} t", scope)
    exec(f"array {operator} t", scope)
    assert scope["p"] is same
    assert same.is_leaf
    assert same.requires_grad
    np.testing.assert_array_equal(same.data, array)
    np.testing.assert_array_equal(held, array)  # what shows the memory sees it, as NumPy has it
    (same * 2).sum().backward()
    assert same.grad.tolist() == [2.0, 2.0]


@pytest.mark.parametrize("operator", AUGMENTED)
def test_an_augmented_assignment_to_a_leaf_that_records_is_refused(operator):
    p = ag.tensor([1.0, 2.5], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"leaf that requires grad .*no_grad"):
        exec(f"p {operator} 2", {"p": p})
    assert p.tolist() == [1.0, 2.5]


def test_the_update_of_a_hand_written_loop_trains():
    p = ag.tensor([1.0, 2.0], requires_grad=True)
    losses = []
    for _ in range(3):
        loss = (p * p).sum()
        losses.append(loss.item())
        loss.backward()
        with ag.no_grad():
            p -= 0.1 * p.grad
        p.grad = None
    np.testing.assert_allclose(losses, [5.0, 5.0 * 0.64, 5.0 * 0.64**2])


UPDATES_OF_DATA = [
    "p.data -= 0.1 * p.grad",
    "p.data += -0.1 * p.grad",
    "p.data[...] = p.data - 0.1 * p.grad",
    "np.subtract(p.data, 0.1 * p.grad, out=p.data)",
]


@pytest.mark.parametrize("shape", [(), (2,), (2000, 3)])
@pytest.mark.parametrize("update", UPDATES_OF_DATA)
def test_an_array_takes_an_untracked_tensor_in_place(update, shape):
    p = ag.tensor(np.full(shape, 3.0), requires_grad=True)
    (p * p).sum().backward()
    exec(update, {"p": p, "np": np})
    np.testing.assert_allclose(p.data, np.full(shape, 3.0 - 0.1 * 6.0))
    assert type(p.data) is np.ndarray
    assert p.is_leaf


INTO_ARRAYS = ["a += t", "np.add(a, t, out=a)", "a[:] = t", "a[0] = t[0]", "np.add(t, t, a)", "np.dot(t, t, out=a)", "np.copyto(a, t)"]


@pytest.mark.parametrize("statement", INTO_ARRAYS)
def test_an_array_refuses_a_tracked_tensor_in_place_while_recording(statement):
    t, a = ag.tensor([1.0, 2.0], requires_grad=True), np.zeros(2)
    with pytest.raises((TypeError, ValueError)):  # NumPy makes a ValueError of ours for a[0] = t[0]
        exec(statement, {"a": a, "t": t, "np": np})
    assert a.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("statement", [s for s in INTO_ARRAYS if "dot" not in s])
def test_an_array_takes_a_tracked_tensor_in_place_inside_no_grad(statement):
    t, a, expected = ag.tensor([1.0, 2.0], requires_grad=True), np.zeros(2), np.zeros(2)
    exec(statement, {"a": expected, "t": t.data, "np": np})
    with ag.no_grad():
        exec(statement, {"a": a, "t": t, "np": np})
    np.testing.assert_array_equal(a, expected)


EXPRESSIONS = {
    "x * 2.0": lambda x: x * 2.0,
    "2 - x": lambda x: 2 - x,
    "x / 3": lambda x: x / 3,
    "x ** 2": lambda x: x**2,
    "tanh(x * x + x)": lambda x: (x * x + x).tanh(),
    "mean(x)": lambda x: x.mean(),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_dtype_survives_python_scalars_forward_and_back(dtype, name):
    x = ag.tensor(np.array([0.5, 1.5], dtype), requires_grad=True)
    y = EXPRESSIONS[name](x)
    assert y.dtype == dtype
    y.backward(np.ones(y.shape, dtype))
    assert x.grad.dtype == dtype


def test_mixed_dtypes_promote_forward_and_come_back_as_the_arguments():
    single = ag.tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    double = ag.tensor(np.array([3.0, 4.0]), requires_grad=True)
    y = single * double
    assert y.dtype == np.float64
    y.sum().backward()
    assert (single.grad.dtype, double.grad.dtype) == (np.float32, np.float64)
    assert (single.grad.tolist(), double.grad.tolist()) == ([3.0, 4.0], [1.0, 2.0])


def test_integers_and_masks_mix_with_floats_without_a_gradient_of_their_own():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    count, mask = ag.tensor([3, 4]), ag.tensor([True, False])
    (x * count * mask + count).sum().backward()
    assert x.grad.tolist() == [3.0, 0.0]
    assert count.grad is None


def test_a_complex_factor_gives_a_real_argument_a_real_gradient():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    y = x * (3 + 4j)
    assert y.dtype == np.complex128
    y.backward(np.array([1.0, 1j]))
    assert x.grad.dtype == np.float64
    assert x.grad.tolist() == [3.0, 4.0]  # Re(g * conj(3 + 4j))


def test_the_gradient_of_a_real_loss_of_a_complex_tensor_is_torchs():
    z = ag.tensor(np.array(1 + 2j), requires_grad=True)
    (z * z.conj()).real.backward()
    assert z.grad.item() == 2 + 4j


# --- methods ----------------------------------------------------------------------------------------------------------------

A = np.arange(1.0, 7.0).reshape(2, 3) / 4
METHODS = [
    ("sum", (), {}),
    ("sum", (0,), {}),
    ("sum", (), {"axis": (0, 1), "keepdims": True}),
    ("mean", (-1,), {}),
    ("max", (), {"axis": 1}),
    ("min", (), {}),
    ("prod", (), {"axis": 0}),
    ("var", (), {"ddof": 1}),
    ("std", (0,), {}),
    ("cumsum", (1,), {}),
    ("cumprod", (), {"axis": 1}),
    ("dot", (np.arange(3.0),), {}),
    ("trace", (), {}),
    ("diagonal", (), {}),
    ("clip", (0.5, 1.25), {}),
    ("round", (1,), {}),
    ("repeat", (2,), {"axis": 0}),
    ("take", ([0, 2],), {"axis": 1}),
    ("squeeze", (), {}),
    ("swapaxes", (0, 1), {}),
    ("ravel", (), {}),
    ("flatten", (), {}),
    ("copy", (), {}),
    ("compress", ([True, False, True],), {"axis": 1}),
    ("reshape", (3, 2), {}),
    ("reshape", ((3, -1),), {}),
    ("reshape", (-1,), {"order": "F"}),
    ("transpose", (), {}),
    ("transpose", (1, 0), {}),
    ("transpose", ((1, 0),), {}),
    ("astype", (np.float32,), {}),
    ("conj", (), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), METHODS)
def test_a_method_is_that_of_ndarray_and_is_recorded(name, args, kwargs):
    x = ag.tensor(A, requires_grad=True)
    got, expected = getattr(x, name)(*args, **kwargs), getattr(A, name)(*args, **kwargs)
    assert got.shape == np.shape(expected)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got.data, expected)
    assert got.requires_grad
    got.sum().backward()
    assert x.grad.shape == A.shape


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "cos", "tanh"])
def test_elementwise_methods_are_numpys_functions(name):
    x = ag.tensor(A, requires_grad=True)
    np.testing.assert_array_equal(getattr(x, name)().data, getattr(np, name)(A))
    assert getattr(x, name)().requires_grad


@pytest.mark.parametrize(
    ("name", "args"), [("all", ()), ("any", (0,)), ("argmax", (1,)), ("argmin", ()), ("argsort", ()), ("nonzero", ()), ("tobytes", ())]
)
def test_methods_without_derivative_give_plain_results(name, args):
    got, expected = getattr(ag.tensor(A, requires_grad=True), name)(*args), getattr(A, name)(*args)
    assert not isinstance(got, ag.Tensor)
    np.testing.assert_array_equal(got, expected)


def test_transposed_properties():
    x = ag.tensor(np.arange(24.0).reshape(2, 3, 4), requires_grad=True)
    assert x.T.shape == (4, 3, 2)
    assert x.mT.shape == (2, 4, 3)
    assert x.T.requires_grad
    z = ag.tensor(np.array([1 + 2j]), requires_grad=True)
    assert (z.real.tolist(), z.imag.tolist()) == ([1.0], [2.0])
    assert z.imag.requires_grad


def test_sorting_in_place_is_refused():
    with pytest.raises(TypeError, match=r"t = np\.sort\(t\)"):
        ag.tensor([2.0, 1.0]).sort()


def test_casting_to_integers_ends_the_gradient_visibly():
    x = ag.tensor([1.7, 2.2], requires_grad=True)
    y = x.astype(int)
    assert y.tolist() == [1, 2]
    assert not y.requires_grad
    same = x.astype(np.float64, copy=False)
    assert same is x
