"""The text writer: the program as an indented tree for a terminal, groups with their operations inside, columns aligned."""

from __future__ import annotations

from autograd_core.drawing.document import Document, Group, Vertex, saved_text
from autograd_core.drawing.grouping import visible_children
from autograd_core.listing import counted, size_text

__all__ = ["text_of"]

LONGEST = 400  # lines; of a longer tree the middle is left out


def text_of(document: Document, opened: frozenset[str] | set[str], plates: frozenset[str] | set[str] = frozenset()) -> str:
    """The tree of groups and operations, closed groups as one line each."""
    lines: list[tuple[str, str, str, str]] = []
    _group(document, document.root, opened, plates, "", lines)
    if len(lines) > LONGEST:
        half = LONGEST // 2
        lines[half:-half] = [(f"... {len(lines) - LONGEST} lines more ...", "", "", "")]
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(4)]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    leaves = [v for v in document.vertices if v.kind == "leaf"]
    total = (
        f"{counted(document.operations, 'operation')}, {counted(len(leaves), 'leaf', 'leaves')}, {size_text(document.saved_bytes)} saved for backward"
    )
    return "\n".join([*rows, *([total] if document.vertices else []), *document.notes])


def _group(
    document: Document,
    group: Group,
    opened: frozenset[str] | set[str],
    plates: frozenset[str] | set[str],
    indent: str,
    lines: list[tuple[str, str, str, str]],
) -> None:
    children = visible_children(group) if group.key in plates else group.children
    for i, child in enumerate(children):
        last = i == len(children) - 1
        branch = "" if group.key == "" else indent + ("└─ " if last else "├─ ")
        inner = "" if group.key == "" else indent + ("   " if last else "│  ")
        if isinstance(child, int):
            lines.append(_vertex(document, document.vertices[child], branch))
            continue
        title = ": ".join(part for part in (child.name, child.detail) if part) + (f" ×{child.count}" if child.count > 1 else "")
        if child.key in opened:
            lines.append((branch + title, "", "", ""))
            _group(document, child, opened, plates, inner, lines)
        else:
            count = sum(1 for _ in child.vertices())
            lines.append((f"{branch}{title}", f"[{count} operations]", "", ""))


def _vertex(document: Document, vertex: Vertex, branch: str) -> tuple[str, str, str, str]:
    names = {f"%{v.index}": v.name for v in document.vertices if v.name and v.kind == "leaf"} if vertex.arguments else {}
    arguments = ", ".join(names.get(part, part) for part in vertex.arguments.split(", "))
    output = f"  → {vertex.output}" if vertex.output else ""
    name = f"{vertex.name} = " if vertex.name else ""
    return f"{branch}%{vertex.index} {name}{vertex.op}", arguments, vertex.size, saved_text(vertex) + output
