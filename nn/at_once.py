"""`at_once`: several changes that an interrupt cannot come between."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from operator import call
from typing import Any

__all__ = ["at_once"]


def at_once(changes: Sequence[Callable[[], Any]]) -> None:
    """Make all the changes, or none.

    changes  built-in functions with their arguments, `partial(array.__setitem__, ..., values)` say, which have been checked: they cannot fail

    Python handles Ctrl-C between two instructions of Python code. These calls are made by one instruction: `map`, `partial` and what they
    call are written in C. So everything that can fail or be interrupted is done before, and its results are put in place here.
    """
    deque(map(call, changes), maxlen=0)
