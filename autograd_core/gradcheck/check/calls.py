"""What is called for a check: the caller's own call, or calls of the checker's making; NumPy's states are left as they were."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from autograd_core.gradcheck.check.check import Check
from autograd_core.gradcheck.check.pairs import pair
from autograd_core.gradcheck.report.report import Report
from autograd_core.gradcheck.subjects.guessing import guessed_calls
from autograd_core.gradcheck.subjects.subjects import Subject, traced

__all__ = ["check_call", "check_subject"]


def subject_of(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Subject:
    """What is checked: a pair (forward, backward) of plain functions, or anything that this library differentiates."""
    if isinstance(function, tuple) and len(function) == 2 and all(map(callable, function)):
        return pair(*function, args, kwargs)
    if not callable(function) and not hasattr(function, "function"):
        raise TypeError(f"gradcheck: {function!r} is no function; pass one, or a pair (forward, backward)")
    return traced(function, args, kwargs)


def check_call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, order: int, seed: int, vary: bool, budget: float) -> Report:
    """Check `function(*args, **kwargs)`, or calls of the checker's own making if no argument is given; see `gradcheck`."""
    with undisturbed():
        if args or kwargs:
            return Check(subject_of(function, args, kwargs), order=order, seed=seed, vary=vary, budget=budget).run()
        calls = guessed_calls(function, lambda a, k: subject_of(function, a, k), seed)
        reports: list[Report] = []
        started = time.perf_counter()
        for call in calls:
            left = budget - (time.perf_counter() - started)
            if left <= 0:
                reports[-1].notes.append(f"out of time: {len(calls) - len(reports)} of {len(calls)} sample calls were not checked")
                break
            free = vary and not call.as_it_is
            reports.append(Check(subject_of(function, call.args, call.kwargs), order=order, seed=seed, vary=free, budget=left).run(strict=False))
            if call.as_it_is:
                reports[-1].notes.append(f"checked as given only: {call.as_it_is}")
            if not reports[-1]:
                break
        return merged(reports)


def check_subject(subject: Subject, *, order: int, seed: int) -> Report:
    """Check the derivatives of `subject` at its own arrays, and nowhere else."""
    with undisturbed():
        return Check(subject, order=order, seed=seed, vary=False, budget=60.0).run(strict=False)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever happens inside: no warnings, and NumPy's error and random state as they were."""
    state = np.random.get_state()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            np.random.set_state(state)


def merged(reports: Sequence[Report]) -> Report:
    """One report of several calls of the same function: that of the first wrong one, with everything counted."""
    chosen = next((r for r in reports if not r), reports[0])
    chosen.compared = sum(r.compared for r in reports)
    chosen.variations = sum(r.variations for r in reports)
    chosen.seconds = sum(r.seconds for r in reports)
    if chosen:
        chosen.notes = [note for r in reports for note in r.notes]
        chosen.warnings = [w for r in reports for w in r.warnings]
    return chosen
