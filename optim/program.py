"""A rule's formula as a program that makes no temporary arrays.

`NumPy` evaluates `b * m + (1 - b) * g` by three functions and gives each a new array. On large parameters these arrays cost more
than the arithmetic. So the formula is run once on placeholders, which note the functions that it calls; then each result is
given a place to be written to: the state that it replaces, an operand that is not needed again, or a scratch buffer. The
program is run on block after block of the arrays, of a size that stays in the processor's cache.

A block is as large as the last cache allows, not the nearest one: each time that a pass begins somewhere else in memory, the
processor's prefetching has to find its pace anew (measured: some 2 microseconds, as much as 16k elements take).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from optim import memory
from optim.at_once import Changes

__all__ = ["Program", "Workspace"]

# Bytes of all arrays that a program works on, in one block. Against 64k elements, measured on arrays of 5 million: momentum takes
# 0.78 of the time in float32 and 0.85 in float64, Adam 0.92 and 0.97; blocks twice as large lose what is won.
BLOCK = 8 << 20

Slot = tuple[str, int]
Instruction = tuple[Callable[..., Any], tuple[int, ...], int, int | None]  # function, places of its operands, of its result, of a mask
COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
CONDITIONS = frozenset({*COMPARISONS, np.logical_and, np.logical_or, np.logical_not, np.isnan, np.isfinite})  # results are booleans


class _Placeholder(NDArrayOperatorsMixin):
    """Stands for an array while the formula is traced."""

    def __init__(self, trace: _Trace, place: int) -> None:
        self.trace = trace
        self.place = place

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            return NotImplemented
        return self.trace.note(ufunc, inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is not np.where or kwargs:
            raise TypeError(f"a per-element rule may use ufuncs and np.where only, not {function.__name__}")
        return self.trace.note(function, args)


class _Trace:
    """The functions that a formula calls, in order. Values are numbered: the inputs first, then each result."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []  # operands: placeholders and numbers

    def note(self, function: Any, operands: tuple[Any, ...]) -> _Placeholder:
        same = _unchanged(function, operands)
        if same is not None:
            return same
        self.calls.append((function, operands))
        return _Placeholder(self, self.inputs + len(self.calls) - 1)


def _unchanged(function: Any, operands: tuple[Any, ...]) -> _Placeholder | None:
    """The operand that `function` would return as it is: x + 0, x * 1."""
    if function is np.add or function is np.multiply:
        neutral = 0 if function is np.add else 1
        for x, number in (operands, operands[::-1]):
            if isinstance(x, _Placeholder) and not isinstance(number, _Placeholder) and number == neutral:
                return x
    if function in (np.subtract, np.divide) and not isinstance(operands[1], _Placeholder) and operands[1] == (function is np.divide):
        return operands[0]
    return None


