"""Recording: `Traced`, an array layer that computes as the array in it does, and notes each call in a program.

A function that is recorded runs as it is, on the ordinary tape, with ordinary rules; only its arrays are Traced. What NumPy itself
computes is what the function gets, so shapes, layouts and decisions are real. Numbers that leave (`if x > 0`, `float(x)`) are
answered, and noted as guards. What a run of the calls could not repeat is a *leak*: the function gets what it asked for, and the
trace remembers, with the user's line, that it cannot be replayed.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import BuiltinFunctionType
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.arrays.layers import SCALARS, ArrayLayer, Interpreter, instances_in, interprets, is_foreign, sequence_like
from autograd_core.compiling.program import COMPUTED, CONSTANT, INPUT, Guard, Instruction, Program, Ref, Value
from autograd_core.tape.guard import fingerprint
from autograd_core.tape.mode import Follower
from autograd_core.tape.node import Node
from autograd_core.tape.source_lines import place_text, user_place

__all__ = ["Attribute", "Leak", "Method", "Trace", "Traced", "concrete"]


class Method:
    """A method of ndarray as a function: `Method("copy")(x)` is `x.copy()`."""

    __slots__ = ("__name__",)

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, array: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(array, self.__name__)(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__name__ == self.__name__

    def __hash__(self) -> int:
        return hash((type(self), self.__name__))

    def __repr__(self) -> str:
        return f".{self.__name__}"


class Attribute(Method):
    """An attribute of ndarray as a function: `Attribute("T")(x)` is `x.T`."""

    __slots__ = ()

    def __call__(self, array: Any, /, *args: Any, **kwargs: Any) -> Any:
        return getattr(array, self.__name__)


class Window(Method):
    """A view of an array's memory by places and steps, as tensors have that are written to through one another."""

    __slots__ = ("offset", "shape", "strides")

    def __init__(self, shape: tuple[int, ...], offset: int, strides: tuple[int, ...]) -> None:
        super().__init__(f"window{shape, offset, strides}")
        self.shape = shape
        self.offset = offset
        self.strides = strides

    def __call__(self, array: Any, /, *args: Any, **kwargs: Any) -> Any:
        return ndarray(self.shape, array.dtype, array.ravel(order="K"), self.offset, self.strides)


class Leak:
    """Why a trace cannot be replayed: what was done, and the user's line."""

    __slots__ = ("place", "what")

    def __init__(self, what: str, place: str) -> None:
        self.what = what
        self.place = place

    def __str__(self) -> str:
        return f"{self.what} ({self.place})" if self.place else self.what


class Departure(BaseException):
    """Raised inside of a trace to give it up at once. (No Exception: nobody who expects some shall catch it.)"""


