"""Losses of classes: cross entropy of logits, the likelihood of logarithmic probabilities, and the divergence of distributions.

Cross entropy is one node that keeps the logits and the labels. Its gradient is the famous softmax - one_hot, an operation of its
own, so that it can be differentiated again.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.losses.arguments import as_input, check_labels, chosen_reduction, class_weights, like_input, reduced, require_labels, weights_of
from nn.functional.products import linear
from nn.functional.softmax import log_softmax, safe_powers, shifted_powers, softmax
from nn.functional.sums import row_sums

__all__ = ["cross_entropy", "kl_div", "linear_cross_entropy", "nll_loss"]


_FEW = 1024  # labels, which the tape copies by itself


# --- labels ---------------------------------------------------------------------------------------------------------------


# An operation without derivative: of a tensor's labels it sees the array, which need not be handed out for it.
@ag.op(batches=True, name="known_labels")
def _known_labels(name: str, index: Any, shape: tuple[int, ...], classes: int, ignore_index: int) -> tuple[Any, Any]:
    """Labels with 0 for those to be ignored, and a mask of the others; ValueError for a label that is wrong."""
    kept = index != ignore_index
    index = np.where(kept, index, 0)
    check_labels(name, (index < 0) | (index >= classes), index, shape, classes)
    return index, kept


def _labels(name: str, target: Any, shape: tuple[int, ...], classes: int, ignore_index: int) -> tuple[Any, Any]:
    """Flat labels that exist, and a mask of those that are not to be ignored, or None if all count; ValueError for a wrong label."""
    index = target if target.ndim == 1 else target.reshape(-1)
    if not 0 <= ignore_index < classes and _are_classes(index, classes):
        return index, None
    kept: tuple[Any, Any] = _known_labels(name, index, shape, classes, ignore_index)
    return kept


def _are_classes(index: Any, classes: int) -> bool:
    """Whether all labels lie in 0..classes - 1."""
    if type(index) is np.ndarray:  # to look for the extremes takes a quarter of the time of comparing all
        return not index.size or bool(index.item(index.argmin()) >= 0 and index.item(index.argmax()) < classes)
    return not ag.for_any((index < 0) | (index >= classes))


def _are_few_classes(input: Any, target: Any, ignore_index: int) -> bool:
    """Whether these are logits (samples, classes) and an array of a few labels that exist and all count: what most calls are."""
    if type(target) is not np.ndarray or target.ndim != 1 or target.dtype.kind not in "iu" or getattr(input, "ndim", 0) != 2:
        return False
    samples, classes = input.shape
    if not 0 < target.size == samples <= _FEW or 0 <= ignore_index < classes or input.dtype.kind != "f":
        return False
    return _are_classes(target, classes)


def _factors(weight: Any, index: Any, kept: Any, dtype: Any) -> Any:
    """What each sample's -log(probability) is multiplied with, the weight of its class: None stands for ones."""
    if weight is None:
        return None if kept is None else kept.astype(dtype)
    factor = weights_of(weight, index)
    return factor if kept is None else factor * kept


def _mean(total: Any, divisor: Any) -> Any:
    """Total / divisor; nan, but with gradient 0, if the divisor is 0, as in torch: of a mean no sample is left."""
    nothing = divisor == 0
    return total / np.where(nothing, 1.0, divisor) + (np.where(nothing, math.nan, divisor) - divisor)


def _flat(name: str, input: Any) -> tuple[Any, int, tuple[int, ...]]:
    """`input` as (samples, classes), the number of classes, and the shape of its samples."""
    if input.ndim == 0:
        raise ValueError(f"{name}: input needs a class axis: (C,), (N, C) or (N, C, d1, ...)")
    if input.ndim == 2:
        return input, input.shape[1], input.shape[:1]
    if input.ndim == 1:
        return input.reshape((1, input.shape[0])), input.shape[0], ()
    classes, batch = input.shape[1], (input.shape[0], *input.shape[2:])
    return np.moveaxis(input, 1, -1).reshape((math.prod(batch), classes)), classes, batch


# --- cross entropy --------------------------------------------------------------------------------------------------------


def _one_hot(index: Any, classes: int) -> Any:
    return index[:, None] == np.arange(classes)


