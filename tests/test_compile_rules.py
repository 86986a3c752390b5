"""Every sample of the table of operations, compiled: recorded, replayed, and the same to the bit as called; or called as it is, with a word.

By default a part of the samples is run, always the same one; with COMPILED_SAMPLES=all in the environment, all of them (two minutes).
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from typing import Any

import numpy as np
import pytest
from test_rules import ALL, subjects

import autograd_core as ag
from autograd_core.compiling.replay import same_bits
from autograd_core.gradcheck.numeric.spots import incoming_gradient
from autograd_core.gradcheck.subjects.subjects import Traced, float_results, leaf
from autograd_core.tensor.apply import apply

pytestmark = pytest.mark.filterwarnings("ignore")
PART = 1 if os.environ.get("COMPILED_SAMPLES") == "all" else 40  # of so many samples one is run


def function_of(subject: Traced) -> Any:
    def function(*leaves: Any) -> Any:
        args, kwargs = subject.filled(list(leaves))
        if subject.operation is not None:
            return apply(subject.operation, tuple(args), dict(kwargs))
        return subject.compute(*args, **kwargs)

    return function


def results(function: Any, arrays: list[Any], gs: list[Any]) -> Any:
    """Values and gradients as arrays; or what was raised."""
    leaves = [leaf(a.copy(order="K")) for a in arrays]
    try:
        tensors = [t for t in float_results(function(*leaves)) if isinstance(t, ag.Tensor)]
        found = [np.array(t._array) for t in tensors]
        pairs = [(t, g) for t, g in zip(tensors, gs, strict=False) if t.requires_grad]
        if pairs:
            gradients: Any = ag.gradient([t for t, _ in pairs], leaves, [g for _, g in pairs], allow_unused=True)
            found += [None if g is None else np.asarray(g._array) for g in gradients]
    except Exception as error:  # noqa: BLE001 - whatever it is, the other one has to raise it too
        return type(error).__name__, str(error)
    return found


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple) or isinstance(b, tuple):
        return bool(a == b)
    same = [x is y if x is None or y is None else same_bits(x, y) for x, y in zip(a, b, strict=True)]
    return all(same)


def replayed(name: str, chosen: Any) -> tuple[Counter[str], list[str]]:
    """What became of the samples of a row, and those that differ."""
    counts: Counter[str] = Counter()
    wrong = []
    for label, _, subject in subjects(name):
        if not chosen(label):
            continue
        arrays = [np.asarray(a) for a in subject.arrays]
        others = [np.asarray(a * 0.96875, dtype=a.dtype) for a in arrays]
        random = np.random.default_rng(0)
        try:
            gs = [incoming_gradient(random, y) for y in subject.value(arrays)]
        except (ValueError, TypeError, np.linalg.LinAlgError):
            continue
        function = function_of(subject)
        compiled = ag.compile(function)
        for values in (arrays, others, arrays, others):
            expected, found = results(function, values, gs), results(compiled, values, gs)
            if not equal(found, expected):
                wrong.append(f"{label}: {found}, expected {expected}; {compiled.why()}")
                break
        runs = sum(int(line.split()[-2]) for line in compiled.why().splitlines() if line.startswith("a program"))
        counts["replayed" if runs >= 2 else "called as it is"] += 1
        if runs < 2:
            assert any("as it is" in line for line in compiled.why().splitlines()), compiled.why()
    return counts, wrong


def in_part(label: str) -> bool:
    return zlib.crc32(label.encode()) % PART == 0


@pytest.mark.parametrize("tenth", range(10))
def test_samples_of_the_table_are_replayed_to_the_bit(tenth: int) -> None:
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    for name in sorted(ALL)[tenth::10]:
        found, differing = replayed(name, in_part)
        counts += found
        wrong += differing
    assert not wrong, "\n".join(wrong)
    assert counts["replayed"] > 8 * counts["called as it is"]
