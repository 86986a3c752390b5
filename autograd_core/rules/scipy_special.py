"""Derivatives of scipy.special's functions: error functions, gamma and beta, logistic, information, elliptic, hypergeometric.

Imported once the program has imported scipy.special. Arguments are x (one) or x1, x2, ... An argument for which no closed form
of the derivative is known (the order a of gammainc, say) has no rule, and is refused if it is tracked.

Where a formula would divide 0 by 0, or lose all digits far out by taking the difference of what is nearly equal, the derivative
is an operation of its own, whose derivatives are of the same kind.

At x = 0: xlogy, xlog1py and rel_entr, which are 0 there whatever the other argument, have slope 0 in that one; the slope in x
itself is infinite where the logarithm is. Singular forms are replaced by hypergeometric functions, whose derivatives are of the
same kind, so that they hold at the removable singularities (ellipk at 0, exprel at 0, spence at 1) at every order.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sp
from scipy.special import _ufuncs

from autograd_core.define.door import defvjp, op
from autograd_core.define.samples import call, elementwise_calls
from autograd_core.rules.elementwise import power_base, power_exponent

__all__ = ["by_series", "gamma_density", "gamma_kernel", "polygamma", "power_kernel", "several", "with_numbers"]

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
ROOT_TWO_PI = math.sqrt(2 * math.pi)
ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)

# --- error functions and the normal distribution -----------------------------------------------------------------------------------


def _recurred(derivatives: list[Any], x: Any, order: int, sign: int) -> Any:
    """y^(order) by y^(n + 1) = 2 sign (x y^(n) + n y^(n - 1)), from y and y'."""
    for n in range(1, order):
        derivatives.append(2 * sign * (x * derivatives[n] + n * derivatives[n - 1]))
    return derivatives[order]


def _far(x: Any, order: int, sign: int) -> Any:
    """The derivative of sum (2k - 1)!! sign^k / (2^k x^(2k + 1)), for large x, by its asymptotic series (DLMF 7.12)."""
    total = np.zeros_like(x)
    factor = float((-1) ** order * math.factorial(order))
    power = 1 / x ** (order + 1)
    for k in range(30):
        total = total + factor * power
        factor *= sign * (2 * k + 1) / 2 * (2 * k + 1 + order) * (2 * k + 2 + order) / ((2 * k + 1) * (2 * k + 2))
        power = power / (x * x)
    return total


@op
def erfcx_derivative(x: Any, order: int) -> Any:
    """The derivative of exp(x^2) erfc(x) of an order >= 1: far out 2 x erfcx(x) - 2 / sqrt(pi) would be a difference of equals."""
    far = x > 8
    near_x, far_x = np.where(far, 0.0, x), np.where(far, x, 8.0)
    y = sp.erfcx(near_x)
    near = _recurred([y, 2 * near_x * y - TWO_OVER_ROOT_PI], near_x, order, 1)
    return np.where(far, _far(far_x, order, -1) / math.sqrt(math.pi), near).astype(x.dtype)


@op
def dawson_derivative(x: Any, order: int) -> Any:
    """The derivative of Dawson's integral of an order >= 1, likewise."""
    far = np.absolute(x) > 8
    near_x, far_x = np.where(far, 0.0, x), np.where(far, x, 8.0)
    y = sp.dawsn(near_x)
    near = _recurred([y, 1 - 2 * near_x * y], near_x, order, -1)
    return np.where(far, 0.5 * _far(far_x, order, 1), near).astype(x.dtype)


@op
def density_ratio(x: Any) -> Any:
    """The normal density over the distribution function, d/dx log_ndtr: erfcx scales both by the same huge or tiny factor."""
    return (ROOT_TWO_OVER_PI / sp.erfcx(x * -math.sqrt(0.5))).astype(x.dtype)


def _density_ratio_rule(g: Any, out: Any, x: Any) -> Any:
    """-r (x + r); left of 0, where x + r is a small difference, by erfcx, which on the right overflows."""
    left = x < 0
    z = np.where(left, x, 0.0) * -math.sqrt(0.5)
    return g * np.where(left, out * out * erfcx_derivative(z, 1) * (math.sqrt(0.5) / ROOT_TWO_OVER_PI), -out * (x + out)).conjugate()


