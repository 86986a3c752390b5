"""Numbers that leave the graph: what `float(t)` made of a tracked tensor, and where.

    ag.grad(lambda a: scipy.integrate.quad(lambda t: np.exp(-a * t), 0, 1)[0])(2.0)

`quad` asks for numbers, and gets them; its result knows nothing of a. A number that leaves may be all right (it is printed, a loop
ends by it), so `float` goes on. But a transform whose result does not depend on an argument although numbers left that do must
not hand back zeros: it looks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from autograd_core.arrays.duals import has_tangents
from autograd_core.tape.node import Node, program_order
from autograd_core.tape.source_lines import place_text, user_place

__all__ = ["Leaver", "leavers", "lost", "note_leaving"]

MOST = 1000  # are remembered of one evaluation


class Leaver:
    """A number that left: the node of its tensor, whether it carried a derivative forward, and the user's line."""

    __slots__ = ("carried", "node", "place")

    def __init__(self, node: Node | None, carried: bool, place: str) -> None:
        self.node = node
        self.carried = carried
        self.place = place


_leavers: ContextVar[list[Leaver] | None] = ContextVar("autograd_core_leavers", default=None)


@contextmanager
def leavers() -> Iterator[list[Leaver]]:
    """Around an evaluation: the numbers that leave in it."""
    found: list[Leaver] = []
    token = _leavers.set(found)
    try:
        yield found
    finally:
        _leavers.reset(token)


def note_leaving(tensor: Any) -> None:
    """Note that a number was made of a tracked tensor, if an evaluation wants to know."""
    noted = _leavers.get()
    if noted is not None and len(noted) < MOST:
        place = user_place()
        noted.append(Leaver(tensor.node, has_tangents(tensor._array), place_text(place) if place else "a compiled function"))


def lost(noted: Iterable[Leaver], variable: Node) -> Leaver | None:
    """The first of the numbers that depends on `variable`."""
    for leaver in noted:
        if leaver.node is not None and variable in program_order([leaver.node], {variable}, variable.number)[1]:
            return leaver
    return None
