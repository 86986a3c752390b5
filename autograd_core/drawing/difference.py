"""`ag.diff`: what is different between two programs: operations added and removed, and those whose shape, dtype, options or
arguments changed. The two are aligned in the order in which they ran; leaves are matched by name, or else in order.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from autograd_core.drawing.document.document import Document, Edge, document_of
from autograd_core.drawing.document.grouping import group
from autograd_core.drawing.drawing import Drawing
from autograd_core.instruments.listing import Row, Tape, tape

__all__ = ["Difference", "diff"]

LARGEST = 4_000_000  # pairs of rows to compare; beyond that only equal ends are aligned


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a difference. kind: "added", "removed", "changed"; rows of the two listings, None where there is none."""

    kind: str
    before: int | None
    after: int | None
    what: str = ""


class Difference:
    """What is different between two programs. False if nothing is; print() shows it; `draw()` is a picture of both in one.

    changes  in the order of the programs
    """

    def __init__(self, before: Tape, after: Tape, pairs: list[tuple[int, int]]) -> None:
        self.before, self.after = before, after
        self._pairs = pairs
        self.changes = _changes(before, after, pairs)

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        if not self.changes:
            return "no difference"
        lines = [_line(change, self.before, self.after) for change in self.changes]
        counts = {kind: sum(change.kind == kind for change in self.changes) for kind in ("added", "removed", "changed")}
        return "\n".join([*lines, ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)])

    def __repr__(self) -> str:
        return f"<difference: {len(self.changes)} changes>"

    def draw(self, **options: Any) -> Drawing:
        """A picture of the second program with what was removed drawn in; options as in `ag.draw`."""
        return Drawing(_merged(self), **options)

    def _repr_html_(self) -> str:
        return self.draw()._repr_html_()

    def _repr_svg_(self) -> str:
        return self.draw()._repr_svg_()


def diff(before: Any, after: Any, *, params_before: Any = None, params_after: Any = None) -> Difference:
    """What is different between two programs: added, removed and changed operations.

    before, after  outputs (a Tensor or several), or tapes made by `ag.tape`
    params_...     names for leaves, as in `ag.tape`
    returns        a Difference: it is false if there is none, `print` lists it, `draw()` shows it

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> print(ag.diff(np.exp(x).sum(), np.exp(x * 2).sum()))
    + %1 multiply  %0, 2  (2,) float64
    ~ %1 exp  %0  (2,) float64  ->  %2 exp  %1  (2,) float64: arguments
    1 added, 1 changed
    """
    first = before if isinstance(before, Tape) else tape(before, params_before)
    second = after if isinstance(after, Tape) else tape(after, params_after)
    return Difference(first, second, _aligned(first, second))


def _aligned(before: Tape, after: Tape) -> list[tuple[int, int]]:
    """Pairs of rows that are the same operation, or the same leaf."""
    operations = [[row for row in t if not row.leaf] for t in (before, after)]
    pairs = [(a.index, b.index) for a, b in _matched(operations[0], operations[1], lambda row: row.op)]
    leaves = [[row for row in t if row.leaf] for t in (before, after)]
    return pairs + [(a.index, b.index) for a, b in _matched(leaves[0], leaves[1], lambda row: row.name or "leaf")]


def _matched(first: Sequence[Row], second: Sequence[Row], token: Any) -> list[tuple[Row, Row]]:
    a, b = [token(row) for row in first], [token(row) for row in second]
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    pairs = list(zip(first[:start], second[:start], strict=True))
    inner_a, inner_b = range(start, len(a) - end), range(start, len(b) - end)
    if len(inner_a) * len(inner_b) <= LARGEST:
        matcher = difflib.SequenceMatcher(None, [a[i] for i in inner_a], [b[i] for i in inner_b], autojunk=False)
        for i, j, length in matcher.get_matching_blocks():
            pairs += [(first[start + i + k], second[start + j + k]) for k in range(length)]
    return pairs + (list(zip(first[-end:], second[-end:], strict=True)) if end else [])


