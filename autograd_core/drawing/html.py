"""The HTML writer: the whole document and a program that draws it, in one file that needs no network.

The page lays out what is open by itself (page/layout.js and page/scene.js do what layout.py and scene.py do), so that groups open
and close in place; the file grows with the number of operations, and what is drawn with the number of open boxes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from html import escape
from importlib import resources
from typing import Any

from autograd_core.drawing.document.document import Document, Group, Vertex, shape_text
from autograd_core.drawing.figure import Look
from autograd_core.drawing.svg import COLOURS, FONT, STYLE
from autograd_core.instruments.listing import counted

__all__ = ["html_of"]

_SCRIPTS = ("layout.js", "scene.js", "draw.js", "page.js")

_BODY = """<header role="toolbar" aria-label="graph controls">
<input id="search" type="search" placeholder="search (/)" aria-label="search operations, names and modules">
<select id="heat" aria-label="colour boxes by"></select>
<button id="backward" aria-pressed="false" title="show the backward pass and its rules">backward</button>
<button id="numbers" aria-pressed="false" title="number the backward steps">order</button>
<button id="expand" title="open all groups">open all</button><button id="collapse" title="close all groups">close all</button>
<button id="reset" title="as at first">reset</button><button id="turn" title="flow down or to the right">turn</button>
<button id="out" aria-label="zoom out">−</button><button id="in" aria-label="zoom in">+</button>
<button id="fit" title="fit into the window (0)">fit</button>
<button id="theme" title="light or dark" aria-label="light or dark">◐</button><span id="status" role="status" aria-live="polite"></span></header>
<ul id="health" aria-label="notes and problems"></ul>
<main><div id="scroller"><svg id="picture" class="ag-graph" role="group" aria-label="{label}" xmlns="http://www.w3.org/2000/svg"></svg></div>
<aside id="details" aria-live="polite" aria-label="details" hidden></aside><div id="legend" hidden></div></main>
"""


def html_of(document: Document, look: Look, opened: Iterable[str], plates: Iterable[str], direction: str) -> str:
    """The page, the same bytes for the same document and view."""
    packed = pack(document, look)
    packed["view"] = {
        "opened": sorted(opened),
        "plates": sorted(plates),
        "direction": direction,
        "backward": look.backward,
        "heat": look.heat.name if look.heat else "",
    }
    # In a script element nothing is escaped, so nothing in it may look like the end of one.
    data = json.dumps(packed, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    label = f"Computation graph of {counted(document.operations, 'operation')}"
    body = _BODY.replace("{label}", escape(label))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(label)}</title>\n"
        f'<link rel="icon" href="data:,"><style>{_style()}</style></head>\n<body>\n{body}'
        f'<script id="graph" type="application/json">{data}</script>\n<script>{_program()}</script>\n</body></html>\n'
    )


def _style() -> str:
    light, dark = (";".join(f"--{name}:{pair[at]}" for name, pair in COLOURS.items()) for at in (0, 1))
    # The page's own switch stands above what the system prefers, which the picture's own style goes by.
    themes = (
        f":root,:root[data-theme=light] .ag-graph{{{light};--face:{FONT};color-scheme:light dark}}"
        f"@media(prefers-color-scheme:dark){{:root{{{dark}}}}}"
        f":root[data-theme=light]{{{light}}}:root[data-theme=dark],:root[data-theme=dark] .ag-graph{{{dark}}}"
    )
    return STYLE + themes + _file("page.css")


def _program() -> str:
    scripts = "".join(_file(name).replace('"use strict";\n', "") for name in _SCRIPTS)
    return f'(()=>{{"use strict";\n{scripts}}})()'


def _file(name: str) -> str:
    return resources.files("autograd_core.drawing").joinpath("page", name).read_text(encoding="utf-8")


def pack(document: Document, look: Look) -> dict[str, Any]:
    """The document in columns, each text once: about 60 bytes per operation without a recording."""
    strings = _Strings()
    vertices = document.vertices
    kinds = "".join(v.kind[0] for v in vertices)
    columns: list[Any] = [kinds, *([strings(get(v)) for v in vertices] for get in _TEXTS)]
    columns[5:5] = [[v.nbytes for v in vertices], [v.saved_bytes for v in vertices]]
    columns.append([int(v.freed) for v in vertices] if any(v.freed for v in vertices) else 0)
    more = {str(v.index): extra for v in vertices if (extra := _extra(v))}
    edges = [part for e in document.edges for part in (e.source, e.target, strings(e.argument))]
    return {
        "vertices": columns,
        "more": more,
        "facts": _facts(vertices, look, strings),
        "edges": edges,
        "program": _group(document.root, strings),
        "rules": document.rules,
        "health": [{"kind": f.kind, "text": f.text, "vertices": f.vertices, "path": f.path} for f in look.findings],
        "notes": document.notes,
        "saved": document.saved_bytes,
        "strings": strings.all,
    }


_TEXTS: list[Callable[[Vertex], str]] = [
    lambda v: v.label,
    lambda v: v.op,
    lambda v: shape_text(v.shape),
    lambda v: v.dtype if isinstance(v.dtype, str) else " ".join(v.dtype),
    lambda v: v.name,
]


class _Strings:
    """Each text once; the empty one is number 0."""

    def __init__(self) -> None:
        self.all = [""]
        self.number = {"": 0}

    def __call__(self, text: str) -> int:
        number = self.number.get(text)
        if number is None:
            number = self.number[text] = len(self.all)
            self.all.append(text)
        return number


def _extra(vertex: Vertex) -> dict[str, Any]:
    extra: dict[str, Any] = {name: value for name, value in (("output", vertex.output), ("error", vertex.error)) if value}
    extra.update((name, vertex.facts[name]) for name in ("change", "unreached") if name in vertex.facts)
    return extra


def _facts(vertices: list[Vertex], look: Look, strings: _Strings) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name in ("line", "code", "module"):
        if any(name in v.facts for v in vertices):
            facts[name] = [strings(v.facts.get(name, "")) for v in vertices]
    for name, fact in (("seconds", "forward_seconds"), ("backwardSeconds", "backward_seconds")):
        if any(fact in v.facts for v in vertices):
            facts[name] = [_short(v.facts[fact]) if fact in v.facts else None for v in vertices]
    facts["order"] = [look.order.get(v.index) for v in vertices]
    for name in ("value", "gradient"):
        if any(name in v.facts for v in vertices):
            facts[name] = [_summary(v.facts.get(name)) for v in vertices]
    return facts


def _summary(summary: dict[str, Any] | None) -> list[Any] | None:
    if summary is None:
        return None
    return [*(_short(summary[name]) for name in ("low", "high", "mean", "rms")), summary["zeros"], summary["nans"], summary["infs"]]


def _short(number: float) -> float | int | None:
    """Three digits, as few characters as JSON takes; None for what it cannot say."""
    if not math.isfinite(number):
        return None
    rounded = float(f"{number:.3g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def _group(root: Group, strings: _Strings) -> list[Any]:
    made: dict[int, list[Any]] = {}
    for group in reversed(list(root.groups())):  # the innermost first
        children = [made.pop(id(child)) if isinstance(child, Group) else child for child in group.children]
        texts = (strings(group.name), strings(group.detail), strings(group.path))
        made[id(group)] = [group.key, group.kind, *texts, group.count, sorted(group.data), children]
    return made[id(root)]
