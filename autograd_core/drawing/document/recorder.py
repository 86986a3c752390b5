"""Watch a program run, and note what a tape does not hold: what `ag.record` gives (recording.py) is a `Recorder` that draws.

While one is on, every recorded operation leaves facts behind: the user's line, the time it took, what its values and gradients
look like, the module it ran in, and the constants it was given. Facts are numbers and text, kept by the number of the node;
they neither keep the tape alive nor change it. A picture finds them by itself. The program is listed as it runs, too, so that
there is something to draw when it raises half-way.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from autograd_core.drawing.document.summary import Summary, summary_of
from autograd_core.instruments.listing import Argument, Row, RowMaker, Tape, constant_text, names_of_nodes
from autograd_core.instruments.observer import Observer, name_in
from autograd_core.tape.mode import Instrument
from autograd_core.tape.node import Node, next_number
from autograd_core.tape.source_lines import inside_sweep, user_place
from autograd_core.tensor.handles import raw

__all__ = ["Call", "Constant", "Facts", "Failure", "Recorder", "recorders"]

# Keys of constant arrays, from 2: a constant that no recording saw has the number -1.
_next_key = itertools.count(2).__next__


class Constant(NamedTuple):
    """An array without gradient that an operation was given; `key` is the same wherever the same array is."""

    key: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(slots=True)
class Call:
    """One call of a module, or one `with ag.scope(name)`.

    key        a number, in the order of the calls
    name       attribute name of the module, or the scope's name;  detail: the module's class
    path       dotted name from the outermost module of the call
    parent     key of the call around it, or None
    module     a number for the module, the same for each of its calls, or None
    parameters numbers of the leaves that are the module's own
    data       numbers of nodes and (negative) keys of constant arrays that it was called with
    """

    key: int
    name: str
    detail: str
    path: str
    parent: int | None
    module: int | None
    parameters: frozenset[int] = frozenset()
    data: frozenset[int] = frozenset()


@dataclass(slots=True)
class Facts:
    """What was noted about one operation.

    place           file and line number in the user's code
    call            key of the module call that it ran in, or None
    seconds         of its forward computation;  backward_seconds  of its backward step
    backward_order  its place among the backward steps, from 1
    value, gradient of its result, summarised
    constants       position of an argument -> the constant array there, or the text of a number
    backward_of     number of the node whose backward step recorded it (create_graph), or None
    given_infinity  whether all infinities in the value come from constants: a mask of -inf
    """

    place: tuple[str, int] | None = None
    call: int | None = None
    seconds: float = 0.0
    backward_seconds: float | None = None
    backward_order: int | None = None
    value: Summary | None = None
    gradient: Summary | None = None
    constants: dict[int, Constant | str] = field(default_factory=dict)
    backward_of: int | None = None
    given_infinity: bool = False


@dataclass(slots=True)
class Failure:
    """The operation that raised, and what it was given."""

    op: str
    arguments: list[Argument]
    error: str
    place: tuple[str, int] | None
    call: int | None


class _ByNumber(dict[int, int]):
    """Node -> row, by the node's number: a dict of nodes would keep them alive."""

    def __getitem__(self, node: Any) -> int:
        return super().__getitem__(node.number)


