"""Changes that are all made, or none: what steps, and the loading of states, end with.

Python handles Ctrl-C between two instructions of Python code. So whatever can be interrupted or refused comes first, and changes nothing;
it leaves a list of changes: built-in functions with their arguments, such as `partial(np.add, p, change, out=p)`. These are called by one
instruction, since `map`, `partial` and what they call are written in C.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import call
from typing import Any

import numpy as np

__all__ = ["Changes", "afterwards", "assign", "at_once", "each", "followed", "holds", "restoring", "set_attributes"]

Changes = list[Callable[[], Any]]


def at_once(changes: Iterable[Callable[[], Any]]) -> None:
    """Make all the changes. One that raises, as NumPy does on an overflow with `np.errstate(over="raise")`, has been made when it
    does; so the others are made too before its error is passed on."""
    calls = iter(changes if isinstance(changes, list) else list(changes))
    try:
        deque(map(call, calls), maxlen=0)
    except BaseException:
        with np.errstate(all="ignore"):
            deque(map(call, calls), maxlen=0)
        raise


def assign(array: Any, values: Any) -> Callable[[], Any]:
    """The change `array[...] = values`; the values are copied if they could be a part of what is changed before."""
    return partial(array.__setitem__, ..., values)


def set_attributes(instance: Any, **values: Any) -> Callable[[], Any]:
    """The change of an object's attributes to these values."""
    return partial(instance.__dict__.update, values)


def each(function: Callable[..., Any], *arguments: Iterable[Any]) -> Changes:
    """The changes `function(a, b, ...)` of a built-in function for the first of all arguments, for the second, and so on."""
    calls = map(function, *arguments)
    # Twice: if one of the calls raises, those after it are left to the second time, which has nothing to do otherwise.
    return [partial(deque, calls, 0)] * 2


def holds(dictionary: Any, content: Mapping[Any, Any]) -> Changes:
    """The changes after which a dict has this content and no other."""
    return [dictionary.clear, partial(dictionary.update, content)]


def afterwards(stage: Callable[[], Changes]) -> Changes:
    """Changes that depend on what those before them have done: `stage` is called, and gives them, when these have been made.

    It is Python code, which an interrupt can stop. So it stands there twice; the second time does nothing if the first one was whole.
    """
    done: list[bool] = []

    def run() -> None:
        if not done:
            at_once([*stage(), partial(done.append, True)])

    return [run, run]


def followed(run: Callable[[], Any], stage: Callable[[], Changes]) -> Any:
    """`run()`, a step of its own that is done or not, and then the changes that `stage` gives for what it has done, whatever came between."""
    after = afterwards(stage)
    try:
        try:
            return run()
        finally:
            at_once(after)
    finally:
        at_once(after)  # again: an interrupt may have come when the first time was about to begin


def restoring(parameters: Iterable[Any], dicts: Iterable[dict[Any, Any]]) -> Changes:
    """The changes that bring parameters, and the content of dicts, back to what they are now."""
    changeable = [data for data in (p.data for p in parameters) if isinstance(data, np.ndarray) and data.flags.writeable]
    return [*(assign(data, data.copy()) for data in changeable), *(change for content in dicts for change in holds(content, dict(content)))]
