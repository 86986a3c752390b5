"""Differentiable linear algebra beyond NumPy: triangular solves, functions of matrices, structured and sparse matrices.

SciPy's own functions convert their arguments with `np.asarray`, which refuses a tracked tensor, so these stand beside them,
with the same names and arguments (the public module is `autograd_core.linalg`). SciPy is imported when one is called.

A function f of a matrix is differentiated by f itself: f of [[A^H, G], [0, A^H]] has the gradient as its upper right block
(N. Higham, "Functions of Matrices", 2008, theorem 3.6), so any order follows.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.define.door import defvjp, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.matrices import adjoint, arrayed, column

__all__ = ["block_diag", "cho_solve", "expm", "logm", "solve_sylvester", "solve_triangular", "sparse_matmul", "sqrtm", "toeplitz"]


def _scipy(name: str) -> Any:
    """SciPy's function of this name, or an error that says how to get SciPy."""
    try:
        module = importlib.import_module("scipy.linalg")
    except ImportError as error:
        raise ImportError(f'linalg.{name} needs SciPy: pip install "autograd-core[scipy]"') from error
    return getattr(module, name)


def _each_matrix(function: Callable[..., Any], *stacks: Any) -> Any:
    """`function` of the matrices of each place in the stacks (..., m, n), whose leading axes broadcast: older SciPy takes matrices only."""
    batch = np.broadcast_shapes(*(stack.shape[:-2] for stack in stacks))
    if not batch:
        return function(*stacks)
    stacks = tuple(np.broadcast_to(stack, batch + stack.shape[-2:]) for stack in stacks)
    results = [function(*(stack[place] for stack in stacks)) for place in np.ndindex(batch)]
    return np.stack(results).reshape(stacks[-1].shape) if results else np.zeros_like(stacks[-1])


# --- triangular systems ------------------------------------------------------------------------------------------------------


@op
def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Any:
    """The solution x of a x = b with triangular `a`, of which the other triangle is not looked at.

    a : (n, n);  b : (n,) or (n, k)
    trans : 0 or 'N' for a x = b, 1 or 'T' for a^T x = b, 2 or 'C' for a^H x = b
    returns : the shape of b
    raises : numpy.linalg.LinAlgError if `a` is singular, ValueError for shapes that do not fit

    >>> import numpy as np
    >>> from autograd_core.linalg import solve_triangular
    >>> solve_triangular(np.array([[2.0, 0.0], [1.0, 1.0]]), np.array([4.0, 5.0]), lower=True)
    array([2., 3.])
    """
    return _scipy("solve_triangular")(a, b, trans=trans, lower=lower, unit_diagonal=unit_diagonal, check_finite=False)


_KIND = {0: "N", 1: "T", 2: "C", "N": "N", "T": "T", "C": "C"}


def _triangular_b(g: Any, a: Any, trans: Any, lower: bool, unit_diagonal: bool) -> Any:
    """Solve with the adjoint of the matrix that was solved with."""
    if _KIND[trans] == "T":
        return solve_triangular(a, g.conjugate(), 0, lower, unit_diagonal).conjugate()
    return solve_triangular(a, g, 0 if _KIND[trans] == "C" else 2, lower, unit_diagonal)


def _triangular_a(g: Any, out: Any, a: Any, trans: Any, lower: bool, unit_diagonal: bool) -> Any:
    gb = _triangular_b(g, a, trans, lower, unit_diagonal)
    if gb.ndim == 1:
        gb, out = column(gb), column(out)
    full = -gb @ adjoint(out)
    full = {"N": full, "T": full.T, "C": adjoint(full)}[_KIND[trans]]
    return np.tril(full, -unit_diagonal) if lower else np.triu(full, +unit_diagonal)


def _triangular_samples(a: Arrays) -> list[Call]:
    return [
        *[call(a.square(3), a(3)), call(a.square(3), a(3, 2), lower=True), call(a.square(2), a(2), trans=1), call(a.square(2), a(2, 1), "T", True)],
        *[call(a.square(2), a(2), unit_diagonal=True), call(a.square(3), a(3), 2, True, True), call(a.complex(2, 2), a.complex(2))],
        *[call(a.complex(2, 2), a.complex(2, 2), trans=trans, lower=True) for trans in "NTC"],
    ]


