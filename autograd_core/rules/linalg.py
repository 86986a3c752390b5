"""Derivatives of matrix functions: inverses, solvers, determinants, Cholesky.

The formulas are those of M. Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
differentiation" (2008); for pseudo-inverses G. Golub and V. Pereyra, "The differentiation of pseudo-inverses and nonlinear
least squares problems whose variables separate" (1973); for Cholesky I. Murray, "Differentiation of the Cholesky decomposition" (2016).
With `adjoint(x)` for the conjugate transpose they hold for complex matrices too, and for stacks of matrices.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_all, for_any
from autograd_core.define.door import composed, constant, defvjp
from autograd_core.define.samples import call
from autograd_core.rules.matrices import adjoint, arrayed, column, hermitian_part, identity_like, precision, times_diagonal
from autograd_core.tensor.handles import plain

constant(np.linalg.matrix_rank)

# --- inverses and solvers ----------------------------------------------------------------------------------------------------

defvjp(
    np.linalg.inv,
    a=lambda g, out: -adjoint(out) @ g @ adjoint(out),
    samples=lambda a: [call(a.square(3)), call(a.square(2, 2)), call(a.square(1)), call(np.zeros((0, 0))), call(a.square(2, 0))],
)


def _solve_a(g: Any, out: Any, a: Any) -> Any:
    if out.ndim == a.ndim - 1:  # right-hand sides are vectors
        g, out = column(g), column(out)
    return -np.linalg.solve(adjoint(a), g) @ adjoint(out)


def _solve_b(g: Any, like: Any, a: Any) -> Any:
    if like.ndim == 1:
        return np.linalg.solve(adjoint(a), column(g)).reshape(g.shape)
    return np.linalg.solve(adjoint(a), g)


defvjp(
    np.linalg.solve,
    a=_solve_a,
    b=_solve_b,
    samples=lambda a: [
        *[call(a.square(3), a(3)), call(a.square(3), a(3, 2)), call(a.square(2, 2), a(2)), call(a.square(2, 2), a(2, 2, 1))],
        *[call(a.square(2), a(3, 2, 2)), call(a.square(2, 2, 1), a(3, 2, 1)), call(a.square(2), a(2, 0)), call(np.zeros((0, 0)), np.zeros(0))],
    ],
)


def _pinv(g: Any, out: Any, a: Any, hermitian: bool) -> Any:
    """Golub and Pereyra. It holds where the rank is constant; where it changes, `pinv` jumps, and has no derivative."""
    p, ph, gh = out, adjoint(out), adjoint(g)
    # Bracketed so that of a tall or wide matrix no product is square in the longer side.
    if a.shape[-2] >= a.shape[-1]:
        result = (gh - a @ (p @ gh)) @ (p @ ph) + ph @ (p @ (gh - gh @ (p @ a))) - ph @ (g @ ph)
    else:
        result = ((gh - (a @ p) @ gh) @ p) @ ph + (ph @ p) @ (gh - (gh @ p) @ a) - (ph @ g) @ ph
    return hermitian_part(result) if hermitian else result


defvjp(
    np.linalg.pinv,
    a=_pinv,
    inert=("rcond", "rtol"),
    hermitian=("a",),
    samples=lambda a: [
        *[call(a(3, 2)), call(a(2, 3)), call(a.square(2)), call(a(2, 3, 2)), call(np.zeros((0, 2))), call(a.definite(2), hermitian=True)],
        *[call(a(3, 2), rcond=1e-10), call(a(3, 2), rtol=1e-10), call(a(3, 2), rtol=None), call(a.complex(3, 2))],
    ],
)


def _cutoff(singular: Any, rank: int) -> float:
    """A relative size between the singular values that make up the rank and the others."""
    if not 0 < rank < singular.shape[0]:
        return 0.0 if rank else 1.0
    return float((singular[rank - 1] + singular[rank]) / (2 * singular[0]))


def _lstsq(g: list[Any], out: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """The gradients of `lstsq` for a and b: of the solution x = a^+ b as in `pinv`, of the residuals, and of the singular values.

    Where a has not full rank, x is the shortest solution and the gradient holds along changes that keep the rank.
    """
    g_solution, g_residuals, _, g_singular = g
    solution = out[0]
    vector = solution.ndim == 1
    x, b = (column(solution), column(b)) if vector else (solution, b)
    ga: Any = 0 * a
    gb: Any = 0 * b
    residual = b - a @ x
    if g_solution is not None:
        gx = column(g_solution) if vector else g_solution
        p = np.linalg.pinv(a, rcond=_cutoff(plain(out[3]), int(out[2])))
        pg, px = adjoint(p) @ gx, adjoint(p) @ x
        ga = ga - pg @ adjoint(x) + residual @ adjoint(p @ pg) + px @ adjoint(gx - adjoint(a) @ pg)
        gb = gb + pg
    if g_residuals is not None and g_residuals.size:
        scaled = 2 * times_diagonal(residual, g_residuals)
        ga = ga - scaled @ adjoint(x)
        gb = gb + scaled
    if g_singular is not None:
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        ga = ga + times_diagonal(u, g_singular) @ vh
    return ga, gb.reshape(gb.shape[:1]) if vector else gb


defvjp(
    np.linalg.lstsq,
    a=lambda g, out, a, b: _lstsq(g, out, a, b)[0],
    b=lambda g, out, a, b: _lstsq(g, out, a, b)[1],
    inert=("rcond",),
    samples=lambda a: [
        *[call(a(4, 2), a(4)), call(a(4, 2), a(4, 3)), call(a(2, 3), a(2)), call(a.square(2), a(2, 2)), call(a(3, 1), a(3, 1), rcond=1e-9)],
        *[call(a.complex(3, 2), a.complex(3)), call(a.complex(4, 2), a.complex(4, 2))],
    ],
)

# --- determinants ------------------------------------------------------------------------------------------------------------


def cofactor(a: Any) -> Any:
    """The derivative of det for each element: det(a) a^-T, and just as well where a is singular.

    a : (..., n, n)
    returns : (..., n, n), differentiable to any order
    """
    values = plain(a)
    good, inverse = _well_conditioned(values)
    if for_all(good):
        return np.linalg.det(a)[..., None, None] * (inverse if a is values else np.linalg.inv(a)).swapaxes(-1, -2)
    if a.ndim == 2:
        return _singular_cofactor(a)
    n = a.shape[-1]
    regular = np.where(good[..., None, None], a, identity_like(a))
    singular = np.flatnonzero(~good)
    matrices = a.reshape((-1, n, n))
    each = np.concatenate((cofactor(regular).reshape((-1, n, n)), np.stack([_singular_cofactor(matrices[i]) for i in singular])))
    order = np.arange(good.size)
    order[singular] = good.size + np.arange(singular.size)
    return each[order].reshape(a.shape)


def _well_conditioned(values: Any) -> tuple[Any, Any]:
    """Which matrices can be inverted with at least half the digits right, and the inverses (None if one has none)."""
    limit = precision(values.dtype) ** 0.5
    try:
        inverse = np.linalg.inv(values)
    except np.linalg.LinAlgError:
        s = np.linalg.svdvals(values)
        return s[..., -1] > limit * s[..., 0], None
    norms = [np.abs(m).sum(axis=-1).max(axis=-1, initial=0.0) for m in (values, inverse)]
    return ~(norms[0] * norms[1] * limit >= 1), inverse  # not <: what is not a number is not singular


def _singular_cofactor(a: Any) -> Any:
    """The cofactors of a matrix (n, n) that is singular, or nearly so.

    Let a = U B V^H with unitary U, V taken from its singular value decomposition, so that B is a diagonal matrix whose last k
    elements are zero or tiny. With the blocks of B, and the Schur complement C = B22 - B21 B11^-1 B12, det B = det B11 det C:
    B11 can be inverted, and the adjugate of the small matrix C is a polynomial.
    """
    u, s, vh = np.linalg.svd(plain(a))
    r = int((s > s[0] * precision(s.dtype) ** 0.5).sum())
    b = adjoint(u) @ a @ adjoint(vh)
    b11, b12, b21, b22 = b[:r, :r], b[:r, r:], b[r:, :r], b[r:, r:]
    inverse = np.linalg.inv(b11)
    adjugate_c, det_c = _adjugate(b22 - b21 @ inverse @ b12)
    right, left = inverse @ b12 @ adjugate_c, adjugate_c @ b21 @ inverse
    top = np.concatenate((det_c * inverse + right @ b21 @ inverse, -right), axis=1)
    adjugate_b = np.linalg.det(b11) * np.concatenate((top, np.concatenate((-left, adjugate_c), axis=1)))
    return (np.linalg.det(u) * np.linalg.det(vh) * (adjoint(vh) @ adjugate_b @ adjoint(u))).T


def _adjugate(a: Any) -> tuple[Any, Any]:
    """The adjugate and the determinant of a small matrix by Faddeev and LeVerrier's recursion: products and sums only."""
    n = a.shape[0]
    identity = identity_like(a)
    m = identity + 0 * a
    trace: Any = None
    for k in range(1, n + 1):
        am = a @ m
        trace = np.einsum("ii", am) / k
        if k < n:
            m = am - trace * identity
    sign = (-1.0) ** (n - 1)
    return sign * m, sign * trace


