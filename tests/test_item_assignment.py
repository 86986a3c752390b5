"""`t[i] = v` on tensors: the value is NumPy's, the gradient goes to what was written and no longer to what was overwritten."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.rules import indexing

MASK = np.array([[True, False, True, False], [False, False, True, True], [True, False, False, False]])

INDICES = {
    "an integer": 1,
    "a negative integer": -1,
    "a slice": slice(1, 3),
    "a negative step": slice(None, None, -2),
    "an empty slice": slice(2, 2),
    "two slices": (slice(1, None), slice(None, 2)),
    "an element": (2, 3),
    "an ellipsis": Ellipsis,
    "nothing": (),
    "a new axis": (slice(None), None, 1),
    "a mask": MASK,
    "a mask of rows": np.array([True, False, True]),
    "an integer array": np.array([2, 0]),
    "a list": [2, 0],
    "pairs": (np.array([0, 1, 2]), np.array([3, 0, 1])),
    "an array beside a slice": (slice(None), np.array([3, 1])),
    "arrays apart": (np.array([0, 2]), None, np.array([1, 1])),
    "a mesh": np.ix_([0, 2], [1, 3]),
}
every_index = pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())


def tracked(*shape: int, seed: int = 0) -> ag.Tensor:
    return ag.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


@every_index
def test_assignment_gives_numpys_value_and_moves_the_gradient_to_what_was_written(index):
    x = tracked(3, 4)
    expected = x.data.copy()
    v = tracked(*expected[index].shape, seed=1)
    w = np.random.default_rng(2).normal(size=(3, 4))
    expected[index] = v.data
    t = x * 1.0
    t[index] = v
    np.testing.assert_array_equal(t.data, expected)
    (t * w).sum().backward()
    overwritten = w.copy()
    overwritten[index] = 0
    np.testing.assert_array_equal(x.grad.data, overwritten)
    np.testing.assert_array_equal(v.grad.data, w[index])


@every_index
def test_assignment_is_differentiable_twice(index):
    def f(x, v):
        t = x * x
        t[index] = v * v * x[0, 0]
        return t * t

    v = np.random.default_rng(1).normal(size=np.zeros((3, 4))[index].shape)
    ag.gradcheck(f, np.random.default_rng(0).normal(size=(3, 4)), v, order=2)


@pytest.mark.parametrize(
    ("index", "shape"),
    [(slice(None), ()), (slice(None), (4,)), (slice(None), (3, 1)), (slice(0, 2), (1, 1, 1, 4)), (1, (1,)), (MASK, ()), (np.array([0, 2]), (4,))],
)
def test_a_broadcast_value_gets_the_sum_of_the_gradients_at_its_copies(index, shape):
    def f(x, v):
        t = x * 1.0
        t[index] = v
        return t * t

    random = np.random.default_rng(0)
    ag.gradcheck(f, random.normal(size=(3, 4)), random.normal(size=shape), order=2)


def test_the_last_of_several_writes_to_one_element_gets_its_gradient():
    x, v = tracked(3), tracked(2)
    t = x * 1.0
    t[[0, 0]] = v
    (t * [1.0, 10.0, 100.0]).sum().backward()
    assert v.grad.tolist() == [0.0, 1.0]
    assert x.grad.tolist() == [0.0, 10.0, 100.0]


def test_adding_at_a_repeated_index_is_buffered_as_in_numpy():
    x, v = tracked(2), tracked(2)
    t = x * 1.0
    t[[0, 0]] += v
    np.testing.assert_array_equal(t.data, [x.data[0] + v.data[1], x.data[1]])
    (t * [1.0, 10.0]).sum().backward()
    assert x.grad.tolist() == [1.0, 10.0]
    assert v.grad.tolist() == [0.0, 1.0]


def layouts(array):
    """The same values in other places of the memory."""
    spread = np.empty(tuple(2 * n for n in array.shape), array.dtype)[tuple(slice(None, None, 2) for _ in array.shape)]
    spread[...] = array
    return [array, np.asfortranarray(array), np.flip(np.flip(array).copy()), array.T.copy().T, spread]


def test_the_last_write_is_the_last_one_in_c_order_whatever_the_memory_layout():
    """NumPy itself walks a repeated index in memory order, and then a gradient would depend on strides."""
    random = np.random.default_rng(0)
    for _ in range(20):
        index = random.integers(0, 4, size=tuple(random.integers(1, 4, size=random.integers(1, 4))))
        values = 1.0 + np.arange(index.size).reshape(index.shape)
        last = {place: value for place, value in zip(index.ravel().tolist(), values.ravel().tolist(), strict=True)}  # noqa: C416
        for index_layout in layouts(index):
            for value_layout in layouts(values):
                v = ag.tensor(value_layout, requires_grad=True)
                t = ag.tensor(np.zeros(4))
                t[index_layout] = v
                assert t.tolist() == [last.get(place, 0.0) for place in range(4)]
                (t * t).sum().backward()
                np.testing.assert_array_equal(v.grad.data, np.where(np.isin(values, list(last.values())), 2 * values, 0))


def test_earlier_results_keep_the_value_that_they_saw():
    x = tracked(3)
    t = x * 1.0
    before = t * t
    t[1] = 5.0
    after = t * t
    (before.sum() + after.sum()).backward()
    np.testing.assert_allclose(before.data, x.data**2)
    np.testing.assert_allclose(x.grad.data, [4 * x.data[0], 2 * x.data[1], 4 * x.data[2]])


def test_arrays_that_the_user_holds_do_not_change():
    given = np.zeros(3)
    t = ag.tensor(given)
    handed_out = t.data
    t[0] = 1.0
    assert given.tolist() == handed_out.tolist() == [0.0, 0.0, 0.0]
    assert t.tolist() == [1.0, 0.0, 0.0]


def test_a_tensor_can_be_assigned_to_itself_shifted():
    x = tracked(4)
    t = x * 1.0
    t[1:] = t[:-1]
    (t * [1.0, 10.0, 100.0, 1000.0]).sum().backward()
    np.testing.assert_array_equal(t.data, x.data[[0, 0, 1, 2]])
    assert x.grad.tolist() == [11.0, 100.0, 1000.0, 0.0]


# --- what a loop of n assignments costs ---------------------------------------------------------------------------------------


def recurrence(n):
    """h[i] = h[i - 1] * x, row after row, and the numbers of different arrays that held the rows."""
    x = tracked(8)
    h = ag.tensor(np.zeros((n, 8)))
    h[0] = x
    arrays = set()
    for i in range(1, n):
        h[i] = h[i - 1] * x
        arrays.add(id(h._array))
    return x, h, arrays


def test_filling_rows_from_earlier_rows_copies_nothing_forward():
    x, h, arrays = recurrence(50)
    assert len(arrays) == 1
    np.testing.assert_allclose(h.data, x.data ** np.arange(1, 51).reshape(-1, 1))


def test_the_gradient_of_a_filled_tensor_is_one_array_from_end_to_start(monkeypatch):
    copies = []
    original = indexing.cleared
    monkeypatch.setattr(indexing, "cleared", lambda *arguments: copies.append(1) or original(*arguments))
    x, h, _ = recurrence(50)
    h.sum().backward()
    assert len(copies) == 1  # the gradient of the sum, a broadcast number, is nobody's own array
    k = np.arange(1.0, 51).reshape(-1, 1)
    np.testing.assert_allclose(x.grad.data, (k * x.data ** (k - 1)).sum(axis=0))


def test_an_array_that_an_operation_saved_is_copied_before_it_changes():
    x = tracked(3)
    t = x * 1.0
    square = t * t
    before = id(t._array)
    t[0] = 1.0
    assert id(t._array) != before
    again = id(t._array)
    t[1] = 1.0
    assert id(t._array) == again
    square.sum().backward()
    np.testing.assert_allclose(x.grad.data, 2 * x.data)


# --- with and without recording -----------------------------------------------------------------------------------------------


def test_assigning_a_tracked_value_into_an_untracked_tensor_makes_it_tracked():
    v = tracked()
    t = ag.tensor(np.zeros(3))
    assert not t.requires_grad
    t[1] = v * v
    assert t.requires_grad
    t.sum().backward()
    assert v.grad.item() == pytest.approx(2 * v.item())


def test_assigning_numbers_into_an_untracked_tensor_records_nothing():
    t = ag.tensor(np.zeros(3))
    t[1] = 2.0
    t[[0]] = ag.tensor([1.0])
    assert t.tolist() == [1.0, 2.0, 0.0]
    assert not t.requires_grad


def test_without_recording_a_leaf_changes_its_value_and_stays_a_leaf():
    x = tracked(3)
    square = (x * x).sum()
    before = x.data.copy()
    with ag.no_grad():
        x[0] = 7.0
    assert x.is_leaf
    assert x.requires_grad
    assert x.data[0] == 7.0
    (square + x.sum()).backward()
    np.testing.assert_allclose(x.grad.data, 2 * before + 1)


def test_without_recording_a_computed_tensor_loses_its_history():
    t = tracked(3) * 1.0
    with ag.no_grad():
        t[0] = 7.0
    assert not t.requires_grad


def test_a_list_of_tensors_can_be_assigned():
    a, b = tracked(), tracked(seed=1)
    t = ag.tensor(np.zeros((2, 2)))
    t[0] = [a, 2 * b]
    t[:, 1] = [3 * a, b]
    (t * [[1.0, 10.0], [100.0, 1000.0]]).sum().backward()
    assert a.grad.item() == 31.0
    assert b.grad.item() == 1000.0


def test_assignment_keeps_the_dtype_and_gives_each_gradient_its_own():
    x = ag.tensor(np.ones(3, np.float32), requires_grad=True)
    v = tracked()
    t = x * 1.0
    t[0] = v
    t.sum().backward()
    assert t.dtype == x.grad.dtype == np.float32
    assert v.grad.dtype == np.float64


def test_assignment_of_complex_numbers_is_differentiable():
    random = np.random.default_rng(0)
    x, v = (random.normal(size=n) + 1j * random.normal(size=n) for n in (4, 2))

    def f(x, v):
        t = x * x
        t[[1, 3]] = v * x[:2]
        return t

    ag.gradcheck(f, x, v, order=2)


def test_a_zero_dimensional_tensor_can_be_assigned_to():
    x, v = tracked(), tracked(seed=1)
    t = x * 1.0
    t[()] = v * v
    t[...] = t * v
    t.backward()
    assert x.grad.item() == 0.0
    assert v.grad.item() == pytest.approx(3 * v.item() ** 2)


def test_what_was_overwritten_does_not_matter_even_if_its_slope_is_infinite():
    x = ag.tensor([0.0, 4.0], requires_grad=True)
    t = np.sqrt(x)
    t[0] = 1.0
    t.sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


# --- errors ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "value", "error"),
    [
        (7, 1.0, IndexError),
        ([0, 7], np.ones((2, 3)), IndexError),
        (1.5, 1.0, IndexError),
        ((0, 0, 0), 1.0, IndexError),
        (np.array([True, False, True]), 1.0, IndexError),
        (0, np.ones(2), ValueError),
        ([0, 1], np.ones((3, 3)), ValueError),
        (0, "text", ValueError),
        (0, [[1.0], [2.0, 3.0]], ValueError),
    ],
)
def test_an_assignment_that_fails_leaves_the_tensor_as_it_was(index, value, error):
    x = tracked(2, 3)
    t = x * 1.0
    node = t.node
    with pytest.raises(error):
        t[index] = value
    assert t.node is node
    np.testing.assert_array_equal(t.data, x.data)
    t.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.ones((2, 3)))


def test_assignment_to_a_leaf_says_what_to_write_instead():
    with pytest.raises(RuntimeError, match=r"t = t\.copy\(\)"):
        tracked(3)[0] = 1.0


def test_a_tracked_value_cannot_get_lost_in_an_integer_tensor():
    t = ag.tensor([1, 2, 3])
    with pytest.raises(TypeError, match="would lose its gradient"):
        t[0] = tracked()
    assert t.tolist() == [1, 2, 3]


def test_an_index_list_that_changes_later_does_not_change_the_gradient():
    x, index = tracked(3), [0, 1]
    t = x * 1.0
    t[index] = 0.0
    index[0] = 2
    t.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0]


def test_an_index_array_that_changes_before_the_backward_pass_does_not_reach_the_gradient():
    x, index = tracked(3), np.array([0, 1])
    t = x * 1.0
    t[index] = 0.0
    index[0] = 2
    t.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0]


# --- NumPy's functions that change an array in place ---------------------------------------------------------------------------

ROWS = np.array([[1], [0], [3]])
UPDATES = {
    "put, the last write wins": (lambda t, v: np.put(t, np.array([0, 5, 5, -1]), v), (3, 4), (4,)),
    "put, values repeated": (lambda t, v: np.put(t, [0, 5, 7], v), (3, 4), (2,)),
    "put, wrapping around": (lambda t, v: np.put(t, [0, 15, -17], v, mode="wrap"), (3, 4), (3,)),
    "put, clipping": (lambda t, v: np.put(t, [0, 15, -17], v, mode="clip"), (3, 4), (3,)),
    "put_along_axis": (lambda t, v: np.put_along_axis(t, ROWS, v, 1), (3, 4), (3, 1)),
    "put_along_axis, repeated": (lambda t, v: np.put_along_axis(t, np.array([[1, 1], [0, 2], [3, 3]]), v, axis=-1), (3, 4), (3, 2)),
    "place": (lambda t, v: np.place(t, MASK, v), (3, 4), (4,)),
    "putmask": (lambda t, v: np.putmask(t, MASK, v), (3, 4), (5,)),
    "copyto": (np.copyto, (3, 4), (4,)),
    "copyto where": (lambda t, v: np.copyto(t, v, where=MASK), (3, 4), (3, 1)),
    "fill_diagonal": (np.fill_diagonal, (3, 4), ()),
    "fill_diagonal, wrapping": (lambda t, v: np.fill_diagonal(t, v, wrap=True), (7, 3), (2,)),
    "fill_diagonal of a cube": (np.fill_diagonal, (3, 3, 3), (3,)),
    "add.at": (lambda t, v: np.add.at(t, np.array([0, 0, 2]), v), (3, 4), (3, 4)),
    "add.at, broadcast": (lambda t, v: np.add.at(t, ([0, 0], [1, 1]), v), (3, 4), ()),
    "subtract.at": (lambda t, v: np.subtract.at(t, np.array([0, 0, 2]), v), (4,), (3,)),
}
every_update = pytest.mark.parametrize(("update", "shape", "value_shape"), UPDATES.values(), ids=UPDATES.keys())


@every_update
def test_functions_that_change_an_array_in_place_are_recorded_as_assignments(update, shape, value_shape):
    random = np.random.default_rng(0)
    x, v = random.normal(size=shape), random.normal(size=value_shape)
    expected = x.copy()
    update(expected, v)
    t = ag.tensor(x)
    update(t, ag.tensor(v))
    np.testing.assert_array_equal(t.data, expected)

    def f(x, v):
        t = x * x
        update(t, v * v)
        return t * t

    ag.gradcheck(f, x, v, order=2)


@every_update
def test_functions_that_change_an_array_in_place_refuse_to_write_tracked_values_into_plain_arrays(update, shape, value_shape):
    a = np.zeros(shape)
    with pytest.raises(TypeError, match=r"ag\.tensor\("):
        update(a, tracked(*value_shape))
    assert not a.any()


@pytest.mark.parametrize(
    ("update", "error"),
    [
        (lambda t: np.put(t, 12, 1.0), ValueError),
        (lambda t: np.put_along_axis(t, np.array([0]), 1.0, None), TypeError),
        (lambda t: np.put_along_axis(t, ROWS, 1.0, 5), ValueError),
        (lambda t: np.copyto(t, np.ones(3) * 1j), TypeError),
        (lambda t: np.copyto(t, np.ones(3)), ValueError),
        (lambda t: np.place(t, MASK, []), ValueError),
        (lambda t: np.fill_diagonal(t[0], 1.0), ValueError),
    ],
)
def test_functions_that_change_an_array_in_place_refuse_what_numpy_refuses(update, error):
    t = tracked(3, 4) * 1.0
    value = t.data.copy()
    with pytest.raises(error):
        update(t)
    np.testing.assert_array_equal(t.data, value)
