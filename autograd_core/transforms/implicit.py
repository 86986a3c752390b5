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

from autograd_core.arrays.duals import refuse_tangents
from autograd_core.arrays.layers import ArrayLayer, for_all, for_any
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
    raises     RuntimeError if no solution is found in `steps` steps, ValueError for a value of another size

    Inside `ag.vmap` each element has a solution of its own; all are looked for together.

    >>> import autograd_core as ag
    >>> ag.root(lambda x, a: x ** 2 - a, 1.0, 4.0)
    np.float64(2.0)
    >>> ag.grad(lambda a: ag.root(lambda x, a: x ** 2 - a, 1.0, a))(4.0)
    np.float64(0.25)
    """
    problem = _Problem("root", function, start, args)
    accuracy = problem.accuracy(tolerance)
    with no_grad():
        if solver is None:
            solution = _newton(problem, accuracy, steps)
        else:
            solution = problem.fitted(solver(problem.plain, problem.start))
            _check_solution(problem, solution, np.sqrt(problem.accuracy(None)) if tolerance is None else tolerance)
    return problem.answer(solution)


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
            solution = problem.fitted(solver(lambda x: x - problem.plain(x), problem.start))
            _check_solution(problem, solution, np.sqrt(problem.accuracy(None)) if tolerance is None else tolerance)
        else:
            solution = _iterate(problem, accuracy, steps)
    return problem.answer(solution)


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
        arrays = [_as_array(raw(leaf.detach() if isinstance(leaf, Tensor) else leaf)) for leaf in leaves]
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
        """F(x) of a plain array, as one; inside `ag.vmap` of one for each element."""
        with no_grad():
            return self.residual(tensor(self.fitted(x)))._array

    def fitted(self, x: Any) -> Any:
        """A solver's x in the start's shape and dtype."""
        return _as_array(raw(x)).astype(self.dtype).reshape(self.start.shape)

    def accuracy(self, tolerance: float | None) -> float:
        return 64 * float(np.finfo(self.dtype).eps) if tolerance is None else tolerance

    def answer(self, solution: Any) -> Any:
        """The solution in the user's container: tensors where something is differentiated, else arrays."""
        found = _recorded_solution(solution[()], self.residual)
        return self.unpack(found if self.differentiated or found.requires_grad else found._array)


def _as_array(value: Any) -> Any:
    return value if isinstance(value, ArrayLayer) else np.asarray(value)


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
        x = +out if recorded else tensor(out.copy(), requires_grad=True)
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


# Inside `ag.vmap` all elements go on until the last has arrived: what is decided is decided for all of them (`for_all`).


def _iterate(problem: _Problem, accuracy: float, steps: int) -> Any:
    """x, f(x), f(f(x)), ... until it stands still."""
    x = problem.start
    moved: Any = np.inf
    for _ in range(steps):
        following = x - problem.plain(x)
        moved = np.max(np.abs(following - x), initial=0.0)
        x = following
        if for_all(moved <= accuracy * np.maximum(1.0, np.max(np.abs(x), initial=0.0))):
            return x
        if not for_all(np.isfinite(moved)):
            break
    raise RuntimeError(
        f"fixed_point: no solution was found: after {steps} steps x still moves by {_largest(moved):.2g}; give more steps, a larger tolerance, a "
        "better start, or write it as a root: ag.root(lambda x: x - f(x), start)"
    )


