"""One call of a function, recorded: its program, where its inputs come from, what becomes of its outputs, and its gradients' program.

Two recordings of the same kind of call are compared: `difference`. What is not the same in both, though no argument says so, is
something that the function has from elsewhere: a random number, a counter, an array that was replaced.
"""

from __future__ import annotations

import functools
import gc
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.arrays.layers import new_level
from autograd_core.compiling.effects import Effect, grad_slot, same_function
from autograd_core.compiling.program import CONSTANT, Program, Ref, Value, layout_of, name_of_call, same_number
from autograd_core.compiling.tracing import Departure, Leak, Trace, Traced
from autograd_core.compiling.watching import Outside, Watch, watched
from autograd_core.tape.node import Leaf
from autograd_core.tensor.backward import partial_gradients
from autograd_core.tensor.handles import Handle, results

__all__ = ["Backward", "Difference", "Output", "Recording", "difference", "escaped", "leaves_of", "mark_held", "rebuilt", "recorded"]


# --- nests ---------------------------------------------------------------------------------------------------------------------------


def leaves_of(values: Any) -> Iterator[Any]:
    """What is in a nest of tuples, lists and dicts."""
    if isinstance(values, tuple | list):
        for value in values:
            yield from leaves_of(value)
    elif type(values) is dict:
        for value in values.values():
            yield from leaves_of(value)
    else:
        yield values


def rebuilt(values: Any, change: Callable[[Any], Any]) -> Any:
    """The same nest with `change(leaf)` in place of each leaf."""
    if isinstance(values, tuple | list):
        parts = [rebuilt(value, change) for value in values]
        return type(values)(*parts) if hasattr(values, "_fields") else type(values)(parts)
    if type(values) is dict:
        return {key: rebuilt(value, change) for key, value in values.items()}
    return change(values)


# --- what is recorded ------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Output:
    """A leaf of what the function returns.

    kind    "tensor" or "array" (value `number`), "outside" (the tensor `what` itself), "static" (`what` itself)
    tracked its place among the outputs that have a gradient; None if it has none
    """

    kind: str
    number: int = -1
    tracked: int | None = None
    what: Any = None


@dataclass(slots=True)
class Backward:
    """The gradients of some outputs: instructions from `start` to `end`.

    used     which of the tracked outputs have a gradient
    seeds    numbers of the values that these are
    found    for each tensor of the outside in `wanted`, the number of its gradient, or None
    layouts  the strides of the seeds: gradients that come in another layout may be summed in another order
    """

    used: tuple[int, ...]
    seeds: list[int]
    found: list[int | None]
    start: int
    end: int
    layouts: tuple[tuple[int, ...], ...] = ()


@dataclass(slots=True)
class Recording:
    """See the module.

    outside     tensors that were met, in their order
    arguments   numbers of the inputs that arguments which are arrays became, by their place among the leaves
    forward_end index behind the last instruction of the function itself
    outputs     the leaves of what it returned; `nest` is that, with places in `outputs` for leaves
    assigned    (place in `outside`, number) of tensors that get a new array
    grads       (place in `outside`, number or None) of tensors that get a new `grad`
    wanted      places in `outside` of tensors with respect to which there are gradients
    refusal     why it cannot be replayed; None if it can
    feed        what its effects gave
    """

    program: Program
    outside: list[Outside]
    arguments: dict[int, int]
    feed: list[Any]
    forward_end: int = 0
    nest: Any = None
    outputs: list[Output] = field(default_factory=list)
    assigned: list[tuple[int, int]] = field(default_factory=list)
    grads: list[tuple[int, int | None]] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    backwards: list[Backward] = field(default_factory=list)
    refusal: Leak | None = None
    stepped_out: bool = False
    values: dict[int, Any] = field(default_factory=dict)  # what outputs, assigned arrays and gradients were: for the rehearsal
    alive: dict[int, Any] = field(default_factory=dict)  # what gradients may need of this very call
    is_freed: bool = False
    seeds: list[int] = field(default_factory=list)  # all inputs that are gradients of outputs


MOST_TRACKED = 2  # outputs with gradients of which every combination is recorded