def _orders_far_and_near(a: Any) -> list[Any]:
    return [call(a(2, 3), 1), call(a(3), 2), call(a.positive(3) + 8, 1)]


defvjp(erfcx_derivative, x=lambda g, x, order: g * erfcx_derivative(x, order + 1).conjugate(), elementwise=True, samples=_orders_far_and_near)
defvjp(dawson_derivative, x=lambda g, x, order: g * dawson_derivative(x, order + 1).conjugate(), elementwise=True, samples=_orders_far_and_near)
defvjp(density_ratio, x=_density_ratio_rule, elementwise=True, samples=lambda a: [call(a(2, 3)), call(a(3) * 10), call(a())])


def _erfcx_slope(out: Any, x: Any) -> Any:
    return 2 * x * out - TWO_OVER_ROOT_PI if x.dtype.kind == "c" else erfcx_derivative(x, 1)


defvjp(sp.erf, x=lambda g, x: g * (TWO_OVER_ROOT_PI * np.exp(-x * x)).conjugate())
defvjp(sp.erfc, x=lambda g, x: -g * (TWO_OVER_ROOT_PI * np.exp(-x * x)).conjugate())
defvjp(sp.erfcx, x=lambda g, out, x: g * (_erfcx_slope(out, x)).conjugate())
defvjp(sp.erfi, x=lambda g, x: g * (TWO_OVER_ROOT_PI * np.exp(x * x)).conjugate())
defvjp(sp.dawsn, x=lambda g, out, x: g * (1 - 2 * x * out if x.dtype.kind == "c" else dawson_derivative(x, 1)).conjugate())
defvjp(sp.wofz, x=lambda g, out, x: g * (TWO_OVER_ROOT_PI * 1j - 2 * x * out).conjugate())
defvjp(sp.erfinv, x=lambda g, out: g * np.exp(out * out) / TWO_OVER_ROOT_PI, domain=(-0.9, 0.9))
defvjp(sp.erfcinv, x=lambda g, out: -g * np.exp(out * out) / TWO_OVER_ROOT_PI, domain=(0.1, 1.9))
defvjp(sp.ndtr, x=lambda g, x: g * (np.exp(-0.5 * x * x) / ROOT_TWO_PI).conjugate())
defvjp(sp.log_ndtr, x=lambda g, x: g * (ROOT_TWO_OVER_PI / sp.erfcx(x * -math.sqrt(0.5)) if x.dtype.kind == "c" else density_ratio(x)).conjugate())
defvjp(sp.ndtri, x=lambda g, out: g * np.exp(0.5 * out * out) * ROOT_TWO_PI, domain=(0.1, 0.9))
defvjp(sp.ndtri_exp, x=lambda g, out: g * sp.erfcx(out * -math.sqrt(0.5)) / ROOT_TWO_OVER_PI, domain=(-2, -0.1))
defvjp(
    sp.owens_t,
    x1=lambda g, x1, x2: -g * np.exp(-0.5 * x1 * x1) * sp.erf(x1 * x2 * math.sqrt(0.5)) / (2 * ROOT_TWO_PI),
    x2=lambda g, x1, x2: g * np.exp(-0.5 * x1 * x1 * (1 + x2 * x2)) / (2 * math.pi * (1 + x2 * x2)),
)


def _voigt_slope(x: Any, sigma: Any, gamma: Any) -> tuple[Any, Any]:
    """The place z = (x + i gamma) / (sigma sqrt 2) of the profile Re w(z) / (sigma sqrt(2 pi)), and w'(z) over the same divisor."""
    z = (x + 1j * gamma) / (sigma * math.sqrt(2))
    return z, (TWO_OVER_ROOT_PI * 1j - 2 * z * sp.wofz(z)) / (sigma * ROOT_TWO_PI)


