"""Sharpness-aware minimisation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import autograd_core as ag
from optim.at_once import Changes, at_once, followed, restoring, set_attributes
from optim.hyperparameters import at_least, at_step
from optim.precision import wide
from optim.rules.common import norm
from optim.stepping import Ready, Stepper
from optim.wrappers.base import Wrapper

__all__ = ["SAM"]


class SAM(Wrapper):
    """Steps by the gradient at w + e, the worst place near w: e = rho g / |g|, so that flat minima are found.

    optimizer  does the step
    rho        how near: a number, or a schedule
    adaptive   nearness in proportion to the weights: e = rho w^2 g / |w g| (Kwon et al. 2021, "ASAM", eq. 7)

    Foret et al. 2021, "Sharpness-aware minimization for efficiently improving generalization", algorithm 1.
    """

    def __init__(self, optimizer: Any, rho: Any = 0.05, adaptive: bool = False) -> None:
        super().__init__(optimizer)
        if optimizer.needs_closure:
            raise TypeError(f"SAM: {type(optimizer).__name__} evaluates the loss by itself; it cannot step with a gradient from elsewhere")
        self.rho = rho
        self.adaptive = adaptive
        self.count = 0  # steps done
        self._rho()

    @property
    def needs_closure(self) -> bool:
        """True: the loss is evaluated twice."""
        return True

    def ready(self) -> Ready:
        """TypeError: only the closure tells what the step will be."""
        return Stepper.ready(self)

    @ag.untraced
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Two evaluations and one step.

        closure  clears the gradients, computes the loss with its gradients, and returns it
        returns  the loss at the parameters themselves
        """
        if closure is None:
            raise TypeError("SAM: step needs a closure that computes the loss and its gradient, since it evaluates them twice")
        with ag.enable_grad():
            loss = closure()
        moved = [p for p in self.parameters() if p.grad is not None]
        gradients = [wide(p.grad.data) for p in moved]
        weights = [abs(wide(p.data)) if self.adaptive else 1.0 for p in moved]
        total = math.hypot(*[norm(weight * g) for weight, g in zip(weights, gradients, strict=True)])
        rho = self._rho()
        back = restoring(moved, ())
        try:
            try:
                if total and math.isfinite(total):  # else the optimizer inside is to see the gradient as it is: to refuse or skip it
                    for p, weight, g in zip(moved, weights, gradients, strict=True):
                        p.data[...] += rho / total * (weight * weight * g)
                    with ag.enable_grad():
                        closure()
            finally:
                at_once(back)
        finally:
            at_once(back)  # again: an interrupt may have come when the first time was about to begin
        count, before = self.count, self.steps
        followed(self.optimizer.step, lambda: [set_attributes(self, count=count + self.steps - before)])
        return loss

    def _rho(self) -> float:
        rho = at_step(self.rho, self.count)
        wanted, holds = at_least(0)
        if not holds(rho):
            raise ValueError(f"SAM: rho must be {wanted}, not {rho!r}")
        return float(rho)

    def _own_state(self) -> dict[str, Any]:
        return {"count": self.count}

    def _loading_own(self, state_dict: Mapping[str, Any]) -> Changes:
        return [set_attributes(self, count=int(state_dict["count"]))]
