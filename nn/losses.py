"""Losses as modules, which remember their arguments."""

from __future__ import annotations

from typing import Any

from nn import functional
from nn.functional.losses import check_reduction
from nn.module import Module

__all__ = ["CrossEntropyLoss", "MSELoss"]


class MSELoss(Module):
    """`functional.mse_loss` with a fixed reduction."""

    def __init__(self, reduction: str = "mean") -> None:
        check_reduction(reduction, "MSELoss")
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return functional.mse_loss(input, target, self.reduction)


class CrossEntropyLoss(Module):
    """`functional.cross_entropy` with fixed options; `weight` is a buffer."""

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0) -> None:
        check_reduction(reduction, "CrossEntropyLoss")
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        return functional.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing)

    weight: Any
