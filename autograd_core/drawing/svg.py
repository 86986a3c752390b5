"""The SVG writer: one self-contained picture, light or dark as the reader's screen is, with a tooltip on everything."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from html import escape
from typing import Any

from autograd_core.drawing.document.document import Vertex
from autograd_core.drawing.figure import LINE, Figure, Look, Placed, Run, description, flag_of, group_title, shown_by
from autograd_core.drawing.heat import Heat, colour_of
from autograd_core.drawing.measure import printable, text_width
from autograd_core.drawing.scene import Item
from autograd_core.instruments.listing import counted

__all__ = ["STYLE", "path_data", "svg_of"]

MARGIN = 12.0
LEGEND = 46.0
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', 'DejaVu Sans', sans-serif"

# name: (light, dark). Text on its ground has a contrast of at least 4.5 to 1 in both.
COLOURS = {
    "ground": ("#ffffff", "#16181d"),
    "text": ("#1b1f27", "#e8eaf0"),
    "muted": ("#5b6372", "#a3abba"),
    "wire": ("#7a8494", "#828c9e"),
    "op": ("#f6f7f9", "#23262e"),
    "op-line": ("#aab2bf", "#565e6c"),
    "leaf": ("#dcebfb", "#173a5e"),
    "leaf-line": ("#2f78bf", "#5ea6ea"),
    "output": ("#fdebd0", "#573a10"),
    "output-line": ("#c47a12", "#e8a849"),
    "group": ("#eceef3", "#2c3140"),
    "frame": ("#f4f5f8", "#1d2027"),
    "frame-line": ("#b9c0cc", "#454c59"),
    "added": ("#dff3e3", "#173d24"),
    "added-line": ("#1f7a3a", "#5fcf85"),
    "bad": ("#c22032", "#ff7a85"),
    "bad-ground": ("#fde8ea", "#4a1b22"),
}

_LIGHT, _DARK = (";".join(f"--{name}:{pair[at]}" for name, pair in COLOURS.items()) for at in (0, 1))
STYLE = (
    f".ag-graph{{{_LIGHT};background:var(--ground)}}@media(prefers-color-scheme:dark){{.ag-graph{{{_DARK}}}}}"
    f".ag-graph text{{fill:var(--text);font-family:{FONT}}}"
    ".ag-graph .m{fill:var(--muted)}"
    ".ag-graph .w{fill:none;stroke:var(--wire);stroke-width:1.4}.ag-graph .w.l{stroke-width:1}"
    ".ag-graph .a{fill:var(--wire);stroke:none}"
    ".ag-graph .n text,.ag-graph .c text{text-anchor:middle}"
    ".ag-graph .op rect{fill:var(--op);stroke:var(--op-line)}"
    ".ag-graph .leaf rect{fill:var(--leaf);stroke:var(--leaf-line)}.ag-graph .ghost rect{stroke-dasharray:4 2}"
    ".ag-graph .constant rect,.ag-graph .previous rect{fill:var(--ground);stroke:var(--op-line);stroke-dasharray:3 3}"
    ".ag-graph .out rect{fill:var(--output);stroke:var(--output-line);stroke-width:1.6}"
    ".ag-graph .group rect{fill:var(--group);stroke:var(--muted)}"
    ".ag-graph .frame rect{fill:var(--frame);stroke:var(--frame-line)}"
    ".ag-graph .bad rect{stroke:var(--bad);stroke-width:2.2;fill:var(--bad-ground)}.ag-graph .f{fill:var(--bad)}"
    ".ag-graph .w.b{stroke:var(--bad);stroke-width:2.4}.ag-graph .a.b{fill:var(--bad)}"
    ".ag-graph .change-added rect{fill:var(--added);stroke:var(--added-line);stroke-width:2}"
    ".ag-graph .change-removed rect{fill:var(--bad-ground);stroke:var(--bad);stroke-dasharray:5 3}"
    ".ag-graph .change-changed rect{fill:var(--output);stroke:var(--output-line)}"
    ".ag-graph .heat text,.ag-graph .heat tspan{fill:inherit}"
    ".ag-graph .h{paint-order:stroke;stroke:var(--frame);stroke-width:4px;stroke-linejoin:round}"
    ".ag-graph .arg{font-size:9px;fill:var(--muted);paint-order:stroke;stroke:var(--frame);stroke-width:3px}"
)


def svg_of(figure: Figure) -> str:
    """The picture as an SVG document, the same bytes for the same figure."""
    document = figure.scene.document
    sentences = [("m", printable(note)) for note in document.notes] + [("f", f"⚠ {finding.text}") for finding in figure.look.findings]
    notes = [(kind, line) for kind, text in sentences for line in textwrap.wrap(text, max(int(figure.width / 5.6), 60))]
    legend = figure.look.heat is not None and figure.look.heat.high > 0
    top = MARGIN + (LEGEND if legend else 0.0)
    width = max(figure.width + 2 * MARGIN, *(text_width(note, 11) + 2 * MARGIN for _, note in notes), 120.0, 330.0 if legend else 0.0)
    height = top + figure.height + MARGIN + 16 * len(notes)
    label = f"{'Backward pass' if figure.look.backward else 'Computation graph'} of {counted(document.operations, 'operation')}"
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ag-graph" role="img" aria-label="{label}" '
        f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}">',
        f"<title>{label}</title><style>{STYLE}</style>",
        '<rect width="100%" height="100%" fill="var(--ground)"/>',
        *(_legend(figure.look.heat) if legend and figure.look.heat is not None else ()),
        f'<g transform="translate({_n((width - figure.width) / 2)} {_n(top)})">',
    ]
    frames = [entry for entry in figure.placed if entry.item.children is not None and entry.item.parent is not None]
    out += [_frame(entry) for entry in frames]
    out += _wires(figure)
    out += [_frame_title(entry) for entry in frames]
    out += [_node(entry, figure.look) for entry in figure.placed if entry.item.children is None]
    out.append("</g>")
    for i, (kind, note) in enumerate(notes):
        y = height - MARGIN - 16 * (len(notes) - 1 - i)
        out.append(f'<text class="{kind}" font-size="11" x="{_n(MARGIN)}" y="{_n(y)}">{escape(note)}</text>')
    out.append("</svg>\n")
    return "\n".join(out)


def _legend(heat: Heat) -> Iterable[str]:
    stops = "".join(f'<stop offset="{i * 25}%" stop-color="{colour_of(i / 4)[0]}"/>' for i in range(5))
    yield f'<defs><linearGradient id="ag-heat">{stops}</linearGradient></defs>'
    yield f'<text class="m" font-size="11" x="{_n(MARGIN)}" y="20">{escape(heat.title)}</text>'
    yield f'<rect x="{_n(MARGIN)}" y="26" width="300" height="10" fill="url(#ag-heat)"/>'
    for place, text in heat.marks():
        anchor = ("start", "middle", "end")[round(place * 2)]
        yield f'<text class="m" font-size="10" x="{_n(MARGIN + 300 * place)}" y="47" text-anchor="{anchor}">{escape(text)}</text>'


def _frame(entry: Placed) -> str:
    box = entry.box
    return f'<g class="frame"><title>{escape(group_title(entry.item))}</title>{_rect(box.x, box.y, box.w, box.h, 8)}</g>'


def _frame_title(entry: Placed) -> str:
    run = entry.lines[0][0]
    at = f'x="{_n(entry.box.title_x)}" y="{_n(entry.box.title_y)}"'
    return f'<text class="m h" {at} font-size="{_n(run.size)}" font-weight="600">{escape(printable(run.text))}</text>'


def _node(entry: Placed, look: Look) -> str:
    item, box = entry.item, entry.box
    vertex = item.vertex
    kind = item.kind
    if vertex is None:
        title = f"{group_title(item)}: {entry.lines[1][0].text}"
        kind += " out" * bool(item.output)
    else:
        title = description(vertex)
        if "change" in vertex.facts:
            kind += " change-" + {"+": "added", "−": "removed"}.get(vertex.facts["change"][0], "changed")
        kind += " out" * (bool(vertex.output) and kind == "op") + " ghost" * item.ghost
    style = fill = ""
    if flag_of(item, look):
        kind += " bad"
    elif look.heat is not None:
        number = look.heat.of(shown_by(item))
        if number is not None:
            fill, ink = colour_of(look.heat.place(number))
            kind += " heat"
            style = f' style="fill:{ink}"'
            title += f", {look.heat.title}: {look.heat.text(number)}"
    radius = box.h / 2 if item.kind in ("leaf", "constant", "previous") else 5
    paint = f' style="fill:{fill}"' if style else ""
    extra = _rect(box.x + 3, box.y + 3, box.w, box.h, radius, paint) if item.group is not None and item.group.count > 1 else ""
    shape = _rect(box.x, box.y, box.w, box.h, radius, paint)
    return f'<g class="n {kind}"{style}><title>{escape(printable(title))}</title>{extra}{shape}{"".join(_texts(entry))}</g>'


def _texts(entry: Placed) -> Iterable[str]:
    box = entry.box
    y = box.y + (box.h - sum(max(run.size for run in line) * LINE for line in entry.lines)) / 2
    for line in entry.lines:
        size = max(run.size for run in line)
        y += size * LINE
        spans = "".join(_span(run, run.size != size or run.bold != line[0].bold) for run in line)
        style = _style(line[0])
        yield f'<text x="{_n(box.x + box.w / 2)}" y="{_n(y - size * 0.34)}" font-size="{_n(size)}"{style}>{spans}</text>'


def _style(run: Run) -> str:
    if run.text.startswith("⚠"):
        return ' font-weight="600" class="f"'
    return ' font-weight="600"' if run.bold else ' class="m"'


def _span(run: Run, own: bool) -> str:
    style = ' font-weight="600" style="fill:var(--text)"' if run.bold else ' class="m" font-weight="400"'
    return f'<tspan{style} font-size="{_n(run.size)}">{escape(run.text)}</tspan>' if own else escape(run.text)


def _wires(figure: Figure) -> Iterable[str]:
    down = figure.direction != "right"
    backward, bad = figure.look.backward, figure.look.path
    for net, wire in figure.wires:
        light = " l" if net.source is not None and net.source.kind != "op" and net.source.kind != "group" else ""
        title = printable(_wire_title(net.vertex))
        for number, (target, path) in enumerate(zip(net.targets, wire.paths, strict=True)):
            ill = " b" if bad and net.vertex.index in bad and (target is None or any(v in bad for v in _all_shown(target))) else ""
            yield f'<path class="w{light}{ill}" d="{path_data(path, down)}"><title>{escape(title)}</title></path>'
            if backward:
                if number == 0 and net.source is not None and net.source.children is None:
                    yield _arrow(path[0], True, ill)
            elif target is not None and target.children is None:
                yield _arrow(path[-1], down, ill)
            if target is not None and target.children is None:
                names = target.inputs.get(net.value)
                if names:
                    yield _argument(path[-1], ", ".join(names), down, backward)


def _all_shown(item: Item) -> list[int]:
    """The vertices in a box or frame."""
    return [item.vertex.index] if item.vertex is not None else list(item.group.vertices()) if item.group is not None else []


def _wire_title(vertex: Vertex) -> str:
    return f"{vertex.name or vertex.label}, {vertex.size}"


def _arrow(tip: tuple[float, float], down: bool, ill: str = "") -> str:
    x, y = tip
    d = f"M{_n(x)} {_n(y)}l-3.4-6.5h6.8z" if down else f"M{_n(x)} {_n(y)}l-6.5-3.4v6.8z"
    return f'<path class="a{ill}" d="{d}"/>'


def _argument(tip: tuple[float, float], name: str, down: bool, below: bool = False) -> str:
    x, y = (tip[0] + 5, tip[1] + (11 if below else -4)) if down else (tip[0] - 4, tip[1] - 5)
    anchor = "" if down else ' text-anchor="end"'
    return f'<text class="arg" x="{_n(x)}" y="{_n(y)}"{anchor}>{escape(name)}</text>'


def path_data(path: list[tuple[float, float]], down: bool = True) -> str:
    """The points of a wire as SVG path data: straight along the flow, an S-curve where it changes columns."""
    (x, y), *rest = path
    parts = [f"M{_n(x)} {_n(y)}"]
    for x2, y2 in rest:
        if (x2 == x) if down else (y2 == y):
            parts.append(f"L{_n(x2)} {_n(y2)}")
        elif down:
            middle = (y + y2) / 2
            parts.append(f"C{_n(x)} {_n(middle)} {_n(x2)} {_n(middle)} {_n(x2)} {_n(y2)}")
        else:
            middle = (x + x2) / 2
            parts.append(f"C{_n(middle)} {_n(y)} {_n(middle)} {_n(y2)} {_n(x2)} {_n(y2)}")
        x, y = x2, y2
    return "".join(parts)


def _rect(x: float, y: float, w: float, h: float, radius: float, style: str = "") -> str:
    return f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}" rx="{_n(radius)}"{style}/>'


def _n(value: Any) -> str:
    """A length with at most one decimal."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text
