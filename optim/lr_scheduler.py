"""torch's learning-rate schedulers: objects beside the optimizer, with `step()`. Each is an adapter of a schedule.

One formula, two spellings: `StepLR(optimizer, 30)` sets `lr` at each `step()` to what `Step(initial_lr, every=30)` says, where
`SGD(params, lr=Step(0.1, every=30))` asks it itself. A scheduler's step is whatever it is called once per: an epoch, or a batch.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from optim.optimizer import Optimizer
from optim.schedules import Cosine, CosineRestarts, Cyclic, Exponential, Linear, MultiStep, OneCycle, Piecewise, Plateau, Polynomial, Step

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

Formula = Callable[[float], float]  # step -> learning rate


class LRScheduler:
    """Sets `lr` of each group, at each `step()`, to a formula of the number of steps.

    formulas    (initial lr of a group) -> its formula; or one formula per group
    last_epoch  the step to resume after; -1 to begin: the first value is set at once
    """

    def __init__(self, optimizer: Optimizer, formulas: Callable[[float], Formula] | Sequence[Formula], last_epoch: int = -1) -> None:
        if not hasattr(optimizer, "param_groups"):  # an Optimizer, or a wrapper around one
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if callable(group["lr"]):
                raise TypeError(f"{type(self).__name__}: lr of group {i} is a schedule already, {group['lr']!r}; give it a number")
            if last_epoch == -1:
                group["initial_lr"] = group["lr"] if group.get("initial_lr") is None else group["initial_lr"]
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: group {i} has no 'initial_lr', which a scheduler needs that resumes at step {last_epoch}")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.formulas = [formulas(lr) for lr in self.base_lrs] if callable(formulas) else list(formulas)
        self.last_epoch = last_epoch
        self._last_lr: list[float] = []
        self.step()

    def step(self, epoch: float | None = None) -> None:
        """Go to the next step, or to `epoch`, and set the learning rates."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch  # type: ignore[assignment]
        for group, formula in zip(self.optimizer.param_groups, self.formulas, strict=True):
            group["lr"] = formula(self.last_epoch)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The learning rates that were set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Where the scheduler stands; its formulas are made anew by its constructor."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_last_lr": list(self._last_lr)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, torch's included; the optimizer's own state holds the learning rate."""
        self.last_epoch = state_dict["last_epoch"]
        self._last_lr = list(state_dict["_last_lr"])


def _per_group(value: Any, optimizer: Optimizer, name: str) -> list[Any]:
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name}: {len(values)} values for {groups} parameter groups")
    return values


class LambdaLR(LRScheduler):
    """initial lr times a function of the step."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        functions = iter(_per_group(lr_lambda, optimizer, "lr_lambda"))

        def formula(lr: float) -> Formula:
            function = next(functions)
            return lambda step: lr * function(step)

        super().__init__(optimizer, formula, last_epoch)


class MultiplicativeLR(LRScheduler):
    """initial lr times the product of a function's values at steps 1, 2, ..., t."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        functions = iter(_per_group(lr_lambda, optimizer, "lr_lambda"))

        def formula(lr: float) -> Formula:
            function = next(functions)
            products = [1.0]  # kept, so that each step costs one call

            def at(step: float) -> float:
                while len(products) <= step:
                    products.append(products[-1] * function(len(products)))
                return lr * products[int(step)]

            return at

        super().__init__(optimizer, formula, last_epoch)


class StepLR(LRScheduler):
    """`Step`: lr is multiplied by gamma every step_size steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Step(lr, step_size, gamma), last_epoch)


class MultiStepLR(LRScheduler):
    """`MultiStep`: lr is multiplied by gamma at each of the milestones."""

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        places = tuple(milestones)
        super().__init__(optimizer, lambda lr: MultiStep(lr, places, gamma), last_epoch)


class ConstantLR(LRScheduler):
    """lr times factor for total_iters steps, then lr."""

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Piecewise({0.0: lr * factor} | {float(total_iters): lr}), last_epoch)


class LinearLR(LRScheduler):
    """`Linear`: from lr times start_factor to lr times end_factor."""

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, lambda lr: Linear(lr * start_factor, lr * end_factor, total_iters), last_epoch)


