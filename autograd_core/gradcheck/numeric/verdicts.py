"""The verdict on one derivative: can what the rule claims be right, after what the differences have shown?

A disagreement is reported only if nothing excuses it. At a kink any slope between those on both sides is right, and at a tie
any that is a slope at a place next to it, where the tie is broken one way or another. Where the slope grows without limit,
where the value jumps, and where it consists of rounding alone, nothing can be said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric.differences import Examined, evaluated, examine
from autograd_core.gradcheck.numeric.spots import RuleFailed, Skip, Spot, View

__all__ = ["Comparison", "Disagreement", "floor_of", "judge"]

FLOOR = 1e-9  # relative disagreement that is never reported: the check of a rule is not a check of its last digits
NEARBY = 24  # places next to one that are looked at


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


def floor_of(spot: Spot) -> float:
    """The relative disagreement that is never reported."""
    return max(FLOOR, 64 * spot.eps)


def judge(
    spot: Spot, component: int | None, direction: Any, given: float, seen: Examined, view: View, result: Comparison, *, alone: bool = False
) -> None:
    """Add to `result` what is to be said of `given`, the claimed derivative along `direction`, after what was `seen` along it.

    component : which one the direction moves, or None for several;  view : what was looked at of the results
    alone : the result's elements do not depend on others: then the slopes on both sides tell all, places nearby nothing more
    """
    g = view.g
    used = g != 0
    low, high = _contracted(seen.low[used], seen.high[used], g[used])
    kinds = set(seen.kind[used].tolist())
    scale = 1.0 if component is None else float(np.abs(direction[component]))
    if "steep" in kinds and not kinds & {"jump", "unknown"}:
        signs = np.sign((g * seen.sign)[used & (seen.kind == "steep")])
        limit = float(signs.min()) if signs.min() == signs.max() else 0.0
        if np.isinf(given) and limit * given < 0:
            result.disagreements.append(Disagreement(spot, component, given / scale, limit * np.inf, 0.0, "infinite", direction))
        else:
            result.undecided.append((component, "the slope grows without limit"))
        return
    if not np.isfinite(low + high):
        result.undecided.append((component, "discontinuous" if "jump" in kinds else "the differences do not settle"))
        return
    kinked = "kink" in kinds
    slack = _slack(spot, direction, given, seen, view, kinked=kinked)
    if low - slack <= given <= high + slack or _agrees_coarsely(given, seen, g, slack):
        return
    slopes = np.zeros(0) if alone else _slopes_nearby(spot, direction)
    several = _differ(slopes, given, low, high) if slopes.size else kinked or not alone
    if (
        np.isfinite(given)
        and several
        and not alone
        and (_is_among(given, slopes, slack) or _is_among(given, _gradients_nearby(spot) @ direction, slack))
    ):
        return
    doubt = _doubt(spot, direction, given, low, high, slack, seen, used, several=several)
    if doubt is None and not alone and not _stands(spot, direction, low, high, slack, view):
        doubt = "the differences do not settle"
    if doubt is not None:
        result.undecided.append((component, doubt))
        return
    if np.isfinite(given):
        kind = "kink" if kinked else "smooth"
    else:
        kind = "nan at a kink" if kinked or several else "nan" if np.isnan(given) else "infinite"
    expected, bound = (low + high) / 2, (high - low) / 2 + slack
    result.disagreements.append(Disagreement(spot, component, given / scale, expected / scale, bound / scale, kind, direction))


def _doubt(
    spot: Spot, direction: Any, given: float, low: float, high: float, slack: float, seen: Examined, used: Any, *, several: bool
) -> str | None:
    """Why the numeric derivative, which disagrees, says nothing here; None if it does."""
    if given == 0 and seen.stairs[used].any():
        return "a step function, or a value that is rounded"
    if spot.all_rounding():
        return "the value consists of rounding errors"
    numeric, half = max(abs(low), abs(high)), (high - low) / 2 + slack
    sizes = [float(np.max(np.abs(v), initial=0.0)) for v in (spot.x[direction != 0], spot.y[spot.usable])]
    incoming = float(np.max(np.abs(spot.g), initial=0.0))
    if np.isfinite(given) and "kink" not in seen.kind[used]:
        gap = max(low - given, given - high)
        wide = (half > 0.05 * gap and half > 1e-3 * numeric) or (half > 0.25 * gap and half > 1e-7 * numeric)
        if wide or (half > 0.5 * numeric and half > 1e-2 * max(sizes) * incoming and half > 1e-6 * gap):
            return "the differences do not settle"
    flat = max(4 * spot.eps * max(sizes) * incoming, spot.rounding_at_most())
    if numeric + slack < 0.1 * abs(given) and abs(given) <= flat:
        # Over a step as long as the argument it would change the value by less than a last digit: log(1 + exp(-80)) is 0.
        return "the value is too flat here for its slope to be seen"
    if not spot.degenerate:
        return None
    if spot.eps > 1e-8 and np.isfinite(given) and numeric + slack < 1e-3 * abs(given):
        return "a value that is rounded to single precision"
    if np.isfinite(given) and several and not spot.elementwise:
        return "not differentiable"  # groups moved together tell more
    if abs(given) > 1e8 * (numeric + slack) and np.isfinite(given) and abs(given) > 1e4 * max(sizes) * incoming:
        return "the gradient is a quotient of rounding errors"
    return None


def _stands(spot: Spot, direction: Any, low: float, high: float, slack: float, view: View) -> bool:
    """Whether steps of other lengths tell the same: powers of two are special to a few functions (the spacing of numbers)."""
    other = 0.7 * direction
    seen = examine(view.function, spot.x, other, view.y, spot.eps, known_noise=view.noise)
    used = view.g != 0
    again = _contracted(seen.low[used], seen.high[used], view.g[used])
    return not (again[0] / 0.7 > high + slack or again[1] / 0.7 < low - slack)


def _differ(slopes: Any, given: float, low: float, high: float) -> bool:
    """Whether slopes at places nearby differ as they do at a kink only: so much that they may explain what was given."""
    spread = float(np.ptp(slopes))
    gap = max(low - given, given - high) if np.isfinite(given) else 0.0
    return spread > 0.05 * float(np.abs(slopes).max()) and spread > 0.05 * gap


def _is_among(given: float, slopes: Any, slack: float) -> bool:
    return bool(slopes.size and slopes.min() - slack <= given <= slopes.max() + slack)


def _slack(spot: Spot, direction: Any, given: float, seen: Examined, view: View, *, kinked: bool) -> float:
    """How far `given` may be off the numeric interval: the floor, and rounding of the rule as far as it shows."""
    used = view.g != 0
    slack = 2 * floor_of(spot) * float(np.linalg.norm((view.g * _middle(seen))[used]))
    slack += 8 * float(np.linalg.norm((view.g * view.noise)[used]))
    moved = direction != 0
    if np.isfinite(given):
        terms = np.abs(spot.claimed[moved] * direction[moved])
        largest = float(terms.max(initial=1e-300))
        slack += 16 * spot.eps * largest * float(np.linalg.norm(terms / largest))  # squares of the terms themselves may overflow
    return slack if kinked else slack + float(spot.claimed_noise()[moved] @ np.abs(direction[moved]))


def _agrees_coarsely(given: float, seen: Examined, g: Any, slack: float) -> bool:
    """Whether `given` fits what the longer steps tell, where the shortest ones tell something else."""
    used = g != 0
    low = np.where(np.isnan(seen.other_low), seen.low, seen.other_low)
    high = np.where(np.isnan(seen.other_high), seen.high, seen.other_high)
    interval = _contracted(low[used], high[used], g[used])
    return interval[0] - slack <= given <= interval[1] + slack


def _slopes_nearby(spot: Spot, direction: Any) -> Any:
    """Slopes along `direction` at places next to the spot; they differ much only at a kink or a tie."""
    random = np.random.default_rng(0)
    assert spot.directions is not None
    found = []
    step = 1e-7
    for _ in range(6 if spot.is_large else NEARBY):
        x = spot.x + 1e-4 * spot.directions.random(random) * random.uniform(0.2, 1.0, spot.x.size if not spot.directions.symmetric else 1)
        above, below = (evaluated(spot.function, x + s * direction, spot.y.size) for s in (step, -step))
        found.append(float(spot.g @ (above - below)) / (2 * step))
    slopes = np.array(found)
    return slopes[np.isfinite(slopes)]


def _gradients_nearby(spot: Spot) -> Any:
    """Claimed gradients at places next to the spot where they are right along a direction: rows.

    Of a rule that is right where nothing is tied, any mixture of them is right where something is. The ties are broken
    in the order of the elements first, as most rules do.
    """
    if spot.nearby is None:
        random = np.random.default_rng(0)
        size = spot.x.size
        ramp = np.linspace(0.5, 1.0, size)
        moves = [ramp, -ramp, ramp[::-1], -ramp[::-1]]
        count = min(40 * size, 480) if size <= 100 else 4 if spot.is_large else NEARBY
        moves += [random.uniform(0.2, 1.0, size) * random.choice([-1.0, 1.0], size) for _ in range(count)]
        rows = [_right_gradient(spot, spot.x + 1e-4 * spot.scale * move, random) for move in moves]
        spot.nearby = np.array([row for row in rows if row is not None]).reshape(-1, size)
    return spot.nearby


def _right_gradient(spot: Spot, x: Any, random: np.random.Generator) -> Any:
    """The claimed gradient at `x` if it is right there along a random direction, to a few digits; else None."""
    direction = spot.directions.random(random)
    above, below = (evaluated(spot.function, x + step * direction, spot.y.size) for step in (1e-7, -1e-7))
    try:
        row = spot.gradient(spot.inputs.split(x), spot.gs)
    except (RuleFailed, Skip):
        return None
    given, found = float(row @ direction), float(spot.g @ (above - below)) / 2e-7
    noise = 1e9 * spot.eps * float(np.linalg.norm(spot.g * spot.y))
    return row if abs(given - found) <= 1e-5 * float(np.linalg.norm(row * direction)) + noise else None


def _middle(seen: Examined) -> Any:
    with np.errstate(all="ignore"):
        middle = (seen.low + seen.high) / 2
    return np.where(np.isfinite(middle), middle, 0.0)


def _contracted(low: Any, high: Any, g: Any) -> tuple[float, float]:
    """The interval of sum g_i s_i for s_i in [low_i, high_i]."""
    return float(np.sum(np.where(g > 0, g * low, g * high))), float(np.sum(np.where(g > 0, g * high, g * low)))
