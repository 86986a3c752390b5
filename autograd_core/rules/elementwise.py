"""Derivatives of the elementwise functions: one line each.

`g` is the gradient of the result, `out` the result; everything else is an argument. A formula that
holds for complex numbers is marked holomorphic: the sweep then conjugates around it, which gives PyTorch's convention (the
gradient of a real loss is dL/dRe + i dL/dIm). Broadcasting and dtypes are undone in the sweep. Python scalars only: `math.log(2)`, never `np.log(2)`,
which would promote float32 (NEP 50).

At kinks and jumps: a tie of maximum or minimum is shared equally; |x|, copysign and hypot have slope 0 at 0; steps (floor,
sign, heaviside) have slope 0 everywhere; clip has slope 1 on its closed interval, so at a bound the array gets the gradient
and a tracked bound none. Where a function has an infinite slope (sqrt, log at 0) it is infinite.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.define.door import composed, defvjp, op
from autograd_core.define.samples import call
from autograd_core.rules.lengths import LENGTHS, along, limit, proportional
from autograd_core.tensor.handles import plain, untracked
from autograd_core.tensor.tensor import Tensor


def is_complex(x: Any) -> bool:
    """Whether `x` is an array of complex numbers."""
    return bool(x.dtype.kind == "c")


# --- arithmetic ------------------------------------------------------------------------------------------------------------

defvjp(np.add, x1=lambda g: g, x2=lambda g: g)
defvjp(np.subtract, x1=lambda g: g, x2=lambda g: -g)
defvjp(np.multiply, x1=lambda g, x2: g * x2, x2=lambda g, x1: g * x1, holomorphic=True)
defvjp(np.divide, x1=lambda g, x2: g / x2, x2=lambda g, out, x2: -g * (out / x2), domain=((-2, 2), (0.3, 3)), holomorphic=True)
defvjp(np.negative, x=lambda g: -g)
defvjp(np.positive, x=lambda g: g)
defvjp(np.reciprocal, x=lambda g, out: -g * (out * out), domain=(0.3, 3), holomorphic=True)
defvjp(np.square, x=lambda g, x: g * (x + x), holomorphic=True)
defvjp(np.conjugate, x=lambda g: g.conjugate())


def power_base(g: Any, x1: Any, x2: Any) -> Any:
    """x2 x1^(x2 - 1), and 0 for 0^0, which is 1 for every base."""
    if isinstance(x2, int | float):
        return g * (x2 * x1 ** (x2 - 1)) if x2 else np.zeros_like(g)
    return g * np.where((x1 == 0) & (x2 == 0), 0.0, x2 * x1 ** (x2 - 1))


def power_exponent(g: Any, out: Any, x1: Any, x2: Any) -> Any:
    """The result times log(x1), and 0 for the base 0 with an exponent >= 0, where 0 * log(0) would be nan."""
    if isinstance(x1, int | float) and x1 > 0:
        return g * (out * math.log(x1))
    return g * np.where((x1 == 0) & (x2 >= 0), 0.0, out * np.log(x1))


# A negative base has no real derivative with respect to the exponent: nan there, and only if the exponent is tracked.
# At a base of 0 the slope in the base is infinite for exponents below 1; 0^-1 gives -inf for both.
defvjp(np.power, x1=power_base, x2=power_exponent, domain=((0.3, 3), (-2, 2)), holomorphic=True)
defvjp(np.float_power, x1=power_base, x2=power_exponent, domain=((0.3, 3), (-2, 2)), holomorphic=True)

# --- exponentials and logarithms ---------------------------------------------------------------------------------------------

defvjp(np.exp, x=lambda g, out: g * out, holomorphic=True)
defvjp(np.exp2, x=lambda g, out: g * (out * math.log(2)), holomorphic=True)
defvjp(np.expm1, x=lambda g, x: g * np.exp(x), holomorphic=True)  # not out + 1, which is 0 from -37 on
defvjp(np.log, x=lambda g, x: g / x, domain=(0.3, 3), holomorphic=True)
defvjp(np.log2, x=lambda g, x: g / (x * math.log(2)), domain=(0.3, 3), holomorphic=True)
defvjp(np.log10, x=lambda g, x: g / (x * math.log(10)), domain=(0.3, 3), holomorphic=True)
defvjp(np.log1p, x=lambda g, x: g / (1 + x), domain=(-0.7, 3), holomorphic=True)
defvjp(np.sqrt, x=lambda g, out: g / (out + out), domain=(0.3, 3), holomorphic=True)
defvjp(np.cbrt, x=lambda g, out: g / (3 * out * out))


def _shared(g: Any, wins: Any, ties: Any) -> Any:
    """`g` where the argument wins, half of it where it ties."""
    return np.where(wins, g, np.where(ties, 0.5 * g, 0.0))


def _logaddexp_rule(exp: Any) -> Any:
    """The weight of x1 in log(e^x1 + e^x2). An infinite result is the larger argument, or both: x1 - out would be nan."""

    def rule(g: Any, out: Any, x1: Any, x2: Any) -> Any:
        return np.where(np.isinf(out), _shared(g, x1 > x2, x1 == x2), g * exp(x1 - out))

    return rule


def _swapped(rule: Any) -> Any:
    """The rule for x2 of a symmetric function, from the rule for x1."""
    return lambda g, out, x1, x2: rule(g, out, x2, x1)


defvjp(np.logaddexp, x1=_logaddexp_rule(np.exp), x2=_swapped(_logaddexp_rule(np.exp)))
defvjp(np.logaddexp2, x1=_logaddexp_rule(np.exp2), x2=_swapped(_logaddexp_rule(np.exp2)))

# --- trigonometric and hyperbolic --------------------------------------------------------------------------------------------

defvjp(np.sin, x=lambda g, x: g * np.cos(x), holomorphic=True)
defvjp(np.cos, x=lambda g, x: -g * np.sin(x), holomorphic=True)
defvjp(np.tan, x=lambda g, out: g * (1 + out * out), domain=(-1.3, 1.3), holomorphic=True)
# (1 - x)(1 + x), not 1 - x^2, which loses digits near 1.
# On complex numbers by the result, which knows on which side of the branch cut it is: 1 - (2 + 0j) has lost the sign of 0j.
defvjp(np.arcsin, x=lambda g, x, out: g / (np.cos(out) if is_complex(out) else np.sqrt((1 - x) * (1 + x))), domain=(-0.9, 0.9), holomorphic=True)
defvjp(np.arccos, x=lambda g, x, out: -g / (np.sin(out) if is_complex(out) else np.sqrt((1 - x) * (1 + x))), domain=(-0.9, 0.9), holomorphic=True)
defvjp(np.arctan, x=lambda g, x: g / (1 + x * x), holomorphic=True)
defvjp(np.sinh, x=lambda g, x: g * np.cosh(x), holomorphic=True)
defvjp(np.cosh, x=lambda g, x: g * np.sinh(x), holomorphic=True)
# g - g * o, not g * (1 - o), and out + out, not 2 * out: a Python scalar costs a ufunc twice the time of an array on small arrays.
defvjp(np.tanh, x=lambda g, out: g - g * (out * out), holomorphic=True)
defvjp(np.arcsinh, x=lambda g, x, out: g / (np.cosh(out) if is_complex(out) else np.sqrt(1 + x * x)), holomorphic=True)
defvjp(np.arccosh, x=lambda g, x, out: g / (np.sinh(out) if is_complex(out) else np.sqrt(x - 1) * np.sqrt(x + 1)), domain=(1.2, 3), holomorphic=True)
defvjp(np.arctanh, x=lambda g, x: g / ((1 - x) * (1 + x)), domain=(-0.9, 0.9), holomorphic=True)

for _to_radians in (np.deg2rad, np.radians):
    defvjp(_to_radians, x=lambda g: g * (math.pi / 180))
for _to_degrees in (np.rad2deg, np.degrees):
    defvjp(_to_degrees, x=lambda g: g * (180 / math.pi))


def _arctan2_rule(g: Any, x1: Any, x2: Any) -> Any:
    """x2 / (x1^2 + x2^2), divided twice by the root so that squares neither overflow nor vanish; 0 at (0, 0)."""
    radius = np.hypot(x1, x2)
    return g * np.where(radius == 0, 0.0, x2 / radius / radius)


defvjp(np.hypot, x1=lambda g, out, x1: along(g, out, x1), x2=lambda g, out, x2: along(g, out, x2))
defvjp(np.arctan2, x1=_arctan2_rule, x2=lambda g, x1, x2: -_arctan2_rule(g, x2, x1))

# --- absolute value, sign, parts -----------------------------------------------------------------------------------------------


def _zero(g: Any) -> Any:
    """Of a step function: it stays on the tape, with slope 0."""
    return np.zeros_like(g)


def _sign_rule(g: Any, x: Any) -> Any:
    """0 for real numbers. x / |x| of a complex one turns with x: the part of g across x remains, divided by |x|."""
    if x.dtype.kind != "c":
        return np.zeros_like(g)
    radius = np.absolute(x)
    out = x / radius
    return np.where(radius == 0, 0.0, (g - out * np.real(g.conjugate() * out)) / radius)


def _absolute_rule(g: Any, out: Any, x: Any) -> Any:
    """The sign of x, 0 at 0; the second derivative there is that of the smooth function which is made of |x| (lengths.py)."""
    if type(out) is np.ndarray:  # what `limit` would find, without a call
        return g * np.sign(x)
    slope = limit(g, out, single=x.dtype.kind != "c")
    return g * np.sign(x) if slope is None else g * np.sign(x) + proportional(slope, x)


def _copysign_rule(g: Any, out: Any, x1: Any, x2: Any) -> Any:
    slope = limit(g, out, single=True)
    regular = g * np.sign(x1) * np.copysign(1.0, x2)
    return regular if slope is None else regular + proportional(slope, x1)


defvjp(np.absolute, x=_absolute_rule)
defvjp(np.fabs, x=_absolute_rule)
defvjp(np.sign, x=_sign_rule)
defvjp(np.copysign, x1=_copysign_rule, x2=_zero)
LENGTHS.update((np.hypot, np.absolute, np.fabs, np.copysign))
defvjp(np.real, val=lambda g: g, elementwise=True, samples=lambda a: [call(a(2, 3)), call(a.complex(2, 3)), call(a.complex())])
defvjp(
    np.imag,
    # g * 1j, not 1j * g: Python's complex would swallow a NumPy scalar and return a Python number.
    val=lambda g, like: g * 1j if like.dtype.kind == "c" else np.zeros_like(g),
    elementwise=True,
    samples=lambda a: [call(a(2, 3)), call(a.complex(2, 3)), call(a.complex())],
)


@composed(np.angle, samples=lambda a: [call(a.complex(2, 3)), call(a.complex(3), deg=True), call(a(2, 3))])
def angle(z: Any, deg: Any = False) -> Any:
    """The argument of `z`; its slope at 0 is 0, as arctan2's."""
    turn = np.arctan2(np.imag(z), np.real(z))
    return turn * (180 / math.pi) if deg else turn


