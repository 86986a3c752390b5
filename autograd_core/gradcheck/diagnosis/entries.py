"""Which entries of the Jacobian are right, which are left out, and which stand at another place: truncated sums and scans, terms
that are off by one, a factor for each row or column."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import Case, same

__all__ = ["entries_left_out", "factor_per_axis", "factor_per_place", "mask_inverted", "shifted_entries", "straight_through", "wrong_places"]


def straight_through(case: Case) -> str | None:
    """The value does not change with the argument at all, but there is a gradient: rounding, a sign, a detached value."""
    if case.right.any() or not case.given.any() or case.jacobian.any() or not np.isfinite(case.given).all():
        return None
    claimed = case.claimed_jacobian
    if claimed.shape[0] == claimed.shape[1] and same(claimed, np.eye(len(claimed))):
        return f"the value is flat in {case.name} (it does not change), and the incoming gradient is passed straight through"
    return f"the value is flat in {case.name} (it does not change), and yet there is a gradient"


def entries_left_out(case: Case) -> str | None:
    """Each entry of the claimed Jacobian is right or zero: which ones are zero?"""
    if cut := _ends_left_out(case):
        return cut
    right, claimed = case.jacobian, case.claimed_jacobian
    if overwritten := _overwritten(right, claimed):
        return overwritten
    if right.shape[0] != right.shape[1] or len(right) < 3 or not case.real or case.x.ndim != 1 or not np.isfinite(claimed).all():
        return None
    largest = np.abs(right).max()
    left_out = (np.abs(right) > 1e-6 * largest) & (np.abs(claimed) <= 1e-9 * largest)
    if not left_out.any() or not same(np.where(left_out, 0.0, right), claimed):
        return None
    i, j = np.indices(right.shape)
    if np.array_equal(left_out, (i == j) & left_out) and left_out.any(axis=1).all():
        return "each element's own term is left out (the diagonal of the Jacobian): the sum is exclusive, off by one"
    kept = (np.abs(right) > 1e-6 * largest) & ~left_out
    farthest = int(np.abs(i - j)[kept].max(initial=0))
    if farthest < int(np.abs(i - j)[left_out].min(initial=0)):
        way = "later" if (i >= j)[left_out].all() else "earlier" if (i <= j)[left_out].all() else "away"
        return f"contributions to results more than {farthest} steps {way} are left out: the recurrence is truncated"
    if left_out[0].any() and np.array_equal(left_out, left_out & (left_out.all(axis=1))[:, None]):
        return f"the incoming gradient of results {np.flatnonzero(left_out.any(axis=1)).tolist()} is not used"
    return None


def _overwritten(right: Any, claimed: Any) -> str:
    """Of elements that enter several results only the last (or first) one's contribution arrives."""
    largest = float(np.abs(right).max(initial=0.0))
    needed, there = np.abs(right) > 1e-6 * largest, np.abs(claimed) > 1e-9 * largest
    left_out = needed & ~there
    if not left_out.any() or not np.isfinite(claimed).all() or not same(np.where(left_out, 0.0, right), claimed) or (needed.sum(axis=0) < 2).all():
        return ""
    columns = np.flatnonzero(left_out.any(axis=0))
    if (there[:, columns].sum(axis=0) != 1).any():
        return ""
    for last, word in ((True, "last"), (False, "first")):
        if all((np.flatnonzero(needed[:, j])[-1 if last else 0] == np.flatnonzero(there[:, j])[0]) for j in columns):
            return f"elements that enter several results get the contribution of the {word} one alone: it is assigned, overwritten, not added up"
    return ""


def mask_inverted(case: Case) -> str | None:
    """Everywhere right, or zero for not zero, or not zero for zero, both of them."""
    largest = float(np.max(np.abs(case.right), initial=0.0))
    needed, there = np.abs(case.right) > 1e-9 * largest, np.abs(case.given) > 1e-9 * largest
    lost, passed = needed & ~there, there & ~needed
    if passed.any() and not lost.any() and needed.any() and np.isfinite(case.given).all():
        share = float(np.median((case.given / np.where(needed, case.right, 1.0))[needed]))
        if abs(share - 1) > 1e-6 and same(case.given[needed], share * case.right[needed]):
            return f"it is not zero where the value does not depend on the argument, and {share:.6g} of the right one elsewhere: shared, as of a mean"
    alike = np.abs(case.given - case.right) <= 1e-6 * largest
    if lost.any() and passed.any() and (alike | lost | passed).all() and np.isfinite(case.given).all():
        return "the mask is another one, or inverted: it is zero where the value does depend on the argument, and not zero where it does not"
    return None