defvjp(
    np.linalg.det,
    a=lambda g, a: g[..., None, None] * cofactor(a).conjugate(),
    samples=lambda a: [
        *[call(a.square(3)), call(a.square(2, 2)), call(a(1, 1)), call(np.zeros((0, 0))), call(a.square(2, 0)), call(np.zeros((2, 2)))],
        *[call(a(3, 2) @ a(2, 3)), call(np.stack([a(2, 1) @ a(1, 2), a.square(2)])), call(np.zeros((1, 1))), call(a.complex(2, 2))],
        *[call(np.diag([2.0, 0.0, 3.0])), call(np.diag([0.0, 2.0, 0.0]))],
    ],
)


def _slogdet(g: list[Any], out: Any, a: Any) -> Any:
    """The change of log|det a| is Re tr(a^-1 da); the sign of a real matrix is constant, that of a complex one turns by Im tr(a^-1 da).

    Of a singular matrix log|det| is -inf and the gradient cofactor / 0: infinite, as that of log(0).
    """
    g_sign, g_log = g
    sign, log = out
    scale: Any = 0.0 * log if g_log is None else g_log
    if g_sign is not None and sign.dtype.kind == "c":
        scale = scale - 1j * np.imag(g_sign.conjugate() * sign)
    singular = plain(log) == -np.inf
    if not for_any(singular):
        return scale[..., None, None] * adjoint(np.linalg.inv(a))
    which = singular[..., None, None]
    inverse = np.linalg.inv(np.where(which, identity_like(a), a)).swapaxes(-1, -2)
    infinite = cofactor(a) / np.where(which, 0.0, 1.0).astype(log.dtype)
    return scale[..., None, None] * np.where(which, infinite, inverse).conjugate()