@functools.lru_cache(maxsize=64)
def _row_starts(count: int, classes: int) -> Any:
    """Where each row begins in an array (count, classes) laid flat. Kept, so not to be written to."""
    starts = np.arange(0, count * classes, max(classes, 1))
    starts.flags.writeable = False
    return starts


def _flat_places(index: Any, classes: int) -> Any:
    """Where each row's label is in an array (samples, classes) laid flat: one list of places is looked up in half of the time of two."""
    count = len(index)
    starts = _row_starts(count, classes) if count <= _FEW else np.arange(0, count * classes, max(classes, 1))
    return index.astype(np.intp, copy=False) + starts


def _picked(x: Any, index: Any) -> Any:
    """The element of each row that its label says."""
    if type(x) is type(index) is np.ndarray:
        return x.take(_flat_places(index, x.shape[1]))
    return x[np.arange(len(index)), index]


def _slope_in_place(logits: Any, index: Any, g: Any) -> Any:
    """(softmax(logits) - one_hot(index)) * g, with g for each row or all, in one array."""
    result = safe_powers(logits)
    if result is None:
        result = shifted_powers(logits, 1)
    factor = g / row_sums(result)
    result *= factor[:, None]
    result.reshape(-1)[_flat_places(index, result.shape[1])] -= g
    return result


def _softmax_rule(g: Any, logits: Any) -> Any:
    probabilities = softmax(logits, 1)
    return probabilities * (g - (g * probabilities).sum(axis=1, keepdims=True))


@ag.op(
    batches=True,
    name="softmax_minus_one_hot",
    logits=_softmax_rule,
    inert=("index",),
    real_only=True,
    samples=lambda a: [ag.call(a(4, 3), np.array([0, 2, 1, 1])), ag.call(a(0, 3), np.zeros(0, dtype=int))],
)
def _softmax_minus_one_hot(logits: Any, index: Any) -> Any:
    return softmax(logits, 1) - _one_hot(index, logits.shape[1])


def _logits_rule(g: Any, logits: Any, index: Any, factor: Any, scale: float) -> Any:
    g = g * scale if factor is None else g * scale * factor
    if type(logits) is type(index) is np.ndarray and isinstance(g, np.ndarray | np.floating) and logits.size:
        return _slope_in_place(logits, index, g)
    return _softmax_minus_one_hot(logits, index) * (g[:, None] if g.ndim else g)


def _factor_rule(g: Any, logits: Any, index: Any, scale: float) -> Any:
    return g * scale * _index_cross_entropy(logits, index)


def _index_samples(a: Any) -> list[Any]:
    index = np.array([0, 2, 1, 1])
    return [
        ag.call(a(4, 3), index, a(4)),
        ag.call(a(4, 3), index, a(4), 0.5, total=True),
        ag.call(a(4, 3), index, total=True),
        ag.call(a(1, 2), np.array([1])),
        ag.call(a(0, 3), np.zeros(0, dtype=int), np.ones(0)),
    ]


@ag.op(
    batches=True,
    name="cross_entropy",
    real_only=True,
    logits=_logits_rule,
    factor=_factor_rule,
    inert=("total",),
    samples=_index_samples,
)
def _index_cross_entropy(logits: Any, index: Any, factor: Any = None, scale: float = 1.0, total: bool = False) -> Any:
    """Scale * factor[i] * (log(sum(exp(logits[i]))) - logits[i, index[i]]), or the sum of it."""
    powers = safe_powers(logits)
    if powers is None:
        shifted = logits - logits.max(axis=1, keepdims=True)
        losses = np.log(np.exp(shifted).sum(axis=1)) - _picked(shifted, index)
    else:  # the logarithm of a quotient, which is near 1 for a small loss: no digits are lost to large logits
        losses = np.log(row_sums(powers) / _picked(powers, index))
    if factor is not None:
        losses = np.where(factor == 0, 0.0, losses * factor)  # a sample that does not count may be infinite
    if total:
        losses = losses.sum()
    return losses if scale == 1 else losses * scale


