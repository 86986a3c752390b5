"""Differentiate what is defined by an equation: roots and fixed points, by the implicit function theorem.

If F(x, a) = 0, then dx/da = -(dF/dx)^-1 dF/da, however x was found: the iterations are not recorded, take no memory, and may
be anybody's. The solution's gradient g goes back as w = -(dF/dx)^-T g through one evaluation of F at the solution, to all that
F depends on: the arguments, and tensors that F refers to by itself, such as a module's parameters. w is itself the solution
of a (linear) equation, which gives every higher order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import BatchingError
from autograd_core.arrays.duals import refuse_tangents
from autograd_core.arrays.layers import ArrayLayer
from autograd_core.arrays.trees import flatten, leaves_like
from autograd_core.tape.mode import NOT_RECORDING, current_mode, enable_grad, no_grad
from autograd_core.tape.node import next_number
from autograd_core.tensor.backward import partial_gradients
from autograd_core.tensor.calls import References, function_op, nodes_before, record_call
from autograd_core.tensor.handles import raw
from autograd_core.tensor.tensor import Tensor, tensor
from autograd_core.transforms.evaluation import is_nested
from autograd_core.transforms.krylov import gmres

__all__ = ["fixed_point", "root"]

Residual = Callable[[Any], Any]
_DENSE = 200  # unknowns, up to which the Jacobian is formed and factored


def root(
    function: Callable[..., Any],
    start: Any,
    *args: Any,
    solver: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    tolerance: float | None = None,
    steps: int = 100,
) -> Any:
    """The x near `start` with function(x, *args) = 0, differentiable with respect to `args`.

    function   of x and `args`, giving as many numbers as x has; x may be a container, then so is the value
    solver     `(residual, start) -> x` on plain arrays (n,), instead of the built-in damped Newton method
    tolerance  on the largest residual, relative to that at `start` (or 1); by default near the dtype's rounding
    raises     RuntimeError if the residual does not become that small in `steps` steps, ValueError for a value of another size

    >>> import autograd_core as ag
    >>> ag.root(lambda x, a: x ** 2 - a, 1.0, 4.0)
    np.float64(2.0)
    >>> ag.grad(lambda a: ag.root(lambda x, a: x ** 2 - a, 1.0, a))(4.0)
    np.float64(0.25)
    """
    problem = _Problem("root", function, start, args)
    accuracy = problem.accuracy(tolerance)
    with no_grad():
        solution = solver(problem.plain, problem.start) if solver is not None else _newton(problem, accuracy, steps)
    return problem.answer(np.array(raw(solution), dtype=problem.dtype).reshape(problem.start.shape))


def fixed_point(
    function: Callable[..., Any],
    start: Any,
    *args: Any,
    solver: Callable[[Callable[[Any], Any], Any], Any] | None = None,
    tolerance: float | None = None,
    steps: int = 1000,
) -> Any:
    """The x with x = function(x, *args) that iterating from `start` leads to, differentiable with respect to `args`.

    Arguments and errors as in `root`; `solver` is given the function (of x alone) instead of a residual.

    >>> import numpy as np, autograd_core as ag
    >>> f = lambda a: ag.fixed_point(lambda x, a: np.cos(x) * a, 1.0, a)
    >>> bool(abs(f(1.0) - 0.7390851332151607) < 1e-12)
    True
    >>> x = f(1.0)
    >>> bool(abs(ag.grad(f)(1.0) - np.cos(x) / (1 + np.sin(x))) < 1e-12)
    True
    """

    def residual(x: Any, *args: Any) -> Any:
        leaves, rebuild = flatten(x)
        images = leaves_like(function(x, *args), x, "fixed_point: the function gives")
        return rebuild([a - b for a, b in zip(leaves, images, strict=True)])

    problem = _Problem("fixed_point", residual, start, args)
    accuracy = problem.accuracy(tolerance)
    with no_grad():
        if solver is not None:
            solution = solver(lambda x: x - problem.plain(x), problem.start)
        else:
            solution = _iterate(problem, accuracy, steps)
    return problem.answer(np.array(raw(solution), dtype=problem.dtype).reshape(problem.start.shape))


class _Problem:
    """A residual F of one vector x, made of the user's function of whatever container.

    start  the container's numbers as a vector (n,), or the array itself if it is just one
    """

    def __init__(self, what: str, function: Callable[..., Any], start: Any, args: Sequence[Any]) -> None:
        refuse_tangents(what)  # before anything is solved: it is evaluated again
        self.what = what
        self.function = function
        self.args = args
        leaves, self.rebuild = flatten(start)
        arrays = [np.asarray(raw(leaf.detach() if isinstance(leaf, Tensor) else leaf)) for leaf in leaves]
        for a in arrays:
            if a.dtype.kind != "f":
                raise TypeError(f"{what}: the start has to be of real floats, not {a.dtype}; write 1.0 instead of 1")
        self.single = len(arrays) == 1
        self.shapes = [a.shape for a in arrays]
        self.start = arrays[0].copy() if self.single else np.concatenate([a.ravel() for a in arrays])
        self.dtype = self.start.dtype
        self.differentiated = is_nested() or any(isinstance(leaf, Tensor) for leaf in flatten([list(args), start])[0])

    def unpack(self, x: Any) -> Any:
        """The user's container around the parts of the vector x."""
        if self.single:
            return self.rebuild([x])
        parts, at = [], 0
        for shape in self.shapes:
            n = int(np.prod(shape, dtype=int))
            parts.append(x[at : at + n].reshape(shape))
            at += n
        return self.rebuild(parts)

    def residual(self, x: Any) -> Any:
        """F(x), recorded if x or an argument is tracked."""
        parts = flatten(self.function(self.unpack(x), *self.args))[0]
        if self.single and len(parts) == 1:
            found = parts[0]
        else:
            found = np.concatenate([p.reshape(-1) if hasattr(p, "reshape") else np.reshape(p, -1) for p in parts])
        if np.shape(found) != np.shape(x):
            raise ValueError(f"{self.what}: the function gives shape {np.shape(found)} for an unknown of shape {np.shape(x)}; they have to be equal")
        return found if isinstance(found, Tensor) else tensor(found)

    def plain(self, x: Any) -> Any:
        """F(x) of a plain array, as one."""
        with no_grad():
            value = self.residual(tensor(np.asarray(x, dtype=self.dtype).reshape(self.start.shape)))._array
        if isinstance(value, ArrayLayer):
            raise BatchingError(f"{self.what} cannot be mapped (ag.vmap), as each element takes steps of its own; solve for all as one unknown")
        return value

    def accuracy(self, tolerance: float | None) -> float:
        return 64 * float(np.finfo(self.dtype).eps) if tolerance is None else tolerance

    def answer(self, solution: Any) -> Any:
        """The solution in the user's container: tensors where something is differentiated, else arrays."""
        found = _recorded_solution(solution[()], self.residual)
        return self.unpack(found if self.differentiated or found.requires_grad else found._array)