defvjp(
    np.linalg.slogdet,
    a=_slogdet,
    samples=lambda a: [call(a.square(3)), call(-a.square(3)), call(a.square(2, 2)), call(a.square(2, 0)), call(a(1, 1)), call(a.complex(2, 2))],
)

# --- Cholesky ----------------------------------------------------------------------------------------------------------------


def _cholesky(g: Any, out: Any, upper: bool) -> Any:
    """L^-H phi(L^H g) L^-1, made Hermitian; phi takes the lower triangle and half the diagonal."""
    factor, g = (adjoint(out), adjoint(g)) if upper else (out, g)
    n = out.shape[-1]
    phi = (np.tri(n) - np.eye(n) / 2).astype(out.dtype)
    # One inverse and two products take a third of the time of two solves, which NumPy does not know to be triangular.
    inverse = np.linalg.inv(factor)
    return hermitian_part(adjoint(inverse) @ (phi * (adjoint(factor) @ g)) @ inverse)


defvjp(
    np.linalg.cholesky,
    a=_cholesky,
    hermitian=("a",),
    samples=lambda a: [
        *[call(a.definite(3)), call(a.definite(2, 2)), call(a.definite(1)), call(np.zeros((0, 0)))],
        *[call(a.definite(3), upper=True), call(a.definite(2, 2), upper=True)],
    ],
)

# --- compositions --------------------------------------------------------------------------------------------------------------


@composed(
    np.linalg.matrix_power,
    samples=lambda a: [*[call(a.square(2), n) for n in (-3, -1, 0, 1, 2, 3, 4, 7)], call(a.square(2, 2), 5), call(a.complex(2, 2), 3)],
)
def _matrix_power(a: Any, n: int) -> Any:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or not hasattr(n, "__index__"):
        return np.linalg.matrix_power(plain(a), n)  # NumPy's error
    n = operator.index(n)
    if n < 0:
        a, n = np.linalg.inv(a), -n
    if n == 0:
        return np.where(False, a, identity_like(a))  # constant, but still on the tape
    if n == 3:
        return (a @ a) @ a
    result = None
    while n:
        n, bit = divmod(n, 2)
        if bit:
            result = a if result is None else result @ a
        if n:
            a = a @ a
    return result


