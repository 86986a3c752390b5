"""Losses of embeddings: vectors that belong together should be near, others far, in angle or in distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nn.functional.distances import pairwise_distance
from nn.functional.losses.arguments import as_input, check_same_shape, chosen_reduction, like_input, reduced
from nn.functional.losses.margins import hinge

__all__ = ["cosine_embedding_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss"]


def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """1 - cos where target is 1, max(cos - margin, 0) where it is -1, of the vectors' cosine (with 1e-12 added to their squared lengths).

    input1, input2  (D,) or (N, D)
    target          () or (N,): 1 for vectors that belong together, -1 for others

    The cosine of the zero vector is 0, and so is its gradient, where torch's is of the order of 1e6.

    >>> import numpy as np
    >>> a, b = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    >>> cosine_embedding_loss(a, b, np.array([1, -1]), reduction="none").round(4)
    array([1., 1.])
    """
    reduction = chosen_reduction("cosine_embedding_loss", size_average, reduce, reduction)
    input1, input2 = as_input(input1), as_input(input2)
    target = like_input(target, input1)
    check_same_shape("cosine_embedding_loss", input1, input2, "input2")
    if input1.ndim not in (1, 2) or target.shape != input1.shape[:-1]:
        raise ValueError(f"cosine_embedding_loss: inputs of shape {input1.shape}, target {target.shape}; expected (N, D) and (N,), or (D,) and ()")
    squares = (np.sum(input1 * input1, axis=-1) + 1e-12) * (np.sum(input2 * input2, axis=-1) + 1e-12)
    zero = ~((input1 != 0).any(axis=-1) & (input2 != 0).any(axis=-1))
    cosine = np.where(zero, 0.0, np.sum(input1 * input2, axis=-1) / np.sqrt(squares))
    return reduced(np.where(target == 1, 1 - cosine, 0.0) + np.where(target == -1, hinge(cosine - margin), 0.0), reduction)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """max(d(anchor, positive) - d(anchor, negative) + margin, 0), where d is the p-norm distance (Balntas et al. 2016).

    anchor, positive, negative  (D,) or (N, D)
    eps, p                      of `pairwise_distance`
    swap                        take the smaller of d(anchor, negative) and d(positive, negative) (section 3.2 of the paper)

    >>> import numpy as np
    >>> float(triplet_margin_loss(np.array([[0.0]]), np.array([[1.0]]), np.array([[-1.5]]), eps=0.0))
    0.5
    """
    reduction = chosen_reduction("triplet_margin_loss", size_average, reduce, reduction)
    return _triplet("triplet_margin_loss", anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), float(margin), swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """`triplet_margin_loss` with any distance: a function of two arrays or tensors, `pairwise_distance` by default.

    >>> import numpy as np
    >>> a, b, c = np.array([[1.0]]), np.array([[2.0]]), np.array([[4.0]])
    >>> triplet_margin_with_distance_loss(a, b, c, distance_function=lambda x, y: abs(x - y)[:, 0], margin=4.0, reduction="none")
    array([2.])
    """
    reduction = chosen_reduction("triplet_margin_with_distance_loss", None, None, reduction)
    distance = distance_function or pairwise_distance
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, reduction)


def _triplet(
    name: str, anchor: Any, positive: Any, negative: Any, distance: Callable[[Any, Any], Any], margin: float, swap: bool, reduction: str
) -> Any:
    anchor, positive, negative = as_input(anchor), as_input(positive), as_input(negative)
    if not margin > 0:
        raise ValueError(f"{name}: margin must be positive, not {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            f"{name}: anchor has shape {anchor.shape}, positive {positive.shape}, negative {negative.shape}; the numbers of axes must agree"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = np.minimum(far, distance(positive, negative))
    return reduced(hinge(margin + near - far), reduction)