# --- the derivative ------------------------------------------------------------------------------------------------------------


def _recorded_solution(solution: Any, residual_of: Residual) -> Tensor:
    """The root `solution` of F, as a tensor that depends on all that F refers to."""
    if current_mode() is NOT_RECORDING:
        return tensor(solution)
    start = next_number()
    captured = nodes_before(start, [residual_of(tensor(solution))])
    if not captured:
        return tensor(solution)
    equation = (residual_of, captured, References("root, fixed_point: the equation", captured))
    (found,) = record_call(_solution, [], [solution], equation, captured)
    return found


def _rule(g: Any, out: Any, call: Any) -> list[Any]:
    """The gradients -g^T (dF/dx)^-1 dF/da for all a that F depends on, by one evaluation of F."""
    residual_of, captured, references = call
    references.check()
    recorded = isinstance(g, Tensor)
    with enable_grad():
        # A variable of its own in a recorded pass too; what is computed from it depends on the solution all the same.
        x = +out if recorded else tensor(np.array(out), requires_grad=True)
        value = residual_of(x)
        w: Any = -_transposed_solve(_Pull(value, x), raw(g))
        if recorded:
            pull = _Pull(value, x)
            w = _recorded_solution(w, lambda w: pull(w, create_graph=True) + g)
        # It ends at x too: from there a way leads back to what F depends on.
        return partial_gradients([value], [*captured, x.node], [w], create_graph=recorded)[:-1]


