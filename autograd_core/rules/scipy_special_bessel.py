"""Derivatives of scipy.special's Bessel, Airy, Kelvin and Struve functions, by their recurrences (DLMF 10.6, 10.29, 10.61, 11.4).

With respect to the argument; the order has no closed form of a derivative, and is refused if it is tracked. The symmetric
forms, J' = (J[v - 1] - J[v + 1]) / 2, divide by nothing and hold at 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from autograd_core.define.door import defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.scipy_special import by_series, several

__all__: list[str] = []


def _orders(*orders: float, complex_too: bool = False) -> Callable[[Arrays], list[Call]]:
    """Samples with these orders."""

    def make(a: Arrays) -> list[Call]:
        calls = [call(v, a.positive(2, 3)) for v in orders] + [call(orders[0], a.positive())]
        return calls + ([call(orders[0], a.complex(3))] if complex_too else [])

    return make


_REAL = (0.7, 2.0)
_INTEGERS = (0, 1, 3)

# --- of any order --------------------------------------------------------------------------------------------------------------------


def _by_recurrence(function: Any, scale: float, sign: int, factor: complex = 0) -> dict[str, Any]:
    """The rule of f' = scale (f[v - 1] + sign f[v + 1]) + factor f."""

    def slope(x1: Any, x2: Any) -> Any:
        return scale * (function(x1 - 1, x2) + sign * function(x1 + 1, x2))

    if not factor:
        return {"x2": lambda g, x1, x2: g * slope(x1, x2).conjugate()}
    return {"x2": lambda g, out, x1, x2: g * (slope(x1, x2) + factor * out).conjugate()}


for _function in (sp.jv, sp.yv, sp.hankel1, sp.hankel2):
    defvjp(_function, **_by_recurrence(_function, 0.5, -1), samples=_orders(*_REAL, complex_too=True))
defvjp(sp.iv, **_by_recurrence(sp.iv, 0.5, 1), samples=_orders(*_REAL, complex_too=True))
defvjp(sp.kv, **_by_recurrence(sp.kv, -0.5, 1), samples=_orders(*_REAL, complex_too=True))
defvjp(sp.yn, **_by_recurrence(sp.yn, 0.5, -1), samples=_orders(*_INTEGERS))
defvjp(sp.kn, **_by_recurrence(sp.kn, -0.5, 1), samples=_orders(*_INTEGERS))

defvjp(sp.kve, **_by_recurrence(sp.kve, -0.5, 1, 1.0), samples=_orders(*_REAL, complex_too=True))
defvjp(sp.hankel1e, **_by_recurrence(sp.hankel1e, 0.5, -1, -1j), samples=_orders(*_REAL, complex_too=True))
defvjp(sp.hankel2e, **_by_recurrence(sp.hankel2e, 0.5, -1, 1j), samples=_orders(*_REAL, complex_too=True))


def _scaled(function: Any, sign: int, part: Callable[[Any], Any], direction: complex) -> dict[str, Any]:
    """Scaled by exp(-|part of x|), whose slope is along the part's `direction` in the plane only."""
    unscaled = _by_recurrence(function, 0.5, sign)["x2"]

    def rule(g: Any, out: Any, x1: Any, x2: Any) -> Any:
        shrinking = np.sign(part(x2)) * np.real(g.conjugate() * out)
        return unscaled(g, x1, x2) - (shrinking * direction if x2.dtype.kind == "c" else shrinking)

    return {"x2": rule}


for _function, _sign, _part, _direction in ((sp.jve, -1, np.imag, 1j), (sp.yve, -1, np.imag, 1j), (sp.ive, 1, np.real, 1.0)):
    defvjp(_function, **_scaled(_function, _sign, _part, _direction), samples=_orders(*_REAL, complex_too=True))

# --- of order 0 and 1 ----------------------------------------------------------------------------------------------------------------

defvjp(sp.j0, x=lambda g, x: -g * sp.j1(x))
defvjp(sp.j1, x=lambda g, x: g * 0.5 * (sp.j0(x) - sp.jv(2, x)))
defvjp(sp.y0, x=lambda g, x: -g * sp.y1(x), domain=(0.3, 3))
defvjp(sp.y1, x=lambda g, x: g * 0.5 * (sp.y0(x) - sp.yv(2, x)), domain=(0.3, 3))
defvjp(sp.i0, x=lambda g, x: g * sp.i1(x))
defvjp(sp.i1, x=lambda g, x: g * 0.5 * (sp.i0(x) + sp.iv(2, x)))
defvjp(sp.k0, x=lambda g, x: -g * sp.k1(x), domain=(0.3, 3))
defvjp(sp.k1, x=lambda g, x: -g * 0.5 * (sp.k0(x) + sp.kv(2, x)), domain=(0.3, 3))
defvjp(sp.i0e, x=lambda g, out, x: g * (sp.i1e(x) - np.sign(x) * out))
defvjp(sp.i1e, x=lambda g, out, x: g * (0.5 * (sp.i0e(x) + sp.ive(2, x)) - np.sign(x) * out))
defvjp(sp.k0e, x=lambda g, out, x: g * (out - sp.k1e(x)), domain=(0.3, 3))
defvjp(sp.k1e, x=lambda g, out, x: g * (out - 0.5 * (sp.k0e(x) + sp.kve(2, x))), domain=(0.3, 3))