def wrong_places(case: Case) -> str | None:
    """Each result passes on the right numbers, to the wrong elements."""
    right, claimed = case.jacobian, case.claimed_jacobian
    if min(right.shape, default=0) < 3 or not case.real or not np.isfinite(claimed).all() or same(right, claimed):
        return None
    largest = float(np.abs(right).max())
    needed, there = np.abs(right) > 1e-6 * largest, np.abs(claimed) > 1e-6 * largest
    if same(np.sort(right, axis=1), np.sort(claimed, axis=1)):
        k = int(np.argmax(np.abs(right - claimed).max(axis=1)))
        names = [[list(map(int, np.unravel_index(j, case.x.shape))) for j in np.flatnonzero(row[k])[:3]] for row in (needed, there)]
        if names[0] == names[1]:
            return None  # the same elements, in another order: a reversed kernel tells more
        places = f"result {k} depends on elements {names[0]}..., its gradient goes to {names[1]}..."
        return f"the right numbers at wrong places: {places} (shifted, or in another order)"
    if case.x.ndim == 1 and right.shape[0] == right.shape[1]:
        i, j = np.indices(right.shape)
        for needed_side, there_side, word in (
            (i >= j, i <= j, "later elements, where it depends on the earlier ones"),
            (i <= j, i >= j, "earlier elements, where it depends on the later ones"),
        ):
            if not needed[~needed_side].any() and not there[~there_side].any() and there[i != j].any() and needed[i != j].any():
                return f"each result passes its gradient to the {word}: the scan runs in the wrong direction and has to be reversed"
    return None


def _ends_left_out(case: Case) -> str | None:
    """The first (or last) elements get nothing, the others are right: a recurrence that is followed for some steps only."""
    if case.x.ndim == 0 or not case.real or case.x.shape[0] < 3:
        return None
    lines = [(r, d) for r, d in zip(case.right, case.given, strict=True)]
    nothing = np.array([bool(r.any() and not d.any()) for r, d in lines])
    right = np.array([same(r, d) or not r.any() for r, d in lines])
    count = int(nothing.sum())
    if not 0 < count < len(lines) or not (nothing | right).all() or not case.right[right].any():
        return None
    if nothing[:count].all():
        return f"the first {count} elements get none, the later ones are right: what goes through earlier steps is cut off (truncated)"
    if nothing[-count:].all() and count > 1:
        return f"the last {count} elements get none, the earlier ones are right: what goes through later steps is cut off (truncated)"
    return None


