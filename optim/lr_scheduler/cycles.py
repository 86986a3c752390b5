"""Schedulers that cycle the momentum against the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optim.lr_scheduler.base import Formula, LRScheduler, per_group
from optim.optimizer import Optimizer
from optim.schedules import Cyclic, OneCycle

__all__ = ["CyclicLR", "OneCycleLR"]


class _WithMomentum(LRScheduler):
    """Sets the momentum, or Adam's first beta, along with the learning rate."""

    momenta: list[Formula] | None

    def _check_momentum(self) -> None:
        if self.momenta is not None and not {"momentum", "betas"} & self.optimizer.defaults.keys():
            raise ValueError(f"{type(self).__name__}: {type(self.optimizer).__name__} has no momentum or betas to cycle; pass cycle_momentum=False")

    def step(self, epoch: float | None = None) -> None:
        super().step(epoch)
        for group, formula in zip(self.optimizer.param_groups, self.momenta or (), strict=self.momenta is not None):
            value = formula(self.last_epoch)
            if "betas" in group:
                group["betas"] = (value, *group["betas"][1:])
            else:
                group["momentum"] = value


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

        def between(lows: Any, highs: Any, name: str) -> list[Formula]:
            ends = zip(per_group(lows, optimizer, f"base_{name}"), per_group(highs, optimizer, f"max_{name}"), strict=True)
            if scale_fn is None or scale_mode == "cycle":
                return [Cyclic(low, high, step_size_up, step_size_down, scale_fn or mode, gamma) for low, high in ends]
            return [_scaled_by_step(Cyclic(0.0, 1.0, step_size_up, step_size_down), scale_fn, low, high) for low, high in ends]

        self.optimizer = optimizer
        self.momenta = between(max_momentum, base_momentum, "momentum") if cycle_momentum else None
        self._check_momentum()
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, per_group(base_lr, optimizer, "base_lr"), strict=True):
                group["lr"] = group["initial_lr"] = lr
        super().__init__(optimizer, between(base_lr, max_lr, "lr"), last_epoch)


def _scaled_by_step(height: Cyclic, scale: Callable[[float], float], low: float, high: float) -> Formula:
    return lambda step: low + (high - low) * height(step) * scale(step)


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
        peaks = per_group(max_lr, optimizer, "max_lr")
        cycles = [OneCycle(peak, total_steps, pct_start, div_factor, final_div_factor, anneal_strategy, three_phase) for peak in peaks]
        self.optimizer = optimizer
        lows, highs = per_group(base_momentum, optimizer, "base_momentum"), per_group(max_momentum, optimizer, "max_momentum")
        self.momenta = [cycle.through(high, low, high) for cycle, low, high in zip(cycles, lows, highs, strict=True)] if cycle_momentum else None
        self._check_momentum()
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = group["initial_lr"] = peak / div_factor
        super().__init__(optimizer, cycles, last_epoch)
