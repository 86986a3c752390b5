"""The handle: making tensors from anything, what they say about themselves, and how they leave the tape."""

from __future__ import annotations

import operator

import numpy as np
import pytest

import autograd_core as ag

FLOATS = [np.float16, np.float32, np.float64]
COMPLEX = [np.complex64, np.complex128]
INTEGERS = [np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]


def read_only(a: np.ndarray) -> np.ndarray:
    a.flags.writeable = False
    return a


ARRAYS = {
    "contiguous": np.arange(6.0).reshape(2, 3),
    "fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "negative strides": np.arange(6.0).reshape(2, 3)[::-1, ::-1],
    "strided": np.arange(24.0).reshape(4, 6)[::2, ::2],
    "read-only": read_only(np.arange(6.0)),
    "broadcast": np.broadcast_to(np.arange(3.0), (2, 3)),
    "0-d": np.array(3.5),
    "empty": np.zeros((0, 3)),
    "one element": np.array([[2.0]]),
    "big endian": np.arange(3, dtype=">f8"),
}


# --- making one ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS + COMPLEX + INTEGERS)
def test_the_dtype_of_an_array_is_kept(dtype):
    assert ag.tensor(np.zeros(3, dtype)).dtype == dtype
    assert ag.tensor(dtype(1)).dtype == dtype


@pytest.mark.parametrize("kind", ARRAYS)
def test_any_layout_is_taken_and_its_source_left_as_it_was(kind):
    a = ARRAYS[kind]
    before, flags = a.copy(), a.flags.writeable
    x = ag.tensor(a, requires_grad=True)
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.data, before)
    np.testing.assert_array_equal(x.grad.data, 2 * before)
    assert x.grad.shape == a.shape
    np.testing.assert_array_equal(a, before)
    assert a.flags.writeable == flags


@pytest.mark.parametrize("kind", ARRAYS)
def test_a_tensor_has_an_array_of_its_own_that_can_be_written_to(kind):
    x = ag.tensor(ARRAYS[kind])
    assert not np.shares_memory(x.data, ARRAYS[kind])
    assert x.data.flags.writeable


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (2, np.int64, ()),
        (2.0, np.float64, ()),
        (True, np.bool_, ()),
        (1j, np.complex128, ()),
        ([1, 2], np.int64, (2,)),
        ([[1.0], [2]], np.float64, (2, 1)),
        ((1.0, 2.0), np.float64, (2,)),
        ([], np.float64, (0,)),
        (range(3), np.int64, (3,)),
        (np.float32(3), np.float32, ()),
        ([np.float32(3), np.float32(4)], np.float32, (2,)),
        ([ag.tensor(1.0), ag.tensor(2.0)], np.float64, (2,)),
    ],
)
def test_numbers_and_lists_become_what_numpy_makes_of_them(value, dtype, shape):
    x = ag.tensor(value)
    assert (x.dtype, x.shape) == (dtype, shape)
    assert isinstance(x.data, np.ndarray)


def test_a_dtype_that_is_asked_for_is_used():
    assert ag.tensor([1, 2], dtype=np.float32).dtype == np.float32
    assert ag.tensor(np.ones(2), dtype="float16", requires_grad=True).dtype == np.float16
    assert ag.tensor(1, dtype=float, requires_grad=True).requires_grad


def test_a_tensor_of_an_untracked_tensor_is_a_copy():
    x = ag.tensor([1.0, 2.0])
    y = ag.tensor(x, requires_grad=True)
    y.data[0] = 100
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("value", [["a"], np.array([object()]), np.array(["2020"], dtype="datetime64[Y]"), {"a": 1}, None, np.zeros(2, "i4,f8")])
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(TypeError, match="a tensor holds numbers"):
        ag.tensor(value)


def test_a_ragged_list_is_refused_as_numpy_refuses_it():
    with pytest.raises(ValueError, match="inhomogeneous"):
        ag.tensor([[1.0], [1.0, 2.0]])


# --- what it says about itself ----------------------------------------------------------------------------------------------


def test_shape_queries_are_those_of_the_array():
    x = ag.tensor(np.zeros((2, 3), np.float32))
    assert (x.shape, x.ndim, x.size, x.dtype, x.itemsize, x.nbytes, len(x)) == ((2, 3), 2, 6, np.float32, 4, 24, 2)


def test_a_leaf_requires_grad_only_if_asked():
    assert not ag.tensor(1.0).requires_grad
    x = ag.tensor(1.0, requires_grad=True)
    assert x.requires_grad
    assert x.is_leaf
    y = x * 2
    assert y.requires_grad
    assert not y.is_leaf
    assert (ag.tensor(1.0) * 2).is_leaf


def test_requires_grad_can_be_switched_on_a_leaf():
    x = ag.tensor([1.0, 2.0])
    assert x.requires_grad_() is x
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    x.requires_grad = False
    assert not (x * 3).requires_grad


def test_requires_grad_set_twice_keeps_the_leaf():
    x = ag.tensor([1.0], requires_grad=True)
    y = x * 2
    x.requires_grad = True
    y.sum().backward()
    assert x.grad.tolist() == [2.0]


def test_requires_grad_cannot_be_switched_off_on_a_computed_tensor():
    y = ag.tensor(1.0, requires_grad=True) * 2
    y.requires_grad = True
    with pytest.raises(RuntimeError, match=r"detach\(\)"):
        y.requires_grad = False


