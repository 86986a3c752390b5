"""Reading elements: by index, by place, by condition. What the generated tests of every rule cannot say by a formula."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.rules import indexing
from autograd_core.rules.indexing import scatter


def tracked(*shape: int, seed: int = 0) -> ag.Tensor:
    return ag.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def test_an_element_that_is_read_twice_gets_both_gradients():
    x = tracked(3)
    (x[[0, 0, 1]] * [1.0, 10.0, 100.0]).sum().backward()
    assert x.grad.tolist() == [11.0, 100.0, 0.0]


def random_index(random, shape):
    """An index of one entry or more for an array of `shape`, of all kinds mixed."""
    length = int(random.integers(1, 4))
    entries = []
    for n in shape:
        kind = random.integers(0, 7)
        if kind == 0:
            entries.append(int(random.integers(-n, n)))
        elif kind == 1:
            entries.append(slice(*sorted(random.integers(0, n + 1, 2).tolist())))
        elif kind == 2:
            entries.append(slice(None, None, -1))
        elif kind <= 4:
            entries.append(random.integers(-n, n, length))
        elif kind == 5:
            entries.append(random.integers(-n, n, (2, length)))
        else:
            entries += [None, slice(None)]
    cut = int(random.integers(0, len(entries) + 1))
    return tuple(entries[:cut]) if random.integers(2) else (*entries[:cut], Ellipsis)


@pytest.mark.parametrize("few", [0, 1500], ids=["by flat indices", "as the index is"])
def test_scattering_is_the_adjoint_of_reading_for_every_index(few, monkeypatch):
    """<x[i], g> = <x, scatter(g, i)>, and the sum at repeated places is np.add.at's."""
    monkeypatch.setattr(indexing, "FEW", few)
    random = np.random.default_rng(0)
    for _ in range(300):
        shape = tuple(random.integers(1, 5, size=random.integers(1, 5)).tolist())
        index = random_index(random, shape)
        x = random.normal(size=shape)
        g = random.normal(size=x[index].shape)
        expected = np.zeros(shape)
        np.add.at(expected, index, g)
        found = scatter(g, index, shape)
        np.testing.assert_allclose(found, expected, atol=1e-14)
        np.testing.assert_allclose((x[index] * g).sum(), (x * found).sum(), atol=1e-12)


@pytest.mark.parametrize("index", [np.array([0, 2, 0]), (np.array([1, 1]), slice(None)), (slice(None), np.array([0, 0, 1])), np.array([[0], [1]])])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_reads_add_to_a_gradient_of_any_layout_that_is_there_already(index, dtype, order):
    x = ag.tensor(np.ones((3, 4), dtype, order=order), requires_grad=True)
    weights = np.asfortranarray(np.arange(12.0).reshape(3, 4).astype(dtype)) if order == "F" else np.arange(12.0).reshape(3, 4).astype(dtype)
    y = x * 2.0
    total = (y * weights).sum() + y[index].sum() + (y * weights).sum()
    np.abs(total).backward() if dtype is np.complex64 else total.backward()
    expected = 4 * weights
    np.add.at(expected, index, 2)
    np.testing.assert_allclose(x.grad.data, expected)
    assert x.grad.dtype == dtype


def test_many_reads_of_one_array_make_one_gradient(monkeypatch):
    made = []
    original = indexing.gradient_of_zeros
    monkeypatch.setattr(indexing, "gradient_of_zeros", lambda *arguments: made.append(1) or original(*arguments))
    x = tracked(100)
    y = x * 1.0
    total = y[0]
    for i in range(1, 100):
        total = total + y[i] * i
    total.backward()
    assert len(made) == 1
    np.testing.assert_allclose(x.grad.data, [1.0, *range(1, 100)])


def test_elements_left_out_do_not_matter_even_if_their_slope_is_infinite():
    x = ag.tensor([0.0, 4.0], requires_grad=True)
    np.sqrt(x)[1:].sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_tensors_of_integers_and_booleans_are_indices():
    x = tracked(3)
    i = ag.tensor(np.array([2, 0]))
    for index, places in [(i, [2, 0]), (i[0], 2), ((i,), [2, 0]), ([i[0], 1], [2, 1]), (x > -10, [0, 1, 2]), (slice(i[1], i[0]), slice(0, 2))]:
        np.testing.assert_array_equal(x[index].data, x.data[places])


@pytest.mark.parametrize("index", [lambda f: f, lambda f: (0, f), lambda f: [f], lambda f: (slice(None), [f])])
def test_a_floating_point_tensor_is_no_index(index):
    f = tracked()
    with pytest.raises((TypeError, IndexError)):
        tracked(2, 2)[index(f)]


def test_a_list_that_is_changed_after_it_was_an_index_does_not_change_the_gradient():
    x, index = tracked(3), [0, 1]
    y = x[index]
    z = x[(index,)]
    index[0] = 2
    (y + z).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 0.0]


