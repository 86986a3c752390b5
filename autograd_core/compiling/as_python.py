"""A program as a function of Python's: one line for each call, with the arrays as local variables.

    def run(undo, v0, v1):
        v2 = multiply(v0, v1)
        v3 = sum(v2)
        return (v3,)

What it calls are NumPy's own functions, in the order of the recording, so what it gives is the same to the bit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from autograd_core.compiling.effects import Draw, StepOut, generator_of, state_of
from autograd_core.compiling.program import CONSTANT, INPUT, Guard, Instruction, Program, Ref
from autograd_core.compiling.tracing import Attribute, Method

__all__ = ["Departed", "PythonBackend", "Undo", "may_depart", "python_function"]


class Departed(Exception):
    """A run came to a decision that is not the recorded one, or to an array of another shape."""


class Undo:
    """What a run has done to arrays of the outside so far, to be taken back if it is given up.

    is_final  whether something was done that cannot be taken back
    """

    __slots__ = ("arrays", "generators", "is_final")

    def __init__(self) -> None:
        self.arrays: list[tuple[Any, Any]] = []
        self.generators: list[tuple[Any, Any]] = []
        self.is_final = False

    def keep(self, array: Any) -> None:
        """Remember the elements of an array that is about to be written to."""
        self.arrays.append((array, array.copy()))

    def keep_generator(self, source: Any) -> None:
        """Remember the state of a generator that is about to be drawn from."""
        generator = generator_of(source)
        self.generators.append((generator, state_of(generator)))


# Methods whose result has a layout that follows from those of the arguments.
STATIC_METHODS = frozenset(
    {"sum", "prod", "mean", "var", "std", "max", "min", "any", "all", "ptp", "argmax", "argmin", "argsort", "cumsum", "cumprod", "clip", "round"}
    | {"swapaxes", "squeeze", "ravel", "flatten", "diagonal", "trace", "dot", "reshape", "transpose", "astype", "copy", "conjugate", "conj", "view"}
)
STATIC_FUNCTIONS = frozenset(
    {np.sum, np.mean, np.max, np.min, np.prod, np.var, np.std, np.where, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.broadcast_to}
    | {np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.ravel, np.concatenate, np.stack, np.einsum, np.tensordot}
    | {np.array, np.copy, np.argmax, np.argmin, np.cumsum, np.sort, np.argsort, np.flip, np.roll, np.clip, np.take_along_axis, np.real, np.imag}
)


def has_static_layout(instruction: Instruction) -> bool:
    """Whether shape, dtype and strides of the results follow from those of the arguments."""
    function = instruction.function
    if isinstance(function, np.ufunc) or instruction.is_view:
        return True
    if isinstance(getattr(function, "__self__", None), np.ufunc):
        return True
    if isinstance(function, Attribute):
        return True
    if isinstance(function, Method):
        return function.__name__ in STATIC_METHODS
    if getattr(function, "__module__", "") in ("_operator", "operator") and function is not operator.getitem:
        return True
    try:
        return function in STATIC_FUNCTIONS
    except TypeError:
        return False


def may_depart(instruction: Instruction) -> bool:
    """Whether a run may be given up at this call."""
    return instruction.guard is not None or not has_static_layout(instruction)


class PythonBackend:
    """A program in the form that it is run in. Each back-end has these three methods.

    program      all instructions
    forward_end  index behind the last instruction of the function itself
    inputs, results   numbers of what a call is given, and of what it gives
    residuals    numbers of values that gradients need of a call
    ways         for each way in which gradients are asked for: (start, end, numbers of what it is given, numbers of what it gives). It is
                 given the gradients of outputs first, then inputs of the call, then `constants`, as they were at the call
    """

    name = "python"

    def __init__(
        self,
        program: Program,
        forward_end: int,
        inputs: Sequence[int],
        results: Sequence[int],
        residuals: Sequence[int],
        constants: Sequence[int],
        ways: Sequence[tuple[int, int, Sequence[int], Sequence[int]]],
    ) -> None:
        self._count = len(results)
        self._forward = python_function(program, 0, forward_end, inputs, [*results, *residuals])
        self._ways = [
            python_function(program, start, end, [*given[: len(given) - len(constants)], *residuals, *constants], found, constants)
            for start, end, given, found in ways
        ]
        self._constants = len(constants)

    def forward(self, undo: Undo, arrays: Sequence[Any]) -> tuple[Sequence[Any], Any]:
        """The results for the arrays of the inputs, and what `backward` needs of this call. Raises Departed, or what a call raises."""
        found = self._forward(undo, *arrays)
        return found[: self._count], found[self._count :]

    def backward(self, way: int, undo: Undo, token: Any, arrays: Sequence[Any]) -> Sequence[Any]:
        """The gradients of one way, after `forward` gave the `token`; it may be called again."""
        split = len(arrays) - self._constants
        return self._ways[way](undo, *arrays[:split], *token, *arrays[split:])


class _Writer:
    """Collects the lines, and the objects that they name."""

    def __init__(self, given: frozenset[int]) -> None:
        self.given = given
        self.lines: list[str] = []
        self.names: dict[str, Any] = {"Departed": Departed}
        self._by_id: dict[int, str] = {}

    def name(self, value: Any, base: str = "c") -> str:
        """A name for an object."""
        found = self._by_id.get(id(value))
        if found is None:
            base = base if base.isidentifier() else "f"
            found = f"{base}_{len(self.names)}"
            self.names[found] = value
            self._by_id[id(value)] = found
        return found

    def text(self, values: Any, program: Program) -> str:
        """An argument as Python's text."""
        kind = type(values)
        if kind is Ref:
            value = program.values[values.number]
            return self.name(value.array, "a") if value.kind == CONSTANT and values.number not in self.given else f"v{values.number}"
        if kind is tuple:
            return f"({', '.join(self.text(v, program) for v in values)}{',' if len(values) == 1 else ''})"
        if kind is list:
            return f"[{', '.join(self.text(v, program) for v in values)}]"
        if kind is dict:
            return "{" + ", ".join(f"{k!r}: {self.text(v, program)}" for k, v in values.items()) + "}"
        if kind is slice:
            return f"slice({', '.join(self.text(v, program) for v in (values.start, values.stop, values.step))})"
        if values is None or kind is bool or kind is int or kind is str:
            return repr(values)
        if values is Ellipsis:
            return "..."
        return self.name(values)


