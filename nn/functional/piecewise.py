"""Activations with kinks, made of straight pieces. At a kink the derivative is the one that torch gives; each says which.

The rules multiply by masks: `g * (x > 0)` is up to 10 times as quick as `np.where(x > 0, g, 0)`, which branches at each element.
`inplace` is accepted and changes nothing: a tensor on the tape is a value that other operations may have saved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.functional.arguments import as_array

__all__ = [
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "nonpositive",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "softshrink",
    "threshold",
]


def _samples(*arguments: Any) -> Any:
    """Sample calls with these arguments after x: small, 0-d and empty."""
    return lambda a: [ag.call(a(2, 3), *arguments), ag.call(a(), *arguments), ag.call(a(0, 3), *arguments)]


# Not np.maximum(x, 0), whose derivative at 0 is 1/2: here it is 0.
@ag.op(batches=True, name="relu", x=lambda g, out: g * (out > 0), real_only=True, elementwise=True, selects=True, samples=_samples())
def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def relu(input: Any, inplace: bool = False) -> Any:
    """max(x, 0), elementwise; the derivative at 0 is 0.

    >>> import numpy as np
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return _relu(as_array(input))


@ag.op(batches=True, x=lambda g, x: g * (x <= 0), real_only=True, elementwise=True, selects=True, samples=_samples())
def nonpositive(x: Any) -> Any:
    """min(x, 0), with derivative 1 at 0: the left piece of functions whose left piece has the kink."""
    return np.minimum(x, 0)


# The slope may be an array: rrelu's.
@ag.op(
    batches=True,
    name="leaky_relu",
    x=lambda g, x, slope: g * (x > 0) + g * (x <= 0) * slope,
    real_only=True,
    elementwise=True,
    samples=lambda a: [*_samples(0.2)(a), *_samples(-1.5)(a), ag.call(a(2, 3), a.positive(2, 3)).only("the slopes are drawn, not differentiated")],
    inert=("slope",),
)
def _leaky_relu(x: Any, slope: Any) -> Any:
    return np.maximum(x, 0) + slope * np.minimum(x, 0)


def leaky_relu(input: Any, negative_slope: float = 0.01, inplace: bool = False) -> Any:
    """max(x, 0) + negative_slope * min(x, 0), elementwise; the derivative at 0 is `negative_slope`.

    Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models", section 2.

    >>> import numpy as np
    >>> leaky_relu(np.array([-1.0, 2.0]))
    array([-0.01,  2.  ])
    """
    return _leaky_relu(as_array(input), negative_slope)


def rrelu(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False, *, generator: init.Seed = None
) -> Any:
    """Leaky relu with a slope for each element that is drawn from [lower, upper); their mean when not training.

    generator  where the slopes come from: a generator, a seed, or None for the one that `nn.manual_seed` sets
    raises     ValueError if upper < lower

    Xu et al. 2015, "Empirical evaluation of rectified activations in convolutional network", section 2.4.

    >>> import numpy as np
    >>> rrelu(np.array([-1.0, 2.0]), lower=0.25, upper=0.75)
    array([-0.5,  2. ])
    """
    if not lower <= upper:
        raise ValueError(f"rrelu: lower={lower} must not be above upper={upper}")
    input = as_array(input)
    slope: Any = (lower + upper) / 2
    if training:
        slope = init.drawn(generator, "uniform", lower, upper, input.shape).astype(input.dtype)
    return _leaky_relu(input, slope)


@ag.op(
    batches=True,
    name="prelu",
    x=lambda g, x, weight: g * (x > 0) + g * (x <= 0) * weight,
    weight=lambda g, x: g * nonpositive(x),
    real_only=True,
    elementwise=True,
    samples=lambda a: [ag.call(a(2, 3), a(1)), ag.call(a(2, 3, 2), a(3, 1)), ag.call(a(), a(1)), ag.call(a(0, 3), a(3))],
)
def _prelu(x: Any, weight: Any) -> Any:
    return np.maximum(x, 0) + weight * np.minimum(x, 0)


def prelu(input: Any, weight: Any) -> Any:
    """max(x, 0) + weight * min(x, 0), elementwise; the derivative at 0 is `weight`.

    weight  of one element, or one for each channel: each entry of the second axis
    raises  ValueError for another number of weights

    He et al. 2015, "Delving deep into rectifiers", eq. 1.

    >>> import numpy as np
    >>> prelu(np.array([[-1.0, -1.0]]), np.array([0.5, 2.0]))
    array([[-0.5, -2. ]])
    """
    input, weight = as_array(input), as_array(weight)
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.ndim > 1 or weight.size not in (1, channels):
        raise ValueError(
            f"prelu: weight of shape {weight.shape} for an input of shape {input.shape}; give one number, or one for each of {channels} channels"
        )
    if weight.size == 1:
        return _prelu(input, weight.reshape(()) if input.ndim == 0 else weight)
    return _prelu(input, weight.reshape((channels,) + (1,) * (input.ndim - 2)))


