"""How a rule is run on many arrays quickly, without its formula knowing.

For a rule marked `@per_element` it does not matter where an array ends. So small parameters are joined, and their state lives in
common flat arrays, of which `optimizer.state[parameter]` holds views: then 200 arrays cost little more than one. Large arrays
are run through a `Program`, which makes no temporaries; for small ones, the formula itself is quicker.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import numpy as np

from optim import memory
from optim.at_once import Changes, assign, at_once, each, set_attributes
from optim.precision import wide, wide_dtype
from optim.program import Workspace

__all__ = ["Pack", "Packs", "changes_whole", "make_packs"]

JOINED = 1 << 16  # elements: larger parameters gain nothing by being joined
PACK = 1 << 20  # elements: bounds the memory that joining takes
OFTEN = 2  # changes: a parameter that comes or goes for the second time may do so again
PROGRAM = 1 << 14  # elements: for fewer, tracing the formula costs more than its temporaries


def flat(array: Any) -> Any:
    """`array` in one dimension, a view where possible; complex numbers as pairs of real ones."""
    line = array.reshape(-1)
    return line.view(line.real.dtype) if line.dtype.kind == "c" else line


class Pack:
    """Parameters of one dtype and one age (equal numbers in their states) that are stepped together.

    parameters  tensors
    entries     their states, dicts, which are kept up to date
    owns        name -> whether that part of the states is the rule's
    """

    def __init__(self, parameters: Sequence[Any], entries: Sequence[dict[str, Any]], owns: Callable[[str], bool]) -> None:
        self.parameters = parameters
        self.entries = entries
        self.dtypes = [p.dtype for p in parameters]
        self.wide = [wide_dtype(dtype) for dtype in self.dtypes]
        self.dtype = np.empty(0, self.wide[0]).real.dtype
        sizes = [p.size * (dtype.itemsize // self.dtype.itemsize) for p, dtype in zip(parameters, self.wide, strict=True)]
        ends = np.cumsum(sizes).tolist()
        self.parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self.size = ends[-1]
        # A single parameter is worked on where it lies; several, or one of half precision, are gathered in buffers, which are kept.
        self.alone = self.wide == self.dtypes and len(parameters) == 1
        self.buffers: dict[str, tuple[Any, list[Any]]] = {}
        self.gradient: Any = None
        self.numbers, names = _numbers_and_arrays(entries[0], owns)
        self.arrays: dict[str, Any] = {}
        self.views: list[tuple[dict[str, Any], str, Any]] = []  # what the entries hold, to notice when somebody replaces it
        for name in names:
            arrays = [flat(np.asarray(entry[name], dtype=dtype)) for entry, dtype in zip(entries, self.wide, strict=True)]
            at_once(self._keeping(name, np.concatenate(arrays, out=memory.empty(self.size, self.dtype))))

    def _parted(self, joined: Any) -> list[Any]:
        """Views of a flat array in the shapes of the parameters."""
        return [joined[part].view(dtype).reshape(p.shape) for p, dtype, part in zip(self.parameters, self.wide, self.parts, strict=True)]

    def _keeping(self, name: str, joined: Any) -> Changes:
        """What takes a flat array into the state, and puts views of it into the entries."""
        changes: Changes = [partial(self.arrays.__setitem__, name, joined)]
        for entry, view in zip(self.entries, self._parted(joined), strict=True):
            changes += [partial(entry.__setitem__, name, view), partial(self.views.append, (entry, name, view))]
        return changes

    def is_current(self) -> bool:
        """Whether the entries still hold what this pack put there."""
        for entry, name, view in self.views:
            if entry.get(name) is not view:
                return False
        for name, value in self.numbers.items():
            for entry in self.entries:
                if entry.get(name) != value:
                    return False
        return True

    def is_worth_keeping(self) -> bool:
        """Whether it is usable, and to make it anew would take longer than to step its parameters one by one."""
        return (len(self.parameters) > 1 or self.size >= JOINED) and self.is_usable()

    def is_usable(self) -> bool:
        """Whether it is current, and the parameters have the dtypes still that they had."""
        return self.is_current() and [p.dtype for p in self.parameters] == self.dtypes

    def _buffer(self, name: str) -> tuple[Any, list[Any]]:
        """A kept flat array, and its views in the shapes of the parameters."""
        if name not in self.buffers:
            joined = memory.empty(self.size, self.dtype)
            self.buffers[name] = joined, self._parted(joined)
        return self.buffers[name]

    def _gather(self, name: str, arrays: Sequence[Any]) -> Any:
        if self.alone:
            return flat(arrays[0])
        joined, _ = self._buffer(name)
        np.concatenate(arrays, axis=None, out=joined.view(self.wide[0]))
        return joined

    def take_gradients(self, gradients: Sequence[Any]) -> None:
        """Note the gradients of the next step."""
        self.gradient = self._gather("gradient", gradients)

    def is_finite(self, _: Workspace) -> bool:
        """Whether all the gradients are finite that were taken."""
        g = self.gradient
        # Squares add up to something finite if all are, and by the quickest function that there is; or they overflow.
        return math.isfinite(np.dot(g, g)) or bool(np.isfinite(g).all())

    def changes(self, rule: Callable[..., Any], hyperparameters: dict[str, Any], workspace: Workspace) -> Changes:
        """One step of `rule` for all parameters, with the gradients that were taken."""
        run = self._of_program if self.size >= PROGRAM else self._of_formula
        changes, numbers = run(rule, hyperparameters, workspace)
        if numbers:
            changes += each(dict.update, (self.numbers, *self.entries), repeat(numbers))
        changes.append(set_attributes(self, gradient=None))
        return changes

    def _of_formula(self, rule: Callable[..., Any], hyperparameters: dict[str, Any], _: Workspace) -> tuple[Changes, dict[str, Any]]:
        """The changes of a step, and the new numbers, by the formula as it stands."""
        data = [p.data for p in self.parameters]
        change, new = rule(self.gradient, self._gather("parameter", data), {**self.numbers, **self.arrays}, **hyperparameters)
        changes: Changes = []
        numbers = {}
        for name, value in new.items():
            if not isinstance(value, np.ndarray):
                numbers[name] = value
            elif name in self.arrays:
                changes.append(assign(self.arrays[name], value))
            else:
                changes += self._keeping(name, np.array(value, dtype=self.dtype))
        if len(data) == 1:
            parts = self._parted(np.asarray(change, dtype=self.dtype))
        else:  # copied into a buffer that is cut into parts already, which is quicker than to cut it
            joined, parts = self._buffer("change")
            joined[...] = change
        changes += each(np.add, data, parts, data)
        return changes, numbers

    def _of_program(self, rule: Callable[..., Any], hyperparameters: dict[str, Any], workspace: Workspace) -> tuple[Changes, dict[str, Any]]:
        """The changes of a step, and the new numbers, by instructions that write to the arrays themselves."""
        data = [p.data for p in self.parameters]
        in_place = self.alone and data[0].flags.c_contiguous
        program = workspace.program(rule, list(self.arrays), dict(self.numbers), hyperparameters, self.dtype, in_place)
        new = {name: memory.empty(self.size, self.dtype) for name in program.results if name not in self.arrays}
        changes = [change for name, joined in new.items() for change in self._keeping(name, joined)]
        arrays = self.arrays | new
        if in_place:
            return changes + program.changes(self.gradient, flat(data[0]), arrays, workspace), program.numbers
        parameter = self._gather("parameter", data) if program.uses_parameter else self.gradient
        change, parts = self._buffer("change")
        changes += program.changes(self.gradient, parameter, arrays, workspace, change)
        changes += each(np.add, data, parts, data)
        return changes, program.numbers


def _numbers_and_arrays(entry: dict[str, Any], owns: Callable[[str], bool]) -> tuple[dict[str, Any], list[str]]:
    """The numbers in a state, and the names of its arrays, of what `owns` says."""
    own = {name: value for name, value in entry.items() if owns(name)}
    return {name: value for name, value in own.items() if not isinstance(value, np.ndarray)}, [k for k, v in own.items() if isinstance(v, np.ndarray)]


def make_packs(parameters: Sequence[Any], entries: Sequence[dict[str, Any]], owns: Callable[[str], bool]) -> list[Pack]:
    """Packs of parameters that can be stepped together."""
    waiting: dict[Any, list[int]] = {}
    groups: list[list[int]] = []
    for i, (parameter, entry) in enumerate(zip(parameters, entries, strict=True)):
        if parameter.size >= JOINED:
            groups.append([i])
        elif parameter.size:
            numbers, names = _numbers_and_arrays(entry, owns)
            kind = (parameter.dtype, tuple(numbers.items()), tuple(names))
            if sum(parameters[k].size for k in waiting.get(kind, ())) + parameter.size > PACK:
                groups.append(waiting.pop(kind))
            waiting.setdefault(kind, []).append(i)
    return [Pack([parameters[i] for i in group], [entries[i] for i in group], owns) for group in (*groups, *waiting.values())]


class Packs:
    """The packs of a group, kept from step to step.

    The set of parameters that have a gradient may change: layers are frozen, experts are not asked. What changes again and again
    gets a pack of its own, so that the others can stay together; joining all anew would cost more than a step.
    """

    def __init__(self) -> None:
        self.key: tuple[list[int], list[Any]] = [], []
        self.current: list[Pack] = []
        self.places: list[list[int]] = []  # which of the parameters each pack takes
        self.single: dict[int, Pack] = {}  # of one parameter each, also of those that have no gradient now
        self.changes: Counter[int] = Counter()  # how often a parameter came or went

    def of(
        self, parameters: Sequence[Any], dtypes: list[Any], states: Mapping[Any, dict[str, Any]], owns: Callable[[str], bool]
    ) -> tuple[list[Pack], list[list[int]]]:
        """Packs of the parameters, which have gradients of these dtypes; and which of the parameters each takes."""
        key = [id(p) for p in parameters], dtypes
        if key != self.key or not all(pack.is_current() for pack in self.current):
            if self.key[0]:
                self.changes.update(set(key[0]) ^ set(self.key[0]))
            place = {id(p): k for k, p in enumerate(parameters)}
            kept = [pack for pack in self.current if pack.is_worth_keeping() and all(id(p) in place for p in pack.parameters)]
            done = {id(p) for pack in kept for p in pack.parameters}
            left = [p for p in parameters if id(p) not in done]
            changing = [p for p in left if self.changes[id(p)] >= OFTEN]
            steady = [p for p in left if self.changes[id(p)] < OFTEN]
            packs = [*kept, *make_packs(steady, [states[p] for p in steady], owns)]
            packs += [self._single(p, states[p], owns) for p in changing if p.size]
            places = [[place[id(p)] for p in pack.parameters] for pack in packs]
            at_once([set_attributes(self, current=packs, places=places, key=key)])
        return self.current, self.places

    def __reduce__(self) -> tuple[Any, ...]:
        return Packs, ()  # a copy begins anew: copies of views and of the arrays that they are views of have no memory in common

    def _single(self, parameter: Any, entry: dict[str, Any], owns: Callable[[str], bool]) -> Pack:
        pack = self.single.get(id(parameter))
        if pack is None or not pack.is_usable():
            pack = self.single[id(parameter)] = Pack([parameter], [entry], owns)
        return pack


def changes_whole(
    rule: Callable[..., Any], parameter: Any, gradient: Any, entry: dict[str, Any], hyperparameters: dict[str, Any], _: Workspace
) -> Changes:
    """One step of a rule that needs the whole array at once."""
    data = parameter.data
    change, new = rule(wide(gradient), wide(data), dict(entry), **hyperparameters)
    # NumPy gives numbers for 0-d results; the state keeps arrays.
    state = partial(entry.update, {name: np.asarray(value) if isinstance(value, np.generic) else value for name, value in new.items()})
    if isinstance(data, np.ndarray):
        return [state, partial(np.add, data, change, out=data)]
    return [state, partial(setattr, parameter, "data", data + change)]
