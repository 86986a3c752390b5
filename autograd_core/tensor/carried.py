"""A batch that is carried out of a map: `ag.vmap` looks for it when the mapped function has returned.

    kept = []
    def f(x):
        kept.append(x * 2)   # after the call nobody knows what to do with it
        return x.sum()

Nothing is noted while the function runs. All batches of one map refer to one object, their level, and all tensors to their class: counting
the references to these two tells whether more is alive than went out as a result. If no graph is kept, that is exact, and then all
objects are looked through. A graph keeps batches by right; with one only young objects are, which takes a tenth of a millisecond. What was found
is judged by who holds it: the graph and the frames of what is over may.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator, Sequence
from types import BuiltinFunctionType, CellType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.batching.axes import has_level
from autograd_core.arrays.layers import ArrayLayer
from autograd_core.tensor.handles import Handle, results

__all__ = ["CarriedOut", "Census"]

MANY = 20_000  # young objects: with the garbage collector off there may be any number of them
MOST_HOLDERS = 300  # are looked at


class Census:
    """How many batches of a level, and how many tensors, there are when a map's function is called; `check` counts them again after."""

    def __init__(self) -> None:
        self.level = 0
        self.variables: Sequence[Any] = ()
        self.batches = 0
        self.tensors = 0
        self.uses: list[int] = []

    def begin(self, variables: Sequence[Any], level: int) -> None:
        """Count. A method that is called as `check` is, so that the call holds as many references itself."""
        self.level = level
        self.variables = variables
        self.batches = sys.getrefcount(level)
        self.tensors = sys.getrefcount(results.kind)
        self.uses = [sys.getrefcount(t) for t in variables]

    def check(self, parts: Sequence[Any], level: int) -> None:
        """Raise BatchingError if a tensor that holds a batch of this level is alive, but is no result and not kept by the graph of one."""
        tensors = [part for part in parts if isinstance(part, Handle)]
        uses = [sys.getrefcount(t) for t in self.variables]
        for i, now in enumerate(uses):
            if now > self.uses[i] + 2 * list(map(id, tensors)).count(id(self.variables[i])):  # a result is in both lists
                self._judge([self.variables[i]], tensors, i)
        if any(t.node is not None for t in tensors):
            excess = sys.getrefcount(results.kind) - self.tensors - len({*map(id, tensors)} - {*map(id, self.variables)})
            young = excess > 0 and gc.get_count()[0] < MANY
            if young and self._judge([*gc.get_objects(generation=0), *gc.get_objects(generation=1)], tensors) < excess:
                self._judge(gc.get_objects(generation=2), tensors)  # a collection came between
            return
        known = {id(batch) for t in self.variables for batch in self._batches_in(t._array)}
        results_only = {id(batch) for part in parts for batch in self._batches_in(getattr(part, "_array", part))} - known
        for generation in range(3):
            if sys.getrefcount(level) - self.batches <= len(results_only):
                return
            if generation < 2:
                gc.collect(generation)  # what the function made may be held by garbage
        gc.collect()
        self._judge(gc.get_objects(), tensors)

    def _batches_in(self, array: Any) -> Iterator[Any]:
        if isinstance(array, ArrayLayer):
            if isinstance(array, Batched) and array.level == self.level:
                yield array
            for part in array.parts:
                yield from self._batches_in(part)

    def _judge(self, objects: list[Any], tensors: list[Any], variable: int | None = None) -> int:
        """Raise for the first of the tensors among `objects` that somebody outside of the map holds, no result and no other variable.

        Returns how many there are that may be held, as by the graph.
        """
        # issubclass(type(t), ...): isinstance would ask strange objects for their __class__, which runs code of theirs (proxies of libraries).
        own = {*map(id, self.variables), *map(id, tensors)}
        if variable is not None:
            own.discard(id(self.variables[variable]))
        found = [t for t in objects if issubclass(type(t), Handle) and id(t) not in own and has_level(getattr(t, "_array", None), self.level)]
        objects.clear()
        if not found:
            return 0
        kept = _reached_from([t.node for t in tensors if t.node is not None])
        for t in found:
            if id(t) not in kept and (holder := _holder(t, [found, tensors, self.variables])) is not None:
                shape = t._array.shape
                t._array, t.node = CarriedOut(shape), None
                raise BatchingError(_SAID.format(shape=shape, holder=holder))
        return len(found)


