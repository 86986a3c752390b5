"""A line search for the strong Wolfe conditions: along a direction of descent, find a step that is neither too long nor too short.

    f(t) <= f(0) + c1 t f'(0)     enough decrease
    |f'(t)| <= c2 |f'(0)|         near the bottom

Nocedal & Wright 2006, "Numerical optimization", algorithms 3.5 (bracket) and 3.6 (zoom), with cubic interpolation (their
eq. 3.59). The safeguards are those of minFunc (M. Schmidt), which torch has too: a trial point keeps away from the ends of
its bracket if it came near one of them twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Point", "strong_wolfe"]


class Point(NamedTuple):
    """A point on the line: the step, the function's value, its gradient, and its slope along the line."""

    t: float
    value: float
    gradient: Any
    slope: float


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    longest: float,
    max_evaluations: int,
    tolerance: float = 1e-9,
    c1: float = 1e-4,
    c2: float = 0.9,
) -> tuple[Point, int]:
    """The point found, and how many evaluations it took.

    evaluate   step -> Point; a value that is not finite counts as too long a step
    start      the point at step 0
    t          first step to try
    longest    largest element of the direction: brackets shorter than tolerance / longest are not refined
    """

    def enough(point: Point) -> bool:
        return point.value <= start.value + c1 * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    previous, current = start, evaluate(t)
    evaluations = 1
    while evaluations <= max_evaluations:
        if not enough(current) or (evaluations > 2 and current.value >= previous.value):
            break
        if flat(current):
            return current, evaluations
        if current.slope >= 0:
            break
        longer = cubic_minimum(previous, current, current.t + 0.01 * (current.t - previous.t), 10 * current.t)
        previous, current = current, evaluate(longer)
        evaluations += 1
    else:
        return min(start, current, key=lambda point: point.value), evaluations
    bracket, used = _zoom(evaluate, [previous, current], enough, flat, longest, max_evaluations - evaluations + 1, tolerance)
    return bracket, evaluations + used


def _zoom(
    evaluate: Callable[[float], Point],
    bracket: list[Point],
    enough: Callable[[Point], bool],
    flat: Callable[[Point], bool],
    longest: float,
    max_evaluations: int,
    tolerance: float,
) -> tuple[Point, int]:
    """Shrink a bracket, which holds a good point, until one is found; the lower of its ends otherwise."""
    low = 0 if bracket[0].value <= bracket[1].value else 1
    near_an_end = False
    evaluations = 0
    while evaluations < max_evaluations and abs(bracket[1].t - bracket[0].t) * longest >= tolerance:
        left, right = sorted(point.t for point in bracket)
        t = cubic_minimum(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) >= margin:
            near_an_end = False
        elif near_an_end or t >= right or t <= left:
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near_an_end = False
        else:
            near_an_end = True
        point = evaluate(t)
        evaluations += 1
        high = 1 - low
        if not enough(point) or point.value >= bracket[low].value:
            bracket[high] = point
            low = 0 if bracket[0].value <= bracket[1].value else 1
            continue
        if flat(point):
            return point, evaluations
        if point.slope * (bracket[high].t - bracket[low].t) >= 0:
            bracket[high] = bracket[low]
        bracket[low] = point
    return bracket[low], evaluations


def cubic_minimum(a: Point, b: Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is smallest, within [low, high]; the middle if it has no minimum."""
    if a.t > b.t:
        a, b = b, a
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < math.inf:
        return (low + high) / 2
    d2 = math.sqrt(square)
    curvature = b.slope - a.slope + 2 * d2
    if not curvature:
        return (low + high) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / curvature), low), high)
