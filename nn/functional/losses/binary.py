"""Losses of yes or no, one for each element: binary cross entropy of probabilities and of logits, focal loss, Dice loss."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.activations import logsigmoid, sigmoid
from nn.functional.losses.arguments import as_input, check_same_shape, chosen_reduction, like_input, reduced

__all__ = ["binary_cross_entropy", "binary_cross_entropy_with_logits", "dice_loss", "logits_cross_entropy", "sigmoid_focal_loss"]

# torch's bounds: a wrong certainty costs 100 and not infinity, and its slope is 1e12 (as a float32, whatever the input's dtype).
LOWEST = -100.0
NARROWEST = float(np.float32(1e-12))


def _bounded_logs(x: Any) -> tuple[Any, Any]:
    """The logarithms of x and 1 - x, not below LOWEST."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(x), LOWEST), np.maximum(np.log1p(-x), LOWEST)


def _probability_samples(a: Any) -> list[Any]:
    def inside(*shape: int) -> Any:
        return a(*shape, low=0.05, high=0.95)

    return [ag.call(inside(2, 3), inside(2, 3)), ag.call(inside(), inside()), ag.call(inside(0, 3), inside(0, 3))]


@ag.op(
    batches=True,
    name="negative_log_odds",
    x=lambda g, x: -g / np.maximum((1 - x) * x, NARROWEST),
    real_only=True,
    elementwise=True,
    samples=lambda a: [ag.call(a(2, 3, low=0.05, high=0.95)), ag.call(a(low=0.05, high=0.95)), ag.call(a(0, 3))],
)
def _negative_log_odds(x: Any) -> Any:
    of_one, of_zero = _bounded_logs(x)
    return of_zero - of_one


@ag.op(
    batches=True,
    name="binary_cross_entropy",
    x=lambda g, x, target: g * ((x - target) / np.maximum((1 - x) * x, NARROWEST)),
    target=lambda g, x: g * _negative_log_odds(x),
    real_only=True,
    elementwise=True,
    samples=_probability_samples,
)
def _binary_cross_entropy(x: Any, target: Any) -> Any:
    of_one, of_zero = _bounded_logs(x)
    return (target - 1) * of_zero - target * of_one


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Any:
    """-(target log(input) + (1 - target) log(1 - input)) of probabilities, with logarithms of at least -100, as in torch.

    input   probabilities in [0, 1]
    target  of `input`'s shape, 0, 1 or anything between
    weight  a factor that broadcasts to the target; the mean is not divided by its sum
    raises  ValueError if the shapes differ, or for an input outside [0, 1]: logits belong to `binary_cross_entropy_with_logits`

    Where the input is 0 or 1 the derivative is bounded by 1e12, as in torch.

    >>> import numpy as np
    >>> binary_cross_entropy(np.array([0.5, 0.0]), np.array([1.0, 1.0]), reduction="none").round(4)
    array([  0.6931, 100.    ])
    """
    reduction = chosen_reduction("binary_cross_entropy", size_average, reduce, reduction)
    input = as_input(input)
    target = like_input(target, input)
    check_same_shape("binary_cross_entropy", input, target)
    outside = (input < 0) | (input > 1)
    if ag.for_any(outside):
        how_many = f"of {input.size} elements {np.sum(outside)} are" if isinstance(outside, np.ndarray) else "it is"
        raise ValueError(
            f"binary_cross_entropy: input must be probabilities in [0, 1], but {how_many} not; use binary_cross_entropy_with_logits for logits"
        )
    losses = _binary_cross_entropy(input, target)
    return reduced(losses if weight is None else losses * like_input(weight, input), reduction)


def _logits_slope(g: Any, x: Any, target: Any, positive: Any) -> Any:
    if positive is None:
        return g * (sigmoid(x) - target)
    return g * ((1 - target) * sigmoid(x) - positive * target * sigmoid(-x))


def _logits_samples(a: Any) -> list[Any]:
    def inside(*shape: int) -> Any:
        return a(*shape, low=0.05, high=0.95)

    return [
        ag.call(a(2, 3), inside(2, 3)),
        ag.call(a(2, 3), inside(2, 3), a.positive(3)),
        ag.call(a(), inside()),
        ag.call(a(), inside(), a.positive()),
        ag.call(a(0, 3), inside(0, 3)),
    ]


@ag.op(
    batches=True,
    name="binary_cross_entropy_with_logits",
    x=_logits_slope,
    target=lambda g, x, positive: g * (-x if positive is None else logsigmoid(-x) - positive * logsigmoid(x)),
    positive=lambda g, x, target: -g * target * logsigmoid(x),
    real_only=True,
    elementwise=True,
    samples=_logits_samples,
)
def logits_cross_entropy(x: Any, target: Any, positive: Any = None) -> Any:
    """-(positive target log(sigmoid(x)) + (1 - target) log(1 - sigmoid(x))), elementwise and stable for any logits."""
    if positive is None:
        return np.maximum(x, 0) - target * x + np.log1p(np.exp(-np.abs(x)))
    return (1 - target) * x - (1 + (positive - 1) * target) * logsigmoid(x)


