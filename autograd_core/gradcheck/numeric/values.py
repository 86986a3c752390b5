"""Comparing the gradient that the rules claim with numeric derivatives, at one spot.

The quick way tries a few random directions, or every element where there are few. Where it disagrees, the thorough one
(`examine`) decides: a disagreement is reported only if it stands on every scale of steps, outside of the hull at a kink, and
beyond the rounding that the rule itself shows. An elementwise function needs one direction for all of its elements.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric.differences import Examined, central_derivatives, evaluated, examine
from autograd_core.gradcheck.numeric.directions import Directions
from autograd_core.gradcheck.numeric.spots import Spot
from autograd_core.gradcheck.numeric.verdicts import Comparison, Disagreement, floor_of, judge

__all__ = ["Comparison", "Disagreement", "compare"]

WHOLE = 64  # up to so many components, each is differenced where a disagreement has to be located
EXAMINED = 24  # disagreeing components that are examined; the rest are taken to be like them
MOST_SUSPECTS = 128  # elements of an elementwise function that are examined together
CONFIRMED = 2  # of an argument: after so many that are wrong no more are examined


def compare(
    spot: Spot,
    directions: Directions,
    random: np.random.Generator,
    *,
    elementwise: bool,
    every: bool,
    kinks: bool,
    trials: int = 3,
    known: Collection[int] = (),
) -> Comparison:
    """Compare at `spot`.

    elementwise   the function is known to treat each element by itself
    every         difference every component, not only random directions
    kinks         components may be tied: move groups of them together too
    trials        how many random directions
    known         arguments, by number, that are known to be wrong: one confirmation is enough
    """
    result = Comparison()
    spot.known_wrong = frozenset(known)
    spot.directions = directions
    if spot.x.size == 0 or spot.y.size == 0:
        return result
    if elementwise and all(size == spot.y.size for size in spot.inputs.sizes):
        _compare_elementwise(spot, directions, result)
    elif every and directions.components.size <= WHOLE:
        _compare_components(spot, directions, directions.components, result)
    else:
        _compare_random(spot, directions, random, result, trials)
    if kinks and spot.usable.all() and not result.disagreements:
        _compare_groups(spot, directions, result)
    return result


# --- elementwise functions -------------------------------------------------------------------------------------------------


def _compare_elementwise(spot: Spot, directions: Directions, result: Comparison) -> None:
    """All elements of an argument at once: each element of the result tells about one of them."""
    tolerance = floor_of(spot)
    result.agreed = np.ones(spot.x.size, dtype=bool)
    result.telling = np.zeros(spot.x.size, dtype=bool)
    for argument, part in enumerate(spot.inputs.parts):
        direction = np.zeros(spot.x.size)
        direction[part] = spot.scale[part]
        found = central_derivatives(spot.function, spot.x, [direction], None, spot.y, spot.eps)
        expected, bound = spot.g * found.estimate[0], np.abs(spot.g) * (found.bound[0] + tolerance * found.size[0])
        given = spot.claimed[part] * direction[part]
        with np.errstate(all="ignore"):
            wrong = ~(np.abs(given - expected) <= bound + tolerance * np.abs(expected)) & spot.usable
        result.compared += int(spot.usable.sum())
        result.telling[part] = wrong | (np.abs(given) + np.abs(expected) > 1e3 * bound)
        if not wrong.any():
            continue
        suspects = np.flatnonzero(wrong)
        result.agreed[part.start + suspects] = False
        within = spot.scale[part][suspects] <= np.abs(spot.x[part][suspects])  # no step of these crosses zero, where many kinks are
        if argument in spot.known_wrong and not spot.degenerate and within.all():
            with np.errstate(all="ignore"):
                most = int(suspects[np.argmax(np.nan_to_num(np.abs(given - expected)[suspects], nan=np.inf))])
            component, step = part.start + most, float(direction[part][most])
            axis = spot.scale[component] * _axis(spot, component)
            seen = tuple(float(v[most]) / step for v in (given, expected, bound))
            result.disagreements.append(Disagreement(spot, component, seen[0], seen[1], seen[2], _kind_of_number(seen[0]), axis))
            continue
        if suspects.size > MOST_SUSPECTS:
            suspects = np.random.default_rng(0).permutation(suspects)[:MOST_SUSPECTS]  # the others are taken to be like them
        for group in _of_similar_size(suspects, direction[part]):
            _judge_alone(spot, part.start, group, given, result)
        suspects = part.start + suspects[~result.agreed[part][suspects]]
        _confirm(spot, directions, suspects, result)  # alone: "elementwise" was only a guess


def _kind_of_number(given: float) -> str:
    return "smooth" if np.isfinite(given) else "nan" if np.isnan(given) else "infinite"


def _judge_alone(spot: Spot, start: int, group: Any, given: Any, result: Comparison) -> None:
    """Elements of one argument, moved together: each by itself, as the element of the result at its place tells."""
    direction = np.zeros(spot.x.size)
    direction[start + group] = spot.scale[start + group]
    view = spot.view(group)
    seen = examine(view.function, spot.x, direction, view.y, spot.eps, _reach(spot, direction), view.noise)
    for k, i in enumerate(group):
        component, alone = int(start + i), Comparison()
        axis = spot.scale[component] * _axis(spot, component)
        judge(spot, component, axis, given[i], Examined(*(field[k : k + 1] for field in seen)), spot.view(group[k : k + 1]), alone, alone=True)
        result.undecided += alone.undecided
        result.agreed[component] = not alone.disagreements


def _confirm(spot: Spot, directions: Directions, components: Any, result: Comparison) -> None:
    """Examine components that disagree by the quick comparison, the most conspicuous first."""
    confirmed: dict[int, int] = {}
    examined = 0
    for j in components:
        argument = spot.inputs.place(int(j))[0]
        if examined >= EXAMINED or confirmed.get(argument, 0) >= (1 if spot.is_large or argument in spot.known_wrong else CONFIRMED):
            continue
        examined += 1
        before = len(result.disagreements)
        _examine_along(spot, directions.unit(int(j)), int(j), result)
        agrees = len(result.disagreements) == before
        confirmed[argument] = confirmed.get(argument, 0) + (not agrees)
        if agrees and result.agreed is not None:
            result.agreed[j] = True


def _axis(spot: Spot, component: int) -> Any:
    direction = np.zeros(spot.x.size)
    direction[component] = 1.0
    return direction


def _of_similar_size(elements: Any, steps: Any) -> list[Any]:
    """`elements` in groups whose steps are within three orders of magnitude: one ladder then suits all of a group."""
    orders = np.round(np.log10(steps[elements]) / 3)
    return [elements[orders == order] for order in np.unique(orders)]


def _reach(spot: Spot, direction: Any) -> float:
    """How many times `direction` a long step is: as far as the element itself is from zero, or 1, so that rounding of the value
    does not hide how it changes."""
    moved = direction != 0
    farthest = max(1.0, float(np.max(np.abs(spot.x[moved]), initial=0.0)))
    return max(1.0, farthest / float(np.min(np.abs(direction[moved]), initial=np.inf)))


# --- any function ----------------------------------------------------------------------------------------------------------


def _compare_random(spot: Spot, directions: Directions, random: np.random.Generator, result: Comparison, trials: int) -> None:
    parts = [directions.components[(directions.components >= p.start) & (directions.components < p.stop)] for p in spot.inputs.parts]
    for argument in spot.known_wrong:
        _compare_known(spot, directions.random(random, parts[argument]), result)
    parts = [part for argument, part in enumerate(parts) if argument not in spot.known_wrong]
    components = np.concatenate(parts) if parts else np.zeros(0, dtype=int)
    if not components.size:
        return
    rows = np.array([directions.random(random, components) for _ in range(trials)])
    times = _disagreeing(spot, rows, result)[0]
    if not times.any() or (spot.is_large and _crosses_kinks(spot, rows[int(np.argmax(times))])):
        return
    if components.size > WHOLE:
        components = np.concatenate([_located(spot, directions, part, random) for part in parts])
    if not _compare_components(spot, directions, components, result) and not result.disagreements:
        for row in rows:  # too little in each to be seen
            _examine_along(spot, row, None, result)


def _crosses_kinks(spot: Spot, row: Any) -> bool:
    """Whether it is the steps' length that makes a direction disagree: long steps differ from short ones, which agree.

    Of a million elements that are sorted, some change places over any step but a very short one.
    """
    given, slopes = float(spot.claimed @ row), []
    for step in (2.0**-5, 2.0**-20, 2.0**-32):
        above, below = (evaluated(spot.function, spot.x + s * row, spot.y.size) for s in (step, -step))
        slopes.append(float(spot.g @ (above - below)) / (2 * step))
        bound = 4 * spot.eps * float(np.linalg.norm(spot.g * spot.y)) / step + 1e-6 * float(np.linalg.norm(spot.claimed * row))
        if step < 1e-3 and abs(given - slopes[-1]) <= bound < 0.1 * abs(slopes[0] - slopes[-1]):
            return True
    return False


def _disagreeing(spot: Spot, rows: Any, result: Comparison) -> tuple[Any, Any]:
    """By how many times the bound the directions disagree by the quick comparison, and in which of them a mistake would show."""
    found = central_derivatives(spot.function, spot.x, rows, spot.g, spot.y, spot.eps)
    with np.errstate(all="ignore"):
        terms = np.where(rows != 0, rows * spot.claimed, 0.0)
        given = terms.sum(axis=1)
        largest = np.abs(terms).max(axis=1, initial=1e-300)
        rounding = 16 * spot.eps * largest * np.sqrt(((terms / largest[:, None]) ** 2).sum(axis=1))  # squares may overflow
        slack = found.bound + floor_of(spot) * found.size + rounding
        gap = np.abs(given - found.estimate)
        times = np.where(np.isfinite(gap) & (slack > 0), gap / np.where(slack > 0, slack, 1.0), np.inf)
        times = np.where(np.isfinite(gap) & (gap <= slack), 0.0, times)  # what is infinite is excused by nothing
        telling = np.abs(given) + np.abs(found.estimate) > 1e3 * slack
    result.compared += len(rows)
    return times, telling | (times > 0)


def _compare_components(spot: Spot, directions: Directions, components: Any, result: Comparison) -> bool:
    """Compare along each component; whether any disagreed at first sight."""
    rows = np.array([directions.unit(int(j)) for j in components]).reshape(len(components), spot.x.size)
    times, telling = _disagreeing(spot, rows, result)
    wrong = components[np.argsort(-times, kind="stable")][: int(np.count_nonzero(times))]
    if len(components) == directions.components.size:
        result.agreed, result.telling = np.ones(spot.x.size, dtype=bool), np.zeros(spot.x.size, dtype=bool)
        result.agreed[wrong] = False
        result.telling[components] = telling
    _confirm(spot, directions, wrong, result)
    return bool(wrong.size)


def _compare_known(spot: Spot, row: Any, result: Comparison) -> None:
    """Whether an argument that is known to be wrong is so here too: at first sight only."""
    found = central_derivatives(spot.function, spot.x, row[None], spot.g, spot.y, spot.eps)
    moved = row != 0
    given, expected, bound = float(spot.claimed[moved] @ row[moved]), float(found.estimate[0]), float(found.bound[0] + 1e-6 * found.size[0])
    result.compared += 1
    if not abs(given - expected) <= bound:
        result.disagreements.append(Disagreement(spot, None, given, expected, bound, "smooth", row))


def _located(spot: Spot, directions: Directions, components: Any, random: np.random.Generator) -> Any:
    """Those of the components of an argument that have to be looked at one by one: all if they are few, else those that
    disagree, found by halving the set of those that are moved."""
    if components.size == 0 or not _disagreeing(spot, directions.random(random, components)[None], Comparison())[0][0] > 0:
        return np.zeros(0, dtype=int)
    if components.size <= WHOLE:
        return components
    found: list[int] = []
    pending = [components]
    disagrees = _disagrees_at_a_glance if spot.is_large else _disagrees
    while pending and len(found) < (1 if spot.is_large else 4):
        half = pending.pop()
        if not disagrees(spot, directions.random(random, half)):
            continue
        if half.size == 1:
            found.append(int(half[0]))
        else:
            pending += [half[half.size // 2 :], half[: half.size // 2]]
    return np.array(found, dtype=int)


def _disagrees(spot: Spot, row: Any) -> bool:
    return bool(_disagreeing(spot, row[None], Comparison())[0][0] > 0)


def _disagrees_at_a_glance(spot: Spot, row: Any) -> bool:
    """By one difference: enough to follow a disagreement that is sure to be somewhere."""
    step = 2.0**-12
    above, below = (evaluated(spot.function, spot.x + s * row, spot.y.size) for s in (step, -step))
    moved = row != 0
    terms, found = spot.claimed[moved] * row[moved], spot.g * (above - below) / (2 * step)
    return not abs(float(terms.sum() - found.sum())) <= 3e-7 * float(np.linalg.norm(terms) + np.linalg.norm(found))


def _examine_along(spot: Spot, direction: Any, component: int | None, result: Comparison) -> None:
    moved = direction != 0
    given = float(spot.claimed[moved] @ direction[moved])
    view = spot.view_along(direction)
    seen = examine(view.function, spot.x, direction, view.y, spot.eps, _reach(spot, direction), view.noise)
    judge(spot, component, direction, given, seen, view, result)


# --- ties ------------------------------------------------------------------------------------------------------------------


def _compare_groups(spot: Spot, directions: Directions, result: Comparison) -> None:
    """Move elements of equal value together: at a tie the sum of their gradients is certain, however it is shared."""
    order = np.argsort(spot.x, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(spot.x[order])) + 1) if np.unique(spot.x).size < spot.x.size else []
    groups = [group for group in groups if group.size > 1][: 1 if spot.is_large else 6]
    rows = [directions.together(group) for group in groups]
    rows.append(directions.together(np.arange(spot.x.size)))
    for argument in spot.known_wrong:  # it has been found out, and would only accuse the others
        for row in rows:
            row[spot.inputs.parts[argument]] = 0.0
    rows = [row for row in rows if np.any(row)]
    if not rows:
        return
    stacked = np.array(rows)
    for k in np.flatnonzero(_disagreeing(spot, stacked, result)[0]):
        before = len(result.disagreements)
        _examine_along(spot, stacked[k], None, result)
        for disagreement in result.disagreements[before:]:
            disagreement.kind = "tie" if disagreement.kind == "smooth" else disagreement.kind
