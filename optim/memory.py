"""Memory for arrays that are gone through at every step."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["empty"]

LINE = 64  # bytes of a cache line


def empty(size: int, dtype: Any) -> Any:
    """A flat array of `size` elements, uninitialised, that begins at a cache line.

    NumPy's large arrays begin 16 bytes after one, so that every second vector load takes two lines. Measured on momentum for 20
    arrays of 500k elements: 3 % of the step.

    >>> empty(3, np.float32).ctypes.data % 64
    0
    """
    length = size * np.dtype(dtype).itemsize
    memory = np.empty(length + LINE, dtype=np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + length].view(dtype)
