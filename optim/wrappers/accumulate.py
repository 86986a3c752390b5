"""Gradients of several batches in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import autograd_core as ag
from optim.hyperparameters import COUNT
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
        self.every = every
        self.count = 0  # batches in the sums
        self.sums: list[Any] = [None for _ in self.parameters()]

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Add the gradients to the sums, and do a step with their mean if it is time. The gradients themselves stay as they are."""
        loss = None
        if closure is not None:
            with ag.enable_grad():
                loss = closure()
        parameters = list(self.parameters())
        gradients = [p.grad for p in parameters]
        for i, (p, grad) in enumerate(zip(parameters, gradients, strict=True)):
            if grad is not None:
                array = grad.data if isinstance(grad, ag.Tensor) else grad
                if array.shape != p.shape:
                    raise ValueError(f"Accumulate: parameter {i} has shape {p.shape}, but its gradient {array.shape}")
                self.sums[i] = array.copy() if self.sums[i] is None else self.sums[i] + array
        self.count += 1
        if self.count < self.every:
            return loss
        sums, self.sums, self.count = self.sums, [None] * len(parameters), 0
        try:
            for p, total in zip(parameters, sums, strict=True):
                p.grad = None if total is None else ag.tensor(total / self.every)
            self.optimizer.step()
        finally:
            for p, grad in zip(parameters, gradients, strict=True):
                p.grad = grad
        return loss

    def _own_state(self) -> dict[str, Any]:
        return {"count": self.count, "sums": [None if total is None else total.copy() for total in self.sums]}

    def _load_own_state(self, state_dict: Mapping[str, Any]) -> None:
        sums = state_dict["sums"]
        for i, (p, total) in enumerate(zip(self.parameters(), sums, strict=True)):
            if total is not None and total.shape != p.shape:
                raise ValueError(f"Accumulate: the sum for parameter {i} has shape {total.shape}, but the parameter {p.shape}")
        self.count = int(state_dict["count"])
        self.sums = [None if total is None else total.copy() for total in sums]
