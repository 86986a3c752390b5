"""Gauss-Newton and Levenberg-Marquardt: Newton's method with the part of the Hessian that is never negative."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import autograd_core as ag
from optim.hyperparameters import COUNT, Domain, at_least
from optim.one_vector import OneVector, whole
from optim.second_order.conjugate_gradients import conjugate_gradients
from optim.second_order.products import Vector, gauss_newton_product

__all__ = ["GaussNewton", "LevenbergMarquardt"]


class GaussNewton(OneVector):
    """Steps that solve (J^T l'' J + damping I) d = -J^T l' by conjugate gradients, for a loss l of outputs with Jacobian J.

    loss_of    outputs -> loss; convex, such as cross-entropy of logits
    damping    to begin with (each step, if it is a schedule); it then follows how well the quadratic model predicts the loss (Levenberg-Marquardt)
    max_iter   products with the matrix per step, at most
    tolerance  of the solution, relative

    `step(closure)` takes a closure that returns the outputs, without calling backward. Schraudolph 2002, "Fast curvature
    matrix-vector products", section 3; Martens 2010, "Deep learning via Hessian-free optimization", section 4.1.
    """

    domains: ClassVar[dict[str, Domain]] = {"damping": at_least(0), "max_iter": COUNT, "tolerance": at_least(0), "max_tries": COUNT}

    def __init__(
        self, params: Any, loss_of: Callable[[Any], Any], damping: Any = 1e-2, max_iter: int = 100, tolerance: float = 1e-3, max_tries: int = 12
    ) -> None:
        super().__init__(params, None, {"damping": damping, "max_iter": max_iter, "tolerance": tolerance, "max_tries": max_tries})
        self.loss_of = loss_of

    closure_gives = "outputs"

    @whole
    @ag.untraced
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns the loss before it. A step that would raise the loss is not taken: the damping is raised and it is tried again.

        raises  TypeError without a closure, FloatingPointError if loss or gradient are not finite
        """
        name = type(self).__name__
        if closure is None:
            raise TypeError(f"{name}: step needs a closure that returns the outputs, without calling backward")
        group = self.param_groups[0]
        h = self._numbers_of(0, group)
        vector = Vector(self.free_parameters())
        with ag.enable_grad():
            value, gradient, product = gauss_newton_product(closure(), self.loss_of, vector)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise FloatingPointError(f"{name}: the loss ({value}) or its gradient is not finite; nothing was changed")
        start = vector.get()
        damping = h["damping"]
        for _ in range(h["max_tries"]):
            if not gradient.any():
                break
            change = conjugate_gradients(lambda v, damping=damping: product(v) + damping * v, -gradient, h["tolerance"], h["max_iter"]).x  # type: ignore[misc]
            predicted = float(gradient @ change) + 0.5 * float(change @ product(change))
            if -predicted <= np.finfo(start.dtype).eps * abs(value):
                break  # what is left to gain is lost in the rounding of the loss
            vector.set(start + change)
            with ag.no_grad():
                found = float(self.loss_of(closure()).item())
            ratio = (found - value) / predicted if predicted and math.isfinite(found) else -1.0
            # The thresholds and factors of Marquardt 1963 as in Martens 2010: trust the model more, or less.
            if ratio > 0.75:
                damping = damping / 3
            elif ratio < 0.25:
                damping = damping * 4 if damping else 1e-4
            if ratio > 0:
                break
            vector.set(start)
        if not callable(group["damping"]):
            group["damping"] = damping
        self.steps += 1
        return ag.tensor(value)


class LevenbergMarquardt(GaussNewton):
    """Least squares: the closure returns the residuals r, and the loss is |r|^2 / 2.

    damping   added to the diagonal of J^T J to begin with; to begin each step with, if it is a schedule
    max_iter  products with J^T J per step, at most

    Levenberg 1944, "A method for the solution of certain non-linear problems in least squares"; Marquardt 1963, "An algorithm
    for least-squares estimation of nonlinear parameters".

    >>> import numpy as np, autograd_core as ag, optim
    >>> t = np.linspace(0, 2, 20)
    >>> p = ag.tensor([1.0, 0.0], requires_grad=True)
    >>> optimizer = optim.LevenbergMarquardt([p])
    >>> for _ in range(10): _ = optimizer.step(lambda: p[0] * np.exp(p[1] * t) - 3 * np.exp(-2 * t))
    >>> p.data.round(6)
    array([ 3., -2.])
    """

    def __init__(self, params: Any, damping: Any = 1e-2, max_iter: int = 100, tolerance: float = 1e-6, max_tries: int = 12) -> None:
        super().__init__(params, half_of_square, damping, max_iter, tolerance, max_tries)


def half_of_square(r: Any) -> Any:
    """|r|^2 / 2; a function of the module, so that the optimizer can be pickled."""
    return 0.5 * (r * r).sum()
