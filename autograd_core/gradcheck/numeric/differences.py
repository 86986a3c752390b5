"""Numeric derivatives, each with a bound of its own error.

`central_derivatives` is the quick way: central differences on a short ladder of steps, extrapolated to step zero
(Richardson). The last correction tells the truncation error, the size of the values the rounding error.

`examine` is the thorough one, for where the quick one disagrees with a rule: a ladder over 14 orders of magnitude, both
sides separately. It tells a smooth place from a kink, a jump, a slope that grows without limit and noise, and gives the
interval in which the derivative must lie. The choice of the step is Lepski's: of all steps whose estimate agrees with every
finer one within both bounds, the one with the smallest bound.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Derivative", "Examined", "central_derivatives", "evaluated", "examine"]

Function = Callable[[Any], Any]  # real vector -> real vector

QUICK_STEPS = 2.0 ** -np.arange(5, 9)  # of the scale of the argument
AMPLIFICATION = 1.5  # of the rounding error by extrapolation: the sum of the weights' sizes


class Derivative(NamedTuple):
    """Directional derivatives: one row per direction; per element of the result, or contracted with a gradient.

    estimate, bound   the derivative, and how far it may be off
    size              of the terms that were added: rounding of a rule is measured against it
    """

    estimate: Any
    bound: Any
    size: Any


def evaluated(function: Function, point: Any, size: int) -> Any:
    """`function(point)`, or nan for all elements where it raises: outside of its domain."""
    try:
        return function(point)
    except Exception:  # noqa: BLE001  whatever an unknown function raises outside of its domain
        return np.full(size, np.nan)


def central_derivatives(function: Function, x: Any, directions: Any, g: Any | None, centre: Any, eps: float) -> Derivative:
    """Derivatives of `function` at `x` along `directions`, contracted with `g` (or per element of the result if None).

    centre : the value at x
    eps : to which fraction of themselves the values are rounded
    """
    count, size = len(directions), centre.size
    directions = np.asarray(directions).reshape(count, x.size)
    above, below = np.empty((len(QUICK_STEPS), count, size)), np.empty((len(QUICK_STEPS), count, size))
    for level, step in enumerate(QUICK_STEPS):
        moves = step * directions
        for values, places in ((above, x + moves), (below, x - moves)):
            for k in range(count):
                values[level, k] = evaluated(function, places[k], size)
    slopes = (above - below) / (2 * QUICK_STEPS[:, None, None])
    largest = np.maximum(np.abs(centre), np.maximum(np.abs(above[0]), np.abs(below[0])))
    noise = AMPLIFICATION * 4 * eps / QUICK_STEPS[-1]
    # x + step is itself rounded: an error of the step, as good as an error of the value of x f'.
    largest += np.abs(slopes[-1]) * _relative_sizes(x, directions)
    if g is None:
        estimate, truncation = extrapolated(slopes)
        return Derivative(estimate, truncation + noise * largest, np.abs(estimate))
    estimate, truncation = extrapolated(slopes @ g)
    weighted = g * slopes[-1]
    size_of_terms = np.sqrt(np.einsum("ij,ij->i", weighted, weighted))
    # Rounding errors of different elements are independent of each other, so they add up like their squares.
    rounding = noise * np.sqrt(((g * largest) ** 2).sum(axis=1)) + 4 * eps * np.abs(weighted).sum(axis=1) / np.sqrt(max(size, 1))
    return Derivative(estimate, truncation + rounding, size_of_terms)


def _relative_sizes(x: Any, directions: Any) -> Any:
    """How many steps along each direction it takes to get as far as `x` itself is from zero; one column."""
    sizes = np.divide(np.abs(x), np.abs(directions), out=np.zeros(directions.shape), where=directions != 0)
    return sizes.max(axis=1, initial=0.0)[:, None]


def extrapolated(slopes: Any) -> tuple[Any, Any]:
    """Richardson's extrapolation over the first axis (steps halved each time), and the size of its last correction."""
    table = slopes
    for k in range(1, len(slopes)):
        last, table = table, table[1:] + (table[1:] - table[:-1]) / (4.0**k - 1)
    return table[0], 4 * np.abs(table[0] - last[1]) + np.abs(last[1] - last[0]) / 64