# --- Airy functions: Ai, Ai', Bi, Bi' --------------------------------------------------------------------------------------------------


def _airy_rule(g: Any, out: Any, x: Any) -> Any:
    ai, ai_slope, bi, bi_slope = out
    slopes = (ai_slope, x * ai, bi_slope, x * bi)
    return sum(part * slope.conjugate() for part, slope in zip(g, slopes, strict=True) if part is not None)


defvjp(sp.airy, x=_airy_rule)

# --- Kelvin functions: ber + i bei = J0(x exp(3 pi i / 4)), ker + i kei = K0(x exp(pi i / 4)) --------------------------------------------

defvjp(sp.ber, x=lambda g, x: g * sp.berp(x), domain=(0.3, 3))
defvjp(sp.bei, x=lambda g, x: g * sp.beip(x), domain=(0.3, 3))
defvjp(sp.ker, x=lambda g, x: g * sp.kerp(x), domain=(0.3, 3))
defvjp(sp.kei, x=lambda g, x: g * sp.keip(x), domain=(0.3, 3))


def _kelvin_curvature(x: Any) -> Any:
    """Ber'' + i bei'', by J0'' = (J2 - J0) / 2: by Bessel's equation it would be a quotient of zeros at 0."""
    z = x * _KELVIN
    return (0.5 * _KELVIN * _KELVIN) * (sp.jv(2, z) - sp.jv(0, z))


_KELVIN = complex(-math.sqrt(0.5), math.sqrt(0.5))
defvjp(sp.berp, x=lambda g, x: g * np.real(_kelvin_curvature(x)).astype(x.dtype), domain=(0.3, 3))
defvjp(sp.beip, x=lambda g, x: g * np.imag(_kelvin_curvature(x)).astype(x.dtype), domain=(0.3, 3))
defvjp(sp.kerp, x=lambda g, out, x: -g * (sp.kei(x) + out / x), domain=(0.3, 3))
defvjp(sp.keip, x=lambda g, out, x: g * (sp.ker(x) - out / x), domain=(0.3, 3))

# --- Struve functions and integrals ------------------------------------------------------------------------------------------------------


def _struve_rule(function: Any, sign: int) -> dict[str, Any]:
    def slope(v: Any, x: Any) -> Any:
        # Of order 0 without order -1, whose derivatives have poles that cancel.
        return np.where(np.equal(v, 0), 2 / math.pi + sign * function(1.0, x), of_other_orders(np.where(np.equal(v, 0), 1.0, v), x)).astype(x.dtype)

    def of_other_orders(v: Any, x: Any) -> Any:
        remainder = (0.5 * x) ** v / (2 * math.sqrt(math.pi)) * sp.rgamma(v + 1.5)
        # With a Python number for the order SciPy reckons in float64.
        return 0.5 * (function(v - 1, x) + sign * function(v + 1, x)) + remainder

    return {"x2": lambda g, x1, x2: g * slope(x1, x2)}


defvjp(sp.struve, **_struve_rule(sp.struve, -1), samples=_orders(0.0, 0.7, 2.0))
defvjp(sp.modstruve, **_struve_rule(sp.modstruve, 1), samples=_orders(0.0, 0.7, 2.0))
defvjp(sp.itstruve0, x=lambda g, x: g * sp.struve(0.0, x).astype(x.dtype), domain=(0.3, 3))
_STRUVE_SERIES = [(-0.25) ** k / (2 * math.gamma(k + 1.5) ** 2) for k in range(12)]
defvjp(
    sp.it2struve0,
    x=lambda g, x: -g * by_series(x, lambda x: sp.struve(0.0, x).astype(x.dtype) / x, _STRUVE_SERIES, odd=False),
    domain=(0.3, 3),
)
defvjp(sp.itmodstruve0, x=lambda g, x: g * sp.modstruve(0.0, x).astype(x.dtype), domain=(0.3, 3))
defvjp(sp.itj0y0, x=several(sp.j0, sp.y0), domain=(0.3, 3))
defvjp(sp.iti0k0, x=several(sp.i0, sp.k0), domain=(0.3, 3))
_I0_SERIES = [0.25**k / math.factorial(k) ** 2 for k in range(1, 12)]
_J0_SERIES = [term * (-1) ** k for k, term in enumerate(_I0_SERIES)]
defvjp(sp.it2j0y0, x=several(lambda x: by_series(x, lambda x: (1 - sp.j0(x)) / x, _J0_SERIES, odd=True), lambda x: -sp.y0(x) / x), domain=(0.3, 3))
defvjp(sp.it2i0k0, x=several(lambda x: by_series(x, lambda x: (sp.i0(x) - 1) / x, _I0_SERIES, odd=True), lambda x: -sp.k0(x) / x), domain=(0.3, 3))
