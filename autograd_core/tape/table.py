"""The tables: what each function of NumPy's, or of a user's, is to the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core.tape.op import Op

__all__ = ["COMPOSITIONS", "CONSTANTS", "TABLE", "UPDATES", "Composition", "operation"]

TABLE: dict[Callable[..., Any], Op] = {}


class Composition:
    """A function of NumPy that is computed, on tensors, from others of the table."""

    def __init__(self, function: Any, compute: Callable[..., Any], samples: Callable[..., Any] | None) -> None:
        self.function = function
        self.compute = compute
        self.samples = samples


COMPOSITIONS: dict[Any, Composition] = {}

# Functions that change their first argument in place (np.put): on a tensor they are recorded as item assignment.
UPDATES: dict[Any, Callable[..., None]] = {}

# Functions without derivative (argmax, comparisons, shape queries): they return plain arrays.
CONSTANTS: set[Any] = set()


def operation(function: Callable[..., Any]) -> Op:
    """The table's row for `function`, made (without rules) if there is none yet."""
    op = TABLE.get(function)
    if op is None:
        op = TABLE.setdefault(function, Op(function))  # of two threads that meet it first, both get the same
    return op