def recorded(function: Callable[..., Any], args: Any, kwargs: Any, names: list[str], probe: list[Any]) -> tuple[Any, list[Any], Recording]:
    """Call the function and record it: what it returned, those tensors of it that are to get a history, and the recording.

    names   of the leaves of the arguments, for people
    probe   gets the watch and the trace
    raises  what the function raises, and Departure, after all that it did to tensors has been undone
    """
    trace = Trace(new_level())
    watch = Watch(trace)
    probe[:] = (watch, trace)
    arguments: dict[int, int] = {}
    leaves = list(leaves_of((args, kwargs)))
    seen: dict[int, Traced] = {}

    def substituted() -> tuple[Any, Any]:
        places = iter(range(len(leaves)))

        def change(leaf: Any) -> Any:
            i = next(places)
            if isinstance(leaf, Handle):
                watch.meet(leaf, names[i])
            elif type(leaf) is ndarray:
                if id(leaf) not in seen:
                    seen[id(leaf)] = trace.input(leaf, names[i])
                arguments[i] = seen[id(leaf)].number
                return seen[id(leaf)]
            return leaf

        return rebuilt((args, kwargs), change)

    recording = Recording(trace.program, [], arguments, watch.feed)
    try:
        with watched(watch):
            given_args, given_kwargs = substituted()
            result = function(*given_args, **given_kwargs)
            recording.forward_end = len(trace.program.instructions)
            leaves_out, tensors = _note_outputs(recording, result, trace, watch)
            _record_backwards(recording, tensors, trace, watch)
            trace.note_changes()
            trace.is_open = False
    except BaseException:
        trace.is_open = False
        if not watch.has_stepped_out:
            watch.roll_back()
        else:
            watch.commit()
        raise
    del given_args, given_kwargs
    _finish(recording, trace, watch)
    plain = [leaf.value if type(leaf) is Traced else leaf for leaf in leaves_out]
    for output, leaf in zip(recording.outputs, plain, strict=True):
        if output.number >= 0:
            recording.values[output.number] = leaf._array if isinstance(leaf, Handle) else leaf
    result = rebuilt(recording.nest, plain.__getitem__)
    for tensor in tensors:
        tensor.node = None  # the graph that was recorded has served
    del leaves_out
    seen.clear()
    for outside in watch.outside.values():
        outside.array = outside.node = outside.proxy = outside.grad = None
    return result, tensors, recording


def _note_outputs(recording: Recording, result: Any, trace: Trace, watch: Watch) -> tuple[list[Any], list[Any]]:
    """Fill in `outputs`; returns what they are of, and the tensors among these that have a history."""
    tracked: list[Any] = []
    leaves: list[Any] = []
    places: dict[int, int] = {}

    def note(leaf: Any) -> int:
        if id(leaf) in places and isinstance(leaf, Handle | Traced):
            return places[id(leaf)]
        made = len(recording.outputs)
        places[id(leaf)] = made
        leaves.append(leaf)
        if isinstance(leaf, Handle):
            if not watch.is_made(leaf):
                recording.outputs.append(Output("outside", what=watch.meet(leaf)))
                return made
            output = Output("tensor", _number(leaf._array, trace))
            if type(leaf) is not results.kind or leaf.grad is not None:
                trace.leak(f"it returns a {type(leaf).__name__} that it has made, or a tensor with a grad")
            node = leaf.node
            if node is not None:
                if isinstance(node, Leaf):
                    trace.leak("it returns a tensor that it has made and that requires grad")
                output.tracked = len(tracked)
                tracked.append(leaf)
            recording.outputs.append(output)
        elif type(leaf) is Traced:
            recording.outputs.append(Output("array", leaf.number))
        elif isinstance(leaf, ndarray):
            recording.outputs.append(Output("array", _number(leaf, trace)))
        else:
            recording.outputs.append(Output("static", what=leaf))
        return made

    recording.nest = rebuilt(result, note)
    return leaves, tracked


def _number(array: Any, trace: Trace) -> int:
    """The number of a value of the program: of an array that the function has from elsewhere, a constant."""
    if type(array) is Traced and array.tracer is trace:
        return array.number
    if isinstance(array, ndarray):
        return trace.constant(array)
    if isinstance(array, np.generic):
        return trace.value(array, CONSTANT, array=array).number
    raise Departure(f"a tensor holds {type(array).__name__}")


