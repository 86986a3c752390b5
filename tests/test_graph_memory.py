"""What a graph keeps alive, and when it lets go: reference counts alone free it, and nothing is kept that no rule asks for."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import autograd_core as ag


@pytest.fixture
def no_collector():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def kept_arrays(y):
    """The arrays that the node of `y` keeps."""
    return [v for v in y.node.saved if isinstance(v, np.ndarray)]


# --- what a node holds ------------------------------------------------------------------------------------------------------

A = np.full((2, 3), 0.5)

KEEPS_NOTHING = {
    "x + b": lambda x, b: x + b,
    "x - b": lambda x, b: x - b,
    "b - x": lambda x, b: b - x,
    "-x": lambda x, b: -x,
    "x + 1": lambda x, b: x + 1.0,
    "x + tensor": lambda x, b: x + leaf(b),
    "sum": lambda x, b: x.sum(axis=0),
    "mean": lambda x, b: x.mean(),
    "reshape": lambda x, b: x.reshape(3, 2),
    "transpose": lambda x, b: x.T,
    "broadcast_to": lambda x, b: np.broadcast_to(x, (4, 2, 3)),
    "expand_dims": lambda x, b: np.expand_dims(x, 0),
    "squeeze": lambda x, b: np.squeeze(x[:1]),
    "slice": lambda x, b: x[:, 1],
    "concatenate": lambda x, b: np.concatenate([x, b]),
    "stack": lambda x, b: np.stack([x, x]),
    "cumsum": lambda x, b: np.cumsum(x, axis=0),
    "floor": lambda x, b: np.floor(x),
    "astype": lambda x, b: x.astype(np.float32),
    "copy": lambda x, b: x.copy(),
}


@pytest.mark.parametrize("name", KEEPS_NOTHING)
def test_linear_operations_keep_no_array(name):
    y = KEEPS_NOTHING[name](leaf(A), A)
    assert kept_arrays(y) == []


@pytest.mark.parametrize("function", [np.tanh, np.exp, np.sqrt])
def test_functions_with_a_rule_in_their_result_keep_just_that(function):
    x = leaf(A)
    y = function(x)
    (kept,) = kept_arrays(y)
    assert kept is y._array


@pytest.mark.parametrize("function", [np.sin, np.cos, np.log])
def test_functions_with_a_rule_in_their_argument_keep_just_that(function):
    x = leaf(A)
    (kept,) = kept_arrays(function(x))
    assert kept is x._array


def test_a_product_keeps_the_factors_that_a_tracked_argument_needs_and_no_other():
    x, constant = leaf(A), ag.tensor(A)
    (kept,) = kept_arrays(x * constant)
    assert kept is constant._array
    (kept,) = kept_arrays(constant * x)
    assert kept is constant._array
    other = leaf(A)
    assert {id(a) for a in kept_arrays(x * other)} == {id(x._array), id(other._array)}


def test_a_product_with_a_number_keeps_the_number():
    y = leaf(A) * 3.0
    assert y.node.saved == (3.0,)


def test_what_is_not_tracked_is_not_recorded():
    y = ag.tensor(A) * 2 + np.sin(ag.tensor(A))
    assert y.node is None


def test_a_node_points_to_no_tensor():
    x = leaf(A)
    y = (x * x).sum()
    for node in (y.node, *y.node.parents):
        assert not any(isinstance(link, ag.Tensor) for link in node.links)


def test_a_recorded_product_costs_at_most_three_objects_that_the_collector_tracks(no_collector):
    x, w = leaf(np.ones(8)), leaf(np.ones(8))
    kept = [x * w for _ in range(10)]
    before = len(gc.get_objects())
    kept += [x * w for _ in range(1000)]
    assert (len(gc.get_objects()) - before) / 1000 <= 3


# --- when it lets go -----------------------------------------------------------------------------------------------------------


GRAPHS = {
    "elementwise": lambda x: ((x.tanh() * x).exp() / x).sum(),
    "products": lambda x: (x @ x.T).sum(),
    "indexing": lambda x: (x[0] * x[:, :1]).sum() + x[[0, 0]].sum(),
    "shapes": lambda x: np.concatenate([x, x.T]).reshape(-1).sum(),
    "several results": lambda x: sum(part.sum() for part in np.split(x * x, 2)),
    "branches": lambda x: (np.where(x.data > 0, np.sqrt(x), x) * np.maximum(x, 0.25)).max(),
    "statistics": lambda x: x.var() + x.std(axis=0).sum() + x.prod(),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("use", ["dropped", "backward", "gradient", "second order", "hooked"])
def test_a_graph_is_freed_by_reference_counts_alone(name, use, no_collector):
    gc.collect()  # what pytest left since the fixture
    x = leaf(np.array([[0.5, 1.5], [2.5, 3.5]]))
    middle = x * 1.0
    middle.retain_grad()
    if use == "hooked":
        middle.register_hook(lambda g: g * 2)
    y = GRAPHS[name](middle)
    watched = [weakref.ref(t) for t in (x, middle, y, middle.data)]
    if use in ("backward", "hooked"):
        y.backward()
    elif use == "gradient":
        watched.append(weakref.ref(ag.gradient(y, x).data))
    elif use == "second order":
        g = ag.gradient(y, x, create_graph=True)
        watched += [weakref.ref(g), weakref.ref(g._array)]
        ag.gradient(g.sum(), x, allow_unused=True)
        del g
    del x, middle, y
    assert [ref() for ref in watched] == [None] * len(watched)
    assert gc.collect() == 0


def test_an_exception_in_the_sweep_leaves_nothing_that_only_the_collector_could_free(no_collector):
    @ag.op(x=lambda g: 1 / 0)
    def broken(x):
        return x + 0.0

    x = leaf(np.ones(3))
    middle = x * 2.0
    y = broken(middle).sum()
    watched = [weakref.ref(t) for t in (x, middle, y, middle.data)]
    with contextlib.suppress(ZeroDivisionError):
        y.backward()
    del x, middle, y
    assert [ref() for ref in watched] == [None] * len(watched)


def test_saved_values_are_freed_as_the_sweep_passes():
    alive = []

    @ag.op(x=lambda g: alive.append(sum(ref() is not None for ref in refs)) or g)
    def early(x):
        return x + 0.0

    x = leaf(np.ones(1000))
    y = early(x)
    refs = []
    for _ in range(20):
        y = np.exp(y * 0.01)
        refs.append(weakref.ref(y._array))
    last = y.sum()
    del y
    last.backward()
    assert alive == [0], "arrays that the sweep had passed were still alive when it reached the first operation"


def test_after_a_backward_pass_the_output_keeps_the_structure_but_no_array():
    x = leaf(np.ones(1000))
    middle = np.exp(x)
    ref = weakref.ref(middle._array)
    y = (middle * middle).sum()
    del middle
    y.backward()
    assert ref() is None
    assert y.node.op.name == "sum"
    assert y.node.parents[0].op.name == "multiply"


def test_a_retained_graph_keeps_its_arrays_for_as_long_as_its_output():
    x = leaf(np.ones(1000))
    middle = np.exp(x)
    ref = weakref.ref(middle._array)
    y = (middle * middle).sum()
    del middle
    y.backward(retain_graph=True)
    assert ref() is not None
    del y
    assert ref() is None


def test_no_grad_keeps_nothing():
    x = leaf(np.ones(1000))
    with ag.no_grad():
        middle = np.exp(x)
        ref = weakref.ref(middle._array)
        y = (middle * middle).sum()
        del middle
    assert ref() is None
    assert y.node is None


def test_lists_of_ever_new_lengths_leave_nothing_behind():
    from autograd_core.tape.table import TABLE

    x = leaf(np.ones(1))
    for length in range(1, 200):
        np.concatenate([x] * length)
    assert len(TABLE[np.concatenate].plans) <= 64


# --- peaks ------------------------------------------------------------------------------------------------------------------------

MEGABYTE = np.ones(131_072)


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_a_chain_of_additions_needs_no_more_than_its_result():
    x, b = leaf(MEGABYTE), leaf(MEGABYTE)

    def forward():
        y = x
        for _ in range(50):
            y = y + b

    assert peak(forward) <= 3


def test_a_chain_of_sines_keeps_one_array_per_operation():
    x = leaf(MEGABYTE)

    def step():
        y = x
        for _ in range(50):
            y = np.sin(y)
        y.sum().backward()

    assert peak(step) <= 57


def test_a_tensor_used_many_times_has_one_gradient_array():
    x = leaf(MEGABYTE)
    outputs = [x * 2.0 for _ in range(50)]
    total = outputs[0].sum()
    for y in outputs[1:]:
        total = total + y.sum()
    del outputs, y
    assert peak(total.backward) <= 6


def test_filling_a_tensor_item_by_item_copies_it_once():
    x = leaf(np.ones(1000))

    def fill():
        y = ag.tensor(np.zeros(131_072))
        for i in range(1000):
            y[i] = x[i] * 2.0
        return y

    fill()
    assert peak(fill) <= 4