defvjp(
    sp.voigt_profile,
    x1=lambda g, x1, x2, x3: g * np.real(_voigt_slope(x1, x2, x3)[1]) / (x2 * math.sqrt(2)),
    x2=lambda g, out, x1, x2, x3: -g * (out + np.real(np.multiply(*_voigt_slope(x1, x2, x3)))) / x2,
    x3=lambda g, x1, x2, x3: -g * np.imag(_voigt_slope(x1, x2, x3)[1]) / (x2 * math.sqrt(2)),
    domain=((-2, 2), (0.5, 2), (0.3, 2)),
)

# --- gamma and beta ------------------------------------------------------------------------------------------------------------------


# B(2j) / (2j)!, for the Euler-Maclaurin sum below.
_BERNOULLI = [float(b) / math.factorial(2 * j) for j, b in enumerate(sp.bernoulli(20)[2::2], 1)]


def _complex_hurwitz_zeta(s: int, q: Any) -> Any:
    """The sum of (q + k)^-s over k >= 0: its first terms, and Euler and Maclaurin's formula for the rest (DLMF 25.11.5)."""
    count = 12 + s + max(0, -math.floor(float(np.min(q.real, initial=0.0))))
    total = sum((q + k) ** -s for k in range(count))
    edge = q + count
    total = total + edge ** (1 - s) / (s - 1) + 0.5 * edge**-s
    rising = float(s)
    for j, factor in enumerate(_BERNOULLI, 1):
        total = total + factor * rising * edge ** (1 - s - 2 * j)
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    return total


@op
def polygamma(x: Any, order: int) -> Any:
    """The derivative of digamma of an order >= 1. SciPy's takes real arguments only."""
    if x.dtype.kind != "c":
        return sp.polygamma(order, x).astype(x.dtype)
    return (-1) ** (order + 1) * math.factorial(order) * _complex_hurwitz_zeta(order + 1, x)


defvjp(
    polygamma,
    x=lambda g, x, order: g * polygamma(x, order + 1).conjugate(),
    elementwise=True,
    samples=lambda a: [call(a.positive(2, 3), 1), call(a.positive(), 2), call(a.complex(2, 3), 1), call(a.complex() - 7.5, 2)],
)
defvjp(sp.psi, x=lambda g, x: g * polygamma(x, 1).conjugate(), domain=(0.3, 3))
defvjp(sp.gamma, x=lambda g, out, x: g * (out * sp.psi(x)).conjugate(), domain=(0.3, 3))
defvjp(sp.gammaln, x=lambda g, x: g * sp.psi(x), domain=(0.3, 3))
defvjp(sp.loggamma, x=lambda g, x: g * sp.psi(x).conjugate(), domain=(0.3, 3))
defvjp(sp.gammasgn, x=lambda g: np.zeros_like(g))


def _rgamma_rule(g: Any, out: Any, x: Any) -> Any:
    """-psi(x) / gamma(x); at the poles of both 0 times infinity, so by reflection sin(pi x) gamma(1 - x) / pi where Re x < 0.5."""
    left = np.real(x) < 0.5
    y = np.where(left, 1 - x, 1.0)
    reflected = (np.cos(math.pi * x) - np.sin(math.pi * x) * sp.psi(y) / math.pi) * sp.gamma(y)
    return g * np.where(left, reflected, -out * sp.psi(np.where(left, 1.0, x))).conjugate()


defvjp(sp.rgamma, x=_rgamma_rule)
defvjp(
    sp.beta,
    x1=lambda g, out, x1, x2: g * out * (sp.psi(x1) - sp.psi(x1 + x2)),
    x2=lambda g, out, x1, x2: g * out * (sp.psi(x2) - sp.psi(x1 + x2)),
    domain=(0.3, 3),
)
defvjp(
    sp.betaln,
    x1=lambda g, x1, x2: g * (sp.psi(x1) - sp.psi(x1 + x2)),
    x2=lambda g, x1, x2: g * (sp.psi(x2) - sp.psi(x1 + x2)),
    domain=(0.3, 3),
)


