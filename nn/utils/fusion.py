"""A batch normalisation that follows a linear layer or convolution, multiplied into its weights for use in evaluation."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

import autograd_core as ag
from nn.module import Module
from nn.parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def _array(value: Any, otherwise: Any) -> Any:
    return otherwise if value is None else value.detach().numpy() if isinstance(value, ag.Tensor) else np.asarray(value)


def _fused(weight: Any, bias: Any, mean: Any, variance: Any, eps: float, bn_weight: Any, bn_bias: Any, axis: int) -> tuple[Parameter, Parameter]:
    """Scale (x W + b - mean) + shift as a weight W scale, whose axis `axis` is the outputs', and a bias (b - mean) scale + shift."""
    array = _array(weight, None)
    mean, variance = _array(mean, None), _array(variance, None)
    scale = _array(bn_weight, 1.0) / np.sqrt(variance + eps)
    places = [1] * array.ndim
    places[axis] = -1
    new_bias = (_array(bias, 0.0) - mean) * scale + _array(bn_bias, 0.0)
    is_trained = bool(getattr(weight, "requires_grad", False))
    return Parameter((array * scale.reshape(places)).astype(array.dtype), is_trained), Parameter(new_bias.astype(array.dtype), is_trained)


def fuse_conv_bn_weights(
    conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any, transpose: bool = False
) -> tuple[Parameter, Parameter]:
    """(weight, bias) of a convolution that does what one followed by a batch normalisation with these statistics does.

    bn_rm, bn_rv  running mean and variance
    transpose     the weight is a transposed convolution's, (in, out, ...)
    """
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 1 if transpose else 0)


def fuse_linear_bn_weights(linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any) -> tuple[Parameter, Parameter]:
    """(weight, bias) of a linear layer that does what one followed by a batch normalisation with these statistics does."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def _fused_layer(name: str, layer: Any, bn: Any, axis: int) -> Any:
    if layer.training or bn.training:
        raise ValueError(f"{name}: both modules must be in evaluation mode; call .eval() first")
    if bn.running_mean is None:
        raise ValueError(f"{name}: {type(bn).__name__} has no running statistics (track_running_stats=False)")
    outputs = layer.weight.shape[axis]
    if bn.num_features not in (outputs, 1):
        raise ValueError(f"{name}: {type(layer).__name__} has {outputs} outputs, but {type(bn).__name__} num_features={bn.num_features}")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = _fused(layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, axis)
    return fused


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Any:
    """A copy of `conv` that does what `bn(conv(x))` does in evaluation.

    transpose  `conv` is a transposed convolution
    raises     ValueError unless both are in evaluation mode and fit one another

    >>> import numpy as np, nn
    >>> conv, bn = nn.Conv1d(2, 3, 2).eval(), nn.BatchNorm1d(3).eval()
    >>> x = np.ones((1, 2, 4), dtype=np.float32)
    >>> np.allclose(fuse_conv_bn_eval(conv, bn)(x).detach().numpy(), bn(conv(x)).detach().numpy(), atol=1e-6)
    True
    """
    return _fused_layer("fuse_conv_bn_eval", conv, bn, 1 if transpose else 0)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Any:
    """A copy of `linear` that does what `bn(linear(x))` does in evaluation.

    raises  ValueError unless both are in evaluation mode and fit one another

    >>> import numpy as np, nn
    >>> linear, bn = nn.Linear(2, 3).eval(), nn.BatchNorm1d(3).eval()
    >>> x = np.ones((1, 2), dtype=np.float32)
    >>> np.allclose(fuse_linear_bn_eval(linear, bn)(x).detach().numpy(), bn(linear(x)).detach().numpy(), atol=1e-6)
    True
    """
    return _fused_layer("fuse_linear_bn_eval", linear, bn, 0)
