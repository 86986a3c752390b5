"""Mixed precision: float16 in the model's forward and backward pass, float32 where it matters.

The parameters stay float32, and so do the optimizer's state and the loss; the model computes with copies in float16. Gradients
below 6e-8 would be 0 there, so the loss is multiplied by a large factor first, and the gradients are divided by it after.
The factor adapts itself. Micikevicius et al. 2018, "Mixed precision training", sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

import autograd_core as ag
from nn.module import Module
from nn.stateless import functional_call

__all__ = ["LossScaler", "divide_gradients", "in_half_precision"]


def in_half_precision(model: Module, *inputs: Any, dtype: Any = np.float16) -> Any:
    """What the model computes with its parameters and inputs rounded to `dtype`; the result is float32 again.

    The parameters themselves stay as they are; the gradients that they get have their own dtype.

    >>> import numpy as np, nn
    >>> model = nn.Linear(2, 3)
    >>> nn.training.in_half_precision(model, np.ones((1, 2), np.float32)).dtype
    dtype('float32')
    """
    lower = {name: parameter.astype(dtype) for name, parameter in model.named_parameters() if parameter.dtype.kind == "f"}
    return _cast(functional_call(model, lower, tuple(_cast(value, dtype) for value in inputs)), np.float32)


def _cast(value: Any, dtype: Any) -> Any:
    """Floating-point arrays in `value` as `dtype`; the rest as it is."""
    if isinstance(value, tuple | list):
        parts = [_cast(part, dtype) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {name: _cast(part, dtype) for name, part in value.items()}
    is_float = isinstance(value, ag.Tensor | np.ndarray) and value.dtype.kind == "f"
    return value.astype(dtype) if is_float and value.dtype != dtype else value


def divide_gradients(parameters: Iterable[Any], divisor: float) -> bool:
    """Divide all gradients in place; whether they are all finite."""
    finite = True
    for parameter in parameters:
        if parameter.grad is not None:
            array = parameter.grad.data if isinstance(parameter.grad, ag.Tensor) else parameter.grad
            if divisor != 1:
                array *= 1 / divisor
            finite = finite and bool(np.isfinite(array).all())
    return finite


class LossScaler:
    """The factor by which a loss is multiplied before the backward pass, under the names of torch's GradScaler.

    init_scale       the first factor
    growth_factor    the factor grows by this after `growth_interval` steps without overflow
    backoff_factor   and by this after a step that overflowed, which is left out

        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)          # only if gradients are to be clipped, or looked at
        scaler.step(optimizer)
        scaler.update()
    """

    def __init__(self, init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5, growth_interval: int = 2000) -> None:
        if not (init_scale > 0 and growth_factor > 1 and 0 < backoff_factor < 1 and growth_interval >= 1):
            raise ValueError(
                f"LossScaler: init_scale={init_scale}, growth_factor={growth_factor}, backoff_factor={backoff_factor}, "
                f"growth_interval={growth_interval}; expected > 0, > 1, in (0, 1), and >= 1"
            )
        self.factor = float(init_scale)
        self.growth_factor = growth_factor
        self.backoff_factor = backoff_factor
        self.growth_interval = growth_interval
        self.steps_since = 0  # without overflow
        self.skipped_steps = 0
        self._finite: bool | None = None  # of the gradients of this step, which are divided already; None if they are not

    def get_scale(self) -> float:
        """The factor."""
        return self.factor

    def scale(self, loss: Any) -> Any:
        """The loss, multiplied by the factor."""
        return loss * self.factor

    def unscale_(self, optimizer: Any) -> bool:
        """Divide the gradients of the optimizer's parameters by the factor, once a step; whether they are all finite."""
        if self._finite is None:
            self._finite = divide_gradients((p for group in optimizer.param_groups for p in group["params"]), self.factor)
        return self._finite

    def step(self, optimizer: Any) -> bool:
        """A step of the optimizer, unless a gradient has overflowed; whether it was done."""
        finite = self.unscale_(optimizer)
        if finite:
            optimizer.step()
        else:
            self.skipped_steps += 1
        return finite

    def update(self) -> None:
        """Adapt the factor to how this step went."""
        if self._finite is None:
            raise RuntimeError("LossScaler: update() comes after step(optimizer)")
        if not self._finite:
            self.factor *= self.backoff_factor
            self.steps_since = 0
        else:
            self.steps_since += 1
            if self.steps_since == self.growth_interval:
                self.factor *= self.growth_factor
                self.steps_since = 0
        self._finite = None

    def state_dict(self) -> dict[str, Any]:
        """The factor, and what it depends on."""
        return {"scale": self.factor, "_growth_tracker": self.steps_since, "skipped_steps": self.skipped_steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        new = {"factor": float(state["scale"]), "steps_since": int(state["_growth_tracker"]), "skipped_steps": int(state.get("skipped_steps", 0))}
        self.__dict__.update(new, _finite=None)
