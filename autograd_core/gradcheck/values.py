"""Comparing the gradient that the rules claim with numeric derivatives, at one spot.

The quick way tries a few random directions, or every element where there are few. Where it disagrees, the thorough one
(`examine`) decides: a disagreement is reported only if it stands on every scale of steps, outside of the hull at a kink, and
beyond the rounding that the rule itself shows. An elementwise function needs one direction for all of its elements.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd_core.gradcheck.differences import Examined, central_derivatives, evaluated, examine
from autograd_core.gradcheck.directions import Directions
from autograd_core.gradcheck.spots import Spot

__all__ = ["Comparison", "Disagreement", "compare", "jacobian"]

FLOOR = 1e-9  # relative disagreement that is never reported: the check of a rule is not a check of its last digits
WHOLE = 64  # up to so many components, each is differenced where a disagreement has to be located
EXAMINED = 8  # disagreeing components that are examined; the rest are taken to be like them


@dataclass
class Disagreement:
    """A derivative that is wrong.

    component   of the vector of all arguments; None for a direction in which several are moved
    given, expected, bound   the claimed derivative, the numeric one and how far that may be off
    kind        "smooth", "kink" (outside of the hull of the one-sided slopes), "nan", "infinite" or "tie"
    """

    spot: Spot
    component: int | None
    given: float
    expected: float
    bound: float
    kind: str = "smooth"
    moved: Any = None


@dataclass
class Comparison:
    """The outcome at a spot: what disagrees, what could not be decided, and how much was compared."""

    disagreements: list[Disagreement] = field(default_factory=list)
    undecided: list[tuple[int | None, str]] = field(default_factory=list)
    compared: int = 0
    agreed: Any = None  # per component, where each was compared
    telling: Any = None  # per component: whether a mistake would have shown, or did


def compare(spot: Spot, directions: Directions, random: np.random.Generator, *, elementwise: bool, every: bool, kinks: bool, trials: int = 3) -> Comparison:
    """Compare at `spot`.

    elementwise   the function is known to treat each element by itself
    every         difference every component, not only random directions
    kinks         components may be tied: move groups of them together too
    trials        how many random directions
    """
    result = Comparison()
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
    tolerance = _floor(spot)
    result.agreed = np.ones(spot.x.size, dtype=bool)
    result.telling = np.zeros(spot.x.size, dtype=bool)
    for part in spot.inputs.parts:
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
        for group in _of_similar_size(np.flatnonzero(wrong), direction[part]):
            alone = np.zeros(spot.x.size)
            alone[part.start + group] = direction[part.start + group]
            seen = examine(spot.function, spot.x, alone, spot.y, spot.eps, _reach(spot, alone))
            for i in group:
                one = Examined(*(field[i : i + 1] for field in seen))
                _judge(spot, int(part.start + i), given[i], one, spot.g[i : i + 1], result, tolerance, spot.scale[part][i])
                result.agreed[part.start + i] = not (result.disagreements and result.disagreements[-1].component == part.start + i)


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
    rows = np.array([directions.random(random) for _ in range(trials)])
    if not _disagreeing(spot, rows, result)[0].any():
        return
    components = directions.components
    if components.size > WHOLE:
        components = _bisected(spot, directions, random)
    before = len(result.disagreements)
    _compare_components(spot, directions, components, result)
    if len(result.disagreements) == before and not result.undecided:
        for row in rows:
            _examine_along(spot, row, None, result)


def _disagreeing(spot: Spot, rows: Any, result: Comparison) -> tuple[Any, Any]:
    """Which of the directions disagree by the quick comparison, and in which a mistake would show."""
    found = central_derivatives(spot.function, spot.x, rows, spot.g, spot.y, spot.eps)
    with np.errstate(all="ignore"):
        terms = np.where(rows != 0, rows * spot.claimed, 0.0)
        given = terms.sum(axis=1)
        rounding = 16 * spot.eps * np.sqrt((terms**2).sum(axis=1))
        slack = found.bound + _floor(spot) * found.size + rounding
        agrees = np.abs(given - found.estimate) <= slack
        telling = np.abs(given) + np.abs(found.estimate) > 1e3 * slack
    result.compared += len(rows)
    return ~agrees, telling | ~agrees


def _compare_components(spot: Spot, directions: Directions, components: Any, result: Comparison) -> None:
    rows = np.array([directions.unit(int(j)) for j in components]).reshape(len(components), spot.x.size)
    disagreeing, telling = _disagreeing(spot, rows, result)
    wrong = components[disagreeing]
    if len(components) == directions.components.size:
        result.agreed, result.telling = np.ones(spot.x.size, dtype=bool), np.zeros(spot.x.size, dtype=bool)
        result.agreed[wrong] = False
        result.telling[components] = telling
    with np.errstate(all="ignore"):
        strangeness = np.where(np.isfinite(spot.claimed[wrong]), np.abs(spot.claimed[wrong]) * spot.scale[wrong], np.inf)
    for j in wrong[np.argsort(-strangeness, kind="stable")][:EXAMINED]:
        before = len(result.disagreements)
        _examine_along(spot, directions.unit(j), int(j), result)
        if result.agreed is not None and len(result.disagreements) == before:
            result.agreed[j] = True


def _bisected(spot: Spot, directions: Directions, random: np.random.Generator) -> Any:
    """Components that disagree, found by halving the set of those that are moved."""
    found: list[int] = []
    pending = [directions.components]
    while pending and len(found) < 4:
        half = pending.pop()
        row = directions.random(random, half)
        if not _disagreeing(spot, row[None], Comparison())[0][0]:
            continue
        if half.size == 1:
            found.append(int(half[0]))
        else:
            pending += [half[half.size // 2 :], half[: half.size // 2]]
    return np.array(found, dtype=int)


def _examine_along(spot: Spot, direction: Any, component: int | None, result: Comparison) -> None:
    moved = direction != 0
    given = float(spot.claimed[moved] @ direction[moved])
    seen = examine(spot.function, spot.x, direction, spot.y, spot.eps, _reach(spot, direction))
    scale = float(np.abs(direction[component])) if component is not None else 1.0
    _judge(spot, component, given, seen, spot.g, result, _floor(spot), scale, direction)


def _judge(
    spot: Spot, component: int | None, given: float, seen: Examined, g: Any, result: Comparison, floor: float, scale: float, direction: Any = None
) -> None:
    """Decide whether `given`, the claimed derivative along a direction, can be right after what was seen along it."""
    used = g != 0
    low, high = _contracted(seen.low[used], seen.high[used], g[used])
    kinds = set(seen.kind[used].tolist())
    slack = 2 * floor * float(np.linalg.norm((g * _middle(seen))[used])) if np.isfinite(low + high) else 0.0
    noise = spot.claimed_noise() if "kink" not in kinds else np.zeros(spot.x.size)
    slack += float(noise @ np.abs(direction)) if direction is not None else float(noise[component]) * scale if component is not None else 0.0
    if direction is not None:
        moved = direction != 0
        slack += 16 * spot.eps * float(np.linalg.norm(spot.claimed[moved] * direction[moved])) if np.isfinite(given) else 0.0
    expected, bound = (low + high) / 2, (high - low) / 2 + slack
    if "steep" in kinds and not kinds & {"jump", "unknown"}:
        limit = float(np.sum((g * seen.sign)[used & (seen.kind == "steep")]))
        if np.isinf(given) and limit * given < 0:
            result.disagreements.append(Disagreement(spot, component, given / scale, limit * np.inf, 0.0, "infinite", direction))
        else:
            result.undecided.append((component, "the slope grows without limit"))
        return
    if not np.isfinite(expected):
        why = "discontinuous" if "jump" in kinds else "the differences do not settle"
        result.undecided.append((component, why))
        return
    if np.isfinite(given):
        if abs(given - expected) <= bound:
            return
        other_low = np.where(np.isnan(seen.other_low), seen.low, seen.other_low)
        other_high = np.where(np.isnan(seen.other_high), seen.high, seen.other_high)
        other = _contracted(other_low[used], other_high[used], g[used])
        if other[0] - slack <= given <= other[1] + slack:
            return
        if given == 0 and seen.stairs[used].any():
            result.undecided.append((component, "a step function, or a value that is rounded"))
            return
        kind = "kink" if "kink" in kinds else "smooth"
        if kind == "kink" and (component is None or _near_a_kink(spot, component, given, slack)):
            return  # a direction that moves several may leave the hull of each
        result.disagreements.append(Disagreement(spot, component, given / scale, expected / scale, bound / scale, kind, direction))
        return
    kind = "nan at a kink" if "kink" in kinds else "nan" if np.isnan(given) else "infinite"
    result.disagreements.append(Disagreement(spot, component, given / scale, expected / scale, bound / scale, kind, direction))


def _near_a_kink(spot: Spot, component: int, given: float, bound: float) -> bool:
    """Whether `given` lies among the derivatives at places next to this one, where ties are broken one way or another."""
    random = np.random.default_rng(0)
    usual = float(np.max(spot.scale, initial=0.0))
    direction = np.zeros(spot.x.size)
    direction[component] = spot.scale[component]
    found = []
    for _ in range(24):
        x = spot.x + 1e-4 * usual * random.uniform(-1.0, 1.0, spot.x.size)
        step = 1e-7 * usual / spot.scale[component]
        above, below = (evaluated(spot.function, x + s * direction, spot.y.size) for s in (step, -step))
        found.append(float(spot.g @ (above - below)) / (2 * step))
    finite = [slope for slope in found if np.isfinite(slope)]
    slack = bound + 1e-3 * max((abs(slope) for slope in finite), default=0.0)
    return bool(finite) and min(finite) - slack <= given <= max(finite) + slack


def _middle(seen: Examined) -> Any:
    with np.errstate(all="ignore"):
        middle = (seen.low + seen.high) / 2
    return np.where(np.isfinite(middle), middle, 0.0)


def _contracted(low: Any, high: Any, g: Any) -> tuple[float, float]:
    """The interval of sum g_i s_i for s_i in [low_i, high_i]."""
    return float(np.sum(np.where(g > 0, g * low, g * high))), float(np.sum(np.where(g > 0, g * high, g * low)))


def _floor(spot: Spot) -> float:
    return max(FLOOR, 64 * spot.eps)


# --- ties ------------------------------------------------------------------------------------------------------------------


def _compare_groups(spot: Spot, directions: Directions, result: Comparison) -> None:
    """Move elements of equal value together: at a tie the sum of their gradients is certain, however it is shared."""
    values, group_of = np.unique(spot.x, return_inverse=True)
    groups = [np.flatnonzero(group_of == k) for k in range(len(values))]
    groups = [group for group in groups if group.size > 1][:6]
    rows = [directions.together(group) for group in groups]
    rows.append(directions.together(np.arange(spot.x.size)))
    rows = [row for row in rows if np.any(row)]
    if not rows:
        return
    stacked = np.array(rows)
    for k in np.flatnonzero(_disagreeing(spot, stacked, result)[0]):
        before = len(result.disagreements)
        _examine_along(spot, stacked[k], None, result)
        for disagreement in result.disagreements[before:]:
            disagreement.kind = "tie" if disagreement.kind == "smooth" else disagreement.kind


def jacobian(spot: Spot, directions: Directions) -> Any:
    """The numeric Jacobian, (size of result, number of components of all arguments)."""
    rows = np.array([directions.unit(int(j)) for j in directions.components]).reshape(-1, spot.x.size)
    found = central_derivatives(spot.function, spot.x, rows, None, spot.y, spot.eps)
    full = np.zeros((spot.y.size, spot.x.size))
    full[:, directions.components] = (found.estimate / spot.scale[directions.components, None]).T
    return full