defvjp(solve_triangular, a=_triangular_a, b=_triangular_b, samples=_triangular_samples)


def cho_solve(c_and_lower: tuple[Any, bool], b: Any) -> Any:
    """The solution x of A x = b, given the Cholesky factor of A: `(np.linalg.cholesky(A), True)`.

    c_and_lower : the factor (n, n), and whether it is the lower one (A = L L^H) or the upper (A = U^H U)
    b : (n,) or (n, k)
    returns : the shape of b
    raises : as `solve_triangular`

    >>> import numpy as np
    >>> from autograd_core.linalg import cho_solve
    >>> A = np.array([[4.0, 2.0], [2.0, 2.0]])
    >>> cho_solve((np.linalg.cholesky(A), True), A @ [1.0, 2.0])
    array([1., 2.])
    """
    c, lower = c_and_lower
    return solve_triangular(c, solve_triangular(c, b, 0 if lower else 2, lower), 2 if lower else 0, lower)


# --- functions of matrices ---------------------------------------------------------------------------------------------------


def _along(function: Callable[[Any], Any], a: Any, direction: Any) -> Any:
    """The derivative of a matrix `function` at `a` (n, n) along `direction`: the upper right block."""
    n = a.shape[-1]
    top = np.concatenate((a, direction), axis=-1)
    bottom = np.concatenate((np.zeros_like(a, dtype=top.dtype), a), axis=-1)
    return function(np.concatenate((top, bottom), axis=-2))[..., :n, n:]


