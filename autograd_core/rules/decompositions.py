"""Derivatives of matrix decompositions: eigenvalues and -vectors, singular values and vectors, QR.

Sources: M. Giles, "Collected matrix derivative results" (2008); J. Townsend, "Differentiating the singular value decomposition"
(2016); M. Seeger et al., "Auto-differentiating linear algebra" (2017) for QR; Z.-Q. Wan and S.-X. Zhang, "Automatic
differentiation for complex valued SVD" (2019). Each works in the basis of the vectors: with P = U^H dA V, the change of the
vectors is given by P divided by differences of (squared) values, elementwise, so equal values leave it undetermined: the gradient is then nan
and a RuntimeWarning names the cause. Complex vectors are determined up to a phase: see `matrices.phase_correction`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.layers import for_any
from autograd_core.define.door import defvjp
from autograd_core.define.samples import call
from autograd_core.rules.equal_values import Decomposition, are_zero, equal_pairs, size_of
from autograd_core.rules.matrices import (
    adjoint,
    differences,
    gaps,
    hermitian_part,
    largest,
    off_diagonal,
    phase_correction,
    precision,
    times_diagonal,
)
from autograd_core.tape.plan import OUT
from autograd_core.tape.table import TABLE
from autograd_core.tensor.handles import plain
from autograd_core.tensor.passes import ASKS_FOR_GRAPH

# --- Hermitian matrices ------------------------------------------------------------------------------------------------------


def _turn(vectors: Any, g: Any) -> Any:
    """How a loss with gradient `g` changes when each vector (a column) is turned in the complex plane."""
    return np.imag((vectors.conjugate() * g).sum(axis=-2))


def _hermitian_decomposition(v: Any, function: str = "eigh", vectors: Any = None, signs: Any = 1.0) -> Decomposition:
    fixed = plain(v)
    places: dict[str, int | None] = {"eigh": 0, "eigvalsh": None} if function == "eigh" else {"svd": 1}
    return Decomposition(
        function,
        "eigenvalues" if function == "eigh" else "singular values",
        v if vectors is None else vectors,
        places,
        lambda c: times_diagonal(fixed, c) @ adjoint(fixed),
        signs,
    )


def _eigh(g: list[Any], out: Any, UPLO: str) -> Any:
    return _eigh_rule(g, out, UPLO, None)


def _eigh_rule(g: list[Any], out: Any, UPLO: str, decomposition: Decomposition | None) -> Any:
    """V (diag(g_w) + V^H g_V / (w_j - w_i)) V^H; of V^H g_V the anti-Hermitian part, as the result is Hermitian."""
    g_values, g_vectors = g
    w, v = out
    result: Any = None
    if g_vectors is not None:
        if v.dtype.kind == "c":
            row = 0 if UPLO.upper() == "L" else v.shape[-1] - 1  # LAPACK's zheevd makes the first, or last, element real
            rows = (np.arange(v.shape[-1]) == row)[:, None]
            correction = phase_correction(_turn(v, g_vectors), [g_vectors], v, rows, "eigh")
            g_vectors = g_vectors if correction is None else g_vectors - correction
        x = adjoint(v) @ g_vectors
        turns = (x - adjoint(x)) / 2
        equal = equal_pairs(w)
        if for_any(equal):
            decomposition = decomposition or _hermitian_decomposition(v)
            turns = decomposition.divided(turns, differences(w), equal, size_of(x))
        else:
            turns = turns / differences(w)
        result = v @ off_diagonal(turns) @ adjoint(v)
    if g_values is not None:
        values = times_diagonal(v, g_values) @ adjoint(v)
        result = values if result is None else result + values
    return hermitian_part(result)


defvjp(
    np.linalg.eigh,
    a=_eigh,
    hermitian=("a",),
    samples=lambda a: [
        *[call(a.definite(3)), call(a.definite(3), UPLO="U"), call(a.definite(2, 2)), call(a(1, 1)), call(np.zeros((2, 0, 0)))],
        *[call(hermitian_part(a.definite(3) + 1j * a(3, 3)), UPLO=uplo) for uplo in "LU"],
    ],
)
defvjp(
    np.linalg.eigvalsh,
    a=lambda g, a, UPLO: (lambda v: hermitian_part(times_diagonal(v, g) @ adjoint(v)))(np.linalg.eigh(a, UPLO)[1]),
    hermitian=("a",),
    samples=lambda a: [call(a.definite(3)), call(a.definite(3), UPLO="U"), call(a.definite(2, 2)), call(a(1, 1)), call(np.zeros((0, 0)))],
)

# --- general square matrices -------------------------------------------------------------------------------------------------


def _eig(g: list[Any], out: Any) -> Any:
    """V^-H (diag(g_w) + V^H g_V / conj(w_j - w_i)) V^H, with g_V less its part along each vector, whose length is fixed."""
    g_values, g_vectors = g
    w, v = out
    inner: Any = 0.0
    if g_vectors is not None:
        along = np.real((v.conjugate() * g_vectors).sum(axis=-2))
        projected = g_vectors - times_diagonal(v, along)
        if v.dtype.kind == "c":
            correction = phase_correction(_turn(v, g_vectors), [g_vectors], v, _largest(plain(v)), "eig")
            projected = projected if correction is None else projected - correction
        inner = off_diagonal(adjoint(v) @ projected / gaps(w, "eig", "eigenvalues").conjugate())
    if g_values is not None:
        inner = inner + np.where(np.eye(w.shape[-1], dtype=bool), g_values[..., None, :], 0.0)
    return np.linalg.solve(adjoint(v), inner @ adjoint(v))


def _largest(v: Any) -> Any:
    """Marks the largest element of each column, which LAPACK's geev makes real; of several as large, one that is real."""
    size = np.abs(v)
    if not v.size:
        return size > 0
    real = (v.imag == 0) & (size >= size.max(axis=-2, keepdims=True) * (1 - 1e-6))
    return np.arange(v.shape[-2])[:, None] == (size + real).argmax(axis=-2)[..., None, :]


