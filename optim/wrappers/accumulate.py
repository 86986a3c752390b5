"""Gradients of several batches in one step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag
from optim.at_once import Changes, at_once, set_attributes
from optim.hyperparameters import COUNT
from optim.optimizer import is_finite
from optim.precision import wide_dtype
from optim.stepping import Ready
from optim.wrappers.base import Wrapper

__all__ = ["Accumulate"]


class Accumulate(Wrapper):
    """One step of the optimizer inside for every `every` calls of `step`, with the mean of their gradients: a larger batch in parts.

    optimizer  does the steps
    every      of how many batches the gradient is the mean

    Call `zero_grad` before each backward pass, as without it. Steps of the optimizer inside, which schedules are functions of,
    are counted as it does them.

    >>> import autograd_core as ag, optim
    >>> x = ag.tensor(0.0, requires_grad=True)
    >>> optimizer = optim.Accumulate(optim.SGD([x], lr=1.0), every=2)
    >>> for slope in (1.0, 3.0):
    ...     optimizer.zero_grad(); (slope * x).backward(); optimizer.step(); x.item()
    0.0
    -2.0
    """

    def __init__(self, optimizer: Any, every: int) -> None:
        super().__init__(optimizer)
        wanted, holds = COUNT
        if not holds(every):
            raise ValueError(f"Accumulate: every must be {wanted}, not {every!r}")
        if self.needs_closure:
            raise TypeError(f"Accumulate: {type(optimizer).__name__} evaluates the loss by itself; it cannot step with the sum of gradients")
        self.every = every
        self.count = 0  # batches in the sums
        self.sums: dict[Any, Any] = {}  # parameter -> the sum of its gradients

    def ready(self) -> Ready:
        """Add up the gradients; if it is time, the optimizer inside is ready for their mean. The gradients themselves stay as they are."""
        sums = dict(self.sums)
        refuses = _refuses(self.optimizer)
        for i, p in enumerate(self.parameters()):
            if p.grad is not None:
                array = p.grad.data if isinstance(p.grad, ag.Tensor) else p.grad
                if array.shape != p.shape:
                    raise ValueError(f"Accumulate: parameter {i} has shape {p.shape}, but its gradient {array.shape}")
                if refuses and not is_finite(array):
                    raise FloatingPointError(
                        f"Accumulate: the gradient of parameter {i} (shape {p.shape}) is not finite; the sums are as they were. "
                        "Leave this batch out, clip gradients or lower lr"
                    )
                sums[p] = sums[p] + array if p in sums else np.array(array, wide_dtype(array.dtype))
        if self.count + 1 < self.every:
            return Ready(False, lambda: [set_attributes(self, sums=sums, count=self.count + 1)])
        inside = self._ready_for_mean(sums)
        return Ready(inside.taken, lambda: [set_attributes(self, sums={}, count=0), *inside.changes()])

    def _ready_for_mean(self, sums: dict[Any, Any]) -> Ready:
        gradients = {p: p.grad for p in self.parameters()}
        means = {p: ag.tensor((sums[p] / self.every).astype(p.dtype)) if p in sums else None for p in gradients}
        try:
            try:
                at_once([partial(setattr, p, "grad", mean) for p, mean in means.items()])
                return super().ready()
            except FloatingPointError:
                at_once([set_attributes(self, sums={}, count=0)])  # a sum that is not finite stays so: begin anew
                raise
            finally:
                _put_back(gradients)
        finally:
            _put_back(gradients)  # again: an interrupt may have come when the first time was about to begin

    def _own_state(self) -> dict[str, Any]:
        sums = [self.sums.get(p) for p in self.parameters()]
        return {"count": self.count, "sums": [None if total is None else total.copy() for total in sums]}

    def _loading_own(self, state_dict: Mapping[str, Any]) -> Changes:
        sums = state_dict["sums"]
        for i, (p, total) in enumerate(zip(self.parameters(), sums, strict=True)):
            if total is not None and total.shape != p.shape:
                raise ValueError(f"Accumulate: the sum for parameter {i} has shape {total.shape}, but the parameter {p.shape}")
        own = {p: total.copy() for p, total in zip(self.parameters(), sums, strict=True) if total is not None}
        return [set_attributes(self, count=int(state_dict["count"]), sums=own)]


def _put_back(gradients: Mapping[Any, Any]) -> None:
    at_once([partial(setattr, p, "grad", grad) for p, grad in gradients.items()])


def _refuses(optimizer: Any) -> bool:
    """Whether all the optimizers inside refuse gradients that are not finite; others may skip such a step, or do it."""
    if hasattr(optimizer, "nonfinite"):
        return bool(optimizer.nonfinite == "raise")
    inside = getattr(optimizer, "optimizers", [optimizer.optimizer] if hasattr(optimizer, "optimizer") else [])
    return bool(inside) and all(map(_refuses, inside))
