"""Sparse Jacobians and Hessians by colouring: as many products as colours, not as many as there are inputs or outputs.

Columns that have no row in common can share one product J v, because each element of it belongs to just one of them (Curtis,
Powell & Reid 1974); rows that have no column in common can share one u^T J. A tridiagonal Jacobian of any size takes three.
The pattern may be given, or detected: blocks of columns are halved again and again, and the blocks that share no row are
probed together, which takes about log2(n) times as many products, once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.tensor.tensor import Tensor
from autograd_core.tensor.transformed import transform
from autograd_core.transforms.evaluation import Call, Linearised
from autograd_core.transforms.transforms import grad

__all__ = ["sparse_hessian", "sparse_jacobian", "sparsity"]


def _scipy_sparse() -> Any:
    try:
        import scipy.sparse
    except ImportError:
        raise ImportError("sparse Jacobians need SciPy: pip install autograd-core[scipy]") from None
    return scipy.sparse


class _Evaluation:
    """A function of one array at one point, and products with its Jacobian as vectors."""

    def __init__(self, what: str, function: Callable[..., Any], x: Any, args: tuple[Any, ...]) -> None:
        self.call = Call(what, function, (x, *args), {}, [0])
        if self.call.nested:
            raise TypeError(f"{what}: its result is a SciPy array, through which no gradient flows; pass plain arrays, outside of other transforms")
        if len(self.call.variables) != 1 or len(self.call.tensors) != 1:
            raise TypeError(f"{what}: the function must take and return one array; join the parts with np.concatenate")
        if any(t.dtype.kind != "f" for t in (*self.call.variables, *self.call.tensors)):
            raise TypeError(f"{what}: the function must take and return real floats")
        self.output, self.input = self.call.tensors[0], self.call.variables[0]
        self._linear: Linearised | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self.output.size, self.input.size

    def push(self, v: Any) -> Any:
        """J v."""
        if self._linear is None:
            self._linear = Linearised(self.call)
        return _array(self._linear([v.astype(self.input.dtype).reshape(self.input.shape)], create_graph=False)[0])

    def pull(self, u: Any) -> Any:
        """u^T J."""
        return _array(self.call.pull([u.astype(self.output.dtype).reshape(self.output.shape)], create_graph=False, retain_graph=True)[0])


def _array(t: Tensor) -> Any:
    return np.ravel(t._array)


# --- colours -------------------------------------------------------------------------------------------------------------------


def _colours(pattern: Any) -> Any:
    """A colour for each column of a (m, n) pattern, such that columns of one colour have no row in common.

    Greedy, columns with the most elements first; banded patterns get as few colours as there are bands.
    """
    by_column = pattern.tocsc()
    n = pattern.shape[1]
    colours = np.full(n, -1)
    order = np.argsort(-np.diff(by_column.indptr), kind="stable")
    start, rows_of = by_column.indptr.tolist(), by_column.indices.tolist()
    used: list[set[int]] = [set() for _ in range(pattern.shape[0])]  # colours in each row so far
    for column in order.tolist():
        rows = rows_of[start[column] : start[column + 1]]
        colour = 0
        taken = set().union(*(used[row] for row in rows)) if rows else set()
        while colour in taken:
            colour += 1
        colours[column] = colour
        for row in rows:
            used[row].add(colour)
    return colours


def _as_pattern(pattern: Any, shape: tuple[int, int], what: str) -> Any:
    sparse = _scipy_sparse()
    found = sparse.csr_array(pattern)
    if found.shape != shape:
        raise ValueError(f"{what}: a pattern of shape {found.shape} for a Jacobian of {shape[0]} outputs and {shape[1]} inputs")
    return sparse.csr_array((np.ones(found.nnz, dtype=bool), found.indices, found.indptr), shape=shape)


def _fewest(pattern: Any) -> tuple[bool, Any]:
    """Whether to colour rows instead of columns, and the colours. A row's elements all differ in colour, so its length is a bound."""
    per_row, per_column = np.diff(pattern.indptr), np.bincount(pattern.indices, minlength=pattern.shape[1])
    longest_row, longest_column = per_row.max(initial=0), per_column.max(initial=0)
    by_rows = longest_column <= longest_row  # rows are coloured at the cost of a plain vjp each: first choice
    colours = _colours(pattern.T if by_rows else pattern)
    if min(longest_row, longest_column) < colours.max(initial=-1) + 1 > (longest_row if by_rows else longest_column):
        others = _colours(pattern if by_rows else pattern.T)
        if others.max(initial=-1) < colours.max(initial=-1):
            return not by_rows, others
    return by_rows, colours


# --- the pattern ---------------------------------------------------------------------------------------------------------------


