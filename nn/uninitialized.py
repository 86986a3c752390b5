"""Parameters and buffers that have no shape yet: those of lazy layers before their first input."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

import autograd_core as ag
from nn.casting import dtype_of_new
from nn.parameter import Parameter

__all__ = ["UninitializedBuffer", "UninitializedParameter"]


class _Uninitialized(ag.Tensor):
    """A tensor whose shape is not known. It is empty; asking for its shape is an error."""

    __slots__ = ()

    def become(self, values: Any) -> None:
        """Have these values, in the dtype that was asked for, and be an ordinary tensor or parameter from now on."""
        requires_grad = self.requires_grad
        try:
            try:
                self.requires_grad = False  # a tracked tensor keeps its shape, so it leaves the tape for a moment
                self.data = np.array(values, dtype=self.dtype)
                self.__class__ = Parameter if isinstance(self, UninitializedParameter) else ag.Tensor  # type: ignore[assignment]
            finally:
                self.requires_grad = requires_grad
        finally:
            self.requires_grad = requires_grad  # again: an interrupt may have come when the first time was about to begin

    def materialize(self, shape: tuple[int, ...]) -> None:
        """Have this shape, with values that are still to be set."""
        self.become(np.empty(shape, self.dtype))

    def _no_shape(self) -> NoReturn:
        raise RuntimeError(f"{type(self).__name__} has no shape yet; call its lazy layer once on an input, or load a state")

    shape = property(_no_shape)
    ndim = property(_no_shape)
    size = property(_no_shape)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}, {self.dtype}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter without a shape yet, which an optimizer may hold already."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(np.empty(0, dtype_of_new("UninitializedParameter", device, dtype)), requires_grad)


class UninitializedBuffer(_Uninitialized):
    """A buffer without a shape yet."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> None:
        super().__init__(np.empty(0, dtype_of_new("UninitializedBuffer", device, dtype)), requires_grad=requires_grad)
