"""Interrupts at every line: a function is run again and again, and stopped by an exception at the first line that it executes, then at the
second one, and so on, until it runs to its end.

    for place in every_interrupt(make, run):
        assert what `make` returned is as before, or as after a whole run

Some of the lines, always the same ones, are enough for every day. EVERY_LINE=1 pytest tests/test_interrupts_*.py tries them all.

A trace function raises where Python would handle Ctrl-C. It sees each line of Python code in the folders that are named, which is finer
than what a signal could hit: built-in functions, NumPy's among them, run as a whole in both cases.
"""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["OURS", "ROOT", "Interrupt", "Place", "every_interrupt", "interrupted", "lines_of"]

ROOT = str(Path(__file__).parent.parent)
OURS = tuple(f"{ROOT}/{package}/" for package in ("autograd_core", "nn", "optim"))


EVERY_LINE = os.environ.get("EVERY_LINE", "") not in ("", "0")
SOME_LINES = 25
tried = {"lines": 0}


class Interrupt(BaseException):
    """Stands for KeyboardInterrupt: no `except Exception` may swallow it."""


@dataclass
class Place:
    """Where a run was interrupted, and what it was run on."""

    subject: Any
    line: int  # the number of the line among those that are executed
    where: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.where}"


class _Tracer:
    """Counts the lines that are executed in files of `folders`, and raises at one of them."""

    def __init__(self, folders: tuple[str, ...], stop_at: int | None) -> None:
        self.folders = folders
        self.stop_at = stop_at
        self.lines = 0
        self.where = ""

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self.at_line if frame.f_code.co_filename.startswith(self.folders) else None

    def at_line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self.lines += 1
            if self.lines == self.stop_at:
                self.where = f"{frame.f_code.co_filename.removeprefix(ROOT)}:{frame.f_lineno}"
                raise Interrupt
        return self.at_line

    def run(self, function: Callable[[], Any]) -> bool:
        """Whether the function ran to its end."""
        before = sys.gettrace()
        collecting = gc.isenabled()
        gc.disable()  # a collection comes at another line in each run, and its callbacks cannot pass an exception on
        sys.settrace(self)
        try:
            function()
        except Interrupt:
            return False
        finally:
            sys.settrace(before)
            if collecting:
                gc.enable()
        return True


def lines_of(make: Callable[[], Any], run: Callable[[Any], Any], folders: tuple[str, ...] = OURS) -> int:
    """How many lines an undisturbed run executes."""
    subject, tracer = make(), _Tracer(folders, None)
    tracer.run(lambda: run(subject))
    return tracer.lines


def interrupted(run: Callable[[], Any], line: int, folders: tuple[str, ...] = OURS) -> str | None:
    """Where `run` was when it came to its line number `line` and was interrupted there; None if it came to its end before."""
    tracer = _Tracer(folders, line)
    if not tracer.run(run):
        return tracer.where
    if tracer.where:
        raise AssertionError(f"{tracer.where}: an interrupt was swallowed")
    return None


def every_interrupt(make: Callable[[], Any], run: Callable[[Any], Any], folders: tuple[str, ...] = OURS, some: int = SOME_LINES) -> Iterator[Place]:
    """Interrupt `run(make())` at each line in turn (or some, see above), and give what is left of each run.

    make     a new subject, always the same
    run      what is done with it
    folders  beginnings of the paths of the files that count
    some     how many lines are enough for every day
    """
    lines: Sequence[int] = range(1, lines_of(make, run, folders) + 1)
    if not EVERY_LINE and len(lines) > some:
        lines = sorted({1, len(lines), *random.Random(0).sample(lines, some - 2)})
    for line in lines:
        tried["lines"] += 1
        subject, tracer = make(), _Tracer(folders, line)
        if not tracer.run(lambda: run(subject)):  # noqa: B023  called at once
            yield Place(subject, line, tracer.where)
        elif tracer.where:
            raise AssertionError(f"{tracer.where}: an interrupt was swallowed")