def sparsity(function: Callable[..., Any], x: Any, *args: Any, seed: int = 0) -> Any:
    """Where df/dx is not zero: a boolean SciPy array (f(x).size, x.size).

    It is found from derivatives at a point near x, moved at random by about 1 % so that x = 0 is not taken for independence. An
    element that vanishes there but not elsewhere (a branch not taken) is missed: give its pattern yourself.

    >>> import numpy as np, autograd_core as ag
    >>> ag.sparsity(lambda x: np.diff(x) ** 2, np.zeros(4)).toarray().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    _scipy_sparse()
    rng = np.random.default_rng(seed)
    x = np.asarray(x)
    near = (x + 0.01 * (1 + np.abs(x)) * rng.uniform(-1, 1, x.shape)).astype(x.dtype)
    return _pattern(_Evaluation("sparsity", function, near, args), rng)


def _pattern(at: _Evaluation, rng: Any) -> Any:
    """Where the derivative of an evaluation is not zero: blocks of columns that are not zero, halved down to single ones."""
    sparse = _scipy_sparse()
    m, n = at.shape
    size = 1 << max(0, n - 1).bit_length()  # columns per block
    blocks = sparse.csr_array(np.ones((m, 1 if n else 0), dtype=bool))
    while size > 1 and n:
        size //= 2
        old = blocks.tocoo()
        count = -(-n // size)
        rows, halves = np.concatenate([old.row, old.row]), np.concatenate([2 * old.col, 2 * old.col + 1])
        inside = halves < count
        blocks = _probed(at, rows[inside], halves[inside], count, size, rng)
    if n == 1:
        blocks = _probed(at, np.arange(m), np.zeros(m, dtype=int), 1, 1, rng)
    return blocks


def _probed(at: _Evaluation, rows: Any, blocks: Any, count: int, size: int, rng: Any) -> Any:
    """Which of the candidates (row, block of `size` columns) are really not zero."""
    sparse = _scipy_sparse()
    m, n = at.shape
    candidates = sparse.csr_array((np.ones(len(rows), dtype=bool), (rows, blocks)), shape=(m, count))
    colours = _colours(candidates)
    keep = np.zeros(len(rows), dtype=bool)
    of_column = colours[np.arange(n) // size]
    for colour in range(colours.max(initial=-1) + 1):
        pushed = at.push(np.where(of_column == colour, rng.uniform(0.5, 1.5, n), 0.0))
        mine = colours[blocks] == colour
        keep[mine] = pushed[rows[mine]] != 0  # nan counts as dependent
    return sparse.csr_array((np.ones(int(keep.sum()), dtype=bool), (rows[keep], blocks[keep])), shape=(m, count))


# --- what users call -----------------------------------------------------------------------------------------------------------


@transform
def sparse_jacobian(function: Callable[..., Any], pattern: Any = None) -> Callable[..., Any]:
    """A function that returns df/dx as a SciPy array in CSR format, of shape (f(x).size, x.size).

    function  of one real array (and others that are not differentiated), giving one
    pattern   anything that SciPy makes a sparse array of, not zero where df/dx may be; if not given, detected by `sparsity` at the
              first call and for each new shape of x, and widened where a product with the result shows that it misses something
    raises    ValueError if such a product shows that a given pattern misses something; ImportError without SciPy

    >>> import numpy as np, autograd_core as ag
    >>> ag.sparse_jacobian(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0])).toarray()
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    known: dict[Any, tuple[Any, bool, Any]] = {}

    @functools.wraps(function)
    def differentiated(x: Any, *args: Any) -> Any:
        at = _Evaluation("sparse_jacobian", function, x, args)
        key = (np.shape(x), at.shape)
        if key not in known:
            found = sparsity(function, x, *args) if pattern is None else _as_pattern(pattern, at.shape, "sparse_jacobian")
            known[key] = (found, *_fewest(found))
        try:
            return _filled(at, *known[key])
        except _PatternError:
            if pattern is not None:
                raise
        # Another branch than at the first point, or a kink, as in np.maximum(x[1:], x[:-1]) at zeros: what is not zero here belongs to it too.
        found = known[key][0] + _pattern(at, np.random.default_rng(0))
        known[key] = (found, *_fewest(found))
        return _filled(at, *known[key])

    return differentiated


class _PatternError(ValueError):
    """A pattern that misses elements."""


def _filled(at: _Evaluation, pattern: Any, by_rows: bool, colours: Any) -> Any:
    """The Jacobian with this pattern, from a product for each colour, and one more to check it."""
    sparse = _scipy_sparse()
    entries = pattern.tocoo()
    values = np.zeros(entries.nnz, dtype=at.output.dtype)
    mine, place = (entries.row, entries.col) if by_rows else (entries.col, entries.row)
    for colour in range(colours.max(initial=-1) + 1):
        product = (at.pull if by_rows else at.push)((colours == colour).astype(float))
        here = colours[mine] == colour
        values[here] = product[place[here]]
    result = sparse.csr_array((values, (entries.row, entries.col)), shape=at.shape)
    _check(at, result)
    return result


def _check(at: _Evaluation, result: Any) -> None:
    """Raise if u^T J is not what it should be: an element outside of the pattern has been added to another one, or left out."""
    u = np.random.default_rng(1).uniform(0.5, 1.5, at.shape[0]).astype(at.output.dtype)
    expected = at.pull(u)
    size = abs(result).T @ u
    wrong = np.abs(result.T @ u - expected) > np.finfo(at.output.dtype).eps ** 0.5 * (size + np.abs(expected))  # rounding within rules is far below
    if wrong.any():
        raise _PatternError(
            f"sparse_jacobian: the pattern misses elements, for instance in column {int(np.argmax(wrong))}; give one that has all that may "
            "be other than zero (ag.sparsity finds one at a given point), or use ag.jacobian"
        )


@transform
def sparse_hessian(function: Callable[..., Any], pattern: Any = None) -> Callable[..., Any]:
    """A function that returns the second derivatives of a real-valued `function` as a SciPy array (x.size, x.size); see `sparse_jacobian`.

    >>> import numpy as np, autograd_core as ag
    >>> ag.sparse_hessian(lambda x: np.sum((x[1:] - x[:-1]) ** 2))(np.zeros(3)).toarray()
    array([[ 2., -2.,  0.],
           [-2.,  4., -2.],
           [ 0., -2.,  2.]])
    """
    return functools.wraps(function)(sparse_jacobian(grad(function), pattern))
