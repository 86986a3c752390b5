"""The text writer: the program as an indented tree for a terminal, groups with their operations inside, columns aligned."""

from __future__ import annotations

from collections.abc import Collection

from autograd_core.drawing.document.document import Document, Group, Vertex, saved_text
from autograd_core.drawing.document.grouping import hidden_output, visible_children
from autograd_core.drawing.health import Finding
from autograd_core.instruments.listing import counted, size_text

__all__ = ["text_of"]

LONGEST = 400  # lines; of a longer tree the middle is left out

Line = tuple[str, str, str, str]


def text_of(document: Document, opened: Collection[str], plates: Collection[str] = (), findings: Collection[Finding] = ()) -> str:
    """The tree of groups and operations, closed groups as one line each; of a repeat one member stands for all."""
    names = {f"%{v.index}": v.name for v in document.vertices if v.name and v.kind == "leaf"}
    flags = {vertex: finding.kind for finding in reversed(list(findings)) for vertex in finding.vertices}
    lines: list[Line] = []
    # What is still to be written: a group's children from a place on, with the indent of their lines.
    stack: list[tuple[list[int | Group], int, str | None]] = [(document.root.children, 0, None)]
    while stack:
        children, at, indent = stack.pop()
        if at == len(children):
            continue
        stack.append((children, at + 1, indent))
        last = at == len(children) - 1
        branch = "" if indent is None else indent + ("└─ " if last else "├─ ")
        child = children[at]
        if isinstance(child, int):
            lines.append(_vertex(document.vertices[child], branch, names, flags.get(child, "")))
            continue
        title = ": ".join(part for part in (child.name, child.detail) if part) + (f" ×{child.count}" if child.count > 1 else "")
        if child.key not in opened or child.key in plates:
            output = hidden_output(child, document, plate=child.key in opened)
            title += f"  → {output}" if output else ""
        if child.key in opened:
            lines.append((branch + title, "", "", ""))
            inner = "" if indent is None else indent + ("   " if last else "│  ")
            stack.append((visible_children(child) if child.key in plates else child.children, 0, inner))
        else:
            lines.append((branch + title, f"[{counted(sum(1 for _ in child.vertices()), 'operation')}]", "", ""))
    if len(lines) > LONGEST:
        half = LONGEST // 2
        lines[half:-half] = [(f"... {len(lines) - LONGEST} lines more ...", "", "", "")]
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(4)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    problems = [f"⚠ {finding.text}" for finding in findings]
    return "\n".join([*rows, *([_total(document)] if document.vertices else []), *document.notes, *problems])


def _total(document: Document) -> str:
    leaves = sum(v.kind == "leaf" for v in document.vertices)
    kept = f"{size_text(document.saved_bytes)} saved for backward"
    return f"{counted(document.operations, 'operation')}, {counted(leaves, 'leaf', 'leaves')}, {kept}"


def _vertex(vertex: Vertex, branch: str, names: dict[str, str], flag: str) -> Line:
    arguments = ", ".join(names.get(part, part) for part in vertex.arguments.split(", "))
    mark = "⚠ " if flag or vertex.error else ""
    ends = [saved_text(vertex), f"→ {vertex.output}" if vertex.output else "", vertex.error or flag]
    return (
        f"{branch}{mark}%{vertex.index} {vertex.name + ' = ' if vertex.name else ''}{vertex.op}",
        arguments,
        vertex.size,
        "  ".join(filter(None, ends)),
    )