@composed(np.real_if_close, samples=lambda a: [call(a(3)), call(a.complex(3)), call(a(3) + 1e-15j), call(a(3) + 1e-9j, tol=100000000)])
def real_if_close(a: Any, tol: Any = 100) -> Any:
    """The real part where NumPy would return it, else `a`."""
    result = np.real_if_close(plain(a), tol)
    return a if result.dtype.kind == a.dtype.kind else np.real(a)


# --- steps and remainders ------------------------------------------------------------------------------------------------------

for _step in (np.floor, np.ceil, np.trunc, np.rint, np.spacing):
    defvjp(_step, x=_zero)
for _rounding in (np.round, np.around):
    defvjp(_rounding, a=_zero, inert=("decimals",), elementwise=True, samples=lambda a: [call(a(2, 3)), call(a(3), decimals=1), call(a(), -1)])
defvjp(np.fix, x=_zero, elementwise=True, samples=lambda a: [call(a(2, 3)), call(a())])

# The result at x1 = 0 is x2, so x2 has slope 1 there.
defvjp(np.heaviside, x1=_zero, x2=lambda g, x1: np.where(x1 == 0, g, 0.0))
defvjp(np.nextafter, x1=lambda g: g, x2=_zero)

defvjp(np.floor_divide, x1=_zero, x2=_zero, domain=((-2, 2), (0.3, 3)))
defvjp(np.remainder, x1=lambda g: g, x2=lambda g, x1, x2: -g * np.floor_divide(x1, x2), domain=((-2, 2), (0.3, 3)))
# rint((x1 - out) / x2) is the quotient that fmod itself took; trunc(x1 / x2) can be one more after rounding.
defvjp(np.fmod, x1=lambda g: g, x2=lambda g, out, x1, x2: -g * np.rint((x1 - out) / x2), domain=((-2, 2), (0.3, 3)))