# What tells of an array no more than its layout, which is the same at each run.
OF_LAYOUT = frozenset(
    {np.shape, np.ndim, np.size, np.result_type, np.iscomplexobj, np.isrealobj, np.can_cast, np.common_type, np.may_share_memory, np.shares_memory}
)
TEXTS = frozenset({np.array_repr, np.array_str, np.array2string})
# Functions that change an argument, by its place.
WRITERS: dict[Any, int] = {
    np.copyto: 0,
    np.put: 0,
    np.place: 0,
    np.putmask: 0,
    np.fill_diagonal: 0,
    np.put_along_axis: 0,
    operator.setitem: 0,
}
_NUMBERS = (bool, int, float, complex)
_PYTHON_NUMBERS = frozenset(_NUMBERS)
ARITHMETIC = frozenset({"add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "neg", "pos", "abs"})
MOST_CALLS = 20_000


def concrete(values: Any) -> Any:
    """`values`, a nest, with the array in place of each Traced."""
    kind = type(values)
    if kind is Traced:
        return values.value
    if kind is ndarray or kind in SCALARS:
        return values
    if isinstance(values, tuple | list):
        parts = [concrete(value) for value in values]
        return sequence_like(values, parts)
    if kind is dict:
        return {key: concrete(value) for key, value in values.items()}
    if kind is slice:
        return slice(concrete(values.start), concrete(values.stop), concrete(values.step))
    return values


def _traced_in(values: Any) -> Any:
    """A Traced in a nest, of a trace that is open if there is one."""
    found = None
    kind = type(values)
    if kind is Traced:
        return values
    if kind is slice:
        values = (values.start, values.stop, values.step)
    elif kind is dict:
        values = values.values()
    elif not isinstance(values, tuple | list):
        return None
    for value in values:
        inner = _traced_in(value)
        if inner is not None:
            if inner.tracer.is_open:
                return inner
            found = inner
    return found


class _Standing:
    """Stands for a node in the links that a rule is given: rules ask it for shape and dtype."""

    __slots__ = ("like",)

    def __init__(self, like: Any) -> None:
        self.like = like

    shape = property(lambda self: self.like.shape)
    dtype = property(lambda self: self.like.dtype)
    ndim = property(lambda self: self.like.ndim)
    size = property(lambda self: self.like.size)


class Rule(Method):
    """A rule of an operation written in Python, as a function of a gradient and of what its node saved."""

    __slots__ = ("parents", "pull")

    def __init__(self, pull: Any, parents: tuple[_Standing, ...]) -> None:
        super().__init__("rule")
        self.pull = pull
        self.parents = parents

    def __call__(self, array: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self.pull(array, self.parents + args)

    def __eq__(self, other: object) -> bool:
        return type(other) is Rule and other.pull is self.pull and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((Rule, id(self.pull)))

    def _key(self) -> list[Any]:
        return [(parent.shape, parent.dtype) for parent in self.parents]


class Trace(Follower):
    """A program in the making.

    level     of its Traced: lower than that of any layer that the function makes
    is_open   whether calls are noted; later ones on what is left of its values are plain NumPy
    leaks     why it cannot be replayed
    made      weak references to all Traced
    undo      (array, copy of it before) of what was written to and lives outside
    """

    def __init__(self, level: int) -> None:
        self.level = level
        self.program = Program()
        self.is_open = True
        self.leaks: list[Leak] = []
        self.made: list[tuple[weakref.ref[Any], str]] = []
        self.undo: dict[int, tuple[Any, Any]] = {}
        self.constants: dict[int, int] = {}
        self.contents: list[tuple[Any, bytes | None]] = []
        self.copies: list[Any] = []  # held, so that no other array gets their ids
        self._places: dict[tuple[str, int], str] = {}

    # --- values -----------------------------------------------------------------------------------------------------------------

    def value(self, like: Any, kind: str, root: int | None = None, **more: Any) -> Value:
        """A new value of the program, with the layout of `like`."""
        number = len(self.program.values)
        scalar = isinstance(like, np.generic)
        strides = () if scalar else like.strides
        made = Value(number, kind, like.shape, like.dtype, strides, scalar, number if root is None else root, **more)
        self.program.values.append(made)
        return made

    def traced(self, array: Any, number: int, place: str = "") -> Traced:
        """A Traced that shows value `number`."""
        made = Traced(self, array, number)
        self.made.append((weakref.ref(made), place))
        return made

    def input(self, array: Any, name: str) -> Traced:
        """A value that is bound at each run."""
        value = self.value(array, INPUT, name=name)
        self.program.inputs.append(value.number)
        return self.traced(array, value.number, name)

    def constant(self, array: Any) -> int:
        """The number of an array that the function has from elsewhere."""
        number = self.constants.get(id(array))
        if number is None:
            number = self.constants[id(array)] = self.value(array, CONSTANT, array=array).number
            self.contents.append((array, fingerprint(array)))
        return number

    def note_copy(self, copy: Any, array: Any) -> None:
        """Note that an array of the outside is saved as a copy: a later run reads it from where it is."""
        self.constants[id(copy)] = self.constant(array)
        self.copies.append(copy)

    def rule(self, pull: Callable[[Any, Any], Any], g: Any, links: tuple[Any, ...]) -> Any:
        """A call of a rule that is not looked into."""
        count = sum(isinstance(link, Node) for link in links)
        saved = links[count:]
        others = [layer for layer in instances_in((g, saved), ArrayLayer) if type(layer) is not Traced]
        if others or any(isinstance(link, Node) for link in saved) or not self.is_open:
            return NotImplemented
        parents = tuple(_Standing(link.like) for link in links[:count])
        return self.call(Rule(pull, parents), (g, *saved), {}, is_opaque=True)

    def note_changes(self) -> None:
        """Find arrays of the outside that the function has changed behind NumPy's protocols: `a[:] = 0` of a plain array."""
        for array, before in self.contents:
            if before is not None and fingerprint(array) != before:
                self.leak(f"it changes an array of shape {array.shape} that is no argument and no tensor")
        self.contents.clear()

    def place(self) -> str:
        """The user's line."""
        found = user_place()
        if found is None:
            return ""
        text = self._places.get(found)
        if text is None:
            text = self._places[found] = place_text(found)
        return text

    def leak(self, what: str) -> None:
        """Note that this cannot be replayed."""
        if self.is_open and len(self.leaks) < 10:
            self.leaks.append(Leak(what, self.place()))

    # --- calls ------------------------------------------------------------------------------------------------------------------

    def refs(self, values: Any) -> Any:
        """`values`, a nest, with a Ref in place of each array."""
        kind = type(values)
        if kind is Traced:
            return Ref(values.number if values.tracer is self else self.constant(values.value))
        if kind in SCALARS:
            return values
        if isinstance(values, ndarray):
            if kind is not ndarray:
                self.leak(f"an array of class {kind.__name__}")
            return Ref(self.constant(values))
        if isinstance(values, tuple | list):
            return type(values)(self.refs(value) for value in values) if not hasattr(values, "_fields") else tuple(map(self.refs, values))
        if kind is dict:
            return {key: self.refs(value) for key, value in values.items()}
        if kind is slice:
            return slice(self.refs(values.start), self.refs(values.stop), self.refs(values.step))
        if isinstance(values, ArrayLayer):
            self.leak("an array of an inner transform")
        return values

    def call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_opaque: bool = False) -> Any:
        """`function(*args, **kwargs)`, noted."""
        raw_args, raw_kwargs = concrete(args), concrete(kwargs)
        if not self.is_open:
            return function(*raw_args, **raw_kwargs)
        if function in OF_LAYOUT or function in TEXTS:
            return function(*raw_args, **raw_kwargs)
        written = self._written(function, args, kwargs)
        for array in written:
            self._keep_for_undo(array)
        result = function(*raw_args, **raw_kwargs)
        self.note(function, args, kwargs, is_opaque=is_opaque, written=written)
        return self._wrapped(result, (raw_args, raw_kwargs))

    def note(self, function: Any, args: Any, kwargs: Any, *, is_opaque: bool = False, written: Sequence[Any] = (), **more: Any) -> Instruction:
        """Add an instruction, whose results are still to come."""
        if len(self.program.instructions) >= MOST_CALLS:
            raise Departure(f"it makes more than {MOST_CALLS} calls, too many to be worth it")
        place = self.place()
        references, keywords = self.refs(args), self.refs(kwargs)
        writes = tuple({self.program.values[t.number].root: None for t in written})
        made = Instruction(function, references, keywords, writes=writes, is_opaque=is_opaque, place=place, **more)
        self.program.instructions.append(made)
        return made

    def _written(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The arguments that the call writes to; those that are plain arrays are leaks."""
        found = []
        place = WRITERS.get(function) if _is_hashable(function) else None
        if place is None and function is np.nan_to_num and kwargs.get("copy", args[1] if len(args) > 1 else True) is False:
            place = 0
        if place is None and getattr(function, "__name__", "") == "at" and isinstance(getattr(function, "__self__", None), np.ufunc):
            place = 0
        if place is not None:
            found.append(args[place] if len(args) > place else next(iter(kwargs.values())))
        out = kwargs.get("out")
        if out is not None:
            found += out if isinstance(out, tuple) else [out]
        for array in found:
            if type(array) is not Traced and array is not None:
                self.leak(f"{getattr(function, '__name__', function)} writes to an array that is no argument and no tensor")
        return [array for array in found if type(array) is Traced]

    def _keep_for_undo(self, array: Traced) -> None:
        root = self.program.values[self.program.values[array.number].root]
        if root.kind != COMPUTED and isinstance(array.value, ndarray):
            owner = array.value
            if root.number not in self.undo:
                while isinstance(owner.base, ndarray) and root.number != array.number:
                    owner = owner.base
                self.undo[root.number] = (owner, owner.copy())

    def _root_of(self, result: Any, arguments: list[tuple[int, Any]]) -> int | None:
        """The root of the argument whose memory `result` shows."""
        if isinstance(result, np.generic):
            return None
        for number, array in arguments:
            if result is array or (result.base is not None and isinstance(array, ndarray) and np.may_share_memory(result, array)):
                return self.program.values[number].root
        return None

    def _wrapped(self, result: Any, raw: Any) -> Any:
        """The result of the last call as values."""
        made = self.program.instructions[-1]
        if isinstance(result, ndarray | np.generic) and type(result) is not np.object_:
            if result.dtype.hasobject or (isinstance(result, ndarray) and type(result) is not ndarray):
                self.leak(f"{made.name} gives an array of {type(result).__name__}, {result.dtype}")
                return result
            return self._result(result, raw)
        if type(result) in _PYTHON_NUMBERS:
            if isinstance(made.function, BuiltinFunctionType) and made.function.__name__ in ARITHMETIC:
                self.leak("a number of NumPy's becomes one of Python's by arithmetic with complex ones")
            made.guard = Guard(made.name, result)
            return result
        if result is None:
            return None
        if isinstance(result, tuple | list) and all(
            part is None or (isinstance(part, ndarray | np.generic) and not part.dtype.hasobject) for part in result
        ):
            made.is_several = True
            parts = [self._part(part, raw) for part in result]
            return sequence_like(result, parts)
        self.leak(f"{made.name} gives {type(result).__name__}")
        return result

    def _result(self, array: Any, raw: Any) -> Traced:
        index = len(self.program.instructions) - 1
        made = self.program.instructions[index]
        root = self._root_of(array, self._numbered(raw))
        value = self.value(array, COMPUTED, root, made_by=index)
        made.results += (value.number,)
        made.is_view = root is not None and not made.writes and not made.is_several
        return self.traced(array, value.number, made.place)

    def _part(self, part: Any, raw: Any) -> Any:
        if part is not None:
            return self._result(part, raw)
        self.program.instructions[-1].results += (None,)
        return None

    def _numbered(self, raw: Any) -> list[tuple[int, Any]]:
        """The values among the arguments of the last call, with their arrays in its `raw` arguments."""
        made = self.program.instructions[-1]
        return list(_paired((made.arguments, made.keywords), raw))

    def ufunc(self, ufunc: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """`ufunc(*args, **kwargs)` with its `out`, noted."""
        out = kwargs.pop("out", None)
        if len(args) > ufunc.nin:
            out, args = (*(out or ()), *args[ufunc.nin :]), args[: ufunc.nin]
        if out is None or all(o is None for o in out):
            return self.call(ufunc, args, kwargs)
        target = out[0]
        if len(out) != 1 or type(target) is not Traced or target.tracer is not self:
            if self.is_open:
                self.leak(f"{ufunc.__name__} writes to an array that is no argument and no tensor")
            result = ufunc(*concrete(args), out=concrete(out), **concrete(kwargs))
            return target if len(out) == 1 else result
        if not self.is_open:
            ufunc(*concrete(args), out=target.value, **concrete(kwargs))
            return target
        self._keep_for_undo(target)
        ufunc(*concrete(args), out=target.value, **concrete(kwargs))
        made = self.note(ufunc, args, kwargs, written=[target], into=target.number)
        value = self.value(target.value, COMPUTED, self.program.values[target.number].root, made_by=len(self.program.instructions) - 1)
        made.results = (value.number,)
        target.number = value.number
        return target

    def number(self, what: str, read: Callable[[Any], Any], traced: Traced) -> Any:
        """What `read` makes of a value, for the function to decide by: a guard."""
        answer = read(traced.value)
        if self.is_open:
            self.note(read, (traced,), {}, guard=Guard(what, answer))
        return answer


def _paired(reference: Any, array: Any) -> Iterator[tuple[int, Any]]:
    """The number of each Ref in a nest, with what stands there in another one."""
    if type(reference) is Ref:
        yield reference.number, array
    elif isinstance(reference, tuple | list):
        for r, a in zip(reference, array, strict=True):
            yield from _paired(r, a)
    elif type(reference) is dict:
        for key, r in reference.items():
            yield from _paired(r, array[key])
    elif type(reference) is slice:
        yield from _paired((reference.start, reference.stop, reference.step), (array.start, array.stop, array.step))


def _is_hashable(function: Any) -> bool:
    try:
        hash(function)
    except TypeError:
        return False
    return True


def _truth(value: Any) -> bool:
    return bool(value)


# --- the layer ---------------------------------------------------------------------------------------------------------------------


def _operator(ufunc: Any, plain: Any, reflected: bool = False) -> Callable[[Any, Any], Any]:
    """The method behind an operator: the ufunc that NumPy calls for it, or of two scalars NumPy's arithmetic of scalars."""

    def method(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind is not Traced and kind not in SCALARS and kind is not ndarray:
            if isinstance(other, list | tuple):
                other = np.asarray(other)
            elif (isinstance(other, ArrayLayer) and other.level > self.level) or is_foreign(other) or not isinstance(other, ArrayLayer | ndarray):
                return NotImplemented
        value = other.value if type(other) is Traced else other
        function = plain if not isinstance(self.value, ndarray) and not isinstance(value, ndarray) else ufunc
        return self.tracer.call(function, (other, self) if reflected else (self, other), {})

    return method


def _both(ufunc: Any, plain: Any) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    return _operator(ufunc, plain), _operator(ufunc, plain, True)


def _in_place(ufunc: Any) -> Callable[[Any, Any], Any]:
    """The method behind `self += other`, which writes into the array."""

    def method(self: Any, other: Any) -> Any:
        if not isinstance(self.value, ndarray):
            return NotImplemented  # a scalar: a new one for the name
        if isinstance(other, list | tuple):
            other = np.asarray(other)
        if isinstance(other, ArrayLayer) and other.level > self.level:
            return NotImplemented
        return self.tracer.ufunc(ufunc, (self, other), {"out": (self,)})

    return method


def _unary(ufunc: Any, plain: Any) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return self.tracer.call(ufunc if isinstance(self.value, ndarray) else plain, (self,), {})

    return method


def _method(name: str) -> Callable[..., Any]:
    call = Method(name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self.tracer.call(call, (self, *args), kwargs)

    method.__name__ = name
    return method


def _attribute(name: str) -> Any:
    call = Attribute(name)
    return property(lambda self: self.tracer.call(call, (self,), {}))


def _leaving(name: str) -> Callable[..., Any]:
    """A method whose result is no array: the function gets it, and cannot be replayed."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.tracer.leak(f"{name}() of a value of shape {self.shape}")
        return getattr(self.value, name)(*concrete(args), **concrete(kwargs))

    method.__name__ = name
    return method


class Traced(ArrayLayer):
    """An array whose calls are noted.

    tracer  where
    value   the array itself
    number  which value of the program it is
    """

    __slots__ = ("__weakref__", "number", "tracer", "value")
    saved_by_copy = True

    def __init__(self, tracer: Trace, value: Any, number: int) -> None:
        self.tracer = tracer
        self.value = value
        self.number = number
        self.level = tracer.level

    @property
    def primary(self) -> Any:
        return self

    @property
    def parts(self) -> tuple[Any, ...]:
        return (self.value,)

    def rebuilt(self, parts: Sequence[Any]) -> Any:
        raise Departure("an inner transform takes a value of the outside apart")

    def parts_of(self, value: Any) -> tuple[Any, ...]:
        raise Departure("an inner transform takes a value of the outside apart")

    def holding(self, array: Any) -> Any:
        return self.tracer.call(np.array, (array,), {"order": "K"}) if self.tracer.is_open else np.array(array)

    def apart(self) -> Any:
        return self.tracer.call(np.array, (self,), {}) if self.is_scalar else self.copy(order="K")

    def window(self, like: Any) -> Any:
        offset = like.__array_interface__["data"][0] - self.value.__array_interface__["data"][0]
        return self.tracer.call(Window(like.shape, offset, like.strides), (self,), {})

    def refusal(self, what: str) -> Exception:
        return TypeError(f"{what} of a value that is being recorded (ag.compile)")

    def without_tangents(self) -> Any:
        return self

    def is_finite(self) -> Any:
        return np.isfinite(self)

    @property
    def memory(self) -> Any:
        """The plain array whose memory it shows."""
        return self.value

    @property
    def is_scalar(self) -> bool:
        """Whether it stands for a NumPy scalar, which nobody can write to."""
        return not isinstance(self.value, ndarray)

    # --- what it is -----------------------------------------------------------------------------------------------------------------

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    itemsize = property(lambda self: self.value.itemsize)
    nbytes = property(lambda self: self.value.nbytes)
    strides = property(lambda self: self.value.strides)
    flags = property(lambda self: self.value.flags)
    base = None  # as of any layer: whose memory it shows is asked of `memory`

    def __len__(self) -> int:
        return len(self.value)

    def __repr__(self) -> str:
        return f"<traced %{self.number} {self.value!r}>"

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.value, spec)

    # --- numbers that leave -----------------------------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        return bool(self.tracer.number("the truth", _truth, self))

    def __float__(self) -> float:
        return float(self.tracer.number("float()", float, self))

    def __int__(self) -> int:
        return int(self.tracer.number("int()", int, self))

    def __complex__(self) -> complex:
        return complex(self.tracer.number("complex()", complex, self))

    def __index__(self) -> int:
        return int(self.tracer.number("the index", operator.index, self))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def item(self, *args: Any) -> Any:
        if args or self.size != 1:
            value = self[args[0] if len(args) == 1 else args] if self.ndim == len(args) else self.reshape(-1)[args[0]]
            return value.item()
        return self.tracer.number("item()", _item, self)

    tolist, tobytes, dump, dumps, tofile = map(_leaving, ("tolist", "tobytes", "dump", "dumps", "tofile"))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self.tracer.leak(f"np.asarray of a value of shape {self.shape}")
        return np.array(self.value, dtype=dtype, copy=copy)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.value, name)
        self.tracer.leak(f".{name} of a value of shape {self.shape}")
        return found

    def __reduce__(self) -> Any:
        raise TypeError("a value that is being recorded (ag.compile) cannot be pickled")

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    # --- operators -----------------------------------------------------------------------------------------------------------------------

    __add__, __radd__ = _both(np.add, operator.add)
    __sub__, __rsub__ = _both(np.subtract, operator.sub)
    __mul__, __rmul__ = _both(np.multiply, operator.mul)
    __truediv__, __rtruediv__ = _both(np.divide, operator.truediv)
    __floordiv__, __rfloordiv__ = _both(np.floor_divide, operator.floordiv)
    __mod__, __rmod__ = _both(np.remainder, operator.mod)
    __pow__, __rpow__ = _both(operator.pow, operator.pow)
    __and__, __rand__ = _both(np.bitwise_and, operator.and_)
    __or__, __ror__ = _both(np.bitwise_or, operator.or_)
    __xor__, __rxor__ = _both(np.bitwise_xor, operator.xor)
    __lshift__, __rlshift__ = _both(np.left_shift, operator.lshift)
    __rshift__, __rrshift__ = _both(np.right_shift, operator.rshift)
    __matmul__, __rmatmul__ = _both(np.matmul, operator.matmul)
    __divmod__, __rdivmod__ = _both(np.divmod, divmod)
    __lt__, __le__ = _operator(np.less, operator.lt), _operator(np.less_equal, operator.le)
    __gt__, __ge__ = _operator(np.greater, operator.gt), _operator(np.greater_equal, operator.ge)
    __eq__, __ne__ = _operator(np.equal, operator.eq), _operator(np.not_equal, operator.ne)
    __hash__ = object.__hash__
    __neg__, __pos__ = _unary(np.negative, operator.neg), _unary(np.positive, operator.pos)
    __abs__, __invert__ = _unary(np.absolute, operator.abs), _unary(np.invert, operator.invert)
    __iadd__, __isub__, __imul__, __itruediv__ = map(_in_place, (np.add, np.subtract, np.multiply, np.divide))
    __ifloordiv__, __imod__, __ipow__, __imatmul__ = map(_in_place, (np.floor_divide, np.remainder, np.power, np.matmul))
    __iand__, __ior__, __ixor__ = map(_in_place, (np.bitwise_and, np.bitwise_or, np.bitwise_xor))
    __ilshift__, __irshift__ = map(_in_place, (np.left_shift, np.right_shift))

    # --- elements ------------------------------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return self.tracer.call(operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.call(operator.setitem, (self, index, value), {})

    # --- methods of ndarray ------------------------------------------------------------------------------------------------------------------

    sum, prod, mean, var, std = map(_method, ("sum", "prod", "mean", "var", "std"))
    max, min, any, all, ptp = map(_method, ("max", "min", "any", "all", "ptp"))
    argmax, argmin, argsort, argpartition, searchsorted = map(_method, ("argmax", "argmin", "argsort", "argpartition", "searchsorted"))
    cumsum, cumprod, clip, round = map(_method, ("cumsum", "cumprod", "clip", "round"))
    swapaxes, squeeze, ravel, flatten, repeat = map(_method, ("swapaxes", "squeeze", "ravel", "flatten", "repeat"))
    take, diagonal, trace, dot, nonzero = map(_method, ("take", "diagonal", "trace", "dot", "nonzero"))
    reshape, transpose, astype, copy = map(_method, ("reshape", "transpose", "astype", "copy"))
    conjugate, conj, compress, choose, view = map(_method, ("conjugate", "conj", "compress", "choose", "view"))
    T, mT, real, imag = map(_attribute, ("T", "mT", "real", "imag"))


def _item(value: Any) -> Any:
    return value.item()


@interprets(Traced)
class TracingInterpreter(Interpreter):
    """NumPy's calls on Traced: noted as they are."""

    def ufunc(self, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
        trace = _traced_in((inputs, kwargs)).tracer
        if method == "__call__":
            return trace.ufunc(ufunc, inputs, dict(kwargs))
        out = kwargs.get("out")
        if isinstance(out, tuple) and len(out) == 1:
            kwargs = {**kwargs, "out": out[0]}
        return trace.call(getattr(ufunc, method), inputs, kwargs)

    def function(self, function: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        return _traced_in((args, kwargs)).tracer.call(function, tuple(args), kwargs)

    def op(self, op: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        return _traced_in((args, kwargs)).tracer.call(op.function, tuple(args), kwargs, is_opaque=True)
