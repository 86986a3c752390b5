"""A tape with nothing left to take away: what Python itself costs, the floor under any engine written in it.

No broadcasting, no dtypes, no checks, no keywords, no protocols, no hooks, no graphs: one list of what was done. It works on
floats and on arrays of one shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Value", "backward", "tape"]

# (pull, result, what pull needs), in the order of recording
tape: list[tuple[Callable[..., None], Value, Any, Any]] = []
record = tape.append


class Value:
    """A number or an array, and later its gradient."""

    __slots__ = ("data", "grad")

    def __init__(self, data: Any) -> None:
        self.data = data
        self.grad: Any = None

    def __add__(self, other: Value) -> Value:
        out = Value(self.data + other.data)
        record((_pull_add, out, self, other))
        return out

    def __sub__(self, other: float) -> Value:
        out = Value(self.data - other)
        record((_pull_shift, out, self, None))
        return out

    def __mul__(self, other: Any) -> Value:
        if type(other) is Value:
            out = Value(self.data * other.data)
            record((_pull_multiply, out, self, other))
        else:
            out = Value(self.data * other)
            record((_pull_scale, out, self, other))
        return out

    def tanh(self) -> Value:
        """The hyperbolic tangent."""
        out = Value(np.tanh(self.data))
        record((_pull_tanh, out, self, None))
        return out

    def sum(self) -> Value:
        """The sum of an array."""
        out = Value(self.data.sum())
        record((_pull_sum, out, self, None))
        return out


def _add(value: Value, g: Any) -> None:
    value.grad = g if value.grad is None else value.grad + g


def _pull_add(g: Any, out: Value, a: Value, b: Value) -> None:
    a.grad = g if a.grad is None else a.grad + g
    b.grad = g if b.grad is None else b.grad + g


def _pull_shift(g: Any, out: Value, a: Value, _: None) -> None:
    _add(a, g)


def _pull_multiply(g: Any, out: Value, a: Value, b: Value) -> None:
    part = g * b.data
    a.grad = part if a.grad is None else a.grad + part
    part = g * a.data
    b.grad = part if b.grad is None else b.grad + part


def _pull_scale(g: Any, out: Value, a: Value, factor: float) -> None:
    part = g * factor
    a.grad = part if a.grad is None else a.grad + part


def _pull_tanh(g: Any, out: Value, a: Value, _: None) -> None:
    _add(a, g * (1 - out.data * out.data))


def _pull_sum(g: Any, out: Value, a: Value, _: None) -> None:
    _add(a, np.broadcast_to(g, a.data.shape))


def backward(root: Value) -> None:
    """Leave in the `grad` of every recorded value the derivative of `root` with respect to it, and forget the recording."""
    root.grad = 1.0
    for pull, out, a, b in reversed(tape):
        if out.grad is not None:
            pull(out.grad, out, a, b)
    tape.clear()
