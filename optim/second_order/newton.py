"""Newton's method with conjugate gradients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import autograd_core as ag
from optim.hyperparameters import COUNT, Domain, at_least
from optim.one_vector import OneVector, whole
from optim.second_order.conjugate_gradients import conjugate_gradients
from optim.second_order.products import Vector, hessian_product

__all__ = ["NewtonCG"]


class NewtonCG(OneVector):
    """Steps that solve (H + damping I) d = -g by conjugate gradients, shortened until the loss falls enough.

    lr        first length to try
    damping   what is added to the Hessian's diagonal
    max_iter  products with the Hessian per step, at most
    max_backtracks  how often the length is halved

    `step(closure)` takes a closure that returns the loss *without* calling backward. The system is solved the more exactly the
    smaller the gradient is, so convergence is superlinear near the minimum (Nocedal & Wright 2006, algorithm 7.1).

    >>> import autograd_core as ag, optim
    >>> x = ag.tensor([-1.0, 2.0], requires_grad=True)
    >>> optimizer = optim.NewtonCG([x])
    >>> for _ in range(60): _ = optimizer.step(lambda: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)
    >>> x.data.round(6)
    array([1., 1.])
    """

    domains: ClassVar[dict[str, Domain]] = {"damping": at_least(0), "max_iter": COUNT, "max_backtracks": COUNT}

    def __init__(self, params: Any, lr: Any = 1.0, damping: Any = 0.0, max_iter: int = 100, max_backtracks: int = 30) -> None:
        super().__init__(params, None, {"lr": lr, "damping": damping, "max_iter": max_iter, "max_backtracks": max_backtracks})

    closure_gives = "loss"

    @whole
    @ag.untraced
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One Newton step; returns the loss before it.

        raises  TypeError without a closure, FloatingPointError if loss or gradient are not finite
        """
        if closure is None:
            raise TypeError("NewtonCG: step needs a closure that returns the loss, without calling backward")
        h = self._numbers_of(0, self.param_groups[0])
        vector = Vector(self.free_parameters())
        with ag.enable_grad():
            loss = closure()
            gradient, product = hessian_product(loss, vector)
        value = loss.item()
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise FloatingPointError(f"NewtonCG: the loss ({value}) or its gradient is not finite; nothing was changed")
        size = float(np.linalg.norm(gradient))
        if size:
            solution = conjugate_gradients(lambda v: product(v) + h["damping"] * v, -gradient, min(0.5, math.sqrt(size)), h["max_iter"])
            backtrack(closure, vector, solution.x, value, float(gradient @ solution.x), h["lr"], h["max_backtracks"])
        self.steps += 1
        return loss


def backtrack(closure: Callable[[], Any], vector: Vector, direction: Any, value: float, slope: float, t: float, tries: int) -> float:
    """Move along `direction` by t, t/2, t/4, ... until the loss falls by 1e-4 of what its slope promises; not at all if it never does.

    returns  the length, 0 if none was found
    """
    start = vector.get()
    with ag.no_grad():
        for _ in range(tries):
            vector.set(start + t * direction)
            found = closure().item()
            if math.isfinite(found) and found <= value + 1e-4 * t * slope:
                return t
            t /= 2
    vector.set(start)
    return 0.0