@ag.op(
    batches=True,
    name="hardtanh",
    x=lambda g, x, low, high: g * ((x > low) & (x < high)),
    real_only=True,
    elementwise=True,
    selects=True,
    samples=lambda a: [*_samples(-1.0, 1.0)(a), *_samples(0.0, 1.3)(a)],
)
def _hardtanh(x: Any, low: float, high: float) -> Any:
    return np.minimum(np.maximum(x, low), high)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Any:
    """min(max(x, min_val), max_val), elementwise; the derivative at both ends is 0.

    raises  ValueError if max_val < min_val

    >>> import numpy as np
    >>> hardtanh(np.array([-3.0, 0.5, 3.0]))
    array([-1. ,  0.5,  1. ])
    """
    if not min_val <= max_val:
        raise ValueError(f"hardtanh: min_val={min_val} must not be above max_val={max_val}")
    return _hardtanh(as_array(input), min_val, max_val)


def relu6(input: Any, inplace: bool = False) -> Any:
    """min(max(x, 0), 6), elementwise; the derivative at 0 and at 6 is 0 (Krizhevsky 2010).

    >>> import numpy as np
    >>> relu6(np.array([-1.0, 3.0, 7.0]))
    array([0., 3., 6.])
    """
    return _hardtanh(as_array(input), 0, 6)


@ag.op(
    batches=True,
    name="hardsigmoid",
    x=lambda g, x: g * ((x > -3) & (x < 3)) / 6,
    real_only=True,
    elementwise=True,
    selects=True,
    samples=lambda a: [ag.call(a(2, 3, low=-5.0, high=5.0)), ag.call(a()), ag.call(a(0, 3))],
)
def _hardsigmoid(x: Any) -> Any:
    return np.minimum(np.maximum(x + 3, 0), 6) / 6


def hardsigmoid(input: Any, inplace: bool = False) -> Any:
    """min(max(x + 3, 0), 6) / 6, elementwise; the derivative at -3 and 3 is 0.

    >>> import numpy as np
    >>> hardsigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """
    return _hardsigmoid(as_array(input))


@ag.op(
    batches=True,
    name="hardswish",
    x=lambda g, x: g * ((x > -3) & (x < 3)) * (_hardtanh(x, -3, 3) / 3 + 0.5) + g * (x >= 3),
    real_only=True,
    elementwise=True,
    samples=lambda a: [ag.call(a(2, 3, low=-5.0, high=5.0)), ag.call(a()), ag.call(a(0, 3))],
)
def _hardswish(x: Any) -> Any:
    return x * np.minimum(np.maximum(x + 3, 0), 6) / 6


def hardswish(input: Any, inplace: bool = False) -> Any:
    """X * hardsigmoid(x), elementwise; the derivative is 0 at -3 and 1 at 3.

    Howard et al. 2019, "Searching for MobileNetV3", section 5.2.

    >>> import numpy as np
    >>> hardswish(np.array([-4.0, 0.0, 4.0]))
    array([-0.,  0.,  4.])
    """
    return _hardswish(as_array(input))


@ag.op(
    batches=True,
    name="hardshrink",
    x=lambda g, x, lambd: g * (np.abs(x) > lambd),
    real_only=True,
    elementwise=True,
    selects=True,
    samples=_samples(0.5),
)
def _hardshrink(x: Any, lambd: float) -> Any:
    return x * (np.abs(x) > lambd)


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    """X where |x| > lambd, else 0, elementwise; the derivative at both jumps is 0.

    >>> import numpy as np
    >>> hardshrink(np.array([-1.0, 0.3, 2.0]))
    array([-1.,  0.,  2.])
    """
    return _hardshrink(as_array(input), lambd)


@ag.op(
    batches=True,
    name="softshrink",
    x=lambda g, x, lambd: g * (np.abs(x) > lambd),
    real_only=True,
    elementwise=True,
    selects=True,
    samples=_samples(0.5),
)
def _softshrink(x: Any, lambd: float) -> Any:
    return x - np.minimum(np.maximum(x, -lambd), lambd)


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    """X moved towards 0 by `lambd`, and 0 where |x| <= lambd, elementwise; the derivative at both kinks is 0.

    raises  ValueError if lambd < 0

    >>> import numpy as np
    >>> softshrink(np.array([-1.0, 0.3, 2.0]))
    array([-0.5,  0. ,  1.5])
    """
    if not lambd >= 0:
        raise ValueError(f"softshrink: lambd must be >= 0, not {lambd!r}")
    return _softshrink(as_array(input), lambd)


@ag.op(
    batches=True,
    name="threshold",
    x=lambda g, x, threshold: g * (x > threshold),
    real_only=True,
    elementwise=True,
    selects=True,
    inert=("value",),
    samples=_samples(0.4, -7.0),
)
def _threshold(x: Any, threshold: float, value: float) -> Any:
    return np.where(x <= threshold, value, x)


def threshold(input: Any, threshold: float, value: float, inplace: bool = False) -> Any:
    """X where x > threshold, else `value`, elementwise; the derivative at the threshold is 0.

    >>> import numpy as np
    >>> threshold(np.array([0.0, 1.0, 2.0]), 1.0, -5.0)
    array([-5., -5.,  2.])
    """
    return _threshold(as_array(input), threshold, value)