def _newton(problem: _Problem, accuracy: float, steps: int) -> Any:
    """Newton's method, with steps halved until the residual falls; a last step takes what rounding allows."""
    x = problem.start
    value = problem.plain(x)
    size = np.linalg.norm(value)
    enough = accuracy * np.maximum(1.0, size)
    step: Any = np.zeros_like(x)
    for _ in range(steps):
        good = for_all(size <= enough)
        step = _newton_step(problem, x, value) if for_any(size != 0) else np.zeros_like(x)
        x, value, now = _with_less_residual(problem, x, value, size, step, halvings=1 if good else 40)
        improved = for_any(now < size)
        size = now
        if good or not improved:
            break
    if not for_all(size <= enough):
        raise RuntimeError(_no_solution(size, f"after {steps} Newton steps, or where no step makes it smaller", start=problem.start))
    if not for_all(np.linalg.norm(step) <= _STILL * np.maximum(1.0, np.linalg.norm(x))):
        raise RuntimeError(_no_solution(size, f"and x still moves by {_largest(np.linalg.norm(step)):.2g} in a step, as if it lay at infinity"))
    return x


def _with_less_residual(problem: _Problem, x: Any, value: Any, size: Any, step: Any, halvings: int) -> tuple[Any, Any, Any]:
    """(x, F(x), its norm) after `step`, halved until the norm is below `size`; for each element of a batch by itself."""
    least = size
    for halving in range(halvings):
        trial = x - step * 0.5**halving
        there = problem.plain(trial)
        norm = np.linalg.norm(there)
        if for_all(norm < size) and halving == 0:
            return trial, there, norm
        taken = (norm < size) & (least >= size)
        if for_any(taken):
            # Where it is taken, x is trial; elsewhere the step is still to be halved from where it was.
            x, value, least = np.where(taken, trial, x), np.where(taken, there, value), np.where(taken, norm, least)
            step = np.where(taken, 0.0, step)
        if for_all(least < size):
            break
    return x, value, least


_STILL = 0.01  # of x (or of 1): a step that is longer, where the residual is small, tells that there is no solution at hand


def _check_solution(problem: _Problem, solution: Any, tolerance: float) -> None:
    """RuntimeError if what a user's solver found is no solution, so that a derivative would be that of nothing."""
    size = np.linalg.norm(problem.plain(solution))
    if not for_all(size <= tolerance * np.maximum(1.0, np.linalg.norm(problem.plain(problem.start)))):
        raise RuntimeError(
            f"{problem.what}: the solver returned no solution, the residual there is {_largest(size):.2g}; its x has to solve the equation, as "
            "the derivative is that of a solution (tolerance= says how well)"
        )


def _no_solution(size: Any, where: str, start: Any = None) -> str:
    if start is not None and not for_all(np.isfinite(size)):
        return "root: no solution was found: the residual is not finite at the start; give a start at which the function is defined"
    return (
        f"root: no solution was found near the start: the residual is still {_largest(size):.2g} {where}; the equation may have none; give a better "
        "start, or a solver of your own"
    )


def _largest(number: Any) -> float:
    """The largest over a batch."""
    while isinstance(number, ArrayLayer):
        number = number.primary
    return float(np.max(number))


def _newton_step(problem: _Problem, x: Any, value: Any) -> Any:
    """(dF/dx)^-1 F(x)."""
    with enable_grad():
        variable = tensor(x, requires_grad=True)
        pull = _Pull(problem.residual(variable), variable)
        b = np.ravel(value)
        if b.size <= _DENSE:
            rows = [pull.flat(unit) for unit in np.eye(b.size, dtype=b.dtype)]
            if not rows:
                return value
            matrix = np.stack(rows)
            try:
                return np.linalg.solve(matrix, b).reshape(x.shape)
            except np.linalg.LinAlgError:
                # On the way to a solution a step of least length does; where there is none, it does not make the residual smaller.
                return (np.linalg.pinv(matrix) @ b).reshape(x.shape) if for_all(np.isfinite(matrix)) else np.zeros_like(x)
        probe = tensor(np.zeros_like(value), requires_grad=True)  # pull is linear in it, so its gradient is the map itself
        pulled = pull(probe, create_graph=True)

        def product(v: Any) -> Any:
            return np.ravel(partial_gradients([pulled], [probe.node], [v.reshape(x.shape)], create_graph=False)[0])

        return gmres(product, b, 1e-6).reshape(x.shape)