def test_an_index_array_that_is_changed_before_the_backward_pass_does_not_reach_the_gradient():
    x, index = tracked(3), np.array([0, 1])
    y = x[index]
    index[0] = 2
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("index", [3, (0, 0), [0, 3], 1.5, "a", np.array([True, False])])
def test_what_numpy_refuses_as_an_index_is_refused(index):
    with pytest.raises(IndexError):
        tracked(3)[index]


def test_a_tensor_is_unpacked_and_iterated_like_an_array():
    x = tracked(2, 2)
    a, b = x
    total = sum((row * 2 for row in x), a * 0) + b
    total.sum().backward()
    assert x.grad.tolist() == [[2.0, 2.0], [3.0, 3.0]]


@pytest.mark.parametrize("index", [1, slice(1, None), (slice(None), None), (Ellipsis, 0), np.array([True, False, True])])
def test_reads_of_lazy_arrays_have_lazy_gradients(index):
    dask_array = pytest.importorskip("dask.array")
    values = np.arange(6.0).reshape(3, 2)
    x = ag.tensor(dask_array.from_array(values, chunks=2), requires_grad=True)
    (x[index] ** 2).sum().backward()
    expected = np.zeros_like(values)
    expected[index] = 2 * values[index]
    assert isinstance(x.grad.data, dask_array.Array)
    np.testing.assert_array_equal(x.grad.data.compute(), expected)


def test_assignment_to_lazy_arrays_has_lazy_gradients():
    dask_array = pytest.importorskip("dask.array")
    x = ag.tensor(dask_array.from_array(np.arange(6.0).reshape(3, 2), chunks=2), requires_grad=True)
    t = x * 1.0
    t[1:] = x[0] * 3.0
    t.sum().backward()
    assert x.grad.data.compute().tolist() == [[7.0, 7.0], [0.0, 0.0], [0.0, 0.0]]


# --- functions ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "places"), [("wrap", [2, 2, 1]), ("clip", [0, 2, 2])])
def test_take_reads_places_out_of_bounds_as_its_mode_says(mode, places):
    x = tracked(3)
    y = np.take(x, [-4, 5, 4], mode=mode)
    np.testing.assert_array_equal(y.data, x.data[places])
    (y * [1.0, 10.0, 100.0]).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.bincount(places, [1.0, 10.0, 100.0], minlength=3))


def test_take_accumulates_into_one_gradient_and_refuses_places_out_of_bounds():
    x = tracked(3, 2)
    y = x * 1.0
    (np.take(y, [0, 0], axis=0).sum() + np.take(y, [1], axis=0).sum() + y.sum()).backward()
    assert x.grad.tolist() == [[3.0, 3.0], [2.0, 2.0], [1.0, 1.0]]
    with pytest.raises(IndexError):
        np.take(x, 6)
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        np.take(x, 0, axis=2)


@pytest.mark.parametrize(
    "function",
    [lambda x, y: np.take(x, [0], out=y), lambda x, y: np.compress([True], x, out=y), lambda x, y: np.choose([0], [x], out=y)],
)
def test_an_output_array_is_refused(function):
    with pytest.raises(TypeError, match=r"out="):
        function(tracked(1), np.zeros(1))


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda x: np.compress([[True]], x), ValueError),
        (lambda x: np.compress([False, False, False, True], x), IndexError),
        (lambda x: np.choose([2], [x, x]), ValueError),
        (lambda x: np.choose([0, 1], [x, x]), ValueError),
        (lambda x: np.choose([0], [x, x], mode="around"), ValueError),
        (lambda x: np.select([], []), ValueError),
        (lambda x: np.select([np.array([True])], [x, x]), ValueError),
        (lambda x: np.select([np.array([1.0, 0.0, 1.0])], [x]), TypeError),
        (lambda x: np.piecewise(x, [x > 0], [1.0, 2.0, 3.0]), ValueError),
        (lambda x: np.take_along_axis(x, np.array([[0]]), 0), ValueError),
        (lambda x: np.take_along_axis(x, np.array([0.5]), 0), IndexError),
        (lambda x: np.delete(x, 5), IndexError),
    ],
)
def test_what_numpy_refuses_is_refused(function, error):
    plain = np.random.default_rng(0).normal(size=3)
    with pytest.raises(error):
        function(plain)
    with pytest.raises(error):
        function(ag.tensor(plain, requires_grad=True))


def test_the_masked_branch_of_select_does_not_poison_the_gradient():
    x = ag.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    with np.errstate(invalid="ignore"):
        y = np.select([x > 0], [np.sqrt(x)], 0.0)
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.25]


def test_piecewise_takes_functions_that_use_other_tensors():
    x, k = tracked(4), tracked()
    y = np.piecewise(x, [x < 0], [lambda part: k * part, lambda part: part**2])
    np.testing.assert_allclose(y.data, np.where(x.data < 0, k.data * x.data, x.data**2))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.where(x.data < 0, k.data, 2 * x.data))
    np.testing.assert_allclose(k.grad.data, x.data[x.data < 0].sum())
