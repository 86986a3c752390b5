"""L-BFGS: Newton's method with a Hessian remembered from the last gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

import autograd_core as ag
from optim.hyperparameters import COUNT, Domain, at_least, plain_array
from optim.line_search import Point, strong_wolfe
from optim.one_vector import OneVector, whole
from optim.packs import flat
from optim.precision import wide, wide_dtype

__all__ = ["LBFGS"]


class LBFGS(OneVector):
    """Limited-memory BFGS, for full batches; `step` takes a closure and does up to `max_iter` iterations.

    lr                step size, or first step of the line search
    max_iter          iterations per step
    max_eval          evaluations of the closure per step (default: 1.25 max_iter)
    tolerance_grad    the gradient's largest element at which it stops
    tolerance_change  change of the parameters, or of the loss, at which it stops
    history_size      how many gradients are remembered
    line_search_fn    None: steps of lr; "strong_wolfe": see `optim.line_search`

    Nocedal & Wright 2006, "Numerical optimization", algorithms 7.4 and 7.5.

    >>> import autograd_core as ag, optim
    >>> x = ag.tensor([-1.0, 2.0], requires_grad=True)
    >>> optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3): _ = optimizer.step(closure)
    >>> x.data.round(5)
    array([1., 1.])
    """

    domains: ClassVar[dict[str, Domain]] = {
        "max_iter": COUNT,
        "max_eval": COUNT,
        "tolerance_grad": at_least(0),
        "tolerance_change": at_least(0),
        "history_size": COUNT,
        "line_search_fn": ('None or "strong_wolfe"', lambda value: value in (None, "strong_wolfe")),
    }

    def __init__(
        self,
        params: Any,
        lr: Any = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, None, defaults)

    # --- the parameters as one vector -------------------------------------------------------------------------------------

    @property
    def _parameters(self) -> list[Any]:
        return self.param_groups[0]["params"]

    def _gradient(self) -> Any:
        return np.concatenate([flat(wide(np.zeros_like(p.data) if p.grad is None else p.grad.data)) for p in self._parameters])

    def _move(self, change: Any) -> None:
        """Add a vector to the parameters."""
        start = 0
        for p in self._parameters:
            line = flat(p.data) if p.data.flags.c_contiguous else None
            size = p.size * (2 if p.dtype.kind == "c" else 1)
            part = change[start : start + size]
            if line is None:
                p.data[...] += part.view(wide_dtype(p.dtype)).reshape(p.shape)
            else:
                line += part
            start += size

    # --- one step ---------------------------------------------------------------------------------------------------------

    @whole
    @ag.untraced
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Minimise along directions of L-BFGS, up to `max_iter` times.

        closure  clears the gradients, computes the loss with its gradients, and returns it
        returns  the loss before the step
        raises   TypeError without a closure; FloatingPointError if loss or gradient are not finite to begin with
        """
        if closure is None:
            raise TypeError("LBFGS: step needs a closure that computes the loss and its gradient, since it evaluates them several times")
        self.check_writeable()
        h = self._numbers_of(0, self.param_groups[0])

        def evaluate() -> tuple[float, Any]:
            with ag.enable_grad():
                value = closure()
            return float(value), self._gradient()

        with ag.enable_grad():
            first = closure()
        loss, gradient = float(first), self._gradient()
        if not (math.isfinite(loss) and np.isfinite(gradient).all()):
            raise FloatingPointError(f"LBFGS: the loss ({loss}) or its gradient is not finite; nothing was changed")
        memory = self.state[self._parameters[0]]
        memory.setdefault("func_evals", 0)
        memory.setdefault("n_iter", 0)
        memory["func_evals"] += 1
        evaluations = 1
        for iteration in range(1, h["max_iter"] + 1):
            if np.abs(gradient).max() <= h["tolerance_grad"]:
                break
            memory["n_iter"] += 1
            direction = self._direction(memory, gradient, h["history_size"])
            slope = float(gradient @ direction)
            previous = loss
            t = min(1.0, 1.0 / float(np.abs(gradient).sum())) * h["lr"] if memory["n_iter"] == 1 else h["lr"]
            memory |= {"d": direction, "t": t, "prev_flat_grad": gradient, "prev_loss": loss}
            if slope > -h["tolerance_change"]:
                break
            if h["line_search_fn"]:
                found, used = self._search(evaluate, direction, Point(0.0, loss, gradient, slope), t, h["max_eval"] - evaluations)
                memory["t"] = t = found.t
                loss, gradient = found.value, found.gradient
                self._move(t * direction)
            else:
                self._move(t * direction)
                used = 0
                if iteration < h["max_iter"]:
                    loss, gradient = evaluate()
                    used = 1
            evaluations += used
            memory["func_evals"] += used
            small = np.abs(t * direction).max() <= h["tolerance_change"] or abs(loss - previous) < h["tolerance_change"]
            if evaluations >= h["max_eval"] or small:
                break
        self.steps += 1
        return first

    def _direction(self, memory: dict[str, Any], gradient: Any, history: int) -> Any:
        """-H g, with the inverse Hessian H built from the remembered changes of gradient y and of parameters s (two loops)."""
        if memory["n_iter"] == 1:
            memory |= {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
            return -gradient
        y = gradient - memory["prev_flat_grad"]
        s = memory["t"] * memory["d"]
        product = float(y @ s)
        if product > 1e-10:  # otherwise the curvature is not positive, and H would not be either
            for name, value in (("old_dirs", y), ("old_stps", s), ("ro", 1.0 / product)):
                memory[name] = [*memory[name], value][-history:]
            memory["H_diag"] = product / float(y @ y)
        pairs = list(zip(memory["old_dirs"], memory["old_stps"], memory["ro"], strict=True))
        q = -gradient
        weights = []
        for y, s, rho in reversed(pairs):
            weights.append(rho * float(s @ q))
            q = q - weights[-1] * y
        r = memory["H_diag"] * q
        for (y, s, rho), weight in zip(pairs, reversed(weights), strict=True):
            r = r + (weight - rho * float(y @ r)) * s
        return r

    def _search(self, evaluate: Callable[[], tuple[float, Any]], direction: Any, start: Point, t: float, budget: int) -> tuple[Point, int]:
        """Strong Wolfe along `direction`; the parameters are afterwards as before."""
        before = [p.data.copy() for p in self._parameters]

        def at(step: float) -> Point:
            self._move(step * direction)
            try:
                value, gradient = evaluate()
            finally:
                for p, data in zip(self._parameters, before, strict=True):
                    p.data[...] = data
            slope = float(gradient @ direction)
            return Point(step, value, gradient, slope) if math.isfinite(value) and math.isfinite(slope) else Point(step, math.inf, gradient, math.inf)

        return strong_wolfe(at, start, t, float(np.abs(direction).max()), budget)

    # --- state ------------------------------------------------------------------------------------------------------------

    def _loaded_entry(self, parameter: Any, saved: Mapping[str, Any], label: str) -> dict[str, Any]:
        size = sum(p.size * (2 if p.dtype.kind == "c" else 1) for p in self._parameters)

        def plain(value: Any) -> Any:
            if isinstance(value, list):
                return [plain(v) for v in value]
            if not hasattr(value, "shape"):
                return value
            array = plain_array(value)
            if array.shape not in ((), (size,)):
                raise ValueError(f"LBFGS: a state has shape {array.shape}, but the parameters are a vector of {size}")
            return array if array.shape else array.item()

        return {name: plain(value) for name, value in saved.items() if name != "al"}  # al is torch's scratch space
