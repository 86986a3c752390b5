"""Batches over the whole table of operations: what is computed for many arrays at once is what a loop would compute."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_rules import COMPOSED, FEW_ULP, OPS, differences, every_row, leaf, report, subjects

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.layers import new_level
from autograd_core.gradcheck.numeric.spots import incoming_gradient
from autograd_core.tensor.backward import gradient
from autograd_core.tensor.handles import untracked
from autograd_core.tensor.tensor import Tensor
from autograd_core.transforms.vmap import map_over

pytestmark = pytest.mark.filterwarnings("ignore")

SIZE = 3


def copies(array: Any, random: np.random.Generator) -> Any:
    """A batch of arrays like `array`: itself, and others close enough to be as good a sample."""
    near = [array * (1 + 0.01 * random.uniform(-1, 1, array.shape)).astype(array.real.dtype) for _ in range(SIZE - 1)]
    return np.stack([array, *near])


def symmetrised(subject: Any, batches: list[Any]) -> list[Any]:
    """Arguments that are read as Hermitian matrices stay that."""
    return [(b + np.swapaxes(b, -1, -2).conj()) / 2 if i in subject.symmetric else b for i, b in enumerate(batches)]


@every_row
def test_a_batched_backward_pass_gives_the_rows_of_single_ones(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        random = np.random.default_rng(0)
        results, pull = subject.start(subject.arrays)
        gs = [np.stack([incoming_gradient(random, y) for _ in range(SIZE)]) for y in results]
        with np.errstate(all="ignore"):
            level = new_level()
            leaves = [leaf(a) for a in subject.arrays]
            found = subject.gradients(leaves, [Batched(g, level) for g in gs])
            rows = [pull([g[i] for g in gs]) for i in range(SIZE)]
        for k, (place, g) in enumerate(zip(subject.names, found, strict=True)):
            expected = [row[k] for row in rows]
            if g is None:
                assert expected == [None] * SIZE
                continue
            data = g._array
            payload = data.payload if isinstance(data, Batched) else np.broadcast_to(data, (SIZE, *data.shape))
            wrong += differences(label, [place], [payload], [np.stack(expected)], FEW_ULP)
    report(wrong)


def mapped_gradients(subject: Any, batches: list[Any], gs: list[Any], how: Callable[..., Any]) -> list[Any]:
    """The gradients for each element of the batches, by `how`: mapped, or in a loop."""
    count = len(batches)

    def gradients(parts: Any) -> list[Any]:
        leaves = [untracked(part._array if hasattr(part, "_array") else part[()]) for part in parts[:count]]
        for t in leaves:
            t.requires_grad = True
        with np.errstate(all="ignore"):
            return list(subject.gradients(leaves, parts[count:]))

    return how(gradients, [*batches, *gs])


def looped(function: Any, batches: list[Any]) -> list[Any]:
    rows = [function([untracked(batch[i, ...][()]) for batch in batches]) for i in range(SIZE)]
    return [None if parts[0] is None else untracked(np.stack([t._array for t in parts])) for parts in zip(*rows, strict=True)]


@every_row
def test_values_and_gradients_of_mapped_operations_are_those_of_a_loop(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        random = np.random.default_rng(0)
        batches = symmetrised(subject, [copies(a, random) for a in subject.arrays])
        values = [[np.asarray(y) for y in subject.value([b[i, ...] for b in batches])] for i in range(SIZE)]
        if len({tuple(y.shape for y in ys) for ys in values}) > 1:
            continue  # np.unique and its kind: results of different sizes
        gs = [np.stack([incoming_gradient(random, y) for _ in range(SIZE)]) for y in values[0]]
        try:
            outputs = map_over(subject.call, batches, SIZE)
            found = mapped_gradients(subject, batches, gs, lambda f, parts: map_over(f, parts, SIZE))
        except BatchingError as error:
            wrong += [] if name in REFUSED else [f"{label}: {error}"]
            continue
        stacks = [np.stack(ys) for ys in zip(*values, strict=True)]
        wrong += differences(label, ["value"] * len(outputs), [t._array for t in outputs], stacks, FEW_ULP)
        expected = mapped_gradients(subject, batches, gs, looped)
        for place, f, e in zip(subject.names, found, expected, strict=True):
            if f is not None and e is not None:
                wrong += differences(label, [place], [f._array], [e._array], 16 * FEW_ULP)
            elif e is not None and np.any(e._array):
                wrong.append(f"{label}: no gradient for {place}")
    report(wrong)


def squares_of_gradients(subject: Any, batches: list[Any], how: Callable[..., Any], random: np.random.Generator) -> list[Any]:
    """The gradient through a map of op's sum of squares, and the gradient of *its* sum of squares, with the last argument captured."""
    leaves = [leaf(b) for b in batches[:-1]] + [leaf(batches[-1][0, ...])]
    found = []
    with np.errstate(all="ignore"):
        outputs = how(lambda parts: subject.call([*parts, leaves[-1]]), leaves[:-1])
        loss = sum(np.sum(np.abs(y - random.normal(size=y.shape)) ** 2) for y in outputs)
        for _ in range(2):
            if not isinstance(loss, Tensor) or not loss.requires_grad:
                break
            gradients = gradient(loss, leaves, create_graph=True, allow_unused=True)
            found += [None if g is None else g._array for g in gradients]
            loss = sum(np.sum(np.abs(g) ** 2) for g in gradients if g is not None)
    return found


def looped_tensors(function: Any, leaves: list[Any]) -> list[Any]:
    rows = [function([t[i, ...] for t in leaves]) for i in range(SIZE)]
    return [np.stack(parts) for parts in zip(*rows, strict=True)]


@every_row
def test_gradients_through_a_map_are_those_through_a_loop_at_first_and_second_order(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        if len(subject.arrays) < 2 or name in REFUSED:
            continue
        batches = symmetrised(subject, [copies(a, np.random.default_rng(0)) for a in subject.arrays])
        found = squares_of_gradients(subject, batches, lambda f, leaves: map_over(f, leaves, SIZE), np.random.default_rng(1))
        expected = squares_of_gradients(subject, batches, looped_tensors, np.random.default_rng(1))
        for k, (f, e) in enumerate(itertools.zip_longest(found, expected)):
            if f is not None and e is not None:
                wrong += differences(f"{label}: gradient {k}", [""], [f], [e], 64 * FEW_ULP)
            elif (f is not None and np.any(f)) or (e is not None and np.any(e)):
                wrong.append(f"{label}: gradient {k} is {f}, expected {e}")
    report(wrong)


# Functions that need one Python value for the whole batch, with the reason.
REFUSED = {
    **dict.fromkeys(("np.histogram", "np.histogram_bin_edges", "np.histogramdd", "np.histogram2d"), "which bins there are depends on the values"),
    "np.piecewise": "which elements a function gets depends on the values",
    "np.trim_zeros": "the shape depends on the values",
    "np.polymul": "how many leading zeros there are depends on the values",
    "np.polydiv": "where the remainder begins depends on the values",
}


def test_what_is_refused_exists() -> None:
    assert set(REFUSED) <= {*OPS, *COMPOSED}
