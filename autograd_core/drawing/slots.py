"""Places on a rank, and the two computations that a layered layout stands on: counting crossings and spreading columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ASIDE", "CHAIN", "GAP", "LANE", "LIGHT", "Slot", "distance", "inversions", "isotonic", "spread", "tie", "topological"]

GAP = 14.0  # between boxes of one rank
LANE = 10.0  # between an edge's column and its neighbours
CHAIN = 4.0  # how much an edge pulls that is the only one between two boxes, where others pull 1
ASIDE = 0.3  # how much an edge does that goes around boxes, where another of the same end is direct
LIGHT = 0.05  # and how much a leaf's edge


@dataclass(eq=False)
class Slot:
    """A place on a rank: a box, a column of an edge that passes, or a port of the group."""

    w: float
    box: Any = None
    rank: int = 0
    x: float = 0.0
    order: float = 0.0
    up: list[tuple[Slot, float, float, float]] = field(default_factory=list)  # (other, my offset, its offset, weight)
    down: list[tuple[Slot, float, float, float]] = field(default_factory=list)


def spread(rank: list[Slot]) -> None:
    """Rough places for the ordering: side by side, centred on 0."""
    x = 0.0
    for i, slot in enumerate(rank):
        x += distance(rank[i - 1], slot) if i else 0.0
        slot.x = x
        x += slot.w
    for slot in rank:
        slot.x -= x / 2


def isotonic(wanted: Sequence[float], weights: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Places that minimise sum_i weights_i (x_i - wanted_i)^2 under x_(i+1) - x_i >= apart_i: pool adjacent violators.

    >>> isotonic([0.0, 0.0, 9.0], [1.0, 1.0, 1.0], [2.0, 2.0])
    [-1.0, 1.0, 9.0]
    """
    offset = 0.0
    offsets = [0.0]
    for gap in apart:
        offset += gap
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # (mean, weight, how many)
    for want, weight, shift in zip(wanted, weights, offsets, strict=True):
        mean, count = want - shift, 1
        while blocks and blocks[-1][0] >= mean:
            other, heavy, many = blocks.pop()
            mean = (mean * weight + other * heavy) / (weight + heavy)
            weight += heavy
            count += many
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + shift for mean, shift in zip(means, offsets, strict=True)]


def tie(upper: Slot, at: float, lower: Slot, to: float, weight: float) -> None:
    """Say that an edge joins two slots on neighbouring ranks, at offsets `at` and `to` from their left ends."""
    centre_upper = at if upper.box is not None else upper.w / 2
    centre_lower = to if lower.box is not None else lower.w / 2
    upper.down.append((lower, centre_upper, centre_lower, weight))
    lower.up.append((upper, centre_lower, centre_upper, weight))


def distance(left: Slot, right: Slot) -> float:
    """The least distance between two neighbours on a rank."""
    return GAP if left.box is not None and right.box is not None else LANE


def topological(after: list[list[int]], before: list[list[int]]) -> list[int]:
    """Indices with all of `before` first."""
    waiting = [len(b) for b in before]
    ready = [i for i in range(len(after) - 1, -1, -1) if waiting[i] == 0]
    order: list[int] = []
    while ready:
        i = ready.pop()
        order.append(i)
        for j in reversed(after[i]):
            waiting[j] -= 1
            if waiting[j] == 0:
                ready.append(j)
    return order


def inversions(values: list[float]) -> int:
    """How many pairs stand in the wrong order, by merging."""
    total, width = 0, 1
    n = len(values)
    while width < n:
        for start in range(0, n, 2 * width):
            left, right = values[start : start + width], values[start + width : start + 2 * width]
            merged, i = [], 0
            for value in right:
                while i < len(left) and left[i] <= value:
                    merged.append(left[i])
                    i += 1
                total += len(left) - i
                merged.append(value)
            values[start : start + 2 * width] = merged + left[i:]
        width *= 2
    return total
