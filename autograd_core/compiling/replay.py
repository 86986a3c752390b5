"""A variant: one program of a function, ready to be run in place of the function.

It fits a call if what the function refers to is what it was: Python's objects (surroundings.py), and layout and kind of the tensors
that it reads. Before it is used for the first time it is rehearsed: run on what the second recording began with, and compared with
what that gave, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.compiling.as_python import Departed, PythonBackend, Undo
from autograd_core.compiling.effects import Draw, array_slot, generator_of, grad_slot, rehearsed, restore, state_of, write_array
from autograd_core.compiling.passes import Parts, shortened
from autograd_core.compiling.program import INPUT, Value
from autograd_core.compiling.recording import HELD, Backward, Recording, conditions, leaves_of, rebuilt
from autograd_core.tape.node import Leaf
from autograd_core.tensor.backward import partial_gradients
from autograd_core.tensor.calls import function_op, record_call, variable
from autograd_core.tensor.handles import Handle, handle, untracked
from autograd_core.tensor.ownership import Memory
from autograd_core.tensor.views import is_shared

__all__ = ["Snapshot", "Variant"]


class Snapshot:
    """The arrays that a recording's inputs had before the function ran: copies, to rehearse on."""

    def __init__(self, leaves: Sequence[Any], recordings: Sequence[Recording]) -> None:
        self.by_tensor: dict[int, Any] = {}
        self.by_place: dict[int, Any] = {}
        self.grads: dict[int, Any] = {}
        self.alive: list[Any] = []
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Handle):
                self._take(leaf)
            elif isinstance(leaf, ndarray):
                self.by_place[i] = leaf.copy(order="K")
        for outside in {id(o.handle): o for known in recordings for o in known.outside}.values():
            tensor = outside.handle
            if outside.of is None:
                self._take(tensor)
                grad = grad_slot.__get__(tensor)
                if grad is not None:
                    self._take(grad)

    def _take(self, tensor: Any) -> None:
        array = array_slot.__get__(tensor)
        self.alive.append(tensor)
        self.by_tensor[id(tensor)] = copied(array) if isinstance(array, ndarray) else array

    def arrays(self, recording: Recording) -> list[Any] | None:
        """The inputs of a recording that was made since; None if one was not foreseen."""
        places = {n: i for i, n in recording.arguments.items()}
        by_input = {o.input: o for o in recording.outside if o.input is not None}
        found = []
        for n in forward_inputs(recording):
            if n in places:
                found.append(self.by_place.get(places[n]))
            else:
                found.append(self.by_tensor.get(id(by_input[n].handle)))
        return None if any(array is None for array in found) else found


def copied(array: Any) -> Any:
    """A copy in exactly the same layout, where that is possible."""
    if array.flags.c_contiguous or array.flags.f_contiguous or not array.size:
        return array.copy(order="K")
    low = min(0, *(s * (n - 1) for s, n in zip(array.strides, array.shape, strict=True)))
    span = sum(abs(s) * (n - 1) for s, n in zip(array.strides, array.shape, strict=True)) + array.itemsize
    buffer = np.empty(span, np.uint8)
    made = ndarray(array.shape, array.dtype, buffer, -low if low else 0, array.strides)
    offset = sum(-s * (n - 1) for s, n in zip(array.strides, array.shape, strict=True) if s < 0)
    made = ndarray(array.shape, array.dtype, buffer, offset, array.strides)
    made[...] = array
    if not array.flags.writeable:
        made.flags.writeable = False
    return made


def forward_inputs(recording: Recording) -> list[int]:
    """The inputs of the function itself, without the gradients that its outputs get."""
    seeds = set(recording.seeds)
    return [n for n in recording.program.inputs if n not in seeds]


