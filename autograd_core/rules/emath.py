"""`np.emath`: functions that go over to complex numbers where the real ones end.

As in NumPy, one element outside the real domain makes the whole array complex; the gradient of a real argument is real.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_any
from autograd_core.define.door import composed, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.matrices import arrayed
from autograd_core.tensor.handles import plain


def _complex_where(x: Any, outside: Callable[[Any], Any]) -> Any:
    """`x`, as complex numbers if any of its real ones is `outside`."""
    x = arrayed(x)
    if x.dtype.kind == "c" or not for_any(outside(plain(x))):
        return x
    return x.astype(np.complex64 if x.dtype.name in ("float32", "int8", "int16", "uint8", "uint16") else np.complex128)


def _negative(x: Any) -> Any:
    return _complex_where(x, lambda values: values < 0)


def _beyond_one(x: Any) -> Any:
    return _complex_where(x, lambda values: np.abs(values) > 1)


def _samples(a: Arrays) -> list[Call]:
    return [call(a.positive(3)), call(a(2, 3)), call(-a.positive(2)), call(a(3, low=-0.9, high=0.9)), call(a.complex(2)), call(a(0))]


@composed(np.emath.sqrt, samples=_samples)
def _sqrt(x: Any) -> Any:
    return np.sqrt(_negative(x))


@composed(np.emath.log, samples=_samples)
def _log(x: Any) -> Any:
    return np.log(_negative(x))


@composed(np.emath.log2, samples=_samples)
def _log2(x: Any) -> Any:
    return np.log2(_negative(x))


@composed(np.emath.log10, samples=_samples)
def _log10(x: Any) -> Any:
    return np.log10(_negative(x))


@composed(np.emath.logn, samples=lambda a: [call(2.0, a.positive(3)), call(a.positive(3), a(3)), call(-a.positive(2), a.positive(2)), call(3, a(2))])
def _logn(n: Any, x: Any) -> Any:
    return np.log(_negative(x)) / np.log(_negative(n))


@composed(
    np.emath.power,
    samples=lambda a: [call(a.positive(3), a(3)), call(a(3), a(3)), call(a(2, 3), 2), call(a(3), -2), call(a.positive(2), np.array([-1, 2]))],
)
def _power(x: Any, p: Any) -> Any:
    p = arrayed(p)
    if p.dtype.kind in "iu" and (plain(p) < 0).any():
        p = p * 1.0  # as NumPy: an integer cannot be a negative power
    return np.power(_negative(x), p)


# Real numbers beyond one lie on the branch cut of arcsin and arccos, where sqrt(1 - x^2) does not know on which side of it:
# 1 - (2+0j) has lost the sign of zero. The result knows it.
_cut_samples = lambda a: [call(np.array([2.0, -3.0, 0.5]) + 0j), call(a.complex(2, 3))]
arccos_on_cut = op(lambda x: np.arccos(x), name="arccos", x=lambda g, out: -g / np.sin(out).conjugate(), samples=_cut_samples)
arcsin_on_cut = op(lambda x: np.arcsin(x), name="arcsin", x=lambda g, out: g / np.cos(out).conjugate(), samples=_cut_samples)


@composed(np.emath.arccos, samples=_samples)
def _arccos(x: Any) -> Any:
    inside = _beyond_one(x)
    return np.arccos(x) if inside is x else arccos_on_cut(inside)


@composed(np.emath.arcsin, samples=_samples)
def _arcsin(x: Any) -> Any:
    inside = _beyond_one(x)
    return np.arcsin(x) if inside is x else arcsin_on_cut(inside)


@composed(np.emath.arctanh, samples=_samples)
def _arctanh(x: Any) -> Any:
    return np.arctanh(_beyond_one(x))
