"""`ag.record`: watch a program run, and draw it as far as it ran."""

from __future__ import annotations

from typing import Any

from autograd_core.drawing.document.recorder import Recorder
from autograd_core.drawing.drawing import Drawing, draw_recorded
from autograd_core.tape.mode import instrumented, observer

__all__ = ["Recording", "record"]


class Recording(Recorder):
    """What was noted while `with ag.record() as recording:` was on.

    facts    by number of the node
    calls    of modules and scopes, in order
    failure  the operation that raised, or None
    error    what else was raised, as text, or ""
    """

    def draw(self, **options: Any) -> Drawing:
        """A picture of the program as far as it ran, with the failing operation marked; options as in `ag.draw`."""
        return draw_recorded(self, **options)


class record:
    """Watch the program inside: lines, times, values, gradients and modules, for pictures and when something goes wrong.

    values   summarise values and gradients (a few passes over every array); False notes lines, times and modules only
    gives    a Recording: `recording.draw()` shows the program as far as it ran, also when it raised; `ag.draw(y)` finds its
             facts by itself

    >>> import numpy as np, autograd_core as ag
    >>> w = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> with ag.record() as recording:
    ...     y = (w * 3).sum()
    >>> [facts.value.mean for facts in recording.facts.values()]
    [4.5, 9.0]
    """

    def __init__(self, *, values: bool = True) -> None:
        self._values = values
        self._inside: list[tuple[instrumented, Recording]] = []

    def __enter__(self) -> Recording:
        recording = Recording(self._values, observer())
        switch = instrumented(recording)
        switch.__enter__()
        self._inside.append((switch, recording))
        return recording

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        switch, recording = self._inside.pop()
        switch.__exit__(kind, error, trace)
        recording.finish(error)