class Variant:
    """A program, and how a call is made of it."""

    def __init__(self, recording: Recording, surroundings: Any, function: Any, shorten: bool = True) -> None:
        self.recording = recording
        self.surroundings = surroundings
        self.function = function
        self.runs = 0
        self.freed: list[Any] | None = None
        self.bound: dict[int, Any] | None = None  # arguments that have to be these very tensors
        program = self.program = recording.program
        self.inputs = forward_inputs(recording)
        by_input = {o.input: place for place, o in enumerate(recording.outside) if o.input is not None}
        places = {n: i for i, n in recording.arguments.items()}
        self.sources = [("array", places[n]) if n in places else ("tensor", by_input[n]) for n in self.inputs]
        # What each tensor of the outside is at a call: an argument, a grad, or always the same one.
        index = {id(o): place for place, o in enumerate(recording.outside)}
        self.tensors = [
            ("argument", int(o.name.split()[1]))
            if o.name.startswith("argument ")
            else ("grad", index[id(o.of)])
            if o.of is not None
            else ("itself", o.handle)
            for o in recording.outside
        ]
        self.conditions = [conditions(o, recording, place) for place, o in enumerate(recording.outside)]
        self.captured = {id(what) for kind, what in self.tensors if kind == "itself"}
        self.layouts = [_layout(program.values[o.input]) if o.input is not None else None for o in recording.outside]
        self._cut(shorten)
        self.op = function_op(f"compiled {getattr(function, '__name__', type(function).__name__)}", pull_compiled)

    # --- making ----------------------------------------------------------------------------------------------------------------------

    def _cut(self, shorten: bool) -> None:
        """Make functions of the program: for the call, and for each way in which gradients are asked for."""
        recording, program = self.recording, self.program
        self.returned = [o.number for o in recording.outputs if o.number >= 0]
        self.state = [n for _, n in recording.assigned] + [n for _, n in recording.grads if n is not None]
        tracked = any(o.tracked is not None for o in recording.outputs)
        recorded_ways = recording.backwards if tracked else []
        whole = Parts(
            program,
            recording.forward_end,
            [(b.start, b.end) for b in recorded_ways],
            [*self.returned, *self.state],
            [[n for n in b.found if n is not None] for b in recorded_ways],
        )
        if shorten:
            whole = shortened(whole)
        program = whole.program
        self.program = program
        program.outputs = [*self.returned, *self.state]
        made_before = {n for i in program.instructions[: whole.forward_end] for n in i.results if n is not None}
        self.residuals: list[int] = []  # values that gradients need
        self.raw_residuals: list[int] = []  # inputs that they need, besides the wanted ones
        self.wanted_inputs = [recording.outside[place].input for place in recording.wanted]
        self.constants: list[int] = []  # arrays of the outside that gradients need: saved with the call, as the tape would
        needed: dict[int, None] = {}
        for backward, (start, end) in zip(recorded_ways, whole.ways, strict=True):
            own = set(backward.seeds)
            for instruction in program.instructions[start:end]:
                needed.update((n, None) for n in instruction.refs() if n not in own)
                own.update(n for n in instruction.results if n is not None)
            needed.update((n, None) for n in backward.found if n is not None and n not in own)
        for n in needed:
            if n in made_before:
                self.residuals.append(n)
            elif program.values[n].kind == INPUT and n not in self.wanted_inputs:
                self.raw_residuals.append(n)
            elif program.values[n].name == HELD:
                self.constants.append(n)
        wanted = [n for n in self.wanted_inputs if n is not None]
        self.wanted_numbers = list(dict.fromkeys([*wanted, *self.raw_residuals]))
        self.ways: dict[Any, tuple[Backward, int]] = {}
        ways = []
        for k, backward in enumerate(recorded_ways):
            given = [*backward.seeds, *self.wanted_numbers, *self.constants]
            ways.append((*whole.ways[k], given, [n for n in backward.found if n is not None]))
            self.ways[backward.used, backward.layouts] = backward, k
            self.ways.setdefault(backward.used, (backward, k))
        results = [*self.returned, *self.state]
        self.parts = (program, whole.forward_end, self.inputs, results, self.residuals, self.constants, ways)
        self.recorder = PythonBackend(*self.parts)  # whose tokens are the residuals themselves, as a recording has them
        self.backend: Any = self.recorder

    def rehearse(self, arrays: list[Any], leaves: Sequence[Any]) -> str | None:
        """Run everything on copies of what the recording began with; what is not as it was recorded, or None."""
        recording = self.recording
        arrays = [copied(a) if isinstance(a, ndarray) else a for a in arrays]  # which the run may write to
        before = dict(zip(self.inputs, arrays, strict=True))
        with rehearsed(recording.feed):
            found, token = self.backend.forward(Undo(), arrays)
        for n, array in zip([*self.returned, *self.state], found, strict=True):
            expected = recording.values.get(n)
            if expected is not None and not same_bits(array, expected):
                return f"value %{n} is not what it was"
        if not recording.stepped_out:
            for n, (kind, what) in zip(self.inputs, self.sources, strict=True):
                if any(n in i.writes for i in self.program.instructions):
                    now = leaves[what] if kind == "array" else array_slot.__get__(recording.outside[what].handle)
                    assigned = kind == "tensor" and any(place == what for place, _ in recording.assigned)
                    if not assigned and not same_bits(before[n], now):
                        return f"{self.program.values[n].name} is not written to as it was"
        for backward, k in self.ways.values():
            given = [*map(self._recorded_seed, backward.seeds), *(before[n] for n in self.wanted_numbers)]
            gradients = self.backend.backward(k, Undo(), token, [*given, *(self.program.values[n].array for n in self.constants)])
            for n, array in zip([n for n in backward.found if n is not None], gradients, strict=True):
                if not same_bits(array, recording.values[n]):
                    return f"gradient %{n} is not what it was"
        return None

    def _recorded_seed(self, n: int) -> Any:
        value = self.program.values[n]
        made = np.ones((), value.dtype)[()] if value.is_scalar else _empty(value)
        if not value.is_scalar:
            made[...] = 1
        return made

    def settle(self) -> None:
        """Let go of what only the rehearsal needed."""
        self.recording.values.clear()
        self.recording.alive.clear()

    def bind_to(self, other: Recording) -> None:
        """An argument that was the same tensor in both recordings may be one that the function refers to besides: it has to be that one."""
        theirs = {o.name: o.handle for o in other.outside if o.name.startswith("argument ")}
        own = {o.name: o.handle for o in self.recording.outside if o.name.startswith("argument ")}
        same = {int(name.split()[1]): tensor for name, tensor in own.items() if theirs.get(name) is tensor}
        self.bound = same if self.bound is None else {place: tensor for place, tensor in self.bound.items() if place in same}

    # --- whether it fits ---------------------------------------------------------------------------------------------------------------

    def bind(self, leaves: Sequence[Any]) -> list[Any] | None:
        """The tensors of the outside as they are at this call; None if the program is for another state of things."""
        tensor: Any
        tensors: list[Any] = []
        captured, bound = self.captured, self.bound
        for (kind, what), layout, (node_kind, handed_out, had_grad) in zip(self.tensors, self.layouts, self.conditions, strict=True):
            if kind == "itself":
                tensor = what
            elif kind == "argument":
                tensor = leaves[what]
                if id(tensor) in captured or (bound and bound.get(what, tensor) is not tensor):
                    return None
            else:
                tensor = tensors[what].grad
                if tensor is None or tensor.node is not None:
                    return None
            if layout is not None and not _fits(tensor._array, layout):
                return None
            if node_kind is not None:
                node = tensor.node
                if (0 if node is None else 1 if isinstance(node, Leaf) else 2) != node_kind or (node is not None and node.watchers is not None):
                    return None
            if had_grad != "not read" and (tensor.grad is not None) is not had_grad:
                return None
            if handed_out is not None and (bool(tensor.handed_out) is not handed_out or (type(tensor.handed_out) is Memory and is_shared(tensor))):
                return None
            tensors.append(tensor)
        return tensors

    # --- running -----------------------------------------------------------------------------------------------------------------------

    def run(self, leaves: Sequence[Any], tensors: list[Any], again: Any) -> Any:
        """The result of the function. Raises Departed, or what a call raises, with everything undone if that can be."""
        recording = self.recording
        arrays = [leaves[what] if kind == "array" else tensors[what]._array for kind, what in self.sources]
        undo = Undo()
        try:
            with np.errstate(all="ignore"):
                found, token = self.backend.forward(undo, arrays)
        except BaseException as error:
            if undo.is_final:
                raise
            for array, before in reversed(undo.arrays):
                array[...] = before
            for generator, state in reversed(undo.generators):  # the state before the first draw is the last to be given back
                restore(generator, state)
            if isinstance(error, Departed | Exception):
                raise Given(error) from error
            raise
        returned = found[: len(self.returned)]
        state = iter(found[len(self.returned) :])
        result = self._result(returned, token, arrays, tensors, again)
        for place, _ in recording.assigned:
            write_array(tensors[place], next(state))
        for place, n in recording.grads:
            tensors[place].grad = None if n is None else handle(next(state), None)
        self.runs += 1
        return result

    def _result(self, returned: Any, token: Any, arrays: list[Any], tensors: list[Any], again: Any) -> Any:
        recording = self.recording
        outputs: list[Any] = []
        arrays_of = iter(returned)
        for output in recording.outputs:
            if output.kind == "outside":
                outputs.append(tensors[recording.outside.index(output.what)])
            elif output.kind == "static":
                outputs.append(output.what)
            else:
                array = next(arrays_of)
                outputs.append(array if output.kind == "array" or output.tracked is not None else untracked(array))
        tracked = [i for i, output in enumerate(recording.outputs) if output.tracked is not None]
        if tracked:
            by_number = dict(zip(self.inputs, arrays, strict=True))
            inputs = [tensors[place] for place in recording.wanted] or [variable(np.zeros(()))]
            made = self._recorded([outputs[i] for i in tracked], inputs, self.backend, token, by_number, again)
            for i, tensor in zip(tracked, made, strict=True):
                outputs[i] = tensor
        return rebuilt(recording.nest, outputs.__getitem__)

    def _recorded(self, values: list[Any], inputs: list[Any], backend: Any, token: Any, by_number: dict[int, Any], again: Any) -> list[Any]:
        """Tensors with the tracked results, recorded as one node."""
        if self.freed is not None:
            return [handle(value, node) for value, node in zip(values, self.freed, strict=True)]
        call = Call(self, backend, token, again)
        kept = (*(by_number[n] for n in self.raw_residuals), *(self.program.values[n].array for n in self.constants))
        made = record_call(self.op, inputs, values, call, (), kept)
        if self.recording.is_freed:
            for tensor in made:
                tensor.node.free()
            self.freed = [tensor.node for tensor in made]  # nothing is left in them: they serve at each call
        return made

    def give_history(self, tensors: list[Any], leaves: Sequence[Any], again: Any) -> None:
        """Let the results of the call that was recorded have the gradients of its program."""
        recording = self.recording
        places = {n: i for i, n in recording.arguments.items()}
        by_input = {o.input: o for o in recording.outside if o.input is not None}
        by_number = {n: leaves[places[n]] if n in places else by_input[n].was for n in self.inputs}
        inputs = []
        for place in recording.wanted:
            outside = recording.outside[place]
            inputs.append(outside.handle if outside.handle._array is outside.was else handle(outside.was, outside.handle.node))
        inputs = inputs or [variable(np.zeros(()))]  # a history without an end: of a variable of the function's own
        token = tuple(recording.alive[n] for n in self.residuals)
        made = self._recorded([t._array for t in tensors], inputs, self.recorder, token, by_number, again)
        for tensor, recorded in zip(tensors, made, strict=True):
            tensor.node = recorded.node

    def trial(self, leaves: Sequence[Any], tensors: list[Any]) -> Trial:
        """A run on copies of what a call begins with."""
        return Trial(self, leaves, tensors)


