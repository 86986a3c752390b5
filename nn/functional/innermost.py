"""Arrays (batch, channels, *sizes) that lie in memory as (channels, *sizes, batch), with the batch innermost."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["as_innermost", "innermost_empty", "is_innermost", "laid_out_as", "lying"]


def lying(x: Any) -> Any:
    """The view (channels, *sizes, batch), as the array lies if its batch is innermost."""
    return x.transpose((*range(1, x.ndim), 0))


def is_innermost(x: Any) -> bool:
    """Whether an array of at least three axes lies so, and not in the usual order."""
    return type(x) is np.ndarray and not x.flags.c_contiguous and x.ndim > 2 and bool(lying(x).flags.c_contiguous)


def innermost_empty(shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of any content, which owns its memory: of a view the tape would have to know what memory it shows."""
    batch, *others = shape
    return np.empty_like(np.empty((*others, batch), dtype).transpose((len(others), *range(len(others)))))


def as_innermost(x: Any) -> Any:
    """The array itself if it lies so, else a copy that does."""
    if lying(x).flags.c_contiguous:
        return x
    copy = innermost_empty(x.shape, x.dtype)
    copy[...] = x
    return copy


def laid_out_as(x: Any, like: Any) -> Any:
    """`x` with its elements in memory in the order of another array of its shape, so that loops over both run through them in order."""
    if x.strides == like.strides or x.dtype != like.dtype:
        return x
    copy = np.empty_like(like)
    copy[...] = x
    return copy
