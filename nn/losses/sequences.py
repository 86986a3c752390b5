"""Connectionist temporal classification as a module."""

from __future__ import annotations

from typing import Any

from nn import functional
from nn.losses.base import Loss

__all__ = ["CTCLoss"]


class CTCLoss(Loss):
    """The likelihood of labels whose alignment to the frames is unknown, see `functional.ctc_loss`."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
        return functional.ctc_loss(log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity)
