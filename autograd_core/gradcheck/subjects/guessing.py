"""Inputs of the checker's own making, for an operation that comes without: its samples, or what it accepts when tried."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.define.samples import Arrays, Call, calls_of
from autograd_core.gradcheck.subjects.subjects import Subject, name_of, operation_of
from autograd_core.tape.loading import load_more
from autograd_core.tape.table import COMPOSITIONS

__all__ = ["guessed_calls"]

SHAPES: dict[int, list[tuple[tuple[int, ...], ...]]] = {
    1: [((3, 4),), ((4,),), ((3, 3),), ((),), ((2, 3, 4),), ((2, 3, 4, 4),)],
    2: [((3, 4), (3, 4)), ((3, 4), (4, 2)), ((4,), (4,)), ((3, 3), (3,)), ((3, 4), (4,)), ((3, 3), (3, 2)), ((), ()), ((2, 3, 4), (4, 2))],
    3: [((3, 4), (3, 4), (3, 4)), ((3, 4), (4, 2), (2,)), ((3, 4), (4,), (4,)), ((4,), (4,), (4,)), ((3, 4), (2, 4), (2,)), ((), (), ())],
}
MOST = 3  # calls that are kept


def guessed_calls(function: Any, make: Callable[[tuple[Any, ...], dict[str, Any]], Subject], seed: int) -> list[Call]:
    """Calls of `function` that can be checked.

    make : builds the subject of a call;  raises : TypeError if no arguments are found that it accepts
    """
    load_more()
    row = operation_of(function) if not isinstance(function, tuple) else None
    if row is None and not isinstance(function, tuple):
        try:
            row = COMPOSITIONS.get(function)  # type: ignore[assignment]
        except TypeError:
            row = None
    if row is not None and row.samples is not None:
        return [call for call in calls_of(row, seed) if _usable(make, call)]
    forward = function[0] if isinstance(function, tuple) else row.function if row is not None else function
    accepted = list(itertools.islice((call for call in _tried(forward, seed) if _usable(make, call)), MOST))
    if not accepted:
        raise TypeError(
            f"gradcheck: found no arguments that {name_of(forward)} accepts; give some, gradcheck({name_of(forward)}, x, ...), "
            "or samples: ag.defvjp(..., samples=lambda a: [call(a(2, 3))])"
        )
    return accepted


def _usable(make: Callable[[tuple[Any, ...], dict[str, Any]], Subject], call: Call) -> bool:
    try:
        with np.errstate(all="ignore"):
            subject = make(tuple(call.args), dict(call.kwargs))
            results = subject.value([a.copy() for a in subject.arrays])
    except Exception:  # noqa: BLE001  these arguments are not for this function
        return False
    return bool(results) and all(np.isfinite(r).all() for r in results)


def _tried(function: Any, seed: int) -> Iterator[Call]:
    """Calls to try: arrays of usual shapes, of both signs, positive, in (0, 1), definite; integers for one argument."""
    names = _required(function)
    count = len(names)
    if count == 0 or count > 6:
        return
    a = Arrays(seed)
    features = getattr(function, "in_features", None)
    shapes = SHAPES.get(count) or [((3, 4),) * count, ((4,),) * count]
    if isinstance(features, int) and count == 1:
        shapes = [((3, features),)]
    for low, high in ((-2.0, 2.0), (0.3, 3.0), (0.1, 0.9)):
        for row in shapes:
            yield Call(tuple(a(*shape, low=low, high=high) for shape in row), {})
    for row in shapes:
        for place in range(count - 1, -1, -1):
            for integer in (2, 1, 0):
                yield Call(tuple(integer if k == place else a(*shape) for k, shape in enumerate(row)), {})
            yield Call(tuple(a.integers(0, 3, *shape[:1]) if k == place else a(*shape) for k, shape in enumerate(row)), {})
            yield Call(tuple(a.mask(*shape) if k == place else a(*shape) for k, shape in enumerate(row)), {})
    if count == 1:
        yield Call((a.definite(3),), {})
        yield Call(([a(2, 3), a(2, 3)],), {})
    if count == 2:
        yield Call((a.definite(3), a(3)), {})


def _required(function: Any) -> list[str]:
    """The names of the arguments without default."""
    if hasattr(function, "nin"):
        return [f"x{k}" for k in range(function.nin)]
    try:
        parameters = inspect.signature(function.forward if hasattr(function, "named_parameters") else function).parameters.values()
    except (TypeError, ValueError):
        return ["x"]
    return [p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
