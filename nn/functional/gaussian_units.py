"""GELU, the activation of Transformers: x P(z <= x) for a normally distributed z, or its approximation by a hyperbolic tangent.

Value and slope are computed together, since they share what is dear (exp or tanh); the backward pass is then one product. The
slope is a result of the operation like the value, so it has a derivative of its own, and all orders follow. Large arrays are
worked on in blocks that stay in the cache.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.arguments import as_array

__all__ = ["gelu"]

ROOT = math.sqrt(2 / math.pi)
CUBIC = 0.044715
BLOCK = 32768  # elements: four arrays of them fit into the cache beside what is read and written


@functools.cache
def _distribution() -> Any:
    """The normal distribution function: SciPy's, and where that is not installed, one made of Python's `math.erfc`, 20 times as slow."""
    try:
        from scipy.special import ndtr
    except ImportError:
        erfc = np.frompyfunc(math.erfc, 1, 1)
        return lambda x: np.asarray(0.5 * erfc(np.multiply(x, -math.sqrt(0.5), dtype=np.float64)), dtype=x.dtype)
    return ndtr


def _density(x: Any) -> Any:
    return math.sqrt(0.5 / math.pi) * np.exp(x * x * -0.5)


@ag.op(
    batches=True,
    name="normal_cdf",
    x=lambda g, x: g * _density(x),
    real_only=True,
    elementwise=True,
    samples=lambda a: [ag.call(a(2, 3)), ag.call(a()), ag.call(a(0, 3))],
)
def _normal_cdf(x: Any) -> Any:
    return _distribution()(x)


# P(z <= -a) = exp(-a^2 / 2) (C_1 t + ... + C_6 t^6) with t = 1 / (1 + STRETCH a), the form of Abramowitz & Stegun 1964, 7.1.26, here
# fitted for six terms and the smallest largest error in P: 2.2e-8, a third of float32's.
C = (0.11658348411, 0.07707967608, 0.24350617555, -0.19682860286, 0.36143336230, -0.10177411722)
STRETCH = 0.4 * math.sqrt(0.5)
SIGN = np.int32(-(2**31))


def _exact_block(x: Any, value: Any, slope: Any, a: Any, t: Any, e: Any, h: Any) -> None:
    """GELU of a block of float32 and its slope; a, t, e, h are room. P(z <= x) is 1/2 + sign(x) (1/2 - P(z <= -|x|))."""
    np.abs(x, out=a)
    np.multiply(a, STRETCH, out=t)
    np.add(t, 1, out=t)
    np.reciprocal(t, out=t)
    np.multiply(x, x, out=e)
    np.multiply(e, -0.5, out=e)
    np.exp(e, out=e)
    np.multiply(t, -C[5], out=h)
    for c in C[4::-1]:
        np.subtract(h, c, out=h)
        np.multiply(h, t, out=h)
    np.multiply(h, e, out=h)
    np.add(h, 0.5, out=h)
    bits, signs = h.view(np.int32), t.view(np.int32)  # np.copysign takes twice the time
    np.bitwise_and(x.view(np.int32), SIGN, out=signs)
    np.bitwise_xor(bits, signs, out=bits)
    np.add(h, 0.5, out=h)
    np.multiply(h, x, out=value)
    np.multiply(e, x, out=e)
    np.multiply(e, math.sqrt(0.5 / math.pi), out=e)
    np.add(h, e, out=slope)


def _tanh_block(x: Any, value: Any, slope: Any, u: Any, t: Any, e: Any, _: Any) -> None:
    """GELU's approximation on a block and its slope; u, t, e are room. With e = (1 + tanh(...)) / 2 the value is x e."""
    np.multiply(x, x, out=u)
    np.multiply(u, CUBIC * ROOT, out=t)
    np.add(t, ROOT, out=t)
    np.multiply(t, x, out=t)
    np.tanh(t, out=t)
    np.multiply(t, 0.5, out=e)
    np.add(e, 0.5, out=e)
    np.multiply(e, x, out=value)
    np.multiply(u, 6 * CUBIC * ROOT, out=u)  # the slope: e + x e (1 - e) 2 ROOT (1 + 3 CUBIC x^2)
    np.add(u, 2 * ROOT, out=u)
    np.multiply(u, value, out=u)
    np.subtract(1, e, out=t)
    np.multiply(u, t, out=u)
    np.add(u, e, out=slope)


def _in_blocks(block: Any, x: Any) -> tuple[Any, Any]:
    value, slope = np.empty(x.shape, x.dtype), np.empty(x.shape, x.dtype)
    xs, values, slopes = x.reshape(-1), value.reshape(-1), slope.reshape(-1)
    room = np.empty((4, min(BLOCK, x.size)), x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, x.size, BLOCK):
            part = slice(start, start + BLOCK)
            block(xs[part], values[part], slopes[part], *room[:, : len(xs[part])])
    return value, slope


def _tanh_parts(x: Any) -> tuple[Any, Any, Any]:
    """(tanh(u), u', u'') with u = ROOT (x + CUBIC x^3)."""
    square = x * x
    return np.tanh(x * (square * CUBIC + 1) * ROOT), (square * (3 * CUBIC) + 1) * ROOT, x * (6 * CUBIC * ROOT)


def _curvature(x: Any, tanh: bool) -> Any:
    """The second derivative."""
    if not tanh:
        return _density(x) * (2 - x * x)
    t, first, second = _tanh_parts(x)
    return (1 - t * t) * (first + x * (0.5 * second - t * first * first))


def _rule(g: Any, out: Any, x: Any, tanh: bool) -> Any:
    g_value, g_slope = g
    flow = None if g_value is None else g_value * out[1]
    if g_slope is None:
        return flow
    bend = g_slope * _curvature(x, tanh)
    return bend if flow is None else flow + bend


@ag.op(
    batches=True,
    name="gelu",
    x=_rule,
    real_only=True,
    samples=lambda a: [ag.call(x, tanh) for tanh in (False, True) for x in (a(2, 3), a(), a(0, 3))],
)
def _gelu(x: Any, tanh: bool) -> Any:
    """(value, slope)."""
    if x.dtype == np.float16:  # which SciPy does not have, and in which x^2 overflows
        value, slope = _gelu(x.astype(np.float32), tanh)
        return value.astype(x.dtype), slope.astype(x.dtype)
    if type(x) is np.ndarray and x.dtype == np.float32 and not tanh:
        return _in_blocks(_exact_block, x)
    if type(x) is np.ndarray and x.dtype in (np.float32, np.float64) and tanh:
        return _in_blocks(_tanh_block, x)
    if tanh:
        t, first, _ = _tanh_parts(x)
        return 0.5 * x * (t + 1), 0.5 * (t + 1) + 0.5 * x * (1 - t * t) * first
    below = _normal_cdf(x)
    return x * below, below + x * _density(x)


def gelu(input: Any, approximate: str = "none") -> Any:
    """X * P(z <= x) for a normally distributed z, elementwise.

    approximate  "none", or "tanh" for 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    raises       ValueError for another `approximate`

    float32 is accurate to 4e-7 |x|, as torch's is; float64 to the last digits. Hendrycks & Gimpel 2016, "Gaussian error linear
    units", section 2.

    >>> import numpy as np
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'gelu: approximate must be "none" or "tanh", not {approximate!r}')
    return _gelu(as_array(input), approximate == "tanh")[0]
