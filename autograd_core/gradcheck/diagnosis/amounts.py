"""By how much a gradient is wrong: by one factor, by little, or by more the smaller the argument is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import Case, ratios
from autograd_core.gradcheck.diagnosis.factors import common_factor, constant_factor
from autograd_core.gradcheck.diagnosis.outcomes import LARGEST_CASE, Diagnosis, Outcome

__all__ = ["eps_misplaced", "factor", "nearly_right", "precision"]


MOST_SHAPES = 6  # of other shapes at which a factor is looked at


def factor(outcomes: Sequence[Outcome], case: Case, second: Case | None, argument: int) -> Diagnosis | None:
    """One factor for all elements: is it -1, n or 1/n, or another?"""
    found = constant_factor(case)
    if found is None:
        return None
    value, text = found
    if value == 0:
        return None
    if second is not None:
        again = constant_factor(second)
        if again is None:
            return None
        if abs(again[0] / value - 1) > 1e-4:
            common = common_factor((case, value), (second, again[0]))
            return None if common is None else Diagnosis("factor", common)
    elif case.given.size == 1:
        return None
    if abs(value + 1) < 1e-6:
        return Diagnosis("sign", text)
    if abs(value - 1) < 0.05 and (eps := eps_misplaced([o for o in outcomes if o.disagreements(argument)], argument)) is not None:
        return eps
    sizes = {n for a in [*case.spot.arrays, *case.spot.results] for n in (a.size, *a.shape) if n > 1}
    count = abs(value) if abs(value) > 1 else 1 / abs(value)
    near = next((n for n in sorted(sizes) if abs(count / n - 1) < 1e-5), None)
    elsewhere = _factors_elsewhere(outcomes, case, argument)
    root = next((n for n in sorted(sizes) if abs(count / n**0.5 - 1) < 5e-6), None)
    varies = any(abs(other / value - 1) > 1e-3 for _, other in elsewhere)
    if root is not None and varies and not _is_size(elsewhere, 1) and _is_size(elsewhere, 2):
        return Diagnosis("constant factor", f"{text}, the root of {root}")
    if freedom := _degrees_of_freedom(case, value, elsewhere):
        return Diagnosis("degrees of freedom", f"{text}, {freedom}")
    if near is not None and _column_and_row(case, near):
        return Diagnosis("accidental broadcast", f"{text}, n = {near}, and there are arguments of shapes ({near},) and ({near}, 1)")
    if varies:
        n = f" with n = {near}" if near else ", which changes with the number of elements"
        return Diagnosis("1/n", f"{text}, {'n' if abs(value) > 1 else '1/n'}{n}")
    if near is not None and not any(near not in shapes for shapes, _ in elsewhere):
        return Diagnosis("1/n", f"{text}, {'n' if abs(value) > 1 else '1/n'} with n = {near}")
    return Diagnosis("constant factor", text)


def _degrees_of_freedom(case: Case, value: float, elsewhere: list[tuple[set[int], float]]) -> str:
    """Whether the factor is n / (n - 1) or its inverse, for arrays of other sizes too."""
    own = {case.x.size, *case.x.shape}
    for power, text in ((1, "n / (n - 1)"), (-1, "(n - 1) / n")):
        fits = [[n for n in sorted(sizes) if n > 1 and abs((n / (n - 1)) ** power - v) < 1e-5 * abs(v)] for sizes, v in [(own, value), *elsewhere]]
        if all(fits) and (elsewhere or fits[0][0] > 3):
            return f"{text} with n = {fits[0][0]}"
    return ""


def nearly_right(case: Case, second: Case | None) -> Diagnosis | None:
    """Each element is off by little, relative to itself, at both places."""
    worst = 0.0
    for c in (case, second):
        if c is None:
            continue
        with np.errstate(all="ignore"):
            counts = np.abs(c.right) > 1e-3 * np.max(np.abs(c.right), initial=0.0)
            off = np.abs(c.given / c.right - 1)[counts]
        if not off.size or not np.isfinite(off).all():
            return None
        worst = max(worst, float(off.max()))
    return Diagnosis("nearly right", f"given and expected differ by at most {100 * worst:.2g} % of each element") if worst < 0.01 else None


def _column_and_row(case: Case, n: int) -> bool:
    shapes = {a.shape for a in case.spot.arrays}
    return {(n,), (n, 1)} <= shapes


def _is_size(elsewhere: list[tuple[set[int], float]], power: int) -> bool:
    """Whether the power of each factor (or its inverse) is the size of an axis, or the number of elements."""
    return all(any(abs(max(abs(f), 1 / abs(f)) / n ** (1 / power) - 1) < 5e-6 for n in sizes) for sizes, f in elsewhere if f)


def _factors_elsewhere(outcomes: Sequence[Outcome], case: Case, argument: int) -> list[tuple[set[int], float]]:
    """(sizes of the axes, given / expected) for arrays of other shapes."""
    found: list[tuple[set[int], float]] = []
    for o in outcomes:
        if len(found) == MOST_SHAPES:
            break
        if o.spot is None or o.spot.x.size > LARGEST_CASE or o.variation.topic not in ("longer", "single", "unequal", "shape"):
            continue
        if [a.shape for a in o.spot.arrays] == [a.shape for a in case.spot.arrays] or o.spot.arrays[argument].size == 0:
            continue
        r = ratios(Case(o.spot, argument))
        if r.size and np.isfinite(r).all() and np.ptp(r) < 1e-4 * abs(float(np.median(r))):
            sizes = {n for a in [*o.spot.arrays, *o.spot.results] for n in (a.size, *a.shape)}
            found.append((sizes, float(np.median(r))))
    return found


def precision(wrong: Sequence[Outcome], case: Case, argument: int, *, most: float) -> Diagnosis | None:
    """Nearly right everywhere, to within `most` of the largest element: an eps, or rounding to single precision."""
    with np.errstate(all="ignore"):
        largest = float(np.max(np.abs(case.right), initial=0.0))
        error = float(np.max(np.abs(case.given - case.right), initial=0.0))
    if not error <= most * largest:
        return None
    eps = eps_misplaced(wrong, argument)
    if eps is not None:
        return eps
    if error <= 1e-6 * largest:
        return Diagnosis("float32 rounding", f"off by {error / largest:.1g} of the largest element, as single precision is")
    if np.array_equal(case.given.astype(np.float16).astype(float), case.given):
        return Diagnosis("float32 rounding", "all digits beyond half precision are missing")
    return None


def eps_misplaced(wrong: Sequence[Outcome], argument: int) -> Diagnosis | None:
    """The relative error grows as the argument gets smaller, like eps/x or eps/x**2."""
    errors: list[tuple[float, float]] = []
    for o in wrong:
        if o.spot is None or o.spot.x.size > LARGEST_CASE or o.spot.y.size == 0 or o.spot.arrays[argument].dtype.kind == "c":
            continue
        case = Case(o.spot, argument)
        with np.errstate(all="ignore"):
            relative = ((case.given - case.right) / case.right).reshape(-1)
        sizes = np.abs(case.x.reshape(-1))
        keep = np.isfinite(relative) & (np.abs(relative) > 1e-9) & (np.abs(relative) < 0.5) & (sizes > 0)
        usual = typical(sizes)
        errors += list(
            zip(
                sizes[keep] if keep.sum() > 1 and np.ptp(np.abs(relative[keep])) > 0.1 * np.abs(relative[keep]).max() else np.full(keep.sum(), usual),
                np.abs(relative[keep]),
                strict=True,
            )
        )
    if len(errors) < 2:
        return None
    sizes_, relative_ = np.log(np.array(errors).T)
    if np.ptp(sizes_) < 0.3:
        return None
    slope = float(np.polyfit(sizes_, relative_, 1)[0])
    fit = float(np.corrcoef(sizes_, relative_)[0, 1])
    if slope < -0.5 and fit < -0.8:
        return Diagnosis("eps", f"the relative error grows as the argument gets smaller, like 1/x**{-slope:.2g}")
    return None


def typical(sizes: Any) -> float:
    """The median of sizes that are not zero."""
    sizes = sizes[sizes > 0]
    return float(np.median(sizes)) if sizes.size else 1.0
