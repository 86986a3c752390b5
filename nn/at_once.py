"""`at_once`: several changes that an interrupt cannot come between."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from operator import call
from typing import Any, TypeVar

__all__ = ["at_once", "done_or_not"]

Change = TypeVar("Change", bound=Callable[..., Any])


def at_once(changes: Sequence[Callable[[], Any]]) -> None:
    """Make all the changes, or none.

    changes  built-in functions with their arguments, `partial(array.__setitem__, ..., values)` say, which have been checked: they cannot fail

    Python handles Ctrl-C between two instructions of Python code. These calls are made by one instruction: `map`, `partial` and what they
    call are written in C. So everything that can fail or be interrupted is done before, and its results are put in place here.
    """
    deque(map(call, changes), maxlen=0)


def done_or_not(change: Change) -> Change:
    """A function that changes what a module consists of (its first argument), and leaves it as it was if it raises, or is interrupted."""

    @functools.wraps(change)
    def whole(module: Any, *args: Any, **kwargs: Any) -> Any:
        content, hooks = dict(module.__dict__), {kind: dict(of_kind) for kind, of_kind in module._hooks.items()}
        undo = [partial(object.__setattr__, module, "__class__", type(module)), module.__dict__.clear, partial(module.__dict__.update, content)]
        undo += [module._hooks.clear, partial(module._hooks.update, hooks)]
        if "parametrizations" in content:
            inner = content["parametrizations"].__dict__
            undo += [inner.clear, partial(inner.update, dict(inner))]
        try:
            return change(module, *args, **kwargs)
        except BaseException:
            at_once(undo)
            raise

    return whole  # type: ignore[return-value]
