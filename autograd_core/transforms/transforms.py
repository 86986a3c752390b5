"""Functions of functions: `grad(f)`, `vjp`, `jvp`, `jacobian`, `hessian`, `hvp`.

They take and return plain arrays, floats and containers of them, work on functions written with `np.*`, and nest. Each call
makes variables of its own for the inputs. An input that is itself a tracked tensor (because an outer transform differentiates
through this one) is linked to its variable by a recorded identity, so the outer derivative finds its way, and because
variables are nodes and not marks on values, derivatives with respect to different ones cannot be confused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.duals import ForwardModeError
from autograd_core.arrays.trees import flatten, leaves_like
from autograd_core.tensor.backward import gradients_of
from autograd_core.tensor.tensor import Tensor
from autograd_core.tensor.transformed import transform
from autograd_core.transforms.evaluation import (
    Call,
    DualCall,
    Linearised,
    fitting_tangent,
    is_nested,
    keeps_tensors,
    positions_of,
    separate,
    zeros_of,
)
from autograd_core.transforms.jacobians import jacobian_blocks

__all__ = ["elementwise_grad", "gauss_newton_vp", "grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "stop_gradient", "value_and_grad", "vjp"]


@transform
def value_and_grad(
    function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, *, allow_unused: bool = True
) -> Callable[..., Any]:
    """A function that returns `(f(x), df/dx)`.

    argnums       which positional arguments to differentiate; a sequence gives a tuple of gradients
    has_aux       the function returns `(value, anything)`; the result is then `((value, anything), gradient)`
    allow_unused  whether the value need not depend on an argument, whose gradient is zeros then
    raises        TypeError if the value is not one real number, or an argument is of an integer dtype; RuntimeError for an
                  unused argument with allow_unused=False

    An argument may be a tuple, list, dict or dataclass of arrays; its gradient is the same container of gradients.
    Of plain arrays the results are plain arrays, so constants for a backward pass through tracked tensors that f refers to by
    itself. To train those on a derivative (a physics-informed loss), pass tensors: `ag.grad(f)(ag.tensor(x))` is tracked.
    `scipy.optimize.minimize(ag.value_and_grad(f), x0, jac=True)` works as it is.

    >>> import numpy as np, autograd_core as ag
    >>> ag.value_and_grad(lambda x: np.sum(x ** 2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        positions = positions_of(argnums, args, "grad")
        aux: list[Any] = []

        def value_only(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError(f"grad: with has_aux the function must return (value, anything), it returned a {type(result).__name__}")
            value, extra = result
            aux.append(extra)
            return value

        call = Call("grad", value_only if has_aux else function, args, kwargs, positions)
        output = call.scalar()
        one = np.ones_like(output._array)
        gradients = call.pull([one], create_graph=call.recorded, retain_graph=call.recorded, allow_unused=allow_unused)
        found = call.rebuild_inputs([call.result(g) for g in gradients])
        value = call.value()
        return (value, _untracked(aux[0], call)) if has_aux else value, tuple(found) if isinstance(argnums, Iterable) else found[0]

    return differentiated


def _untracked(aux: Any, call: Call) -> Any:
    leaves, rebuild = flatten(aux)
    return rebuild([call.result(leaf) for leaf in leaves])


@transform
def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, *, allow_unused: bool = True) -> Callable[..., Any]:
    """A function that returns the gradient df/dx of a real-valued `function`; arguments as in `value_and_grad`.

    With `has_aux` it returns `(gradient, anything)`.

    >>> import numpy as np, autograd_core as ag
    >>> ag.grad(np.tanh)(0.0)
    np.float64(1.0)
    >>> ag.grad(ag.grad(lambda x: x ** 3))(2.0)
    np.float64(12.0)
    """
    both = value_and_grad(function, argnums, has_aux, allow_unused=allow_unused)

    @functools.wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return differentiated


@transform
def elementwise_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the derivative of an elementwise `function` at each element: d(sum f)/dx.

    >>> import numpy as np, autograd_core as ag
    >>> ag.elementwise_grad(np.square)(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    def summed(*args: Any, **kwargs: Any) -> Any:
        return np.sum(function(*args, **kwargs))

    return functools.wraps(function)(grad(summed, argnums))


def vjp(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """`(f(*args), back)`, where `back(cotangent)` is the tuple of cotangent^T df/d(arg).

    cotangent : in the structure, shapes and dtypes of the function's value

    `back` may be called often, and can be differentiated with respect to the cotangent.

    >>> import numpy as np, autograd_core as ag
    >>> y, back = ag.vjp(lambda x: x ** 2, np.array([1.0, 2.0]))
    >>> back(np.array([1.0, 10.0]))
    (array([ 2., 40.]),)
    """
    call = Call("vjp", function, args, {}, range(len(args)))

    def back(cotangent: Any) -> tuple[Any, ...]:
        cotangents = leaves_like(cotangent, call.output, "vjp: cotangent")
        cotangents = [c.astype(t.dtype) if getattr(c, "dtype", t.dtype).kind in "biu" else c for c, t in zip(cotangents, call.tensors, strict=True)]
        nested, recorded = _how_asked(call, cotangents)
        gradients = call.pull(cotangents, create_graph=recorded, retain_graph=True)
        return tuple(call.rebuild_inputs([g if nested else call.result(g) for g in gradients]))

    return call.own_value(), back


def jvp(function: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`(f(*args), df/d(args) applied to tangents)`: the directional derivative.

    tangents : in the structure and shapes of `args`

    >>> import numpy as np, autograd_core as ag
    >>> ag.jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    given = leaves_like(tuple(tangents), tuple(args), "jvp: tangents")
    if DualCall.applies(args, given):
        try:
            dual = DualCall("jvp", function, tuple(args), {}, range(len(args)), given)
            found = separate([*map(dual.result, dual.tensors), *map(dual.derivative, dual.tensors)], given)
            return dual.rebuild_output(found[: len(dual.tensors)]), dual.rebuild_output(found[len(dual.tensors) :])
        except ForwardModeError:
            pass  # where a value becomes something that carries no derivative, both ways back do it
    call = Call("jvp", function, tuple(args), {}, range(len(args)))
    given = [fitting_tangent(t, v, "jvp") for t, v in zip(given, call.variables, strict=True)]
    nested = call.nested or any(isinstance(t, Tensor) for t in given)
    pushed = Linearised(call)(given, create_graph=nested)
    return call.value(), call.rebuild_output([p if nested else call.result(p) for p in pushed])


def linearize(function: Callable[..., Any], *args: Any) -> tuple[Any, Callable[..., Any]]:
    """`(f(*args), push)`, where `push(*tangents)` is df/d(args) applied to tangents, without evaluating the function again.

    tangents : in the structure and shapes of `args`

    >>> import numpy as np, autograd_core as ag
    >>> y, push = ag.linearize(lambda x: x ** 2, np.array([1.0, 2.0]))
    >>> push(np.array([1.0, 0.0])), push(np.array([0.0, 1.0]))
    (array([2., 0.]), array([0., 4.]))
    """
    call = Call("linearize", function, args, {}, range(len(args)))
    linear = Linearised(call)

    def push(*tangents: Any) -> Any:
        given = leaves_like(tangents, args, "linearize: tangents")
        given = [fitting_tangent(t, v, "linearize") for t, v in zip(given, call.variables, strict=True)]
        nested, recorded = _how_asked(call, given)
        pushed = linear(given, create_graph=recorded)
        return call.rebuild_output([p if nested else call.result(p) for p in pushed])

    return call.own_value(), push


def _how_asked(call: Call, given: Sequence[Any]) -> tuple[bool, bool]:
    """Whether the results of a derivative at `given`, asked for after `call`, have to be tensors, and whether they have to be recorded.

    Inside a map they are tensors, of batches; but the variables of an evaluation outside of any transform nobody can differentiate by.
    """
    recorded = call.recorded or is_nested() or any(isinstance(part, Tensor) and part.requires_grad for part in given)
    return recorded or call.nested or keeps_tensors() or any(isinstance(part, Tensor) for part in given), recorded


@transform
def jacobian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns df/dx of shape `f(x).shape + x.shape`.

    Backward from all output elements at once, or forward from all input elements, whichever are fewer: the passes of one for
    each are made as one, on batches of gradients (in parts, if these would be large). Containers as values and arguments give
    containers: of the value's structure, in each place of which stands the argument's. Of complex numbers: a real value has
    df/dRe + i df/dIm, as with `grad`, a complex value of complex numbers the complex derivative; ValueError if it has none.

    >>> import numpy as np, autograd_core as ag
    >>> ag.jacobian(lambda x: np.array([[0.0, 1.0], [1.0, 0.0]]) @ x ** 2)(np.array([1.0, 2.0]))
    array([[0., 4.],
           [2., 0.]])
    """

    @functools.wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        positions = positions_of(argnums, args, "jacobian")
        call, blocks = jacobian_blocks(function, args, kwargs, positions)
        per_output = [call.rebuild_inputs([call.result(b) for b in row]) for row in blocks]
        per_output = [tuple(row) if isinstance(argnums, Iterable) else row[0] for row in per_output]
        return call.rebuild_output(per_output)

    return differentiated


@transform
def hessian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of `function`, of shape `f(x).shape + x.shape + x.shape`.

    Containers as values and arguments give containers, as in `jacobian`.

    >>> import numpy as np, autograd_core as ag
    >>> ag.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 2.0]))
    array([[4., 6.],
           [6., 0.]])
    >>> ag.hessian(lambda x: np.stack([x[0] ** 2 * x[1], x[1]]))(np.array([3.0, 2.0])).shape
    (2, 2, 2)
    """
    return functools.wraps(function)(jacobian(_slope(function, argnums), argnums))


def _slope(function: Callable[..., Any], argnums: int | Sequence[int]) -> Callable[..., Any]:
    """The first derivatives: a gradient of one real number, else a Jacobian."""

    def differentiated(*args: Any, **kwargs: Any) -> Any:
        call = Call("hessian", function, args, kwargs, positions_of(argnums, args, "hessian"))
        if len(call.tensors) != 1 or call.tensors[0].shape or call.tensors[0].dtype.kind not in "fiu":
            return jacobian(function, argnums)(*args, **kwargs)
        gradients = call.pull([np.ones_like(call.tensors[0]._array)], create_graph=call.recorded, retain_graph=call.recorded)
        found = call.rebuild_inputs([call.result(g) for g in gradients])
        return tuple(found) if isinstance(argnums, Iterable) else found[0]

    return differentiated


@transform
def hvp(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """A function `(x, v)` -> H(x) v, the Hessian times a vector, at the cost of about two gradients (Pearlmutter 1994).

    With further arguments of the function: `hvp(f)(x, *others, v)`; v comes last.

    >>> import numpy as np, autograd_core as ag
    >>> ag.hvp(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]), np.array([1.0, 10.0]))
    array([  6., 120.])
    """

    @functools.wraps(function)
    def product(*args: Any, **kwargs: Any) -> Any:
        *points, vector = args
        positions = positions_of(argnums, points, "hvp")
        vectors = leaves_like(vector, points[positions[0]], "hvp: vector")
        if DualCall.applies(points, vectors):
            try:
                return _hvp_on_duals(function, points, kwargs, positions, vectors)
            except ForwardModeError:
                pass  # see jvp
        first = Call("hvp", function, points, kwargs, positions)
        output = first.scalar()
        given = [fitting_tangent(t, v, "hvp") for t, v in zip(vectors, first.variables, strict=True)]
        nested = first.nested or any(isinstance(t, Tensor) for t in given)
        gradients = first.pull([np.ones_like(output._array)], create_graph=True, retain_graph=True)
        pairs = [(g, t) for g, t in zip(gradients, given, strict=True) if g.requires_grad]
        if not pairs:
            found: Any = [None] * len(first.variables)
        else:
            outputs, given = [g for g, _ in pairs], [t for _, t in pairs]
            found = gradients_of(outputs, first.variables, given, create_graph=nested, retain_graph=nested, allow_unused=True)
        results = [zeros_of(v) if g is None else g for g, v in zip(found, first.variables, strict=True)]
        return first.rebuild_inputs([g if nested else first.result(g) for g in results])[0]

    return product


def _hvp_on_duals(function: Callable[..., Any], points: Sequence[Any], kwargs: dict[str, Any], positions: list[int], vectors: list[Any]) -> Any:
    """The derivative along `vectors` of the gradient: one forward and one backward pass, on duals."""
    call = DualCall("hvp", function, points, kwargs, positions, vectors, swept=True)
    output = call.scalar()
    one = np.ones(output.shape, output.dtype)[()]
    return call.rebuild_inputs([call.derivative(g) for g in call.pull([one], create_graph=False, retain_graph=False)])[0]


@transform
def gauss_newton_vp(function: Callable[..., Any], loss: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """A function `(x, v)` -> J^T H J v: the Gauss-Newton matrix of loss(function(x)) times a vector.

    J is df/dx, H the Hessian of `loss` at f(x); without a loss that is ||f||^2 / 2, whose Hessian is the identity. Unlike the
    Hessian's product (`hvp`) it is positive semidefinite for a convex loss, so conjugate gradients can solve with it
    (Schraudolph 2002). x and v may be containers.

    >>> import numpy as np, autograd_core as ag
    >>> A = np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    >>> ag.gauss_newton_vp(lambda x: A @ x)(np.zeros(2), np.array([1.0, 0.0])) == A.T @ A[:, 0]
    array([ True,  True])
    """

    @functools.wraps(function)
    def product(x: Any, vector: Any) -> Any:
        call = Call("gauss_newton_vp", function, (x,), {}, [0])
        given = leaves_like(vector, x, "gauss_newton_vp: vector")
        given = [fitting_tangent(t, v, "gauss_newton_vp") for t, v in zip(given, call.variables, strict=True)]
        nested = call.nested or any(isinstance(t, Tensor) for t in given)
        pushed: Sequence[Any] = Linearised(call)(given, create_graph=nested)
        if loss is not None:
            slope = grad(lambda *parts: loss(call.rebuild_output(list(parts))), range(len(call.tensors)))
            values = [t if nested else t._array for t in call.tensors]
            pushed = jvp(slope, values, [p if nested else call.result(p) for p in pushed])[1]
        pulled = call.pull(pushed, create_graph=nested, retain_graph=nested)
        return call.rebuild_inputs([g if nested else call.result(g) for g in pulled])[0]

    return product


def stop_gradient(x: Any) -> Any:
    """`x` as a constant: the same value, through which no gradient flows. Containers of arrays are taken too.

    >>> import autograd_core as ag
    >>> ag.grad(lambda x: x * ag.stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    leaves, rebuild = flatten(x)
    return rebuild([leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves])