class Trial:
    """A run of a program on copies, to be compared with the function itself."""

    def __init__(self, variant: Variant, leaves: Sequence[Any], tensors: list[Any]) -> None:
        self.variant = variant
        arrays = [leaves[what] if kind == "array" else tensors[what]._array for kind, what in variant.sources]
        self.arrays = [copied(a) if isinstance(a, ndarray) else a for a in arrays]
        draws = [i.function.source for i in variant.program.instructions if isinstance(i.function, Draw)]
        self.generators = [(generator, state_of(generator)) for generator in map(generator_of, draws)]

    def compared(self, result: Any, leaves: Sequence[Any], tensors: list[Any]) -> str | None:
        """What the program gives otherwise than the function did; None if nothing is, or if the program is not for this way."""
        variant, recording = self.variant, self.variant.recording
        after = [(generator, state_of(generator)) for generator, _ in self.generators]
        for generator, state in reversed(self.generators):
            restore(generator, state)
        try:
            with np.errstate(all="ignore"):
                found, token = variant.backend.forward(Undo(), self.arrays)
        except Departed:
            return None
        finally:
            for generator, state in after:
                restore(generator, state)
        given = dict(zip(leaves_of(recording.nest), leaves_of(result), strict=True))
        numbered = [k for k, output in enumerate(recording.outputs) if output.number >= 0]
        for k, array in zip(numbered, found, strict=False):
            expected = given[k]._array if isinstance(given[k], Handle) else given[k]
            if not same_bits(array, expected):
                return f"result {k} is {array!r}, and not {expected!r}"
        state = iter(found[len(variant.returned) :])
        for place, _ in recording.assigned:
            if not same_bits(next(state), tensors[place]._array):
                return f"{recording.outside[place].name} gets another value"
        for place, n in recording.grads:
            grad = tensors[place].grad
            if (n is None) is not (grad is None) or (n is not None and not same_bits(next(state), grad._array)):
                return f"{recording.outside[place].name} gets another grad"
        return self._compared_gradients([given[k] for k, o in enumerate(recording.outputs) if o.tracked is not None], token, tensors)

    def _compared_gradients(self, outputs: list[Any], token: Any, tensors: list[Any]) -> str | None:
        variant = self.variant
        chosen = variant.ways.get(tuple(range(len(outputs))))
        if not outputs or chosen is None or not variant.wanted_inputs:
            return None
        backward, way = chosen
        seeds = [variant._recorded_seed(n) for n in backward.seeds]
        by_number = dict(zip(variant.inputs, self.arrays, strict=True))
        constants = [variant.program.values[n].array for n in variant.constants]
        found = iter(variant.backend.backward(way, Undo(), token, [*seeds, *(by_number[n] for n in variant.wanted_numbers), *constants]))
        nodes = [tensors[place].node for place in variant.recording.wanted]
        expected = partial_gradients(outputs, nodes, seeds, create_graph=False)
        for place, n, g in zip(variant.recording.wanted, backward.found, expected, strict=True):
            if (n is None) is not (g is None) or (n is not None and not same_bits(next(found), g)):
                return f"the gradient of {variant.recording.outside[place].name}"
        return None