class _Compiler:
    """Decides where each traced result is written to, and lists the calls as instructions.

    A slot is ("array", n): the gradient, the parameter, a state's array or the change; ("constant", n); or ("scratch", n).

    wanted  result -> the array that it has to end in
    kept    results that are needed to the end
    """

    def __init__(self, trace: _Trace, wanted: dict[int, Slot], kept: set[int], dtype: Any) -> None:
        self.trace = trace
        self.wanted = wanted
        self.kept = kept
        self.dtype = dtype
        self.slots: dict[int, Slot] = {i: ("array", i) for i in range(trace.inputs)}
        self.last = {o.place: i for i, (_, operands) in enumerate(trace.calls) for o in operands if isinstance(o, _Placeholder)}
        self.written = {slot: place - trace.inputs for place, slot in wanted.items()}  # when an array gets its new value
        self.constants: list[Any] = []
        self.scratch: list[Any] = []  # dtypes
        self.free: list[int] = []
        self.code: list[tuple[Callable[..., Any], tuple[Slot, ...], Slot, Slot | None]] = []

    def compile(self) -> None:
        """Fill `code`, `constants` and `scratch`."""
        for i, (function, operands) in enumerate(self.trace.calls):
            read = tuple(self._slot_of(operand) for operand in operands)
            dying = [o.place for o in operands if isinstance(o, _Placeholder) and self.last[o.place] == i and o.place not in self.kept]
            self.free += sorted({self.slots[place][1] for place in dying if self.slots[place][0] == "scratch"})
            target = self._target(i, dying, np.dtype(bool) if function in CONDITIONS else self.dtype)
            self.slots[self.trace.inputs + i] = target
            if function is np.where:
                condition, x, y = read
                self._choose(condition, x, y, target)
            else:
                self.code.append((function, read, target, None))

    def _choose(self, condition: Slot, x: Slot, y: Slot, target: Slot) -> None:
        """Write x where the condition holds and y elsewhere, by ufuncs with a mask. np.where runs a little Python each time, which an
        interrupt could stop."""
        if not (condition[0] == "scratch" and self.scratch[condition[1]] == np.dtype(bool)):
            nonzero = self._mask()
            self.code.append((np.not_equal, (condition, self._constant(0.0)), nonzero, None))
            condition = nonzero
        if x == target != y:
            other = self._mask()
            self.code.append((np.logical_not, (condition,), other, None))
            self.code.append((np.positive, (y,), target, other))
            return
        if y != target:
            self.code.append((np.positive, (y,), target, None))
        self.code.append((np.positive, (x,), target, condition))

    def _mask(self) -> Slot:
        self.scratch.append(np.dtype(bool))
        return "scratch", len(self.scratch) - 1

    def _constant(self, value: Any) -> Slot:
        self.constants.append(value)
        return "constant", len(self.constants) - 1

    def _slot_of(self, operand: Any) -> Slot:
        if isinstance(operand, _Placeholder):
            return self.slots[operand.place]
        return self._constant(operand)

    def _target(self, i: int, dying: list[int], dtype: Any) -> Slot:
        """The slot for the result of call `i`, which reads the values in `dying` for the last time."""
        place = self.trace.inputs + i
        slot = self.wanted.get(place)
        if slot is not None and not self._is_needed(slot, i):
            return slot
        if place not in self.kept and dtype == self.dtype:
            # The array of a state whose old value has just been read takes a step on the way to its new value.
            for old in dying:
                own = ("array", old)
                if own in self.written and self.slots[old] == own and self.last.get(place, i) <= self.written[own]:
                    return own
        for n in self.free:
            if self.scratch[n] == dtype:
                self.free.remove(n)
                return "scratch", n
        self.scratch.append(dtype)
        return "scratch", len(self.scratch) - 1

    def _is_needed(self, slot: Slot, i: int) -> bool:
        """Whether the old value in the array `slot` is needed after call `i`."""
        return slot[1] < self.trace.inputs and (slot[1] in self.kept or self.last.get(slot[1], -1) > i)

    def copy(self, copies: list[tuple[int, Slot]]) -> None:
        """Bring results to the arrays that they have to end in, if they are not there. Old values go before new ones take their places."""
        for place, slot in sorted(copies, key=lambda copy: copy[0] >= self.trace.inputs):
            if self.slots[place] != slot:
                self.code.append((np.positive, (self.slots[place],), slot, None))

    def numbered(self, arrays: int) -> list[Instruction]:
        """The code with slots as places in one list: the arrays, the constants, the scratch buffers."""
        start = {"array": 0, "constant": arrays, "scratch": arrays + len(self.constants)}

        def place(slot: Slot) -> int:
            return start[slot[0]] + slot[1]

        return [(f, tuple(map(place, read)), place(target), None if mask is None else place(mask)) for f, read, target, mask in self.code]