_solution = function_op("solution of an equation", _rule)


class _Pull:
    """The map w -> (dF/dx)^T w, where `value` is F(x)."""

    def __init__(self, value: Tensor, x: Tensor) -> None:
        self.value, self.x = value, x

    def __call__(self, w: Any, create_graph: bool = False) -> Any:
        found = partial_gradients([self.value], [self.x.node], [w], create_graph=create_graph)[0]
        zeros = np.zeros_like(self.x._array)
        return (tensor(zeros) if create_graph else zeros) if found is None else found

    def flat(self, v: Any) -> Any:
        """The same for vectors (n,)."""
        return np.ravel(self(v.reshape(self.x.shape)))


def _transposed_solve(pull: _Pull, g: Any) -> Any:
    """(dF/dx)^-T g, for plain arrays."""
    b = np.ravel(g)
    if b.size <= _DENSE:
        columns = [pull.flat(unit) for unit in np.eye(b.size, dtype=b.dtype)]
        solved = _solved(np.stack(columns, axis=1), b) if columns else b
    else:
        solved = gmres(pull.flat, b, 16 * float(np.finfo(b.dtype).eps))
    return solved.reshape(np.shape(g))[()]


def _solved(matrix: Any, b: Any) -> Any:
    try:
        return np.linalg.solve(matrix, b)
    except np.linalg.LinAlgError:
        raise RuntimeError(
            "root: the Jacobian of the equation is singular at the solution (a double root, or one that is not isolated), so the "
            "solution has no derivative there"
        ) from None


# --- finding the solution ------------------------------------------------------------------------------------------------------


def _iterate(problem: _Problem, accuracy: float, steps: int) -> Any:
    """x, f(x), f(f(x)), ... until it stands still."""
    x = problem.start
    moved = np.inf
    for _ in range(steps):
        following = x - problem.plain(x)
        moved = np.max(np.abs(following - x), initial=0.0)
        x = following
        if moved <= accuracy * max(1.0, float(np.max(np.abs(x), initial=0.0))):
            return x
        if not np.isfinite(moved):
            break
    raise RuntimeError(
        f"fixed_point: after {steps} steps x still moves by {moved:.2g}; give more steps, a larger tolerance, a better start, or "
        "write it as a root: ag.root(lambda x: x - f(x), start)"
    )


def _newton(problem: _Problem, accuracy: float, steps: int) -> Any:
    """Newton's method, with steps halved until the residual falls; a last step takes what rounding allows."""
    x = problem.start
    value = problem.plain(x)
    size = np.linalg.norm(value)
    enough = accuracy * max(1.0, float(size))
    for _ in range(steps):
        good = size <= enough
        step = _newton_step(problem, x, value) if size else np.zeros_like(x)
        for halvings in range(1 if good else 40):
            trial = x - step * 0.5**halvings
            there = problem.plain(trial)
            if np.linalg.norm(there) < size:
                break
        else:
            break
        x, value = trial, there
        size = np.linalg.norm(value)
        if good:
            break
    if size <= enough:
        return x
    raise RuntimeError(f"root: the residual is still {size:.2g} after {steps} Newton steps; give a better start, or a solver of your own")


def _newton_step(problem: _Problem, x: Any, value: Any) -> Any:
    """(dF/dx)^-1 F(x)."""
    with enable_grad():
        variable = tensor(x, requires_grad=True)
        pull = _Pull(problem.residual(variable), variable)
        b = np.ravel(value)
        if b.size <= _DENSE:
            rows = [pull.flat(unit) for unit in np.eye(b.size, dtype=b.dtype)]
            return _solved(np.stack(rows), b).reshape(x.shape) if rows else value
        probe = tensor(np.zeros_like(value), requires_grad=True)  # pull is linear in it, so its gradient is the map itself
        pulled = pull(probe, create_graph=True)

        def product(v: Any) -> Any:
            return np.ravel(partial_gradients([pulled], [probe.node], [v.reshape(x.shape)], create_graph=False)[0])

        return gmres(product, b, 1e-6).reshape(x.shape)