def _record_backwards(recording: Recording, tensors: list[Any], trace: Trace, watch: Watch) -> None:
    """The gradients of the outputs, for each way in which these may be used, and for each layout that gradients mostly have."""
    outside = list(watch.outside.values())
    wanted = watch.tracked()
    nodes = [o.node for o in wanted]
    recording.wanted = [outside.index(o) for o in wanted]
    if not tensors:
        return
    if any(t.node.plan.is_freed for t in tensors):
        recording.is_freed = True
        return
    if len(tensors) > MOST_TRACKED:
        ways = [tuple(range(len(tensors))), *((i,) for i in range(len(tensors)))]
    else:
        ways = [w for w in ((0,), (1,), (0, 1)) if max(w) < len(tensors)]
    for used in ways:
        chosen = [tensors[i] for i in used]
        known: set[Any] = set()
        for how in ("C", "as the output", "spread"):
            seeds = [_seed(t._array.value if type(t._array) is Traced else t._array, how) for t in chosen]
            layouts = tuple(seed.strides for seed in seeds)
            if layouts in known:
                continue
            known.add(layouts)
            inputs = [trace.input(seed, f"gradient of output {i}") for i, seed in zip(used, seeds, strict=True)]
            numbers = [seed.number for seed in inputs]
            recording.seeds += numbers
            start = len(trace.program.instructions)
            leaks = len(trace.leaks)
            try:
                found = partial_gradients(chosen, nodes, inputs, create_graph=False)
            except RuntimeError as error:
                if "freed graph" not in str(error):
                    raise
                recording.is_freed = True
                return
            gradients = [None if g is None else _number(g, trace) for g in found]
            for n, g in zip(gradients, found, strict=True):
                if n is not None:
                    recording.values[n] = g.value if type(g) is Traced else g
            del found, inputs
            end = len(trace.program.instructions)
            if len(trace.leaks) > leaks and how == "C":
                raise Departure(str(trace.leaks[-1]))  # this call's gradients would be those of ones
            if len(trace.leaks) > leaks:
                del trace.leaks[leaks:]  # in that layout they are found otherwise
            else:
                recording.backwards.append(Backward(used, numbers, gradients, start, end, layouts))


def _seed(like: Any, how: str) -> Any:
    """A gradient of ones for an output: in C order, in the output's layout, or one element that is shown everywhere (of a sum's rule)."""
    if isinstance(like, np.generic):
        return np.ones_like(like)[()]
    if how == "spread":
        return np.broadcast_to(np.ones((), like.dtype), like.shape)
    return np.ones(like.shape, like.dtype) if how == "C" else np.ones_like(like)


def _finish(recording: Recording, trace: Trace, watch: Watch) -> None:
    """What the function assigned: noted, and done."""
    recording.outside = list(watch.outside.values())
    for ref, _ in trace.made:
        traced = ref()
        if traced is not None:
            recording.alive[traced.number] = traced.value
    recording.stepped_out = watch.has_stepped_out
    for place, outside in enumerate(recording.outside):
        if outside.proxy is not None and outside.proxy.grad is not None:
            trace.leaks.append(Leak("backward() goes on behind a tensor that was computed outside", ""))
        if outside.is_assigned:
            number = _number(outside.array, trace)
            recording.assigned.append((place, number))
            recording.values[number] = outside.array.value if type(outside.array) is Traced else outside.array
        if outside.grad_is_assigned:
            grad = outside.grad
            if grad is None:
                recording.grads.append((place, None))
            elif isinstance(grad, Handle) and watch.is_made(grad) and grad.node is None:
                number = _number(grad._array, trace)
                recording.grads.append((place, number))
                recording.values[number] = grad._array.value if type(grad._array) is Traced else grad._array
            else:
                trace.leaks.append(Leak(f"the grad of {outside.name} gets a history, or is another tensor of the outside", ""))
    for output in recording.outputs:
        if output.number >= 0:
            value = recording.program.values[output.number]
            if value.array is not None:
                recording.values[output.number] = value.array
    watch.commit()
    watch.forget()
    trace.copies.clear()
    if trace.leaks:
        recording.refusal = trace.leaks[0]