def _eigvals(g: Any, out: Any, a: Any) -> Any:
    """V^-H diag(g) V^H."""
    w, v = np.linalg.eig(a)
    found, order = plain(w), plain(out)
    if not np.allclose(found, order):  # computed without vectors, the eigenvalues may come in another order
        g = np.take_along_axis(g, np.abs(found[..., :, None] - order[..., None, :]).argmin(axis=-1), axis=-1)
    return np.linalg.solve(adjoint(v), g[..., :, None] * adjoint(v))


def _rotation(a: Any, n: int) -> Any:
    """A real matrix with complex eigenvalues."""
    return a.square(n) + 3 * np.eye(n, k=1) - 3 * np.eye(n, k=-1)


_EIG_SAMPLES = lambda a: [
    *[call(a.square(3)), call(_rotation(a, 2)), call(_rotation(a, 3)), call(a.square(2, 2)), call(a(1, 1)), call(np.zeros((0, 0)))],
    call(a.complex(2, 2)),
]

defvjp(np.linalg.eig, a=_eig, samples=_EIG_SAMPLES)
defvjp(np.linalg.eigvals, a=_eigvals, samples=_EIG_SAMPLES)

# --- singular values -----------------------------------------------------------------------------------------------------------


def _free_of_basis(vectors: Any, g: Any) -> None:
    """Refuse a loss that depends on which basis of the null space `full_matrices=True` happens to return."""
    v, g = plain(vectors), plain(g)
    inner = v.conj().swapaxes(-1, -2) @ g
    if largest(inner - inner.conj().swapaxes(-1, -2)) > precision(v.dtype) ** 0.5 * largest(g):
        raise RuntimeError(
            "svd: the loss depends on the basis of the null space that full_matrices=True returns, which is arbitrary; use full_matrices=False"
        )


def _thin(vectors: Any, g: Any, k: int) -> tuple[Any, Any]:
    """The first k vectors, and the gradient for them: the others turn as the first ones do, to stay orthogonal."""
    first, rest = vectors[..., :k], vectors[..., k:]
    if g is None or rest.shape[-1] == 0:
        return first, None if g is None else g[..., :k]
    _free_of_basis(rest, g[..., k:])
    return first, g[..., :k] - rest @ (adjoint(g[..., k:]) @ first)


def _outside(vectors: Any, x: Any) -> Any:
    """The part of `x` orthogonal to the columns of `vectors`."""
    return x - vectors @ (adjoint(vectors) @ x)


def _phases(u: Any, gu: Any, s: Any, v: Any, gv: Any) -> tuple[Any, Any, Any]:
    """For complex vectors: gu and gv corrected for the phases that LAPACK chooses, and what is added to the diagonal of P.

    zgesdd leaves the first element of each right vector real, or of each left one if the matrix is wide; a common phase
    of both is arbitrary, the difference of their phases is not (Wan and Zhang).
    """
    turn_u = 0.0 * s if gu is None else _turn(u, gu)
    turn_v = 0.0 * s if gv is None else _turn(v, gv)
    wide = u.shape[-2] < v.shape[-2]
    side = u if wide else v
    rows = (np.arange(side.shape[-2]) == 0)[:, None]
    correction = phase_correction(turn_u + turn_v, [gu, gv], side, rows, "svd")
    if correction is not None and wide:
        gu = -correction if gu is None else gu - correction
    elif correction is not None:
        gv = -correction if gv is None else gv - correction
    return gu, gv, 1j * (-turn_v if wide else turn_u) / s