class Examined(NamedTuple):
    """What was found along one direction, per element of the result.

    low, high   the interval in which the derivative lies: of one-sided slopes at a kink, unlimited where nothing is known
    other_low, other_high   the same from the coarser steps alone, where the fine ones tell something else (nan if not)
    kind        "smooth", "kink", "jump", "steep" (the slope grows without limit) or "unknown"
    sign        of the limit where steep
    stairs      the value does not change at all over the smallest steps: it is rounded, or a step function
    """

    low: Any
    high: Any
    other_low: Any
    other_high: Any
    kind: Any
    sign: Any
    stairs: Any


def examine(function: Function, x: Any, direction: Any, centre: Any, eps: float, reach: float = 1.0, known_noise: Any = 0.0) -> Examined:
    """Everything about the derivative of `function` at `x` along `direction` that differences can tell.

    known_noise : how far values are known to be off
    reach : up to how many times `direction` to go; the ladder of steps ends 14 orders of magnitude below `direction` itself
    """
    size = centre.size
    steps = reach * 4.0 ** -np.arange(1.0, 25.0 + min(40.0, np.ceil(np.log2(max(reach, 1.0)) / 2)))
    above = np.array([evaluated(function, x + t * direction, size) for t in steps])
    below = np.array([evaluated(function, x - t * direction, size) for t in steps])
    t = steps[:, None]
    forward, backward, symmetric = (above - centre) / t, (centre - below) / t, (above - below) / (2 * t)
    noise, stairs = _noise(above, below, centre, eps)
    noise = np.maximum(noise, 4 * known_noise) + 2 * np.finfo(float).eps * _relative_sizes(x, direction[None])[0] * _slopes_up_to(symmetric)
    right, right_bound, right_other = _settled(forward, t, noise, (4.0, 16.0))
    left, left_bound, left_other = _settled(backward, t, noise, (4.0, 16.0))
    both, both_bound, both_other = _settled(symmetric, t, noise, (16.0, 256.0))
    has_right, has_left = np.isfinite(right), np.isfinite(left)
    differ = has_right & has_left & (np.abs(right - left) > right_bound + left_bound)
    jump = _jumps(above, centre, eps) | _jumps(below, centre, eps)
    steep_right, sign_right = _grows(forward, t, noise)
    steep_left, sign_left = _grows(backward, t, noise)
    kind = np.full(size, "unknown", dtype=object)
    low, high = np.full(size, -np.inf), np.full(size, np.inf)
    smooth, one_sided = has_right & has_left & ~differ & np.isfinite(both), has_right ^ has_left
    kind[smooth | one_sided], kind[differ] = "smooth", "kink"
    side, side_bound = np.where(has_right, right, left), np.where(has_right, right_bound, left_bound)
    for mask, lowest, highest in (
        (smooth, both - both_bound, both + both_bound),
        (one_sided, side - side_bound, side + side_bound),
        (differ, np.minimum(right - right_bound, left - left_bound), np.maximum(right + right_bound, left + left_bound)),
    ):
        low[mask], high[mask] = lowest[mask], highest[mask]
    for mask, name in ((steep_right | steep_left, "steep"), (jump, "jump")):
        kind[mask], low[mask], high[mask] = name, -np.inf, np.inf
    other = np.where(np.isnan(both_other), np.where(has_right, right_other, left_other), both_other)
    return Examined(low, high, other[0], other[1], kind, np.where(steep_right, sign_right, sign_left), stairs)


def _noise(above: Any, below: Any, centre: Any, eps: float) -> tuple[Any, Any]:
    """How far values are off from a smooth function, per step: rounding at least, more where the differences show it.

    They show it in two ways: as bends that do not shrink with the step, and as a staircase. A value that does not change at all
    over the smallest steps, and then by a little, is rounded to that little (a float32 inside, or 1e8 + x - 1e8).
    Returned are the noise, and where there is a staircase.
    """
    finite = [np.where(np.isfinite(side), np.abs(side), 0.0) for side in (above, below)]
    sizes = np.maximum(np.abs(centre), np.maximum(*finite))
    bend = np.abs(above[-4:] - 2 * centre + below[-4:])
    bend = np.where(np.isfinite(bend), bend, 0.0)
    # Bends that shrink steadily are the function's own (a kink, a square root at 0), not noise.
    steady = np.all((bend[:-1] > 1.3 * bend[1:]) & (bend[:-1] < 20 * bend[1:]), axis=0)
    bend = np.where(steady, 0.0, np.median(bend, axis=0))
    moves = np.maximum(*(np.where(np.isfinite(side), np.abs(side - centre), 0.0) for side in (above, below)))
    columns = np.arange(centre.size)
    first = len(moves) - 1 - np.argmax(moves[::-1] > 0, axis=0)  # the smallest step that changes the value
    tread, next_tread = moves[first, columns], moves[np.maximum(first - 1, 0), columns]
    stairs = (tread <= 1e-6 * sizes.max(axis=0)) & (next_tread <= 20 * tread) & (first < len(moves) - 1)
    relative = np.where(np.abs(centre) > 0, tread / np.where(centre == 0, 1.0, np.abs(centre)), 0.0)
    relative = np.where((relative > 1e-8) & (relative < 3e-7), relative, 0.0)  # of single precision: grows with the value
    treads = np.where(stairs, np.maximum(tread, relative * sizes), 0.0)
    return 4 * np.maximum(eps * sizes, np.maximum(bend, treads)) + 1e-300, stairs & (tread > 1e-12 * sizes.max(axis=0))