@ag.op(
    batches=True,
    name="cross_entropy",
    real_only=True,
    logits=lambda g, logits, weights: g[:, None] * (weights.sum(axis=1, keepdims=True) * softmax(logits, 1) - weights),
    weights=lambda g, logits: -g[:, None] * log_softmax(logits, 1),
    samples=lambda a: [ag.call(a(4, 3), a.positive(4, 3)), ag.call(a(1, 2), a.positive(1, 2)), ag.call(a(0, 3), a(0, 3))],
)
def _soft_cross_entropy(logits: Any, weights: Any) -> Any:
    """-sum(weights * log(softmax(logits))) of each row."""
    return -(weights * log_softmax(logits, 1)).sum(axis=1)


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """The negative log-likelihood of `target` under softmax(input): -log(softmax(input)[target]), stable for any logits.

    input            logits, (C,), (N, C) or (N, C, d1, ...)
    target           class indices (no class axis), or probabilities of `input`'s shape
    weight           (C,) factor of each class; with indices the mean is weighted by it too
    ignore_index     samples with this target count as absent
    label_smoothing  mix the target with the uniform distribution, in [0, 1] (Szegedy et al. 2016, section 7)
    returns          a number; with reduction="none" an array of the target's shape (without class axis)
    raises           ValueError or TypeError naming the shapes, or the class that does not exist

    The mean over no sample at all is nan, as in torch.

    >>> import numpy as np
    >>> cross_entropy(np.array([[0.0, 0.0], [0.0, 100.0]]), np.array([0, 1])).round(4)
    np.float64(0.3466)
    """
    usual = reduction == "mean" and weight is size_average is reduce is None and label_smoothing == 0
    if usual and _are_few_classes(input, target, ignore_index):
        return _index_cross_entropy(input, target, None, 1 / len(target), True)
    reduction = chosen_reduction("cross_entropy", size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1], not {label_smoothing}")
    input = as_input(input)
    logits, classes, batch = _flat("cross_entropy", input)
    weight = class_weights("cross_entropy", weight, classes, input.dtype)
    target = target if hasattr(target, "dtype") else np.asarray(target)
    if target.shape == input.shape and target.dtype.kind == "f":
        if ignore_index >= 0:
            raise ValueError(f"cross_entropy: ignore_index={ignore_index} is for class indices, and target holds probabilities")
        probabilities, _, _ = _flat("cross_entropy", target)
        if label_smoothing:
            probabilities = probabilities * (1 - label_smoothing) + label_smoothing / classes
        losses = _soft_cross_entropy(logits, probabilities if weight is None else probabilities * weight)
        return losses.reshape(batch) if reduction == "none" else reduced(losses, reduction)
    target = require_labels("cross_entropy", target, batch, input, ", or probabilities of the input's shape")
    index, kept = _labels("cross_entropy", target, input.shape, classes, ignore_index)
    if isinstance(logits, ag.Tensor) and type(index) is np.ndarray and index.size > _FEW:
        index = ag.tensor(index)  # of its own: the tape need not watch for changes by the user
    factor = _factors(weight, index, kept, input.dtype)
    if label_smoothing:
        losses = _soft_cross_entropy(logits, _smoothed(index, classes, weight, factor, kept, label_smoothing, input.dtype))
        total = losses if reduction == "none" else np.sum(losses)
    elif reduction == "mean" and factor is None:
        count = logits.shape[0]
        return _index_cross_entropy(logits, index, None, 1 / count if count else math.nan, True)
    else:
        total = _index_cross_entropy(logits, index, factor, total=reduction != "none")
    if reduction == "mean":
        return _mean(total, np.sum(factor)) if factor is not None else total / logits.shape[0]
    return total.reshape(batch) if reduction == "none" else total


