"""Small pieces that the rules of linear algebra are written with: adjoints, diagonals, triangles, and the warnings."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_any
from autograd_core.tensor.handles import plain

__all__ = [
    "adjoint",
    "arrayed",
    "column",
    "differences",
    "gaps",
    "hermitian_part",
    "identity_like",
    "largest",
    "off_diagonal",
    "phase_correction",
    "precision",
    "times_diagonal",
]


def adjoint(x: Any) -> Any:
    """The conjugate transpose of each matrix of `x`."""
    return x.conjugate().swapaxes(-1, -2)


def hermitian_part(x: Any) -> Any:
    """(x + x^H) / 2: the gradient of a function that is given Hermitian matrices, by one triangle."""
    return (x + adjoint(x)) / 2


def arrayed(x: Any) -> Any:
    """`x`, as an array if it was given as a number or a list."""
    return x if hasattr(x, "shape") else np.asarray(x)


def column(x: Any) -> Any:
    """(..., n) as (..., n, 1)."""
    return x.reshape((*x.shape, 1))


def times_diagonal(x: Any, diagonal: Any) -> Any:
    """`x @ diag(diagonal)`: each column of (..., m, n) times an element of (..., n)."""
    return x * diagonal.reshape((*diagonal.shape[:-1], 1, diagonal.shape[-1]))


def identity_like(x: Any) -> Any:
    """The identity matrix for square matrices (..., n, n), as a plain array of x's dtype."""
    return np.eye(x.shape[-1], dtype=x.dtype)


def off_diagonal(x: Any) -> Any:
    """`x` (..., n, n) with zeros on the diagonal, whatever stood there: 0 / 0 too."""
    return np.where(np.eye(x.shape[-1], dtype=bool), 0.0, x)


def precision(dtype: Any) -> float:
    """The machine epsilon of a dtype, as a Python number (NEP 50: a NumPy one would promote float32)."""
    return float(np.finfo(dtype).eps)


def differences(values: Any) -> Any:
    """The differences values[j] - values[i] (..., n, n); 1 on the diagonal."""
    return values[..., None, :] - values[..., :, None] + np.eye(values.shape[-1], dtype=values.dtype)


def gaps(values: Any, function: str, what: str) -> Any:
    """The differences values[j] - values[i] (..., n, n) by which rules for eigenvectors divide; 1 on the diagonal.

    Vectors that belong to equal values are determined up to a rotation only and have no derivative. Equal are values that
    rounding could have made different: their difference would be noise, a gradient divided by it a wrong number. It is nan
    instead, and a RuntimeWarning says why.
    """
    fixed = plain(values)
    n = fixed.shape[-1]
    noise = n * precision(fixed.dtype) * np.abs(fixed).max(axis=-1, initial=0.0)[..., None, None]
    equal = (np.abs(fixed[..., None, :] - fixed[..., :, None]) <= noise) & ~np.eye(n, dtype=bool)
    result = values[..., None, :] - values[..., :, None] + np.eye(n, dtype=fixed.dtype)
    if not for_any(equal):
        return result
    warnings.warn(
        f"{function}: some {what} are equal, so their vectors are not determined and the gradient through them is nan; "
        "perturb the matrix, or use functions of it that do not depend on the choice of vectors",
        RuntimeWarning,
        stacklevel=2,
    )
    return np.where(equal, math.nan, result)


def largest(*arrays: Any) -> float:
    """The largest absolute value in any of `arrays`, of which some may be None."""
    return max((float(np.abs(plain(array)).max(initial=0.0)) for array in arrays if array is not None), default=0.0)


def phase_correction(turn: Any, gradients: Sequence[Any], vectors: Any, rows: Any, function: str) -> Any:
    """What to subtract from the gradient of complex unit `vectors` (..., m, n) because LAPACK makes one element of each real.

    turn : (..., n) real, how the loss changes when a vector is turned by e^(it)
    gradients : those that `turn` was computed from: what of it is rounding
    rows : (..., m, n) or (m, 1) bool, marks the element of each vector that should be real
    raises : RuntimeError if the loss depends on the phases, and this LAPACK does not choose them so

    A vector times a phase is as good; a loss that does not depend on the phase needs no correction.
    """
    fixed, size = plain(vectors), np.abs(plain(turn))
    scale = largest(*gradients)
    # All zero is the probe of a derivative in forward mode: the rule has to be the linear map that it is elsewhere.
    depends = (size > precision(fixed.dtype) ** (2 / 3) * scale) | (scale == 0)
    if not depends.any():
        return None
    marked = np.where(rows, fixed, 0.0).sum(axis=-2)
    arbitrary = (np.abs(marked.imag) > 100 * precision(fixed.dtype)) | (marked.real == 0)
    if scale and arbitrary[depends].any():
        raise RuntimeError(
            f"{function}: the loss depends on the phase of complex vectors, which is arbitrary; use functions of them that do not, "
            "such as np.abs(v) or v @ v.conj().T"
        )
    depends = depends & ~arbitrary
    real = np.real(np.where(rows, vectors, 0.0).sum(axis=-2))
    angle = np.where(depends, turn / np.where(depends, real, 1.0), 0.0)
    return np.where(rows, 1j * angle[..., None, :], 0.0)
