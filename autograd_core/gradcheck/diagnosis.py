"""From the outcomes at all places to the likely cause of a wrong gradient.

First the place: if the gradient is right for the values as given and wrong for some variation, what the wrong elements have in
common (negative, tied, on the diagonal...) is the cause. Otherwise the numbers: each supposed mistake is made on purpose, and
the one that gives just the claimed gradient, at a second place too, is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_core.gradcheck import hypotheses, mistakes
from autograd_core.gradcheck.hypotheses import Case
from autograd_core.gradcheck.spots import RuleFailed, Spot
from autograd_core.gradcheck.values import Comparison, Disagreement
from autograd_core.gradcheck.variations import Variation

__all__ = ["Diagnosis", "Outcome", "diagnose"]

ORDINARY = frozenset({"given", "value", "positive"})
LARGEST_CASE = 80  # components of all arguments; of larger calls a smaller variation is diagnosed


@dataclass
class Outcome:
    """What came out at one variation: a spot and its comparison, or the failure of the rule."""

    variation: Variation
    spot: Spot | None = None
    comparison: Comparison | None = None
    failure: RuleFailed | None = None
    order: int = 1

    def disagreements(self, argument: int) -> list[Disagreement]:
        """Those that concern an argument, by its number."""
        if self.comparison is None or self.spot is None:
            return []
        part = self.spot.inputs.parts[argument]
        return [
            d for d in self.comparison.disagreements if (d.component is None and _moves(d, part)) or (d.component is not None and _inside(d, part))
        ]


def _moves(d: Disagreement, part: slice) -> bool:
    return d.moved is None or bool(np.any(d.moved[part]))


def _inside(d: Disagreement, part: slice) -> bool:
    return d.component is not None and part.start <= d.component < part.stop


@dataclass
class Diagnosis:
    """A cause (a word of causes.CAUSES) and what speaks for it."""

    cause: str
    evidence: str = ""


def diagnose(outcomes: Sequence[Outcome], argument: int) -> Diagnosis:
    """The likely cause of what is wrong with an argument, by its number."""
    wrong = [o for o in outcomes if o.disagreements(argument)]
    first = wrong[0]
    kinds = {d.kind for o in wrong for d in o.disagreements(argument)}
    ordinary = [o for o in wrong if o.variation.topic in ORDINARY]
    if kinds <= {"tie"}:
        return Diagnosis("ties", "moved together, tied elements change the value by another amount than their gradients say")
    if kinds <= {"kink"}:
        return Diagnosis("kink", "the slopes on both sides of the kink do not enclose it")
    case, second = _cases(wrong, argument)
    mask = None if case is None else _by_tests(MASKS, case, None)
    if not ordinary or first.variation.topic not in ORDINARY:
        by_place = mask or _by_elements(outcomes, argument) or _by_topic(outcomes, wrong, argument)
        if by_place is not None:
            return by_place
    if case is None:
        return Diagnosis("formula", "")
    return (
        _factor(outcomes, case, second, argument)
        or _by_tests(FIRST, case, second)
        or mask
        or _by_tests(WHOLE_GRADIENT, case, second)
        or _precision(wrong, case, argument, most=2e-3)
        or (_by_tests(ACTIVITY, case, second) if len(case.spot.arrays) > 2 else None)
        or _by_elements([o for o in outcomes if o.variation.topic in ORDINARY or o.variation.topic == "negative"], argument)
        or _by_tests(PARTS, case, second)
        or _by_tests(ACTIVITY, case, second)
        or _fallback(outcomes, wrong, case, argument)
    )


# --- what the wrong elements have in common --------------------------------------------------------------------------------


def _samples(outcomes: Sequence[Outcome], argument: int) -> Iterator[tuple[Any, Any, Any]]:
    """(elements, which of them agree, of which that says something) wherever each element was compared."""
    more = 4  # places where only random directions were compared, that are looked at closely now
    for o in outcomes:
        if o.spot is None or o.comparison is None or o.spot.arrays[argument].dtype.kind == "c":
            continue
        part, a = o.spot.inputs.parts[argument], o.spot.arrays[argument]
        if not a.size or not o.spot.usable.all():
            continue
        if o.comparison.agreed is not None:
            yield a, o.comparison.agreed[part].reshape(a.shape), o.comparison.telling[part].reshape(a.shape)
        elif more and o.spot.x.size <= LARGEST_CASE and o.spot.y.size <= 4 * LARGEST_CASE and o.disagreements(argument):
            more -= 1
            case = Case(o.spot, argument)
            size = np.abs(case.given) + np.abs(case.right)
            yield a, np.abs(case.given - case.right) <= 1e-6 * np.maximum(size, 1e-3 * size.max()), size > 1e-6 * size.max()


def _by_elements(outcomes: Sequence[Outcome], argument: int) -> Diagnosis | None:
    """A property that all wrong elements have and no right one."""
    samples = list(_samples(outcomes, argument))
    if not samples:
        return None
    values = np.concatenate([a[telling] for a, _, telling in samples])
    agreed = np.concatenate([ok[telling] for _, ok, telling in samples])
    if agreed.all() or not agreed.any():
        return None
    shape = samples[0][0].shape
    alike = [(a, ok, telling) for a, ok, telling in samples if a.shape == shape]
    agreed_by_place = np.concatenate([ok[telling] for _, ok, telling in alike])
    places: dict[str, list[Any]] = {}
    for a, _, telling in alike:
        for name, mask in _places(a).items():
            places.setdefault(name, []).append(np.broadcast_to(mask, shape)[telling])
    wrong = ~agreed
    signs = {"zero": [values == 0], "negative": [values < 0, values <= 0], "positive": [values > 0, values >= 0]}
    for cause, masks in signs.items():
        if any(_explains(mask, wrong) for mask in masks):
            return Diagnosis(cause, f"wrong for all {int(wrong.sum())} {cause} elements tried, right for the other {int(agreed.sum())}")
    for name, masks in places.items():
        if len(agreed_by_place) and _explains(np.concatenate(masks), ~agreed_by_place):
            return Diagnosis(name.split(":")[0], f"wrong for {name.split(':')[-1]}, right elsewhere")
    a, ok, telling = samples[0]
    if not _is_telling(int(wrong.sum()), int(agreed.sum())) or (telling.sum() > 2 and not ok[telling].any()):
        return None  # wrong everywhere at the first place: where it saturates, hardly anything can be wrong
    sizes = np.abs(values)
    if sizes[wrong].min() > sizes[agreed].max():
        return Diagnosis("large", f"right up to a size of {sizes[agreed].max():.4g}, wrong from {sizes[wrong].min():.4g}")
    if sizes[wrong].max() < sizes[agreed].min():
        return Diagnosis("small", f"wrong up to a size of {sizes[wrong].max():.4g}, right from {sizes[agreed].min():.4g}")
    if values[wrong].min() > values[agreed].max() or values[wrong].max() < values[agreed].min():
        above = values[wrong].min() > values[agreed].max()
        limit = f"above {values[agreed].max():.4g}" if above else f"below {values[agreed].min():.4g}"
        return Diagnosis("large" if above and values[wrong].min() > 0 else "range", f"wrong {limit}, right on the other side")
    inside = (values >= values[wrong].min()) & (values <= values[wrong].max())
    if wrong.sum() > 1 and _explains(inside, wrong):
        if sizes[wrong].min() > float(np.median(sizes[agreed])) and (values[wrong] > 0).all():
            return Diagnosis("large", f"wrong between {values[wrong].min():.4g} and {values[wrong].max():.4g}, right outside")
        return Diagnosis("range", f"wrong between {values[wrong].min():.4g} and {values[wrong].max():.4g}, right outside")
    return None


def _is_telling(wrong: int, right: int) -> bool:
    """Whether it is no accident that the wrong ones of so many numbers lie side by side."""
    return (right + 1) / math.comb(wrong + right, wrong) < 0.05


def _explains(mask: Any, wrong: Any) -> bool:
    """Whether `mask` is true for all wrong elements and hardly any right one."""
    return bool(mask.any() and not mask.all() and mask[wrong].all() and wrong[mask].mean() > 0.8)


def _places(a: Any) -> dict[str, Any]:
    """Masks of the places of an array that may be special."""
    places: dict[str, Any] = {}
    for axis, n in enumerate(a.shape):
        if n < 2:
            continue
        shape = [1] * a.ndim
        shape[axis] = n
        index = np.arange(n).reshape(shape)
        places[f"boundary:the first element along axis {axis}"] = index == 0
        places[f"boundary:the last element along axis {axis}"] = index == n - 1
        places[f"boundary:the first and last element along axis {axis}"] = (index == 0) | (index == n - 1)
        places[f"inner:all but the first element along axis {axis}"] = index > 0
        places[f"inner:all but the last element along axis {axis}"] = index < n - 1
        if n > 4:
            places[f"boundary:the first two elements along axis {axis}"] = index < 2
            places[f"boundary:the last two elements along axis {axis}"] = index >= n - 2
        if n > 2:
            places[f"inner:inner elements along axis {axis}"] = (index > 0) & (index < n - 1)
    if a.ndim >= 2 and min(a.shape[-2:]) > 1:
        rows, columns = np.indices(a.shape[-2:])
        places["diagonal:diagonal elements"] = rows == columns
        places["off-diagonal:elements off the diagonal"] = rows != columns
        places["off-diagonal:elements above the diagonal"] = rows < columns
        places["off-diagonal:elements below the diagonal"] = rows > columns
        places["off-diagonal:the diagonal and above"] = rows <= columns
        places["off-diagonal:the diagonal and below"] = rows >= columns
        edge = np.zeros(a.shape[-2:], dtype=bool)
        edge[[0, -1]] = True
        edge[:, [0, -1]] = True
        places["boundary:elements on the border"] = edge
    return places


TOPICS = {
    "negative": ("negative", "right for positive elements"),
    "large": ("large", "right for elements of the size given"),
    "small": ("small", "right for elements of the size given"),
    "grid": ("range", "right for the values given"),
    "size": ("large", "right for elements of the size given"),
    "zero": ("zero", "right where no element is zero"),
    "tie": ("ties", "right where all elements are different"),
    "same": ("same array", "right for two arrays of different values"),
    "round": ("one element", "right for other values, wrong for round numbers"),
    "unequal": ("unequal dimensions", "right for equal dimensions"),
    "longer": ("size", "right for the length given"),
    "single": ("size", "right for longer axes"),
    "broadcast": ("missing sum over a broadcast axis", "right where nothing is broadcast"),
    "keyword": ("keyword", "right for the parameters given"),
    "index": ("repeated indices", "right where each index occurs once"),
    "empty": ("empty", "right for arrays that are not empty"),
    "shape": ("shape of argument", "right for the number of axes given"),
}


def _by_topic(outcomes: Sequence[Outcome], wrong: Sequence[Outcome], argument: int) -> Diagnosis | None:
    """What the variations have in common at which it is wrong."""
    topics = [o.variation.topic for o in wrong]
    kinds = {d.kind for d in wrong[0].disagreements(argument)}
    if kinds & {"nan", "nan at a kink", "infinite"}:
        where = "" if topics[0] not in TOPICS else f" ({wrong[0].variation.label})"
        return Diagnosis(
            "zero" if topics[0] == "zero" else "large" if topics[0] == "large" else "nan", f"it is {wrong[0].disagreements(argument)[0].given}{where}"
        )
    if topics[0] == "small" and set(topics) <= {"small", "zero", "size"}:
        return _eps(wrong, argument) or Diagnosis("small", TOPICS["small"][1])
    if topics[0] == "keyword":
        axis = wrong[0].variation.label.startswith(("axis=", "dim="))
        return Diagnosis("wrong axis" if axis else "keyword", f"right as given, wrong with {wrong[0].variation.label}")
    if "tie" in topics and set(topics) <= {"tie", "same", "round", "zero"}:
        return Diagnosis("ties", TOPICS["tie"][1])
    if "size" in topics and set(topics) & {"small"} and not set(topics) & {"large"}:
        return _eps(wrong, argument) or Diagnosis("small", TOPICS["small"][1])
    cause, evidence = TOPICS.get(topics[0], ("formula", ""))
    return Diagnosis(cause, evidence) if cause != "formula" else None


# --- what the numbers say --------------------------------------------------------------------------------------------------


def _cases(wrong: Sequence[Outcome], argument: int) -> tuple[Case | None, Case | None]:
    """The argument at two places of the same shapes where it is wrong: what is said of the first must hold at the second too."""
    small = [o for o in wrong if o.spot is not None and o.spot.x.size <= LARGEST_CASE and o.spot.y.size <= 4 * LARGEST_CASE]
    if not small or small[0].spot is None:
        return None, None
    shape = small[0].spot.x.shape
    # Zeros and ties make many suppositions alike, extreme sizes make derivatives unsure.
    second = next(
        (o.spot for o in small[1:] if o.spot is not None and o.spot.x.shape == shape and o.variation.topic in (*ORDINARY, "negative")), None
    )
    return Case(small[0].spot, argument), None if second is None else Case(second, argument)


# What changes the gradient as a whole, and what changes parts of it: in the order in which they are tried.
FIRST: dict[str, Any] = {
    "missing gradient": hypotheses.missing_gradient,
    "swapped inputs": hypotheses.swapped_inputs,
    "unused output": hypotheses.unused_output,
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
    "factor": hypotheses.factor_function,
}
MASKS: dict[str, Any] = {"mask": hypotheses.mask_missing}
ACTIVITY: dict[str, Any] = {"activity": mistakes.activity}
PARTS: dict[str, Any] = {
    "blocked": hypotheses.blocked,
    "term": hypotheses.axis_sums,
}


def _by_tests(tests: dict[str, Any], case: Case, second: Case | None) -> Diagnosis | None:
    for name, test in tests.items():
        found = test(case)
        if found and (second is None or name == "activity" or test(second)):
            return Diagnosis(*found) if isinstance(found, tuple) else Diagnosis(name.removesuffix(" of a reduction"), found)
    return None


def _factor(outcomes: Sequence[Outcome], case: Case, second: Case | None, argument: int) -> Diagnosis | None:
    """One factor for all elements: is it -1, n or 1/n, or another?"""
    found = hypotheses.constant_factor(case)
    if found is None:
        return None
    value, text = found
    if value == 0:
        return None
    if second is not None:
        again = hypotheses.constant_factor(second)
        if again is None:
            return None
        if abs(again[0] / value - 1) > 1e-4:
            common = hypotheses.common_factor((case, value), (second, again[0]))
            return None if common is None else Diagnosis("factor", common)
    elif case.given.size == 1:
        return None
    if abs(value + 1) < 1e-6:
        return Diagnosis("sign", text)
    if abs(value - 1) < 0.05 and (eps := _eps([o for o in outcomes if o.disagreements(argument)], argument)) is not None:
        return eps
    sizes = {n for a in [*case.spot.arrays, *case.spot.results] for n in (a.size, *a.shape) if n > 1}
    count = abs(value) if abs(value) > 1 else 1 / abs(value)
    near = next((n for n in sorted(sizes) if abs(count / n - 1) < 1e-5), None)
    elsewhere = _factors_elsewhere(outcomes, case, argument)
    root = next((n for n in sorted(sizes) if abs(count**2 / n - 1) < 1e-5), None)
    varies = any(abs(other / value - 1) > 1e-3 for _, other in elsewhere)
    if root is not None and varies and not _is_size(elsewhere, 1) and _is_size(elsewhere, 2):
        return Diagnosis("constant factor", f"{text}, the root of {root}")
    if near is not None and _column_and_row(case, near):
        return Diagnosis("accidental broadcast", f"{text}, n = {near}, and there are arguments of shapes ({near},) and ({near}, 1)")
    if varies:
        n = f" with n = {near}" if near else ", which changes with the number of elements"
        return Diagnosis("1/n", f"{text}, {'n' if abs(value) > 1 else '1/n'}{n}")
    if near is not None and not any(near not in shapes for shapes, _ in elsewhere):
        return Diagnosis("1/n", f"{text}, {'n' if abs(value) > 1 else '1/n'} with n = {near}")
    return Diagnosis("constant factor", text)


def _column_and_row(case: Case, n: int) -> bool:
    shapes = {a.shape for a in case.spot.arrays}
    return {(n,), (n, 1)} <= shapes


def _is_size(elsewhere: list[tuple[set[int], float]], power: int) -> bool:
    """Whether the power of each factor (or its inverse) is the size of an axis, or the number of elements."""
    return all(any(abs(max(abs(f), 1 / abs(f)) ** power / n - 1) < 1e-5 for n in sizes) for sizes, f in elsewhere if f)


def _factors_elsewhere(outcomes: Sequence[Outcome], case: Case, argument: int) -> list[tuple[set[int], float]]:
    """(sizes of the axes, given / expected) for arrays of other shapes."""
    found = []
    for o in outcomes:
        if o.spot is None or o.spot.x.size > LARGEST_CASE or o.variation.topic not in ("longer", "single", "unequal", "shape"):
            continue
        if [a.shape for a in o.spot.arrays] == [a.shape for a in case.spot.arrays] or o.spot.arrays[argument].size == 0:
            continue
        r = hypotheses.ratios(Case(o.spot, argument))
        if r.size and np.isfinite(r).all() and np.ptp(r) < 1e-4 * abs(float(np.median(r))):
            sizes = {n for a in [*o.spot.arrays, *o.spot.results] for n in (a.size, *a.shape)}
            found.append((sizes, float(np.median(r))))
    return found


def _precision(wrong: Sequence[Outcome], case: Case, argument: int, *, most: float) -> Diagnosis | None:
    """Nearly right everywhere, to within `most` of the largest element: an eps, or rounding to single precision."""
    with np.errstate(all="ignore"):
        largest = float(np.max(np.abs(case.right), initial=0.0))
        error = float(np.max(np.abs(case.given - case.right), initial=0.0))
    if not error <= most * largest:
        return None
    eps = _eps(wrong, argument)
    if eps is not None:
        return eps
    if error <= 1e-6 * largest:
        return Diagnosis("float32 rounding", f"off by {error / largest:.1g} of the largest element, as single precision is")
    if np.array_equal(case.given.astype(np.float16).astype(float), case.given):
        return Diagnosis("float32 rounding", "all digits beyond half precision are missing")
    return None


def _eps(wrong: Sequence[Outcome], argument: int) -> Diagnosis | None:
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


def _fallback(outcomes: Sequence[Outcome], wrong: Sequence[Outcome], case: Case, argument: int) -> Diagnosis:
    names = case.spot.subject.names
    usual = [o for o in outcomes if o.variation.topic in ORDINARY]
    bad = [k for k in range(len(names)) if any(o.disagreements(k) for o in usual)]
    good = [name for k, name in enumerate(names) if k not in bad]
    if len(bad) >= 2 and len(good) >= 2:
        return Diagnosis(
            "layers", f"right for {', '.join(good)}, wrong for {', '.join(names[k] for k in bad)}: the mistake is on the way between them"
        )
    by_topic = _by_topic(outcomes, wrong, argument)
    if by_topic is not None and by_topic.cause != "formula" and wrong[0].variation.topic not in ORDINARY:
        return by_topic
    r = hypotheses.ratios(case)
    spread = f"given / expected lies between {r.min():.4g} and {r.max():.4g}" if r.size and np.isfinite(r).all() else ""
    return Diagnosis("formula", spread)
