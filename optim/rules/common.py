"""What several rules share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from optim.quiet import quietly

__all__ = ["State", "Step", "decayed", "moments", "norm", "per_element", "real_only"]

State = dict[str, Any]
Step = tuple[Any, State]  # (change, state)
Rule = TypeVar("Rule", bound=Callable[..., Any])


def per_element(rule: Rule) -> Rule:
    """Mark a rule whose formula holds for each element alone: it may be run on any part of an array."""
    rule.per_element = True  # type: ignore[attr-defined]
    return rule


def real_only(rule: Rule) -> Rule:
    """Mark a rule that takes whole arrays, and whose formula is wrong for complex ones; per-element rules see these as pairs."""
    rule.real_only = True  # type: ignore[attr-defined]
    return rule


def decayed(gradient: Any, parameter: Any, weight_decay: float, maximize: bool = False) -> Any:
    """The gradient of loss + weight_decay / 2 |parameter|^2, or of its negative loss part if the loss is to be maximised."""
    gradient = -gradient if maximize else gradient
    return gradient + weight_decay * parameter if weight_decay else gradient


def moments(g: Any, state: State, betas: tuple[float, float]) -> tuple[int, Any, Any]:
    """Adam's: the step t, and the running means m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2, which start at 0."""
    b1, b2 = betas
    m = b1 * state.get("exp_avg", 0.0) + (1 - b1) * g
    v = b2 * state.get("exp_avg_sq", 0.0) + (1 - b2) * (g * g)
    return state.get("step", 0) + 1, m, v


def norm(array: Any) -> float:
    """The Euclidean norm of all elements, as a Python number: one of NumPy's would promote float32."""
    flat = array.reshape(-1)
    square = float(quietly(np.vdot, flat, flat).real)
    if math.isfinite(square):
        return square**0.5
    # Squares of large elements are not finite, nor sums of many in half precision, though the norm may be.
    largest = float(np.abs(flat).max())
    if not math.isfinite(largest):
        return largest
    scaled = flat.astype(np.result_type(flat.dtype, np.float64)) / largest
    return largest * float(np.vdot(scaled, scaled).real) ** 0.5
