"""What a program can do without, with nothing of what it gives changed, not by a bit.

* a copy of what nobody writes to is the array itself;
* a call with the same arguments as an earlier one gives the same;
* a value that nothing needs is not computed;
* `x ** 2` is np.square for NumPy too, and `np.sum` a method of np.add: called by these names there is no Python between.

Memory is respected: whatever shares memory with something that is written to, is drawn, or is handed out, stays as it was recorded.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from autograd_core.compiling.effects import StepOut
from autograd_core.compiling.program import COMPUTED, CONSTANT, Instruction, Program, Ref, refs_in
from autograd_core.compiling.tracing import Attribute, Method

__all__ = ["Parts", "shortened"]


class Parts:
    """A program in parts: the function itself up to `forward_end`, then the ways to its gradients, each from its start to its end.

    results  numbers that a call gives: arrays that the user gets, who may write to them
    found    for each way, the numbers that it gives
    """

    def __init__(
        self, program: Program, forward_end: int, ways: Sequence[tuple[int, int]], results: Sequence[int], found: Sequence[Sequence[int]]
    ) -> None:
        self.program = program
        self.forward_end = forward_end
        self.ways = list(ways)
        self.results = list(results)
        self.found = [list(numbers) for numbers in found]


def shortened(parts: Parts) -> Parts:
    """The same with fewer calls."""
    parts = _lowered(parts)
    parts = _without_repetitions(parts)
    return _without_the_unneeded(parts)


# --- x ** 2 ------------------------------------------------------------------------------------------------------------------------------


def _lowered(parts: Parts) -> Parts:
    program = parts.program
    instructions = [_by_its_name(i, program) for i in program.instructions]
    made = Program(program.values, instructions, program.inputs, program.outputs)
    return Parts(made, parts.forward_end, parts.ways, parts.results, parts.found)


def _by_its_name(instruction: Instruction, program: Program) -> Instruction:
    """`x ** 2` as NumPy computes it, and `np.sum` as the ufunc's method that it calls."""
    if instruction.function is np.sum or instruction.function == Method("sum"):
        return _as_reduce(instruction, program)
    if instruction.function is not operator.pow:
        return instruction
    base, exponent = instruction.arguments
    if type(base) is not Ref or type(exponent) not in (int, float) or program.values[base.number].dtype.kind != "f":
        return instruction
    if program.values[base.number].is_scalar:
        return instruction
    if exponent == 2:
        return replace(instruction, function=np.square, arguments=(base,))
    return instruction


def _as_reduce(instruction: Instruction, program: Program) -> Instruction:
    of, *rest = instruction.arguments
    if type(of) is not Ref or program.values[of.number].is_scalar or len(rest) > 1 or not instruction.keywords.keys() <= {"axis", "keepdims"}:
        return instruction
    if rest and "axis" in instruction.keywords:
        return instruction
    keywords = {"axis": rest[0] if rest else None, **instruction.keywords}
    if any(True for _ in refs_in(keywords)) or type(keywords.get("keepdims", False)) is not bool:
        return instruction
    return replace(instruction, function=np.add.reduce, arguments=(of,), keywords=keywords)


# --- what was computed already ---------------------------------------------------------------------------------------------------------------


def _without_repetitions(parts: Parts) -> Parts:
    program = parts.program
    values = program.values
    written = {root for i in program.instructions for root in i.writes}
    out = set(parts.results) | {n for found in parts.found for n in found}
    out_roots = {values[n].root for n in out}
    steps_out = [k for k, i in enumerate(program.instructions) if isinstance(i.function, StepOut)]
    given_away = {values[n].root for k in steps_out for n in program.instructions[k].refs()}
    uses: dict[int, int] = {}
    for k, instruction in enumerate(program.instructions):
        for n in instruction.refs():
            uses[n] = k
    known: dict[Any, tuple[int, ...]] = {}
    renamed: dict[int, int] = {}
    instructions: list[Instruction] = []
    places = _Places(parts)
    for k, instruction in enumerate(program.instructions):
        if k in places.starts:
            known = dict(places.begin(k, known))
        if renamed:
            instruction = _with_names(instruction, renamed)
        result = instruction.results[0] if len(instruction.results) == 1 else None
        if result is not None and instruction.guard is None and not instruction.is_opaque and not instruction.writes and not instruction.is_several:
            made = values[result]
            touched = {values[n].root for n in (*instruction.refs(), result)}
            quiet = not touched & written and made.root not in out_roots and made.root not in given_away
            if quiet and steps_out and uses.get(result, k) > steps_out[0]:
                quiet = False  # an optimizer may have written to what it was computed from
            if quiet and (source := _copied(instruction, program)) is not None and values[source].root not in given_away | out_roots:
                renamed[result] = source
                places.drop(k)
                continue
            if quiet and (key := _key(instruction)) is not None:
                if key in known:
                    renamed[result] = known[key][0]
                    places.drop(k)
                    continue
                known[key] = (result,)
        instructions.append(instruction)
    made_program = Program(values, instructions, program.inputs, program.outputs)
    forward_end, ways = places.moved()
    return Parts(made_program, forward_end, ways, parts.results, parts.found)


def _copied(instruction: Instruction, program: Program) -> int | None:
    """The value that an instruction copies into the same layout; None if it does something else."""
    function = instruction.function
    if not (isinstance(function, Method) and function.__name__ == "copy" and type(instruction.arguments[0]) is Ref):
        return None
    source, made = program.values[instruction.arguments[0].number], program.values[instruction.results[0] or 0]
    if source.is_scalar is not made.is_scalar or source.strides != made.strides or source.kind == CONSTANT:
        return None
    return source.number


