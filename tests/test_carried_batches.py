"""A batch that is carried out of ag.vmap is an error when vmap returns; what only seems to be carried out is none."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.arrays.batching import BatchingError

X = np.ones((3, 2))
W = ag.tensor(np.ones(2), requires_grad=True)


class Model:
    last = None


def into_a_list(x, kept):
    kept["list"].append(x * 2)
    return x.sum()


def the_argument(x, kept):
    kept["list"].append(x)
    return (x * 3).sum()


def what_the_graph_saves_too(x, kept):
    y = x * 2
    kept["list"].append(y)
    return (y * y).sum()


def into_a_dict(x, kept):
    kept["y"] = (x * 2, "with a name")
    return x.sum()


def as_an_attribute(x, kept):
    kept["model"].last = x * 2
    return x.sum()


def within_an_inner_map(x, kept):
    return ag.vmap(lambda a: into_a_list(a, kept))(np.outer(x, x) * x).sum()


WAYS = [into_a_list, the_argument, what_the_graph_saves_too, into_a_dict, as_an_attribute, within_an_inner_map]
# With a graph the count is of all tensors, and a batch that takes the place of an older tensor is not found: such runs are not promised.
PASSES = {
    "plain": lambda f: ag.vmap(f)(X),
    "with a parameter": lambda f: ag.vmap(lambda x: f(x * W))(X),
    "differentiated": lambda f: ag.grad(lambda a: ag.vmap(lambda x: f(x * 1.0))(a).sum())(X),
    "gradients inside": lambda f: ag.vmap(ag.grad(lambda x: f(x * 1.0)))(X),
}


@pytest.mark.parametrize("run", [PASSES["plain"], PASSES["gradients inside"]], ids=["plain", "gradients inside"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_batch_that_is_carried_out_is_an_error_when_vmap_returns(way, run):
    kept = {"list": [], "model": Model()}
    gc.collect()  # where a graph is kept, tensors are counted: old ones that die meanwhile would hide new ones
    with pytest.raises(BatchingError, match="carried out of the function"):
        run(lambda x: way(x, kept))


def test_a_batch_in_an_enclosing_variable_is_an_error():
    total = ag.tensor(0.0)

    def f(x):
        nonlocal total
        total = total + x.sum()
        return x

    with pytest.raises(BatchingError, match="variable total"):
        ag.vmap(f)(X)


def test_what_was_carried_out_says_so_when_it_is_used_later():
    kept = {"list": []}
    with pytest.raises(BatchingError):
        ag.vmap(lambda x: into_a_list(x, kept))(X)
    (carried,) = kept["list"]
    uses = [repr, np.asarray, lambda t: t.shape, lambda t: t + 1, np.sin, float, list, lambda t: t.data, lambda t: t[0]]
    for use in uses:
        with pytest.raises(BatchingError, match=r"carried out of ag\.vmap"):
            use(carried)


# --- no false alarms -------------------------------------------------------------------------------------------------------------


def keeps_shapes_and_values_that_do_not_differ(x, kept):
    kept["list"] += [x.shape, np.ones(3), ag.tensor(2.0), W]
    return x.sum()


def holds_itself(x, kept):
    cycle = [x * 2]
    cycle.append(cycle)
    return x.sum()


def raises_and_catches(x, kept):
    def inner(y):
        z = y * 2
        raise ValueError(z.shape)

    try:
        inner(x)
    except ValueError as error:
        kept["list"].append(error)  # its traceback holds the frame, and that the batch
    return x.sum()


def refers_to_it_in_a_checkpoint(x, kept):
    scale = x.sum()
    return (ag.checkpoint(lambda h: np.sin(h) * scale)(x)).sum()


def maps_again(x, kept):
    return ag.vmap(lambda a: np.sin(a * x).sum())(np.outer(x, x)).sum()


def returns_the_argument(x, kept):
    return x


def leaves_a_generator(x, kept):
    kept["list"].append(type(v for v in x))
    return x.sum()


HARMLESS = [
    keeps_shapes_and_values_that_do_not_differ, holds_itself, raises_and_catches, refers_to_it_in_a_checkpoint, maps_again, returns_the_argument,
    leaves_a_generator,
]  # fmt: skip


@pytest.mark.parametrize("collected", [True, False], ids=["collected", "garbage stays"])
@pytest.mark.parametrize("way", HARMLESS, ids=lambda way: way.__name__)
def test_what_is_not_carried_out_is_no_error(way, collected):
    kept = {"list": []}
    if not collected:
        gc.disable()
    try:
        for run in (PASSES["plain"], PASSES["with a parameter"], PASSES["differentiated"]):
            run(lambda x: way(x, kept).sum())
    finally:
        gc.enable()


def test_a_batch_that_a_closure_of_the_graph_holds_is_differentiated():
    def f(x):
        return refers_to_it_in_a_checkpoint(x, {})

    expected = [ag.grad(f)(row) for row in X * [[1.0], [2.0], [3.0]]]
    found = ag.grad(lambda a: ag.vmap(f)(a).sum())(X * [[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