def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: None = None,
) -> Any:
    """The cross entropy of the logits linear(input, linear_weight, linear_bias).

    input          (in_features,) or (N, in_features)
    linear_weight  (C, in_features), or (C, d1, ..., in_features) for logits (N, C, d1, ...)
    linear_bias    (C,) or (C, d1, ...)
    target, weight, reduction, label_smoothing  as in `cross_entropy`
    ignore_index   likewise; None for -100, and with probabilities it must be None
    options        not taken: it tells torch how to cut the work into pieces

    >>> import numpy as np
    >>> linear_cross_entropy(np.array([1.0, 0.0]), np.array([[0.0, 1.0], [100.0, 0.0]]), np.array(1))
    np.float64(0.0)
    """
    if options is not None:
        raise TypeError("linear_cross_entropy: options= is not taken; the loss is computed in one piece")
    input = as_input(input)
    outputs, features = linear_weight.shape[:-1], linear_weight.shape[-1:]
    if not outputs or input.ndim not in (1, 2) or input.shape[-1:] != features or (input.ndim == 1 and len(outputs) > 1):
        raise ValueError(
            f"linear_cross_entropy: input of shape {input.shape} for a linear_weight of shape {linear_weight.shape}; they must be "
            "(N, in_features) and (C, ..., in_features)"
        )
    if linear_bias is not None and linear_bias.shape != outputs:
        raise ValueError(f"linear_cross_entropy: linear_bias has shape {linear_bias.shape}, expected {outputs} as of linear_weight")
    flat = linear(input, linear_weight.reshape((math.prod(outputs), *features)), None if linear_bias is None else linear_bias.reshape((-1,)))
    logits = flat.reshape((*input.shape[:-1], *outputs))
    if ignore_index is not None and np.shape(target) == logits.shape:
        raise ValueError(f"linear_cross_entropy: ignore_index={ignore_index} is for class indices, and target holds probabilities")
    ignored = -100 if ignore_index is None else ignore_index
    return cross_entropy(logits, target, weight, ignore_index=ignored, reduction=reduction, label_smoothing=label_smoothing)


def _smoothed(index: Any, classes: int, weight: Any, factor: Any, kept: Any, smoothing: float, dtype: Any) -> Any:
    """The weights of all classes' -log(probability) for each sample: (1 - s) of its own class's, s / C of everyone's."""
    own = _one_hot(index, classes).astype(dtype) * (1 - smoothing)
    own = own if factor is None else own * factor[:, None]
    everyone = smoothing / classes if weight is None else weight * (smoothing / classes)
    return own + everyone if kept is None else own + everyone * kept.astype(dtype)[:, None]


def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The negative log-likelihood -input[target] of class indices, where `input` holds log-probabilities, of `log_softmax` for instance.

    input   (C,), (N, C) or (N, C, d1, ...)
    target  class indices (no class axis); weight, ignore_index and errors as in `cross_entropy`

    >>> import numpy as np
    >>> nll_loss(np.log([[0.5, 0.5], [0.25, 0.75]]), np.array([0, 0]), reduction="none").round(4)
    array([0.6931, 1.3863])
    """
    reduction = chosen_reduction("nll_loss", size_average, reduce, reduction)
    input = as_input(input)
    log_probabilities, classes, batch = _flat("nll_loss", input)
    weight = class_weights("nll_loss", weight, classes, input.dtype)
    target = require_labels("nll_loss", target, batch, input)
    index, kept = _labels("nll_loss", target, input.shape, classes, ignore_index)
    losses = -log_probabilities[np.arange(len(index)), index]
    factor = _factors(weight, index, kept, input.dtype)
    if factor is not None:
        losses = (losses if kept is None else np.where(kept, losses, 0.0)) * factor
    if reduction == "none":
        return losses.reshape(batch)
    return _mean(np.sum(losses), np.sum(factor)) if reduction == "mean" and factor is not None else reduced(losses, reduction)


def kl_div(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", log_target: bool = False) -> Any:
    """The Kullback-Leibler divergence from `input` to `target`, elementwise: target (log(target) - input), 0 where target is 0.

    input       log-probabilities
    target      probabilities, or their logarithms if `log_target`
    reduction   "batchmean", the sum over the length of the first axis, is the divergence; "mean" divides by the number of elements

    >>> import numpy as np
    >>> float(kl_div(np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]]), reduction="batchmean").round(4))
    0.6931
    """
    batch_mean = reduction == "batchmean" and size_average is None and reduce is None
    reduction = "sum" if batch_mean else chosen_reduction("kl_div", size_average, reduce, reduction)
    input = as_input(input)
    target = like_input(target, input)
    losses = np.exp(target) * (target - input) if log_target else _times_logarithm(target) - target * input
    loss = reduced(losses, reduction)
    return loss / input.shape[0] if batch_mean and input.ndim else loss


@ag.op(
    batches=True,
    name="x_log_x",
    x=lambda g, x: g * (np.log(x) + 1),  # -inf at 0
    real_only=True,
    elementwise=True,
    samples=lambda a: [ag.call(a.positive(2, 3)), ag.call(a.positive()), ag.call(a.positive(0, 3))],
)
def _times_logarithm(x: Any) -> Any:
    return x * np.log(np.where(x == 0, 1.0, x))