class Given(Exception):
    """A run was given up, with nothing done: `__cause__` tells why."""


def _layout(value: Any) -> tuple[Any, ...]:
    return value.shape, value.dtype, value.strides, value.is_scalar


def _fits(array: Any, layout: tuple[Any, ...]) -> bool:
    shape, dtype, strides, scalar = layout
    if scalar:
        return isinstance(array, np.generic) and array.dtype == dtype
    return type(array) is ndarray and array.shape == shape and array.strides == strides and array.dtype == dtype


def _empty(value: Any) -> Any:
    """An array in the layout of a value, whose strides are not negative."""
    if not value.size:
        return np.empty(value.shape, value.dtype)
    span = sum(s * (n - 1) for s, n in zip(value.strides, value.shape, strict=True)) + value.dtype.itemsize
    return ndarray(value.shape, value.dtype, np.empty(span, np.uint8), 0, value.strides)


def same_bits(a: Any, b: Any) -> bool:
    """Whether two arrays are of one kind and equal to the bit; all nan are one."""
    if isinstance(a, ndarray) is not isinstance(b, ndarray) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind not in "fc":
        return False
    parts = ((a.real, b.real), (a.imag, b.imag)) if a.dtype.kind == "c" else ((a, b),)
    return all(bool(np.all(((x == y) & (np.signbit(x) == np.signbit(y))) | ((x != x) & (y != y)))) for x, y in parts)