def _svd(g: Any, out: Any, a: Any, full_matrices: bool, compute_uv: bool, hermitian: bool) -> Any:
    if not compute_uv:
        return _svdvals(g, a, hermitian)
    gu, gs, gvh = g
    u, s, vh = out
    if hermitian:
        return _svd_hermitian(gu, gs, gvh, u, s, vh)
    k = s.shape[-1]
    v = adjoint(vh)
    (u, gu), (v, gv) = _thin(u, gu, k), _thin(v, None if gvh is None else adjoint(gvh), k)
    diagonal: Any = gs
    if u.dtype.kind == "c" and (gu is not None or gv is not None):
        gu, gv, turned = _phases(u, gu, s, v, gv)
        diagonal = turned if gs is None else gs + turned
    fixed_u, fixed_v = plain(u), plain(v)
    decomposition = Decomposition(
        "svd", "singular values", out[0], {"svd": 1, "svdvals": None}, lambda c: times_diagonal(fixed_u, c) @ adjoint(fixed_v)
    )
    inner: Any = 0.0
    if gu is not None or gv is not None:
        inner = _svd_turns(u, gu, s, v, gv, decomposition)
    if diagonal is not None:
        inner = inner + np.where(np.eye(k, dtype=bool), diagonal[..., None, :], 0.0)
    result = u @ inner @ adjoint(v)
    zero = are_zero(s)
    if gu is not None and u.shape[-2] > k:
        result = result + decomposition.divided_by_zeros(_outside(u, gu), s, zero, size_of(gu)) @ adjoint(v)
    if gv is not None and v.shape[-2] > k:
        result = result + u @ adjoint(decomposition.divided_by_zeros(_outside(v, gv), s, zero, size_of(gv)))
    return result


def _svd_turns(u: Any, gu: Any, s: Any, v: Any, gv: Any, decomposition: Decomposition) -> Any:
    """(s_j T_U + s_i T_V) / (s_j^2 - s_i^2) with T = X - X^H and X = U^H g_U, or V^H g_V.

    It is half of (T_U + T_V) / (s_j - s_i) + (T_U - T_V) / (s_j + s_i), which are 0 / 0 where the values are equal, or both 0.
    """
    x_u, x_v = (0.0 if g is None else adjoint(vectors) @ g for vectors, g in ((u, gu), (v, gv)))
    turns_u, turns_v = (x if isinstance(x, float) else x - adjoint(x) for x in (x_u, x_v))
    scale = size_of(*(x for x in (x_u, x_v) if not isinstance(x, float)))
    equal, zero = equal_pairs(s), are_zero(s)
    both = zero[..., None, :] & zero[..., :, None]
    apart, sums = turns_u + turns_v, turns_u - turns_v
    apart = decomposition.divided(apart, differences(s), equal, scale) if for_any(equal) else apart / differences(s)
    sums = decomposition.divided(sums, _sums(s), both & equal, scale, of_sums=True) if for_any(both & equal) else sums / _sums(s)
    return off_diagonal((apart + sums) / 2)


def _sums(s: Any) -> Any:
    """The sums s[i] + s[j] (..., k, k)."""
    return s[..., None, :] + s[..., :, None]


def _svd_hermitian(gu: Any, gs: Any, gvh: Any, u: Any, s: Any, vh: Any) -> Any:
    """Singular values are the sizes of eigenvalues, right vectors the left ones with their signs: as `eigh`."""
    sign = np.sign(np.real(plain(vh) @ plain(u)).diagonal(0, -2, -1))
    vectors = gu
    if gvh is not None:
        right = times_diagonal(adjoint(gvh), sign)
        vectors = right if gu is None else gu + right
    return _eigh_rule([None if gs is None else gs * sign, vectors], (s * sign, u), "L", _hermitian_decomposition(u, "svd", u, sign))


def _svdvals(g: Any, a: Any, hermitian: bool = False) -> Any:
    u, _, vh = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    result = times_diagonal(u, g) @ vh
    return hermitian_part(result) if hermitian else result


defvjp(
    np.linalg.svd,
    a=_svd,
    hermitian=("a",),
    samples=lambda a: [
        *[call(a(3, 2), full_matrices=False), call(a(2, 3), full_matrices=False), call(a(4, 2), False), call(a(2, 2, 2), full_matrices=False)],
        *[call(a.square(3)), call(a(3, 2), compute_uv=False), call(a(2, 3), compute_uv=False), call(a.square(2, 2)), call(a(1, 1))],
        *[call(a.definite(3), hermitian=True), call(-a.definite(2), hermitian=True), call(a.definite(2), compute_uv=False, hermitian=True)],
        *[call(a.complex(3, 2), full_matrices=False), call(a.complex(2, 3), full_matrices=False), call(a.complex(2, 2))],
    ],
)
defvjp(np.linalg.svdvals, x=lambda g, x: _svdvals(g, x), samples=lambda a: [call(a(3, 2)), call(a(2, 3)), call(a(2, 2, 2)), call(a(1, 2))])

