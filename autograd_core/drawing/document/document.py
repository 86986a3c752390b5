"""The document: what a picture shows, as plain data. Every writer (text, SVG, HTML, DOT, JSON) starts from it.

It is made from the listing (listing.py) alone, plus what a recording gathered while the program ran, if there was one. A
vertex is a row of the listing or a constant array that a row was computed from; a group is a part of the program that can be
shown as one box: a module's call, a repeated step, a stretch of a long program. Groups form a tree, and each is a contiguous
stretch of the program, so drawing groups as boxes never makes a circle of arrows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from autograd_core.instruments.listing import NOT_KEPT, Argument, Row, Tape, size_text

__all__ = ["Document", "Edge", "Group", "Vertex", "constant_vertex", "document_of", "shape_text"]

# What a recording knows of a constant argument: (key, shape, dtype) of an array, the text of a number, or None.
Constants = Callable[[Row, Argument], tuple[int, Any, str] | str | None]

# Swapping the arguments of these changes nothing, so a picture need not say which is which.
COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "fmax", "fmin", "hypot", "logaddexp", "logaddexp2"})


@dataclass(slots=True)
class Vertex:
    """One box: an operation, a leaf, or a constant array.

    kind     "op", "leaf" or "constant"
    label    what it is called in the picture: the operation with its options, the parameter's name
    facts    what a recording or a tensor added: {"line": ..., "value": ..., "gradient": ..., "forward_seconds": ...} (gather.py)
    output   its name as an output of the program, or ""
    error    what the operation raised, or ""
    """

    index: int
    kind: str
    op: str
    label: str
    shape: Any
    dtype: Any
    nbytes: int = 0
    saved_bytes: int = 0
    freed: bool = False
    name: str = ""
    arguments: str = ""
    number: int = -1
    output: str = ""
    error: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """`(3, 4) float64`."""
        return f"{shape_text(self.shape)} {self.dtype if isinstance(self.dtype, str) else ' '.join(self.dtype)}"


@dataclass(frozen=True, slots=True)
class Edge:
    """A value's way from the vertex that made it to one that uses it, as the argument `argument` (number `place`)."""

    source: int
    target: int
    argument: str
    place: int


@dataclass(slots=True, eq=False)
class Group:
    """A contiguous part of the program that can be shown as one box.

    key       unique and stable: "" for the whole program, "g3" for others
    kind      "program", "module", "repeat" (identical members one after another), "part" (a stretch of a long program), "backward"
    name      short: a module's attribute name, or what a part is called
    detail    the module's class, or ""
    children  vertices (by index) and groups, in the order of the program
    path      full dotted name of a module, for patterns
    count     how many identical members a repeat has, else 1
    data      vertices of leaves and constants that it was called with (its parameters are not among them)
    """

    key: str
    kind: str
    name: str
    detail: str = ""
    children: list[int | Group] = field(default_factory=list)
    path: str = ""
    data: frozenset[int] = frozenset()
    count: int = 1

    def members(self) -> list[int | Group]:
        """The members of a repeat; they may stand in parts, if there are many."""
        found: list[int | Group] = []
        stack: list[int | Group] = list(reversed(self.children))
        while stack:
            item = stack.pop()
            if isinstance(item, Group) and item.kind == "part":
                stack.extend(reversed(item.children))
            else:
                found.append(item)
        return found

    def groups(self) -> Iterator[Group]:
        """This group and all below it, in the order of the program."""
        stack: list[Group] = [self]
        while stack:
            group = stack.pop()
            yield group
            stack.extend(child for child in reversed(group.children) if isinstance(child, Group))

    def vertices(self) -> Iterator[int]:
        """Indices of all vertices in it, in order."""
        stack: list[int | Group] = [self]
        while stack:
            item = stack.pop()
            if isinstance(item, Group):
                stack.extend(reversed(item.children))
            else:
                yield item


@dataclass(slots=True)
class Document:
    """Everything that a picture can show.

    vertices  rows of the listing, at their own indices, then constants
    edges     in the order of their targets
    root      the tree of groups; leaves and constants are in no group, a picture puts them beside what uses them
    rules     operation's name -> argument's name -> text of its derivative rule
    notes     sentences for the reader: what was freed, that nothing was recorded, ...
    """

    vertices: list[Vertex]
    edges: list[Edge]
    root: Group
    notes: list[str] = field(default_factory=list)
    saved_bytes: int = 0
    rules: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def operations(self) -> int:
        return sum(v.kind == "op" for v in self.vertices)


