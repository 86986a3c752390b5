"""Pooling layers: `nn.functional`'s functions with fixed numbers."""

from __future__ import annotations

from typing import Any

from nn import functional
from nn.functional.windows import per_axis
from nn.module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPool(Module):
    ndim: int

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, return_indices: bool = False, ceil_mode: bool = False
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        pool = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[self.ndim - 1]
        return pool(input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, ceil_mode={self.ceil_mode}"


class MaxPool1d(_MaxPool):
    """The largest element of each window along the last axis: `functional.max_pool1d`.

    >>> import numpy as np, nn
    >>> nn.MaxPool1d(2)(np.array([[1.0, 3.0, 2.0, 5.0]]))
    array([[3., 5.]])
    """

    ndim = 1


class MaxPool2d(_MaxPool):
    """The largest element of each window of images: `functional.max_pool2d`.

    >>> import numpy as np, nn
    >>> nn.MaxPool2d(2)(np.ones((4, 3, 28, 28))).shape
    (4, 3, 14, 14)
    """

    ndim = 2


class MaxPool3d(_MaxPool):
    """The largest element of each window over depth, height and width: `functional.max_pool3d`."""

    ndim = 3


class _FractionalMaxPool(Module):
    ndim: int
    _random_samples: Any

    def __init__(
        self, kernel_size: Any, output_size: Any = None, output_ratio: Any = None, return_indices: bool = False, _random_samples: Any = None
    ) -> None:
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: give one of output_size and output_ratio")
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.ndim, 1)
        self.output_size = None if output_size is None else per_axis(name, "output_size", output_size, self.ndim, 1)
        self.output_ratio = output_ratio if output_ratio is None or isinstance(output_ratio, tuple) else (output_ratio,) * self.ndim
        if self.output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, not {output_ratio!r}")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Any) -> Any:
        pool = (functional.fractional_max_pool2d, functional.fractional_max_pool3d)[self.ndim - 2]
        return pool(input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest element of each of randomly placed windows of images: `functional.fractional_max_pool2d` (Graham 2014).

    >>> import numpy as np, nn
    >>> nn.FractionalMaxPool2d(2, output_ratio=0.7)(np.ones((4, 3, 28, 28))).shape
    (4, 3, 19, 19)
    """

    ndim = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest element of each of randomly placed windows of volumes: `functional.fractional_max_pool3d`."""

    ndim = 3


class _MaxUnpool(Module):
    ndim: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        name = type(self).__name__
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.ndim, 1)
        self.stride = self.kernel_size if stride is None else per_axis(name, "stride", stride, self.ndim, 1)
        self.padding = per_axis(name, "padding", padding, self.ndim, 0)

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        unpool = (functional.max_unpool1d, functional.max_unpool2d, functional.max_unpool3d)[self.ndim - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Maxima put back where they stood along the last axis: `functional.max_unpool1d`."""

    ndim = 1


class MaxUnpool2d(_MaxUnpool):
    """Maxima put back where they stood in images: `functional.max_unpool2d`.

    >>> import numpy as np, nn
    >>> nn.MaxUnpool2d(2)(*nn.MaxPool2d(2, return_indices=True)(np.array([[[1.0, 2.0], [3.0, 0.0]]])))
    array([[[0., 0.],
            [3., 0.]]])
    """

    ndim = 2


class MaxUnpool3d(_MaxUnpool):
    """Maxima put back where they stood in volumes: `functional.max_unpool3d`."""

    ndim = 3


class AvgPool1d(Module):
    """The mean of each window along the last axis: `functional.avg_pool1d`.

    >>> import numpy as np, nn
    >>> nn.AvgPool1d(2)(np.array([[1.0, 3.0, 2.0, 5.0]]))
    array([[2. , 3.5]])
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True) -> None:
        self.kernel_size = _single(kernel_size)
        self.stride = _single(kernel_size if stride is None else stride)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        return functional.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


def _single(number: Any) -> Any:
    """One number in a tuple, as torch's `AvgPool1d` keeps it (and no other pooling layer)."""
    return tuple(number) if isinstance(number, tuple | list) else (number,)


class _AvgPool(Module):
    ndim: int

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        pool = (functional.avg_pool2d, functional.avg_pool3d)[self.ndim - 2]
        return pool(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window of images: `functional.avg_pool2d`.

    >>> import numpy as np, nn
    >>> nn.AvgPool2d(2)(np.ones((4, 3, 28, 28))).shape
    (4, 3, 14, 14)
    """

    ndim = 2


class AvgPool3d(_AvgPool):
    """The mean of each window over depth, height and width: `functional.avg_pool3d`."""

    ndim = 3


class _LPPool(Module):
    ndim: int

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        pool = (functional.lp_pool1d, functional.lp_pool2d, functional.lp_pool3d)[self.ndim - 1]
        return pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"


class LPPool1d(_LPPool):
    """The p-norm of each window along the last axis: `functional.lp_pool1d`."""

    ndim = 1


class LPPool2d(_LPPool):
    """The p-norm of each window of images: `functional.lp_pool2d`.

    >>> import numpy as np, nn
    >>> nn.LPPool2d(2, 2)(np.array([[[1.0, 2.0], [4.0, 10.0]]]))
    array([[[11.]]])
    """

    ndim = 2


class LPPool3d(_LPPool):
    """The p-norm of each window over depth, height and width: `functional.lp_pool3d`."""

    ndim = 3


class _AdaptiveAvgPool(Module):
    ndim: int

    def __init__(self, output_size: Any) -> None:
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        pool = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)[self.ndim - 1]
        return pool(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The means of `output_size` parts of the last axis: `functional.adaptive_avg_pool1d`."""

    ndim = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The means of as many parts of images as asked for: `functional.adaptive_avg_pool2d`.

    >>> import numpy as np, nn
    >>> nn.AdaptiveAvgPool2d((None, 1))(np.ones((4, 3, 28, 28))).shape
    (4, 3, 28, 1)
    """

    ndim = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The means of parts of volumes: `functional.adaptive_avg_pool3d`."""

    ndim = 3


class _AdaptiveMaxPool(Module):
    ndim: int

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        pool = (functional.adaptive_max_pool1d, functional.adaptive_max_pool2d, functional.adaptive_max_pool3d)[self.ndim - 1]
        return pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest elements of `output_size` parts of the last axis: `functional.adaptive_max_pool1d`."""

    ndim = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest elements of as many parts of images as asked for: `functional.adaptive_max_pool2d`.

    >>> import numpy as np, nn
    >>> nn.AdaptiveMaxPool2d(2)(np.arange(16.0).reshape(1, 4, 4))
    array([[[ 5.,  7.],
            [13., 15.]]])
    """

    ndim = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest elements of parts of volumes: `functional.adaptive_max_pool3d`."""

    ndim = 3
