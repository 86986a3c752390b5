"""Long tapes and Python's garbage collector: full collections are made rarer while a long tape is growing.

Graphs have no cycles and die by reference counting, so the collector never frees a node; but it walks all of them again each
time the number of objects has grown by a quarter. While a tape of a million nodes is recorded that is more than half of the
time. So when a full collection finds that nodes are a large part of what it walked, the next ones wait 16 times as long, up
to 64 times; as soon as the tape grows no more, the program's own setting is restored. A program that sets thresholds itself
meanwhile keeps what it set, and nothing happens while the collector is off.
"""

from __future__ import annotations

import gc
from typing import Any

from autograd_core.tape.node import Node, next_number

__all__ = ["MANY", "watch_collections"]

MANY = 30_000  # nodes, below which full collections are left alone
LONGER, SLOWEST = 16, 64  # times the threshold that is set, and the program's own


class _Watch:
    """A callback of the collector's, called after each collection."""

    def __init__(self) -> None:
        self.numbered = next_number()  # how many nodes had been made at the last collection of the middle generation
        self.growing = False  # whether a quarter of what was allocated before it were nodes
        self.own: tuple[int, int, int] | None = None  # the program's thresholds while others are set
        self.ours: tuple[int, int, int] | None = None

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if phase != "stop" or info["generation"] == 0:
            return
        thresholds = gc.get_threshold()
        if self.ours is not None and thresholds != self.ours:
            self.own = self.ours = None  # somebody else has set them since
        if info["generation"] == 1:
            before, self.numbered = self.numbered, next_number()
            self.growing = 4 * (self.numbered - before) > thresholds[0] * thresholds[1]
            if not self.growing:
                self.restore()
        elif self.growing and _nodes_are_many():
            own = self.own or thresholds
            self.own, self.ours = own, (own[0], own[1], min(LONGER * thresholds[2], SLOWEST * own[2]))
            gc.set_threshold(*self.ours)

    def restore(self) -> None:
        """Set the program's own thresholds again, if others are set."""
        if self.own is not None:
            gc.set_threshold(*self.own)
        self.own = self.ours = None


def _nodes_are_many() -> bool:
    objects = gc.get_objects(generation=2)
    nodes = sum(type(o) is Node for o in objects)
    return nodes > MANY and 8 * nodes > len(objects)


def watch_collections() -> Any:
    """Begin to watch; the package does so once, when it is imported."""
    watch = _Watch()
    gc.callbacks.append(watch)
    return watch