def _is_pole(x: Any) -> Any:
    """Where gamma is infinite."""
    return (x <= 0) & (x == np.floor(x))


def _rgamma_slope(x: Any) -> Any:
    return _rgamma_rule(1.0, sp.rgamma(x), x)


def _poch_slope(out: Any, x: Any, m: Any) -> Any:
    """The derivative of gamma(x + m) / gamma(x) in x. Where that is a product of m factors, of which one may be 0, by reflection."""
    pole = _is_pole(x)
    regular = out * (sp.psi(np.where(pole, 1.0, x) + m) - sp.psi(np.where(pole, 1.0, x)))
    whole = (m >= 0) & (m == np.floor(m))
    y = 1 - np.where(pole, x, 0.0)
    top, rest = sp.gamma(y), np.where(whole, y - m, 1.0)
    reflected = -((-1.0) ** np.floor(m)) * top * (sp.psi(y) * sp.rgamma(rest) + _rgamma_slope(rest))
    above = np.where(whole, 1.0, np.where(pole, x, 0.0) + m)
    below = np.where(pole, x, 1.0)
    direct = sp.gamma(above) * (sp.psi(above) * sp.rgamma(below) + _rgamma_slope(below))
    return np.where(pole, np.where(whole, reflected, direct), regular)


defvjp(
    sp.poch,
    x1=lambda g, out, x1, x2: g * _poch_slope(out, x1, x2),
    x2=lambda g, out, x1, x2: g * out * sp.psi(x1 + x2),
    domain=(0.3, 3),
)


def _binom_slope_n(out: Any, n: Any, k: Any) -> Any:
    """In n; for a whole k that is a polynomial, poch(n - k + 1, k) / k!."""
    pole = _is_pole(n + 1) | _is_pole(n - k + 1)
    regular = out * (sp.psi(np.where(pole, 1.0, n + 1)) - sp.psi(np.where(pole, 1.0, n - k + 1)))
    start = np.where(pole, n - k + 1, 1.0)
    return np.where(pole, _poch_slope(sp.poch(start, k), start, k) * sp.rgamma(k + 1), regular)


def _binom_slope_k(out: Any, n: Any, k: Any) -> Any:
    """In k; where a factor of 1 / (gamma(k + 1) gamma(n - k + 1)) is 0, by the slopes of the factors."""
    pole = _is_pole(k + 1) | _is_pole(n - k + 1)
    regular = out * (sp.psi(np.where(pole, 1.0, n - k + 1)) - sp.psi(np.where(pole, 1.0, k + 1)))
    a, b = np.where(pole, k + 1, 1.0), np.where(pole, n - k + 1, 1.0)
    factors = _rgamma_slope(a) * sp.rgamma(b) - sp.rgamma(a) * _rgamma_slope(b)
    return np.where(pole, sp.gamma(np.where(pole, n + 1, 1.0)) * factors, regular)


defvjp(
    sp.binom,
    x1=lambda g, out, x1, x2: g * _binom_slope_n(out, x1, x2),
    x2=lambda g, out, x1, x2: g * _binom_slope_k(out, x1, x2),
    domain=((3, 5), (0.3, 2)),
)


def _times(factor: Any, value: Any) -> Any:
    """The product, and 0 where the factor is, though the value be infinite."""
    return np.where(factor == 0, 0.0, factor * value)


@op
def gamma_kernel(x: Any, power: Any, log_scale: Any) -> Any:
    """x^power e^-x / e^log_scale, 0^0 being 1."""
    return np.exp(sp.xlogy(power, x) - x - log_scale).astype(x.dtype)


@op
def power_kernel(x: Any, p: Any, q: Any, r: Any, log_scale: Any) -> Any:
    """x^p (1 + r x)^q / e^log_scale, 0^0 being 1."""
    return np.exp(sp.xlogy(p, x) + sp.xlog1py(q, r * x) - log_scale).astype(x.dtype)


