"""`custom_vjp`: a user's function of tensors whose gradient is computed by another one, instead of by what it did."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.duals import refuse_tangents
from autograd_core.arrays.layers import for_all
from autograd_core.arrays.trees import children, flatten, paths
from autograd_core.tape.mode import NOT_RECORDING, current_mode, enable_grad, no_grad
from autograd_core.tensor.calls import function_op, record_call
from autograd_core.tensor.handles import untracked
from autograd_core.tensor.tensor import Tensor, tensor
from autograd_core.tensor.transformed import is_named, name_of

__all__ = ["custom_vjp"]


class custom_vjp:
    """`@ag.custom_vjp`: `function`, with a gradient of your own making, given by `defvjp`. Names and order as in JAX.

    function         of tensors, arrays and containers of them; it is what runs where nothing is differentiated
    nondiff_argnums  positions of arguments that have no gradient (options, functions); the backward function gets them first

    The tensors that are differentiated have to be arguments: one that the function refers to by itself is refused. Unlike
    `ag.op`, whose rules are per argument and see the arrays that an operation saved, this is for functions of containers, for
    gradients that are meant to differ from the derivative (clipping, straight-through estimators), and for those that a
    forward pass of its own prepares. Derivatives of all orders and `jvp` go through the backward function; for these
    the forward function is run once more, with the inputs that the tape keeps.

    >>> import numpy as np, autograd_core as ag
    >>> @ag.custom_vjp
    ... def log1pexp(x):
    ...     return np.log(1 + np.exp(x))
    >>> def forward(x):
    ...     return log1pexp(x), x
    >>> def backward(x, g):
    ...     return (g / (1 + np.exp(-x)),)  # no overflow
    >>> log1pexp.defvjp(forward, backward)
    >>> ag.grad(log1pexp)(100.0)
    np.float64(1.0)
    >>> @ag.custom_vjp
    ... def rounded(x):
    ...     return np.round(x)
    >>> rounded.defvjp(lambda x: (np.round(x), None), lambda _, g: (g,))  # "straight through"
    >>> ag.grad(lambda x: rounded(3 * x))(0.5)
    np.float64(3.0)
    """

    def __init__(self, function: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.nondiff_argnums = tuple(nondiff_argnums)
        self.name = getattr(function, "__name__", type(function).__name__)
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None
        self._op = function_op(self.name, _rule)
        # NumPy's functions are taken as they are: their defaults (out=None) are not the gradient's business.
        self._signature = inspect.signature(function) if hasattr(function, "__code__") else None
        parameters = () if self._signature is None else self._signature.parameters.values()
        # How many arguments are all, so that a call with as many needs no look at the signature.
        self._all = len(parameters) if all(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters) else -1

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Give the gradient.

        forward   called like the function, returns (value, residuals): what `backward` needs, in any container, or None
        backward  called as backward(*nondiff arguments, residuals, g), g in the structure of the value; returns a tuple with a
                  gradient for each other argument, in its structure; None stands for no gradient
        """
        self.forward, self.backward = forward, backward

    def __reduce__(self) -> Any:
        """A decorated function of a module is found by its name, as other functions are; another cannot be pickled."""
        if not is_named(self):
            raise TypeError(f"{self.name}: a custom_vjp is pickled by its name in a module; decorate the function there (@ag.custom_vjp)")
        return name_of(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        args = self._positional(args, kwargs)
        if current_mode() is NOT_RECORDING:
            return self.function(*args)
        if self.forward is None:
            raise RuntimeError(f"{self.name}: no gradient was given; call {self.name}.defvjp(forward, backward)")
        call = _Call(self, args)
        refuse_tangents(self.name)
        if not call.inputs:
            value = self.function(*args)
            self._refuse_references(flatten(value)[0])
            return value
        inputs, call.inputs = call.inputs, []  # the tape holds arrays and nodes, no tensors
        outputs, build, residuals = call.forward([untracked(x._array) for x in inputs])
        self._refuse_references([*outputs, *residuals])
        values = [leaf._array if isinstance(leaf, Tensor) else tensor(leaf)._array for leaf in outputs]
        call.settle(build, values, residuals)
        kept = tuple(r._array if isinstance(r, Tensor) else r for r in residuals)
        return build(record_call(self._op, inputs, values, call, residuals=kept))

    def _positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments in the order in which the forward function gets them."""
        if self._signature is None:
            if kwargs:
                raise TypeError(f"{self.name}: pass its arguments by position; where keywords belong is known of Python functions only")
            return args
        if not kwargs and len(args) == self._all:
            return args
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"{self.name}: keyword-only argument {next(iter(bound.kwargs))!r}; a function with a custom gradient has none")
        return bound.args

    def argument(self, i: int) -> str:
        """What to call an argument in a message."""
        parameters = {} if self._signature is None else self._signature.parameters
        names = [name for name, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
        return f"argument {names[i]!r}" if i < len(names) else f"argument {i}"

    def _refuse_references(self, found: Sequence[Any]) -> None:
        if any(isinstance(t, Tensor) and t.requires_grad for t in found):
            raise RuntimeError(
                f"{self.name}: it refers to a tensor that requires grad and is not among its arguments, so that tensor's gradient would be lost; "
                "pass it as an argument, or use tensor.detach()"
            )


class _Call:
    """One call: its arguments with places for the tracked tensors, and the containers that values and residuals are in.

    inputs     the tracked tensors, until they are recorded;  places  where they are among the leaves of the arguments
    shapes     (shape, dtype) of each leaf of the value
    """

    def __init__(self, owner: custom_vjp, args: Sequence[Any]) -> None:
        self.owner = owner
        self.nondiff = [args[i] for i in owner.nondiff_argnums if i < len(args)]
        if any(isinstance(leaf, Tensor) and leaf.requires_grad for leaf in flatten(self.nondiff)[0]):
            raise TypeError(f"{owner.name}: an argument of nondiff_argnums={owner.nondiff_argnums} holds a tensor that requires grad")
        leaves, rebuild = flatten(list(args))
        self.places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
        self.inputs = [leaves[i] for i in self.places]
        for i in self.places:
            leaves[i] = None
        self.others = leaves
        self.rebuild = _hollow(rebuild, flatten(list(args))[0])

    def args(self, inputs: Sequence[Tensor]) -> list[Any]:
        """The arguments with `inputs` in the tracked places."""
        leaves = list(self.others)
        for place, x in zip(self.places, inputs, strict=True):
            leaves[place] = x
        args: list[Any] = self.rebuild(leaves)
        return args

    def forward(self, inputs: Sequence[Tensor]) -> tuple[list[Any], Callable[[list[Any]], Any], list[Any]]:
        """The leaves of the forward function's value, how to build the value around them, and the leaves of the residuals."""
        name = self.owner.name
        with enable_grad():
            found = self.owner.forward(*self.args(inputs))  # type: ignore[misc]  # asked before
        if not isinstance(found, tuple) or len(found) != 2:
            raise TypeError(f"{name}: its forward function must return (value, residuals), it returned {type(found).__name__}")
        outputs, build = flatten(found[0])
        wrong = [type(leaf).__name__ for leaf in outputs if not isinstance(leaf, Tensor | np.ndarray | np.generic | int | float | complex)]
        if wrong or not outputs:
            raise TypeError(f"{name}: the value of its forward function must be made of tensors, it holds {wrong[0] if wrong else 'none'}")
        residuals, self.rebuild_residuals = flatten(found[1])
        return outputs, build, residuals

    def settle(self, build: Callable[[list[Any]], Any], values: list[Any], residuals: list[Any]) -> None:
        """Note the containers, without what is in them: that is what the node saves."""
        self.shapes = [(v.shape, v.dtype) for v in values]
        self.build = _hollow(build, values)
        self.are_tensors = [isinstance(leaf, Tensor) for leaf in residuals]
        self.rebuild_residuals = _hollow(self.rebuild_residuals, residuals)

    # --- backward ---------------------------------------------------------------------------------------------------------------

    def gradients(self, gs: Sequence[Any], inputs: Sequence[Any], residuals: Sequence[Any]) -> list[Any]:
        """A gradient, or None, for each input."""
        recorded = any(isinstance(part, Tensor) for part in gs)
        given = self.build([_cotangent(part, *like) for part, like in zip(gs, self.shapes, strict=True)])
        with enable_grad() if recorded else no_grad():
            variables = [+x for x in inputs] if recorded else [untracked(x) for x in inputs]
            kept = self._again(variables, residuals) if recorded else self._kept(residuals)
            found = self.owner.backward(*self.nondiff, kept, given)  # type: ignore[misc]  # asked before
        parts = self._in_places(found, self.args(variables))
        results = [self._checked(part, x, place) for part, x, place in zip(parts, variables, self.places, strict=True)]
        return results if recorded else [part._array if isinstance(part, Tensor) else part for part in results]

    def _kept(self, residuals: Sequence[Any]) -> Any:
        return self.rebuild_residuals([untracked(r) if is_tensor else r for r, is_tensor in zip(residuals, self.are_tensors, strict=True)])

    def _again(self, variables: Sequence[Tensor], residuals: Sequence[Any]) -> Any:
        """The residuals as tensors that depend on the inputs: the forward function's, recorded."""
        *_, found = self.forward(variables)
        if len(found) != len(residuals) or not all(_is_same(a, b) for a, b in zip(found, residuals, strict=True)):
            raise RuntimeError(
                f"{self.owner.name}: a derivative of higher order runs the forward function again, and it gave other residuals than the first time; "
                "what it depends on (random numbers, for one) has to be among its arguments"
            )
        return self.rebuild_residuals(found)

    def _in_places(self, found: Any, args: Sequence[Any]) -> list[Any]:
        """The gradients in the tracked places, of what the backward function returned."""
        wanted = [i for i in range(len(args)) if i not in self.owner.nondiff_argnums]
        if len(wanted) == 1 and not isinstance(found, tuple):
            found = (found,)
        if not isinstance(found, tuple) or len(found) != len(wanted):
            count = f"{len(found)} gradients" if isinstance(found, tuple) else f"a {type(found).__name__}"
            raise TypeError(f"{self.owner.name}: its backward function returned {count} for {len(wanted)} arguments")
        by_position = dict(zip(wanted, found, strict=True))
        parts = [part for i, x in enumerate(args) for part in self._parts(by_position.get(i), x, self.owner.argument(i))]
        return [parts[place] for place in self.places]

    def _parts(self, found: Any, argument: Any, path: str) -> list[Any]:
        """The leaves of a gradient in the order of the argument's; None for those that are left out."""
        if found is None:
            return [None] * len(flatten(argument)[0])
        ours, theirs = children(argument), children(found)
        if ours is None:
            return [found]
        fits = theirs is not None and len(theirs[0]) == len(ours[0]) and (not isinstance(argument, dict) or argument.keys() == found.keys())
        if not fits or theirs is None:
            kinds = f"a {type(found).__name__} for {path}, which is a {type(argument).__name__}"
            raise TypeError(f"{self.owner.name}: its backward function returned {kinds} of {len(ours[0])}")
        gradients = [found[key] for key in argument] if isinstance(argument, dict) else theirs[0]
        return [part for g, x in zip(gradients, ours[0], strict=True) for part in self._parts(g, x, path)]

    def _checked(self, part: Any, x: Tensor, place: int) -> Any:
        if part is None:
            return None
        if not isinstance(part, Tensor):
            part = tensor(part)
        if part.shape != x.shape:
            path = [name for i, arg in enumerate(self.args([x] * len(self.places))) for name in paths(arg, self.owner.argument(i))][place]
            raise ValueError(f"{self.owner.name}: its backward function returned shape {part.shape} for {path}, expected {x.shape}")
        return part


def _hollow(rebuild: Callable[[list[Any]], Any], leaves: Sequence[Any]) -> Callable[[list[Any]], Any]:
    """`rebuild` without the leaves that it refers to, which would be kept alive."""
    return flatten(rebuild([np.broadcast_to(np.zeros((), x.dtype), x.shape) if hasattr(x, "dtype") else x for x in leaves]))[1]


def _cotangent(g: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The gradient of a part of the value as a tensor; zeros if nothing depends on it, None if it has none."""
    if g is None:
        return tensor(np.zeros(shape, dtype)) if dtype.kind in "fc" else None
    return g if isinstance(g, Tensor) else untracked(g)


def _is_same(a: Any, b: Any) -> bool:
    """Whether two residuals are equal, but for rounding."""
    a = a._array if isinstance(a, Tensor) else a
    if not hasattr(a, "dtype") or a.dtype.kind not in "fc":
        return for_all(np.equal(a, b))
    return a.shape == np.shape(b) and for_all(np.isclose(a, b, rtol=float(np.finfo(a.dtype).eps) ** 0.5, equal_nan=True))


def _rule(g: Any, inputs: Any, residuals: Any, call: _Call) -> list[Any]:
    return call.gradients(g if isinstance(g, list) else [g], inputs, residuals)
