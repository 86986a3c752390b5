"""Derivatives of scipy.special's orthogonal polynomials and distribution functions.

Polynomials with respect to the argument: each derivative is a polynomial of the next family and one degree less (DLMF 18.9).
Distribution functions with respect to the variate, whose derivative is the density, and inverse ones with respect to the
probability, by one over the density. Degrees and shape parameters without a closed form are refused if they are tracked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from autograd_core.define.door import defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.scipy_special import gamma_density, gamma_kernel, power_kernel, with_numbers

__all__: list[str] = []

# --- orthogonal polynomials ------------------------------------------------------------------------------------------------------------


def _degrees(*parameters: float) -> Callable[[Arrays], list[Call]]:
    return lambda a: [call(n, *parameters, a(2, 3, low=0.1, high=0.9)) for n in (0, 1, 2, 5)] + [call(2.5, *parameters, a(low=0.1, high=0.9))]


def _whole_degrees(a: Arrays) -> list[Call]:
    return [call(n, a(2, 3)) for n in (0, 1, 2, 5)]


def _lowered(n: Any) -> Any:
    """The degree of the derivative; of a constant, whose factor is 0, any."""
    if isinstance(n, int | float):  # stays Python's own number, which does not promote float32
        return n - 1 if n else n
    return np.where(n == 0, n, n - 1)


def _by_degree(name: str, factor: Callable[..., Any], lower: Any, scale: float = 1.0, shift: float = 0.0) -> dict[str, Any]:
    """The rule of p[n](..., x)' = factor(n, ...) lower(n - 1, ..., scale x + shift), for the last argument, called `name`."""

    def slope(n: Any, *rest: Any) -> Any:
        *parameters, x = rest
        return (n != 0) * factor(n, *parameters) * lower(_lowered(n), *parameters, scale * x + shift)

    match name:
        case "x2":
            return {"x2": lambda g, x1, x2: g * slope(x1, x2).conjugate()}
        case "x3":
            return {"x3": lambda g, x1, x2, x3: g * slope(x1, x2, x3).conjugate()}
        case _:
            return {"x4": lambda g, x1, x2, x3, x4: g * slope(x1, x2, x3, x4).conjugate()}


def _jacobi_11(n: Any, x: Any) -> Any:
    return sp.eval_jacobi(n, 1.0, 1.0, x)


def _gegenbauer_2(n: Any, x: Any) -> Any:
    return sp.eval_gegenbauer(n, 2.0, x)


def _laguerre_1(n: Any, x: Any) -> Any:
    return sp.eval_genlaguerre(n, 1.0, x)


defvjp(
    sp.eval_jacobi,
    **_by_degree("x4", lambda n, a, b: 0.5 * (n + a + b + 1), lambda n, a, b, x: sp.eval_jacobi(n, a + 1, b + 1, x)),
    samples=_degrees(0.5, 1.5),
)
defvjp(sp.eval_gegenbauer, **_by_degree("x3", lambda n, a: 2 * a, lambda n, a, x: sp.eval_gegenbauer(n, a + 1, x)), samples=_degrees(0.7))
defvjp(sp.eval_genlaguerre, **_by_degree("x3", lambda n, a: -1, lambda n, a, x: sp.eval_genlaguerre(n, a + 1, x)), samples=_degrees(0.7))
defvjp(sp.eval_laguerre, **_by_degree("x2", lambda n: -1, _laguerre_1), samples=_degrees())
defvjp(sp.eval_legendre, **_by_degree("x2", lambda n: 0.5 * (n + 1), _jacobi_11), samples=_degrees())
defvjp(sp.eval_sh_legendre, **_by_degree("x2", lambda n: n + 1, _jacobi_11, 2, -1), samples=_degrees())
defvjp(sp.eval_chebyt, **_by_degree("x2", lambda n: n, sp.eval_chebyu), samples=_degrees())
defvjp(sp.eval_chebyu, **_by_degree("x2", lambda n: 2, _gegenbauer_2), samples=_degrees())
defvjp(sp.eval_sh_chebyt, **_by_degree("x2", lambda n: 2 * n, sp.eval_sh_chebyu), samples=_degrees())
defvjp(sp.eval_sh_chebyu, **_by_degree("x2", lambda n: 4, _gegenbauer_2, 2, -1), samples=_degrees())
defvjp(sp.eval_chebyc, **_by_degree("x2", lambda n: n, sp.eval_chebys), samples=_degrees())
defvjp(sp.eval_chebys, **_by_degree("x2", lambda n: 1, _gegenbauer_2, 0.5), samples=_degrees())
defvjp(sp.eval_hermite, **_by_degree("x2", lambda n: 2 * n, sp.eval_hermite), samples=_whole_degrees)
defvjp(sp.eval_hermitenorm, **_by_degree("x2", lambda n: n, sp.eval_hermitenorm), samples=_whole_degrees)

