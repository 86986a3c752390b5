"""What is checked, seen in one way: a function of a list of arrays, with a value and a vector-Jacobian product.

`Traced` is anything that this library can differentiate: an operation of the table or a function of tensors. Its gradient is
again such a function, `GradientOf`, so the second order is checked as the first order of the gradient, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autograd_core.backward import gradient
from autograd_core.grad_mode import no_grad
from autograd_core.gradcheck.arguments import Place, differentiable_places, parameter_names, replaced
from autograd_core.recording import apply, untracked
from autograd_core.table import COMPOSITIONS, TABLE, Op
from autograd_core.tensor import Tensor

__all__ = ["GradientOf", "Traced", "float_results", "leaf", "traced"]


def leaf(array: Any) -> Tensor:
    """A tracked tensor around this very array, whatever its strides: not a copy."""
    tensor: Tensor = untracked(array if array.ndim else array[()])
    tensor.handed_out = True
    tensor.requires_grad = True
    return tensor


def float_results(value: Any) -> list[Any]:
    """The floating-point and complex arrays or tensors in a result, in order, whatever it is packed in."""
    if isinstance(value, tuple | list):
        return [result for item in value for result in float_results(item)]
    if isinstance(value, dict):
        return [result for item in value.values() for result in float_results(item)]
    return [value] if hasattr(value, "dtype") and value.dtype.kind in "fc" else []


class Traced:
    """A call that this library records.

    name    of the function
    names   of the differentiable arguments
    arrays  their values
    """

    def __init__(self, name: str, places: Sequence[Place], call: Callable[[Sequence[Any]], Any], compute: Callable[[Sequence[Any]], Any]) -> None:
        self.name = name
        self.places = list(places)
        self.names = [place.name for place in places]
        self.arrays = [place.array for place in places]
        self._call = call
        self._compute = compute

    def only(self, places: Sequence[Place]) -> Traced:
        """The same call with only some of the arguments differentiated; the others stay as they are."""
        chosen = [i for i, place in enumerate(self.places) if any(place is p for p in places)]

        def filled(values: Sequence[Any]) -> list[Any]:
            everything = list(self.arrays)
            for i, value in zip(chosen, values, strict=True):
                everything[i] = value
            return everything

        return Traced(self.name, [self.places[i] for i in chosen], lambda t: self._call(filled(t)), lambda a: self._compute(filled(a)))

    def value(self, arrays: Sequence[Any]) -> list[Any]:
        """The results as raw arrays, nothing recorded."""
        with no_grad():
            return [np.asarray(getattr(r, "_data", r)) for r in float_results(self._compute(arrays))]

    def call(self, tensors: Sequence[Any]) -> list[Any]:
        """The results as tensors."""
        return float_results(self._call(tensors))

    def vjp(self, arrays: Sequence[Any], gs: Sequence[Any], *, create_graph: bool = False) -> list[Any]:
        """The gradients for `gs`, as raw arrays; None where no result depends on an argument."""
        leaves = [leaf(a) for a in arrays]
        return [None if g is None else np.asarray(g._data) for g in self.gradients(leaves, gs, create_graph=create_graph)]

    def gradients(self, leaves: Sequence[Any], gs: Sequence[Any], *, create_graph: bool) -> Sequence[Any]:
        """The gradients for `gs`, as tensors."""
        pairs = [(y, g) for y, g in zip(self.call(leaves), gs, strict=True) if isinstance(y, Tensor) and y.node is not None]
        if not pairs:
            return [None] * len(leaves)
        found: Sequence[Any] = gradient([y for y, _ in pairs], leaves, [g for _, g in pairs], create_graph=create_graph, allow_unused=True)
        return found


class GradientOf(Traced):
    """The gradient of a subject, as a function of its arguments and of the incoming gradients."""

    def __init__(self, subject: Traced, gs: Sequence[Any]) -> None:
        count = len(subject.names)

        def call(tensors: Sequence[Any]) -> Any:
            found = subject.gradients(tensors[:count], tensors[count:], create_graph=True)
            return [untracked(np.zeros(x.shape, x.dtype)) if d is None else d for d, x in zip(found, tensors, strict=False)]

        def compute(arrays: Sequence[Any]) -> Any:
            found = subject.vjp(arrays[:count], arrays[count:])
            return [np.zeros(x.shape, x.dtype) if d is None else d for d, x in zip(found, arrays, strict=False)]

        places = [Place(name, (), array) for name, array in zip(subject.names, subject.arrays, strict=True)]
        places += [Place("g" if len(gs) == 1 else f"g[{i}]", (), g) for i, g in enumerate(gs)]
        super().__init__(f"gradient of {subject.name}", places, call, compute)

    def value(self, arrays: Sequence[Any]) -> list[Any]:
        return list(self._compute(arrays))


def traced(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Traced:
    """The subject for `function(*args, **kwargs)`.

    raises : TypeError if no argument is a floating-point or complex array that can be differentiated
    """
    op = function if isinstance(function, Op) else getattr(function, "op", None) or TABLE.get(function)
    if op is not None and op.rules:
        name = op.name
        places = differentiable_places(args, kwargs, op.parameters, op.variadic, op.rules)
    else:
        op = None
        name = getattr(function, "__name__", type(function).__name__)
        if function in COMPOSITIONS:
            # Directly, because NumPy dispatches only on some arguments of some functions.
            function = COMPOSITIONS[function].compute
        places = differentiable_places(args, kwargs, *parameter_names(function))
    hermitian = op.hermitian if op is not None and kwargs.get("hermitian", "hermitian" not in op.parameters) else ()

    def mirrored(values: Sequence[Any]) -> list[Any]:
        # Where one triangle is read, the derivative is defined along Hermitian directions only.
        pairs = zip(values, places, strict=True)
        return [(x + x.conjugate().swapaxes(-1, -2)) / 2 if place.name in hermitian else x for x, place in pairs]

    if not places:
        raise TypeError(f"gradcheck: {name} was given no floating-point array to differentiate; pass arrays such as np.array([1.0, 2.0])")

    def call(tensors: Sequence[Any]) -> Any:
        new_args, new_kwargs = replaced(args, kwargs, places, mirrored(tensors))
        return apply(op, tuple(new_args), new_kwargs) if op is not None else function(*new_args, **new_kwargs)

    def compute(arrays: Sequence[Any]) -> Any:
        if op is None:
            return call([untracked(a if a.ndim else a[()]) for a in arrays])
        new_args, new_kwargs = replaced(args, kwargs, places, mirrored(arrays))
        return op.function(*new_args, **new_kwargs)

    return Traced(name, places, call, compute)
