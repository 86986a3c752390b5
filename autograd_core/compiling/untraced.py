"""What a function can say while it is recorded: draw these numbers anew each time, and do not look into that function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from autograd_core.compiling.effects import Draw, StepOut, generator_of, state_of
from autograd_core.compiling.watching import Watch, current_watch
from autograd_core.tensor.handles import Handle

__all__ = ["drawn", "untraced"]


def drawn(source: Any, method: str, *args: Any, **kwargs: Any) -> Any:
    """Random numbers, `generator.method(*args, **kwargs)`: under `ag.compile` drawn anew at each call, as without it.

    source   a generator of NumPy's, or a function that returns one
    method   the name of its method, such as "random"

    >>> import numpy as np, autograd_core as ag
    >>> ag.drawn(np.random.default_rng(0), "integers", 10, size=3)
    array([8, 6, 5])
    """
    watch = current_watch()
    draw = Draw(source, method)
    if watch is None:
        return draw(*args, **kwargs)
    keep_state(watch, generator_of(source))
    made = watch.trace.call(draw, args, kwargs, is_opaque=True)
    watch.feed.append(getattr(made, "value", made))
    return made


def keep_state(watch: Watch, generator: Any) -> None:
    """Remember the generator's state, to be able to undo what is drawn from it."""
    key = id(generator)
    if key not in watch.generators:
        watch.generators[key] = (generator, state_of(generator))


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that `ag.compile` does not look into: it is called as it is, at each call of what is compiled.

    It may read and write tensors, and keep state of Python's, as the step of an optimizer does; it has to return None. Tensors
    that it is given, or refers to, are up to date when it is called.

    >>> import autograd_core as ag
    >>> @ag.untraced
    ... def log(t):
    ...     print("now", t)
    >>> log(1.0)
    now 1.0
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        watch = current_watch()
        return function(*args, **kwargs) if watch is None else _step_out(watch, function, args, kwargs)

    call.is_untraced = True  # type: ignore[attr-defined]
    return call


def _step_out(watch: Watch, function: Any, args: Any, kwargs: Any) -> None:
    """The call, in a program that is being recorded: all that it may look at is brought up to date, and read anew afterwards."""
    trace = watch.trace
    writes: list[tuple[Any, bool]] = []
    clears: list[Any] = []
    arrays: list[Any] = []
    for outside in watch.outside.values():
        if outside.is_assigned:
            writes.append((outside.handle, False))
            arrays.append(outside.array)
        if outside.grad_is_assigned:
            if outside.grad is None:
                clears.append(outside.handle)
            elif isinstance(outside.grad, Handle):
                writes.append((outside.handle, True))
                arrays.append(outside.grad._array)
    values = [*args, *kwargs.values()]
    if any(isinstance(value, Handle) and watch.is_made(value) for value in values) or any(hasattr(value, "tracer") for value in values):
        trace.leak("a function that is untraced is given a value that was computed here")
    effect = StepOut(function, args, kwargs, writes, clears)
    held = watch.pause()
    try:
        result = function(*args, **kwargs)
    except BaseException:
        watch.has_stepped_out = True  # what has been done cannot be undone
        raise
    finally:
        watch.resume(held)
    trace.note(effect, tuple(arrays), {}, is_opaque=True)
    watch.feed.append(None)
    if result is not None:
        trace.leak(f"{getattr(function, '__name__', function)} is untraced, and returns a value")
    watch.has_stepped_out = True
    return result
