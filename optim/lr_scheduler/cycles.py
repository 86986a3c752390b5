"""Schedulers that cycle the momentum against the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import autograd_core as ag
from optim.at_once import Changes, at_once
from optim.lr_scheduler.base import Formula, LRScheduler, done_or_not, of_group, per_group
from optim.optimizer import Optimizer
from optim.schedules import Cyclic, OneCycle

__all__ = ["CyclicLR", "OneCycleLR"]


class _WithMomentum(LRScheduler):
    """Sets the momentum, or Adam's first beta, along with the learning rate."""

    cycle_momentum: bool

    def momentum(self, i: int) -> Formula:
        """The formula of the momentum of group `i`."""
        raise NotImplementedError(f"{type(self).__name__} defines no momentum(self, i)")

    def _check_momentum(self) -> None:
        if self.cycle_momentum and not {"momentum", "betas"} & self.optimizer.defaults.keys():
            raise ValueError(f"{type(self).__name__}: {type(self.optimizer).__name__} has no momentum or betas to cycle; pass cycle_momentum=False")

    @ag.untraced
    @done_or_not
    def step(self, epoch: float | None = None) -> None:
        super().step(epoch)
        at_once(self._setting_momentum(self.last_epoch))

    def _setting_momentum(self, epoch: float) -> Changes:
        """The changes that set the momenta of a step."""
        changes: Changes = []
        for i, group in enumerate(self.optimizer.param_groups if self.cycle_momentum else ()):
            value = self.momentum(i)(epoch)
            name, new = ("betas", (value, *group["betas"][1:])) if "betas" in group else ("momentum", value)
            changes.append(partial(group.__setitem__, name, new))
        return changes

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        return [*super().loading(state_dict), *self._setting_momentum(state_dict["last_epoch"])]


class CyclicLR(_WithMomentum):
    """`Cyclic`; the momentum cycles the other way."""

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        if scale_mode not in ("cycle", "iterations"):
            raise ValueError(f'CyclicLR: scale_mode must be "cycle" or "iterations", not {scale_mode!r}')

        self.optimizer = optimizer
        self.ends = {"base_lr": base_lr, "max_lr": max_lr, "base_momentum": base_momentum, "max_momentum": max_momentum}
        for name, values in self.ends.items():
            per_group(values, optimizer, name)
        self.times: tuple[int, int | None] = step_size_up, step_size_down
        self.mode = mode
        self.gamma = gamma
        self.scale_fn = scale_fn
        self.scale_mode = scale_mode
        self.cycle_momentum = cycle_momentum
        self._check_momentum()
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                group["lr"] = group["initial_lr"] = of_group(base_lr, i, "base_lr")
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return self._between("base_lr", "max_lr", i)

    def momentum(self, i: int) -> Formula:
        return self._between("max_momentum", "base_momentum", i)

    def _between(self, first: str, second: str, i: int) -> Formula:
        low, high = (of_group(self.ends[name], i, name) for name in (first, second))
        if self.scale_fn is None or self.scale_mode == "cycle":
            return Cyclic(low, high, *self.times, self.scale_fn or self.mode, self.gamma)
        return _ScaledByStep(Cyclic(0.0, 1.0, *self.times), self.scale_fn, low, high)


class _ScaledByStep:
    """A cycle whose height is multiplied by a function of the step."""

    def __init__(self, height: Cyclic, scale: Callable[[float], float], low: float, high: float) -> None:
        self.height = height
        self.scale = scale
        self.low = low
        self.high = high

    def __call__(self, step: float) -> float:
        return self.low + (self.high - self.low) * self.height(step) * self.scale(step)


class OneCycleLR(_WithMomentum):
    """`OneCycle`; the momentum goes the other way."""

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        self.optimizer = optimizer
        self.ends = {"max_lr": max_lr, "base_momentum": base_momentum, "max_momentum": max_momentum}
        for name, values in self.ends.items():
            per_group(values, optimizer, name)
        self.shape: dict[str, Any] = {"steps": total_steps, "warm": pct_start, "start": div_factor, "end": final_div_factor}
        self.shape |= {"curve": anneal_strategy, "three_phase": three_phase}
        self.cycle_momentum = cycle_momentum
        self._check_momentum()
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                group["lr"] = group["initial_lr"] = of_group(max_lr, i, "max_lr") / div_factor
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> OneCycle:
        return OneCycle(of_group(self.ends["max_lr"], i, "max_lr"), **self.shape)

    def momentum(self, i: int) -> Formula:
        low, high = (of_group(self.ends[name], i, name) for name in ("base_momentum", "max_momentum"))
        return self.formula(i, 0.0).through(high, low, high)