def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """`binary_cross_entropy` of sigmoid(input), accurate and without overflow for any logits.

    input       logits
    target      of `input`'s shape, 0, 1 or anything between
    weight      a factor that broadcasts to the target; the mean is not divided by its sum
    pos_weight  a factor of the positive part, target log(sigmoid(input)), for rare positives; usually (C,)
    raises      ValueError if the shapes differ

    >>> import numpy as np
    >>> binary_cross_entropy_with_logits(np.array([0.0, 1000.0]), np.array([1.0, 0.0]), reduction="none").round(4)
    array([6.931e-01, 1.000e+03])
    """
    reduction = chosen_reduction("binary_cross_entropy_with_logits", size_average, reduce, reduction)
    input = as_input(input)
    target = like_input(target, input)
    check_same_shape("binary_cross_entropy_with_logits", input, target)
    if pos_weight is not None:
        pos_weight = like_input(pos_weight, input)
    losses = logits_cross_entropy(input, target, pos_weight)
    return reduced(losses if weight is None else losses * like_input(weight, input), reduction)


def sigmoid_focal_loss(inputs: Any, targets: Any, alpha: float = 0.25, gamma: float = 2, reduction: str = "none") -> Any:
    """Binary cross entropy that counts easy examples less: alpha_t (1 - p_t)^gamma (-log(p_t)) (Lin et al. 2017, eq. 5).

    inputs   logits; p_t is the probability that sigmoid(inputs) gives to the target
    targets  of `inputs`' shape, 0 or 1
    alpha    weight of the positive class, 1 - alpha that of the negative one; -1 for none
    gamma    how little easy examples count; 0 for all alike
    The signature is torchvision's, where the reduction is "none" by default too.

    >>> import numpy as np
    >>> sigmoid_focal_loss(np.array([0.0, 5.0]), np.array([1.0, 1.0])).round(6)
    array([0.043322, 0.      ])
    """
    reduction = chosen_reduction("sigmoid_focal_loss", None, None, reduction)
    if not (0 <= alpha <= 1 or alpha == -1):
        raise ValueError(f"sigmoid_focal_loss: alpha must be in [0, 1], or -1 for no weights, not {alpha}")
    if gamma < 0:
        raise ValueError(f"sigmoid_focal_loss: gamma must not be negative, not {gamma}")
    inputs = as_input(inputs)
    targets = like_input(targets, inputs)
    check_same_shape("sigmoid_focal_loss", inputs, targets)
    losses = logits_cross_entropy(inputs, targets)
    if gamma:
        missed = sigmoid(-inputs) * targets + sigmoid(inputs) * (1 - targets)  # 1 - p_t, accurate also where p_t is rounded to 1
        tiny = float(np.finfo(inputs.dtype).tiny)  # below, a power of less than 1 would have an infinite slope
        losses = losses * np.maximum(missed, tiny) ** gamma
    if alpha >= 0:
        losses = losses * (alpha * targets + (1 - alpha) * (1 - targets))
    return reduced(losses, reduction)


def dice_loss(
    input: Any, target: Any, smooth: float = 1.0, squared: bool = False, axis: int | tuple[int, ...] | None = None, reduction: str = "mean"
) -> Any:
    """How little two sets overlap: 1 - (2 sum(input target) + smooth) / (sum(input) + sum(target) + smooth) (Milletari et al. 2016, eq. 1).

    input    probabilities, such as sigmoid or softmax of logits, (N, ...)
    target   of `input`'s shape: masks or one-hot classes, 0, 1 or anything between
    smooth   keeps the quotient, and its slope, finite for empty sets, which then overlap fully
    squared  square both in the denominator, as in the paper
    axis     the axes of one set, all but the first by default, so one loss for each sample; (2, 3) of images (N, C, H, W): for each class too
    raises   ValueError if the shapes differ

    >>> import numpy as np
    >>> float(dice_loss(np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 0.0, 0.0]]), smooth=0.0).round(4))
    0.3333
    """
    reduction = chosen_reduction("dice_loss", None, None, reduction)
    input = as_input(input)
    target = like_input(target, input)
    check_same_shape("dice_loss", input, target)
    axes = tuple(range(1, input.ndim)) if axis is None else axis
    both = np.sum(input * target, axis=axes)
    sizes = np.sum(input * input + target * target if squared else input + target, axis=axes)
    return reduced(1 - (2 * both + smooth) / (sizes + smooth), reduction)
