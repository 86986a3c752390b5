"""Losses of margins: they vanish where the right answer leads by enough, and grow linearly (or smoothly) where it does not."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.activations import logsigmoid
from nn.functional.losses.arguments import (
    as_input,
    check_labels,
    check_same_shape,
    chosen_reduction,
    class_weights,
    like_input,
    reduced,
    require_labels,
    weights_of,
)
from nn.functional.losses.binary import logits_cross_entropy

__all__ = [
    "hinge",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
]


# Not relu: torch's clamp passes the gradient at the bound, and two equal inputs with a margin of 0 lie there.
@ag.op(
    batches=True,
    name="hinge",
    x=lambda g, x: g * (x >= 0),
    real_only=True,
    elementwise=True,
    selects=True,
    samples=lambda a: [ag.call(a(2, 3)), ag.call(a()), ag.call(a(0, 3))],
)
def hinge(x: Any) -> Any:
    """max(x, 0), elementwise; the derivative at 0 is 1."""
    return np.maximum(x, 0)


def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Any:
    """Of a distance: itself where target is 1, max(margin - input, 0) where it is -1.

    >>> import numpy as np
    >>> hinge_embedding_loss(np.array([0.2, 0.2]), np.array([1, -1]), reduction="none")
    array([0.2, 0.8])
    """
    reduction = chosen_reduction("hinge_embedding_loss", size_average, reduce, reduction)
    input = as_input(input)
    target = like_input(target, input)
    return reduced(np.where(target != 1, hinge(margin - input), 0.0) + np.where(target != -1, input, 0.0), reduction)


def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """max(margin - target (input1 - input2), 0): input1 should be the larger one where target is 1, input2 where it is -1.

    raises  ValueError if the numbers of axes differ

    >>> import numpy as np
    >>> margin_ranking_loss(np.array([3.0]), np.array([1.0]), np.array([-1.0]), reduction="none")
    array([2.])
    """
    reduction = chosen_reduction("margin_ranking_loss", size_average, reduce, reduction)
    input1, input2 = as_input(input1), as_input(input2)
    target = like_input(target, input1)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ValueError(
            f"margin_ranking_loss: input1 has shape {input1.shape}, input2 {input2.shape}, target {target.shape}; the numbers of axes must agree"
        )
    return reduced(hinge(margin - target * (input1 - input2)), reduction)


def soft_margin_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Any:
    """log(1 + exp(-target input)), where target is 1 or -1; stable for any input.

    >>> import numpy as np
    >>> soft_margin_loss(np.array([0.0, -1000.0]), np.array([1, 1]), reduction="none").round(4)
    array([6.931e-01, 1.000e+03])
    """
    reduction = chosen_reduction("soft_margin_loss", size_average, reduce, reduction)
    input = as_input(input)
    return reduced(-logsigmoid(like_input(target, input) * input), reduction)


def multilabel_soft_margin_loss(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """Binary cross entropy with logits, averaged over the classes of the last axis: (N, C) gives N losses.

    target  of `input`'s shape, 0 or 1
    weight  (C,) factor of each class

    >>> import numpy as np
    >>> multilabel_soft_margin_loss(np.array([[0.0, 0.0]]), np.array([[1, 0]]), reduction="none").round(4)
    array([0.6931])
    """
    reduction = chosen_reduction("multilabel_soft_margin_loss", size_average, reduce, reduction)
    input = as_input(input)
    target = like_input(target, input)
    check_same_shape("multilabel_soft_margin_loss", input, target)
    if not input.ndim:
        raise ValueError("multilabel_soft_margin_loss: input needs a class axis: (C,) or (N, C)")
    losses = logits_cross_entropy(input, target)
    losses = losses if weight is None else losses * like_input(weight, input)
    return reduced(np.sum(losses, axis=-1) / input.shape[-1], reduction)


def _rows(name: str, input: Any) -> Any:
    """`input` (C,) or (N, C) as (N, C)."""
    if input.ndim not in (1, 2) or not input.shape[-1]:
        raise ValueError(f"{name}: input of shape {input.shape}; expected (C,) or (N, C) with at least one class")
    return input if input.ndim == 2 else input.reshape((1, input.shape[0]))


def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The hinge loss of several classes: sum over the others of max(margin - input[target] + input[i], 0)^p, over C.

    input   scores, (C,) or (N, C)
    target  class indices, () or (N,)
    p       1 or 2
    weight  (C,) factor of each target class

    >>> import numpy as np
    >>> multi_margin_loss(np.array([[0.0, 0.5, 2.0]]), np.array([2]), reduction="none")
    array([0.])
    """
    reduction = chosen_reduction("multi_margin_loss", size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p must be 1 or 2, not {p!r}")
    input = as_input(input)
    scores = _rows("multi_margin_loss", input)
    classes = scores.shape[1]
    weight = class_weights("multi_margin_loss", weight, classes, input.dtype)
    target = require_labels("multi_margin_loss", target, input.shape[:-1], input).reshape(-1)
    check_labels("multi_margin_loss", (target < 0) | (target >= classes), target, input.shape, classes)
    own = scores[np.arange(len(target)), target]
    lead = margin - own[:, None] + scores
    short = np.where((target[:, None] != np.arange(classes)) & (lead > 0), lead, 0.0)
    losses = np.sum(short if p == 1 else short * short, axis=1) / classes
    losses = losses if weight is None else losses * weights_of(weight, target)
    return losses.reshape(input.shape[:-1]) if reduction == "none" else reduced(losses, reduction)


def multilabel_margin_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean") -> Any:
    """The hinge loss of several labels at once: sum over labels j and others i of max(1 - (input[j] - input[i]), 0), over C.

    input   scores, (C,) or (N, C)
    target  of `input`'s shape: class indices, the labels of each row up to the first -1

    >>> import numpy as np
    >>> x = np.array([[0.1, 0.2, 0.4, 0.8]])
    >>> multilabel_margin_loss(x, np.array([[3, 0, -1, 1]]), reduction="none").round(4)
    array([0.85])
    """
    reduction = chosen_reduction("multilabel_margin_loss", size_average, reduce, reduction)
    input = as_input(input)
    scores = _rows("multilabel_margin_loss", input)
    rows, classes = scores.shape
    target = require_labels("multilabel_margin_loss", target, input.shape, input).reshape((rows, classes))
    label = np.logical_and.accumulate(np.greater_equal(target, 0), axis=1)
    check_labels("multilabel_margin_loss", (target < -1) | (target >= classes), target, input.shape, classes)
    labels = np.where(label, target, 0)
    is_label = ((labels[:, :, None] == np.arange(classes)) & label[:, :, None]).any(axis=1)
    own = scores[np.arange(rows)[:, None], labels]
    lead = 1 - own[:, :, None] + scores[:, None, :]
    short = np.where(label[:, :, None] & ~is_label[:, None, :] & (lead > 0), lead, 0.0)
    losses = np.sum(short, axis=(1, 2)) / classes
    return losses.reshape(input.shape[:-1]) if reduction == "none" else reduced(losses, reduction)
