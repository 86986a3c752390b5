"""`f.at(t, indices, values)` of ufuncs on tensors: values and gradients, where places repeat."""

import numpy as np
import pytest
from numeric_gradient import numeric_gradient

import autograd_core as ag
from autograd_core.tape.loading import load_more
from autograd_core.tape.table import UPDATES

load_more()
METHODS = [key[0] for key in UPDATES if isinstance(key, tuple) and key[1] == "at" and hasattr(np, key[0].__name__)]
UNARY = [f for f in METHODS if f.nin == 1]
BINARY = [f for f in METHODS if f.nin == 2]
STEEP = {np.arccosh: 1.5, np.arctanh: 0.1, np.arcsin: 0.3, np.arccos: 0.3}  # where to stand; elsewhere near 1, within every other domain
INDICES = {
    "repeated": np.array([2, 0, 2, 2]),
    "slice": slice(0, 2),
    "list": [1, 1],
    "mask": np.array([True, False, True]),
    "none": np.array([], dtype=int),
}


def name(f):
    return f.__name__


def weighted(t):
    return np.sum(t * np.arange(1.0, 1.0 + t.size).reshape(t.shape))


def applied(f, a, indices, *values):
    result = np.copy(a) if isinstance(a, np.ndarray) else a * 1.0
    f.at(result, indices, *values)
    return result


@pytest.mark.parametrize("f", BINARY, ids=name)
@pytest.mark.parametrize("indices", INDICES.values(), ids=INDICES)
def test_a_place_that_comes_twice_is_changed_twice_in_value_and_gradient(f, indices):
    a = np.array([1.31, 0.79, 2.13])
    b = 0.6 + 0.17 * np.arange(a[indices].size)
    if f is np.ldexp:
        b = np.arange(b.size)
    x = ag.tensor(a, requires_grad=True)
    y = ag.tensor(b, requires_grad=True) if f is not np.ldexp else b
    result = applied(f, x, indices, y)
    assert np.array_equal(result.data, applied(f, a, indices, b))
    weighted(result).backward()
    assert np.allclose(x.grad.data, numeric_gradient(lambda v: weighted(applied(f, v, indices, b)), a), atol=1e-7)
    if f is not np.ldexp:
        found = np.zeros(b.shape) if y.grad is None else y.grad.data
        assert np.allclose(found, numeric_gradient(lambda v: weighted(applied(f, a, indices, v)), b), atol=1e-7)


@pytest.mark.parametrize("f", UNARY, ids=name)
def test_functions_of_one_argument_are_applied_as_often_as_a_place_comes(f):
    a = np.array([1.03, 1.1, 1.23]) * STEEP.get(f, 1.0)
    indices = [0, 2] if f in STEEP else [0, 2, 2]
    x = ag.tensor(a, requires_grad=True)
    result = applied(f, x, indices)
    assert np.array_equal(result.data, applied(f, a, indices))
    weighted(result).backward()
    expected = [1.0, 2.0, 3.0] * slopes(f, a, indices)
    assert np.allclose(x.grad.data, expected, atol=1e-6)


def slopes(f, a, indices):
    step = 1e-6
    return (applied(f, a + step, indices) - applied(f, a - step, indices)) / (2 * step)


def test_the_second_derivative_of_an_update_that_repeats():
    x = ag.tensor([2.0, 3.0], requires_grad=True)
    b = ag.tensor([5.0, 7.0], requires_grad=True)
    t = x * 1.0
    np.multiply.at(t, [0, 0], b)  # x0 b0 b1
    (first,) = ag.gradient(t[0], [b], create_graph=True)
    assert first.data.tolist() == [14.0, 10.0]
    (second,) = ag.gradient(first[0], [x])
    assert second.data.tolist() == [7.0, 0.0]


def test_one_value_for_many_places_gets_the_sum():
    b = ag.tensor(3.0, requires_grad=True)
    t = ag.tensor(np.ones((2, 2)))
    np.multiply.at(t, (slice(None), 0), b)
    assert t.data.tolist() == [[3.0, 1.0], [3.0, 1.0]]
    t.sum().backward()
    assert b.grad.item() == 2.0


def test_an_array_without_axes_can_be_updated():
    x = ag.tensor(2.0, requires_grad=True)
    t = x * 1.0
    np.power.at(t, (), 3.0)
    t.backward()
    assert (t.item(), x.grad.item()) == (8.0, 12.0)


def test_an_update_of_a_plain_array_with_tracked_values_is_refused():
    with pytest.raises(TypeError, match="make it a tensor first"):
        np.multiply.at(np.ones(2), [0], ag.tensor([2.0], requires_grad=True))


@pytest.mark.parametrize("f", [np.subtract, np.float_power], ids=name)
def test_a_fold_whose_order_matters_takes_one_axis_as_in_numpy(f):
    a = np.ones((2, 3))
    for x in (a, ag.tensor(a, requires_grad=True)):
        with pytest.raises(ValueError, match="at most one axis"):
            f.reduce(x, axis=(0, 1))
