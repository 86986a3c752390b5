"""Padding layers: `nn.functional.pad` with fixed widths and mode."""

from __future__ import annotations

from typing import Any

from nn import functional
from nn.functional.windows import is_integer
from nn.module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """padding: one number for all ends, or (left, right), (left, right, top, bottom), (left, right, top, bottom, front, back)."""

    ndim: int
    mode: str

    def __init__(self, padding: Any) -> None:
        numbers = tuple(padding) if isinstance(padding, tuple | list) else (padding,) * (2 * self.ndim)
        if len(numbers) != 2 * self.ndim or not all(map(is_integer, numbers)):
            raise ValueError(f"{type(self).__name__}: padding must be an integer or {2 * self.ndim} of them, not {padding!r}")
        self.padding = tuple(map(int, numbers))

    def forward(self, input: Any) -> Any:
        return functional.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    mode = "constant"

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        return functional.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """`value` at both ends of the last axis; negative numbers take elements away.

    >>> import numpy as np, nn
    >>> nn.ConstantPad1d((1, 2), 7.0)(np.zeros((1, 2)))
    array([[7., 0., 0., 7., 7.]])
    """

    ndim = 1


class ConstantPad2d(_ConstantPad):
    """`value` around the last two axes: padding (left, right, top, bottom)."""

    ndim = 2


class ConstantPad3d(_ConstantPad):
    """`value` around the last three axes: padding (left, right, top, bottom, front, back)."""

    ndim = 3


class _ZeroPad(_Pad):
    mode = "constant"


class ZeroPad1d(_ZeroPad):
    """Zeros at both ends of the last axis."""

    ndim = 1


class ZeroPad2d(_ZeroPad):
    """Zeros around the last two axes.

    >>> import numpy as np, nn
    >>> nn.ZeroPad2d((1, 0, 0, 1))(np.ones((1, 1, 2)))
    array([[[0., 1., 1.],
            [0., 0., 0.]]])
    """

    ndim = 2


class ZeroPad3d(_ZeroPad):
    """Zeros around the last three axes."""

    ndim = 3


class _ReflectionPad(_Pad):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """The last axis mirrored in its first and last element, which are not repeated.

    >>> import numpy as np, nn
    >>> nn.ReflectionPad1d(2)(np.array([[1.0, 2.0, 3.0]]))
    array([[3., 2., 1., 2., 3., 2., 1.]])
    """

    ndim = 1


class ReflectionPad2d(_ReflectionPad):
    """The last two axes mirrored in their first and last elements, which are not repeated."""

    ndim = 2


class ReflectionPad3d(_ReflectionPad):
    """The last three axes mirrored in their first and last elements, which are not repeated."""

    ndim = 3


class _ReplicationPad(_Pad):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """The first and last element of the last axis, repeated.

    >>> import numpy as np, nn
    >>> nn.ReplicationPad1d(2)(np.array([[1.0, 2.0, 3.0]]))
    array([[1., 1., 1., 2., 3., 3., 3.]])
    """

    ndim = 1


class ReplicationPad2d(_ReplicationPad):
    """The first and last elements of the last two axes, repeated."""

    ndim = 2


class ReplicationPad3d(_ReplicationPad):
    """The first and last elements of the last three axes, repeated."""

    ndim = 3


class _CircularPad(_Pad):
    mode = "circular"


class CircularPad1d(_CircularPad):
    """The last axis continued at its other end.

    >>> import numpy as np, nn
    >>> nn.CircularPad1d(2)(np.array([[1.0, 2.0, 3.0]]))
    array([[2., 3., 1., 2., 3., 1., 2.]])
    """

    ndim = 1


class CircularPad2d(_CircularPad):
    """The last two axes continued at their other ends."""

    ndim = 2


class CircularPad3d(_CircularPad):
    """The last three axes continued at their other ends."""

    ndim = 3
