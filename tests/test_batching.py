"""Batches over the whole table of operations: what is computed for many arrays at once is what a loop would compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_rules import COMPOSED, OPS, FEW_ULP, differences, every_row, leaf, report, subjects

from autograd_core.batching.array import Batched, BatchingError, new_level
from autograd_core.gradcheck.check import incoming_gradient
from autograd_core.mapping import map_over
from autograd_core.recording import untracked

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
        for k, (place, gradient) in enumerate(zip(subject.names, found, strict=True)):
            expected = [row[k] for row in rows]
            if gradient is None:
                assert expected == [None] * SIZE
                continue
            data = gradient._array
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
            assert name in REFUSED, f"{label}: {error}"
            continue
        wrong += differences(label, ["value"] * len(outputs), [t._array for t in outputs], [np.stack(ys) for ys in zip(*values, strict=True)], FEW_ULP)
        expected = mapped_gradients(subject, batches, gs, looped)
        for place, f, e in zip(subject.names, found, expected, strict=True):
            if f is not None and e is not None:
                wrong += differences(label, [place], [f._array], [e._array], 16 * FEW_ULP)
            elif e is not None and np.any(e._array):
                wrong.append(f"{label}: no gradient for {place}")
    report(wrong)


# Functions that need one Python value for the whole batch, with the reason.
REFUSED: dict[str, str] = {}


def test_what_is_refused_exists() -> None:
    assert set(REFUSED) <= {*OPS, *COMPOSED}