class ExponentialLR(LRScheduler):
    """`Exponential`: lr is multiplied by gamma at each step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Exponential(lr, gamma), last_epoch)


class PolynomialLR(LRScheduler):
    """`Polynomial`: lr (1 - t / total_iters)^power."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Polynomial(lr, total_iters, power), last_epoch)


class CosineAnnealingLR(LRScheduler):
    """`Cosine`, going up again after T_max steps."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Cosine(lr, T_max, eta_min, periodic=True), last_epoch)


class CosineAnnealingWarmRestarts(LRScheduler):
    """`CosineRestarts`; `step` takes fractions of epochs too."""

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: CosineRestarts(lr, T_0, T_mult, eta_min), last_epoch)


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
            ends = zip(_per_group(lows, optimizer, f"base_{name}"), _per_group(highs, optimizer, f"max_{name}"), strict=True)
            if scale_fn is None or scale_mode == "cycle":
                return [Cyclic(low, high, step_size_up, step_size_down, scale_fn or mode, gamma) for low, high in ends]
            return [_scaled_by_step(Cyclic(0.0, 1.0, step_size_up, step_size_down), scale_fn, low, high) for low, high in ends]

        self.optimizer = optimizer
        self.momenta = between(max_momentum, base_momentum, "momentum") if cycle_momentum else None
        self._check_momentum()
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, _per_group(base_lr, optimizer, "base_lr"), strict=True):
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
        peaks = _per_group(max_lr, optimizer, "max_lr")
        cycles = [OneCycle(peak, total_steps, pct_start, div_factor, final_div_factor, anneal_strategy, three_phase) for peak in peaks]
        self.optimizer = optimizer
        lows, highs = _per_group(base_momentum, optimizer, "base_momentum"), _per_group(max_momentum, optimizer, "max_momentum")
        self.momenta = [cycle.through(high, low, high) for cycle, low, high in zip(cycles, lows, highs, strict=True)] if cycle_momentum else None
        self._check_momentum()
        if last_epoch == -1:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = group["initial_lr"] = peak / div_factor
        super().__init__(optimizer, cycles, last_epoch)


class SequentialLR(LRScheduler):
    """Schedulers one after the other: the next one begins, at its own step 0, at each of the milestones."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} milestones, not {len(milestones)}")
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError("SequentialLR: all schedulers must be of this optimizer")

        def formula(i: int) -> Formula:
            def at(step: float) -> float:
                k = bisect_right(milestones, step)
                return schedulers[k].formulas[i](step - (milestones[k - 1] if k else 0))

            return at

        super().__init__(optimizer, [formula(i) for i in range(len(optimizer.param_groups))], last_epoch)


class ChainedScheduler(LRScheduler):
    """Several schedulers at once: initial lr times the factors of all of them."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler: got no schedulers")
        optimizer = optimizer or schedulers[0].optimizer
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError("ChainedScheduler: all schedulers must be of this optimizer")

        def formula(i: int) -> Formula:
            def at(step: float) -> float:
                lr = schedulers[0].base_lrs[i]
                return lr * math.prod(scheduler.formulas[i](step) / lr for scheduler in schedulers) if lr else 0.0

            return at

        super().__init__(optimizer, [formula(i) for i in range(len(optimizer.param_groups))])


class ReduceLROnPlateau:
    """`Plateau` for the learning rates: `step(metric)` lowers them when the metric has stopped getting better."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = optimizer
        lowest = _per_group(min_lr, optimizer, "min_lr")
        self.plateaus = [
            Plateau(group["lr"], factor, patience, mode, threshold, threshold_mode, cooldown, low, eps)
            for group, low in zip(optimizer.param_groups, lowest, strict=True)
        ]
        self.last_epoch = 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Take note of the metric, and set the learning rates."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, plateau in zip(self.optimizer.param_groups, self.plateaus, strict=True):
            plateau.value = group["lr"]
            group["lr"] = plateau.report(metrics)

    def get_last_lr(self) -> list[float]:
        """The learning rates."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the scheduler stands."""
        return {"last_epoch": self.last_epoch, "plateaus": [plateau.state_dict() for plateau in self.plateaus]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.last_epoch = state_dict["last_epoch"]
        for plateau, state in zip(self.plateaus, state_dict["plateaus"], strict=True):
            plateau.load_state_dict(state)
