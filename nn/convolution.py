"""Convolution layers, and `Unfold` and `Fold`: `nn.functional`'s functions with their parameters and numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nn import functional, init
from nn.casting import dtype_of_new
from nn.functional.convolution import output_padding_for
from nn.functional.windows import is_integer, per_axis
from nn.module import Module
from nn.parameter import Parameter

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Fold", "Unfold"]

Numbers = tuple[int, ...]


class _Convolution(Module):
    """What convolutions and their transposes share: the numbers, checked, and the parameters, drawn."""

    ndim: int
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def _set_up(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
        generator: init.Seed,
    ) -> None:
        name = type(self).__name__
        dtype = dtype_of_new(name, device, dtype)
        for argument, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
            if not is_integer(value) or value < 1:
                raise ValueError(f"{name}: {argument} must be an integer >= 1, not {value!r}")
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")
        self.in_channels = int(in_channels)
        self.out_channels = int(out_channels)
        self.kernel_size = per_axis(name, "kernel_size", kernel_size, self.ndim, 1)
        self.stride = per_axis(name, "stride", stride, self.ndim, 1)
        self.padding = padding if isinstance(padding, str) else per_axis(name, "padding", padding, self.ndim, 0)
        self.dilation = per_axis(name, "dilation", dilation, self.ndim, 1)
        self.groups = int(groups)
        self.padding_mode = padding_mode
        first, second = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(np.empty((first, second // groups, *self.kernel_size), dtype=dtype))
        self.bias = Parameter(np.empty(out_channels, dtype=dtype)) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw the parameters anew, uniform in +-1/sqrt(fan in), where the fan in is the size of `weight[0]`."""
        bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
        generator = init.as_generator(generator)
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                init.uniform_(parameter, -bound, bound, generator)

    def _extra(self) -> str:
        """What `extra_repr` shows before and after what is particular to a class, if it is not the default."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0,) * self.ndim:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.ndim:
            text += f", dilation={self.dilation}"
        return text

    def _extra_end(self) -> str:
        text = f", groups={self.groups}" if self.groups != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        return text + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(_Convolution):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        name = type(self).__name__
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {', '.join(map(repr, _PADDING_MODES))}, not {padding_mode!r}")
        self._set_up(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype, generator)
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise ValueError(f'{name}: padding must be "same", "valid", a number, or one per axis, not {padding!r}')
        if padding == "same" and set(self.stride) != {1}:
            raise ValueError(f'{name}: padding="same" keeps the size, which a stride of {self.stride} cannot; give the padding in numbers')

    def forward(self, input: Any) -> Any:
        convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[self.ndim - 1]
        if self.padding_mode == "zeros":
            return convolve(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        padded = functional.pad(input, self._padding_pairs(), mode=self.padding_mode)
        return convolve(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _padding_pairs(self) -> list[int]:
        """The padding as `functional.pad` takes it: (before, after) from the last axis to the first."""
        pairs = []
        for axis in reversed(range(self.ndim)):
            if isinstance(self.padding, str):
                total = self.dilation[axis] * (self.kernel_size[axis] - 1) if self.padding == "same" else 0
                pairs += [total // 2, total - total // 2]
            else:
                pairs += [self.padding[axis]] * 2
        return pairs

    def extra_repr(self) -> str:
        return self._extra() + self._extra_end()


class Conv1d(_Conv):
    """The convolution along one axis: `functional.conv1d` with a weight and a bias; arguments as for `Conv2d`.

    >>> import numpy as np, nn
    >>> nn.Conv1d(2, 3, 5)(np.ones((4, 2, 10), dtype=np.float32)).shape
    (4, 3, 6)
    """

    ndim = 1


class Conv2d(_Conv):
    """The convolution of images: `functional.conv2d` with a weight and a bias.

    in_channels, out_channels  of the images and of the result
    kernel_size, stride, padding, dilation  one number for both axes or a pair
    padding       also "valid" (none) or "same" (the result has the image's size; needs stride 1)
    groups        each of so many equal parts of the output channels sees only its part of the input channels
    bias          whether there is a bias
    padding_mode  what is beyond the edges: "zeros", "reflect", "replicate" or "circular"
    device, dtype  of the parameters: the CPU; float32 if none is given
    generator     where the initial values come from: a `np.random.Generator`, a seed, or None for `nn.init`'s own
    weight        (out_channels, in_channels / groups, *kernel_size), uniform in +-1/sqrt(in_channels / groups * kernel's places)
    bias          (out_channels,), likewise

    >>> import numpy as np, nn
    >>> nn.Conv2d(3, 8, kernel_size=3, padding=1)(np.ones((4, 3, 28, 28), dtype=np.float32)).shape
    (4, 8, 28, 28)
    """

    ndim = 2


class Conv3d(_Conv):
    """The convolution over depth, height and width: `functional.conv3d` with a weight and a bias; arguments as for `Conv2d`.

    >>> import numpy as np, nn
    >>> nn.Conv3d(1, 2, 3)(np.ones((1, 1, 4, 5, 6), dtype=np.float32)).shape
    (1, 2, 2, 3, 4)
    """

    ndim = 3


class _ConvTranspose(_Convolution):
    transposed = True
    padding: Numbers

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        name = type(self).__name__
        if padding_mode != "zeros":
            raise ValueError(f'{name}: padding_mode must be "zeros", not {padding_mode!r}: a transposed convolution reads nothing beyond the edges')
        if isinstance(padding, str):
            raise TypeError(f"{name}: padding must be a number or one per axis, not {padding!r}")
        self.output_padding = per_axis(name, "output_padding", output_padding, self.ndim, 0)
        self._set_up(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype, generator)

    def forward(self, input: Any, output_size: Any = None) -> Any:
        convolve = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[self.ndim - 1]
        more = self.output_padding
        if output_size is not None:
            name = type(self).__name__
            more = output_padding_for(name, output_size, input.shape[-self.ndim :], self.kernel_size, self.stride, self.padding, self.dilation)
        return convolve(input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation)

    def extra_repr(self) -> str:
        more = f", output_padding={self.output_padding}" if self.output_padding != (0,) * self.ndim else ""
        return self._extra() + more + self._extra_end()


class ConvTranspose1d(_ConvTranspose):
    """The transposed convolution along one axis: `functional.conv_transpose1d` with a weight and a bias; arguments as for `ConvTranspose2d`.

    >>> import numpy as np, nn
    >>> nn.ConvTranspose1d(2, 3, 2, stride=2)(np.ones((4, 2, 5), dtype=np.float32)).shape
    (4, 3, 10)
    """

    ndim = 1


class ConvTranspose2d(_ConvTranspose):
    """The transposed convolution of images, which enlarges them: `functional.conv_transpose2d` with a weight and a bias.

    in_channels, out_channels  of the images and of the result
    kernel_size, stride, padding, output_padding, dilation  one number for both axes or a pair
    groups     each of so many equal parts of the input channels has its part of the output channels
    bias       whether there is a bias
    device, dtype  of the parameters: the CPU; float32 if none is given
    generator  where the initial values come from: a `np.random.Generator`, a seed, or None for `nn.init`'s own
    weight     (in_channels, out_channels / groups, *kernel_size), uniform in +-1/sqrt(out_channels / groups * kernel's places), as in torch
    bias       (out_channels,), likewise

    The call takes `output_size` besides: of the sizes that a strided convolution takes to the input's, the one to return.

    >>> import numpy as np, nn
    >>> enlarge = nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1)
    >>> x = np.ones((4, 8, 14, 14), dtype=np.float32)
    >>> enlarge(x).shape, enlarge(x, output_size=(28, 28)).shape
    ((4, 3, 27, 27), (4, 3, 28, 28))
    """

    ndim = 2


class ConvTranspose3d(_ConvTranspose):
    """The transposed convolution over depth, height and width: `functional.conv_transpose3d`; arguments as for `ConvTranspose2d`.

    >>> import numpy as np, nn
    >>> nn.ConvTranspose3d(1, 2, 2, stride=2)(np.ones((1, 1, 2, 2, 2), dtype=np.float32)).shape
    (1, 2, 4, 4, 4)
    """

    ndim = 3


class Unfold(Module):
    """`functional.unfold` with fixed numbers: the windows of images as columns.

    >>> import numpy as np, nn
    >>> nn.Unfold(2)(np.ones((1, 3, 4, 5))).shape
    (1, 12, 12)
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        return functional.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """`functional.fold` with fixed numbers: columns added up where their windows stand in the image.

    >>> import numpy as np, nn
    >>> nn.Fold((4, 5), 2)(np.ones((1, 12, 12))).shape
    (1, 3, 4, 5)
    """

    def __init__(self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        return functional.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