defvjp(
    gamma_kernel,
    x=lambda g, out, x, power, log_scale: g * (_times(power, gamma_kernel(x, power - 1, log_scale)) - out).conjugate(),
    elementwise=True,
    samples=lambda a: [call(a.positive(2, 3), 1.5, 0.3), call(a.positive(), 0.0, 0.0), call(a.positive(3), 2.0, 0.1)],
)
defvjp(
    power_kernel,
    x=lambda g, x, p, q, r, log_scale: (
        g * (_times(p, power_kernel(x, p - 1, q, r, log_scale)) + _times(q * r, power_kernel(x, p, q - 1, r, log_scale))).conjugate()
    ),
    elementwise=True,
    samples=lambda a: [call(a.positive(2, 3), 1.5, -2.5, 0.6, 0.3), call(a.positive(), 0.0, 0.0, 1.0, 0.0), call(a.positive(3), 1.0, 2.0, 2.0, 0.0)],
)


def gamma_density(a: Any, x: Any) -> Any:
    """Of the gamma distribution of shape `a`: the derivative of gammainc."""
    return gamma_kernel(x, a - 1, sp.gammaln(a))


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    return power_kernel(x, a - 1, b - 1, -1.0, sp.betaln(a, b))


def with_numbers(*numbers: float, low: float, high: float) -> Any:
    """Samples in which the first arguments, which have no rule, are Python numbers."""
    return lambda a: [call(*numbers, a(2, 3, low=low, high=high)), call(*numbers, a(low=low, high=high))]


defvjp(sp.gammainc, x2=lambda g, x1, x2: g * gamma_density(x1, x2), samples=with_numbers(1.7, low=0.3, high=3))
defvjp(sp.gammaincc, x2=lambda g, x1, x2: -g * gamma_density(x1, x2), samples=with_numbers(1.7, low=0.3, high=3))
defvjp(sp.gammaincinv, x2=lambda g, out, x1: g / gamma_density(x1, out), samples=with_numbers(1.7, low=0.1, high=0.9))
defvjp(sp.gammainccinv, x2=lambda g, out, x1: -g / gamma_density(x1, out), samples=with_numbers(1.7, low=0.1, high=0.9))
defvjp(sp.betainc, x3=lambda g, x1, x2, x3: g * _beta_density(x1, x2, x3), samples=with_numbers(1.7, 2.3, low=0.1, high=0.9))
defvjp(sp.betaincinv, x3=lambda g, out, x1, x2: g / _beta_density(x1, x2, out), samples=with_numbers(1.7, 2.3, low=0.1, high=0.9))
if hasattr(sp, "betaincc"):  # SciPy 1.11
    defvjp(sp.betaincc, x3=lambda g, x1, x2, x3: -g * _beta_density(x1, x2, x3), samples=with_numbers(1.7, 2.3, low=0.1, high=0.9))
    defvjp(sp.betainccinv, x3=lambda g, out, x1, x2: -g / _beta_density(x1, x2, out), samples=with_numbers(1.7, 2.3, low=0.1, high=0.9))
# The Hurwitz zeta function, behind scipy.special.zeta(x, q); no closed form for its exponent.
defvjp(_ufuncs._zeta, x2=lambda g, x1, x2: -g * x1 * _ufuncs._zeta(x1 + 1, x2), name="zeta", samples=with_numbers(2.5, low=0.5, high=3))

# --- logistic, powers and logarithms -------------------------------------------------------------------------------------------------

