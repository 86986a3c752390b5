"""Taking turns without a lock that can be left held.

A lock is held until some line of code lets go of it, and that line may never run: an interrupt arrives before it, or the process is
forked while another thread is on its way there. A seat is let go of by dying, however the code that had it ended, and a
forked child gets a new one.
"""

from __future__ import annotations

import os
import time
import weakref
from collections import deque
from typing import Any

__all__ = ["Seat", "Turns"]


BETWEEN_LOOKS = 2e-4  # seconds


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
        self._tickets: deque[Any] = deque(["the first"])
        self._keeper: Any = None

    def take(self, timeout: float = 0.0) -> Seat | None:
        """The seat; None if it is taken, and was for `timeout` seconds."""
        seat = Seat()
        tickets = self._tickets
        try:
            # One line, so that nothing can happen between taking the ticket and seeing to its return, which is append's, at the seat's death.
            self._keeper = (tickets.pop(), weakref.ref(seat, tickets.append))[1]
        except IndexError:
            return self._waited(time.monotonic() + timeout) if timeout > 0 else None
        return seat

    def _waited(self, until: float) -> Seat | None:
        """The seat, as soon as it is free; turns are short, and seldom in another's way."""
        while time.monotonic() < until:
            time.sleep(BETWEEN_LOOKS)
            seat = self.take()
            if seat is not None:
                return seat
        return None