@op
def expm(A: Any) -> Any:
    """The exponential of a matrix: 1 + A + A^2/2 + ...

    A : (..., n, n)
    returns : (..., n, n)
    raises : ValueError if A is not square

    >>> import numpy as np
    >>> from autograd_core.linalg import expm
    >>> expm(np.zeros((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    return _each_matrix(_scipy("expm"), A)


def _matrix_samples(a: Arrays) -> list[Call]:
    return [call(a.square(2)), call(a.square(3)), call(a.square(1)), call(a.square(2, 2)), call(a.square(2) + 0.3j * a(2, 2))]


defvjp(expm, A=lambda g, A: _along(expm, adjoint(A), g), samples=_matrix_samples)


@op
def logm(A: Any) -> Any:
    """The principal logarithm of a matrix: expm(logm(A)) = A, for A without eigenvalues on the negative real axis.

    A : (..., n, n)
    returns : (..., n, n), complex if it has to be
    raises : ValueError if A is not square

    >>> import numpy as np
    >>> from autograd_core.linalg import logm
    >>> logm(np.eye(2))
    array([[0., 0.],
           [0., 0.]])
    """
    return _each_matrix(_scipy("logm"), A)


defvjp(logm, A=lambda g, A: _along(logm, adjoint(A), g), samples=_matrix_samples)


@op
def sqrtm(A: Any) -> Any:
    """The principal square root of a matrix: the X with X X = A whose eigenvalues have no negative real part.

    A : (..., n, n); where it is singular the gradient is infinite, or does not exist
    returns : (..., n, n), complex if it has to be
    raises : ValueError if A is not square

    >>> import numpy as np
    >>> from autograd_core.linalg import sqrtm
    >>> sqrtm(np.diag([4.0, 9.0]))
    array([[2., 0.],
           [0., 3.]])
    """
    return _each_matrix(_scipy("sqrtm"), A)


@op
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """The solution x of a x + x b = q.

    a : (..., m, m);  b : (..., n, n);  q : (..., m, n)
    returns : (..., m, n)
    raises : numpy.linalg.LinAlgError if an eigenvalue of a is minus one of b, ValueError for shapes that do not fit

    >>> import numpy as np
    >>> from autograd_core.linalg import solve_sylvester
    >>> solve_sylvester(np.array([[2.0]]), np.array([[1.0]]), np.array([[6.0]]))
    array([[2.]])
    """
    return _each_matrix(_scipy("solve_sylvester"), a, b, q)


# X dX + dX X = dA for the square root.
defvjp(sqrtm, A=lambda g, out: solve_sylvester(adjoint(out), adjoint(out), g), samples=_matrix_samples)


def _sylvester(g: Any, a: Any, b: Any) -> Any:
    return solve_sylvester(adjoint(a), adjoint(b), g)


defvjp(
    solve_sylvester,
    a=lambda g, out, a, b: -_sylvester(g, a, b) @ adjoint(out),
    b=lambda g, out, a, b: -adjoint(out) @ _sylvester(g, a, b),
    q=_sylvester,
    samples=lambda a: [
        *[call(a.square(2), a.square(3), a(2, 3)), call(a.square(2), a.square(1), a(2, 1)), call(a.square(2, 2), a.square(2, 2), a(2, 2, 2))],
        call(a.square(2) + 0.2j * a(2, 2), a.square(2), a.complex(2, 2)),
    ],
)

# --- structured and sparse matrices --------------------------------------------------------------------------------------------


def block_diag(*arrs: Any) -> Any:
    """The matrix with the arrays on its diagonal, one after the other, and zeros elsewhere.

    arrs : (m_i, n_i); a vector counts as a row
    returns : (sum of m_i, sum of n_i)
    raises : ValueError for arrays of more than two dimensions

    >>> import numpy as np
    >>> from autograd_core.linalg import block_diag
    >>> block_diag(np.array([[1.0, 2.0]]), np.array([[3.0]]))
    array([[1., 2., 0.],
           [0., 0., 3.]])
    """
    blocks = [np.atleast_2d(arrayed(array)) for array in arrs] or [np.zeros((1, 0))]
    if any(block.ndim > 2 for block in blocks):
        raise ValueError(f"block_diag: arrays have shapes {', '.join(str(b.shape) for b in blocks)}; at most two dimensions are expected")
    width, rows, left = sum(block.shape[1] for block in blocks), [], 0
    for block in blocks:
        m, n = block.shape
        rows.append(np.concatenate((np.zeros((m, left), block.dtype), block, np.zeros((m, width - left - n), block.dtype)), axis=1))
        left += n
    return np.concatenate(rows, axis=0)


def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix with constant diagonals: c is its first column, r its first row.

    c : (m,);  r : (n,), of which r[0] is not looked at; by default the conjugate of c
    returns : (m, n), where [i, j] is c[i - j] if i >= j, else r[j - i]
    raises : ValueError if c or r is not one-dimensional

    >>> import numpy as np
    >>> from autograd_core.linalg import toeplitz
    >>> toeplitz(np.array([1.0, 2.0]), np.array([0.0, 3.0, 4.0]))
    array([[1., 3., 4.],
           [2., 1., 3.]])
    """
    c = arrayed(c)
    r = c.conjugate() if r is None else arrayed(r)
    if c.ndim != 1 or r.ndim != 1:
        raise ValueError(f"toeplitz: one-dimensional c and r are expected, not of shapes {c.shape} and {r.shape}")
    m, n = len(c), len(r)
    return np.concatenate((c[::-1], r[1:]))[np.arange(m)[::-1, None] + np.arange(n)]


@op
def sparse_matmul(matrix: Any, x: Any) -> Any:
    """The product of a SciPy sparse matrix, which is constant, with an array or tensor.

    matrix : (m, n), any of SciPy's sparse formats
    x : (n,) or (n, k), dense. For x @ matrix write `sparse_matmul(matrix.T, x.T).T`
    returns : (m,) or (m, k)
    raises : ValueError for shapes that do not fit

    >>> import numpy as np, scipy.sparse
    >>> from autograd_core.linalg import sparse_matmul
    >>> sparse_matmul(scipy.sparse.csr_array([[0.0, 2.0]]), np.array([1.0, 3.0]))
    array([6.])
    """
    return matrix @ x


def _sparse_samples(a: Arrays) -> list[Call]:
    sparse = importlib.import_module("scipy.sparse")
    matrix = sparse.csr_array(np.array([[0.0, 1.5, 0.0], [2.0, 0.0, -1.0]]))
    return [call(matrix, a(3)), call(matrix, a(3, 2)), call(matrix.tocsc(), a(3, 1)), call(matrix * (1 + 2j), a.complex(3)), call(matrix, a(3, 0))]


defvjp(sparse_matmul, x=lambda g, matrix: sparse_matmul(matrix.conjugate().T, g), linear=True, samples=_sparse_samples)
