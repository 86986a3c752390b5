"""Losses of classes and of probabilities as modules."""

from __future__ import annotations

import math
from typing import Any

from nn import functional, init
from nn.linear import Linear
from nn.losses.base import Loss, WeightedLoss

__all__ = ["BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "DiceLoss", "KLDivLoss", "LinearCrossEntropyLoss", "NLLLoss", "SigmoidFocalLoss"]


class CrossEntropyLoss(WeightedLoss):
    """The negative log-likelihood of classes under the softmax of logits, see `functional.cross_entropy`; `weight` is a buffer."""

    def __init__(
        self,
        weight: Any = None,
        size_average: Any = None,
        ignore_index: int = -100,
        reduce: Any = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        return functional.cross_entropy(
            input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction, label_smoothing=self.label_smoothing
        )


class LinearCrossEntropyLoss(WeightedLoss):
    """A linear layer to the classes' logits and their cross entropy in one, see `functional.linear_cross_entropy`.

    in_features   of the input, (in_features,) or (N, in_features)
    num_classes, out_features  the logits are (N, num_classes, *out_features): one sample has as many targets as `out_features` says
    bias          whether the layer has one;  device, dtype, generator  of its parameters
    weight, reduction, ignore_index, label_smoothing  of the loss
    options       not taken: it tells torch how to cut the work into pieces
    linear        the layer, a `Linear`

    >>> import numpy as np, nn
    >>> loss = nn.LinearCrossEntropyLoss(5, 10, out_features=(4, 3))
    >>> loss(np.ones((2, 5), dtype=np.float32), np.zeros((2, 4, 3), dtype=int)).shape
    ()
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Any = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: None = None,
        generator: init.Seed = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        if options is not None:
            raise TypeError("LinearCrossEntropyLoss: options= is not taken; the loss is computed in one piece")
        self.num_classes = num_classes
        self.out_features = tuple(out_features)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        rows = math.prod(self.out_features, start=num_classes)
        self.linear = Linear(in_features, rows, bias=bias, device=device, dtype=dtype, generator=generator)

    def forward(self, input: Any, target: Any) -> Any:
        shape = (self.num_classes, *self.out_features)
        return functional.linear_cross_entropy(
            input,
            self.linear.weight.reshape((*shape, self.linear.in_features)),
            target,
            linear_bias=None if self.linear.bias is None else self.linear.bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )

    def extra_repr(self) -> str:
        names = ("num_classes", "out_features", "reduction", "ignore_index", "label_smoothing", "options")
        shown = {name: getattr(self, name) for name in names}
        shown = {"in_features": self.linear.in_features, **shown}
        parts = [f"{name}={value}" for name, value in shown.items()]
        parts.insert(3, f"bias={self.linear.bias is not None}")
        return ", ".join(parts)


class NLLLoss(WeightedLoss):
    """The negative log-likelihood of classes, given log-probabilities, see `functional.nll_loss`; `weight` is a buffer."""

    def __init__(self, weight: Any = None, size_average: Any = None, ignore_index: int = -100, reduce: Any = None, reduction: str = "mean") -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Any, target: Any) -> Any:
        return functional.nll_loss(input, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence, see `functional.kl_div`; its reduction may be "batchmean" too."""

    def __init__(self, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(size_average, reduce, "mean" if reduction == "batchmean" else reduction)
        if reduction == "batchmean" and size_average is None and reduce is None:
            self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        return functional.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class BCELoss(WeightedLoss):
    """Binary cross entropy of probabilities, see `functional.binary_cross_entropy`; `weight` is a buffer."""

    def forward(self, input: Any, target: Any) -> Any:
        return functional.binary_cross_entropy(input, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(WeightedLoss):
    """Binary cross entropy of logits, see `functional.binary_cross_entropy_with_logits`; `weight` and `pos_weight` are buffers."""

    pos_weight: Any

    def __init__(self, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Any, target: Any) -> Any:
        return functional.binary_cross_entropy_with_logits(input, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight)


class SigmoidFocalLoss(Loss):
    """Binary cross entropy that counts easy examples less, see `functional.sigmoid_focal_loss`; its reduction is "none" by default."""

    def __init__(self, alpha: float = 0.25, gamma: float = 2, reduction: str = "none") -> None:
        super().__init__(reduction=reduction)
        self.alpha = alpha
        self.gamma = gamma

    def forward(self, inputs: Any, targets: Any) -> Any:
        return functional.sigmoid_focal_loss(inputs, targets, self.alpha, self.gamma, self.reduction)


class DiceLoss(Loss):
    """How little two sets overlap, see `functional.dice_loss`."""

    def __init__(self, smooth: float = 1.0, squared: bool = False, axis: int | tuple[int, ...] | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.smooth = smooth
        self.squared = squared
        self.axis = axis

    def forward(self, input: Any, target: Any) -> Any:
        return functional.dice_loss(input, target, self.smooth, self.squared, self.axis, self.reduction)
