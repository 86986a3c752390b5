"""What all losses do with their arguments: reductions, and targets that are lists, integers or of another shape."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = [
    "as_input",
    "check_labels",
    "check_same_shape",
    "chosen_reduction",
    "class_weights",
    "like_input",
    "reduced",
    "require_labels",
    "weights_of",
]

REDUCTIONS = ("mean", "sum", "none")


def chosen_reduction(name: str, size_average: Any, reduce: Any, reduction: str) -> str:
    """The reduction that is meant; `size_average` and `reduce` are torch's old booleans for it, taken with a DeprecationWarning.

    raises  ValueError for a reduction that does not exist, TypeError for one that stands in the place of an old boolean
    """
    if size_average is not None or reduce is not None:
        for value in (size_average, reduce):
            if isinstance(value, str):
                raise TypeError(f"{name}: give the reduction by keyword, reduction={value!r}; in its place stands torch's old size_average")
            if np.ndim(value):
                raise TypeError(
                    f"{name}: size_average and reduce are torch's old booleans, not an array of shape {np.shape(value)}; "
                    f"a loss module is made first and called then: {name}()(input, target)"
                )
        reduction = "none" if not (reduce is None or reduce) else "mean" if size_average is None or size_average else "sum"
        warnings.warn(f"{name}: size_average and reduce are old names; write reduction={reduction!r}", DeprecationWarning, stacklevel=3)
    if reduction not in REDUCTIONS:
        raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}')
    return reduction


def reduced(loss: Any, reduction: str) -> Any:
    """`loss` averaged, summed or as it is."""
    return np.mean(loss) if reduction == "mean" else np.sum(loss) if reduction == "sum" else loss


def as_input(value: Any) -> Any:
    """Tensors and arrays of floating-point numbers as they are; lists, numbers, integers and booleans in floating point."""
    if not hasattr(value, "dtype"):
        return np.asarray(value, dtype=float)
    return value if value.dtype.kind in "fc" else value.astype(float)


def like_input(value: Any, input: Any) -> Any:
    """`value` to compute with `input`: lists, integers and booleans in `input`'s dtype, so that float32 stays float32."""
    if not hasattr(value, "dtype"):
        return np.asarray(value, dtype=input.dtype)
    return value if value.dtype.kind in "fc" else value.astype(input.dtype)


def check_same_shape(name: str, input: Any, target: Any, what: str = "target") -> None:
    """Raise ValueError if the shapes differ: (n, 1) against (n,) would silently be n^2 errors."""
    if input.shape != target.shape:
        raise ValueError(f"{name}: input has shape {input.shape}, {what} {target.shape}; reshape one of them")


def class_weights(name: str, weight: Any, classes: int, dtype: Any) -> Any:
    """The weights (classes,) of the classes in the input's dtype, or None if there are none; ValueError for another shape."""
    if weight is None:
        return None
    weight = weight if hasattr(weight, "dtype") else np.asarray(weight)
    if weight.shape != (classes,):
        raise ValueError(f"{name}: weight has shape {weight.shape}, but there are {classes} classes")
    return weight if weight.dtype == dtype else weight.astype(dtype)


def weights_of(weight: Any, labels: Any) -> Any:
    """The weight of each label's class."""
    if isinstance(labels, ag.Tensor) and not isinstance(weight, ag.Tensor):
        weight = ag.tensor(weight)  # an array would take a tensor for an index by converting it
    return weight[labels]


def require_labels(name: str, target: Any, shape: tuple[int, ...], input: Any, instead: str = "") -> Any:
    """`target` as an array or tensor of integers of `shape`; TypeError or ValueError that says what was expected."""
    target = target if hasattr(target, "dtype") else np.asarray(target)
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"{name}: target of dtype {target.dtype} and shape {target.shape} for an input of shape {input.shape}; "
            f"give integer classes of shape {shape}{instead}"
        )
    if target.shape != shape:
        raise ValueError(f"{name}: target has shape {target.shape}, but input of shape {input.shape} needs class indices of shape {shape}")
    return target


def check_labels(name: str, wrong: Any, labels: Any, shape: tuple[int, ...], classes: int) -> None:
    """Raise ValueError with the first of `labels` that is `wrong`, if any is; `shape` is the input's."""
    if ag.for_any(wrong):
        shown = f"class {labels[wrong].ravel()[0].item()}" if isinstance(wrong, np.ndarray) else "a class that does not exist"
        raise ValueError(f"{name}: target holds {shown}, but input of shape {shape} has classes 0..{classes - 1}")