class Program:
    """`rule` for one set of numbers, on arrays of one dtype.

    rule      a per-element rule, see `optim.rules`
    arrays    names of the state's arrays
    numbers   the state's numbers
    dtype     of the arrays
    add       whether the change is added to the parameter, or handed out in an array of its own
    numbers   after construction: the state's new numbers
    results   names of the arrays that the rule returns: `changes` wants all of them, besides `arrays`
    uses_parameter   whether the formula looks at the parameter
    """

    def __init__(
        self, rule: Callable[..., Any], arrays: list[str], numbers: dict[str, Any], hyperparameters: dict[str, Any], dtype: Any, add: bool
    ) -> None:
        inputs = ["gradient", "parameter", *arrays]
        trace = _Trace(len(inputs))
        placeholders = [_Placeholder(trace, i) for i in range(len(inputs))]
        state = {**numbers, **dict(zip(arrays, placeholders[2:], strict=True))}
        change, new = rule(placeholders[0], placeholders[1], state, **hyperparameters)
        self.add = add
        self.numbers = {name: value for name, value in new.items() if not isinstance(value, _Placeholder)}
        self.results = [name for name, value in new.items() if isinstance(value, _Placeholder)]
        self.arrays = list(dict.fromkeys([*arrays, *self.results]))
        places = {name: ("array", 2 + i) for i, name in enumerate(self.arrays)}
        ends = [(new[name].place, places[name]) for name in self.results]
        if not add:
            ends.append((change.place, ("array", 2 + len(self.arrays))))
        compiler = _Compiler(trace, dict(ends), {change.place, *(place for place, _ in ends)}, dtype)
        compiler.compile()
        self.uses_parameter = any(("array", 1) in read for _, read, _, _ in compiler.code)
        compiler.copy(ends)
        if add:
            compiler.code.append((np.add, (("array", 1), compiler.slots[change.place]), ("array", 1), None))
        # As arrays, because a ufunc takes twice as long to begin with a Python number: it has to look which dtype fits.
        self.constants = [np.asarray(constant, dtype=dtype) for constant in compiler.constants]
        self.scratch = compiler.scratch
        self.code = compiler.numbered(2 + len(self.arrays) + (not add))
        together = 2 + len(self.arrays) + (not add) + len(self.scratch)
        self.longest = max(1, BLOCK // (np.dtype(dtype).itemsize * together))  # elements of a block

    def changes(self, gradient: Any, parameter: Any, state: dict[str, Any], workspace: Workspace, change: Any = None) -> Changes:
        """What updates the flat arrays of the `state` in place, and `parameter` too; or, if the program does not add, writes to `change`."""
        arrays = [gradient, parameter, *[state[name] for name in self.arrays], *([] if self.add else [change])]
        size = gradient.size
        blocks = -(-size // self.longest)
        block = -(-size // blocks)  # all of one length, but for the last one
        scratch = workspace.buffers(self.scratch, block)
        calls: Changes = []
        for start in range(0, size, block):
            if blocks > 1:
                part = slice(start, start + block)
                length = min(block, size - start)
                calls += self._calls([*[a[part] for a in arrays], *self.constants, *[s[:length] for s in scratch]])
            else:
                calls += self._calls([*arrays, *self.constants, *scratch])
        return calls

    def _calls(self, slots: list[Any]) -> Changes:
        return [
            partial(function, *[slots[r] for r in read], out=slots[target], **({} if mask is None else {"where": slots[mask]}))
            for function, read, target, mask in self.code
        ]


class Workspace:
    """What is kept from run to run: scratch buffers, and the last program, which serves all arrays of equal numbers."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[int, Any], Any] = {}
        self._key: Any = None
        self._program: Program | None = None

    def buffers(self, dtypes: list[Any], size: int) -> list[Any]:
        """One buffer for each dtype. Fresh ones would cost more than the arithmetic: the system clears every page of them."""
        found = []
        for i, dtype in enumerate(dtypes):
            buffer = self._buffers.get((i, dtype))
            if buffer is None or buffer.size < size:
                buffer = self._buffers[i, dtype] = memory.empty(size, dtype)
            found.append(buffer[:size])
        return found

    def program(self, *key: Any) -> Program:
        """`Program(*key)`, made anew unless all is as it was the last time."""
        if self._program is None or key != self._key:
            self._program, self._key = Program(*key), key
        return self._program
