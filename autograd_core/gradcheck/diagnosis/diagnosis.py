"""From the outcomes at all places to the likely cause of a wrong gradient.

First the place: if the gradient is right for the values as given and wrong for some variation, what the wrong elements have in
common (negative, tied, on the diagonal...) is the cause. Otherwise the numbers: each supposed mistake is made on purpose, and
the one that gives just the claimed gradient, at a second place too, is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis import entries, factors, hypotheses, mistakes, substitutions
from autograd_core.gradcheck.diagnosis.amounts import factor, nearly_right, precision
from autograd_core.gradcheck.diagnosis.cases import Case, ratios
from autograd_core.gradcheck.diagnosis.outcomes import LARGEST_CASE, ORDINARY, Diagnosis, Outcome
from autograd_core.gradcheck.diagnosis.places import by_elements, by_topic
from autograd_core.gradcheck.diagnosis.statistics import inner_constants, statistic_constant
from autograd_core.gradcheck.diagnosis.terms import explained

__all__ = ["diagnose"]

COMPANIONS = ("index", "negative index", "order of indices", "mask", "batch", "longer")  # topics that tell more than the elements do


def diagnose(outcomes: Sequence[Outcome], argument: int) -> Diagnosis:
    """The likely cause of what is wrong with an argument, by its number."""
    wrong = [o for o in outcomes if o.disagreements(argument)]
    first = wrong[0]
    kinds = {d.kind for o in wrong for d in o.disagreements(argument)}
    ordinary = [o for o in wrong if o.variation.topic in ORDINARY]
    if first.variation.topic in COMPANIONS and (of_companion := by_topic(outcomes, wrong, argument)):
        return of_companion
    if kinds <= {"tie"}:
        return Diagnosis("ties", "moved together, tied elements change the value by another amount than their gradients say")
    if kinds <= {"kink"}:
        return Diagnosis("kink", "the slopes on both sides of the kink do not enclose it")
    if unending := _never_finite(wrong, argument):
        return unending
    case, second = _cases(wrong, argument)
    mask = None if case is None or (second is not None and not hypotheses.only_where_flat(second)) else _by_tests(MASKS, case, None)
    if not ordinary or first.variation.topic not in ORDINARY:
        by_place = mask or by_elements(outcomes, argument)
        if by_place is None and case is not None and first.variation.topic == "negative":
            by_place = _by_tests(ORDERS, case, second)  # by accident right as given: a permutation that is its own inverse
        by_place = by_place or by_topic(outcomes, wrong, argument)
        if by_place is not None:
            return by_place
    if case is None:
        return Diagnosis("formula", "")
    return (
        factor(outcomes, case, second, argument)
        or _by_tests(FIRST, case, second)
        or mask
        or _by_tests(RESULTS, case, None)
        or _by_tests(INVERTED, case, second)
        or _by_tests(WHOLE_GRADIENT, case, second)
        or precision(wrong, case, argument, most=2e-3)
        or _by_tests(EXPERIMENTS, case, second)
        or _of_pair(entries.factor_per_axis(case, second))
        or (_by_tests(ACTIVITY, case, second) if len(case.spot.arrays) > 2 else None)
        or by_elements([o for o in outcomes if o.variation.topic in ORDINARY or o.variation.topic == "negative"], argument)
        or _of_pair(entries.factor_per_place(case, second))
        or _of_pair(explained(case, second))
        or nearly_right(case, second)
        or _by_tests(INNER, case, second)
        or _by_tests(PARTS, case, second)
        or _by_tests(ACTIVITY, case, second)
        or _fallback(outcomes, wrong, case, argument)
    )


def _never_finite(wrong: Sequence[Outcome], argument: int) -> Diagnosis | None:
    """Infinite or nan wherever it was looked at."""
    spots = [o.spot for o in wrong if o.spot is not None]
    claimed = [spot.claimed[spot.inputs.parts[argument]] for spot in spots]
    if not claimed or any(np.isfinite(c).any() for c in claimed):
        return None
    values = {str(v) for c in claimed for v in np.unique(c).tolist()}
    return Diagnosis("nan", f"it is {' or '.join(sorted(values))} at every element, at all {len(claimed)} places tried")


def _cases(wrong: Sequence[Outcome], argument: int) -> tuple[Case | None, Case | None]:
    """The argument at two places of the same shapes where it is wrong: what is said of the first must hold at the second too."""
    small = [o for o in wrong if o.spot is not None and o.spot.x.size <= LARGEST_CASE and o.spot.y.size <= 4 * LARGEST_CASE]
    if not small or small[0].spot is None:
        return None, None
    shape = small[0].spot.x.shape
    # Zeros and ties make many suppositions alike, extreme sizes make derivatives unsure.
    different = np.unique(small[0].spot.x).size
    usual = (o.spot for o in small[1:] if o.spot is not None and o.variation.topic in (*ORDINARY, "negative"))
    second = next((spot for spot in usual if spot.x.shape == shape and np.unique(spot.x).size >= different), None)
    return Case(small[0].spot, argument), None if second is None else Case(second, argument)


# What changes the gradient as a whole, and what changes parts of it: in the order in which they are tried.
FIRST: dict[str, Any] = {
    "missing gradient": hypotheses.missing_gradient,
    "swapped inputs": hypotheses.swapped_inputs,
    "unused output": hypotheses.unused_output,
    "straight through": entries.straight_through,
    "conjugate": substitutions.not_conjugate,
}
WHOLE_GRADIENT: dict[str, Any] = {
    "missing sum over a broadcast axis": mistakes.missing_sum,
    "wrong axis of a reduction": mistakes.wrong_reduction,
    "transpose": hypotheses.transpose,
    "permutation": hypotheses.permutation,
    "term": hypotheses.coupling_missing,
    "wrong axis": mistakes.wrong_axis,
    "other loss": mistakes.other_loss,
    "incoming gradient reduced": hypotheses.reduced_gradient,
    "factor": factors.factor_function,
}
ORDERS: dict[str, Any] = {name: WHOLE_GRADIENT[name] for name in ("transpose", "permutation", "wrong axis")}
MASKS: dict[str, Any] = {"mask": hypotheses.mask_missing}
INVERTED: dict[str, Any] = {"mask": entries.mask_inverted}
RESULTS: dict[str, Any] = {"flat results": hypotheses.flat_results}
ACTIVITY: dict[str, Any] = {"activity": mistakes.activity}
PARTS: dict[str, Any] = {
    "blocked": hypotheses.blocked,
    "term": hypotheses.axis_sums,
}


# What is found by trying: each holds at two places.
EXPERIMENTS: dict[str, Any] = {
    "statistic": statistic_constant,
    "left out": entries.entries_left_out,
    "off by one": entries.shifted_entries,
    "permutation": entries.wrong_places,
    "transpose": lambda case: substitutions.right_where_symmetric(case) or substitutions.transposed_unknown(case),
    "substitute": substitutions.changed_argument,
}


INNER: dict[str, Any] = {"statistic": inner_constants}


def _of_pair(found: tuple[str, str] | None) -> Diagnosis | None:
    return None if found is None else Diagnosis(*found)


def _by_tests(tests: dict[str, Any], case: Case, second: Case | None) -> Diagnosis | None:
    for name, test in tests.items():
        found = test(case)
        if found and (second is None or name == "activity" or test(second)):
            return Diagnosis(*found) if isinstance(found, tuple) else Diagnosis(name.removesuffix(" of a reduction"), found)
    return None


def _fallback(outcomes: Sequence[Outcome], wrong: Sequence[Outcome], case: Case, argument: int) -> Diagnosis:
    names = case.spot.subject.names
    usual = [o for o in outcomes if o.variation.topic in ORDINARY]
    bad = [k for k in range(len(names)) if any(o.disagreements(k) for o in usual)]
    good = [name for k, name in enumerate(names) if k not in bad]
    if len(bad) >= 2 and len(good) >= 2:
        return Diagnosis(
            "layers", f"right for {', '.join(good)}, wrong for {', '.join(names[k] for k in bad)}: the mistake is on the way between them"
        )
    of_topic = by_topic(outcomes, wrong, argument)
    if of_topic is not None and of_topic.cause != "formula" and wrong[0].variation.topic not in ORDINARY:
        return of_topic
    r = ratios(case)
    spread = f"given / expected lies between {r.min():.4g} and {r.max():.4g}" if r.size and np.isfinite(r).all() else ""
    return Diagnosis("formula", spread)