defvjp(sp.expit, x=lambda g, out, x: g * out * sp.expit(-x))  # not 1 - out, which is 0 from 37 on
defvjp(sp.logit, x=lambda g, x: g / (x * (1 - x)), domain=(0.1, 0.9))
defvjp(sp.log_expit, x=lambda g, x: g * sp.expit(-x))
defvjp(sp.cbrt, x=lambda g, out: g / (3 * out * out), domain=(0.3, 3))
defvjp(sp.exp2, x=lambda g, out: g * out * math.log(2))
defvjp(sp.exp10, x=lambda g, out: g * out * math.log(10))
defvjp(sp.expm1, x=lambda g, x: g * np.exp(x).conjugate())
defvjp(sp.log1p, x=lambda g, x: g / (1 + x).conjugate(), domain=(-0.7, 3))
defvjp(sp.round, x=lambda g: np.zeros_like(g))
defvjp(sp.cosm1, x=lambda g, x: -g * np.sin(x))
defvjp(sp.sindg, x=lambda g, x: g * sp.cosdg(x) * (math.pi / 180))
defvjp(sp.cosdg, x=lambda g, x: -g * sp.sindg(x) * (math.pi / 180))
defvjp(sp.tandg, x=lambda g, out: g * (1 + out * out) * (math.pi / 180))
defvjp(sp.cotdg, x=lambda g, out: -g * (1 + out * out) * (math.pi / 180), domain=(20, 70))


def _hyp2f1(a: float, b: float, c: float, x: Any) -> Any:
    """SciPy's, in the precision of x: it reckons Python numbers as float64."""
    return sp.hyp2f1(a, b, c, x).astype(x.dtype)


def _exprel_slope(x: Any) -> Any:
    """The derivative of (e^x - 1) / x as a function without a singularity at 0."""
    return 0.5 * sp.hyp1f1(2.0, 3.0, x).astype(x.dtype)


defvjp(sp.exprel, x=lambda g, x: g * _exprel_slope(x))
defvjp(
    sp.powm1,
    x1=power_base,
    x2=lambda g, out, x1, x2: power_exponent(g, out + 1, x1, x2),
    domain=((0.3, 3), (-2, 2)),
)


def _quotient(x: Any, y: Any) -> Any:
    """The quotient x / y, and 0 where x is 0."""
    return np.where(x == 0, 0.0, x / y)


defvjp(sp.xlogy, x1=lambda g, x2: g * np.log(x2).conjugate(), x2=lambda g, x1, x2: g * _quotient(x1, x2).conjugate(), domain=((-2, 2), (0.3, 3)))
defvjp(
    sp.xlog1py,
    x1=lambda g, x2: g * np.log1p(x2).conjugate(),
    x2=lambda g, x1, x2: g * _quotient(x1, 1 + x2).conjugate(),
    domain=((-2, 2), (-0.7, 2)),
)
defvjp(sp.entr, x=lambda g, x: -g * (np.log(x) + 1), domain=(0.3, 3))
defvjp(sp.rel_entr, x1=lambda g, x1, x2: g * (np.log(x1 / x2) + 1), x2=lambda g, x1, x2: -g * _quotient(x1, x2), domain=(0.3, 3))
defvjp(sp.kl_div, x1=lambda g, x1, x2: g * np.log(x1 / x2), x2=lambda g, x1, x2: g * (1 - _quotient(x1, x2)), domain=(0.3, 3))
defvjp(
    sp.huber,
    x1=lambda g, x1, x2: g * np.where(np.absolute(x2) > x1, np.absolute(x2) - x1, 0.0),
    x2=lambda g, x1, x2: g * np.where(x1 > 0, np.clip(x2, -x1, x1), 0.0),
    domain=((0.3, 3), (-4, 4)),
)


def _pseudo_huber_slope(delta: Any, r: Any) -> Any:
    """The slope in delta of delta^2 (h / delta - 1) with h = hypot(delta, r): r^4 / (h (delta + h)^2), with no difference of equals."""
    h = np.hypot(delta, r)
    h = np.where(h == 0, 1.0, h)
    part = r / (delta + h)
    return r * (r / h) * part * part


defvjp(
    sp.pseudo_huber,
    x1=lambda g, x1, x2: g * _pseudo_huber_slope(x1, x2),
    # delta r / h, as the sine of an angle, whose derivatives far out are no differences of equals.
    x2=lambda g, x1, x2: g * x1 * np.where(x1 == 0, 0.0, np.sin(np.arctan2(x2, np.where(x1 == 0, 1.0, x1)))),
    domain=((0.3, 3), (-2, 2)),
)


