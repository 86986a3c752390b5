"""Numeric derivatives for tests of functions that have no table row of their own."""

from __future__ import annotations

import numpy as np


def numeric_gradient(function, a, step=1e-6):
    """Central differences of a real function, element by element."""
    a = np.asarray(a)
    gradient = np.zeros(a.shape, a.dtype)
    for where in np.ndindex(a.shape):
        for unit in (1.0, 1j) if a.dtype.kind == "c" else (1.0,):
            up, down = a.copy(), a.copy()
            up[where] += unit * step
            down[where] -= unit * step
            gradient[where] += unit * (function(up) - function(down)) / (2 * step)
    return gradient
