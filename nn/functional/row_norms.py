"""Layer norm and root-mean-square norm: each row, made of the last axes, is normalised by itself, and each feature has a weight.

The operation gives, besides its result, the normalised rows h and their scales (1 / standard deviation). They are what the
gradient is written in, so the input need not be kept; and as results they have derivatives of their own, of any order. With the
gradient v of h (Ba et al. 2016, "Layer normalization", simplified): dx = scale (v - mean(v) - h mean(v h)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.normalisation import check_floats

__all__ = ["layer_norm", "rms_norm"]


def _is_plain(*values: Any) -> bool:
    return all(value is None or (type(value) is np.ndarray and value.dtype != np.float16) for value in values)


def _in_rows(x: Any, features: int) -> Any:
    return x.reshape((math.prod(x.shape) // features if features else 0, features))


def _column_sums(x: Any) -> Any:
    return np.ones(x.shape[0], x.dtype) @ x  # BLAS does it at the speed of memory


def _input_rule(g: Any, out: Any, like: Any, weight: Any, centred: bool) -> Any:
    (g_result, g_rows, g_scale), (_, h, scale) = g, out
    features = h.shape[1]
    flat = None if weight is None else weight.reshape((features,))
    if _is_plain(g_result, weight, h) and g_result is not None and g_rows is g_scale is None:
        result = np.empty(like.shape, h.dtype)
        v: Any = result.reshape(h.shape)
        np.multiply(_in_rows(g_result, features), 1 if flat is None else flat, out=v)
        along = np.vecdot(v, h)[:, None] / features
        mean = (v @ np.ones(features, v.dtype))[:, None] / features if centred else None
        v -= h * along
        if mean is not None:
            v -= mean
        v *= scale
        return result
    dx: Any = None
    if g_result is not None or g_rows is not None:
        v = 0 if g_result is None else _in_rows(g_result, features) * (1 if flat is None else flat)
        v = v if g_rows is None else v + g_rows
        dx = v - h * ((v * h).sum(axis=1, keepdims=True) / features)
        dx = (dx - v.sum(axis=1, keepdims=True) / features if centred else dx) * scale
    if g_scale is not None:  # scale = (variance + eps)^(-1/2)
        of_scale = g_scale * scale * scale * h / -features
        dx = of_scale if dx is None else dx + of_scale
    return dx.reshape(like.shape)


def _weight_rule(g: Any, out: Any, like: Any) -> Any:
    h = out[1]
    return None if g[0] is None else _column_sums(_in_rows(g[0], h.shape[1]) * h).reshape(like.shape)


def _bias_rule(g: Any, like: Any) -> Any:
    return None if g[0] is None else _column_sums(_in_rows(g[0], math.prod(like.shape))).reshape(like.shape)


@ag.op(
    batches=True,
    name="normalise_rows",
    real_only=True,
    x=_input_rule,
    weight=_weight_rule,
    bias=_bias_rule,
    inert=("features", "eps"),
    samples=lambda a: [
        ag.call(a(2, 3), a(3), a(3), 3, 0.1, True),
        ag.call(a(2, 2, 2), a(2, 2), None, 4, 0.1, True),
        ag.call(a(2, 1, 3), None, None, 3, 0.1, False),
        ag.call(a(3), a(3), None, 3, 0.1, False),
        ag.call(a(0, 3), a(3), a(3), 3, 0.1, True),
    ],
)
def _normalise_rows(x: Any, weight: Any, bias: Any, features: int, eps: float, centred: bool) -> Any:
    """(result, normalised rows, scales): result = weight h + bias with h = (x - mean) scale, or x scale if not centred."""
    rows = _in_rows(x.astype(np.float32) if x.dtype == np.float16 else x, features)
    size = max(features, 1)
    if not _is_plain(x, weight, bias):
        h = rows - rows.sum(axis=1, keepdims=True) / size if centred else rows
        scale = 1 / np.sqrt((h * h).sum(axis=1, keepdims=True) / size + eps)
        h = h * scale
        result = h if weight is None else h * weight.reshape((features,))
        result = result if bias is None else result + bias.reshape((features,))
        return result.reshape(x.shape).astype(x.dtype), h, scale
    h = np.empty(rows.shape, rows.dtype)
    if centred:
        np.subtract(rows, (rows @ np.ones(features, rows.dtype))[:, None] / size, out=h)
    source = h if centred else rows
    scale = (1 / np.sqrt(np.vecdot(source, source) / size + eps))[:, None]
    np.multiply(source, scale, out=h)
    result = np.empty(x.shape, x.dtype)
    view = result.reshape(rows.shape)
    np.multiply(h, 1 if weight is None else weight.reshape((features,)), out=view)
    if bias is not None:
        view += bias.reshape((features,))
    return result, h, scale


def layer_norm(input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(variance + eps) * weight + bias, with statistics over the last axes of each example (Ba et al. 2016).

    input             (..., *normalized_shape)
    normalized_shape  sizes of the axes that are normalised together, or the size of the last one
    weight, bias      of that shape, or None
    raises            ValueError if the input does not end in normalized_shape

    >>> import numpy as np
    >>> layer_norm(np.array([[1.0, 3.0]]), 2).round(4)
    array([[-1.,  1.]])
    """
    features = _features("layer_norm", input, normalized_shape, {"weight": weight, "bias": bias})
    return _normalise_rows(input, weight, bias, features, eps, True)[0]


def rms_norm(input: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    """X / sqrt(mean(x^2) + eps) * weight, with the mean over the last axes (Zhang & Sennrich 2019, eq. 4).

    input             (..., *normalized_shape)
    normalized_shape  sizes of the axes that are normalised together, or the size of the last one
    weight            of that shape, or None
    eps               None for the machine epsilon of the input's dtype
    raises            ValueError if the input does not end in normalized_shape

    >>> import numpy as np
    >>> rms_norm(np.array([3.0, 4.0]), 2).round(4)
    array([0.8485, 1.1314])
    """
    features = _features("rms_norm", input, normalized_shape, {"weight": weight})
    return _normalise_rows(input, weight, None, features, float(np.finfo(input.dtype).eps) if eps is None else eps, False)[0]


def _features(name: str, input: Any, normalized_shape: Any, parameters: dict[str, Any]) -> int:
    """How many elements a row has; ValueError for shapes that do not fit."""
    check_floats(name, input)
    shape = (normalized_shape,) if isinstance(normalized_shape, int | np.integer) else tuple(normalized_shape)
    if not shape or input.shape[-len(shape) :] != shape:
        raise ValueError(f"{name}: input of shape {input.shape} does not end in normalized_shape {shape}")
    for parameter, value in parameters.items():
        if value is not None and value.shape != shape:
            raise ValueError(f"{name}: {parameter} has shape {value.shape}, expected normalized_shape {shape}")
    return math.prod(shape)
