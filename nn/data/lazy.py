"""Arrays that are made of others when they are indexed, and not before: of arrays on disk, no more is read than is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["Mapped", "Subset", "as_array", "is_in_memory"]


def as_array(data: Any) -> Any:
    """Lists and data frames as arrays; whatever has a shape and is indexed by places, arrays on disk above all, as it is."""
    return data if hasattr(data, "shape") and not hasattr(data, "iloc") else np.asarray(data)


def is_in_memory(data: Any) -> bool:
    """Whether all of it is there already."""
    return isinstance(data, np.ndarray | ag.Tensor) and not isinstance(data, np.memmap)


class Subset:
    """Some samples of an array.

    >>> import numpy as np
    >>> few = Subset(np.arange(10) ** 2, [3, 1, 2])
    >>> len(few), few[1:]
    (3, array([1, 4]))
    """

    def __init__(self, array: Any, places: Any) -> None:
        self.array = array
        self.places = np.asarray(places)
        if self.places.ndim != 1 or self.places.dtype.kind not in "iu":
            raise TypeError(f"Subset: places must be a list of integers, not of shape {self.places.shape} and dtype {self.places.dtype}")
        if self.places.size and (self.places.min() < 0 or self.places.max() >= len(array)):
            raise IndexError(f"Subset: places go from {self.places.min()} to {self.places.max()}, but there are {len(array)} samples")

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all of it."""
        return (len(self), *self.array.shape[1:])

    @property
    def dtype(self) -> Any:
        """The array's."""
        return self.array.dtype

    def __getitem__(self, index: Any) -> Any:
        return self.array[self.places[index]]

    def __repr__(self) -> str:
        return f"Subset({len(self)} of {len(self.array)} samples, shape {self.shape}, {self.dtype})"


class Mapped:
    """An array of which each part goes through a function when it is read.

    function  of some samples, to as many

    >>> import numpy as np
    >>> Mapped(np.arange(4), lambda x: x / 2)[2:]
    array([1. , 1.5])
    """

    def __init__(self, array: Any, function: Callable[[Any], Any]) -> None:
        self.array = array
        self.function = function

    def __len__(self) -> int:
        return len(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all of it, if the function leaves that of a sample as it is."""
        return tuple(self.array.shape)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, int | np.integer):
            place = int(index) % len(self) if -len(self) <= index < len(self) else int(index)
            return self.function(self.array[place : place + 1])[0]
        return self.function(self.array[index])

    def __repr__(self) -> str:
        return f"Mapped({len(self)} samples, {self.function!r})"
