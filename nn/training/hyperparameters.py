"""Hyperparameters that change while a model is trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Hyperparameters", "step_scheduler"]


class Hyperparameters:
    """Sets hyperparameters of an optimizer to functions of the step, counted from 0: of all its groups, before each step.

    optimizer  has `param_groups`
    schedules  name -> function of the step, such as a lambda, or a schedule of `optim`; they may have a state

    >>> import autograd_core as ag, nn, optim
    >>> optimizer = optim.SGD([ag.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> rates = nn.training.Hyperparameters(optimizer, {"lr": lambda step: 0.5**step})
    >>> rates.set(step=2)
    {'lr': 0.25}
    >>> optimizer.param_groups[0]["lr"]
    0.25
    """

    def __init__(self, optimizer: Any, schedules: Mapping[str, Callable[[int], float]]) -> None:
        self.optimizer = optimizer
        self.schedules = dict(schedules)
        for name, schedule in self.schedules.items():
            if not callable(schedule):
                raise TypeError(f"schedules: {name} must be a function of the step, not {schedule!r}; give a fixed value to the optimizer")
            for i, group in enumerate(optimizer.param_groups):
                if name not in group:
                    has = ", ".join(key for key in group if key not in ("params", "param_names"))
                    raise KeyError(f"schedules: group {i} of {type(optimizer).__name__} has no {name!r}; it has {has}")

    def set(self, step: int) -> dict[str, float]:
        """Give all groups the values of `step`, and return these."""
        values = {name: float(schedule(step)) for name, schedule in self.schedules.items()}
        for group in self.optimizer.param_groups:
            group.update(values)
        return values

    def report(self, metric: float) -> None:
        """Tell the schedules that are driven by a metric, those that are the optimizer's own hyperparameters included."""
        own = [value for group in self.optimizer.param_groups for name, value in group.items() if name != "params"]
        for schedule in {id(schedule): schedule for schedule in [*self.schedules.values(), *own] if hasattr(schedule, "report")}.values():
            schedule.report(metric)

    def state_dict(self) -> dict[str, Any]:
        """The states of those schedules that have one."""
        return {name: schedule.state_dict() for name, schedule in self.schedules.items() if hasattr(schedule, "state_dict")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for name, entry in state.items():
            schedule: Any = self.schedules[name]
            schedule.load_state_dict(entry)


def step_scheduler(scheduler: Any, numbers: Mapping[str, float]) -> None:
    """Step a scheduler object; one that wants a metric gets the validation loss, or the loss if nothing is validated."""
    wanted: Sequence[str] = list(inspect.signature(scheduler.step).parameters)
    if wanted and wanted[0] in ("metric", "metrics"):
        scheduler.step(numbers.get("validation_loss", numbers["loss"]))
    else:
        scheduler.step()
