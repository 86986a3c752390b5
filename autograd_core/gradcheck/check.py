"""The check of one call: the gradients against numeric derivatives, then the gradients' gradients, and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.directions import Directions, is_symmetric
from autograd_core.gradcheck.report import Finding, Report
from autograd_core.gradcheck.spots import RuleFailed, Skip, Spot, incoming_gradient
from autograd_core.gradcheck.subjects import Subject, traced
from autograd_core.gradcheck.values import Comparison, compare

__all__ = ["check_call", "check_subject", "incoming_gradient"]


def check_call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, order: int, seed: int) -> Report:
    """Check `function(*args, **kwargs)`; see `gradcheck`."""
    return check_subject(traced(function, args, kwargs), order=order, seed=seed)


def in_double(subject: Subject) -> Subject:
    """The same call in double precision."""
    return subject.at([a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in subject.arrays])


def check_subject(subject: Subject, *, order: int, seed: int, every: bool = True) -> Report:
    """Check the derivatives of `subject` at its own arrays, and nowhere else."""
    random = np.random.default_rng(seed)
    report = Report(subject.name, order, seed)
    level: Subject | None = in_double(subject)
    symmetric: set[int] = set()
    eps = 0.0
    with np.errstate(all="ignore"):
        for k in range(1, order + 1):
            if level is None:
                break
            try:
                spot = Spot(level, "as given", random, eps=eps)
                found, symmetric = compare_symmetric(spot, random, symmetric, every=every and k == 1)
            except Skip as reason:
                report.notes.append(f"order {k}: {reason}")
                break
            except RuleFailed as failure:
                report.findings.append(Finding(k, failure.argument, (), None, None, 0.0, f"order {k}: {failure}"))
                break
            report.compared += found.compared
            report.notes += [f"order {k}: {why}" for _, why in found.undecided]
            report.findings += [_finding(k, d) for d in found.disagreements]
            if report.findings:
                break
            eps = max(eps, spot.eps)  # a gradient is no more precise than the value
            level = level.derivative(spot.gs)
    return report


def compare_symmetric(spot: Spot, random: np.random.Generator, symmetric: set[int], *, every: bool) -> tuple[Comparison, set[int]]:
    """Compare; where a symmetric argument disagrees, move its elements (i, j) and (j, i) together, and say which do so."""
    found = compare(spot, Directions(spot.inputs, spot.scale.copy(), symmetric), random, elementwise=False, every=every, kinks=False)
    if found.disagreements:
        suspects = {spot.inputs.place(d.component)[0] for d in found.disagreements if d.component is not None} or set(range(len(spot.arrays)))
        tied = {i for i in suspects - symmetric if is_symmetric(spot.arrays[i])}
        if tied:
            again = compare(spot, Directions(spot.inputs, spot.scale.copy(), symmetric | tied), random, elementwise=False, every=every, kinks=False)
            if not again.disagreements:
                return again, symmetric | tied
    return found, symmetric


def _finding(order: int, d: Any) -> Finding:
    if d.component is None:
        name, element, part = ", ".join(d.spot.subject.names), (), ""
    else:
        i, element, part = d.spot.inputs.place(d.component)
        name = d.spot.subject.names[i]
    text = f"order {order}, {name}{list(element)} {part}: the rule gives {d.given:.8g}, numeric {d.expected:.8g} +- {d.bound:.1g} ({d.kind})"
    return Finding(order, name, element, d.given, d.expected, d.bound, text)
