"""Normalisation of channels: batch, group and instance norm are one operation over different axes. (Rows: row_norms.py.)

Each subtracts a mean and divides by a standard deviation, both over a group of elements, and then scales and shifts. What
belongs to a group is said by a view of the input (`_Form`): (batch, groups, channels of a group, places). So there is one
operation with one rule, written twice: once in NumPy's functions, which can be differentiated again, and once in place, for
arrays. Statistics are results of the operation too; that is how running ones come by theirs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.innermost import is_innermost, laid_out_as, lying

__all__ = ["batch_norm", "check_floats", "group_norm", "instance_norm", "local_response_norm"]


@dataclass(frozen=True)
class _Form:
    """How an input is normalised.

    shape     of the input's view: (batch, groups, channels of a group, places)
    axes      of the view that are averaged over, as negative numbers
    weight    shape of the weight's and the bias's view
    eps       is added to the variance
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    weight: tuple[int, ...]
    eps: float

    @functools.cached_property
    def size(self) -> int:
        """How many elements a mean is taken of; 1 if there are none, so that their sum, 0, can be divided by it."""
        return max(1, math.prod(self.shape[axis] for axis in self.axes))


def _is_plain(values: Sequence[Any]) -> bool:
    return all(value is None or type(value) is np.ndarray for value in values)


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else a + b


def _gradients(g: Any, statistics: Any, operands: Any, form: _Form) -> list[Any]:
    """The gradients of (x, weight, bias), from those of the result, the means and the variances.

    With h = (x - mean) / deviation and v = g weight: dx = (v - mean(v) - h mean(v h)) / deviation (Ioffe & Szegedy 2015,
    section 3, simplified).
    """
    if _is_plain((*g, *operands)) and g[1] is g[2] is None and operands[0].dtype == g[0].dtype != np.float16:
        return _group_gradients(g[0], statistics, operands, form)
    x, weight, bias = operands
    view = x.reshape(form.shape)
    mean, variance = statistics or _statistics(view, form)
    centred = view - mean
    scale = 1 / np.sqrt(variance + form.eps)
    h = centred * scale
    dx: Any = None
    along = {"axis": form.axes, "keepdims": True}
    if g[0] is not None:
        gy = g[0].reshape(form.shape)
        v = gy if weight is None else gy * weight.reshape(form.weight)
        dx = v - h * ((v * h).sum(**along) / form.size)
        dx = dx - v.sum(**along) / form.size
        dx = dx * scale
    if g[1] is not None:
        dx = _plus(dx, np.broadcast_to(g[1] / form.size, form.shape))
    if g[2] is not None:
        dx = _plus(dx, centred * (g[2] * (2 / form.size)))
    gradients = [None if dx is None else dx.reshape(x.shape), None, None]
    if g[0] is not None:
        # The axes over which the weight is repeated.
        rest = tuple(axis for axis in range(-len(form.shape), 0) if -axis > len(form.weight) or form.weight[axis] == 1)
        gradients[1] = None if weight is None else (gy * h).sum(axis=rest).reshape(weight.shape)
        gradients[2] = None if bias is None else gy.sum(axis=rest).reshape(bias.shape)
    return gradients


def _statistics(view: Any, form: _Form) -> tuple[Any, Any]:
    mean = view.sum(axis=form.axes, keepdims=True) / form.size
    centred = view - mean
    return mean, (centred * centred).sum(axis=form.axes, keepdims=True) / form.size


def _samples(a: Any) -> list[Any]:
    channels = _Form((2, 2, 1, 2), (-4, -2, -1), (2, 1, 1), 1e-2)
    groups = _Form((1, 2, 2, 2), (-2, -1), (2, 2, 1), 1e-2)
    return [
        ag.call([a(2, 2, 2), None, None], channels),
        ag.call([a(2, 2, 2), a(2), a(2)], channels),
        ag.call([a(1, 4, 2), a(4), a(4)], groups),
    ]


# Where nobody asks for the statistics, they are not kept: to compute them again takes less time than to keep account of them.
@ag.op(name="normalise", operands=lambda g, operands, form: _gradients((g, None, None), None, operands, form), real_only=True, samples=_samples)
def _normalise(operands: Any, form: _Form) -> Any:
    """Weight (x - mean) / sqrt(variance + eps) + bias."""
    return _normalised(operands, form)[0]


