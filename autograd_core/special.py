"""Special functions for tensors and arrays: those that SciPy computes in Python, out of NumPy's reach.

SciPy's ufuncs need nothing: `scipy.special.erf(t)` works on tensors. These functions convert their arguments to arrays, which
tensors refuse, so they are here under SciPy's names:

>>> import autograd_core as ag
>>> from autograd_core import special
>>> special.softmax(ag.tensor([1.0, 1.0]))
tensor([0.5, 0.5])
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from autograd_core.rules.exponentials import log_softmax, logsumexp, softmax
from autograd_core.tensor.handles import Handle

__all__ = ["factorial", "log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax"]


def _scipy_special(name: str) -> Any:
    try:
        import scipy.special
    except ImportError:
        raise ImportError(f"autograd_core.special.{name} needs SciPy: pip install 'autograd-core[scipy]'") from None
    return scipy.special


def _floating(x: Any) -> Any:
    """A tensor as it is; numbers and arrays in floating point."""
    return x if isinstance(x, Handle) else np.asarray(x) * 1.0


def polygamma(n: int, x: Any) -> Any:
    """The n-th derivative of digamma, (d/dx)^(n + 1) log(gamma(x)), for one integer n >= 0; also of complex x.

    >>> float(polygamma(1, 1.0))  # pi^2 / 6
    1.6449340668482266
    """
    special = _scipy_special("polygamma")
    order = operator.index(n)
    if order < 0:
        raise ValueError(f"polygamma: the order must not be negative, not {order}")
    if order == 0:
        return special.psi(x)
    from autograd_core.rules import scipy_special

    return scipy_special.polygamma(_floating(x), order)[()]


def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension d: d (d - 1) / 4 log(pi) + sum of gammaln(a - j / 2) over j < d.

    raises  ValueError if an element of `a` is not above (d - 1) / 2

    >>> round(float(multigammaln(2.5, 1)), 6)
    0.284683
    """
    special = _scipy_special("multigammaln")
    a, d = _floating(a), operator.index(d)
    if np.any(a <= 0.5 * (d - 1)):
        raise ValueError(f"multigammaln: a must be above (d - 1) / 2 = {0.5 * (d - 1)}")
    return sum((special.gammaln(a - 0.5 * j) for j in range(d)), d * (d - 1) / 4 * math.log(math.pi))


def factorial(n: Any) -> Any:
    """gamma(n + 1): n! of whole numbers, and what lies between.

    >>> float(factorial(3))
    6.0
    """
    return _scipy_special("factorial").gamma(_floating(n) + 1)