def document_of(tape: Tape, output_names: list[str], constants: Constants | None = None) -> Document:
    """The document of a listing, without any groups yet.

    constants  what a recording knows of constant arrays: (row, argument) -> (key, shape, dtype), the key telling which are the same
    """
    rows = list(tape) if constants is None else [_with_numbers(row, constants) for row in tape]
    vertices = [_vertex(row) for row in rows]
    edges: list[Edge] = []
    known: dict[int, int] = {}  # key of a constant -> its vertex
    for row in rows:
        for place, argument in enumerate(row.arguments):
            name = argument.name if argument.element is None else f"{argument.name}[{argument.element}]"
            if argument.row is not None:
                edges.append(Edge(argument.row, row.index, name, place))
                continue
            constant = None if constants is None else constants(row, argument)
            if constant is None and _is_array(argument.constant):
                vertices.append(constant_vertex(len(vertices), argument.constant))
                edges.append(Edge(len(vertices) - 1, row.index, name, place))
            elif isinstance(constant, tuple):
                key, shape, dtype = constant
                if key not in known:
                    known[key] = len(vertices)
                    vertices.append(Vertex(len(vertices), "constant", "constant", "constant", shape, dtype, number=-key))
                edges.append(Edge(known[key], row.index, name, place))
    for at, name in zip(tape.outputs, output_names, strict=True):
        if at is not None:
            vertices[at].output = f"{vertices[at].output}, {name}".removeprefix(", ")
    root = Group("", "program", "", children=[row.index for row in tape if not row.leaf])
    return Document(vertices, edges, root, _notes(tape), tape.saved_bytes)


def _with_numbers(row: Row, constants: Constants) -> Row:
    """The row with the numbers that the tape did not keep, as far as a recording knows them."""
    if not any(a.constant == NOT_KEPT for a in row.arguments):
        return row
    texts = [constants(row, a) if a.constant == NOT_KEPT else None for a in row.arguments]
    return replace(
        row, arguments=tuple(replace(a, constant=text) if isinstance(text, str) else a for a, text in zip(row.arguments, texts, strict=True))
    )


def _vertex(row: Row) -> Vertex:
    name = row.name or ""
    if row.leaf:
        return Vertex(row.index, "leaf", "leaf", name or f"leaf %{row.index}", row.shape, row.dtype, row.nbytes, 0, row.freed, name, "", row.number)
    scalars = [a.constant for a in row.arguments if a.row is None and a.constant != NOT_KEPT and not _is_array(a.constant)]
    label = " ".join([row.op, *([", ".join(scalars)] if scalars else []), *(f"{k}={v}" for k, v in row.parameters)])
    return Vertex(row.index, "op", row.op, label, row.shape, row.dtype, row.nbytes, row.saved_bytes, row.freed, name, row.arguments_text, row.number)


_ARRAY = re.compile(r"<(\w+) (\(.*\))>$")


def _is_array(constant: str) -> bool:
    return constant.startswith("<") and _ARRAY.match(constant) is not None


def constant_vertex(index: int, text: str) -> Vertex:
    """A constant array that the listing writes as `text`: "<float64 (3, 4)>"."""
    match = _ARRAY.match(text)
    assert match is not None
    shape = tuple(int(n) for n in re.findall(r"\d+", match[2]))
    return Vertex(index, "constant", "constant", "constant", shape, match[1])


def _notes(tape: Tape) -> list[str]:
    if not len(tape):
        return ["Nothing was recorded: the output is a constant. Make an input with requires_grad=True and compute outside of ag.no_grad()."]
    notes = []
    if any(at is None for at in tape.outputs):
        notes.append("An output is a constant: nothing was recorded for it.")
    freed = sum(row.freed for row in tape)
    if freed:
        notes.append(f"A backward pass has freed what {freed} operation{'s' * (freed != 1)} had saved.")
    return notes


def shape_text(shape: Any) -> str:
    """A shape, or several results' shapes, as text."""
    return str(shape) if not shape or not isinstance(shape[0], tuple) else " ".join(map(str, shape))


def saved_text(vertex: Vertex) -> str:
    """`1.5 KiB, keeps 3.0 KiB`: what a result takes, and what is kept for its backward step."""
    kept = "freed" if vertex.freed and vertex.kind == "op" else f"keeps {size_text(vertex.saved_bytes)}" if vertex.saved_bytes else ""
    return ", ".join(part for part in (size_text(vertex.nbytes), kept) if part)
