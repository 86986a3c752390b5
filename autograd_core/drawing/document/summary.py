"""What an array's values look like, in eight numbers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from autograd_core.arrays.quiet import quietly
from autograd_core.tensor.handles import raw

__all__ = ["Summary", "summary_of"]


class Summary(NamedTuple):
    """What an array's values look like. low, high, mean and rms are of the finite ones; of magnitudes, if it is complex."""

    size: int
    low: float
    high: float
    mean: float
    rms: float
    zeros: int
    nans: int
    infs: int

    @property
    def finite(self) -> bool:
        return self.nans == 0 and self.infs == 0


def summary_of(value: Any) -> Summary | None:
    """The summary of a NumPy array (or several, taken together); None for arrays of other libraries, which may be lazy.

    >>> summary_of(np.array([0.0, 0.0, 2.0, -2.0, np.inf]))
    Summary(size=5, low=-2.0, high=2.0, mean=0.0, rms=1.4142135623730951, zeros=2, nans=0, infs=1)
    """
    parts = value if isinstance(value, tuple | list) else [value]
    arrays = [np.asarray(raw(part)).ravel() for part in parts if isinstance(raw(part), np.ndarray | np.generic)]
    if not arrays or any(a.dtype.kind not in "fciub" for a in arrays):
        return None
    values = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    if values.dtype.kind == "c":
        values = np.abs(values)
    values = values.astype(np.float64, copy=False)
    finite = values[np.isfinite(values)] if not np.isfinite(values.sum()) else values
    nans = int(np.isnan(values).sum()) if finite.size < values.size else 0
    infs = values.size - finite.size - nans
    if not finite.size:
        return Summary(values.size, math.nan, math.nan, math.nan, math.nan, 0, nans, infs)
    rms, mean = quietly(_moments, finite)
    zeros = int(finite.size - np.count_nonzero(finite))
    return Summary(values.size, float(finite.min()), float(finite.max()), mean, rms, zeros, nans, infs)


def _moments(values: Any) -> tuple[float, float]:
    """The root of the mean square, and the mean."""
    largest = float(np.abs(values).max())
    # Scaled, so that squares of very large or small numbers neither overflow nor vanish.
    return largest * float(np.sqrt(np.mean((values / largest) ** 2))) if largest else 0.0, float(values.mean())