class Recorder(Observer):
    """Notes what happens while it is on, and holds the notes afterwards.

    facts    by number of the node
    calls    of modules and scopes, in order
    failure  the operation that raised, or None
    error    what else was raised, as text, or ""
    """

    def __init__(self, values: bool = True, outer: Instrument | None = None) -> None:
        super().__init__(outer)
        self.values = values
        self.facts: dict[int, Facts] = {}
        self.calls: list[Call] = []
        self.failure: Failure | None = None
        self.error = ""
        self._call: ContextVar[int | None] = ContextVar("autograd_core_call", default=None)
        self._modules: list[tuple[Any, int]] = []  # (weak reference, number)
        self._arrays: dict[int, tuple[Any, int]] = {}  # id -> (weak reference, key)
        self._index = _ByNumber()
        self._rows: list[Row] = []
        self._ops: list[Any] = []
        self._maker = RowMaker()
        self._lock = threading.RLock()
        self._pending: list[Any] = []
        self._started: float | None = None
        self._swept: tuple[int, float] | None = None
        self._order = 0
        self.started = next_number()
        _known.add(self)
        _last[:] = [self]

    # --- what the engine tells --------------------------------------------------------------------------------------------

    def line(self) -> str | None:
        place = user_place()
        return None if place is None else f"{place[0]}:{place[1]}"

    def computing(self, op: Any, parents: list[Any]) -> None:
        super().computing(op, parents)
        self._pending = [(parent.number, parent.shape, parent.dtype) for parent in parents]
        with self._lock:
            for parent in parents:
                self._see(parent)
        self._started = time.perf_counter()

    def recorded(self, node: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], value: Any) -> None:
        seconds = 0.0 if self._started is None else time.perf_counter() - self._started
        self._started = None
        facts = Facts(user_place(), self._call.get(), seconds, backward_of=self._swept[0] if self._swept and inside_sweep() else None)
        if self.values:
            facts.value = summary_of(value)
        tracked = {where if isinstance(where, int) else where[0] for where in node.plan.tracked}
        for position, argument in enumerate(arguments):
            if position in tracked:
                continue
            if isinstance(argument, np.ndarray) and argument.ndim:
                facts.constants[position] = Constant(self._array_key(argument), argument.shape, str(argument.dtype))
            elif isinstance(argument, bool | int | float | complex | np.generic):
                facts.constants[position] = constant_text(argument)
        if facts.value is not None and facts.value.infs:
            given = [argument for position, argument in enumerate(arguments) if position not in tracked]
            for position in [where[0] for where in node.plan.tracked if not isinstance(where, int)]:  # a sequence, of which some are tracked
                given += [part for i, part in enumerate(arguments[position]) if (position, i) not in node.plan.tracked]
            facts.given_infinity = _infinities_are_given(value, [*given, *keywords.values()])
        self.facts[node.number] = facts
        with self._lock:
            self._see(node)
        super().recorded(node, arguments, keywords, value)

    def failed(self, op: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], error: BaseException) -> None:
        numbers = iter(self._pending)
        waiting = next(numbers, None)
        listed: list[Argument] = []
        for position, argument in enumerate(arguments):
            name = op.parameters[min(position, len(op.parameters) - 1)] if op.parameters else ""
            for element, part in enumerate(argument) if isinstance(argument, list | tuple) else [(None, argument)]:
                if waiting is not None and getattr(part, "shape", None) == waiting[1] and getattr(part, "dtype", None) == waiting[2]:
                    listed.append(Argument(name, self._index.get(waiting[0]), "", element))
                    waiting = next(numbers, None)
                else:
                    listed.append(Argument(name, None, constant_text(part), element))
        self.failure = Failure(str(op.name), listed, f"{type(error).__name__}: {error}", user_place(), self._call.get())
        super().failed(op, arguments, keywords, error)

    def sweeping(self, node: Any, gradient: Any) -> None:
        self._end_sweep_step()
        facts = self.facts.setdefault(node.number, Facts())
        self._order += 1
        facts.backward_order = self._order
        if self.values:
            facts.gradient = summary_of(gradient if not isinstance(gradient, list) else [g for g in gradient if g is not None])
        self._swept = (node.number, time.perf_counter())
        super().sweeping(node, gradient)

    def swept(self, node: Any, parent: Any, gradient: Any, contribution: Any) -> None:
        self._end_sweep_step(again=node.number)
        super().swept(node, parent, gradient, contribution)

    def _end_sweep_step(self, again: int | None = None) -> None:
        """Book the time since the last event of a backward step on the node that it was of."""
        if self._swept is None:
            return
        number, since = self._swept
        facts = self.facts[number]
        if again == number:
            facts.backward_seconds = (facts.backward_seconds or 0.0) + time.perf_counter() - since
        self._swept = None if again is None else (number, time.perf_counter())

    @contextlib.contextmanager
    def scope(self, of: Any, arguments: tuple[Any, ...] = ()) -> Iterator[None]:
        call = self._new_call(of, arguments)
        key = self._call.set(call.key)
        try:
            with super().scope(of, arguments):
                yield
        except Exception as error:
            if self.failure is None:  # it was no operation that raised, but what the module does around them
                self.failure = Failure(
                    call.detail or call.name, self._listed(arguments), f"{type(error).__name__}: {error}", user_place(), call.parent
                )
            raise
        finally:
            self._call.reset(key)

    def _new_call(self, of: Any, arguments: tuple[Any, ...]) -> Call:
        parent = self._call.get()
        if isinstance(of, str):
            name, detail, module = of, "", None
            parameters: frozenset[int] = frozenset()
        else:
            name, detail, module = name_in(self._scopes.get(), of), type(of).__name__, self._module_number(of)
            own = of.parameters() if hasattr(of, "parameters") else ()
            parameters = frozenset(p.node.number for p in own if getattr(p, "node", None) is not None)
        above = self.calls[parent].path if parent is not None else ""
        data: set[int] = set()
        for argument in arguments:
            for value in argument if isinstance(argument, tuple | list) else [argument]:
                if getattr(value, "node", None) is not None:
                    data.add(value.node.number)
                elif isinstance(raw(value), np.ndarray):
                    data.add(-self._array_key(raw(value)))
        call = Call(len(self.calls), name, detail, ".".join(p for p in (above, name) if p), parent, module, parameters, frozenset(data))
        self.calls.append(call)
        return call

    def _listed(self, arguments: tuple[Any, ...]) -> list[Argument]:
        """What a module was called with: rows, and texts of constants."""
        listed = []
        for i, argument in enumerate(arguments):
            node = getattr(argument, "node", None)
            if node is not None:
                with self._lock:
                    self._see(node)
            row = None if node is None else self._index[node]
            listed.append(Argument(f"input {i}" if len(arguments) > 1 else "input", row, "" if row is not None else constant_text(raw(argument))))
        return listed

    def _module_number(self, module: Any) -> int:
        for reference, number in self._modules:
            if reference() is module:
                return number
        number = len(self._modules)
        try:
            self._modules.append((weakref.ref(module), number))
        except TypeError:
            self._modules.append((lambda module=module: module, number))
        return number

    def _array_key(self, array: Any) -> int:
        """A number for an array, from 1, the same as long as the array lives."""
        entry = self._arrays.get(id(array))
        if entry is not None and entry[0]() is array:
            return entry[1]
        key = _next_key()
        self._arrays[id(array)] = (weakref.ref(array), key)
        return key

    def named_calls(self, params: Any = None) -> list[Call]:
        """The calls, those of outermost modules called as `params` calls them, and what they call below that name."""
        names = (
            {id(module): str(name) for name, module in params.items() if hasattr(module, "named_parameters")} if isinstance(params, Mapping) else {}
        )
        if not names:
            return self.calls
        named: list[Call] = []
        for call in self.calls:
            module = None if call.module is None else self._modules[call.module][0]()
            name = call.name or names.get(id(module), "")
            above = "" if call.parent is None else named[call.parent].path
            named.append(replace(call, name=name, path=".".join(part for part in (above, name) if part)))
        return named

    # --- the program as it runs -------------------------------------------------------------------------------------------

    def _see(self, node: Node) -> None:
        """List `node`, and before it what it was computed from, as far as that was not listed yet."""
        stack = [node]
        while stack:
            top = stack[-1]
            if top.number in self._index:
                stack.pop()
                continue
            missing = [parent for parent in top.parents if parent.number not in self._index]
            if missing:
                stack.extend(reversed(missing))
                continue
            stack.pop()
            self._index[top.number] = len(self._rows)
            self._rows.append(self._maker.row(len(self._rows), top, self._index, None))
            self._ops.append(top.op)

    def tape(self, params: Any = None) -> Tape:
        """The program as far as it ran; its outputs are what nothing else uses."""
        names = {node.number: name for node, name in names_of_nodes(params).items()}
        rows = [replace(row, name=names[row.number]) if row.number in names else row for row in self._rows]
        used = {source for row in rows for source in row.sources}
        if self.failure is not None:
            used.update(a.row for a in self.failure.arguments if a.row is not None)
        outputs = tuple(row.index for row in rows if row.index not in used and not row.leaf)
        return Tape(rows, outputs, self._maker.saved_bytes, list(self._ops))

    def finish(self, error: BaseException | None) -> None:
        """The block is over, by `error` if that is not None."""
        self._end_sweep_step()
        self._maker.forget()
        if error is not None:
            self.error = f"{type(error).__name__}: {error}"

    def __repr__(self) -> str:
        return f"<recording of {len(self.facts)} operations in {len(self.calls)} calls{', failed' if self.failure or self.error else ''}>"


def _infinities_are_given(value: Any, constants: list[Any]) -> bool:
    """Whether wherever `value` is infinite, one of the constants that it was computed from is."""
    given = [np.isinf(c) for c in map(raw, constants) if isinstance(c, float | np.ndarray | np.generic) and np.asarray(c).dtype.kind in "fc"]
    given = [mask for mask in given if np.any(mask)]
    if not given or not isinstance(value, np.ndarray | np.generic):
        return False
    unexplained = np.isinf(value)
    for mask in given:
        if mask.ndim > value.ndim or any(n not in (1, m) for n, m in zip(mask.shape[::-1], value.shape[::-1], strict=False)):
            return True  # no elementwise operation: which elements they went to is not known
        unexplained = unexplained & ~mask
    return not unexplained.any()


_known: weakref.WeakSet[Recorder] = weakref.WeakSet()
_last: list[Recorder] = []  # kept, so that `with ag.record():` without a name is of use: plain data, no arrays


def recorders() -> list[Recorder]:
    """Those that are still there, oldest first."""
    return sorted(_known, key=lambda recorder: recorder.started)
