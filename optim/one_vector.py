"""`OneVector`: what optimizers have in common that take all parameters as one vector and evaluate the loss by themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optim.optimizer import Optimizer
from optim.stepping import Stepper

__all__ = ["OneVector"]


class OneVector(Optimizer):
    """Has one group only; its step needs a closure."""

    @property
    def needs_closure(self) -> bool:
        """True: the loss is evaluated several times."""
        return True

    def ready(self) -> Callable[[], None]:
        """TypeError: only the closure tells what the step will be."""
        return Stepper.ready(self)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """The group at construction; ValueError for another one."""
        if self.param_groups:
            raise ValueError(f"{type(self).__name__}: all parameters have to be in one group, as they are one vector; a second one was given")
        super().add_param_group(param_group)

    def free_parameters(self) -> list[Any]:
        """The parameters that take part: not the frozen ones. ValueError if all are frozen."""
        free = [p for p in self.parameters() if p.requires_grad]
        if not free:
            raise ValueError(f"{type(self).__name__}: all parameters are frozen (requires_grad is False); there is nothing to step")
        return free