# (x^p - 1) / p = L exprel(p L) with L = log(x), smooth at p = 0; the inverse has the inverse slopes.
def _boxcox_power_slope(log_x: Any, power: Any) -> Any:
    return log_x * log_x * _exprel_slope(power * log_x)


def _boxcox_slope(log_x: Any, x: Any, power: Any) -> Any:
    """The slope of boxcox in the power; of x = 0, where the function is -1 / power, 1 / power^2."""
    zero = (x == 0) & (power > 0)
    safe = np.where(zero, power, 1.0)
    return np.where(zero, 1 / (safe * safe), _boxcox_power_slope(np.where(zero, 0.0, log_x), power))


defvjp(
    sp.boxcox,
    x1=lambda g, x1, x2: g * x1 ** (x2 - 1),
    x2=lambda g, x1, x2: g * _boxcox_slope(np.log(x1), x1, x2),
    domain=((0.3, 3), (-2, 2)),
)
defvjp(
    sp.boxcox1p,
    x1=lambda g, x1, x2: g * (1 + x1) ** (x2 - 1),
    x2=lambda g, x1, x2: g * _boxcox_slope(np.log1p(x1), 1 + x1, x2),
    domain=((-0.5, 3), (-2, 2)),
)
defvjp(
    sp.inv_boxcox,
    x1=lambda g, out, x2: g * out ** (1 - x2),
    x2=lambda g, out, x2: -g * _boxcox_power_slope(np.log(out), x2) * out ** (1 - x2),
    domain=((-0.3, 0.4), (-2, 2)),
)
defvjp(
    sp.inv_boxcox1p,
    x1=lambda g, out, x2: g * (1 + out) ** (1 - x2),
    x2=lambda g, out, x2: -g * _boxcox_power_slope(np.log1p(out), x2) * (1 + out) ** (1 - x2),
    domain=((-0.3, 0.4), (-2, 2)),
)
defvjp(sp.wrightomega, x=lambda g, out: g * (out / (1 + out)).conjugate())
# Lambert's W, behind scipy.special.lambertw(z, k, tol).
defvjp(
    _ufuncs._lambertw,
    x1=lambda g, out: g * (np.exp(-out) / (1 + out)).conjugate(),
    inert=("x2", "x3"),
    name="lambertw",
    samples=lambda a: [call(a.complex(2, 3), 0, 1e-8), call(a.complex(3), -1, 1e-8)],
)

# --- integrals -----------------------------------------------------------------------------------------------------------------------

defvjp(sp.expi, x=lambda g, x: g * (np.exp(x) / x).conjugate(), domain=(0.3, 3))
defvjp(sp.exp1, x=lambda g, x: -g * (np.exp(-x) / x).conjugate(), domain=(0.3, 3))
defvjp(
    sp.expn,
    x2=lambda g, x1, x2: -g * np.where(x1 == 0, np.exp(-x2) * (1 + 1 / x2) / x2, sp.expn(np.where(x1 == 0, 1, x1) - 1, x2)),
    samples=lambda a: [call(n, a.positive(2, 3)) for n in (0, 1, 3)],
)
defvjp(sp.spence, x=lambda g, x: -g * _hyp2f1(1.0, 1.0, 2.0, 1 - x).conjugate(), domain=(0.3, 1.9))


def several(*slopes: Any) -> Any:
    """The rule of a function with several results, from the slope of each at x."""

    def rule(g: Any, x: Any) -> Any:
        return sum(part * slope(x).conjugate() for part, slope in zip(g, slopes, strict=True) if part is not None)

    return rule


defvjp(sp.sici, x=several(lambda x: np.sinc(x / math.pi), lambda x: np.cos(x) / x), domain=(0.3, 3))


def by_series(x: Any, far: Any, terms: list[float], odd: bool) -> Any:
    """The function `far` of x, and for small x a power series of x^2, times x if `odd`: where the function would divide 0 by 0."""
    near = np.absolute(x) < 1
    small = np.where(near, x, 0.0)
    total = np.zeros_like(small)
    for term in reversed(terms):
        total = total * (small * small) + term
    return np.where(near, total * small if odd else total, far(np.where(near, 1.0, x)))