# Several results: g is a list with None for a result that was not used.
defvjp(
    np.divmod,
    x1=lambda g: np.zeros_like(g[0]) if g[1] is None else g[1],
    x2=lambda g, out: np.zeros_like(g[0]) if g[1] is None else -g[1] * out[0],
    domain=((-2, 2), (0.3, 3)),
)
defvjp(np.modf, x=lambda g: np.zeros_like(g[1]) if g[0] is None else g[0])
defvjp(np.frexp, x=lambda g, out: np.ldexp(g[0], -out[1]))
defvjp(np.ldexp, x1=lambda g, x2: np.ldexp(g, x2), samples=lambda a: [call(a(2, 3), a.integers(-3, 4, 3)), call(a(), 2), call(a(0, 3), 1)])

# --- choosing between values -----------------------------------------------------------------------------------------------------

# The gradient goes to the operand that the value came from: maximum hands on a nan, fmax avoids it.
defvjp(
    np.maximum,
    x1=lambda g, x1, x2: _shared(g, (x1 > x2) | (x1 != x1), x1 == x2),
    x2=lambda g, x1, x2: _shared(g, (x2 > x1) | ((x2 != x2) & (x1 == x1)), x1 == x2),
    selects=True,
)
defvjp(
    np.minimum,
    x1=lambda g, x1, x2: _shared(g, (x1 < x2) | (x1 != x1), x1 == x2),
    x2=lambda g, x1, x2: _shared(g, (x2 < x1) | ((x2 != x2) & (x1 == x1)), x1 == x2),
    selects=True,
)
defvjp(
    np.fmax,
    x1=lambda g, x1, x2: _shared(g, (x1 > x2) | (x2 != x2), x1 == x2),
    x2=lambda g, x1, x2: _shared(g, (x2 > x1) | ((x1 != x1) & (x2 == x2)), x1 == x2),
    selects=True,
)
defvjp(
    np.fmin,
    x1=lambda g, x1, x2: _shared(g, (x1 < x2) | (x2 != x2), x1 == x2),
    x2=lambda g, x1, x2: _shared(g, (x2 < x1) | ((x1 != x1) & (x2 == x2)), x1 == x2),
    selects=True,
)
defvjp(
    np.where,
    x=lambda g, condition: np.where(condition, g, 0.0),
    y=lambda g, condition: np.where(condition, 0.0, g),
    signature="condition, x=None, y=None",
    inert=("condition",),
    selects=True,
    elementwise=True,
    samples=lambda a: [
        call(a.mask(2, 3), a(2, 3), a(2, 3)),
        call(a.mask(2, 1), a(3), 1.0),
        call(True, a(2, 3), a()),
        call(a.mask(3), 0.0, a(0, 3)),
        call(a.mask(3), a.complex(3), a(3)),
    ],
)