def _key(instruction: Instruction) -> Any:
    """What two calls have in common that give the same; None of those of which that is not known."""
    function = instruction.function
    known = isinstance(function, np.ufunc | Method) or isinstance(getattr(function, "__self__", None), np.ufunc)
    if not known or (isinstance(function, Method) and type(function) not in (Method, Attribute)) or instruction.into is not None:
        return None
    if isinstance(function, Method) and function.__name__ in ("copy", "astype", "flatten"):
        return None
    name = (function.__self__, function.__name__) if not isinstance(function, np.ufunc | Method) else function
    try:
        key = (name, _hashed(instruction.arguments), _hashed(instruction.keywords))
        hash(key)
    except TypeError:
        return None
    return key


def _hashed(values: Any) -> Any:
    if isinstance(values, tuple | list):
        return type(values), tuple(map(_hashed, values))
    if type(values) is dict:
        return tuple((key, _hashed(value)) for key, value in values.items())
    if type(values) is slice:
        return slice, values.start, values.stop, values.step
    if isinstance(values, float | complex):
        return type(values), repr(values)
    return type(values), values


def _with_names(instruction: Instruction, renamed: dict[int, int]) -> Instruction:
    """An instruction with other values in place of those that are no more."""
    if not any(n in renamed for n in refs_in((instruction.arguments, instruction.keywords))):
        return instruction
    return replace(instruction, arguments=_renamed(instruction.arguments, renamed), keywords=_renamed(instruction.keywords, renamed))


def _renamed(values: Any, renamed: dict[int, int]) -> Any:
    kind = type(values)
    if kind is Ref:
        return Ref(renamed[values.number]) if values.number in renamed else values
    if isinstance(values, tuple | list):
        return kind(_renamed(value, renamed) for value in values)
    if kind is dict:
        return {key: _renamed(value, renamed) for key, value in values.items()}
    if kind is slice:
        return slice(*(_renamed(part, renamed) for part in (values.start, values.stop, values.step)))
    return values


class _Places:
    """Where the parts begin and end, as calls are taken out."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.starts = {parts.forward_end, *(start for start, _ in parts.ways)}
        self.dropped: list[int] = []
        self._of_forward: dict[Any, tuple[int, ...]] | None = None

    def begin(self, k: int, known: dict[Any, tuple[int, ...]]) -> dict[Any, tuple[int, ...]]:
        """What is known at the beginning of a part: what the function itself has computed, nothing of another way."""
        if self._of_forward is None:
            self._of_forward = dict(known) if k >= self.parts.forward_end else None
        return known if self._of_forward is None else self._of_forward

    def drop(self, k: int) -> None:
        """Call `k` is no more."""
        self.dropped.append(k)

    def moved(self) -> tuple[int, list[tuple[int, int]]]:
        """The end of the function itself, and the ways, counted anew."""

        def place(k: int) -> int:
            return k - sum(1 for dropped in self.dropped if dropped < k)

        if len(self.dropped) > 50:
            gone = np.zeros(len(self.parts.program.instructions) + 2, int)
            gone[[k + 1 for k in self.dropped]] = 1
            total = np.cumsum(gone)
            return int(self.parts.forward_end - total[self.parts.forward_end]), [(int(a - total[a]), int(b - total[b])) for a, b in self.parts.ways]
        return place(self.parts.forward_end), [(place(a), place(b)) for a, b in self.parts.ways]


# --- what nobody needs -------------------------------------------------------------------------------------------------------------------------


def _without_the_unneeded(parts: Parts) -> Parts:
    program = parts.program
    values = program.values
    instructions = program.instructions
    kept: set[int] = set()
    needed_of_forward: set[int] = set()
    for (start, end), found in zip(parts.ways, parts.found, strict=True):
        kept_here, needed = _needed(program, start, end, {values[n].root for n in found})
        kept |= kept_here
        needed_of_forward |= needed
    kept_here, _ = _needed(program, 0, parts.forward_end, {values[n].root for n in parts.results} | needed_of_forward)
    kept |= kept_here
    covered = [(0, parts.forward_end), *parts.ways]
    places = _Places(parts)
    for k in range(len(instructions)):
        if k not in kept and any(start <= k < end for start, end in covered):
            places.drop(k)
    dropped = set(places.dropped)
    left = [i for k, i in enumerate(instructions) if k not in dropped]
    forward_end, ways = places.moved()
    return Parts(Program(values, left, program.inputs, program.outputs), forward_end, ways, parts.results, parts.found)


def _needed(program: Program, start: int, end: int, wanted: Iterable[int]) -> tuple[set[int], set[int]]:
    """Which instructions are needed for the memory with the roots `wanted`, and of which roots they need what was there before."""
    values = program.values
    roots = set(wanted)
    kept: set[int] = set()
    for k in range(end - 1, start - 1, -1):
        instruction = program.instructions[k]
        made = {values[n].root for n in instruction.results if n is not None}
        outside = any(values[root].kind != COMPUTED for root in instruction.writes)
        if instruction.is_opaque or instruction.guard is not None or outside or (made | set(instruction.writes)) & roots:
            kept.add(k)
            roots.update(values[n].root for n in instruction.refs())
    return kept, roots