def shifted_entries(case: Case) -> str | None:
    """Some diagonals of the Jacobian are right, another one stands beside its place: off by one."""
    right, claimed = case.jacobian, case.claimed_jacobian
    if case.x.ndim != 1 or len(case.spot.results) != 1 or case.spot.results[0].ndim != 1 or min(right.shape) < 3 or not np.isfinite(claimed).all():
        return None
    rows, columns = right.shape
    places = range(-rows + 1, columns)
    wrong = [k for k in places if not same_to(np.diagonal(right, k), np.diagonal(claimed, k), np.abs(right).max())]
    lost = [k for k in wrong if np.diagonal(right, k).any()]
    if not 1 <= len(wrong) <= 2 * len(lost) or len(lost) > max(3, min(right.shape) // 2):
        return None
    for shift in (-1, 1, -2, 2):
        moved = np.zeros_like(right)
        for k in lost:
            values = np.diagonal(right, k)
            if not same(values, np.full_like(values, values[0])):
                return None
            moved += values[0] * np.eye(rows, columns, k + shift)
        expected = right.copy()
        for k in lost:
            expected -= np.eye(rows, columns, k) * right
        expected += moved
        inner = np.abs(expected - claimed) <= 1e-5 * np.abs(right).max()
        if inner[1:-1, 1:-1].all() and inner.mean() > 0.8:
            word = "by one" if abs(shift) == 1 else "by two"
            return f"a term stands {word} too {'late' if shift > 0 else 'early'}: off {word}, shifted to the neighbouring element"
    return None


def same_to(a: Any, b: Any, largest: float) -> bool:
    """Whether two arrays agree to a fraction of `largest`."""
    return bool(np.all(np.abs(a - b) <= 1e-6 * largest))


def factor_per_axis(case: Case, second: Case | None) -> tuple[str, str] | None:
    """Given / right is one number for each index along an axis: the same at two places, or a statistic of the row, column or channel."""
    found = _factors_of_lines(case)
    again = None if second is None else _factors_of_lines(second)
    if found is None or (second is not None and (again is None or again[:2] != found[:2])):
        return None
    axis, what, factors = found
    if again is not None and not what and not same(factors, again[2]):
        return None
    word = {2: ("row", "column")}.get(case.x.ndim, ("channel",) * case.x.ndim)[axis]
    numbers = ", ".join(f"{v:.6g}" for v in factors[:4]) + (", ..." if len(factors) > 4 else "")
    return "factor per line", f"each {word} (index along axis {axis}) has a factor of its own, given / expected = {what or numbers}"


def _factors_of_lines(case: Case) -> tuple[int, str, Any] | None:
    """The axis, what the factors are if that is known, and the factors."""
    if not case.real or case.x.ndim == 0 or case.given.size < 3:
        return None
    with np.errstate(all="ignore"):
        counts = np.abs(case.right) > 1e-6 * np.max(np.abs(case.right), initial=0.0)
        r = np.where(counts, case.given / case.right, np.nan)
    if not np.isfinite(r[counts]).all():
        return None
    for axis in range(case.x.ndim) if case.x.ndim > 1 else ():
        lines = np.moveaxis(r, axis, 0).reshape(case.x.shape[axis], -1)
        if len(lines) < 2 or lines.shape[1] < 2 or (np.isfinite(lines).sum(axis=1) < 2).any():
            continue
        middle = np.nanmedian(lines, axis=1)
        if not middle.all():
            continue
        if np.nanmax(np.abs(lines / middle[:, None] - 1)) < 1e-5 and np.ptp(middle) > 1e-4 * np.abs(middle).max():
            return axis, _of_each_line(case, axis, middle), middle
    return None


def _of_each_line(case: Case, axis: int, factors: Any) -> str:
    """What the factors of the lines are, if it is a statistic of each line."""
    others = tuple(k for k in range(case.x.ndim) if k != axis)
    x = case.x
    features = {
        "norm": np.sqrt((x**2).sum(axis=others)), "rms": np.sqrt((x**2).mean(axis=others)), "standard deviation": x.std(axis=others),
        "mean": x.mean(axis=others), "sum": x.sum(axis=others), "largest element": x.max(axis=others),
        "sum of absolute values": np.abs(x).sum(axis=others),
    }  # fmt: skip
    with np.errstate(all="ignore"):
        for name, feature in features.items():
            for power, word in ((1.0, ""), (-1.0, "1 / "), (2.0, "the square of "), (-2.0, "1 / the square of ")):
                if np.all(np.abs(factors / feature**power - 1) < 1e-5):
                    return f"{word}its {name}"
    return ""


def factor_per_place(case: Case, second: Case | None) -> tuple[str, str] | None:
    """Given / right is the same at two places of other values: it depends on where an element stands alone."""
    if second is None or case.given.shape != second.given.shape or not case.real or case.given.size < 3:
        return None
    with np.errstate(all="ignore"):
        one, two = case.given / case.right, second.given / second.right
        counts = np.isfinite(one) & np.isfinite(two)
        counts &= (np.abs(case.right) > 1e-6 * np.abs(case.right).max()) & (np.abs(second.right) > 1e-6 * np.abs(second.right).max())
    known, again = one[counts], two[counts]
    if known.size < 3 or not known.all() or not np.all(np.abs(known - again) <= 1e-5 * np.abs(known)) or np.ptp(known) < 1e-4:
        return None
    numbers = ", ".join(f"{v:.5g}" for v in one.reshape(-1)[:5]) + (", ..." if one.size > 5 else "")
    return (
        "factor per line",
        f"each element has a factor of its own that depends on its position (index), not on its value: given / expected = {numbers}",
    )