# --- gradients -------------------------------------------------------------------------------------------------------------------------------


class Call:
    """One run, as its node keeps it.

    backend    what ran it
    token      what that keeps of the run for its gradients
    again      calls the function itself: for gradients of gradients
    """

    __slots__ = ("again", "backend", "captured", "token", "variant")

    def __init__(self, variant: Variant, backend: Any, token: Any, again: Any) -> None:
        self.variant = variant
        self.backend = backend
        self.token = token
        self.again = again
        self.captured = ()


def pull_compiled(g: Any, inputs: Any, residuals: Any, call: Any) -> list[Any]:
    """The gradients for the wanted tensors."""
    gs = g if isinstance(g, list) else [g]
    if any(isinstance(part, Handle) for part in gs):
        return call.again(gs, inputs, None)
    variant = call.variant
    used = tuple(i for i, part in enumerate(gs) if part is not None)
    program = variant.program
    chosen = variant.ways.get((used, tuple([gs[i].strides for i in used]))) or variant.ways.get(used)
    if chosen is None:
        raise RuntimeError(
            f"ag.compile: gradients of outputs {used} of {len(gs)} together were not recorded; ask for one of them, or for all, or compile less"
        )
    backward, way = chosen
    seeds = [_as_recorded(gs[i], program.values[n]) for i, n in zip(used, backward.seeds, strict=True)]
    if any(seed is None for seed in seeds):
        return call.again(gs, inputs, None)
    raw, constants = residuals[: len(variant.raw_residuals)], residuals[len(variant.raw_residuals) :]
    by_number = dict(zip(variant.raw_residuals, raw, strict=True))
    if not variant.wanted_inputs:
        return [None]
    by_number.update((n, x) for n, x in zip(variant.wanted_inputs, inputs, strict=True) if n is not None)
    try:
        given = [*seeds, *(by_number[n] for n in variant.wanted_numbers), *constants]
        found = iter(call.backend.backward(way, Undo(), call.token, given))
    except Departed as departed:
        return call.again(gs, inputs, departed)
    return [None if n is None else next(found) for n in backward.found]


def _as_recorded(g: Any, value: Value) -> Any:
    """A gradient in the layout that it was recorded in; None if it is an array of another kind (of an inner transform)."""
    if not isinstance(g, ndarray | np.generic):
        return None
    if value.is_scalar:
        return g[()]  # type: ignore[index]
    if isinstance(g, np.generic):
        return np.asarray(g)
    if g.strides == value.strides:
        return g
    made = _empty(value)
    made[...] = g
    return made