def _outside(x: Any, low: Any, high: Any) -> Any:
    return (False if low is None else x < low) | (False if high is None else x > high)


def _at_low(x: Any, low: Any, high: Any) -> Any:
    """Where `clip` gives `low`: bounds in the wrong order give `high`."""
    return x < low if high is None else (x < low) & (low <= high)


def _at_high(x: Any, low: Any, high: Any) -> Any:
    return x > high if low is None else (x > high) | (low > high)


@op(
    x=lambda g, x, low, high: np.where(_outside(x, low, high), 0.0, g),
    low=lambda g, x, low, high: np.where(_at_low(x, low, high), g, 0.0),
    high=lambda g, x, low, high: np.where(_at_high(x, low, high), g, 0.0),
    name="clip",
    selects=True,
    elementwise=True,
    quick=lambda x, low, high: np.clip(x, low, high) if low is None or high is None else np._core.umath.clip(x, low, high),  # type: ignore[attr-defined]
    samples=lambda a: [call(a(2, 3), -0.5, a.positive(3)), call(a(2, 3), None, 0.7), call(a(3), a(2, 3), None)],
)
def clipped(x: Any, low: Any, high: Any) -> Any:
    """`x` between `low` and `high`, either of which may be None."""
    return np.clip(x, low, high)


_NOT_GIVEN: Any = object()