_SINH_SERIES = [1 / math.factorial(2 * k + 1) for k in range(12)]

defvjp(sp.shichi, x=several(lambda x: by_series(x, lambda x: np.sinh(x) / x, _SINH_SERIES, odd=False), lambda x: np.cosh(x) / x), domain=(0.3, 3))
defvjp(sp.fresnel, x=several(lambda x: np.sin(0.5 * math.pi * x * x), lambda x: np.cos(0.5 * math.pi * x * x)))

# --- elliptic and hypergeometric -------------------------------------------------------------------------------------------------------

defvjp(sp.ellipk, x=lambda g, x: g * (math.pi / 8) * _hyp2f1(1.5, 1.5, 2.0, x), domain=(-0.9, 0.9))
defvjp(sp.ellipe, x=lambda g, x: -g * (math.pi / 8) * _hyp2f1(0.5, 1.5, 2.0, x), domain=(-0.9, 0.9))


def _ellipkm1_rule(g: Any, out: Any, x: Any) -> Any:
    """Of K(1 - x): near x = 0 from E and K, which keep their digits there."""
    small = x < 0.5
    p = np.where(small, x, 0.5)
    near = (out - sp.ellipe(1 - p) / p) / (2 * (1 - p))
    far = -(math.pi / 8) * _hyp2f1(1.5, 1.5, 2.0, 1 - np.where(small, 0.5, x))
    return g * np.where(small, near, far)


defvjp(sp.ellipkm1, x=_ellipkm1_rule, domain=(0.1, 1.5))


def _elliptic_root(phi: Any, m: Any) -> Any:
    return np.sqrt(1 - m * np.sin(phi) * np.sin(phi))


_elliptic_samples = elementwise_calls(1, (-1.4, 1.4))
defvjp(
    sp.ellipkinc,
    x1=lambda g, x1, x2: g / _elliptic_root(x1, x2),
    samples=lambda a: [call(*c.args, m) for c in _elliptic_samples(a) for m in (0.0, 0.7)],
)
defvjp(
    sp.ellipeinc,
    x1=lambda g, x1, x2: g * _elliptic_root(x1, x2),
    samples=lambda a: [call(*c.args, m) for c in _elliptic_samples(a) for m in (0.0, 0.7)],
)


def _jacobi_rule(g: Any, out: Any, x2: Any) -> Any:
    sn, cn, dn, _ = out
    slopes = (cn * dn, -sn * dn, -x2 * sn * cn, dn)
    return sum(part * slope for part, slope in zip(g, slopes, strict=True) if part is not None)


defvjp(sp.ellipj, x1=_jacobi_rule, samples=lambda a: [call(*c.args, 0.6) for c in _elliptic_samples(a)])

defvjp(sp.hyp0f1, x2=lambda g, x1, x2: g * (sp.hyp0f1(x1 + 1, x2) / x1).conjugate(), samples=with_numbers(1.7, low=-2, high=2))
defvjp(sp.hyp1f1, x3=lambda g, x1, x2, x3: g * (x1 / x2 * sp.hyp1f1(x1 + 1, x2 + 1, x3)).conjugate(), samples=with_numbers(0.7, 1.6, low=-2, high=2))
defvjp(
    sp.hyp2f1,
    x4=lambda g, x1, x2, x3, x4: g * (x1 * x2 / x3 * sp.hyp2f1(x1 + 1, x2 + 1, x3 + 1, x4)).conjugate(),
    samples=with_numbers(0.7, 1.6, 2.2, low=-0.8, high=0.8),
)
defvjp(sp.hyperu, x3=lambda g, x1, x2, x3: -g * x1 * sp.hyperu(x1 + 1, x2 + 1, x3), samples=with_numbers(0.7, 1.6, low=0.3, high=3))
defvjp(sp.wright_bessel, x3=lambda g, x1, x2, x3: g * sp.wright_bessel(x1, x1 + x2, x3), samples=with_numbers(0.7, 1.6, low=0.3, high=3))
