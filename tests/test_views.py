"""Writing through views: tensors that show the same memory change together, as NumPy's arrays do, and gradients follow.

WRITES=20000 pytest -s tests/test_views.py makes a long run of random programs, and prints what was tried.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from numeric_gradient import numeric_gradient

import autograd_core as ag

PROGRAMS = int(os.environ.get("WRITES", "300"))


def item_of_a_row(y):
    y[1][0] = 5.0


def product_into_an_item_of_a_row(y):
    y[1][0] *= 2.0


def scaled_slice(y):
    v = y[1:]
    v *= 2.0


def slice_of_a_slice(y):
    y[1:][1:, ::2] = y[0, :2]


def transposed(y):
    y.T[0] = y[0, 0] * y[1]


def reshaped(y):
    y.reshape(3, 1, 3)[1, 0, 0] = y[0, 0] ** 2  # (a reshape to one axis is a copy in Fortran order, for NumPy too)


def rows_of_a_loop(y):
    for row in y:
        row[0] = row[1] * row[2]


def rows_added_to(y):
    for row in y:
        row += row[0] * 1.0


def kept_slice(y):
    u = y[:2]
    y[0] = 7.0
    y[2] = u[0] * u[1]


def kept_slice_of_a_filled_array(y):
    y[2] = y[0] * 2.0
    u = y[:2]
    y[0] = 7.0 * y[1]
    y[2] = u[0] * u[1]


def swapped_axes(y):
    y.swapaxes(0, 1)[1, :] = 3.0 * y[0]


def two_views(y):
    a, b = y[:2], y[1:]
    a[1] = 4.0 * y[0]
    b[0] *= b[1]


def masked_part(y):
    v = y[1:]
    v[np.array([[True, False, True], [False, True, False]])] = y[0, 0] * 2.0


def whole_after_a_view(y):
    v = y[0]
    y *= 3.0
    y[1] = v * v


WRITES = [
    item_of_a_row,
    product_into_an_item_of_a_row,
    scaled_slice,
    slice_of_a_slice,
    transposed,
    reshaped,
    rows_of_a_loop,
    rows_added_to,
    kept_slice,
    kept_slice_of_a_filled_array,
    swapped_axes,
    two_views,
    masked_part,
    whole_after_a_view,
]
X = np.linspace(0.5, 1.5, 9).reshape(3, 3)


def loss_of(write, x):
    y = x * 1.0
    write(y)
    return (np.sin(y) * np.arange(9.0).reshape(3, 3)).sum()


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_a_write_through_a_view_has_numpys_value_and_its_gradient(write):
    x = ag.tensor(X, requires_grad=True)
    loss = loss_of(write, x)
    assert loss.item() == loss_of(write, X)
    ag.gradcheck(lambda x: loss_of(write, x), X, order=2, vary=False)


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_untracked_tensors_are_written_to_alike(write, dtype):
    x = (X * 10).astype(dtype)
    t = ag.tensor(x)
    expected = x * 1
    write(expected)
    changed = t * 1
    write(changed)
    np.testing.assert_array_equal(changed.data, expected)
    assert changed.dtype == dtype
    np.testing.assert_array_equal(t.data, x)


@pytest.mark.parametrize("write", WRITES, ids=lambda f: f.__name__)
def test_forward_mode_and_maps_follow_a_write_through_a_view(write):
    def f(x):
        return loss_of(write, x)

    t = np.cos(X)
    np.testing.assert_allclose(ag.jvp(f, (X,), (t,))[1], (ag.grad(f)(X) * t).sum(), rtol=1e-12)
    both = np.stack([X, 2 * X])
    np.testing.assert_allclose(ag.vmap(f)(both), [f(x) for x in both], rtol=1e-12)
    np.testing.assert_allclose(ag.vmap(ag.grad(f))(both), [ag.grad(f)(x) for x in both], rtol=1e-10)


def test_an_earlier_use_of_a_view_keeps_what_it_saw():
    x = ag.tensor(X, requires_grad=True)
    y = x * 1.0
    before = (y[0] * y[0]).sum()
    y[0][1] = 100.0
    before.backward()
    expected = np.zeros((3, 3))
    expected[0] = 2 * X[0]
    np.testing.assert_array_equal(x.grad.data, expected)


def test_a_view_of_a_leaf_is_written_to_inside_no_grad_only():
    p = ag.tensor(X, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"view of a leaf that requires grad .*no_grad"):
        p[1][0] = 5.0
    with ag.no_grad():
        p[1][0] = 5.0
        v = p[2]
        v *= 2.0
    expected = X.copy()
    expected[1, 0] = 5.0
    expected[2] *= 2.0
    np.testing.assert_array_equal(p.data, expected)
    assert p.is_leaf
    assert p.requires_grad


def test_a_view_whose_whole_is_gone_is_refused_where_another_view_would_miss_the_write():
    a, b = (lambda y: (y[:2], y[1:]))(ag.tensor(X, requires_grad=True) * 1.0)
    with pytest.raises(RuntimeError, match="no tensor that shows all of it"):
        a[1] = 0.0
    del b
    a[1] = 0.0
    assert a[1].tolist() == [0.0, 0.0, 0.0]


def test_views_of_a_whole_that_is_gone_know_of_one_another_when_their_arrays_do_not():
    x = ag.tensor(X, requires_grad=True)

    def views():
        y = x * 1.0
        y[2] = x[0] * x[1]  # a tensor that is being filled gives copies for views
        return y[None], y[1:], y[0]

    a, b, c = views()
    with pytest.raises(RuntimeError, match="no tensor that shows all of it"):
        b[0] = 0.0
    del a
    b[0] = 0.0  # the row c has no element of it
    assert b[0].tolist() == [0.0] * 3
    c *= 2.0
    np.testing.assert_array_equal(c.data, 2 * X[0])


def test_rows_of_an_array_that_is_gone_are_written_to_one_by_one():
    def f(x):
        rows = list(x * 1.0)
        for row in rows:
            row[0] *= row[1]
        return sum((row * row).sum() for row in rows)

    ag.gradcheck(f, X, vary=False)
    np.testing.assert_allclose(ag.jvp(f, (X,), (np.ones_like(X),))[1], ag.grad(f)(X).sum(), rtol=1e-12)
    np.testing.assert_allclose(ag.vmap(ag.grad(f))(np.stack([X, 2 * X]))[1], ag.grad(f)(2 * X), rtol=1e-12)


def test_reading_rows_while_filling_costs_the_same_for_each_row():
    """A recurrence copies nothing: the array that is filled stays the same object."""
    x = ag.tensor(1.0, requires_grad=True)
    h = ag.tensor(np.zeros((50, 4)))
    h[0] = x
    first = id(h._array)
    for i in range(1, 50):
        before = h[i - 1]
        h[i] = before * 1.5
        assert id(h._array) == first
    h[-1].sum().backward()
    np.testing.assert_allclose(x.grad.data, 4 * 1.5**49)


# Views that NumPy's functions make, and numbers, of which there are none: forward mode and maps have to see what NumPy does.


def function_of_the_whole(function):
    def write(y):
        v = function(y)
        v *= 2.0

    write.__name__ = getattr(function, "__name__", "view")
    return write


def number_is_no_view(y):
    v = y[0][1]
    v += 10.0
    y[1] *= v


def number_is_kept(y):
    v = y[0][1]
    y[0] = 5.0
    y[2] *= v


def numbers_of_a_loop(y):
    for number in y[0]:
        number += 1.0
        y[2] += number


def copy_by_reshape(y):
    v = y.T.reshape(-1)
    v *= 2.0
    y[0] += v[3]


def copy_by_reshape_after_a_write(y):
    v = y.T
    y[0] = 5.0
    w = v.reshape(-1)
    w *= 2.0
    y[1] += w[3]


def total_is_no_view(y):
    s = y.sum()
    v = np.reshape(s, 1)
    v[0] = 3.0
    y[1] *= s


def view_of_one_number(y):
    v = y[0, :1]
    w = np.squeeze(v)
    z = np.squeeze(w)
    v[...] -= z
    np.ravel(z)[0] *= y[1, 1]


VIEWS_BY_FUNCTIONS = [function_of_the_whole(f) for f in (np.squeeze, np.ravel, np.transpose, np.flip, np.real, np.fliplr, np.rot90)]
VIEWS_BY_FUNCTIONS += [
    function_of_the_whole(lambda y: np.expand_dims(y, 0)),
    function_of_the_whole(lambda y: np.reshape(y, (9, 1))),
    function_of_the_whole(lambda y: np.swapaxes(y, 0, 1)),
    function_of_the_whole(lambda y: np.moveaxis(y, 0, 1)),
    function_of_the_whole(lambda y: np.split(y, 3)[1]),
    function_of_the_whole(lambda y: y.real),
    function_of_the_whole(lambda y: y.squeeze()),
    number_is_no_view,
    number_is_kept,
    numbers_of_a_loop,
    copy_by_reshape,
    copy_by_reshape_after_a_write,
    total_is_no_view,
    view_of_one_number,
]


@pytest.mark.parametrize("write", VIEWS_BY_FUNCTIONS, ids=lambda f: f.__name__)
def test_what_is_a_view_and_what_is_none_is_numpys_choice_in_all_kinds_of_passes(write):
    def f(x):
        return loss_of(write, x)

    expected, t, both = f(X), np.cos(X), np.stack([X, 2 * X])
    value, g = ag.value_and_grad(f)(X)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(g, numeric_gradient(f, X), atol=1e-7)
    value, slope = ag.jvp(f, (X,), (t,))
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, (g * t).sum(), rtol=1e-12)
    np.testing.assert_allclose(ag.vmap(f)(both), [f(x) for x in both], rtol=1e-12)
    np.testing.assert_allclose(ag.vmap(f, in_axes=2)(np.moveaxis(both, 0, 2)), [f(x) for x in both], rtol=1e-12)
    np.testing.assert_allclose(ag.vmap(ag.grad(f))(both), [ag.grad(f)(x) for x in both], rtol=1e-10)
    np.testing.assert_allclose(ag.hvp(f)(X, t), ag.jvp(ag.grad(f), (X,), (t,))[1], rtol=1e-12)


RESHAPED = {
    "reshape": lambda t: t.reshape(-1),
    "np.ravel": np.ravel,
    "transposed": lambda t: t.T.reshape(-1),
    "backwards": lambda t: t[::-1].reshape(-1),
    "a column of a matrix": lambda t: t[:, :1].reshape(-1),
    "a column": lambda t: t[:, 0].reshape(-1),
    "a column, raveled": lambda t: t[:, 0].ravel(),
    "a column backwards, raveled": lambda t: np.ravel(t[::-1, 1]),
    "a row, raveled": lambda t: t[1].ravel(),
    "transposed, raveled": lambda t: np.ravel(t.T),
    "one element, flipped": lambda t: np.flip(t[0, 0, ...]),
}


@pytest.mark.parametrize("name", RESHAPED)
@pytest.mark.parametrize("in_axes", [0, 1, 2])
def test_a_reshape_in_a_map_is_a_view_where_it_is_one_of_an_element(name, in_axes):
    def f(x):
        total = 0.0
        for y in (x * 1.0, x[[0, 2, 1]], x[:, [0, 2, 1]]):
            v = RESHAPED[name](y)
            v *= 2.0
            total = total + (np.sin(y) * np.arange(9.0).reshape(3, 3)).sum() + v.sum()
        return total

    both = np.stack([X, 2 * X])
    mapped = np.ascontiguousarray(np.moveaxis(both, 0, in_axes))
    np.testing.assert_allclose(ag.vmap(f, in_axes=in_axes)(mapped), [f(x) for x in both], rtol=1e-12)
    np.testing.assert_allclose(ag.vmap(ag.grad(f), in_axes=in_axes)(mapped), [ag.grad(f)(x) for x in both], rtol=1e-12)


@pytest.mark.parametrize("view", [lambda p: p[...], lambda p: p[None], lambda p: p[..., None]])
def test_a_view_of_a_leaf_of_one_number_shows_it(view):
    p = ag.tensor(0.5, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        view(p)[...] = 2.0
    with ag.no_grad():
        view(p)[...] = 2.0
    assert p.item() == 2.0
    assert p.is_leaf
    t = (p * 1.0).copy()  # an array, for NumPy too
    view(t)[...] *= p
    assert t.item() == 4.0


# --- random programs ------------------------------------------------------------------------------------------------------------


def random_program(seed):
    """Steps on a list of arrays, as data, so that NumPy and the tape can run the same ones."""
    random = np.random.default_rng(seed)
    steps = []
    shapes = [(3, 4)]
    for _ in range(random.integers(3, 12)):
        i = int(random.integers(len(shapes)))
        shape = shapes[i]
        kind = random.choice(["view", "write", "multiply", "add", "product"])
        if kind == "view" and shape:
            ways = [lambda a: a[1:], lambda a: a[::-1], lambda a: a[0], lambda a: a.T, lambda a: a.reshape(-1), lambda a: a[..., -1:]]
            way = int(random.integers(len(ways)))
            made = ways[way](np.empty(shape))
            if made.size and made.base is not None:
                steps.append(("view", i, ways[way]))
                shapes.append(made.shape)
        elif kind == "write" and shape:
            at = tuple(int(random.integers(n)) for n in shape[: random.integers(1, len(shape) + 1)])
            steps.append(("write", i, at, float(random.normal())))
        elif kind == "product" and shape:
            j = int(random.integers(len(shapes)))
            at = tuple(int(random.integers(n)) for n in shape)
            other = tuple(int(random.integers(n)) for n in shapes[j])
            steps.append(("product", i, at, j, other))
        else:
            steps.append((kind, i, float(random.normal())))
    return steps, random.normal(size=(3, 4)), random


def run(steps, x, coefficients):
    arrays = [x * 1.0]
    loss = 0.0
    for step in steps:
        kind, i, *rest = step
        if kind == "view":
            arrays.append(rest[0](arrays[i]))
        elif kind == "write":
            arrays[i][rest[0]] = rest[1]
        elif kind == "product":
            at, j, other = rest
            arrays[i][at] = arrays[i][at] * arrays[j][other]
        elif kind == "multiply":
            arrays[i] *= rest[0]
        elif kind == "add":
            arrays[i] += rest[0] * arrays[i]
        loss = loss + (np.tanh(arrays[i]) * coefficients[len(arrays) % 7]).sum()
    return loss, arrays


@pytest.mark.parametrize("part", range(10))
def test_random_programs_of_views_and_writes_agree_with_numpy(part):
    print(f"seeds {part} + 10 n")
    for seed in range(part, PROGRAMS, 10):
        steps, x, random = random_program(seed)
        coefficients = random.normal(size=7)
        expected, arrays = run(steps, x, coefficients)
        t = ag.tensor(x, requires_grad=True)
        loss, tensors = run(steps, t, coefficients)
        for array, tensor in zip(arrays, tensors, strict=True):
            np.testing.assert_allclose(tensor.data, array, rtol=1e-12, err_msg=f"seed {seed}: {steps}")
        np.testing.assert_allclose(loss.item(), expected, rtol=1e-10, err_msg=f"seed {seed}")
        loss.backward()
        direction = random.normal(size=x.shape)
        h = 1e-6
        numeric = (run(steps, x + h * direction, coefficients)[0] - run(steps, x - h * direction, coefficients)[0]) / (2 * h)
        np.testing.assert_allclose((t.grad.data * direction).sum(), numeric, rtol=2e-6, atol=2e-7, err_msg=f"seed {seed}: {steps}")
