"""Half precision: parameters may have it, rules never do.

The squares of most gradients are 0 in float16, and so is eps: Adam would divide by 0. So what a rule sees of a float16 parameter, and the
state that it keeps, are float32; its change is rounded once, when it is added.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["wide", "wide_dtype"]


def wide_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """float32 for float16, any other dtype as it is."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def wide(array: Any) -> Any:
    """An array as rules see it: a copy in float32 if it is float16, else itself."""
    return array.astype(np.float32) if array.dtype == np.float16 else array
