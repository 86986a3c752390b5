"""What a rule returns, made fit for its argument: un-broadcast, cast, and with structural zeros kept zero.

All of it is done here and in no rule, so a gradient always has exactly its argument's shape and dtype.

Structural zeros. Where an operation leaves elements out (`np.where`, indexing, `clip`), their gradient is zero because they
do not matter, not because it happened to vanish. `np.where(x > 0, np.sqrt(x), 0)` at x = 0 sends 0 back to a square root of
infinite slope; 0 * inf would be nan. Below such an operation the sweep reads 0 * anything as 0 at those places.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.arrays.layers import ArrayLayer, finite, for_all
from autograd_core.arrays.shapes import unbroadcast
from autograd_core.tape.node import Node
from autograd_core.tape.plan import Plan

__all__ = ["fitted", "without_structural_zeros"]


def fitted(contribution: Any, parent: Node, plan: Plan, place: int) -> Any:
    """`contribution` in its argument's own shape and dtype; a real argument takes the real part of a complex gradient.

    raises : ValueError or TypeError naming the op and the argument, if the rule returned something that does not fit
    """
    dtype = parent.like.dtype
    try:
        if contribution.shape != parent.like.shape:
            contribution = unbroadcast(contribution, parent.like.shape)
        if contribution.dtype == dtype:
            return contribution
        if contribution.dtype.kind == "c" and dtype.kind != "c":
            contribution = np.real(contribution)
        return contribution.astype(dtype)
    except (ValueError, TypeError, AttributeError):
        raise _wrong_contribution(plan, place, contribution, parent) from None


def without_structural_zeros(g: Any, contribution: Any) -> Any:
    """Read 0 * inf as 0 where `g` is a structural zero.

    The product with itself, as it lies in memory, tells cheaply whether there is anything to mend: it is finite if all elements
    are (or overflows, which costs a look).
    """
    if contribution is g or contribution.shape != g.shape:
        return contribution
    if isinstance(contribution, ndarray) and math.isfinite((flat := contribution.ravel("K")).dot(flat).real):
        return contribution
    good = finite(contribution)
    if isinstance(contribution, ArrayLayer) and contribution.saved_by_copy and for_all(good):
        return contribution
    if isinstance(good, ndarray | np.bool_) and good.all():  # a lazy array is not computed to be asked
        return contribution
    return np.where((g == 0) & ~good, 0.0, contribution)


def _wrong_contribution(plan: Plan, place: int, contribution: Any, parent: Node) -> Exception:
    where = plan.tracked[place]
    name = plan.op.parameters[where] if isinstance(where, int) else f"{plan.op.parameters[where[0]]}[{where[1]}]"
    rule = f"{plan.op.name}: rule for {name} returned"
    shape = getattr(contribution, "shape", None)
    if shape is None:
        return TypeError(f"{rule} {type(contribution).__name__}, expected an array of shape {parent.shape}")
    if shape == parent.shape:
        return TypeError(f"{rule} dtype {contribution.dtype}, which {parent.dtype} cannot hold")
    return ValueError(f"{rule} shape {shape}, expected {parent.shape}")