_SAID = (
    "vmap: a value of shape {shape} that differs over the batch was carried out of the function: it is held {holder} and lives on, where it "
    "can be only one value; return it from the function instead (a tuple of results may be returned), and keep what vmap returns"
)


def _reached_from(roots: Iterable[Any]) -> set[int]:
    """The ids of all objects that the graphs behind these nodes hold, what functions in them refer to included."""
    seen: set[int] = set()
    todo = list(roots)
    while todo:
        value = todo.pop()
        if id(value) in seen or issubclass(type(value), type | ModuleType | FrameType | np.ndarray):
            continue
        seen.add(id(value))
        if type(value) is FunctionType:
            todo += [*(value.__closure__ or ()), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        else:
            todo += gc.get_referents(value)
    return seen


# What only hands on: who holds it is asked further.
_PASSAGES = (list, tuple, dict, set, frozenset, FunctionType, MethodType, BuiltinFunctionType, CellType, BaseException)


def _holder(tensor: Any, ours: list[Any]) -> str | None:
    """Where a living tensor is held, in words; None if only frames of calls that are over, garbage, or nothing at all hold it."""
    variables = _variables_of_what_runs()
    seen = {id(tensor), *map(id, ours), id(ours)}
    alive: list[Any] = []  # so that no id is given to another object
    seen.add(id(alive))
    todo: list[Any] = [tensor]
    said: dict[int, str] = {}
    for _ in range(MOST_HOLDERS):
        if not todo:
            return None
        value = todo.pop(0)
        words = said.get(id(value))
        if id(value) in variables:
            return words or f"by the variable {variables[id(value)]}"
        referrers = gc.get_referrers(value)
        alive.append(referrers)
        seen |= {id(referrers), id(todo)}
        for holder in referrers:
            if id(holder) in seen:
                continue
            seen.add(id(holder))
            if type(holder) is FrameType:
                continue  # of a call that is over: what runs is not shown among the holders
            if issubclass(type(holder), _PASSAGES):
                said[id(holder)] = words or _words(holder, value)
                if isinstance(holder, dict) and "__name__" in holder and "__builtins__" in holder:
                    return said[id(holder)]
                todo.append(holder)
            elif type(holder).__module__.startswith("autograd_core.") and not issubclass(type(holder), Handle):
                continue  # the engine's own: an instrument, a pass, a transform that holds the function
            elif type(holder).__name__ not in ("traceback", "generator", "coroutine"):
                return words or _words(holder, value)
    return None


def _words(holder: Any, value: Any) -> str:
    if isinstance(holder, CellType):
        return "by a variable of an enclosing function (nonlocal)"
    if isinstance(holder, dict):
        name = next((key for key, held in holder.items() if held is value), None)
        return f"by the global variable {name}" if "__builtins__" in holder else f"in a dict, as {name!r}"
    if isinstance(holder, list | tuple | set | frozenset):
        return f"in a {type(holder).__name__}"
    named = getattr(holder, "__dict__", None) or {}
    name = next((key for key, held in named.items() if held is value), "grad" if isinstance(holder, Handle) else None)
    return f"as the attribute {name!r} of a {type(holder).__name__}" if name else f"by a {type(holder).__name__}"


def _variables_of_what_runs() -> dict[int, str]:
    """The names of the variables of all calls under way but for the engine's, by the ids of their values."""
    found: dict[int, str] = {}
    for top in sys._current_frames().values():
        frame: FrameType | None = top
        while frame is not None:
            if not str(frame.f_globals.get("__name__", "")).startswith("autograd_core."):
                found |= {id(value): f"{name} of {frame.f_code.co_name}()" for name, value in frame.f_locals.items()}
            frame = frame.f_back
    return found


def _raises(self: Any, *_: Any, **__: Any) -> Any:
    raise BatchingError(
        f"this batch of values of shape {self._was} was carried out of ag.vmap, which raised an error then; return it from the function instead"
    )


class CarriedOut:
    """Stands in a tensor for a batch that was carried out of its map; whatever is asked of it raises."""

    __slots__ = ("_was",)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._was = shape

    __getattr__ = __array_ufunc__ = __array_function__ = __len__ = __getitem__ = __bool__ = __float__ = __int__ = __repr__ = _raises
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = _raises
    __mod__ = __rmod__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __neg__ = __pos__ = __abs__ = __invert__ = _raises
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = _raises
    __hash__ = object.__hash__
