"""Derivatives of the elementwise functions: one line each.

`g` is the gradient of the result, `out` the result; everything else is an argument. Real formulas carry `.conj()`, which is
free on real arrays and gives PyTorch's convention on complex ones: the gradient of a real loss is dL/dRe + i dL/dIm.
Broadcasting and dtypes are undone in the sweep. Python scalars only: `math.log(2)`, never `np.log(2)` (NEP 50).
"""

from __future__ import annotations

import math

import numpy as np

from autograd_core.define import constant, defvjp

# --- arithmetic ------------------------------------------------------------------------------------------------------------

defvjp(np.add, x1=lambda g: g, x2=lambda g: g)
defvjp(np.subtract, x1=lambda g: g, x2=lambda g: -g)
defvjp(np.multiply, x1=lambda g, x2: g * x2.conjugate(), x2=lambda g, x1: g * x1.conjugate())
defvjp(np.divide, x1=lambda g, x2: g / x2.conjugate(), x2=lambda g, out, x2: -g * (out / x2).conjugate())
defvjp(np.negative, x=lambda g: -g)
defvjp(np.positive, x=lambda g: g)
defvjp(np.reciprocal, x=lambda g, out: -g * (out * out).conjugate())
defvjp(np.square, x=lambda g, x: 2 * g * x.conjugate())
defvjp(np.tanh, x=lambda g, out: g * (1 - out * out).conjugate())
defvjp(np.sin, x=lambda g, x: g * np.cos(x).conjugate())
defvjp(np.cos, x=lambda g, x: -g * np.sin(x).conjugate())
defvjp(np.exp, x=lambda g, out: g * out.conjugate())
defvjp(np.log, x=lambda g, x: g / x.conjugate())
