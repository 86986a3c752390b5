"""Differentiable linear algebra beyond NumPy's: SciPy's functions under their own names. They need the extra `scipy`."""

from autograd_core.rules.scipy_linalg import (
    block_diag,
    cho_solve,
    expm,
    logm,
    solve_sylvester,
    solve_triangular,
    sparse_matmul,
    sqrtm,
    toeplitz,
)

__all__ = ["block_diag", "cho_solve", "expm", "logm", "solve_sylvester", "solve_triangular", "sparse_matmul", "sqrtm", "toeplitz"]