# The ufunc that ndarray.clip calls.
@composed(np._core.umath.clip, samples=lambda a: [call(a(2, 3), -0.5, 0.5), call(a(2, 3), a(3), 1.5)])  # type: ignore[attr-defined]
@composed(np.clip, samples=lambda a: [call(a(2, 3), -0.5, 0.5), call(a(2, 3), a(3), 1.5), call(a(), None, 0.3), call(a(0, 3), -1.0, a_max=1.0)])
def clip(a: Any, a_min: Any = _NOT_GIVEN, a_max: Any = _NOT_GIVEN, out: None = None, **new_names: Any) -> Any:
    """np.clip, under both names of its bounds (`min` and `max` since NumPy 2.1)."""
    if out is not None:
        raise TypeError("clip: out= is not supported with tensors, which are values; write the result to a name: y = np.clip(x, low, high)")
    if not new_names and a_min is not _NOT_GIVEN and a_max is not _NOT_GIVEN:
        return clipped(a, a_min, a_max)
    old_names = {"a_min": a_min, "a_max": a_max}
    given = {name: bound for name, bound in (old_names | new_names).items() if bound is not _NOT_GIVEN}
    if given.keys() not in ({"a_min", "a_max"}, {"min"}, {"max"}, {"min", "max"}):
        raise TypeError(f"clip: takes a_min and a_max (either may be None), or min= and max= instead; got {', '.join(given) or 'neither'}")
    return clipped(a, given.get("a_min", given.get("min")), given.get("a_max", given.get("max")))


def _finite_parts(g: Any, x: Any) -> Any:
    """`g` where `x` is finite: of complex numbers, each part for itself."""
    if x.dtype.kind != "c":
        return np.where(np.isfinite(x), g, 0.0)
    return np.where(np.isfinite(np.real(x)), np.real(g), 0.0) + 1j * np.where(np.isfinite(np.imag(x)), np.imag(g), 0.0)


defvjp(
    np.nan_to_num,
    x=_finite_parts,
    inert=("nan", "posinf", "neginf"),
    selects=True,
    elementwise=True,
    samples=lambda a: [call(a(2, 3)), call(a(), nan=1.0), call(a.complex(3), posinf=2.0, neginf=-2.0)],
)

# --- arrays of a given value -----------------------------------------------------------------------------------------------------


@op(
    fill_value=lambda g: g,
    inert=("a", "keywords"),
    structural=True,
    linear=True,
    samples=lambda a: [
        call(a(), a.integers(0, 9, 2, 3), {"dtype": np.float64}),
        call(a(3), a.integers(0, 9, 2, 3), {"dtype": np.complex128}),
        call(a(2), a.integers(0, 9, 2, 3), {"dtype": np.float64, "shape": (4, 2)}),
    ],
)
def filled(fill_value: Any, a: Any, keywords: dict[str, Any]) -> Any:
    """np.full_like as a function of the value."""
    return np.full_like(a, fill_value, **keywords)


@composed(np.full_like, samples=lambda a: [call(a(2, 3), a()), call(a(2, 3), a(3)), call(a(), a(), shape=(2, 2))])
def full_like(a: Any, fill_value: Any, **keywords: Any) -> Any:
    """An array like `a` of `fill_value`, through which gradients pass; `a` matters by its shape and dtype only."""
    return filled(fill_value if isinstance(fill_value, Tensor) else Tensor(fill_value), plain(a), keywords)


@composed(np.zeros_like, samples=lambda a: [call(a(2, 3)), call(a(), dtype=np.float32), call(a(3), shape=(2, 2))])
def zeros_like(a: Any, *args: Any, **keywords: Any) -> Any:
    """An untracked tensor of zeros like `a`."""
    return untracked(np.zeros_like(plain(a), *args, **keywords))


@composed(np.ones_like, samples=lambda a: [call(a(2, 3)), call(a(), dtype=np.float32), call(a(3), shape=(2, 2))])
def ones_like(a: Any, *args: Any, **keywords: Any) -> Any:
    """An untracked tensor of ones like `a`."""
    return untracked(np.ones_like(plain(a), *args, **keywords))


@composed(np.empty_like, samples=lambda a: [call(a(0, 3)), call(a(2, 3), shape=(0,))])
def empty_like(a: Any, *args: Any, **keywords: Any) -> Any:
    """An untracked tensor like `a` with arbitrary values."""
    return untracked(np.empty_like(plain(a), *args, **keywords))
