"""Changes that are all made, or none: what steps, and the loading of states, end with.

Python handles Ctrl-C between two instructions of Python code. So whatever can be interrupted or refused comes first, and changes nothing;
it leaves a list of changes: built-in functions with their arguments, such as `partial(np.add, p, change, out=p)`. These are called by one
instruction, since `map`, `partial` and what they call are written in C.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import call
from typing import Any

import numpy as np

__all__ = ["Changes", "assign", "at_once", "holds", "in_stages", "restoring", "set_attributes"]

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


def holds(dictionary: Any, content: Mapping[Any, Any]) -> Changes:
    """The changes after which a dict has this content and no other."""
    return [dictionary.clear, partial(dictionary.update, content)]


def in_stages(stages: Sequence[Callable[[], Changes]]) -> None:
    """Make changes of which the later ones depend on what the earlier ones have done; once the first are made, so are the others.

    stages  each returns its changes, and is called when those before have been made

    An interrupt between two of them is passed on when the rest has been done.
    """
    done: list[bool] = []

    def go_on() -> None:
        while len(done) < len(stages):
            at_once([*stages[len(done)](), partial(done.append, True)])

    try:
        go_on()
    except BaseException:
        if done:
            go_on()
        raise


def restoring(parameters: Iterable[Any], *owners: Any) -> Changes:
    """The changes that bring parameters and the attributes of objects back to where they are now; dicts among these, to their content."""
    changes = [assign(p.data, p.data.copy()) for p in parameters]
    for owner in owners:
        content = owner if isinstance(owner, dict) else owner.__dict__
        changes += holds(content, dict(content))
    return changes
