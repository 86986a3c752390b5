"""What everything that steps has in common, optimizers and what is built around them: first all checks, then the change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

import autograd_core as ag
from optim.at_once import Changes, at_once

__all__ = ["Ready", "Stepper"]


@ag.untraced
def _take(stepper: Stepper) -> None:
    """The step with the gradients that are there: done as it is also where it stands in a function under `ag.compile`."""
    at_once(stepper.ready().changes())


class Ready(NamedTuple):
    """A step that nothing refuses: whether it will be done, or left out, and what gives the changes that do it."""

    taken: bool
    changes: Callable[[], Changes]


class Stepper:
    """Subclasses define `ready`, or a `step` of their own if that evaluates the closure several times."""

    param_groups: Any

    @property
    def needs_closure(self) -> bool:
        """Whether `step` evaluates its closure by itself, as line searches do; then it cannot be told to be `ready`."""
        return False

    @property
    def closure_gives(self) -> str:
        """What `step` wants of its closure: "gradient", the loss with its gradient; "loss" alone; or the model's "outputs"."""
        return "gradient"

    def parameters(self) -> Iterator[Any]:
        """All parameters."""
        return (p for group in self.param_groups for p in group["params"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients; with `set_to_none=False`, replace them by zeros."""
        for p in self.parameters():
            p.grad = None if set_to_none or p.grad is None else ag.tensor(np.zeros(p.grad.shape, p.grad.dtype))

    def ready(self) -> Ready:
        """Check everything that `step` would refuse. What is left is a step with the gradients that are there now."""
        raise TypeError(f"{type(self).__name__}: step needs a closure, since it evaluates the loss by itself")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step with the gradients that are there.

        closure  computes the loss anew, with its gradients, and returns it; called once, before the step
        returns  what the closure returned
        raises   what an optimizer inside refuses; then nothing has been changed. An interrupt leaves the step done, or not begun
        """
        loss = None
        if closure is not None:
            with ag.enable_grad():
                loss = closure()
        _take(self)
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Everything that a run needs to go on, as plain data."""
        raise NotImplementedError

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; all of it is taken over, or nothing."""
        at_once(self.loading(state_dict))

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        raise NotImplementedError
