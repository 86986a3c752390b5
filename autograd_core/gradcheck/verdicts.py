"""The verdict on one derivative: can what the rule claims be right, after what the differences have shown?

A disagreement is reported only if nothing excuses it. At a kink any slope between those on both sides is right, and at a tie
any that is a slope at a place next to it, where the tie is broken one way or another. Where the slope grows without limit,
where the value jumps, and where it consists of rounding alone, nothing can be said.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd_core.gradcheck.differences import Examined, evaluated
from autograd_core.gradcheck.spots import Spot

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


def judge(spot: Spot, component: int | None, direction: Any, given: float, seen: Examined, g: Any, result: Comparison) -> None:
    """Add to `result` what is to be said of `given`, the claimed derivative along `direction`, after what was `seen` along it.

    component : which one the direction moves, or None for several
    """
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
    slack = _slack(spot, direction, given, seen, g, kinked=kinked)
    if low - slack <= given <= high + slack or _agrees_coarsely(given, seen, g, slack):
        return
    if given == 0 and seen.stairs[used].any():
        result.undecided.append((component, "a step function, or a value that is rounded"))
        return
    if spot.all_rounding():
        result.undecided.append((component, "the value consists of rounding errors"))
        return
    slopes = _slopes_nearby(spot, direction)
    several = (np.ptp(slopes) > 0.05 * np.abs(slopes).max()) if slopes.size else kinked
    if np.isfinite(given) and several:
        if spot.degenerate and not _alone(spot):
            # A few places next to one where much is tied do not show all of its slopes; groups moved together tell more.
            result.undecided.append((component, "not differentiable"))
            return
        if slopes.size and slopes.min() - slack <= given <= slopes.max() + slack:
            return
    if spot.degenerate and np.isfinite(given) and abs(given) > 1e8 * (abs(low) + abs(high) + slack):
        result.undecided.append((component, "the gradient is a quotient of rounding errors"))
        return
    if np.isfinite(given):
        kind = "kink" if kinked else "smooth"
    else:
        kind = "nan at a kink" if kinked or several else "nan" if np.isnan(given) else "infinite"
    expected, bound = (low + high) / 2, (high - low) / 2 + slack
    result.disagreements.append(Disagreement(spot, component, given / scale, expected / scale, bound / scale, kind, direction))


def _alone(spot: Spot) -> bool:
    return all(size == spot.y.size for size in spot.inputs.sizes)


def _slack(spot: Spot, direction: Any, given: float, seen: Examined, g: Any, *, kinked: bool) -> float:
    """How far `given` may be off the numeric interval: the floor, and rounding of the rule as far as it shows."""
    used = g != 0
    slack = 2 * floor_of(spot) * float(np.linalg.norm((g * _middle(seen))[used]))
    slack += 8 * float(np.linalg.norm((g * spot.value_noise())[used])) if g.size == spot.y.size else 0.0
    moved = direction != 0
    if np.isfinite(given):
        slack += 16 * spot.eps * float(np.linalg.norm(spot.claimed[moved] * direction[moved]))
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
    for _ in range(NEARBY):
        x = spot.x + 1e-4 * spot.directions.random(random) * random.uniform(0.2, 1.0, spot.x.size if not spot.directions.symmetric else 1)
        above, below = (evaluated(spot.function, x + s * direction, spot.y.size) for s in (step, -step))
        found.append(float(spot.g @ (above - below)) / (2 * step))
    slopes = np.array(found)
    return slopes[np.isfinite(slopes)]


def _middle(seen: Examined) -> Any:
    with np.errstate(all="ignore"):
        middle = (seen.low + seen.high) / 2
    return np.where(np.isfinite(middle), middle, 0.0)


def _contracted(low: Any, high: Any, g: Any) -> tuple[float, float]:
    """The interval of sum g_i s_i for s_i in [low_i, high_i]."""
    return float(np.sum(np.where(g > 0, g * low, g * high))), float(np.sum(np.where(g > 0, g * high, g * low)))