def _chain_splits(sizes: list[int]) -> dict[tuple[int, int], int]:
    """Where to split a chain of matrix products, matrix i being (sizes[i], sizes[i + 1]), so that it costs least.

    The textbook dynamic programme (Cormen et al., "Introduction to Algorithms", 15.2).
    """
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    splits: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            costs = {k: cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)}
            splits[i, j] = min(costs, key=costs.__getitem__)
            cost[i, j] = costs[splits[i, j]]
    return splits


@composed(
    np.linalg.multi_dot,
    samples=lambda a: [
        *[call([a(2, 3), a(3, 2)]), call([a(2, 3), a(3, 1), a(1, 2)]), call((a(2, 3), a(3, 2), a(2, 1), a(1, 3)))],
        *[call([a(3), a(3, 2), a(2)]), call([a(3), a(3, 2), a(2, 2)]), call([a(2, 3), a(3, 2), a(2)]), call([a(3), a(3)])],
        call([a.complex(2, 2), a.complex(2, 3), a(3, 2)]),
    ],
)
def _multi_dot(arrays: Any, *, out: Any = None) -> Any:
    if out is not None:
        raise TypeError("multi_dot: out= is not supported with tensors, which are values; write the result to a name")
    matrices = list(arrays)
    if len(matrices) == 2:
        return np.dot(matrices[0], matrices[1])
    if len(matrices) < 2 or any(m.ndim != 2 for m in matrices[1:-1]):
        return np.linalg.multi_dot(plain(matrices))  # NumPy's error
    first, last = matrices[0].ndim == 1, matrices[-1].ndim == 1
    if first:
        matrices[0] = matrices[0].reshape((1, -1))
    if last:
        matrices[-1] = matrices[-1].reshape((-1, 1))
    splits = _chain_splits([*[m.shape[0] for m in matrices], matrices[-1].shape[1]])

    def product(i: int, j: int) -> Any:
        return matrices[i] if i == j else np.dot(product(i, splits[i, j]), product(splits[i, j] + 1, j))

    result = product(0, len(matrices) - 1)
    shape = result.shape[1:] if first else result.shape
    return result.reshape(shape[:-1] if last else shape) if first or last else result


@composed(
    np.linalg.tensorinv,
    samples=lambda a: [call(a.square(4).reshape(2, 2, 4), ind=2), call(a.square(4).reshape(2, 2, 1, 4)), call(a.square(3), 1)],
)
def _tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    columns = math.prod(a.shape[ind:])
    return np.linalg.inv(a.reshape((columns, -1))).reshape((*a.shape[ind:], *a.shape[:ind]))


@composed(
    np.linalg.tensorsolve,
    samples=lambda a: [
        *[call(a.square(4).reshape(2, 2, 4), a(2, 2)), call(a.square(4).reshape(4, 2, 2), a(4)), call(a.square(2), a(2))],
        call(np.moveaxis(a.square(4).reshape(2, 2, 4), -1, 0), a(2, 2), axes=(0,)),
    ],
)
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = arrayed(a), arrayed(b)
    if axes is not None:
        order = list(range(a.ndim))
        for axis in axes:
            order.remove(axis)
            order.append(axis)
        a = np.transpose(a, order)
    shape = a.shape[b.ndim :]
    rows = math.prod(shape)
    if a.size != rows**2:
        return np.linalg.tensorsolve(plain(a), plain(b))  # NumPy's error
    return np.linalg.solve(a.reshape((rows, rows)), b.reshape((-1,))).reshape(shape)


@composed(
    np.linalg.trace, samples=lambda a: [call(a(2, 3)), call(a(2, 2, 3), offset=1), call(a(2, 3, 3), offset=-1), call(a(2, 2), dtype=np.float64)]
)
def _trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x, offset=offset, axis1=-2, axis2=-1, dtype=dtype)


@composed(np.linalg.diagonal, samples=lambda a: [call(a(2, 3)), call(a(2, 2, 3), offset=1), call(a(2, 3, 3), offset=-1), call(a.complex(2, 2))])
def _diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return np.diagonal(x, offset=offset, axis1=-2, axis2=-1)


composed(np.linalg.matrix_transpose, samples=lambda a: [call(a(2, 3)), call(a(2, 2, 3)), call(a.complex(2, 2))])(np.matrix_transpose)
