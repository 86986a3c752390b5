"""Functions of functions: `grad(f)`, `vjp`, `jvp`, `jacobian`, `hessian`, `hvp`.

They take and return plain arrays, floats and containers of them, work on functions written with `np.*`, and nest. Each call
makes variables of its own for the inputs. An input that is itself a tracked tensor (because an outer transform differentiates
through this one) is linked to its variable by a recorded identity, so the outer derivative finds its way, and because
variables are nodes and not marks on values, derivatives with respect to different ones cannot be confused.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from autograd_core.backward import gradient
from autograd_core.grad_mode import enable_grad
from autograd_core.tensor import Tensor, tensor
from autograd_core.trees import flatten, paths

__all__ = ["elementwise_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "stop_gradient", "value_and_grad", "vjp"]

# How many transforms are evaluating their function: inside one, results stay tensors, for the outer one to differentiate.
_depth: ContextVar[int] = ContextVar("autograd_core_transform_depth", default=0)


def _variable(value: Any, name: str, what: str) -> Tensor:
    """A new variable with the value of an input."""
    if isinstance(value, Tensor):
        if value.dtype.kind not in "fc":
            raise TypeError(f"{what}: {name} is of dtype {value.dtype}, which has no derivative; convert it to float")
        return +value if value.requires_grad else tensor(value.detach(), requires_grad=True)
    dtype = getattr(value, "dtype", None) or np.asarray(value).dtype
    if dtype.kind not in "fc":
        raise TypeError(f"{what}: {name} is of dtype {dtype}, which has no derivative; pass a float (2.0 instead of 2) or array.astype(float)")
    return tensor(value, requires_grad=True)


class _Call:
    """One evaluation of `function` with variables in the places of the arguments to differentiate.

    variables  a tensor for each leaf of those arguments
    output     what the function returned;  tensors: its leaves, as tensors
    nested     results have to stay tensors: an input is one, or another transform is under way
    """

    def __init__(self, what: str, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any], argnums: Sequence[int]) -> None:
        self.what = what
        inputs = [args[i] for i in argnums]
        leaves, self.rebuild_inputs = flatten(inputs)
        names = [name for i, x in zip(argnums, inputs, strict=True) for name in paths(x, f"argument {i}")]
        self.nested = _depth.get() > 0 or any(isinstance(leaf, Tensor) for leaf in leaves)
        token = _depth.set(_depth.get() + 1)
        try:
            with enable_grad():
                self.variables = [_variable(leaf, name, what) for leaf, name in zip(leaves, names, strict=True)]
                replaced = list(args)
                for i, x in zip(argnums, self.rebuild_inputs(self.variables), strict=True):
                    replaced[i] = x
                self.output = function(*replaced, **kwargs)
        finally:
            _depth.reset(token)
        parts, self.rebuild_output = flatten(self.output)
        self.tensors = [part if isinstance(part, Tensor) else tensor(part) for part in parts]

    def scalar(self) -> Tensor:
        """The output, which has to be one real number."""
        if len(self.tensors) != 1 or self.tensors[0].size != 1 or self.tensors[0].dtype.kind not in "fiu":
            shown = ", ".join(f"{t.dtype} of shape {t.shape}" for t in self.tensors) or "nothing"
            raise TypeError(f"{self.what}: the function must return one real number, it returned {shown}; reduce it, or use jacobian or vjp")
        return self.tensors[0]

    def pull(self, cotangents: Sequence[Any], *, create_graph: bool, retain_graph: bool) -> list[Any]:
        """The gradients of <outputs, cotangents> for each variable; zeros where nothing depends on it."""
        used = [(t, c) for t, c in zip(self.tensors, cotangents, strict=True) if t.requires_grad]
        if not used:
            return [_zeros(v) for v in self.variables]
        found = gradient(
            [t for t, _ in used], self.variables, [c for _, c in used], create_graph=create_graph, retain_graph=retain_graph, allow_unused=True
        )
        return [_zeros(v) if g is None else g for g, v in zip(found, self.variables, strict=True)]

    def result(self, value: Any) -> Any:
        """A tensor as the caller wants it: itself in a nested call, else its array."""
        if self.nested:
            return value
        return value._array if isinstance(value, Tensor) else value

    def value(self) -> Any:
        return self.rebuild_output([self.result(t) for t in self.tensors])


def _zeros(variable: Tensor) -> Tensor:
    return tensor(np.zeros_like(variable._array))


def _positions(argnums: int | Sequence[int], args: Sequence[Any], what: str) -> list[int]:
    wanted = [argnums] if isinstance(argnums, int) else list(argnums)
    for i in wanted:
        if not isinstance(i, int) or not -len(args) <= i < len(args):
            raise TypeError(f"{what}: argnums={argnums!r}, but the function was called with {len(args)} positional arguments")
    return [i % len(args) for i in wanted]


def value_and_grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns `(f(x), df/dx)`.

    argnums  which positional arguments to differentiate; a sequence gives a tuple of gradients
    has_aux  the function returns `(value, anything)`; the result is then `((value, anything), gradient)`
    raises   TypeError if the value is not one real number, or an argument is of an integer dtype

    An argument may be a tuple, list, dict or dataclass of arrays; its gradient is the same container of gradients.
    `scipy.optimize.minimize(ag.value_and_grad(f), x0, jac=True)` works as it is.

    >>> import numpy as np, autograd_core as ag
    >>> ag.value_and_grad(lambda x: np.sum(x ** 2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """

    @functools.wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        positions = _positions(argnums, args, "grad")
        aux: list[Any] = []

        def value_only(*args: Any, **kwargs: Any) -> Any:
            value, extra = function(*args, **kwargs)
            aux.append(extra)
            return value

        call = _Call("grad", value_only if has_aux else function, args, kwargs, positions)
        output = call.scalar()
        gradients = call.pull([np.ones_like(output._array)], create_graph=call.nested, retain_graph=call.nested)
        found = call.rebuild_inputs([call.result(g) for g in gradients])
        value = call.value()
        return (value, _untracked(aux[0], call)) if has_aux else value, found[0] if isinstance(argnums, int) else tuple(found)

    return differentiated


