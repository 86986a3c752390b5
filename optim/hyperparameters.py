"""Which values hyperparameters may have: one table for all rules, since a name means the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["at_step", "check"]


def _at_least(low: float) -> tuple[str, Callable[[Any], bool]]:
    return f"a finite number >= {low:g}", lambda value: _is_number(value) and low <= value < math.inf


def _between(low: float, high: float) -> tuple[str, Callable[[Any], bool]]:
    return f"in [{low:g}, {high:g})", lambda value: _is_number(value) and low <= value < high


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _pair_of_fractions(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(_is_number(v) and 0 <= v < 1 for v in value)


DOMAINS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "lr": _at_least(0),
    "weight_decay": _at_least(0),
    "momentum": _at_least(0),
    "dampening": ("a finite number", lambda value: _is_number(value) and math.isfinite(value)),
    "eps": _at_least(0),
    "betas": ("two numbers in [0, 1)", _pair_of_fractions),
    "nesterov": ("True or False", _is_flag),
    "maximize": ("True or False", _is_flag),
    "amsgrad": ("True or False", _is_flag),
}


def at_step(value: Any, step: int) -> Any:
    """A hyperparameter's value at a step: schedules are called, also inside tuples, and NumPy's numbers become Python's.

    Python's, because a NumPy number would promote float32 parameters to float64 (NEP 50).
    """
    if callable(value):
        value = value(step)
    if isinstance(value, tuple | list):
        return tuple(at_step(v, step) for v in value)
    return value.item() if hasattr(value, "item") else value


def check(owner: str, hyperparameters: Mapping[str, Any]) -> None:
    """Raise ValueError naming the first hyperparameter outside its domain."""
    for name, value in hyperparameters.items():
        wanted, holds = DOMAINS.get(name, ("", lambda _: True))
        if not holds(value):
            raise ValueError(f"{owner}: {name} must be {wanted}, not {value!r}")