@ag.op(name="normalise", operands=lambda g, out, operands, form: _gradients(g, out[1:], operands, form), real_only=True, samples=_samples)
def _normalise_with_statistics(operands: Any, form: _Form) -> Any:
    """(weight (x - mean) / sqrt(variance + eps) + bias, mean, variance), the statistics in the form's view."""
    return _normalised(operands, form)


def _normalised(operands: Any, form: _Form) -> Any:
    x, weight, bias = operands
    if _is_plain(operands) and x.dtype != np.float16:
        return _normalised_groups(operands, form)
    # In NumPy's functions, for arrays of other libraries; and for float16, which is computed in float32.
    view = (x.astype(np.float32) if x.dtype == np.float16 else x).reshape(form.shape)
    mean, variance = _statistics(view, form)
    centred = view - mean
    y = centred / np.sqrt(variance + form.eps)
    y = y if weight is None else y * weight.reshape(form.weight)
    y = y if bias is None else y + bias.reshape(form.weight)
    return y.reshape(x.shape).astype(x.dtype), mean, variance


def _view(x: Any, form: _Form) -> tuple[Any, _Form]:
    """The view of an array, and its form: of a batch that lies innermost one row for each channel."""
    if form.axes == _OF_CHANNELS and is_innermost(x):
        channels = form.shape[1]
        return lying(x).reshape((1, channels, 1, -1)), _form_of_rows(channels, x.size // channels, form.eps)
    return x.reshape(form.shape), form


_OF_CHANNELS = (-4, -2, -1)  # batch norm


@functools.lru_cache(maxsize=256)
def _form_of_rows(channels: int, size: int, eps: float) -> _Form:
    return _Form((1, channels, 1, size), _OF_CHANNELS, (channels, 1, 1), eps)


def _room(x: Any, form: _Form) -> tuple[Any, Any]:
    """An array that lies as x, and its view. The result is no view: gradients that are would be copied."""
    result = np.empty_like(x) if is_innermost(x) else np.empty(x.shape, x.dtype)
    return result, _view(result, form)[0]


def _shaped(a: Any, shape: tuple[int, ...]) -> Any:
    return a if a.shape == shape else a.reshape(shape)


# --- groups: (batch, groups, channels of a group, places), each channel has a weight ------------------------------------------------


def _sums_over_places(a: Any, b: Any = None) -> Any:
    """Over the last axis, the sums of a, or of a b."""
    if a.shape[-1] == 1:
        return (a if b is None else a * b)[..., 0]
    if b is not None:
        return np.vecdot(a, b)
    # One product with a matrix: with a stack it would be one for each row.
    return (a.reshape((-1, a.shape[-1])) @ np.ones(a.shape[-1], a.dtype)).reshape(a.shape[:-1])


_FEW_PLACES = 1024


def _spread(a: Any, form: _Form) -> Any:
    """Numbers for channels, the same in the whole batch, repeated for their places if these are few: loops over several channels are longer."""
    is_of_examples = a.ndim == 4 and a.shape[0] > 1
    places = form.shape[-1]
    return a if is_of_examples or places == 1 or places > _FEW_PLACES or form.shape[0] == 1 else np.repeat(a, places, axis=-1)


def _sums_of(sums: Any, form: _Form) -> Any:
    """Sums over the places added up over the form's other axes, in the view of the statistics."""
    others = tuple(axis + 1 for axis in form.axes if axis != -1)
    return (sums.sum(axis=others, keepdims=True) if others else sums)[..., None]


def _centred_groups(view: Any, form: _Form, out: Any, statistics: Any = None) -> tuple[Any, Any]:
    """The mean and the variance, with x - mean in `out`."""
    mean = statistics[0] if statistics else _sums_of(_sums_over_places(view), form) / form.size
    np.subtract(view, _spread(mean, form), out=out)
    return mean, statistics[1] if statistics else _sums_of(_sums_over_places(out, out), form) / form.size


def _normalised_groups(operands: Any, form: _Form) -> Any:
    x, weight, bias = operands
    result, y = _room(x, form)
    view, form = _view(x, form)
    mean, variance = _centred_groups(view, form, y)
    scale = 1 / np.sqrt(variance + form.eps)
    y *= _spread(scale if weight is None else scale * weight.reshape(form.weight), form)
    if bias is not None:
        y += _spread(bias.reshape(form.weight), form)
    return result, mean, variance


def _group_gradients(g: Any, statistics: Any, operands: Any, form: _Form) -> list[Any]:
    x, weight, bias = operands
    result, d = _room(x, form)
    g = _view(laid_out_as(g, x), form)[0] if is_innermost(x) else g.reshape(form.shape)
    view, form = _view(x, form)
    _, variance = _centred_groups(view, form, d, statistics)
    scale = 1 / np.sqrt(variance + form.eps)
    of_g, of_product = _sums_over_places(g), _sums_over_places(g, d) * scale[..., 0]
    dweight = None if weight is None else _shaped(of_product.sum(axis=0), weight.shape)
    dbias = None if bias is None else _shaped(of_g.sum(axis=0), bias.shape)
    w: Any = 1
    if weight is not None:
        w = weight.reshape(form.weight)
        of_g, of_product = of_g * w[..., 0], of_product * w[..., 0]
    # dx = scale (w g - mean(w g) - centred scale mean(w g centred scale))
    d *= _spread(_sums_of(of_product, form) * (scale * scale * (-1 / form.size)), form)
    d -= _spread(_sums_of(of_g, form) * (scale * (1 / form.size)), form)
    d += g * _spread(scale * w, form)
    return [result, dweight, dbias]


# --- the functions -------------------------------------------------------------------------------------------------------------


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias, with statistics over groups of channels (Wu & He 2018, eq. 1-7).

    input         (N, C, ...)
    num_groups    into which the channels are divided, in order
    weight, bias  (C,) or None
    raises        ValueError if C is no multiple of num_groups

    >>> import numpy as np
    >>> group_norm(np.array([[1.0, 3.0, 10.0, 30.0]]), 2).round(4)
    array([[-1.,  1., -1.,  1.]])
    """
    batch, channels, places = _batch_of_channels("group_norm", input, {"weight": weight, "bias": bias})
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: {channels} channels of an input of shape {input.shape} cannot be divided into num_groups={num_groups}")
    in_group = channels // num_groups
    if batch * in_group * places == 1:
        raise ValueError(f"group_norm: input of shape {input.shape} in {num_groups} groups has one value per group, and would be normalised to 0")
    form = _Form((batch, num_groups, in_group, places), (-2, -1), (num_groups, in_group, 1), eps)
    return _normalise([input, weight, bias], form)


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel (Ioffe & Szegedy 2015).

    input         (N, C, ...)
    running_mean, running_var  (C,) each; with `training` they are updated in place, if given, else they are the statistics
    weight, bias  (C,) or None
    training      normalise by the batch's own statistics, through which gradients flow
    momentum      weight of the batch in the running statistics; the variance that is averaged is the unbiased one
    raises        ValueError for a wrong number of channels, or if a channel has one value only

    >>> import numpy as np
    >>> mean, variance = np.zeros(1), np.ones(1)
    >>> batch_norm(np.array([[1.0], [3.0]]), mean, variance, training=True).round(4)
    array([[-1.],
           [ 1.]])
    >>> mean, variance
    (array([0.2]), array([1.1]))
    """
    named = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    batch, channels, places = _batch_of_channels("batch_norm", input, named)
    if not training:
        return _by_running_statistics("batch_norm", input, running_mean, running_var, weight, bias, eps)
    count = batch * places
    if count == 1:
        raise ValueError(f"batch_norm: training needs more than one value per channel, but input has shape {input.shape}")
    form = _Form((batch, channels, 1, places), (-4, -2, -1), (channels, 1, 1), eps)
    if running_mean is running_var is None or not count:
        return _normalise([input, weight, bias], form)
    y, mean, variance = _normalise_with_statistics([input, weight, bias], form)
    _move(running_mean, mean, momentum)
    _move(running_var, variance, momentum, count / (count - 1))
    return y


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias for each channel of each example (Ulyanov et al. 2016).

    input            (N, C, ...)
    running_mean, running_var  (C,) each; updated in place, if given, or used where use_input_stats is False
    weight, bias     (C,) or None
    use_input_stats  normalise by the example's own statistics, through which gradients flow
    momentum         weight of the batch's average statistics in the running ones
    raises           ValueError for a wrong number of channels, or if a channel has one place only

    >>> import numpy as np
    >>> instance_norm(np.array([[[1.0, 3.0], [10.0, 30.0]]])).round(4)
    array([[[-1.,  1.],
            [-1.,  1.]]])
    """
    named = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    batch, channels, places = _batch_of_channels("instance_norm", input, named)
    if not use_input_stats:
        return _by_running_statistics("instance_norm", input, running_mean, running_var, weight, bias, eps)
    if places == 1:
        raise ValueError(f"instance_norm: needs more than one place per channel, but input has shape {input.shape}")
    form = _Form((batch, channels, 1, places), (-1,), (channels, 1, 1), eps)
    if running_mean is running_var is None or not batch * places:
        return _normalise([input, weight, bias], form)
    y, mean, variance = _normalise_with_statistics([input, weight, bias], form)
    _move(running_mean, mean, momentum)
    _move(running_var, variance, momentum, places / (places - 1))
    return y


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    """X / (k + alpha / size * sum of x^2 over `size` neighbouring channels)^beta (Krizhevsky et al. 2012, section 3.3).

    input    (N, C, ...), with at least one axis after the channels
    size     of the window of channels, which is cut at both ends
    returns  of the input's shape

    >>> import numpy as np
    >>> local_response_norm(np.array([[[1.0], [2.0]]]), size=2, alpha=2.0, beta=1.0).round(4)
    array([[[0.5   ],
            [0.3333]]])
    """
    check_floats("local_response_norm", input)
    if input.ndim < 3:
        raise ValueError(f"local_response_norm: input must be (N, C, ...) with at least 3 axes, but has shape {input.shape}")
    if size < 1:
        raise ValueError(f"local_response_norm: size must be at least 1, not {size}")
    channels = input.shape[1]
    before, after = size // 2, (size - 1) // 2
    padded = np.pad(input * input, [(0, 0), (before, after), *[(0, 0)] * (input.ndim - 2)])
    total = padded[:, :channels]
    for start in range(1, size):
        total = total + padded[:, start : start + channels]
    return input / (total * (alpha / size) + k) ** beta


def _by_running_statistics(name: str, input: Any, mean: Any, variance: Any, weight: Any, bias: Any, eps: float) -> Any:
    """The affine map that normalisation by constants is."""
    if mean is None or variance is None:
        raise ValueError(f"{name}: without the input's own statistics, running_mean and running_var must be given")
    places = (-1, *[1] * (input.ndim - 2))
    mean, scale = _constant(mean), 1 / np.sqrt(_constant(variance) + eps)
    scale = scale.astype(input.dtype)
    factor = scale if weight is None else weight * scale
    shift = -mean.astype(input.dtype) * factor
    shift = shift if bias is None else bias + shift
    return input * factor.reshape(places) + shift.reshape(places)


def _constant(statistics: Any) -> Any:
    return statistics.detach().numpy() if isinstance(statistics, ag.Tensor) else statistics


def _move(running: Any, statistics: Any, momentum: float, factor: float = 1.0) -> None:
    """Running = (1 - momentum) running + momentum factor statistics, averaged over the examples of a batch, in place."""
    if running is not None:
        target = running.data if isinstance(running, ag.Tensor) else running
        found = _constant(statistics)
        found = (found if len(found) == 1 else found.mean(axis=0)).reshape(target.shape)
        target[...] = target * (1 - momentum) + found * (momentum * factor)


def _batch_of_channels(name: str, input: Any, parameters: dict[str, Any]) -> tuple[int, int, int]:
    """(N, C, number of places) of an input (N, C, ...) whose parameters are (C,) each."""
    check_floats(name, input)
    if input.ndim < 2:
        raise ValueError(f"{name}: input must be (N, C, ...), but has shape {input.shape}")
    channels = input.shape[1]
    for parameter, value in parameters.items():
        if value is not None and value.shape != (channels,):
            raise ValueError(f"{name}: {parameter} has shape {value.shape}, but input of shape {input.shape} has {channels} channels")
    return input.shape[0], channels, math.prod(input.shape[2:])


def check_floats(name: str, input: Any) -> None:
    """TypeError unless `input` is an array of floating-point numbers."""
    if not hasattr(input, "shape") or not hasattr(input, "dtype"):
        raise TypeError(f"{name}: input must be a tensor or an array, not {type(input).__name__}")
    if np.dtype(input.dtype).kind != "f":
        raise TypeError(f"{name}: input has dtype {input.dtype}; normalise floating-point numbers, input.astype(np.float32)")