def test_truth_and_conversion_work_as_on_arrays():
    x = ag.tensor(2.5, requires_grad=True)
    assert bool(x)
    assert float(x) == 2.5
    assert int(x) == 2
    assert complex(x) == 2.5
    assert float(ag.tensor([[2.5]]).sum()) == 2.5
    assert operator.index(ag.tensor(3)) == 3
    assert [10, 20, 30, 40][ag.tensor(3)] == 40
    with pytest.raises(TypeError):
        operator.index(x)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(ag.tensor([1.0, 2.0]))
    with pytest.raises(TypeError):
        float(ag.tensor([1.0, 2.0]))


def test_length_and_iteration_of_a_0d_tensor_are_refused_as_by_numpy():
    with pytest.raises(TypeError, match="0-d"):
        len(ag.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(ag.tensor(1.0))


def test_iteration_gives_tracked_rows():
    x = ag.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = x
    (first * 10 + second).sum().backward()
    assert x.grad.tolist() == [[10.0, 10.0], [1.0, 1.0]]
    assert [row.tolist() for row in reversed(x)] == [[3.0, 4.0], [1.0, 2.0]]


def test_containment_asks_for_equal_values():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    assert 2.0 in x
    assert 3.0 not in x


def test_tensors_are_hashed_by_identity():
    x, y = ag.tensor(1.0), ag.tensor(1.0)
    assert {x: "x", y: "y"}[x] == "x"
    assert len({x, y, x}) == 2


def test_item_and_tolist_give_python_numbers():
    assert type(ag.tensor(np.float32(2), requires_grad=True).item()) is float
    assert ag.tensor([[1, 2], [3, 4]]).item(1, 0) == 3
    assert ag.tensor([[1.0, 2.0]], requires_grad=True).tolist() == [[1.0, 2.0]]
    with pytest.raises(ValueError, match="size 1"):
        ag.tensor([1.0, 2.0]).item()


# --- leaving the tape -------------------------------------------------------------------------------------------------------


def test_detach_shares_the_array_and_stops_the_gradient():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    d = y.detach()
    assert not d.requires_grad
    assert np.shares_memory(d.data, y.data)
    (d * x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_numpy_gives_the_array_of_an_untracked_tensor_only():
    x = ag.tensor([1.0, 2.0])
    assert x.numpy() is x.data
    assert isinstance(ag.tensor(1.0).numpy(), np.ndarray)
    tracked = ag.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match=r"t\.detach\(\)\.numpy\(\)"):
        tracked.numpy()
    with ag.no_grad():
        assert tracked.numpy().tolist() == [1.0, 2.0]


def test_an_untracked_tensor_converts_to_an_array():
    x = ag.tensor([1.0, 2.0])
    assert np.asarray(x).tolist() == [1.0, 2.0]
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert np.array(x).tolist() == [1.0, 2.0]
    copied = np.array(x)
    copied[0] = 7
    assert x.tolist() == [1.0, 2.0]


def test_data_is_the_array_and_can_be_replaced():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    assert x.data is x.data
    x.data[0] = 5
    assert x.tolist() == [5.0, 2.0]
    x.data = np.array([7.0, 8.0])
    (x * x).sum().backward()
    assert x.grad.tolist() == [14.0, 16.0]


def test_data_of_a_tracked_tensor_keeps_its_shape_and_dtype():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    for wrong in (np.zeros(3), np.zeros(2, np.float32), np.zeros((1, 2))):
        with pytest.raises(ValueError, match=r"cannot hold an array of shape .*ag\.tensor"):
            x.data = wrong
    assert x.tolist() == [1.0, 2.0]


def test_replacing_data_leaves_a_recorded_graph_as_it_was():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    x.data = np.array([100.0, 100.0])
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_grad_is_assignable():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    x.grad = ag.tensor([10.0, 10.0])
    (x * 2).sum().backward()
    assert x.grad.tolist() == [12.0, 12.0]
    x.grad = np.array([1.0, 1.0])
    (x * 2).sum().backward()
    assert isinstance(x.grad, ag.Tensor)
    assert x.grad.tolist() == [3.0, 3.0]
    x.grad = None
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


# --- printing ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ag.tensor([1.0, 2.0]), "tensor([1., 2.])"),
        (lambda: ag.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: ag.tensor(2.5), "tensor(2.5)"),
        (lambda: ag.tensor([1.0, 2.0], requires_grad=True), "tensor([1., 2.], requires_grad=True)"),
        (lambda: ag.tensor(np.float32(1.5), requires_grad=True), "tensor(1.5, dtype=float32, requires_grad=True)"),
        (lambda: ag.tensor([1.0, 2.0], requires_grad=True) * 2, "tensor([2., 4.], op=multiply)"),
        (lambda: ag.tensor([1.0, 2.0], requires_grad=True).tanh().sum(), "tensor(1.72562174, op=sum)"),
        (lambda: ag.tensor(np.array([1], np.int8)), "tensor([1], dtype=int8)"),
        (lambda: ag.tensor(np.zeros((0, 3))), "tensor([], shape=(0, 3))"),
    ],
)
def test_repr_shows_the_values_and_the_operation_that_made_them(make, text):
    assert repr(make()) == text


def test_repr_of_a_large_tensor_is_summarised():
    assert len(repr(ag.tensor(np.zeros((1000, 1000)), requires_grad=True))) < 500


def test_format_of_a_0d_tensor_takes_a_number_format():
    loss = ag.tensor(1.23456, requires_grad=True) * 1
    assert f"{loss:.2f}" == "1.23"
    assert f"{loss}" == repr(loss)


def test_printing_does_not_count_as_leaving_the_tape():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    repr(y), str(y), f"{y}", y.tolist()
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0]
