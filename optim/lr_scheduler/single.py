"""Schedulers of the learning rate alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optim.lr_scheduler.base import Formula, LRScheduler, of_group, per_group
from optim.optimizer import Optimizer
from optim.schedules import Cosine, CosineRestarts, Exponential, Linear, MultiStep, Piecewise, Polynomial, Step

__all__ = [
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]


class LambdaLR(LRScheduler):
    """initial lr times a function of the step."""

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        per_group(lr_lambda, optimizer, "lr_lambda")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return _Scaled(initial, of_group(self.lr_lambda, i, "lr_lambda"))


class _Scaled:
    """A function, times a number."""

    def __init__(self, factor: float, function: Formula) -> None:
        self.factor = factor
        self.function = function

    def __call__(self, step: float) -> float:
        return self.factor * self.function(step)


class MultiplicativeLR(LRScheduler):
    """initial lr times the product of a function's values at steps 1, 2, ..., t."""

    relative = True

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        per_group(lr_lambda, optimizer, "lr_lambda")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return _Scaled(initial, _Products(of_group(self.lr_lambda, i, "lr_lambda")))


class _Products:
    """The product of a function's values at 1, 2, ..., t."""

    def __init__(self, function: Formula) -> None:
        self.function = function
        self.products = [1.0]  # kept, so that each step costs one call

    def __call__(self, step: float) -> float:
        while len(self.products) <= step:
            self.products.append(self.products[-1] * self.function(len(self.products)))
        return self.products[int(step)]


class StepLR(LRScheduler):
    """`Step`: lr is multiplied by gamma every step_size steps."""

    relative = True

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return Step(initial, self.step_size, self.gamma)


class MultiStepLR(LRScheduler):
    """`MultiStep`: lr is multiplied by gamma at each of the milestones."""

    relative = True

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.milestones = tuple(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return MultiStep(initial, self.milestones, self.gamma)


class ConstantLR(LRScheduler):
    """lr times factor for total_iters steps, then lr."""

    relative = True

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return Piecewise({0.0: initial * self.factor} | {float(self.total_iters): initial})


class LinearLR(LRScheduler):
    """`Linear`: from lr times start_factor to lr times end_factor."""

    relative = True

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return Linear(initial * self.start_factor, initial * self.end_factor, self.total_iters)


class ExponentialLR(LRScheduler):
    """`Exponential`: lr is multiplied by gamma at each step."""

    relative = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return Exponential(initial, self.gamma)


class PolynomialLR(LRScheduler):
    """`Polynomial`: lr (1 - t / total_iters)^power."""

    relative = True

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return Polynomial(initial, self.total_iters, self.power)


class CosineAnnealingLR(LRScheduler):
    """`Cosine`, going up again after T_max steps."""

    relative = True

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return Cosine(initial, self.T_max, self.eta_min, periodic=True)

    def _end(self, i: int) -> float:
        return self.eta_min


class CosineAnnealingWarmRestarts(LRScheduler):
    """`CosineRestarts`; `step` takes fractions of epochs too."""

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_0 = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return CosineRestarts(initial, self.T_0, self.T_mult, self.eta_min)
