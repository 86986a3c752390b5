"""A program: the calls that a function made, one after the other, with what went in and what came out.

A `Program` is a flat list. Each call's results are new values, numbered as they come; a value is a NumPy array (or scalar) whose
shape, dtype and strides are known, because they are those that NumPy itself gave when the function was recorded.

Memory is as it was in the function. A call whose result is a view names the value whose memory that shows (`Value.root`), and a call
that writes (`x[i] = v`, `ufunc(..., out=x)`, `ufunc.at`) names the roots that it changes (`Instruction.writes`). So running the calls
in their order, each with the arrays that the earlier ones made, does what the function did: that is the meaning of a program. Whoever
leaves calls out, merges them, or lets two values take turns in one buffer must see to it that this stays so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["COMPUTED", "CONSTANT", "INPUT", "Guard", "Instruction", "Program", "Ref", "Value", "layout_of", "name_of_call", "refs_in", "same_number"]

INPUT, CONSTANT, COMPUTED = "input", "constant", "computed"


class Ref:
    """In an instruction's arguments: stands for a value, by its number."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __repr__(self) -> str:
        return f"%{self.number}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other.number == self.number

    def __hash__(self) -> int:
        return hash((Ref, self.number))


def layout_of(array: Any) -> tuple[Any, ...]:
    """What has to be the same for two arrays to be computed with alike: kind (array or scalar), shape, dtype, strides, whether writeable."""
    if isinstance(array, np.generic):
        return (), array.dtype, (), True, False
    return array.shape, array.dtype, array.strides, False, array.flags.writeable


@dataclass(slots=True, eq=False)
class Value:
    """What a program computes with: an array, or a NumPy scalar.

    number     its place in `Program.values`
    kind       INPUT (bound anew at each run), CONSTANT (`array` as it is, by reference) or COMPUTED
    shape, dtype, strides   of the array when it was recorded; a run gives the same ones (inputs are checked)
    is_scalar  a NumPy scalar (np.float64), no 0-d array
    root       number of the value whose memory it shows: its own number if it has memory of its own
    array      of a CONSTANT: the array. It is the one that the function has, so that changes of its elements are seen. None else
    name       of an INPUT: what it is, for people ("argument 0", "captured (3, 4)")
    made_by    index of the instruction that makes it; None of inputs and constants
    """

    number: int
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    strides: tuple[int, ...]
    is_scalar: bool
    root: int
    array: Any = None
    name: str = ""
    made_by: int | None = None

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_view(self) -> bool:
        return self.root != self.number

    def __str__(self) -> str:
        return f"%{self.number}: {self.dtype}{list(self.shape)}"


@dataclass(slots=True, eq=False)
class Instruction:
    """One call: `results = function(*arguments, **keywords)`, with a `Ref` in place of each value, at any depth of tuples, lists, dicts, slices.

    function   a ufunc, one of its methods (`np.add.reduce`), a function of NumPy's or an op's own, `operator.getitem`/`setitem`, or a `Method`
    results    numbers of the values that the call returns; of a call with several results, several
    is_several whether it returns a tuple or list (then `results` has one entry for each part; None for a part that is no array)
    into       for a ufunc with `out=`: the number of the value that is written into. `keywords` holds no `out` then. The result is
               another value with the same root and layout: it *is* the `into` value after the call
    writes     roots of the values whose elements the call changes
    is_view    the result is a view of an argument, or may be the argument itself: nothing is computed
    is_opaque  nothing is known of what it does but what is said here: it is called as it is, with arrays, in its place among the others
               (it draws random numbers, say), and neither left out nor merged
    guard      the call returns a Python number (`results` is empty), by which the function took a decision: see `Guard`
    place      the user's line, for people
    """

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)
    results: tuple[int | None, ...] = ()
    is_several: bool = False
    into: int | None = None
    writes: tuple[int, ...] = ()
    is_view: bool = False
    is_opaque: bool = False
    guard: Guard | None = None
    place: str = ""

    def refs(self) -> Iterator[int]:
        """The numbers of the values that it reads or writes into."""
        yield from refs_in(self.arguments)
        if self.keywords:
            yield from refs_in(self.keywords)
        if self.into is not None:
            yield self.into

    @property
    def name(self) -> str:
        return name_of_call(self.function)


@dataclass(slots=True, frozen=True)
class Guard:
    """A decision that the function took by what the call returned: it has to return the same, or the run is given up and the function called.

    what : for people: "the truth", "float()"
    """

    what: str
    answer: Any

    def holds(self, found: Any) -> bool:
        """Whether the call returned what it did when it was recorded, to the bit."""
        return same_number(found, self.answer)


def same_number(a: Any, b: Any) -> bool:
    """Whether two Python numbers are of one type and the same to the bit (but for the payload of nan)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, complex):
        return same_number(a.real, b.real) and same_number(a.imag, b.imag)
    if isinstance(a, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    return bool(a == b)


@dataclass(slots=True, eq=False)
class Program:
    """Values and the instructions between them.

    inputs   numbers of the values that are bound at each run, in the order in which `run` is given their arrays
    outputs  numbers of the values that a run returns. None of them may show memory that the next run writes to
    """

    values: list[Value] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        """One line for each value that goes in and for each call, as `ag.tape` prints them."""
        lines = [f"{self.values[n]!s} = {self.values[n].name or 'input'}" for n in self.inputs]
        lines += [f"{value!s} = constant" for value in self.values if value.kind == CONSTANT]
        lines += [self.line(instruction) for instruction in self.instructions]
        lines.append("return " + ", ".join(f"%{n}" for n in self.outputs))
        width = max((len(line) for line, _ in map(_cut, lines)), default=0)
        return "\n".join(f"{text:<{min(width, 100)}}  {place}".rstrip() for text, place in map(_cut, lines))

    def line(self, instruction: Instruction) -> str:
        """An instruction as text, with the user's line behind a tab."""
        parts = [_text(a) for a in instruction.arguments] + [f"{k}={_text(v)}" for k, v in instruction.keywords.items()]
        if instruction.into is not None:
            parts.append(f"out=%{instruction.into}")
        call = f"{instruction.name}({', '.join(parts)})"
        made = ", ".join("_" if n is None else str(self.values[n]) for n in instruction.results)
        text = f"{made} = {call}" if made else call
        if instruction.guard is not None:
            text = f"guard: {instruction.guard.what} of {', '.join(parts)} is {instruction.guard.answer!r}"
        return f"{text}\t{instruction.place}"


def _cut(line: str) -> tuple[str, str]:
    text, _, place = line.partition("\t")
    return text, f"# {place}" if place else ""


def _text(value: Any) -> str:
    if isinstance(value, Ref):
        return repr(value)
    if isinstance(value, tuple | list):
        inside = ", ".join(map(_text, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, slice):
        return ":".join("" if part is None else _text(part) for part in (value.start, value.stop, value.step))
    if value is Ellipsis:
        return "..."
    if isinstance(value, type) or callable(value):
        return name_of_call(value)
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def name_of_call(function: Any) -> str:
    """What a function is called."""
    return str(getattr(function, "__name__", None) or function)


def refs_in(values: Any) -> Iterator[int]:
    """The numbers of the `Ref`s in a nest."""
    kind = type(values)
    if kind is Ref:
        yield values.number
    elif isinstance(values, tuple | list):
        for value in values:
            yield from refs_in(value)
    elif kind is dict:
        for value in values.values():
            yield from refs_in(value)
    elif kind is slice:
        yield from refs_in((values.start, values.stop, values.step))
