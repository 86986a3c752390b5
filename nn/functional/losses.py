"""Losses, with torch's arguments. `reduction` is "mean", "sum" or "none"."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.softmax import log_softmax, softmax

__all__ = ["cross_entropy", "mse_loss"]

REDUCTIONS = ("mean", "sum", "none")


def reduced(loss: Any, reduction: str, name: str) -> Any:
    """`loss` averaged, summed or as it is; ValueError for another `reduction`."""
    check_reduction(reduction, name)
    return np.mean(loss) if reduction == "mean" else np.sum(loss) if reduction == "sum" else loss


def check_reduction(reduction: str, name: str) -> None:
    """Raise ValueError unless `reduction` is one that exists."""
    if reduction not in REDUCTIONS:
        raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}')


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    """The squared error (input - target)^2, by default its mean.

    target  of `input`'s shape, or a number
    raises  ValueError if the shapes differ: (n, 1) against (n,) would silently be n^2 errors

    >>> import numpy as np
    >>> float(mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """
    if np.ndim(target) and np.shape(input) != np.shape(target):
        raise ValueError(f"mse_loss: input has shape {np.shape(input)}, target {np.shape(target)}; reshape one of them")
    error = input - target
    return reduced(error * error, reduction, "mse_loss")


def _one_hot(like: Any, index: Any) -> Any:
    return index[:, None] == np.arange(like.shape[1])


# factor[i] * (log(sum(exp(logits[i]))) - logits[i, index[i]]), or the sum of it, in one node that keeps the logits only. The
# gradient is the famous softmax - one_hot; written with `softmax`, itself an operation, it can be differentiated again.
@ag.op(
    batches=True,
    name="cross_entropy",
    real_only=True,
    logits=lambda g, logits, index, factor: (softmax(logits) - _one_hot(logits, index)) * (g * factor)[:, None],
    inert=("index", "factor", "total"),
    samples=lambda a: [
        ag.call(a(4, 3), np.array([0, 2, 1, 1]), a(4)),
        ag.call(a(4, 3), np.array([0, 2, 1, 1]), a(4), total=True),
        ag.call(a(1, 2), np.array([1]), np.ones(1)),
        ag.call(a(0, 3), np.zeros(0, dtype=int), np.ones(0)),
    ],
)
def _index_cross_entropy(logits: Any, index: Any, factor: Any, total: bool = False) -> Any:
    shifted = logits - logits.max(axis=1, keepdims=True)
    picked = shifted[np.arange(len(index)), index]
    np.exp(shifted, out=shifted)
    losses = np.log(shifted.sum(axis=1)) - picked
    return factor @ losses if total else factor * losses


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """The negative log-likelihood of `target` under softmax(input): -log(softmax(input)[target]), stable for any logits.

    input            logits, (C,), (N, C) or (N, C, d1, ...)
    target           class indices (no class axis), or probabilities of `input`'s shape
    weight           (C,) factor of each class; with indices the mean is weighted by it too
    ignore_index     samples with this target count as absent
    label_smoothing  mix the target with the uniform distribution, in [0, 1] (Szegedy et al. 2016)
    returns          a number; with reduction="none" an array of the target's shape (without class axis)
    raises           ValueError or TypeError naming the shapes, or the class that does not exist

    >>> import numpy as np
    >>> cross_entropy(np.array([[0.0, 0.0], [0.0, 100.0]]), np.array([0, 1])).round(4)
    np.float64(0.3466)
    """
    check_reduction(reduction, "cross_entropy")
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"cross_entropy: label_smoothing must be in [0, 1], not {label_smoothing}")
    if input.ndim == 0:
        raise ValueError("cross_entropy: input needs a class axis: (C,), (N, C) or (N, C, d1, ...)")
    classes = input.shape[0 if input.ndim == 1 else 1]
    if weight is not None:
        weight = weight.detach().numpy() if isinstance(weight, ag.Tensor) else np.asarray(weight)
        if weight.shape != (classes,):
            raise ValueError(f"cross_entropy: weight has shape {weight.shape}, but there are {classes} classes")
        weight = weight.astype(input.dtype, copy=False)
    logits = input.reshape((1, classes)) if input.ndim == 1 else input if input.ndim == 2 else np.moveaxis(input, 1, -1).reshape((-1, classes))
    if np.shape(target) == input.shape and getattr(target, "dtype", np.dtype(float)).kind == "f":
        return _of_probabilities(input, logits, target, weight, reduction, label_smoothing)
    return _of_indices(input, logits, target, weight, ignore_index, reduction, label_smoothing)


def _of_probabilities(input: Any, logits: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    classes = logits.shape[1]
    probabilities = (
        target.reshape((1, classes)) if input.ndim == 1 else target if input.ndim == 2 else np.moveaxis(target, 1, -1).reshape((-1, classes))
    )
    if smoothing:
        probabilities = probabilities * (1 - smoothing) + smoothing / classes
    if weight is not None:
        probabilities = probabilities * weight
    losses = -np.sum(log_softmax(logits) * probabilities, axis=1)
    return _finish(losses, input, reduction, divisor=float(logits.shape[0]))


def _of_indices(input: Any, logits: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float) -> Any:
    index = _checked_indices(input, target)
    classes = logits.shape[1]
    kept: Any = True
    # Negative numbers wrap around to huge ones, so that one maximum tells whether all is in order.
    if 0 <= ignore_index < classes or (index.size and ag.for_any(index.astype(np.uint64).max() >= classes)):
        kept = index != ignore_index
        index = np.where(kept, index, 0)
        wrong = (index < 0) | (index >= classes)
        if ag.for_any(wrong):
            shown = f"class {index[wrong][0]}" if isinstance(index, np.ndarray) else "a class that does not exist"
            raise ValueError(f"cross_entropy: target holds {shown}, but input of shape {input.shape} has classes 0..{classes - 1}")
    factor = np.ones(len(index), dtype=input.dtype) if weight is None else weight[index]
    factor = factor if kept is True else factor * kept
    divisor = (float(factor.sum()) if weight is not None or kept is not True else float(len(index))) if reduction == "mean" else 1.0
    fused = reduction != "none" and not smoothing and divisor != 0
    scale = 1 / divisor if fused else 1 - smoothing
    factor = factor if scale == 1 else factor * scale
    if isinstance(logits, ag.Tensor):
        index, factor = ag.tensor(index), ag.tensor(factor)  # of their own: the tape need not watch for changes by the user
    if fused:
        return _index_cross_entropy(logits, index, factor, total=True)
    losses = _index_cross_entropy(logits, index, factor)
    if smoothing:
        uniform = log_softmax(logits) * (1.0 if weight is None else weight)
        losses = losses - np.sum(uniform, axis=1) * (kept * np.full(len(index), smoothing / classes, dtype=input.dtype))
    return _finish(losses, input, reduction, divisor)


def _checked_indices(input: Any, target: Any) -> Any:
    index = target.detach().numpy() if isinstance(target, ag.Tensor) else np.asarray(target)
    expected = () if input.ndim == 1 else (input.shape[0], *input.shape[2:])
    if index.dtype.kind not in "iu":
        raise TypeError(
            f"cross_entropy: target of dtype {index.dtype} and shape {index.shape} for an input of shape {input.shape}; "
            f"give integer classes of shape {expected}, or probabilities of the input's shape"
        )
    if index.shape != expected:
        raise ValueError(f"cross_entropy: target has shape {index.shape}, but input of shape {input.shape} needs class indices of shape {expected}")
    return index.reshape(-1)


def _finish(losses: Any, input: Any, reduction: str, divisor: float) -> Any:
    """The flat losses reduced, or in the shape of the batch."""
    if reduction == "none":
        return losses.reshape(() if input.ndim == 1 else (input.shape[0], *input.shape[2:]))
    total = np.sum(losses)
    return total / divisor if reduction == "mean" else total  # no sample left: 0 / 0 = nan, as in torch