def escaped(trace: Trace, watch: Watch, results: list[Any], recording: Recording) -> str | None:
    """What was made inside and is kept somewhere outside: the user's line. None if nothing is."""
    known = {id(t) for t in results} | {id(grad_slot.__get__(o.handle)) for o in recording.outside}

    def search() -> str | None:
        for handle in watch.left():
            if id(handle) not in known:
                return "a tensor that was made inside"
        for ref, place in trace.made:
            if ref() is not None:
                return f"a value that was computed inside ({place})"
        return None

    if search() is None:
        return None
    gc.collect()
    return search()


# --- two recordings ------------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Difference:
    """Where two recordings part: `kind` is "path" (the function decided otherwise), "value" or "structure"; and a text with the line."""

    kind: str
    text: str


def difference(a: Recording, b: Recording) -> Difference | None:
    """What is not the same in two recordings of calls with arguments of one signature; None if they are the same program."""
    if [(id(o.handle) if o.of is None and not o.name.startswith("argument") else o.name) for o in a.outside] != [
        (id(o.handle) if o.of is None and not o.name.startswith("argument") else o.name) for o in b.outside
    ]:
        return Difference("path", "it refers to other tensors than before")
    return _first_difference(a, b)


def _first_difference(a: Recording, b: Recording) -> Difference | None:
    for one, other in zip(a.program.instructions, b.program.instructions, strict=False):
        if not _same_function(one.function, other.function):
            return Difference("structure", f"it calls {one.name}, then {other.name} ({other.place})")
        if one.guard is not None and other.guard is not None and not same_number(one.guard.answer, other.guard.answer):
            return Difference("path", f"{one.guard.what} is {one.guard.answer}, then {other.guard.answer} ({other.place})")
        text = _different(a.program, b.program, (one.arguments, one.keywords), (other.arguments, other.keywords))
        if text is not None:
            return Difference("value", f"{text}, in {one.name} ({other.place})")
        if (one.results, one.into, one.writes) != (other.results, other.into, other.writes):
            return Difference("structure", f"{one.name} has other results ({other.place})")
        for n in one.results:
            if n is not None and not _alike(a.program.values[n], b.program.values[n]):
                return Difference("path", f"the layout of {one.name}'s result ({other.place})")
    if len(a.program.instructions) != len(b.program.instructions):
        return Difference("structure", f"it makes {len(a.program.instructions)} calls, then {len(b.program.instructions)}")
    if [_alike_input(v) for v in _inputs(a)] != [_alike_input(v) for v in _inputs(b)]:
        return Difference("path", "the layout of a tensor that it refers to")
    for name in ("arguments", "forward_end", "assigned", "grads", "wanted", "backwards", "nest", "is_freed"):
        if getattr(a, name) != getattr(b, name):
            return Difference("structure", f"its {name}")
    for x, y in zip(a.outputs, b.outputs, strict=False):
        if (x.kind, x.number, x.tracked) != (y.kind, y.number, y.tracked):
            return Difference("structure", "what it returns")
        if x.kind == "static" and not _same_object(x.what, y.what):
            return Difference("value", f"it returns {x.what!r}, then {y.what!r}")
        if x.kind == "outside" and x.what.handle is not y.what.handle and not x.what.name.startswith("argument"):
            return Difference("value", "it returns another tensor")
    for place, (o, p) in enumerate(zip(a.outside, b.outside, strict=True)):
        if conditions(o, a, place) != conditions(p, b, place):
            return Difference("path", f"the state of {p.name}")
    for v, w in zip(a.program.values, b.program.values, strict=True):
        if v.kind == CONSTANT and (v.kind != w.kind or _different_arrays(v, w)):
            return Difference("value", "an array that it returns or assigns")
    return None


def _inputs(recording: Recording) -> list[Value]:
    return [recording.program.values[n] for n in recording.program.inputs]


def _alike_input(value: Value) -> Any:
    return value.number, value.shape, value.dtype, value.strides, value.is_scalar


