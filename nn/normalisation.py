"""Normalisation layers: `nn.functional`'s functions with their parameters and running statistics."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from nn import functional, init
from nn.at_once import at_once
from nn.casting import dtype_of_new
from nn.module import Module
from nn.parameter import Parameter

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "LayerNorm",
    "LocalResponseNorm",
    "RMSNorm",
    "SyncBatchNorm",
]


class _Affine(Module):
    """What all normalisations with a weight (ones at first) and a bias (zeros at first) share."""

    weight: Parameter | None
    bias: Parameter | None

    def _set_parameters(self, shape: int | tuple[int, ...], weight: bool, bias: bool, dtype: Any) -> None:
        self.weight = Parameter(np.ones(shape, dtype)) if weight else None
        self.bias = Parameter(np.zeros(shape, dtype)) if weight and bias else None

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _Channels(_Affine):
    """A normalisation of channels that may keep running statistics."""

    axes: tuple[int, ...]  # how many an input may have
    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        bias: bool,
        dtype: Any,
    ) -> None:
        self.num_features = _count(type(self).__name__, "num_features", num_features)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._set_parameters(num_features, affine, bias, dtype)
        self.register_buffer("running_mean", np.zeros(num_features, dtype) if track_running_stats else None)
        self.register_buffer("running_var", np.ones(num_features, dtype) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", np.array(0) if track_running_stats else None)

    def reset_running_stats(self) -> None:
        """Forget the statistics: mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Set the weight to 1 and the bias to 0, and forget the statistics."""
        super().reset_parameters()
        self.reset_running_stats()

    def _check_axes(self, input: Any, layouts: Sequence[str]) -> None:
        name = type(self).__name__
        if not hasattr(input, "ndim"):
            raise TypeError(f"{name}: input must be a tensor or an array, not {type(input).__name__}")
        if input.ndim not in self.axes:
            raise ValueError(f"{name}: input must be {' or '.join(layouts)}, but has shape {input.shape}")

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Channels):
    layouts: tuple[str, ...]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype_of_new(type(self).__name__, device, dtype))

    def forward(self, input: Any) -> Any:
        self._check_axes(input, self.layouts)
        if input.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: input of shape {input.shape} has {input.shape[1]} channels, expected num_features={self.num_features}"
            )
        if not (self.training and self.track_running_stats):
            mean, variance = (None, None) if self.training else (self.running_mean, self.running_var)
            own = self.training or self.running_mean is None
            return functional.batch_norm(input, mean, variance, self.weight, self.bias, own, self.momentum or 0.0, self.eps)
        statistics = [buffer.data for buffer in (self.num_batches_tracked, self.running_mean, self.running_var)]
        undo = [partial(array.__setitem__, ..., array.copy()) for array in statistics]
        try:
            statistics[0][...] += 1
            momentum = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
            return functional.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, True, momentum, self.eps)
        except BaseException:
            at_once(undo)  # an input that is refused, or an interrupt, is no batch
            raise


class BatchNorm1d(_BatchNorm):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the statistics of each feature over the batch (Ioffe & Szegedy 2015).

    num_features  number of features or channels, C
    eps           is added to the variance
    momentum      weight of a batch in the running statistics; None for the average of all batches
    affine        whether there are a weight and a bias;  bias  False for a weight alone
    track_running_stats  whether there are running statistics, which take the batch's place in evaluation
    dtype         of the parameters and statistics
    input         (N, C) or (N, C, L)
    raises        ValueError for a wrong number of channels, or one value per channel in training

    >>> import numpy as np, nn
    >>> norm = nn.BatchNorm1d(1)
    >>> norm(np.array([[1.0], [3.0]], dtype=np.float32)).detach().numpy().round(2).ravel()
    array([-1.,  1.], dtype=float32)
    >>> norm.running_mean, norm.num_batches_tracked
    (tensor([0.2], dtype=float32), tensor(1))
    """

    axes, layouts = (2, 3), ("(N, C)", "(N, C, L)")


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images: (N, C, H, W).

    >>> import numpy as np, nn
    >>> nn.BatchNorm2d(3)(np.zeros((2, 3, 4, 4), dtype=np.float32)).shape
    (2, 3, 4, 4)
    """

    axes, layouts = (4,), ("(N, C, H, W)",)


class BatchNorm3d(_BatchNorm):
    """`BatchNorm1d` for volumes: (N, C, D, H, W).

    >>> import numpy as np, nn
    >>> nn.BatchNorm3d(3)(np.zeros((2, 3, 2, 4, 4), dtype=np.float32)).shape
    (2, 3, 2, 4, 4)
    """

    axes, layouts = (5,), ("(N, C, D, H, W)",)


class SyncBatchNorm(_BatchNorm):
    """`BatchNorm1d` for (N, C, ...) of any number of axes. There is one process, whose batch is the whole batch: nothing has to be sent.

    process_group  must be None

    >>> import numpy as np, nn
    >>> nn.SyncBatchNorm.convert_sync_batchnorm(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))[1]
    SyncBatchNorm(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """

    axes, layouts = tuple(range(2, 65)), ("(N, C, ...)",)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: None = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        if process_group is not None:
            raise ValueError(f"SyncBatchNorm: there are no groups of processes, so process_group must be None, not {process_group!r}")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: None = None) -> Module:
        """Put a `SyncBatchNorm` in the place of each `BatchNorm` in the module, with its parameters and statistics; return the module."""
        for path, norm in list(module.named_modules()):
            if isinstance(norm, _BatchNorm) and not isinstance(norm, cls):
                made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, process_group)
                made.__dict__.update(norm.__dict__)
                if not path:
                    return made
                module.set_submodule(path, made)
        return module


class _InstanceNorm(_Channels):
    places: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias, dtype_of_new(type(self).__name__, device, dtype))

    def forward(self, input: Any) -> Any:
        unbatched, batched = self.axes
        self._check_axes(input, (f"(C, {self.places})", f"(N, C, {self.places})"))
        channels = input.shape[1 if input.ndim == batched else 0]
        if channels != self.num_features:
            found = f"{type(self).__name__}: input of shape {input.shape} has {channels} channels, expected num_features={self.num_features}"
            if self.affine or self.track_running_stats:
                raise ValueError(found)
            warnings.warn(f"{found}, which has no effect without affine and track_running_stats", stacklevel=3)
        x = input.reshape((1, *input.shape)) if input.ndim == unbatched else input
        own = self.training or not self.track_running_stats
        y = functional.instance_norm(x, self.running_mean, self.running_var, self.weight, self.bias, own, self.momentum or 0.0, self.eps)
        return y.reshape(input.shape) if input.ndim == unbatched else y


class InstanceNorm1d(_InstanceNorm):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with statistics of each channel of each example (Ulyanov et al. 2016).

    num_features  number of channels, C
    eps           is added to the variance
    momentum      weight of a batch in the running statistics
    affine        whether there are a weight and a bias;  bias  False for a weight alone
    track_running_stats  whether there are running statistics, which take the examples' place in evaluation
    dtype         of the parameters and statistics
    input         (N, C, L) or (C, L)
    raises        ValueError for a wrong number of channels, or for one place per channel

    >>> import numpy as np, nn
    >>> nn.InstanceNorm1d(2)(np.array([[1.0, 3.0], [10.0, 30.0]])).round(2)
    array([[-1.,  1.],
           [-1.,  1.]])
    """

    axes, places = (2, 3), "L"


class InstanceNorm2d(_InstanceNorm):
    """`InstanceNorm1d` for images: (N, C, H, W) or (C, H, W).

    >>> import numpy as np, nn
    >>> nn.InstanceNorm2d(3)(np.zeros((2, 3, 4, 4))).shape
    (2, 3, 4, 4)
    """

    axes, places = (3, 4), "H, W"


class InstanceNorm3d(_InstanceNorm):
    """`InstanceNorm1d` for volumes: (N, C, D, H, W) or (C, D, H, W).

    >>> import numpy as np, nn
    >>> nn.InstanceNorm3d(3)(np.zeros((2, 3, 2, 4, 4))).shape
    (2, 3, 2, 4, 4)
    """

    axes, places = (4, 5), "D, H, W"


class LayerNorm(_Affine):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with statistics over the last axes (Ba et al. 2016, eq. 4).

    normalized_shape    sizes of the axes that are normalised together, or the size of the last one
    eps                 is added to the variance
    elementwise_affine  whether there are a weight and a bias;  bias  False for a weight alone
    dtype               of the parameters
    input               (..., *normalized_shape)
    raises              ValueError if an input does not end in normalized_shape

    >>> import numpy as np, nn
    >>> nn.LayerNorm(2)(np.array([[1.0, 3.0]], dtype=np.float32)).detach().numpy().round(2)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _shape_of("LayerNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._set_parameters(self.normalized_shape, elementwise_affine, bias, dtype_of_new("LayerNorm", device, dtype))

    def forward(self, input: Any) -> Any:
        return functional.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"


class RMSNorm(_Affine):
    """X / sqrt(mean(x^2) + eps) * weight, with the mean over the last axes (Zhang & Sennrich 2019, eq. 4).

    normalized_shape    sizes of the axes that are normalised together, or the size of the last one
    eps                 None for the machine epsilon of the input's dtype
    elementwise_affine  whether there is a weight
    dtype               of the weight
    input               (..., *normalized_shape)
    raises              ValueError if an input does not end in normalized_shape

    >>> import numpy as np, nn
    >>> nn.RMSNorm(2)(np.array([3.0, 4.0], dtype=np.float32)).detach().numpy().round(2)
    array([0.85, 1.13], dtype=float32)
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        self.normalized_shape = _shape_of("RMSNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self.weight = Parameter(np.ones(self.normalized_shape, dtype_of_new("RMSNorm", device, dtype))) if elementwise_affine else None

    bias = None

    def forward(self, input: Any) -> Any:
        return functional.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with statistics over groups of channels (Wu & He 2018, eq. 1-7).

    num_groups    into which the channels are divided, in order
    num_channels  C, a multiple of num_groups
    eps           is added to the variance
    affine        whether there are a weight and a bias, (C,) each;  bias  False for a weight alone
    dtype         of the parameters
    input         (N, C, ...)
    raises        ValueError if C is no multiple of num_groups, or an input has other channels

    >>> import numpy as np, nn
    >>> nn.GroupNorm(2, 4)(np.array([[1.0, 3.0, 10.0, 30.0]], dtype=np.float32)).detach().numpy().round(2)
    array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        self.num_groups = _count("GroupNorm", "num_groups", num_groups)
        self.num_channels = _count("GroupNorm", "num_channels", num_channels)
        if num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_channels={num_channels} cannot be divided into num_groups={num_groups}")
        self.eps = eps
        self.affine = affine
        self._set_parameters(num_channels, affine, bias, dtype_of_new("GroupNorm", device, dtype))

    def forward(self, input: Any) -> Any:
        if self.affine and (input.ndim < 2 or input.shape[1] != self.num_channels):
            raise ValueError(f"GroupNorm: input has shape {input.shape}, expected (N, num_channels={self.num_channels}, ...)")
        return functional.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, bias={self.bias is not None}"


class LocalResponseNorm(Module):
    """X / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012, section 3.3).

    input  (N, C, ...), with at least one axis after the channels

    >>> import numpy as np, nn
    >>> nn.LocalResponseNorm(2)(np.ones((1, 4, 3))).shape
    (1, 4, 3)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        self.size = _count("LocalResponseNorm", "size", size)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Any) -> Any:
        return functional.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _count(name: str, argument: str, value: Any) -> int:
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: {argument} must be an integer >= 1, not {value!r}")
    return int(value)


def _shape_of(name: str, normalized_shape: Any) -> tuple[int, ...]:
    if isinstance(normalized_shape, int | np.integer):
        return (_count(name, "normalized_shape", normalized_shape),)
    return tuple(_count(name, "normalized_shape", size) for size in normalized_shape)
