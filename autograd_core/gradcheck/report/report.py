"""What a check found: findings with a truth value, as text, as JSON and as pictures."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograd_core.gradcheck.report.causes import CAUSES
from autograd_core.gradcheck.report.schema import VERSION

__all__ = ["Finding", "Report"]

WIDTH = 100


@dataclass
class Finding:
    """One thing that is wrong, or (where not serious) worth a warning.

    argument, element   which argument, and which element of it; "" and () if it is no single one's
    given, expected, bound   the claimed derivative, the numeric one, and how far that may be off; None where no number is wrong
    value        the argument's element there
    variation    where it was found: "as given", or what was changed
    also         other variations at which it is wrong
    cause        a word of `causes.CAUSES`;  evidence: what speaks for it
    wrong, compared   how many elements are wrong, of how many looked at
    """

    order: int
    argument: str
    element: tuple[int, ...]
    cause: str
    message: str
    evidence: str = ""
    given: Any = None
    expected: Any = None
    bound: float = 0.0
    value: Any = None
    variation: str = "as given"
    also: list[str] = field(default_factory=list)
    wrong: int = 0
    compared: int = 0
    serious: bool = True
    reproducer: str = ""
    errors: Any = None  # per element of the argument, for the heat map

    @property
    def title(self) -> str:
        """The cause in words."""
        return CAUSES[self.cause].title

    @property
    def mend(self) -> str:
        """What to do about it."""
        return CAUSES[self.cause].mend

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The finding as text."""
        rows: list[tuple[str, str]] = []
        if self.given is not None:
            rows.append(("given", f"{_number(self.given)}"))
            rows.append(("expected", f"{_number(self.expected)} +- {self.bound:.1g}" if np.isfinite(self.bound) else _number(self.expected)))
        if self.value is not None and self.element is not None:
            rows.append(("input", f"{_place(self.argument, self.element)} = {_number(self.value)}"))
        where = self.variation
        if self.also:
            shown = ", ".join(self.also[:3])
            where += f"; also with {shown}" + (f" and {len(self.also) - 3} more" if len(self.also) > 3 else "")
        rows.append(("where", where + (f"; {self.wrong} of {self.compared} elements" if self.compared > 1 else "")))
        evidence = f" ({self.evidence})" if self.evidence and self.evidence not in self.message else ""
        rows.append(("likely cause", self.title + evidence))
        rows.append(("mend", self.mend))
        lines = _wrapped("", self.message)
        for label, text in rows:
            lines += ["  " + line for line in _wrapped(f"{label:<13} ", text)]
        if self.reproducer:
            lines += ["  reproduce"] + ["      " + line for line in self.reproducer.splitlines()]
        return lines

    def as_data(self) -> dict[str, Any]:
        """The finding as plain data; the keys are those of the JSON schema."""
        return {
            "order": self.order, "argument": self.argument, "element": list(self.element), "cause": self.cause, "title": self.title,
            "message": self.message, "evidence": self.evidence, "mend": self.mend, "given": _plain(self.given), "expected": _plain(self.expected),
            "bound": _plain(self.bound), "value": _plain(self.value), "variation": self.variation, "also": self.also, "wrong": self.wrong,
            "compared": self.compared, "serious": self.serious, "reproducer": self.reproducer,
        }  # fmt: skip


@dataclass(repr=False)
class Report:
    """The result of a check. It is true if nothing serious was found.

    findings   what is wrong, the most telling first
    warnings   what is not wrong but worth knowing
    notes      what could not be decided, was skipped or left out, and why
    compared, variations   how many derivatives were compared, at how many variations
    """

    name: str
    order: int
    seed: int
    compared: int = 0
    variations: int = 0
    seconds: float = 0.0
    arguments: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__  # what a prompt shows is what there is to read

    def text(self, color: bool | None = None) -> str:
        """The report in lines of at most 100 columns.

        color : with terminal colours; None for what the environment says (FORCE_COLOR), which is no unless asked for
        """
        color = bool(os.environ.get("FORCE_COLOR")) and not os.environ.get("NO_COLOR") if color is None else color
        orders = "order 1" if self.order == 1 else f"orders 1 to {self.order}"
        fine = "ok" if self.compared else "ok, but there was nothing to compare"
        head = f"gradcheck of {self.name}: " + (fine if self else f"WRONG, {_count(len(self.findings), 'finding')}")
        counted = f"{orders}, {_count(self.compared, 'derivative')} compared at {_count(self.variations, 'place')}, seed {self.seed}"
        lines = [_painted(head, "32" if self else "31;1", color), *_wrapped("  ", counted)]
        for number, finding in enumerate(self.findings, 1):
            lines += ["", *_numbered(number, finding.lines(), color)]
        for warning in self.warnings:
            lines += ["", *("  " + line for line in _wrapped("warning: ", f"{warning.message} ({warning.variation})"))]
        if self.notes:
            lines.append("")
        for note in dict.fromkeys(self.notes):
            lines += ["  " + line for line in _wrapped("note: ", note)]
        return "\n".join(lines)

    def to_json(self, indent: int | None = 2) -> str:
        """The report as JSON: name, order, seed, ok, compared, variations, seconds, arguments, findings, warnings, notes.

        `autograd_core.gradcheck.report.schema.SCHEMA` is the JSON Schema: it says what each field means. Numbers that JSON cannot hold
        are strings.
        """
        data = {
            "schema": VERSION, "name": self.name, "order": self.order, "seed": self.seed, "ok": bool(self), "compared": self.compared,
            "variations": self.variations, "seconds": round(self.seconds, 4), "arguments": self.arguments,
            "findings": [f.as_data() for f in self.findings], "warnings": [f.as_data() for f in self.warnings],
            "notes": list(dict.fromkeys(self.notes)),
        }  # fmt: skip
        return json.dumps(data, indent=indent)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Write heat maps of the error per element, one per wrong argument, to `path` (.svg, or .png with matplotlib).

        raises : ValueError for another ending
        """
        from autograd_core.gradcheck.report.heatmap import write

        write(self, path)

    def svg(self) -> str:
        """The heat maps as an SVG document: one per wrong argument, hatched where it is wrong."""
        from autograd_core.gradcheck.report.heatmap import as_svg

        return as_svg(self)

    def _repr_html_(self) -> str:
        from autograd_core.gradcheck.report.heatmap import as_html

        return as_html(self)


def _numbered(number: int, lines: list[str], color: bool) -> list[str]:
    first, *rest = lines
    return [_painted(f"{number}. {first}", "1", color), *("   " + line for line in rest)]


def _painted(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def _wrapped(label: str, text: str) -> list[str]:
    return textwrap.wrap(label + text, WIDTH - 8, subsequent_indent=" " * len(label), break_long_words=True) or [label]


def _count(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")


def _place(argument: str, element: tuple[int, ...]) -> str:
    return f"{argument}[{', '.join(map(str, element))}]" if element else argument


def _number(value: Any) -> str:
    if isinstance(value, complex | np.complexfloating):
        return f"{complex(value):.8g}"
    return f"{float(value):.8g}" if isinstance(value, float | int | np.number) else str(value)


def _plain(value: Any) -> Any:
    """A number as JSON can hold it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, complex | np.complexfloating):
        return str(complex(value))
    number = float(value)
    return number if np.isfinite(number) else str(number)
