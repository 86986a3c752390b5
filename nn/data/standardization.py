"""Standardisation: mean 0 and variance 1, as measured on the training set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nn.data.lazy import Mapped, as_array, is_in_memory

__all__ = ["Standardization"]

CHUNK = 1 << 20  # numbers that are read at once


class Standardization:
    """(x - mean) / standard deviation, with those of the training set; the data that it is called with may be any other.

    data  the training set; an array on disk is read in parts
    axis  over which the mean is taken: 0 for features; (0, 2, 3) for the channels of images; None for one number of all

    A feature that is the same in all samples becomes 0. Called with an array on disk, or another lazy one, it returns a lazy one.

    >>> import numpy as np
    >>> scale = Standardization(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scale(np.array([[2.0, 5.0], [4.0, 6.0]]))
    array([[0., 0.],
           [2., 1.]])
    >>> scale.inverse(scale(np.array([[7.0, 8.0]])))
    array([[7., 8.]])
    """

    def __init__(self, data: Any, axis: int | tuple[int, ...] | None = 0) -> None:
        data = as_array(data)
        if not len(data):
            raise ValueError("Standardization: there is no sample to measure")
        dimensions = len(data.shape)
        axes = tuple(range(dimensions)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if 0 not in axes:
            raise ValueError(f"Standardization: axis must have 0, the samples, among its axes, not {axis!r}")
        self.mean, self.std = _measured(data, axes)

    def __call__(self, data: Any) -> Any:
        """The data, standardised; its dtype stays if it is a floating-point one, else it becomes float32."""
        data = as_array(data)
        self._check(data)
        return self._scaled(data) if is_in_memory(data) else Mapped(data, self._scaled)

    def _scaled(self, data: Any) -> Any:
        dtype = data.dtype if data.dtype.kind == "f" else np.dtype(np.float32)
        return ((data - self.mean.astype(dtype)) / self.std.astype(dtype)).astype(dtype, copy=False)

    def inverse(self, data: Any) -> Any:
        """Standardised data, as it was before."""
        self._check(data)
        return data * self.std.astype(data.dtype) + self.mean.astype(data.dtype)

    def _check(self, data: Any) -> None:
        wanted, given = self.mean.shape[1:], tuple(data.shape[1:])
        if len(wanted) != len(given) or any(a not in (1, b) for a, b in zip(wanted, given, strict=True)):
            raise ValueError(f"Standardization: samples have shape {given}, but it was measured on samples of shape {wanted} (1: any size)")

    def state_dict(self) -> dict[str, Any]:
        """What was measured."""
        return {"mean": self.mean.copy(), "std": self.std.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what was measured elsewhere."""
        self.__dict__.update({name: np.array(state[name]) for name in ("mean", "std")})


def _measured(data: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Mean and standard deviation in float64, part by part: Chan et al. 1979, "Updating formulae", eq. 2.1."""
    rows = max(1, CHUNK // max(1, int(np.prod(data.shape[1:]))))
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for start in range(0, len(data), rows):
        part = np.asarray(data[start : start + rows], dtype=np.float64)
        size = int(np.prod([part.shape[axis] for axis in axes]))
        own = part.mean(axis=axes, keepdims=True)
        difference = own - mean
        squares = squares + ((part - own) ** 2).sum(axis=axes, keepdims=True) + difference**2 * (count * size / (count + size))
        mean = mean + difference * (size / (count + size))
        count += size
    std = np.sqrt(squares / count)
    return mean, np.where(std > 1e-12 * np.abs(mean), std, 1.0)  # a constant's deviation is but rounding
