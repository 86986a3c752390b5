"""Layers: arrays that wrap arrays, so that a program written for plain ones computes more without knowing.

A `Batched` (arrays/batching/array.py) computes for many arrays at once, a `Dual` (duals.py) a derivative beside the value. NumPy's
functions and operators reach them by the array protocols. Layers nest: each has a level, and of several in one call that
of the highest level, the innermost transform's, is in charge; to it the others are plain arrays. So `x * y` means the same
whichever layers x and y have, and derivatives with respect to different variables cannot be confused.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = [
    "SCALARS",
    "ArrayLayer",
    "Interpreter",
    "able_to_hold",
    "computed_in_layers",
    "finite",
    "for_all",
    "for_any",
    "in_charge",
    "instances_in",
    "interprets",
    "is_foreign",
    "kind_of",
    "level_of",
    "memory_of",
    "new_level",
    "owns_memory",
    "refused",
    "sequence_like",
]

new_level = itertools.count(1).__next__

SCALARS = frozenset({float, int, complex, bool, *np.sctypeDict.values()})


def _method(function: Any) -> Callable[..., Any]:
    """The method that does what a function of NumPy does with its first argument."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    return method


def refused(what: str) -> Callable[..., Any]:
    """A method that asks for a plain value, which no layer has."""

    def method(self: Any, *_: Any, **__: Any) -> Any:
        raise self.refusal(what)

    return method


