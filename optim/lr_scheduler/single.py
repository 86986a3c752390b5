"""Schedulers of the learning rate alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from optim.lr_scheduler.base import Formula, LRScheduler, per_group
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
        functions = iter(per_group(lr_lambda, optimizer, "lr_lambda"))

        def formula(lr: float) -> Formula:
            function = next(functions)
            return lambda step: lr * function(step)

        super().__init__(optimizer, formula, last_epoch)


class MultiplicativeLR(LRScheduler):
    """initial lr times the product of a function's values at steps 1, 2, ..., t."""

    relative = True

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        functions = iter(per_group(lr_lambda, optimizer, "lr_lambda"))

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

    relative = True

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Step(lr, step_size, gamma), last_epoch)


class MultiStepLR(LRScheduler):
    """`MultiStep`: lr is multiplied by gamma at each of the milestones."""

    relative = True

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1) -> None:
        places = tuple(milestones)
        super().__init__(optimizer, lambda lr: MultiStep(lr, places, gamma), last_epoch)


class ConstantLR(LRScheduler):
    """lr times factor for total_iters steps, then lr."""

    relative = True

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Piecewise({0.0: lr * factor} | {float(total_iters): lr}), last_epoch)


class LinearLR(LRScheduler):
    """`Linear`: from lr times start_factor to lr times end_factor."""

    relative = True

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        super().__init__(optimizer, lambda lr: Linear(lr * start_factor, lr * end_factor, total_iters), last_epoch)


class ExponentialLR(LRScheduler):
    """`Exponential`: lr is multiplied by gamma at each step."""

    relative = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Exponential(lr, gamma), last_epoch)


class PolynomialLR(LRScheduler):
    """`Polynomial`: lr (1 - t / total_iters)^power."""

    relative = True

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: Polynomial(lr, total_iters, power), last_epoch)


class CosineAnnealingLR(LRScheduler):
    """`Cosine`, going up again after T_max steps."""

    relative = True

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.eta_min = eta_min
        super().__init__(optimizer, lambda lr: Cosine(lr, T_max, eta_min, periodic=True), last_epoch)

    def _end(self, i: int) -> float:
        return self.eta_min


class CosineAnnealingWarmRestarts(LRScheduler):
    """`CosineRestarts`; `step` takes fractions of epochs too."""

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        super().__init__(optimizer, lambda lr: CosineRestarts(lr, T_0, T_mult, eta_min), last_epoch)