def _untracked(aux: Any, call: _Call) -> Any:
    leaves, rebuild = flatten(aux)
    return rebuild([call.result(leaf) for leaf in leaves])


def grad(function: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that returns the gradient df/dx of a real-valued `function`; arguments as in `value_and_grad`.

    With `has_aux` it returns `(gradient, anything)`.

    >>> import numpy as np, autograd_core as ag
    >>> ag.grad(np.tanh)(0.0)
    np.float64(1.0)
    >>> ag.grad(ag.grad(lambda x: x ** 3))(2.0)
    np.float64(12.0)
    """
    both = value_and_grad(function, argnums, has_aux)

    @functools.wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        value, found = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return differentiated


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
    call = _Call("vjp", function, args, {}, range(len(args)))

    def back(cotangent: Any) -> tuple[Any, ...]:
        cotangents = flatten(cotangent)[0]
        if len(cotangents) != len(call.tensors):
            raise ValueError(f"vjp: {len(cotangents)} cotangents for {len(call.tensors)} values")
        nested = call.nested or _depth.get() > 0 or any(isinstance(c, Tensor) for c in cotangents)
        gradients = call.pull(cotangents, create_graph=nested, retain_graph=True)
        return tuple(call.rebuild_inputs([g if nested else call.result(g) for g in gradients]))

    return call.value(), back


class _Linearised:
    """The derivative of one evaluation as a linear map of tangents, by a vjp of the vjp.

    The vjp is linear in its cotangent u; its own vjp for u is therefore the derivative applied to a tangent, whatever u is.
    """

    def __init__(self, call: _Call) -> None:
        self.call = call
        self.probes = [tensor(np.zeros_like(t._array), requires_grad=True) for t in call.tensors]
        with enable_grad():
            self.pulled = call.pull(self.probes, create_graph=True, retain_graph=True)

    def __call__(self, tangents: Sequence[Any], *, create_graph: bool) -> list[Any]:
        pairs = [(g, t) for g, t in zip(self.pulled, tangents, strict=True) if g.requires_grad]
        if not pairs:
            return [_zeros(p) for p in self.probes]
        found = gradient([g for g, _ in pairs], self.probes, [t for _, t in pairs], create_graph=create_graph, retain_graph=True, allow_unused=True)
        return [_zeros(p) if g is None else g for g, p in zip(found, self.probes, strict=True)]


def _fitting(tangent: Any, variable: Tensor, what: str) -> Any:
    """A tangent in its variable's dtype, checked against its shape."""
    if not isinstance(tangent, Tensor):
        tangent = np.asarray(tangent, dtype=variable.dtype)
    if tangent.shape != variable.shape:
        raise ValueError(f"{what}: a tangent of shape {tangent.shape} for an argument of shape {variable.shape}")
    return tangent


def jvp(function: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """`(f(*args), df/d(args) applied to tangents)`: the directional derivative.

    tangents : in the structure and shapes of `args`

    >>> import numpy as np, autograd_core as ag
    >>> ag.jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    call = _Call("jvp", function, tuple(args), {}, range(len(args)))
    given = flatten(list(tangents))[0]
    if len(given) != len(call.variables):
        raise ValueError(f"jvp: {len(given)} tangents for {len(call.variables)} arguments")
    given = [_fitting(t, v, "jvp") for t, v in zip(given, call.variables, strict=True)]
    nested = call.nested or any(isinstance(t, Tensor) for t in given)
    pushed = _Linearised(call)(given, create_graph=nested)
    return call.value(), call.rebuild_output([p if nested else call.result(p) for p in pushed])


def jacobian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns df/dx of shape `f(x).shape + x.shape`.

    A pass backward for each output element, or forward for each input element, whichever are fewer. Containers as values and
    arguments give containers: of the value's structure, in each place of which stands the argument's.

    >>> import numpy as np, autograd_core as ag
    >>> ag.jacobian(lambda x: np.array([[0.0, 1.0], [1.0, 0.0]]) @ x ** 2)(np.array([1.0, 2.0]))
    array([[0., 4.],
           [2., 0.]])
    """

    @functools.wraps(function)
    def differentiated(*args: Any, **kwargs: Any) -> Any:
        positions = _positions(argnums, args, "jacobian")
        call = _Call("jacobian", function, args, kwargs, positions)
        if any(t.dtype.kind not in "fc" for t in call.tensors):
            raise TypeError(f"jacobian: the function must return floats, it returned {', '.join(str(t.dtype) for t in call.tensors)}")
        outputs, inputs = sum(t.size for t in call.tensors), sum(v.size for v in call.variables)
        blocks = _rows(call) if outputs <= inputs else _columns(call)
        per_output = [call.rebuild_inputs([call.result(b) for b in row]) for row in blocks]
        per_output = [row[0] if isinstance(argnums, int) else tuple(row) for row in per_output]
        return call.rebuild_output(per_output)

    return differentiated


def _rows(call: _Call) -> list[list[Any]]:
    """The Jacobian's blocks [output][input], a backward pass for each element of the output."""
    blocks = []
    for t in call.tensors:
        rows = []
        for i in range(t.size):
            only = [_unit(other, i) if other is t else np.zeros_like(other._array) for other in call.tensors]
            rows.append(call.pull(only, create_graph=call.nested, retain_graph=True))
        blocks.append([_stacked([row[k] for row in rows], t.shape + v.shape, v) for k, v in enumerate(call.variables)])
    return blocks


def _columns(call: _Call) -> list[list[Any]]:
    """The Jacobian's blocks [output][input], a forward pass for each element of the input."""
    push = _Linearised(call)
    blocks: list[list[Any]] = [[] for _ in call.tensors]
    for v in call.variables:
        columns = []
        for i in range(v.size):
            only = [_unit(other, i) if other is v else np.zeros_like(other._array) for other in call.variables]
            columns.append(push(only, create_graph=call.nested))
        for k, t in enumerate(call.tensors):
            block = _stacked([column[k] for column in columns], (v.size, *t.shape), t)
            blocks[k].append(np.moveaxis(block, 0, -1).reshape(t.shape + v.shape))
    return blocks


def _unit(like: Tensor, i: int) -> Any:
    unit = np.zeros(like.size, dtype=like.dtype)
    unit[i] = 1
    return unit.reshape(like.shape)


def _stacked(parts: list[Any], shape: tuple[int, ...], like: Tensor) -> Any:
    if not parts:
        return tensor(np.zeros(shape, dtype=like.dtype))
    return np.stack([part if isinstance(part, Tensor) else tensor(part) for part in parts]).reshape(shape)


def hessian(function: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns the second derivatives of a real-valued `function`, of shape `x.shape + x.shape`.

    >>> import numpy as np, autograd_core as ag
    >>> ag.hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 2.0]))
    array([[4., 6.],
           [6., 0.]])
    """
    return functools.wraps(function)(jacobian(grad(function, argnums), argnums))


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
        first = _Call("hvp", function, points, kwargs, _positions(argnums, points, "hvp"))
        output = first.scalar()
        given = [_fitting(t, v, "hvp") for t, v in zip(flatten([vector])[0], first.variables, strict=True)]
        nested = first.nested or any(isinstance(t, Tensor) for t in given)
        gradients = first.pull([np.ones_like(output._array)], create_graph=True, retain_graph=True)
        pairs = [(g, t) for g, t in zip(gradients, given, strict=True) if g.requires_grad]
        if not pairs:
            found: Any = [None] * len(first.variables)
        else:
            found = gradient(
                [g for g, _ in pairs], first.variables, [t for _, t in pairs], create_graph=nested, retain_graph=nested, allow_unused=True
            )
        results = [_zeros(v) if g is None else g for g, v in zip(found, first.variables, strict=True)]
        return first.rebuild_inputs([g if nested else first.result(g) for g in results])[0]

    return product


def stop_gradient(x: Any) -> Any:
    """`x` as a constant: the same value, through which no gradient flows. Containers of arrays are taken too.

    >>> import autograd_core as ag
    >>> ag.grad(lambda x: x * ag.stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    leaves, rebuild = flatten(x)
    return rebuild([leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in leaves])
