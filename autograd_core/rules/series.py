"""sinc and i0: functions whose derivatives NumPy has no names for, so that they are computed here, for any order.

Each derivative is an operation with the order as an argument; its own derivative is the next order. The obvious formulas,
(cos(pi x) - sinc(x)) / x and I1(x), would lose all digits near 0 when differentiated again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.define.door import defvjp, op
from autograd_core.define.samples import call

__all__ = ["i0_derivative", "sinc_derivative"]


@op
def sinc_derivative(x: Any, order: int) -> Any:
    """The derivative of sin(pi x) / (pi x) of an order >= 0; at 0 that of order 2 is -pi^2 / 3.

    Far from 0 by the recurrence x s[n] + n s[n - 1] = the n-th derivative of sin(pi x) / pi, which close to 0 would divide
    rounding errors by powers of x; there by the power series of the sine.
    """
    t = math.pi * x
    near = np.absolute(t) <= order + 3
    far_x = np.where(near, 1.0, x)
    far = np.sinc(far_x)
    for n in range(1, order + 1):
        far = (math.pi ** (n - 1) * np.sin(math.pi * far_x + n * math.pi / 2) - n * far) / far_x
    small = np.where(near, t, 0.0)
    total, square = np.zeros_like(small), small * small
    # Terms (-1)^k t^(2k - order) (2k)! / ((2k - order)! (2k + 1)!), summed by Horner's rule from the smallest.
    first = (order + 1) // 2
    for k in reversed(range(first, first + 12 + 2 * order)):
        total = total * square + (-1) ** k / ((2 * k + 1) * math.factorial(2 * k - order))
    series = total * small if order % 2 else total
    return np.where(near, series * math.pi**order, far)


@op
def i0_derivative(x: Any, order: int) -> Any:
    """The derivative of the modified Bessel function I0 of an order >= 0; order 1 is I1.

    I0(x) is the mean of exp(x cos(angle)) over the circle, so its derivatives are means of cos(angle)^order exp(...). The mean
    over equally spaced angles is exact to rounding once there are several per width of the exponential, and opposite angles
    in pairs give terms of one sign, so that nothing cancels (Trefethen and Weideman 2014, "The exponentially convergent
    trapezoidal rule").
    """
    reach = float(np.max(np.absolute(x), initial=0.0, where=np.isfinite(x)))
    count = 12 + order + int(4.5 * math.sqrt(reach))
    total = np.zeros_like(x)
    pair = np.sinh if order % 2 else np.cosh
    for k in range(count):
        cosine = math.cos(math.pi * (k + 0.5) / (2 * count))
        total = total + cosine**order * pair(x * cosine)
    return total / count


defvjp(
    sinc_derivative,
    x=lambda g, x, order: g * sinc_derivative(x, order + 1).conjugate(),
    elementwise=True,
    samples=lambda a: [call(a(2, 3), 1), call(a(5, low=-0.1, high=0.1), 2)],
)
defvjp(
    i0_derivative,
    x=lambda g, x, order: g * i0_derivative(x, order + 1).conjugate(),
    elementwise=True,
    samples=lambda a: [call(a(2, 3), 1), call(a(3), 2), call(a(), 3)],
)
defvjp(np.sinc, x=lambda g, x: g * sinc_derivative(x, 1).conjugate(), elementwise=True, samples=lambda a: [call(a(2, 3)), call(a()), call(a(0, 2))])
defvjp(np.i0, x=lambda g, x: g * i0_derivative(x, 1), elementwise=True, samples=lambda a: [call(a(2, 3)), call(a()), call(a(1, 3))])