def _slopes_up_to(slopes: Any) -> Any:
    """The usual size of the slopes over each step and the smaller ones."""
    sizes = np.where(np.isfinite(slopes), np.abs(slopes), 0.0)
    usual = np.median(sizes[-16:-8], axis=0)
    return np.minimum(sizes, 4 * usual) + usual


def _settled(slopes: Any, t: Any, noise: Any, ratios: tuple[float, float]) -> tuple[Any, Any, Any]:
    """The limit of difference quotients, its bound, and the interval that the coarser steps alone would give (or nan)."""
    first = slopes[1:] + (slopes[1:] - slopes[:-1]) / (ratios[0] - 1)
    second = first[1:] + (first[1:] - first[:-1]) / (ratios[1] - 1)
    # Both corrections: at a place of little smoothness the last one alone looks far too good.
    bound = 4 * np.abs(second - first[1:]) + 16 * np.abs(first[1:] - slopes[2:]) + 2 * noise[:-2] / t[2:]
    usable = np.isfinite(second) & np.isfinite(bound)
    second, bound = np.where(usable, second, 0.0), np.where(usable, bound, np.inf)
    agrees = np.ones(second.shape, dtype=bool)  # with every finer step
    for level in range(len(second) - 1):
        gap = np.abs(second[level + 1 :] - second[level]) - bound[level + 1 :] - bound[level]
        agrees[level] = ~np.any((gap > 0) & usable[level + 1 :], axis=0)
    columns = np.arange(second.shape[1])
    best = np.argmin(np.where(agrees, bound, np.inf), axis=0)
    estimate, error = second[best, columns], bound[best, columns]
    known = np.isfinite(error)
    near = np.abs(second[1:] - second[:-1]) <= bound[1:] + bound[:-1]
    plateau = np.zeros(second.shape, dtype=bool)
    plateau[1:-1] = near[1:] & near[:-1]
    coarse = np.argmin(np.where(plateau, bound, np.inf), axis=0)
    other, other_bound = second[coarse, columns], bound[coarse, columns]
    distinct = np.isfinite(other_bound) & (np.abs(other - estimate) > error + other_bound)
    interval = np.where(distinct, np.array([other - other_bound, other + other_bound]), np.nan)
    return np.where(known, estimate, np.nan), np.where(known, error, np.nan), interval


def _jumps(values: Any, centre: Any, eps: float) -> Any:
    """Where the value at ever smaller steps does not come near the value at the place itself, but stays away by one amount."""
    gaps = np.abs(values[-8:] - centre)
    return (gaps[-1] > 400 * eps * np.maximum(np.abs(centre), np.abs(values[-1]))) & (np.ptp(gaps, axis=0) < 0.1 * gaps[-1])


def _grows(slopes: Any, t: Any, noise: Any) -> tuple[Any, Any]:
    """Where difference quotients grow without limit as the step shrinks (the square root at 0), and with which sign."""
    grows, sign = np.zeros(slopes.shape[1], dtype=bool), np.zeros(slopes.shape[1])
    for last in (len(slopes) - 1, len(slopes) - 5, len(slopes) - 9):  # the smallest steps may show nothing but noise
        late, early = slopes[last] - slopes[last - 4], slopes[last - 4] - slopes[last - 8]
        certain = np.isfinite(late) & np.isfinite(early) & (np.abs(late) > 8 * noise[last] / t[last])
        here = certain & (late * early > 0) & (np.abs(late) > 0.6 * np.abs(early)) & (np.abs(slopes[last]) > np.abs(slopes[last - 8]))
        sign = np.where(here & ~grows, np.sign(late), sign)
        grows |= here
    return grows, sign
