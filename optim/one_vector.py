"""`OneVector`: what optimizers have in common that take all parameters as one vector and evaluate the loss by themselves."""

from __future__ import annotations

import contextvars
import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from optim.at_once import at_once, restoring, set_attributes
from optim.groups import label_of
from optim.optimizer import Optimizer
from optim.stepping import Ready, Stepper

__all__ = ["OneVector", "whole"]


Step = TypeVar("Step", bound=Callable[..., Any])


def whole(step: Step) -> Step:
    """A step that evaluates the loss several times, and moves the parameters in between: if it is interrupted, all is as before it."""

    @functools.wraps(step)
    def whole_step(self: Any, closure: Callable[[], Any] | None = None) -> Any:
        back = restoring(self.parameters(), [self.state, *self.state.values(), *self.param_groups])
        back.append(set_attributes(self, steps=self.steps))
        try:
            # In a context of its own: an interrupt in the last moment of `with ag.no_grad()` would leave it on.
            return contextvars.copy_context().run(step, self, closure)
        except BaseException:
            at_once(back)
            raise

    return whole_step  # type: ignore[return-value]


class OneVector(Optimizer):
    """Has one group only; its step needs a closure."""

    @property
    def needs_closure(self) -> bool:
        """True: the loss is evaluated several times."""
        return True

    def ready(self) -> Ready:
        """TypeError: only the closure tells what the step will be."""
        return Stepper.ready(self)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """The group at construction; ValueError for another one."""
        if self.param_groups:
            raise ValueError(f"{type(self).__name__}: all parameters have to be in one group, as they are one vector; a second one was given")
        super().add_param_group(param_group)
        if not sum(p.size for p in self.parameters()):
            self.param_groups.pop()
            raise ValueError(f"{type(self).__name__}: got no parameters; the group has none, or none with elements")

    def free_parameters(self) -> list[Any]:
        """The parameters that take part: not the frozen ones. ValueError if all are frozen, or one cannot be changed."""
        self.check_writeable()
        free = [p for p in self.parameters() if p.requires_grad]
        if not free:
            raise ValueError(f"{type(self).__name__}: all parameters are frozen (requires_grad is False); there is nothing to step")
        return free

    def check_writeable(self) -> None:
        """ValueError naming a parameter whose array is read-only."""
        for place, p in enumerate(self.parameters()):
            if isinstance(p.data, np.ndarray) and not p.data.flags.writeable:
                label = label_of(self.param_groups[0], place, 0)
                raise ValueError(f"{type(self).__name__}: {label} is a read-only array, which no step can change; copy it first")
