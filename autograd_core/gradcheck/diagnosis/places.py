"""What the wrong elements have in common: a sign, a size, a place in the array, or the variation at which they are wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.amounts import eps_misplaced
from autograd_core.gradcheck.diagnosis.cases import Case
from autograd_core.gradcheck.diagnosis.outcomes import LARGEST_CASE, Diagnosis, Outcome

__all__ = ["by_elements", "by_topic"]


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


def by_elements(outcomes: Sequence[Outcome], argument: int) -> Diagnosis | None:
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
    if beyond := _from_a_place_on(samples):
        return beyond
    signs = {"zero": [values == 0], "negative": [values < 0, values <= 0], "positive": [values > 0, values >= 0]}
    for cause, masks in signs.items():
        if any(_explains(mask, wrong) for mask in masks):
            return Diagnosis(cause, f"wrong for all {int(wrong.sum())} {cause} elements tried, right for the other {int(agreed.sum())}")
    for name, masks in places.items():
        if len(agreed_by_place) and _explains(np.concatenate(masks), ~agreed_by_place):
            return Diagnosis(name.split(":")[0], f"wrong for {name.split(':')[-1]}, right elsewhere")
    a, ok, telling = samples[0]
    if not _is_telling(int(wrong.sum()), int(agreed.sum())) or (telling.sum() > 2 and ok[telling].mean() < 0.25):
        return None  # wrong nearly everywhere at the first place: right where it hardly matters
    sizes = np.abs(values)
    if sizes[wrong].min() > sizes[agreed].max() and (never := _not_finite(outcomes, argument)):
        return Diagnosis("overflow", f"right up to a size of {sizes[agreed].max():.4g}, {never} from {sizes[wrong].min():.4g}")
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


def _from_a_place_on(samples: Sequence[tuple[Any, Any, Any]]) -> Diagnosis | None:
    """In arrays of one axis all elements up to a place are right, and those after it wrong, whatever the lengths."""
    wrong, right = set(), set()
    whole = max((a.size for a, ok, _ in samples if a.ndim == 1 and ok.all()), default=0)
    for a, ok, telling in samples:
        if a.ndim != 1:
            continue
        wrong |= set(np.flatnonzero(~ok & telling).tolist())
        right |= set(np.flatnonzero(ok & telling).tolist())
    if not wrong or not right or min(wrong) <= max(right) or len(wrong) < 3 or whole < 3 or min(wrong) < whole:
        return None
    return Diagnosis("size", f"right for arrays of up to {min(wrong)} elements; in longer ones wrong from element {min(wrong)} on")


def _not_finite(outcomes: Sequence[Outcome], argument: int) -> str:
    """What all wrong elements are, if none of them is finite: "nan" or "inf"."""
    given = [d.given for o in outcomes for d in o.disagreements(argument)]
    return "" if not given or any(math.isfinite(v) for v in given) else "nan" if any(math.isnan(v) for v in given) else "inf"


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
    "negative index": ("negative index", "right where no index is negative"),
    "order of indices": ("order of indices", "right for the indices in the order given"),
    "mask": ("mask value", "right for the mask given"),
    "batch": ("batch axis", "right for the number of axes given"),
    "empty": ("empty", "right for arrays that are not empty"),
    "shape": ("shape of argument", "right for the number of axes given"),
}


def _which_sizes(outcomes: Sequence[Outcome], wrong: Sequence[Outcome]) -> str:
    """Whether the lengths at which it is wrong are all even, all odd, or all beyond one."""
    axis = _resized(wrong[0].variation.label)
    tried = {_resized(o.variation.label): any(o is w for w in wrong) for o in outcomes if o.variation.topic == "longer" and o.comparison is not None}
    sizes = {to: bad for (of, to), bad in ((k, v) for k, v in tried.items() if k) if axis and of == axis[0]}
    if not axis:
        return ""
    sizes[axis[0]] = False
    bad, good = sorted(n for n, b in sizes.items() if b), sorted(n for n, b in sizes.items() if not b)
    listed = f"right for lengths {', '.join(map(str, good))}, wrong for {', '.join(map(str, bad))}"
    for parity, word in ((0, "even"), (1, "odd")):
        if len(bad) > 1 and all(n % 2 == parity for n in bad) and all(n % 2 != parity for n in good):
            return f"{listed}: wrong for {word} lengths"
    if bad and min(bad) > max(good):
        return f"{listed}: wrong from a length of {min(bad)} on, or anywhere above {max(good)}"
    return listed


def _resized(label: str) -> tuple[int, int] | None:
    found = re.match(r"axes of size (\d+) made (\d+) long", label)
    return (int(found[1]), int(found[2])) if found else None


def by_topic(outcomes: Sequence[Outcome], wrong: Sequence[Outcome], argument: int) -> Diagnosis | None:
    """What the variations have in common at which it is wrong."""
    topics = [o.variation.topic for o in wrong]
    kinds = {d.kind for d in wrong[0].disagreements(argument)}
    if kinds & {"nan", "nan at a kink", "infinite"}:
        where = "" if topics[0] not in TOPICS else f" ({wrong[0].variation.label})"
        cause = {"zero": "zero", "large": "overflow", "grid": "overflow", "mask": "mask value"}.get(topics[0], "nan")
        return Diagnosis(cause, f"it is {wrong[0].disagreements(argument)[0].given}{where}")
    if topics[0] == "small" and set(topics) <= {"small", "zero", "size"}:
        return eps_misplaced(wrong, argument) or Diagnosis("small", TOPICS["small"][1])
    if topics[0] == "keyword":
        axis = wrong[0].variation.label.startswith(("axis=", "dim="))
        return Diagnosis("wrong axis" if axis else "keyword", f"right as given, wrong with {wrong[0].variation.label}")
    if "tie" in topics and set(topics) <= {"tie", "same", "round", "zero"}:
        return Diagnosis("ties", TOPICS["tie"][1])
    if "size" in topics and set(topics) & {"small"} and not set(topics) & {"large"}:
        return eps_misplaced(wrong, argument) or Diagnosis("small", TOPICS["small"][1])
    cause, evidence = TOPICS.get(topics[0], ("formula", ""))
    if cause in ("mask value", "negative index", "order of indices"):
        evidence = f"{evidence}, wrong with {wrong[0].variation.label}"
    if cause == "size" and topics[0] == "longer":
        evidence = _which_sizes(outcomes, wrong) or evidence
    return Diagnosis(cause, evidence) if cause != "formula" else None