def _alike(a: Value, b: Value) -> bool:
    return (a.kind, a.shape, a.dtype, a.strides, a.is_scalar, a.root) == (b.kind, b.shape, b.dtype, b.strides, b.is_scalar, b.root)


def _same_function(a: Any, b: Any) -> bool:
    return same_function(a, b) or _same_object(a, b)


def _same_object(a: Any, b: Any) -> bool:
    """Whether two objects that are no arrays can stand for one another."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.generic):
        return a.tobytes() == b.tobytes() and a.dtype == b.dtype
    if isinstance(a, bool | int | float | complex):
        return same_number(a, b)
    if isinstance(a, str | bytes | type | np.dtype | Effect | Enum | types.BuiltinFunctionType | types.MethodType | range):
        return bool(a == b)
    if isinstance(a, functools.partial):
        return same_function(a, b)
    if is_dataclass(a) and not isinstance(a, type):
        return all(_same_object(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_same_object, a, b))
    if isinstance(a, types.FunctionType):  # a lambda of the function's own
        cells = [c.cell_contents for c in a.__closure__ or ()], [c.cell_contents for c in b.__closure__ or ()]
        same = len(cells[0]) == len(cells[1]) and all(map(_same_object, *cells))
        return a.__code__ is b.__code__ and same and a.__defaults__ == b.__defaults__
    return False


def _different(a: Program, b: Program, one: Any, other: Any) -> str | None:
    """What is not the same in two instructions' arguments."""
    if type(one) is Ref:
        if type(other) is not Ref or one.number != other.number:
            return "another value"
        first, second = a.values[one.number], b.values[other.number]
        if first.kind != second.kind:
            return "another kind of value"
        return _different_arrays(first, second) if first.kind == CONSTANT else None
    if isinstance(one, tuple | list):
        if type(one) is not type(other) or len(one) != len(other):
            return "other arguments"
        return next((text for x, y in zip(one, other, strict=True) if (text := _different(a, b, x, y)) is not None), None)
    if type(one) is dict:
        if type(other) is not dict or list(one) != list(other):
            return "other keywords"
        return _different(a, b, list(one.values()), list(other.values()))
    if type(one) is slice:
        if type(other) is not slice:
            return "another index"
        return _different(a, b, (one.start, one.stop, one.step), (other.start, other.stop, other.step))
    return None if _same_object(one, other) else f"{_short(one)}, then {_short(other)}"


def _short(value: Any) -> str:
    text = name_of_call(value) if callable(value) else repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def _different_arrays(a: Value, b: Value) -> str | None:
    """Of two constants. One that lives outside has to be the same array; one that was made inside, an equal one."""
    x, y = a.array, b.array
    if x is y:
        return None
    if layout_of(x) != layout_of(y) or x.tobytes() != y.tobytes():
        return f"an array of shape {x.shape} that is neither an argument nor a tensor has other elements than before"
    if isinstance(x, ndarray) and (a.name == HELD):
        return f"an array of shape {x.shape} that it refers to was replaced by another one"
    return None


HELD = "held outside"


def mark_held(program: Program) -> None:
    """Note which constants somebody else holds: arrays of the outside, not made by the function."""
    for value in program.values:
        if value.kind == CONSTANT and isinstance(value.array, ndarray):
            value.name = HELD if sys.getrefcount(value.array) > _ALONE else ""


def _references_of_a_constant() -> int:
    values = [Value(0, CONSTANT, (), np.dtype(float), (), False, 0, array=np.zeros(1))]
    count = 0
    for value in values:
        count = sys.getrefcount(value.array)
    return count


_ALONE = _references_of_a_constant()


def conditions(outside: Outside, recording: Recording, place: int) -> tuple[Any, ...]:
    """What has to be the same of a tensor of the outside for its program to be run."""
    node = outside.had_node
    kind = None if not outside.node_was_read else 0 if node is None else 1 if isinstance(node, Leaf) else 2
    written = any(place == k for k, _ in recording.assigned) or any(
        outside.input is not None and outside.input in instruction.writes for instruction in recording.program.instructions
    )
    had_grad = outside.had_grad if outside.grad_was_read else "not read"
    return kind, bool(outside.was_handed_out) if written else None, had_grad
