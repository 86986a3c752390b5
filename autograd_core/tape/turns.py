"""Taking turns without a lock that can be left held.

A lock is held until some line of code lets go of it, and that line may never run: an interrupt arrives before it, or the process is
forked while another thread is on its way there. A seat is let go of by dying, however the code that had it ended, and a
forked child gets a new one.
"""

from __future__ import annotations

import os
import queue
import weakref
from typing import Any

__all__ = ["Seat", "Turns"]


class Seat:
    """What one code at a time holds. It is given back when it dies."""

    __slots__ = ("__weakref__",)


class Turns:
    """One seat."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """A seat that nobody has: after a fork, the thread that had it does not exist here."""
        self._tickets: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._tickets.put("the first")
        self._keeper: Any = None

    def take(self, timeout: float = 0.0) -> Seat | None:
        """The seat; None if it is taken, and was for `timeout` seconds."""
        seat = Seat()
        tickets = self._tickets
        try:
            # One line, so that nothing can happen between taking the ticket and seeing to its return, which is put's, at the seat's death.
            self._keeper = (tickets.get(timeout > 0, timeout or None), weakref.ref(seat, tickets.put))[1]
        except queue.Empty:
            return None
        return seat
