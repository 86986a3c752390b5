"""What a program does besides computing: it draws random numbers, and calls functions that are run as they are, such as an optimizer's step.

Both are done anew at each run, in their places among the calls. While a program is rehearsed (compared with the recording that it was
made from) nothing is done: what was drawn or read then is fed in.
"""

from __future__ import annotations

import functools
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from autograd_core.tensor.handles import Handle, handle

__all__ = [
    "Draw",
    "Effect",
    "LateRead",
    "StepOut",
    "array_slot",
    "generator_of",
    "grad_slot",
    "node_slot",
    "rehearsed",
    "restore",
    "state_of",
    "write_array",
]

# The slots themselves: while a function is recorded, the class has properties in their places (watching.py).
array_slot: Any = Handle.__dict__["_array"]
grad_slot: Any = Handle.__dict__["grad"]
node_slot: Any = Handle.__dict__["node"]


class _Rehearsal(threading.local):
    feed: deque[Any] | None = None


_rehearsal = _Rehearsal()


@contextmanager
def rehearsed(feed: list[Any]) -> Iterator[None]:
    """Around a run in which each effect gives what is in `feed`, and does nothing."""
    before, _rehearsal.feed = _rehearsal.feed, deque(feed)
    try:
        yield
    finally:
        _rehearsal.feed = before


class Effect:
    """A function of a program that does more than compute."""

    __slots__ = ()
    __name__ = "effect"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        feed = _rehearsal.feed
        return self.do(*args, **kwargs) if feed is None else feed.popleft()

    def do(self, *args: Any, **kwargs: Any) -> Any:
        """The effect itself."""
        raise NotImplementedError


class Draw(Effect):
    """Random numbers from where `source` says."""

    __slots__ = ("method", "source")
    __name__ = "drawn"

    def __init__(self, source: Any, method: str) -> None:
        self.source = source
        self.method = method

    def do(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(generator_of(self.source), self.method)(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return type(other) is Draw and other.method == self.method and same_function(other.source, self.source)

    def __hash__(self) -> int:
        return hash((Draw, self.method))


def generator_of(source: Any) -> Any:
    """The generator that `source` is, or returns."""
    return source if hasattr(source, "bit_generator") or isinstance(source, np.random.RandomState) else source()


def same_function(a: Any, b: Any) -> bool:
    """Whether two functions are the same, or parts of the same with the same arguments."""
    if isinstance(a, functools.partial) and isinstance(b, functools.partial):
        return (
            same_function(a.func, b.func)
            and len(a.args) == len(b.args)
            and all(x is y or (type(x) is type(y) is int and x == y) for x, y in zip(a.args, b.args, strict=True))
        )
    return a is b or (type(a) is type(b) and a == b)


def state_of(generator: Any) -> Any:
    """The state of a generator of NumPy's."""
    return generator.get_state() if isinstance(generator, np.random.RandomState) else generator.bit_generator.state


def restore(generator: Any, state: Any) -> None:
    """Give a generator its state back."""
    if isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.bit_generator.state = state


# --- functions that are run as they are -----------------------------------------------------------------------------------------------


class StepOut(Effect):
    """A call of a function that nobody looks into. Before it, tensors get what the program has for them.

    writes  (tensor, whether it is its `grad` that is written), for each array that the effect is called with
    clears  tensors whose `grad` becomes None
    """

    __slots__ = ("args", "clears", "function", "kwargs", "writes")
    __name__ = "untraced"

    def __init__(self, function: Any, args: Any, kwargs: Any, writes: list[tuple[Any, bool]], clears: list[Any]) -> None:
        self.function = function
        self.args = args
        self.kwargs = kwargs
        self.writes = writes
        self.clears = clears

    def do(self, *arrays: Any, **_: Any) -> Any:
        for (tensor, is_grad), array in zip(self.writes, arrays, strict=True):
            if is_grad:
                tensor.grad = handle(array, None)
            else:
                write_array(tensor, array)
        for tensor in self.clears:
            tensor.grad = None
        return self.function(*self.args, **self.kwargs)

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is StepOut
            and same_function(self.function, other.function)
            and len(self.args) == len(other.args)
            and all(a is b for a, b in zip(self.args, other.args, strict=True))
            and self.kwargs.keys() == other.kwargs.keys()
            and all(self.kwargs[key] is other.kwargs[key] for key in self.kwargs)
            and [(id(t), g) for t, g in self.writes] == [(id(t), g) for t, g in other.writes]
            and list(map(id, self.clears)) == list(map(id, other.clears))
        )

    def __hash__(self) -> int:
        return hash(StepOut)


def write_array(tensor: Any, array: Any) -> None:
    """`tensor.data = array`, of an array that nobody else holds."""
    array_slot.__set__(tensor, array)
    tensor.handed_out = False


class LateRead(Effect):
    """What a tensor holds after a function that nobody looked into."""

    __slots__ = ("tensor",)
    __name__ = "read again"

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    def do(self, *_: Any, **__: Any) -> Any:
        return array_slot.__get__(self.tensor)

    def __eq__(self, other: object) -> bool:
        return type(other) is LateRead and self.tensor is other.tensor

    def __hash__(self) -> int:
        return hash(LateRead)
