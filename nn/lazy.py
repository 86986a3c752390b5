"""Layers that learn the size of their input from the first one.

Until then their parameters are `UninitializedParameter`s, which have no shape but can be given to an optimizer already: when
the shape is known they become ordinary parameters, and the layer an ordinary one, in place. A lazy layer is made from the
ordinary one of the same arguments: once with a size that will do, to see which parameters and buffers there are, and once,
when the first input is here, with the right size.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import autograd_core as ag
from nn.at_once import at_once
from nn.convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nn.linear import Linear
from nn.module import Module
from nn.normalisation import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from nn.uninitialized import UninitializedBuffer, UninitializedParameter

__all__ = [
    "LazyBatchNorm1d",
    "LazyBatchNorm2d",
    "LazyBatchNorm3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
    "LazyInstanceNorm1d",
    "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
    "LazyLinear",
]


class _Lazy(Module):
    """A layer of class `becomes` without its first argument, called `size`, which is the length of the inputs' axis `axis`.

    defaults  arguments whose default is not that of `becomes`
    """

    becomes: type[Any]
    size: str
    axis: int
    defaults: Mapping[str, Any] = {}
    __signature__: inspect.Signature
    _arguments: dict[str, Any]

    def __init_subclass__(cls) -> None:
        """Show the arguments that the lazy layer takes: those of `becomes` without its size."""
        super().__init_subclass__()
        if "becomes" in cls.__dict__:
            arguments = list(inspect.signature(cls.becomes).parameters.values())[1:]
            cls.__signature__ = inspect.Signature([one.replace(default=cls.defaults.get(one.name, one.default)) for one in arguments])

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        signature = inspect.signature(self.becomes)
        self._arguments = {**self.defaults, **signature.bind(1, *args, **kwargs).arguments}
        # The sample's values are thrown away: they must not cost draws of the default generator.
        unseeded = "generator" in signature.parameters and "generator" not in self._arguments
        sample = self.becomes(**{**self._arguments, self.size: self._arguments.get("groups", 1), **({"generator": 0} if unseeded else {})})
        self.__dict__.update({name: value for name, value in sample.__dict__.items() if name not in ("_hooks", "training")})
        setattr(self, self.size, 0)
        for name, value in sample._named_members("", recurse=False, remove_duplicate=False, role="parameter"):
            self.__dict__[name] = UninitializedParameter(requires_grad=value.requires_grad, dtype=value.dtype)
        for name, value in sample._named_members("", recurse=False, remove_duplicate=False, role="buffer"):
            if value.ndim:
                self.__dict__[name] = UninitializedBuffer(dtype=value.dtype)

    def forward(self, input: Any, *rest: Any, **options: Any) -> Any:
        """Learn the size, become an ordinary layer, and be called as one."""
        if not -input.ndim <= self.axis < input.ndim:
            raise ValueError(f"{type(self).__name__}: an input of shape {input.shape} has no axis {self.axis} to take {self.size} from")
        made = self.becomes(**{**self._arguments, self.size: input.shape[self.axis]})
        for name, value in made.__dict__.items():
            own = self.__dict__.get(name)
            if isinstance(own, UninitializedParameter | UninitializedBuffer):
                own.become(value.data)
            elif isinstance(own, ag.Tensor) and own.shape != value.shape:  # loaded from a state before the first call
                raise ValueError(f"{type(self).__name__}: an input of shape {input.shape} needs a {name} of shape {value.shape}, not {own.shape}")
            elif not isinstance(own, ag.Tensor) and name not in ("_hooks", "training"):
                self.__dict__[name] = value
        # In one, and last: a call that was interrupted before can be made again.
        at_once([partial(object.__setattr__, self, "__class__", self.becomes), partial(self.__dict__.pop, "_arguments")])
        return self.forward(input, *rest, **options)


class LazyLinear(_Lazy, Linear):
    """`Linear` without `in_features`: the size of the first input's last axis.

    >>> import numpy as np, nn
    >>> layer = nn.LazyLinear(3)
    >>> layer(np.ones((2, 5), dtype=np.float32)).shape, layer
    ((2, 3), Linear(in_features=5, out_features=3, bias=True))
    """

    becomes, size, axis = Linear, "in_features", -1


class LazyConv1d(_Lazy, Conv1d):
    """`Conv1d` without `in_channels`: those of the first input."""

    becomes, size, axis = Conv1d, "in_channels", -2


class LazyConv2d(_Lazy, Conv2d):
    """`Conv2d` without `in_channels`: those of the first input."""

    becomes, size, axis = Conv2d, "in_channels", -3


class LazyConv3d(_Lazy, Conv3d):
    """`Conv3d` without `in_channels`: those of the first input."""

    becomes, size, axis = Conv3d, "in_channels", -4


class LazyConvTranspose1d(_Lazy, ConvTranspose1d):
    """`ConvTranspose1d` without `in_channels`: those of the first input."""

    becomes, size, axis = ConvTranspose1d, "in_channels", -2


class LazyConvTranspose2d(_Lazy, ConvTranspose2d):
    """`ConvTranspose2d` without `in_channels`: those of the first input."""

    becomes, size, axis = ConvTranspose2d, "in_channels", -3


class LazyConvTranspose3d(_Lazy, ConvTranspose3d):
    """`ConvTranspose3d` without `in_channels`: those of the first input."""

    becomes, size, axis = ConvTranspose3d, "in_channels", -4


class LazyBatchNorm1d(_Lazy, BatchNorm1d):
    """`BatchNorm1d` without `num_features`."""

    becomes, size, axis = BatchNorm1d, "num_features", 1


class LazyBatchNorm2d(_Lazy, BatchNorm2d):
    """`BatchNorm2d` without `num_features`."""

    becomes, size, axis = BatchNorm2d, "num_features", 1


class LazyBatchNorm3d(_Lazy, BatchNorm3d):
    """`BatchNorm3d` without `num_features`."""

    becomes, size, axis = BatchNorm3d, "num_features", 1


class _LazyInstanceNorm(_Lazy):
    defaults: Mapping[str, Any] = {"affine": True, "track_running_stats": True}  # torch's, unlike those of the ordinary ones


class LazyInstanceNorm1d(_LazyInstanceNorm, InstanceNorm1d):
    """`InstanceNorm1d` without `num_features`; with parameters and running statistics unless told otherwise."""

    becomes, size, axis = InstanceNorm1d, "num_features", -2


class LazyInstanceNorm2d(_LazyInstanceNorm, InstanceNorm2d):
    """`InstanceNorm2d` without `num_features`."""

    becomes, size, axis = InstanceNorm2d, "num_features", -3


class LazyInstanceNorm3d(_LazyInstanceNorm, InstanceNorm3d):
    """`InstanceNorm3d` without `num_features`."""

    becomes, size, axis = InstanceNorm3d, "num_features", -4
