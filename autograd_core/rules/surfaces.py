"""Polynomials in two variables: numpy.polynomial's polyval2d and polygrid2d, by Horner's rule in each variable."""

from __future__ import annotations

from typing import Any

from numpy.polynomial.polynomial import polygrid2d, polyval2d

from autograd_core.define.door import composed
from autograd_core.define.samples import call
from autograd_core.rules.matrices import arrayed

__all__: list[str] = []


def _horner(x: Any, c: Any, *, grid: bool) -> Any:
    """c[0] + c[1] x + c[2] x^2 + ...; on a grid each coefficient meets each x, else they broadcast."""
    if grid:
        c = c.reshape(c.shape + (1,) * x.ndim)
    value = c[-1] + 0 * x
    for k in reversed(range(len(c) - 1)):
        value = c[k] + value * x
    return value


@composed(
    polyval2d, samples=lambda a: [call(a(4), a(4), a(3, 2)), call(a(2, 3), a(2, 3), a(1, 3)), call(a(), a(), a(2, 2)), call(a(3), a(3), a(2, 2, 2))]
)
def _polyval2d(x: Any, y: Any, c: Any) -> Any:
    x, y, c = arrayed(x), arrayed(y), arrayed(c)
    if x.shape != y.shape:
        raise ValueError(f"polyval2d: x of shape {x.shape} and y of shape {y.shape} must have the same shape")
    return _horner(y, _horner(x, c, grid=True), grid=False)


@composed(polygrid2d, samples=lambda a: [call(a(4), a(3), a(3, 2)), call(a(2), a(2, 2), a(1, 3)), call(a(), a(2), a(2, 2))])
def _polygrid2d(x: Any, y: Any, c: Any) -> Any:
    x, y, c = arrayed(x), arrayed(y), arrayed(c)
    return _horner(y, _horner(x, c, grid=True), grid=True)
