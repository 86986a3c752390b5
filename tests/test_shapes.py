"""Rearranging, joining, padding, sorting: what the generated tests of every rule cannot say by a formula."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import autograd_core as ag


def tracked(*shape: int, seed: int = 0) -> ag.Tensor:
    return ag.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: np.reshape(x, 6, order="A"),
        lambda x: x.reshape(6, order="A"),
        lambda x: np.ravel(x, "K"),
        lambda x: x.flatten("A"),
    ],
)
def test_an_order_that_depends_on_the_memory_layout_is_refused(function):
    with pytest.raises(TypeError, match="'C' or 'F'"):
        function(tracked(2, 3))


def test_arguments_in_lists_may_change_after_the_call():
    x, axes, widths, repeats = tracked(2, 3, 4), [1, 2, 0], [[1, 0], [0, 0], [0, 2]], [1, 2]
    results = [np.transpose(x, axes), np.pad(x, widths), np.repeat(x, repeats, 0), np.flip(x, axis=tuple(axes))]
    axes[:], widths[0][0], repeats[:] = [0, 1, 2], 0, [2, 1]
    w = np.random.default_rng(1)
    sum((y * w.normal(size=y.shape)).sum() for y in results).backward()
    w = np.random.default_rng(1)
    a, b, c, d = (w.normal(size=y.shape) for y in results)
    expected = a.transpose(2, 0, 1) + b[1:, :, :4] + np.stack([c[0], c[1] + c[2]]) + np.flip(d)
    np.testing.assert_allclose(x.grad.data, expected)


@pytest.mark.parametrize(
    ("function", "error"),
    [
        (lambda x: np.reshape(x, (4, 2)), ValueError),
        (lambda x: np.transpose(x, (0, 0)), ValueError),
        (lambda x: np.squeeze(x, 0), ValueError),
        (lambda x: np.rollaxis(x, 5), ValueError),
        (lambda x: np.broadcast_to(x, (2, 2)), ValueError),
        (lambda x: np.split(x, 2, axis=1), ValueError),
        (lambda x: np.split(x, 2, axis=3), IndexError),
        (lambda x: np.concatenate([x, x[0]]), ValueError),
        (lambda x: np.stack([x, x[0]]), ValueError),
        (lambda x: np.dsplit(x, 1), ValueError),
        (lambda x: np.vsplit(x[0], 1), ValueError),
        (lambda x: np.hsplit(x[0, 0], 1), ValueError),
        (lambda x: np.block([[x], x]), ValueError),
        (lambda x: np.block([[x], []]), ValueError),
        (lambda x: np.block((x, x)), TypeError),
        (lambda x: np.meshgrid(x[0], x[0], indexing="ji"), ValueError),
        (lambda x: np.ix_(x), ValueError),
        (lambda x: np.broadcast_arrays(x, x[:, :2]), ValueError),
        (lambda x: np.pad(x, -1), ValueError),
        (lambda x: np.pad(x, 1.5), TypeError),
        (lambda x: np.pad(x, 1, "other"), ValueError),
        (lambda x: np.pad(x, 1, "edge", constant_values=1), ValueError),
        (lambda x: np.pad(x[:0], 1, "edge"), ValueError),
        (lambda x: np.sort(x, 2), ValueError),
        (lambda x: np.partition(x, 7), ValueError),
        (lambda x: sliding_window_view(x, (3, 2)), ValueError),
        (lambda x: np.linspace(x, x, -1), ValueError),
        (lambda x: np.geomspace(x * 0, x), ValueError),
        (lambda x: np.apply_along_axis(np.sum, 0, x[:, :0]), ValueError),
        (lambda x: np.insert(x, 9, 1.0), IndexError),
        (lambda x: np.atleast_1d(x).reshape(7), ValueError),
    ],
)
def test_what_numpy_refuses_is_refused(function, error):
    plain = np.random.default_rng(0).normal(size=(2, 3))
    with pytest.raises(error):
        function(plain)
    with pytest.raises(error):
        function(ag.tensor(plain, requires_grad=True))


def test_tracked_tensors_in_inner_lists_are_refused_where_they_would_be_lost():
    x, s = tracked(2), tracked()
    with pytest.raises(TypeError, match=r"np\.stack"):
        np.concatenate([[s], x])


def test_blocks_of_nested_lists_get_their_gradients():
    def f(a, b, c, d):
        return np.block([[a, b], [c, d]]) ** 2

    random = np.random.default_rng(0)
    ag.gradcheck(f, random.normal(size=(2, 2)), random.normal(size=(2, 1)), random.normal(size=2), random.normal(size=()), order=2)


# --- sorting --------------------------------------------------------------------------------------------------------------------


def test_equal_elements_are_sorted_in_the_order_in_which_they_stood():
    x = ag.tensor([2.0, 1.0, 2.0, 1.0, 2.0], requires_grad=True)
    (np.sort(x) * [1.0, 2.0, 3.0, 4.0, 5.0]).sum().backward()
    assert x.grad.tolist() == [3.0, 1.0, 4.0, 2.0, 5.0]


@pytest.mark.parametrize("size", [10, 5000])
@pytest.mark.parametrize("kth", [3, (1, -2)])
def test_partition_sends_each_gradient_to_the_element_that_stands_there(size, kth):
    """Of large arrays np.argpartition tells another permutation than the one that np.partition made."""
    x, w = tracked(size), np.random.default_rng(1).normal(size=size)
    y = np.partition(x, kth)
    np.testing.assert_array_equal(y.data, np.partition(x.data, kth))
    (y * w).sum().backward()
    places = {value: place for place, value in enumerate(y.tolist())}
    np.testing.assert_array_equal(x.grad.data, [w[places[value]] for value in x.tolist()])


def test_partition_gives_equal_elements_one_gradient_each():
    random = np.random.default_rng(0)
    x, w = ag.tensor(random.integers(0, 50, size=5000) * 1.0, requires_grad=True), random.normal(size=5000)
    y = np.partition(x, 2500)
    (y * w).sum().backward()
    for value in range(50):
        np.testing.assert_array_equal(np.sort(x.grad.data[x.data == value]), np.sort(w[y.data == value]))


def test_distinct_elements_send_the_gradient_to_the_first_of_equal_ones():
    values = np.array([1.5, -0.5, 1.5, np.nan, np.nan, 0.25])
    x = ag.tensor(values, requires_grad=True)
    found = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
    for ours, numpys in zip(found, np.unique(values, return_index=True, return_inverse=True, return_counts=True), strict=True):
        np.testing.assert_array_equal(ours.data if isinstance(ours, ag.Tensor) else ours, numpys)
    (found[0] * [1.0, 10.0, 100.0, 1000.0]).sum().backward()
    assert x.grad.tolist() == [100.0, 1.0, 0.0, 1000.0, 0.0, 10.0]


@pytest.mark.parametrize("function", [np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values])
def test_the_array_apis_sets_have_numpys_order_and_names(function):
    values = np.random.default_rng(0).integers(0, 9, size=(3, 5)) / 2
    values[0, :2] = np.nan
    x = ag.tensor(values, requires_grad=True)
    ours, numpys = function(x), function(values)
    if isinstance(numpys, tuple):
        assert ours._fields == numpys._fields
        for a, b in zip(ours[1:], numpys[1:], strict=True):
            np.testing.assert_array_equal(a, b)
        ours, numpys = ours.values, numpys.values
    np.testing.assert_array_equal(ours.data, numpys)
    ours.sum().backward()
    assert x.grad.data.sum() == len(numpys)


@pytest.mark.parametrize("trim", ["fb", "f", "B"])
@pytest.mark.parametrize("values", [[0.0, 0.0, 1.0, 0.0, 2.0, 0.0], [0.0, 0.0], [1.0, 2.0]])
def test_zeros_at_the_ends_are_trimmed(values, trim):
    x = ag.tensor(values, requires_grad=True)
    y = np.trim_zeros(x, trim)
    np.testing.assert_array_equal(y.data, np.trim_zeros(np.array(values), trim))
    y.sum().backward()
    assert x.grad.data.sum() == y.size


# --- padding --------------------------------------------------------------------------------------------------------------------


def test_tensors_can_be_the_constant_that_is_padded_with():
    def f(x, c):
        return np.pad(x, ((1, 2), (0, 1)), constant_values=c) ** 2

    random = np.random.default_rng(0)
    x = random.normal(size=(2, 3))
    for shape in [(), (2,), (1, 2), (2, 1), (2, 2)]:
        c = random.normal(size=shape)
        np.testing.assert_array_equal(f(ag.tensor(x), ag.tensor(c)).data, f(x, c))
        ag.gradcheck(f, x, c, order=2)


def test_padding_by_a_function_of_the_users_is_differentiable():
    def fill(row, width, axis, keywords):
        row[: width[0]] = row[width[0]] * keywords.get("factor", 1)
        row[row.shape[0] - width[1] :] = -1.0

    def f(x):
        return np.pad(x, ((1, 2), (1, 0)), fill, factor=3.0) ** 2

    x = np.random.default_rng(0).normal(size=(2, 2))
    np.testing.assert_array_equal(f(ag.tensor(x)).data, f(x))
    ag.gradcheck(f, x, order=2)


def test_what_an_empty_padding_holds_gets_no_gradient():
    x = tracked(2)
    y = np.pad(x, 1, "empty")
    assert y.shape == (4,)
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_the_width_of_padding_can_be_given_per_axis():
    x = tracked(2, 3)
    y = np.pad(x, [(0, 0), (2, 1)], "edge")
    np.testing.assert_array_equal(y.data, np.pad(x.data, [(0, 0), (2, 1)], "edge"))
    if np.lib.NumpyVersion(np.__version__) >= "2.4.0":
        np.testing.assert_array_equal(np.pad(x, {-1: (2, 1)}, "edge").data, y.data)


# --- windows, ranges --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "window", "axis"), [((9,), 2, None), ((9,), 8, 0), ((5, 6), (2, 5), (1, 0)), ((4, 7), (2, 2, 3), (0, 0, 1))])
def test_windows_are_folded_back_where_they_stood(shape, window, axis):
    x = tracked(*shape)
    y = sliding_window_view(x, window, axis)
    w = np.random.default_rng(1).normal(size=y.shape)
    (y * w).sum().backward()
    expected = np.zeros(x.size)
    np.add.at(expected, sliding_window_view(np.arange(x.size).reshape(shape), window, axis).ravel(), w.ravel())
    np.testing.assert_allclose(x.grad.data.ravel(), expected)


def test_functions_applied_along_an_axis_may_return_arrays_of_any_shape():
    def f(x):
        return np.apply_along_axis(lambda row: np.outer(row, row)[:, :2], 1, x)

    x = np.random.default_rng(0).normal(size=(2, 3, 2))
    np.testing.assert_array_equal(f(ag.tensor(x)).data, f(x))
    ag.gradcheck(f, x, order=2)


@pytest.mark.parametrize("function", [np.linspace, np.logspace])
def test_ranges_between_float32_tensors_and_numbers_stay_float32(function):
    x = ag.tensor(np.ones(2, np.float32), requires_grad=True)
    y = function(x, 2.0, 5)
    assert y.dtype == function(x.data, 2.0, 5).dtype == np.float32
    np.testing.assert_array_equal(y[-1].data, function(x.data, 2.0, 5)[-1])


class Pair(NamedTuple):
    first: Any
    second: Any


class Row(list):
    pass


@pytest.mark.parametrize("kind", [lambda *parts: Pair(*parts), lambda *parts: Row(parts)], ids=["named tuple", "subclass of list"])
@pytest.mark.parametrize("join", [np.concatenate, np.stack, np.hstack, np.vstack, np.column_stack])
def test_named_tuples_and_lists_of_ones_own_are_sequences(kind, join):
    def joined(x):
        return np.sum(join(kind(x, 2.0 * x)) * np.arange(4.0).reshape(join([np.ones(2)] * 2).shape))

    x = np.array([1.0, 2.0])
    want = ag.grad(lambda x: np.sum(join([x, 2.0 * x]) * np.arange(4.0).reshape(join([np.ones(2)] * 2).shape)))(x)
    assert np.array_equal(ag.grad(joined)(x), want)
    assert np.array_equal(ag.vmap(ag.grad(joined))(np.stack([x, x]))[1], want)
    assert ag.jvp(joined, (x,), (np.ones(2),))[1] == want.sum()


def test_a_constant_of_a_named_tuple_of_tensors_is_computed():
    t = ag.tensor([3.0, 1.0, 2.0], requires_grad=True)
    assert np.array_equal(np.lexsort(Pair(t, t)), [1, 2, 0])


def test_a_single_axis_may_be_written_as_a_number() -> None:
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    for transposed in (np.transpose(x, 0), np.transpose(x, -1), np.permute_dims(x, 0) if hasattr(np, "permute_dims") else x):
        assert ag.gradient((transposed * np.array([1.0, 3.0])).sum(), x).tolist() == [1, 3]
    assert ag.vmap(lambda row: np.transpose(row, 0))(np.eye(2)).tolist() == np.eye(2).tolist()


def test_a_number_is_an_array_of_one_element_to_repeat_take_and_compress() -> None:
    s = ag.tensor(2.0, requires_grad=True)
    weights = np.array([1.0, 10.0, 100.0])
    for repeated in (np.repeat(s, 3, axis=0), np.repeat(s, [3], -1), s.repeat(3, axis=0), np.take(s, [0, 0, 0], axis=0)):
        assert repeated.shape == (3,)
        assert ag.gradient((repeated * weights).sum(), s).item() == 111
    assert np.compress([True], s, axis=0).tolist() == [2]
    assert ag.vmap(lambda v: np.repeat(v, 2, axis=0))(np.arange(2.0)).tolist() == [[0, 0], [1, 1]]


def test_full_of_a_tensor_names_what_to_write_instead() -> None:
    with pytest.raises(TypeError, match=r"np.broadcast_to\(t, shape\) instead of np.full"):
        np.full((2, 3), ag.tensor(1.0, requires_grad=True))