# --- distribution functions ------------------------------------------------------------------------------------------------------------


def _chi_square_density(df: Any, x: Any) -> Any:
    return 0.5 * gamma_density(0.5 * df, 0.5 * x)


def _student_density(df: Any, t: Any) -> Any:
    scale = sp.gammaln(0.5 * df + 0.5) - sp.gammaln(0.5 * df) - 0.5 * np.log(df * math.pi)
    return np.exp(scale - 0.5 * (df + 1) * np.log1p(t * t / df)).astype(t.dtype)


def _f_density(n: Any, d: Any, x: Any) -> Any:
    return power_kernel(x, 0.5 * n - 1, -0.5 * (n + d), n / d, sp.betaln(0.5 * n, 0.5 * d) - 0.5 * n * np.log(n / d))


def _poisson_weight(k: Any, m: Any) -> Any:
    k = np.floor(k)
    return gamma_kernel(m, k, sp.gammaln(k + 1))


def _binomial_weight(k: Any, n: Any, p: Any) -> Any:
    """The slope of the sum of the first k + 1 binomial terms, up to its sign."""
    k = np.floor(k)
    return np.where(k < n, (n - k) * sp.binom(n, k) * power_kernel(p, k, n - k - 1, -1.0, 0.0), 0.0).astype(p.dtype)


defvjp(sp.chdtr, x2=lambda g, x1, x2: g * _chi_square_density(x1, x2), samples=with_numbers(3.5, low=0.3, high=3))
defvjp(sp.chdtrc, x2=lambda g, x1, x2: -g * _chi_square_density(x1, x2), samples=with_numbers(3.5, low=0.3, high=3))
defvjp(sp.chdtri, x2=lambda g, out, x1: -g / _chi_square_density(x1, out), samples=with_numbers(3.5, low=0.1, high=0.9))
defvjp(sp.stdtr, x2=lambda g, x1, x2: g * _student_density(x1, x2), samples=with_numbers(3.5, low=-2, high=2))
defvjp(sp.stdtrit, x2=lambda g, out, x1: g / _student_density(x1, out), samples=with_numbers(3.5, low=0.1, high=0.9))
defvjp(sp.fdtr, x3=lambda g, x1, x2, x3: g * _f_density(x1, x2, x3), samples=with_numbers(3.5, 5.0, low=0.3, high=3))
defvjp(sp.fdtrc, x3=lambda g, x1, x2, x3: -g * _f_density(x1, x2, x3), samples=with_numbers(3.5, 5.0, low=0.3, high=3))
defvjp(sp.fdtri, x3=lambda g, out, x1, x2: g / _f_density(x1, x2, out), samples=with_numbers(3.5, 5.0, low=0.1, high=0.9))
# The gamma distribution with rate a and shape b: a function of a x.
defvjp(
    sp.gdtr,
    x1=lambda g, x1, x2, x3: g * x3 * gamma_density(x2, x1 * x3),
    x3=lambda g, x1, x2, x3: g * x1 * gamma_density(x2, x1 * x3),
    samples=lambda a: [call(a.positive(3), 1.7, a.positive(2, 3))],
)
defvjp(
    sp.gdtrc,
    x1=lambda g, x1, x2, x3: -g * x3 * gamma_density(x2, x1 * x3),
    x3=lambda g, x1, x2, x3: -g * x1 * gamma_density(x2, x1 * x3),
    samples=lambda a: [call(a.positive(3), 1.7, a.positive(2, 3))],
)
defvjp(sp.pdtr, x2=lambda g, x1, x2: -g * _poisson_weight(x1, x2), samples=with_numbers(2.0, low=0.3, high=3))
defvjp(sp.pdtrc, x2=lambda g, x1, x2: g * _poisson_weight(x1, x2), samples=with_numbers(2.0, low=0.3, high=3))
defvjp(sp.bdtr, x3=lambda g, x1, x2, x3: -g * _binomial_weight(x1, x2, x3), samples=with_numbers(2.0, 6, low=0.1, high=0.9))
defvjp(sp.bdtrc, x3=lambda g, x1, x2, x3: g * _binomial_weight(x1, x2, x3), samples=with_numbers(2.0, 6, low=0.1, high=0.9))
