"""Derivatives of scipy.special's functions: error functions, gamma and beta, logistic, information, elliptic, hypergeometric.

Imported once the program has imported scipy.special. Arguments are x (one) or x1, x2, ... An argument for which no closed form
of the derivative is known (the order a of gammainc, say) has no rule, and is refused if it is tracked.

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

__all__ = ["gamma_density", "polygamma", "several", "with_numbers"]

TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
ROOT_TWO_PI = math.sqrt(2 * math.pi)
ROOT_TWO_OVER_PI = math.sqrt(2 / math.pi)

# --- error functions and the normal distribution -----------------------------------------------------------------------------------

defvjp(sp.erf, x=lambda g, x: g * (TWO_OVER_ROOT_PI * np.exp(-x * x)).conjugate())
defvjp(sp.erfc, x=lambda g, x: -g * (TWO_OVER_ROOT_PI * np.exp(-x * x)).conjugate())
defvjp(sp.erfcx, x=lambda g, out, x: g * (2 * x * out - TWO_OVER_ROOT_PI).conjugate())
defvjp(sp.erfi, x=lambda g, x: g * (TWO_OVER_ROOT_PI * np.exp(x * x)).conjugate())
defvjp(sp.dawsn, x=lambda g, out, x: g * (1 - 2 * x * out).conjugate())
defvjp(sp.wofz, x=lambda g, out, x: g * (TWO_OVER_ROOT_PI * 1j - 2 * x * out).conjugate())
defvjp(sp.erfinv, x=lambda g, out: g * np.exp(out * out) / TWO_OVER_ROOT_PI, domain=(-0.9, 0.9))
defvjp(sp.erfcinv, x=lambda g, out: -g * np.exp(out * out) / TWO_OVER_ROOT_PI, domain=(0.1, 1.9))
defvjp(sp.ndtr, x=lambda g, x: g * (np.exp(-0.5 * x * x) / ROOT_TWO_PI).conjugate())
# The density over the distribution; erfcx scales both by the same huge or tiny factor.
defvjp(sp.log_ndtr, x=lambda g, x: g * (ROOT_TWO_OVER_PI / sp.erfcx(x * -math.sqrt(0.5))).conjugate())
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
defvjp(
    sp.poch,
    x1=lambda g, out, x1, x2: g * out * (sp.psi(x1 + x2) - sp.psi(x1)),
    x2=lambda g, out, x1, x2: g * out * sp.psi(x1 + x2),
    domain=(0.3, 3),
)
defvjp(
    sp.binom,
    x1=lambda g, out, x1, x2: g * out * (sp.psi(x1 + 1) - sp.psi(x1 - x2 + 1)),
    x2=lambda g, out, x1, x2: g * out * (sp.psi(x1 - x2 + 1) - sp.psi(x2 + 1)),
    domain=((3, 5), (0.3, 2)),
)


def gamma_density(a: Any, x: Any) -> Any:
    """Of the gamma distribution of shape `a`: the derivative of gammainc."""
    return np.exp((a - 1) * np.log(x) - x - sp.gammaln(a)).astype(x.dtype)


def _beta_density(a: Any, b: Any, x: Any) -> Any:
    # astype: betaln of two Python numbers is a NumPy scalar, which would promote float32.
    return np.exp((a - 1) * np.log(x) + (b - 1) * np.log1p(-x) - sp.betaln(a, b)).astype(x.dtype)


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

defvjp(sp.expit, x=lambda g, out: g * out * (1 - out))
defvjp(sp.logit, x=lambda g, x: g / (x * (1 - x)), domain=(0.1, 0.9))
defvjp(sp.log_expit, x=lambda g, x: g * sp.expit(-x))
defvjp(sp.cbrt, x=lambda g, out: g / (3 * out * out), domain=(0.3, 3))
defvjp(sp.exp2, x=lambda g, out: g * out * math.log(2))
defvjp(sp.exp10, x=lambda g, out: g * out * math.log(10))
defvjp(sp.expm1, x=lambda g, out: g * (out + 1).conjugate())
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
    x1=lambda g, x1, x2: g * x2 * x1 ** (x2 - 1),
    x2=lambda g, out, x1: g * (out + 1) * np.log(x1),
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
    x2=lambda g, x1, x2: g * np.clip(x2, -x1, x1),
    domain=((0.3, 3), (-4, 4)),
)


def _pseudo_huber_root(delta: Any, r: Any) -> Any:
    return np.sqrt(1 + (r / delta) * (r / delta))


defvjp(
    sp.pseudo_huber,
    x1=lambda g, x1, x2: g * (2 * x1 * (_pseudo_huber_root(x1, x2) - 1) - x2 * x2 / (x1 * _pseudo_huber_root(x1, x2))),
    x2=lambda g, x1, x2: g * x2 / _pseudo_huber_root(x1, x2),
    domain=((0.3, 3), (-2, 2)),
)


# (x^p - 1) / p = L exprel(p L) with L = log(x), smooth at p = 0; the inverse has the inverse slopes.
def _boxcox_power_slope(log_x: Any, power: Any) -> Any:
    return log_x * log_x * _exprel_slope(power * log_x)


defvjp(
    sp.boxcox,
    x1=lambda g, x1, x2: g * x1 ** (x2 - 1),
    x2=lambda g, x1, x2: g * _boxcox_power_slope(np.log(x1), x2),
    domain=((0.3, 3), (-2, 2)),
)
defvjp(
    sp.boxcox1p,
    x1=lambda g, x1, x2: g * (1 + x1) ** (x2 - 1),
    x2=lambda g, x1, x2: g * _boxcox_power_slope(np.log1p(x1), x2),
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
defvjp(sp.shichi, x=several(lambda x: np.sinh(x) / x, lambda x: np.cosh(x) / x), domain=(0.3, 3))
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
