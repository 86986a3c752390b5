"""Ctrl-C as a request."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any, Self

__all__ = ["Interrupts"]


class Interrupts:
    """Inside, Ctrl-C is counted instead of raised; what runs looks at `count` where it can stop. The third one is raised.

    say  a function of the count, called at each

    Where somebody else handles the signal already, or in a thread, everything stays as it is.
    """

    def __init__(self, say: Callable[[int], Any] = lambda count: None) -> None:
        self.count = 0
        self.say = say
        self._before: Any = None

    def _note(self, number: int, frame: Any) -> None:
        self.count += 1
        if self.count > 2:
            raise KeyboardInterrupt
        self.say(self.count)

    def __enter__(self) -> Self:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