class Interpreter:
    """What calls mean on one kind of layer. There is one object for each kind; see `interprets`.

    Each method is told the level of the layer that is in charge: to it, layers of other levels are plain arrays.
    """

    def ufunc(self, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
        """`ufunc(*inputs, **kwargs)`, or its `reduce`, `at`, ... by `method`."""
        raise NotImplementedError

    def function(self, function: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        """`function(*args, **kwargs)` for one of NumPy's functions, or `operator.getitem` and `setitem`."""
        raise NotImplementedError

    def op(self, op: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        """The value of an op that is written in Python (tape/op.py): whether its lines can be run on a layer depends on it."""
        raise NotImplementedError


INTERPRETERS: dict[type, Interpreter] = {}


def interprets(kind: type[ArrayLayer]) -> Callable[[type[Interpreter]], type[Interpreter]]:
    """Say that the decorated class computes with layers of class `kind`. Who makes such layers imports its module."""

    def register(interpreter: type[Interpreter]) -> type[Interpreter]:
        INTERPRETERS[kind] = interpreter()
        return interpreter

    return register


def computed_in_layers(op: Any, args: Any, kwargs: Any, top: ArrayLayer) -> Any:
    """The value of `op`, written in Python, where `top` is the innermost layer among the arguments."""
    return INTERPRETERS[type(top)].op(op, args, kwargs, top.level)


class ArrayLayer:
    """What all layers have: a level, and `primary`, an array of the layer below."""

    __slots__ = ("level",)

    level: int

    # Of layers that show one plain array, and are recorded (compiling/): that array, whether it is a NumPy scalar, and whether a node that
    # saves one which the user can write to has to save a copy, as it does of arrays.
    memory: Any = None
    is_scalar: Any = False
    saved_by_copy = False

    def apart(self) -> Any:
        """Of such a layer: a copy that can be written to."""
        raise NotImplementedError

    def window(self, like: Any) -> Any:
        """Of such a layer: the view of its array that `like` is."""
        raise NotImplementedError

    # --- NumPy's protocols: the layer in charge is handed over to its interpreter ----------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(map(is_foreign, inputs)):
            return NotImplemented
        top = self if len(inputs) == 1 and not kwargs else in_charge((inputs, kwargs))
        return INTERPRETERS[type(top)].ufunc(ufunc, method, inputs, kwargs, top.level)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if any(not issubclass(kind, ArrayLayer | ndarray) for kind in types):
            return NotImplemented
        top = in_charge((args, kwargs))
        return INTERPRETERS[type(top)].function(function, args, kwargs, top.level)

    # --- what each kind has of its own ------------------------------------------------------------------------------------------

    @property
    def primary(self) -> Any:
        raise NotImplementedError

    @property
    def parts(self) -> tuple[Any, ...]:
        """All arrays of the layer below."""
        return (self.primary,)

    def rebuilt(self, parts: Sequence[Any]) -> Any:
        """A layer of the same kind and level around other arrays."""
        raise NotImplementedError

    def parts_of(self, value: Any) -> tuple[Any, ...]:
        """The parts of `value` as if it were a layer of this kind and level, if it is none."""
        raise NotImplementedError

    def holding(self, array: Any) -> Any:
        """`array` as a layer of this level, to which this one's elements can be assigned."""
        raise NotImplementedError

    def refusal(self, what: str) -> Exception:
        """Why `what` cannot be had of this layer."""
        raise NotImplementedError

    def without_tangents(self) -> Any:
        """The layer as a constant: the duals in it replaced by their primals."""
        raise NotImplementedError

    def is_finite(self) -> Any:
        """Where all that the layer carries is finite, as a mask of the layer's shape."""
        raise NotImplementedError

    # --- as of any array ------------------------------------------------------------------------------------------------------------

    __hash__ = object.__hash__

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    sum, prod, mean, var, std = map(_method, (np.sum, np.prod, np.mean, np.var, np.std))
    max, min, any, all = map(_method, (np.max, np.min, np.any, np.all))
    argmax, argmin, argsort, argpartition, searchsorted = map(_method, (np.argmax, np.argmin, np.argsort, np.argpartition, np.searchsorted))
    cumsum, cumprod, clip, round = map(_method, (np.cumsum, np.cumprod, np.clip, np.round))
    swapaxes, squeeze, ravel, flatten, repeat = map(_method, (np.swapaxes, np.squeeze, np.ravel, np.ravel, np.repeat))
    take, diagonal, trace, dot, nonzero = map(_method, (np.take, np.diagonal, np.trace, np.dot, np.nonzero))

    __float__, __int__, __complex__, __index__ = map(refused, ("float()", "int()", "complex()", "the index"))

    def __format__(self, spec: str) -> str:
        if spec:
            raise self.refusal("the format")
        return str(self)

    item, tolist, __array__ = map(refused, ("item()", "tolist()", "np.asarray()"))
    flags = strides = property(refused("the memory layout"))


def finite(array: Any) -> Any:
    """`np.isfinite` of an array, and of all that it carries if it is a layer."""
    return array.is_finite() if isinstance(array, ArrayLayer) else np.isfinite(array)


def memory_of(array: Any) -> Any:
    """The array at the bottom of `array`'s layers, in which its elements are."""
    while isinstance(array, ArrayLayer):
        array = array.primary if array.memory is None else array.memory
    return array


def owns_memory(array: Any) -> bool:
    """Whether `array` can be written to without changing another one: no view, and of a layer all parts, which nobody else holds."""
    if isinstance(array, ArrayLayer):
        return _references_to_parts(array) <= _PARTS_ALONE and all(map(owns_memory, array.parts))
    return isinstance(array, ndarray) and array.base is None and array.flags.writeable


def _references_to_parts(layer: ArrayLayer) -> int:
    return max(sys.getrefcount(part) for part in layer.parts)


class _Alone(ArrayLayer):
    def __init__(self) -> None:
        self.part = ndarray(1)

    @property
    def primary(self) -> Any:
        return self.part


_PARTS_ALONE = _references_to_parts(_Alone())  # asked, not known: how many references a call holds differs between versions


def able_to_hold(array: Any, values: Any) -> Any:
    """`array`, as layers of the higher levels that `values`, a nest, has: so that elements can be assigned."""
    for layer in sorted(instances_in(values, ArrayLayer), key=lambda layer: layer.level):
        if layer.level > level_of(array):
            array = layer.holding(array)
    return array


def is_foreign(value: Any) -> bool:
    """Whether `value` is an array of another kind with an opinion of its own: a tensor takes a layer as its data."""
    return not isinstance(value, ArrayLayer | ndarray | np.generic) and hasattr(type(value), "__array_ufunc__")


def instances_in(values: Any, kind: Any) -> Iterator[Any]:
    """What is of class `kind` in `values`, a nest of tuples, lists, dicts and slices."""
    if isinstance(values, kind):
        yield values
    elif isinstance(values, _NESTS):
        for value in _parts(values):
            yield from instances_in(value, kind)


def sequence_like(like: Any, parts: Sequence[Any]) -> Any:
    """A list, tuple or named tuple of the kind of `like`."""
    return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)


_NESTS = (tuple, list, dict, slice)
_CONTAINERS = frozenset(_NESTS)  # by their exact types, which is quicker


def _parts(container: Any) -> Any:
    if isinstance(container, slice):
        return container.start, container.stop, container.step
    return container.values() if isinstance(container, dict) else container


def in_charge(values: Any) -> Any:
    """The layer of the highest level in `values`; None if there is none."""
    top: Any = None
    for value in values:
        kind = type(value)
        if kind is ndarray or kind in SCALARS:
            continue
        found = value if isinstance(value, ArrayLayer) else in_charge(_parts(value)) if kind in _CONTAINERS else None
        if found is not None and (top is None or found.level > top.level):
            top = found
    return top


def level_of(values: Any) -> int:
    """The highest level in `values`; 0 if there is no layer."""
    return max((layer.level for layer in instances_in(values, ArrayLayer)), default=0)


def _innermost(mask: Any) -> Any:
    """What the layers of `mask` are about: a plain array, or a layer that notes what it is asked (whose `primary` is itself)."""
    while isinstance(mask, ArrayLayer) and (below := mask.primary) is not mask:
        mask = below
    return mask


def kind_of(array: Any) -> type:
    """The class of `array`; of a recorded layer that of the plain array in it: what chooses a quick way has to choose alike."""
    kind = type(array)
    return type(array.memory) if issubclass(kind, ArrayLayer) and array.memory is not None else kind


def for_all(mask: Any) -> bool:
    """Whether `mask` is true everywhere, and for each element of a batch: for decisions in a function that may be mapped (`ag.vmap`).

    >>> import numpy as np, autograd_core as ag
    >>> def inverse(x):
    ...     if not ag.for_all(x != 0):
    ...         raise ZeroDivisionError
    ...     return 1 / x
    >>> ag.vmap(inverse)(np.array([1.0, 2.0]))
    array([1. , 0.5])
    """
    return bool(np.all(_innermost(mask)))


def for_any(mask: Any) -> bool:
    """Whether `mask` is true anywhere, for any element of a batch; as `for_all`.

    >>> import numpy as np, autograd_core as ag
    >>> ag.for_any(np.array([False, True]))
    True
    """
    mask = _innermost(mask)
    return bool(np.count_nonzero(mask) if isinstance(mask, ndarray) else np.any(mask))  # which takes a fifth of the time for few elements