def checked_layout(value: Any, expected: tuple[Any, ...]) -> Any:
    """A result as it is, if its layout is the recorded one."""
    shape, dtype, strides, scalar = expected
    if (
        value.shape != shape
        or value.dtype != dtype
        or (isinstance(value, ndarray) and value.strides != strides)
        or isinstance(value, ndarray) is scalar
    ):
        raise Departed(f"an array of shape {value.shape}, {value.dtype}, where there was one of shape {shape}, {dtype}")
    return value


def depart(guard: Guard, found: Any, place: str) -> None:
    """Give the run up: the function would decide otherwise."""
    raise Departed(f"{guard.what} is {found!r}, and was {guard.answer!r} ({place})")


def python_function(
    program: Program, start: int, end: int, parameters: Iterable[int], results: Iterable[int], given: Iterable[int] = ()
) -> Callable[..., tuple[Any, ...]]:
    """The instructions from `start` to `end` as a function of an `Undo` and the arrays of `parameters`, which returns those of `results`.

    given : constants that are among the parameters
    """
    writer = _Writer(frozenset(given))
    parameters, results = list(parameters), list(results)
    instructions = program.instructions[start:end]
    last: dict[int, int] = {}
    for k, instruction in enumerate(instructions):
        for n in instruction.refs():
            last[n] = k
        last.update((n, k) for n in instruction.results if n is not None)
    for n in results:
        last[n] = len(instructions)
    ends: dict[int, list[int]] = {}
    for n, k in last.items():
        if program.values[n].kind != CONSTANT:
            ends.setdefault(k, []).append(n)
    departing = [k for k, instruction in enumerate(instructions) if may_depart(instruction)]
    last_departure = departing[-1] if departing else -1
    kept: set[int] = set()
    for k, instruction in enumerate(instructions):
        if k < last_departure:
            _keep(writer, program, instruction, kept)
        _line(writer, program, instruction)
        gone = [f"v{n}" for n in sorted(ends.get(k, ()))]
        if gone:
            writer.lines.append(f"del {', '.join(gone)}")
    returned = ", ".join(writer.text(Ref(n), program) for n in results)
    writer.lines.append(f"return ({returned}{',' if len(results) == 1 else ''})")
    names = ", ".join(["undo", *(f"v{n}" for n in parameters)])
    source = f"def run({names}):\n" + "\n".join(f"    {line}" for line in writer.lines)
    space = writer.names
    exec(compile(source, "<compiled program>", "exec"), space)
    made: Callable[..., tuple[Any, ...]] = space["run"]
    return made


def _keep(writer: _Writer, program: Program, instruction: Instruction, kept: set[int]) -> None:
    """Lines that remember what an instruction is about to change, as the run may still be given up."""
    for root in instruction.writes:
        if program.values[root].kind == INPUT and root not in kept:
            kept.add(root)
            writer.lines.append(f"undo.keep(v{root})")
    if isinstance(instruction.function, Draw):
        writer.lines.append(f"undo.keep_generator({writer.name(instruction.function.source)})")


def _line(writer: _Writer, program: Program, instruction: Instruction) -> None:
    """The line for one call."""
    function = writer.name(instruction.function, instruction.name)
    parts = [writer.text(a, program) for a in instruction.arguments]
    for key, value in instruction.keywords.items():
        parts.append(f"{key}={writer.text(value, program)}" if key.isidentifier() else f"**{{{key!r}: {writer.text(value, program)}}}")
    if instruction.into is not None:
        parts.append(f"out=v{instruction.into}")
    call = f"{function}({', '.join(parts)})"
    if isinstance(instruction.function, StepOut):
        writer.lines.append("undo.is_final = True")
    if instruction.guard is not None:
        writer.names.setdefault("depart", depart)
        guard = writer.name(instruction.guard)
        writer.lines.append(f"r = {call}")
        answer = instruction.guard.answer
        test = f"r is not {answer}" if isinstance(answer, bool) else f"not {guard}.holds(r)"
        writer.lines.append(f"if {test}: depart({guard}, r, {instruction.place!r})")
        return
    if not instruction.results:
        writer.lines.append(call)
        return
    targets = ", ".join("_" if n is None else f"v{n}" for n in instruction.results)
    writer.lines.append(f"{targets}{',' if instruction.is_several and len(instruction.results) == 1 else ''} = {call}")
    if not has_static_layout(instruction):
        writer.names.setdefault("checked_layout", checked_layout)
        for n in instruction.results:
            if n is not None:
                value = program.values[n]
                layout = (value.shape, value.dtype, value.strides, value.is_scalar)
                writer.lines.append(f"checked_layout(v{n}, {writer.name(layout)})")