def _changes(before: Tape, after: Tape, pairs: list[tuple[int, int]]) -> list[Change]:
    there, back = dict(pairs), {b: a for a, b in pairs}
    changes: list[tuple[float, Change]] = []
    for row in before:
        if row.index not in there:
            # In the listing of the second program it belongs after what stood before it in the first.
            earlier = next((there[i] for i in range(row.index - 1, -1, -1) if i in there), -1)
            changes.append((earlier + 0.5, Change("removed", row.index, None)))
    for row in after:
        other = back.get(row.index)
        if other is None:
            changes.append((row.index, Change("added", None, row.index)))
            continue
        what = _what_changed(before[other], row, there)
        if what:
            changes.append((row.index, Change("changed", other, row.index, what)))
    return [change for _, change in sorted(changes, key=lambda pair: pair[0])]


def _what_changed(before: Row, after: Row, there: dict[int, int]) -> str:
    parts = [name for name in ("shape", "dtype", "parameters") if getattr(before, name) != getattr(after, name)]
    sources = [(a.name, there.get(a.row, -1) if a.row is not None else a.constant) for a in before.arguments]
    if sources != [(a.name, a.row if a.row is not None else a.constant) for a in after.arguments]:
        parts.append("arguments")
    return ", ".join("options" if part == "parameters" else part for part in parts)


def _row_text(row: Row) -> str:
    arguments = f"  {row.arguments_text}" if row.arguments_text else ""
    return f"%{row.index} {row.name + ' = ' if row.name else ''}{row.op}{arguments}  {row.shape} {row.dtype}"


def _line(change: Change, before: Tape, after: Tape) -> str:
    old = "" if change.before is None else _row_text(before[change.before])
    new = "" if change.after is None else _row_text(after[change.after])
    if change.kind == "changed":
        return f"~ {old}  ->  {new}: {change.what}"
    return f"- {old}" if change.kind == "removed" else f"+ {new}"


def _merged(difference: Difference) -> Document:
    """The second program's document, with marks, and the removed operations in it."""
    before, after = difference.before, difference.after
    document = _document(after)
    place = dict(difference._pairs)  # row of the first program -> vertex
    removed: list[int] = []
    for change in difference.changes:
        if change.after is not None:
            mark = "+ added" if change.kind == "added" else f"≠ {_how(before, after, change)}"
            document.vertices[change.after].facts["change"] = mark
        elif change.before is not None:
            removed.append(change.before)
    old = _document(before)
    for row in sorted(removed):
        vertex = old.vertices[row]
        place[row] = len(document.vertices)
        copy = replace(vertex, index=place[row], output="", facts={"change": "− removed"})
        document.vertices.append(copy)
        if vertex.kind == "op":
            document.root.children.append(copy.index)
    gone = set(removed)
    document.edges += [
        Edge(place[e.source], place[e.target], e.argument, e.place)
        for e in old.edges
        if (e.target in gone and e.source in place) or (e.source in gone and e.target in place and e.target in gone)
    ]
    document.rules = old.rules | document.rules
    counts = {kind: sum(change.kind == kind for change in difference.changes) for kind in ("added", "removed", "changed")}
    document.notes.append("Difference: " + (", ".join(f"{n} {kind}" for kind, n in counts.items() if n) or "none") + ".")
    document.root.children = _in_order(document)
    group(document, {}, {}, {}, folded=False)
    return document


def _how(before: Tape, after: Tape, change: Change) -> str:
    assert change.before is not None
    assert change.after is not None
    a, b = before[change.before], after[change.after]
    if a.shape != b.shape:
        return f"was {a.shape}"
    return f"was {a.dtype}" if a.dtype != b.dtype else change.what


def _document(listing: Tape) -> Document:
    return document_of(listing, ["output"] * len(listing.outputs))


def _in_order(document: Document) -> list[Any]:
    """Operations so that each stands after what it was computed from."""
    after: dict[int, list[int]] = {}
    waiting: dict[int, int] = {v.index: 0 for v in document.vertices if v.kind == "op"}
    for edge in document.edges:
        if edge.source in waiting and edge.target in waiting:
            after.setdefault(edge.source, []).append(edge.target)
            waiting[edge.target] += 1
    ready = [i for i in sorted(waiting, reverse=True) if not waiting[i]]
    order: list[Any] = []
    while ready:
        i = ready.pop()
        order.append(i)
        for j in reversed(after.get(i, [])):
            waiting[j] -= 1
            if not waiting[j]:
                ready.append(j)
    return order
