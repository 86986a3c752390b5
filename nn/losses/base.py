"""What loss modules share: a reduction, and weights that are a buffer."""

from __future__ import annotations

from typing import Any

from nn.functional.losses.arguments import chosen_reduction
from nn.module import Module

__all__ = ["Loss", "WeightedLoss"]


class Loss(Module):
    """A loss that remembers its reduction."""

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        self.reduction = chosen_reduction(type(self).__name__, size_average, reduce, reduction)


class WeightedLoss(Loss):
    """A loss with weights, which are not trained but belong to the state."""

    weight: Any

    def __init__(self, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
