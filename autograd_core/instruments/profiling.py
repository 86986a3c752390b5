"""Where time and memory go: by operation, by line of the user's program and by module, forward and backward apart.

Times are of the operations' own computations: a forward event is NumPy's function, a backward event one step of the backward
pass, the rules of one operation. What lies between them (the engine, the profiler, the user's own code) is the rest of the
time in the block, and said so. A step is booked on the line that computed the operation in the forward pass.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from autograd_core.instruments.observer import Observer
from autograd_core.instruments.tables import html_table
from autograd_core.tape.mode import Instrument, instrumented, observer
from autograd_core.tape.node import Node
from autograd_core.tape.source_lines import place_text, user_place
from autograd_core.tape.sweep import Sweep
from autograd_core.tensor.handles import raw

__all__ = ["Event", "Profile", "Total", "profile"]


class Event(NamedTuple):
    """One computation.

    name     of the operation, or of the module's call or scope
    phase    "forward", "backward" or "module"
    start    in seconds since the block began;  seconds  it took
    bytes    of new arrays that came of it
    place    (file, line) in the user's code of the forward computation, or None
    module   path of the module's call that it belongs to, or ""
    shape    of the operation's result
    thread   that it ran in
    nested   within a backward step that has an event of its own: not added to sums a second time
    """

    name: str
    phase: str
    start: float
    seconds: float
    bytes: int
    place: tuple[str, int] | None
    module: str
    shape: Any
    thread: int
    nested: bool


@dataclass(slots=True)
class Total:
    """Sums over the events of one operation, line or module."""

    name: str
    calls: int = 0
    forward: float = 0.0
    backward: float = 0.0
    forward_bytes: int = 0
    backward_bytes: int = 0

    @property
    def seconds(self) -> float:
        return self.forward + self.backward

    def add(self, event: Event) -> None:
        if event.phase == "forward":
            self.calls += 1
            self.forward += event.seconds
            self.forward_bytes += event.bytes
        else:
            self.backward += event.seconds
            self.backward_bytes += event.bytes


@dataclass(slots=True)
class _Step:
    """A backward step under way."""

    node: Node
    depth: int
    start: float
    last: float
    bytes: int = 0


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.computing: tuple[Any, float] | None = None
        self.steps: list[_Step] = []


_NOTHING = "nothing was recorded inside: operations are measured as they are recorded, outside of ag.no_grad() and on tensors with requires_grad=True"
_KEYS: dict[str, Callable[[Event], str]] = {
    "op": lambda event: event.name,
    "line": lambda event: place_text(event.place) if event.place else "(not recorded inside)",
    "module": lambda event: event.module or "(no module)",
}


class Profile(Observer):
    """What was measured in `with ag.profile() as p:`; `print(p)` shows the tables.

    events   every computation, in the order in which they ended
    seconds  that the block took
    """

    def __init__(self, outer: Instrument | None = None) -> None:
        super().__init__(outer)
        self.events: list[Event] = []
        self.seconds = 0.0
        self._began = time.perf_counter()
        self._of_thread = _OfThread()
        self._origins: dict[int, tuple[tuple[str, int] | None, str]] = {}

    # --- what the engine tells --------------------------------------------------------------------------------------------

    def computing(self, op: Any, parents: list[Any]) -> None:
        super().computing(op, parents)
        self._of_thread.computing = (op, time.perf_counter())

    def recorded(self, node: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], value: Any) -> None:
        now = time.perf_counter()
        begun, self._of_thread.computing = self._of_thread.computing, None
        start = begun[1] if begun is not None and begun[0] is node.op else now
        depth = _sweep_depth() if self._of_thread.steps else 0
        self._close_steps(depth + 1)
        origin = self._origins[node.number] = (user_place(), self.scope_path())
        self._note(node, "backward" if depth else "forward", start, now, _new_bytes(value), origin, depth > 0)
        super().recorded(node, arguments, keywords, value)

    def sweeping(self, node: Any, gradient: Any) -> None:
        super().sweeping(node, gradient)
        depth = _sweep_depth()
        self._close_steps(depth)
        now = time.perf_counter()
        self._of_thread.steps.append(_Step(node, depth, now, now))

    def swept(self, node: Any, parent: Any, gradient: Any, contribution: Any) -> None:
        now = time.perf_counter()
        self._close_steps(_sweep_depth() + 1)
        steps = self._of_thread.steps
        if steps and steps[-1].node is node:
            steps[-1].last = now
            if contribution is not gradient:
                steps[-1].bytes += _new_bytes(raw(contribution))
        super().swept(node, parent, gradient, contribution)

    @contextlib.contextmanager
    def scope(self, of: Any, arguments: tuple[Any, ...] = ()) -> Iterator[None]:
        start = time.perf_counter()
        with super().scope(of, arguments):
            path = self.scope_path()
            try:
                yield
            finally:
                elapsed = time.perf_counter() - start
                event = Event(path, "module", start - self._began, elapsed, 0, user_place(), path, None, threading.get_ident(), True)
                self.events.append(event)

    def _close_steps(self, depth: int) -> None:
        """Book the steps of sweeps at `depth` and within it: they are over."""
        steps = self._of_thread.steps
        while steps and steps[-1].depth >= depth:
            step = steps.pop()
            origin = self._origins.get(step.node.number, (None, ""))
            self._note(step.node, "backward", step.start, step.last, step.bytes, origin, step.depth > 1)

    def _note(self, node: Node, phase: str, start: float, end: float, size: int, origin: tuple[Any, str], nested: bool) -> None:
        place, module = origin
        name = str(node.op.name)
        self.events.append(Event(name, phase, start - self._began, end - start, size, place, module, node.shape, threading.get_ident(), nested))

    def finish(self) -> None:
        """The block is over."""
        self._close_steps(0)
        self.seconds = time.perf_counter() - self._began

    # --- what the user asks -----------------------------------------------------------------------------------------------

    def totals(self, by: str = "op") -> list[Total]:
        """Sums by "op", "line" or "module", those that took longest first."""
        if by not in _KEYS:
            raise ValueError(f"profile: by={by!r}; give one of {', '.join(map(repr, _KEYS))}")
        sums: dict[str, Total] = {}
        for event in self.events:
            if not event.nested:
                name = _KEYS[by](event)
                sums.setdefault(name, Total(name)).add(event)
        return sorted(sums.values(), key=lambda total: -total.seconds)

    def table(self, by: str = "op", rows: int = 20) -> str:
        """`totals(by)` as text: times in milliseconds, memory in megabytes of new arrays."""
        totals = self.totals(by)
        if not totals:
            return f"({_NOTHING})"
        width = max([len(by), *(len(total.name) for total in totals[:rows])])
        lines = [f"{by:<{width}}  {'calls':>6}  {'forward ms':>10}  {'backward ms':>11}  {'%':>5}  {'forward MB':>10}  {'backward MB':>11}"]
        whole = sum(total.seconds for total in totals) or 1.0
        lines.extend(
            f"{total.name:<{width}}  {total.calls:>6}  {1e3 * total.forward:>10.3f}  {1e3 * total.backward:>11.3f}  "
            f"{100 * total.seconds / whole:>5.1f}  {total.forward_bytes / 1e6:>10.2f}  {total.backward_bytes / 1e6:>11.2f}"
            for total in totals[:rows]
        )
        if len(totals) > rows:
            lines.append(f"... {len(totals) - rows} more")
        return "\n".join(lines)

    @property
    def _measured(self) -> bool:
        return any(not event.nested for event in self.events)

    def __str__(self) -> str:
        if not self._measured:
            return f"{1e3 * self.seconds:.3f} ms; {_NOTHING}"
        forward = sum(e.seconds for e in self.events if not e.nested and e.phase == "forward")
        backward = sum(e.seconds for e in self.events if not e.nested and e.phase == "backward")
        rest = max(0.0, self.seconds - forward - backward)
        head = f"{1e3 * self.seconds:.3f} ms: {1e3 * forward:.3f} forward, {1e3 * backward:.3f} backward, {1e3 * rest:.3f} between operations"
        parts = [head, self.table("op"), self.table("line")]
        if any(event.module for event in self.events):
            parts.append(self.table("module"))
        return "\n\n".join(parts)

    def _repr_html_(self) -> str:
        if not self._measured:
            return f"<p>{escape(str(self))}</p>"
        heads = ("operation", "calls", "forward ms", "backward ms", "forward MB", "backward MB")
        rows = [
            (
                total.name,
                f"{total.calls}",
                f"{1e3 * total.forward:.3f}",
                f"{1e3 * total.backward:.3f}",
                f"{total.forward_bytes / 1e6:.2f}",
                f"{total.backward_bytes / 1e6:.2f}",
            )
            for total in self.totals()
        ]
        return html_table(heads, rows, [str(self).partition("\n")[0]])

    def __repr__(self) -> str:
        if not self._measured:
            return f"<profile of nothing: {_NOTHING}>"
        return f"<profile of {sum(not e.nested for e in self.events)} computations, {1e3 * self.seconds:.3f} ms>"

    def chrome_trace(self) -> dict[str, Any]:
        """The events in the Trace Event Format, which Perfetto (ui.perfetto.dev) and chrome://tracing open."""
        threads = {thread: i for i, thread in enumerate(dict.fromkeys(event.thread for event in self.events))}
        events: list[dict[str, Any]] = [
            {"name": "process_name", "ph": "M", "pid": os.getpid(), "tid": 0, "args": {"name": "autograd_core"}},
        ]
        for event in sorted(self.events, key=lambda event: (event.start, -event.seconds)):
            detail = {"line": place_text(event.place) if event.place else "", "module": event.module, "bytes": event.bytes}
            if event.shape is not None:
                detail["shape"] = str(event.shape)
            at = {"ts": 1e6 * event.start, "dur": 1e6 * event.seconds, "pid": os.getpid(), "tid": threads[event.thread]}
            events.append({"name": event.name, "cat": event.phase, "ph": "X", **at, "args": detail})
        return {"traceEvents": events, "displayTimeUnit": "ms"}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `chrome_trace()` to a .json file."""
        Path(path).write_text(json.dumps(self.chrome_trace()))


_RUN = Sweep.run.__code__


def _sweep_depth() -> int:
    """How many backward passes this code runs in: a rule may call a function that makes a backward pass."""
    frame: FrameType | None = sys._getframe(2)
    depth = 0
    while frame is not None:
        depth += frame.f_code is _RUN
        frame = frame.f_back
    return depth


def _new_bytes(value: Any) -> int:
    """Bytes of the arrays in `value` that are no views of others."""
    if isinstance(value, tuple | list):
        return sum(_new_bytes(part) for part in value)
    return int(value.nbytes) if isinstance(value, np.ndarray | np.generic) and getattr(value, "base", None) is None else 0


class profile:
    """`with ag.profile() as p:` measures each operation inside, forward and backward; then `print(p)`.

    p.table(by="op" | "line" | "module")  one table;  p.totals(by)  its numbers;  p.events  every single computation
    p.save("trace.json")                   for ui.perfetto.dev

    The backward pass takes the engine's careful loop inside, which is slower between operations than the quick one.

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor(np.ones((50, 50)), requires_grad=True)
    >>> with ag.profile() as p:
    ...     np.tanh(x @ x).sum().backward()
    >>> sorted((total.name, total.calls) for total in p.totals())
    [('matmul', 1), ('sum', 1), ('tanh', 1)]
    """

    def __init__(self) -> None:
        self._inside: list[tuple[instrumented, Profile]] = []

    def __enter__(self) -> Profile:
        measured = Profile(observer())
        switch = instrumented(measured)
        switch.__enter__()
        self._inside.append((switch, measured))
        return measured

    def __exit__(self, *exception: object) -> None:
        switch, measured = self._inside.pop()
        switch.__exit__(*exception)
        measured.finish()