# --- QR ------------------------------------------------------------------------------------------------------------------------


def _qr(g: Any, out: Any, a: Any, mode: str) -> Any:
    """Seeger et al. for tall matrices; the columns of a wide one beyond the square part follow from Q, R = Q^H A."""
    if mode == "r":
        q, r = np.linalg.qr(a)
        gq, gr = None, g
    elif mode in ("reduced", "complete"):
        q, r = out
        gq, gr = g
    else:
        raise TypeError(f"qr: mode={mode!r} has no derivative rule; use 'reduced', 'complete' or 'r'")
    rows, columns = a.shape[-2:]
    if mode == "complete" and rows > columns:
        if gq is not None:
            gq = _completed(gq, q, columns)
        q, r = q[..., :columns], r[..., :columns, :]
        gr = None if gr is None else gr[..., :columns, :]
    if rows >= columns:
        return _qr_tall(gq, gr, q, r)
    right = a[..., rows:]
    gq, gr = (0.0 * q if gq is None else gq), (0.0 * r if gr is None else gr)
    gq = gq + right @ adjoint(gr[..., rows:])
    return np.concatenate((_qr_tall(gq, gr[..., :rows], q, r[..., :rows]), q @ gr[..., rows:]), axis=-1)


def _qr_tall(gq: Any, gr: Any, q: Any, r: Any) -> Any:
    """(g_Q + Q copyltu(M)) R^-H with M = R g_R^H - g_Q^H Q; copyltu mirrors the lower triangle."""
    m: Any = (0.0 if gr is None else r @ adjoint(np.triu(gr))) - (0.0 if gq is None else adjoint(gq) @ q)
    lower = m * (np.tri(m.shape[-1]) - np.eye(m.shape[-1]) / 2).astype(m.dtype)
    mirrored = q @ (lower + adjoint(lower))
    return adjoint(np.linalg.solve(r, adjoint(mirrored if gq is None else gq + mirrored)))


def _completed(g: Any, q: Any, k: int) -> Any:
    """The gradient for the first k columns of a complete Q, from that of all.

    LAPACK's Q is a product of Householder reflections, I - V T V^H. Its first columns are Q1 = E - V T V1^H, so
    V T = (E - Q1) V1^-H, and the others follow: Q2 = E2 + (E - Q1) (I - Q11)^-H Q21^H, with Q11, Q21 the top and bottom of Q1
    and E, E2 the first and last columns of I (the reconstruction of Ballard et al., 2014). This is differentiated.
    """
    q1, g1, g2 = q[..., :k], g[..., :k], g[..., k:]
    identity = np.eye(q.shape[-2], k, dtype=q.dtype)
    bottom = q1[..., k:, :]
    z = np.linalg.inv(adjoint(np.eye(k, dtype=q.dtype) - q1[..., :k, :]))
    y = identity - q1
    gz = adjoint(y) @ g2 @ bottom
    extra = np.concatenate((z @ adjoint(gz) @ z, adjoint(g2) @ y @ z), axis=-2)
    return g1 - g2 @ bottom @ adjoint(z) + extra


defvjp(
    np.linalg.qr,
    a=_qr,
    samples=lambda a: [
        *[call(a(m, n), mode=mode) for m, n in ((3, 2), (2, 2), (2, 3), (4, 2)) for mode in ("reduced", "complete", "r")],
        *[call(a(3, 3)), call(a(2, 3, 2)), call(a(2, 2, 3)), call(a(2, 3, 2), mode="complete"), call(a.complex(3, 2)), call(a.complex(2, 3))],
    ],
)


# --- equal values ----------------------------------------------------------------------------------------------------------------


def _has_equal(place: int) -> Any:
    """Whether a node with vectors has equal values, which stand at `place` of its results: then its rules ask the graph for limits."""

    def asks(node: Any) -> bool:
        out = next((saved for save, saved in zip(node.plan.saves, node.links[node.plan.arity :], strict=False) if save == OUT), None)
        return isinstance(out, tuple | list) and (for_any(equal_pairs(out[place])) or (place == 1 and for_any(are_zero(out[place]))))

    return asks


ASKS_FOR_GRAPH[TABLE[np.linalg.eigh]] = _has_equal(0)
ASKS_FOR_GRAPH[TABLE[np.linalg.svd]] = _has_equal(1)
