"""Long tapes and Python's garbage collector: full collections are made rarer while a long tape is growing.

Graphs have no cycles and die by reference counting, so the collector never frees a node; but it walks all of them again each
time the number of objects has grown by a quarter. While a tape of a million nodes is recorded that is more than half of the
time. So when a full collection has found nodes to be a large part of what it walked, the next ones wait 16 times as long, up
to 64 times. The program's own setting comes back when the tape grows no more: at the next look, or with the next backward
pass. A program that sets thresholds itself meanwhile keeps what it set, and nothing happens while the collector is off.

Nothing of ours runs inside a collection. A signal that arrived there (Ctrl-C) would be raised in our code, printed as "Exception
ignored", and lost. Who makes nodes takes a look every so many of them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

__all__ = ["MANY", "Watch"]

MANY = 30_000  # nodes, below which full collections are left alone
BETWEEN_LOOKS = 8192  # nodes
LONGER, SLOWEST = 16, 64  # times the threshold that is set, and the program's own


def _collections() -> tuple[int, int]:
    """How many collections there were of the middle generation, and of all."""
    stats = gc.get_stats()
    return stats[1]["collections"], stats[2]["collections"]


class Watch:
    """What is seen of the collector, look by look.

    is_node  whether an object is a node of the tape
    look_at  the number of the node at which to look next, in a list of one: the quickest place for the hot path to read
    """

    def __init__(self, is_node: Callable[[Any], bool]) -> None:
        self.is_node = is_node
        self.look_at = [BETWEEN_LOOKS]
        self.seen = _collections()
        self.numbered = 0  # how many nodes had been made at the last look
        self.passed = 0  # and when the last tape was used: what is younger may be one long tape
        self.own: tuple[int, int, int] | None = None  # the program's thresholds while others are set
        self.ours: tuple[int, int, int] | None = None

    def look(self, number: int) -> None:
        """Set or restore thresholds, as the tape grows or not. `number` nodes have been made so far."""
        self.look_at[0] = number + BETWEEN_LOOKS
        thresholds = gc.get_threshold()
        if self.ours is not None and thresholds != self.ours:
            self.own = self.ours = None  # somebody else has set them since
        before, (middle, full) = self.seen, _collections()
        made, self.numbered, self.seen = number - self.numbered, number, (middle, full)
        allocated = (middle - before[0]) * thresholds[0] * thresholds[1]  # at least
        if allocated > 4 * made + thresholds[0] * thresholds[1]:
            self.restore()
        # Where no young generation was collected since, nodes die as they are made: there is no long tape.
        elif middle > before[0] and full > before[1] and number - self.passed > MANY and gc.isenabled() and self._nodes_are_many():
            own = self.own or thresholds
            self.own, self.ours = own, (own[0], own[1], min(LONGER * thresholds[2], SLOWEST * own[2]))
            gc.set_threshold(*self.ours)

    def restore(self) -> None:
        """Set the program's own thresholds again, if others are set."""
        if self.own is not None and gc.get_threshold() == self.ours:
            gc.set_threshold(*self.own)
        self.own = self.ours = None

    def _nodes_are_many(self) -> bool:
        objects = gc.get_objects(generation=2)
        nodes = sum(map(self.is_node, objects))
        return nodes > MANY and 8 * nodes > len(objects)
