"""The figure: a scene with its texts chosen and everything in its place, ready for a writer that draws."""

from __future__ import annotations

from dataclasses import dataclass

from autograd_core.drawing.document import COMMUTATIVE, Vertex, saved_text
from autograd_core.drawing.layout import Box, Wire, arrange
from autograd_core.drawing.measure import shortened, text_width
from autograd_core.drawing.scene import Item, Net, Scene

__all__ = ["Figure", "Placed", "description", "figure_of", "group_title"]

TITLE, DETAIL, SMALL = 12.0, 10.5, 9.5  # text sizes in pixels
WIDEST = 220.0  # text in a box
LINE = 1.28  # line height


@dataclass(eq=False, slots=True)
class Placed:
    """An item and where it is; lines of text as (text, size)."""

    item: Item
    box: Box
    lines: list[tuple[str, float]]


@dataclass(slots=True)
class Figure:
    """Frames and boxes, outermost first, and the wires with the values that they carry."""

    placed: list[Placed]
    wires: list[tuple[Net, Wire]]
    width: float
    height: float
    direction: str
    scene: Scene


def figure_of(scene: Scene, direction: str = "down") -> Figure:
    """Choose texts and sizes for everything in `scene`, and lay it out."""
    placed: list[Placed] = []
    boxes: dict[Item, Box] = {}
    stack = [scene.root]
    while stack:
        item = stack.pop()
        lines = lines_of(item)
        box = boxes[item] = Box(item.key, light=item.kind in ("leaf", "constant", "previous"))
        box.free = item.vertex is not None and item.vertex.op in COMMUTATIVE
        box.inputs, box.outputs = list(item.inputs), list(item.outputs)
        if item.children is None:
            box.w = round(max(min(text_width(text, size), WIDEST) for text, size in lines) + 16, 1)
            box.h = round(sum(size * LINE for _, size in lines) + 8, 1)
        else:
            box.children = []
            box.title_width = text_width(lines[0][0], DETAIL) if item.parent is not None else 0.0
            stack.extend(reversed(item.children))
        placed.append(Placed(item, box, [(shortened(text, size, WIDEST), size) for text, size in lines]))
    wires: list[tuple[Net, Wire]] = []
    for entry in placed:
        frame = entry.item
        if frame.children is None:
            continue
        box = boxes[frame]
        box.children = [boxes[child] for child in frame.children]
        for net in frame.nets.values():
            wire = Wire(net.value, None if net.source is None else boxes[net.source], [None if t is None else boxes[t] for t in net.targets])
            box.wires.append(wire)
            wires.append((net, wire))
    root = boxes[scene.root]
    arrange(root, direction)
    return Figure(placed, wires, root.w, root.h, direction, scene)


def lines_of(item: Item) -> list[tuple[str, float]]:
    """The lines of text in a box, or the title of a frame."""
    if item.group is not None:
        title = group_title(item)
        if item.children is not None:
            return [(title, DETAIL)]
        return [(title, TITLE), *((text, SMALL) for text in group_lines(item))]
    vertex = item.vertex
    assert vertex is not None
    if item.kind == "previous":
        return [(f"↻ {vertex.label} of the step before", SMALL), (vertex.size, SMALL)]
    if item.kind == "op":
        name = f"{vertex.name} = {vertex.label}" if vertex.name else vertex.label
        lines = [(f"↻ {name}" if item.carried else name, TITLE), (vertex.size, DETAIL), (saved_text(vertex), SMALL)]
        return [(vertex.output, SMALL), *lines] if vertex.output else lines
    return [(vertex.label, TITLE if item.kind == "leaf" else DETAIL), (vertex.size, SMALL)]


def group_title(item: Item) -> str:
    """`encoder: Sequential ×12`, as far as known."""
    group = item.group
    assert group is not None
    title = ": ".join(part for part in (group.name, group.detail) if part)
    return f"{title} ×{group.count}" if group.count > 1 else title


def group_lines(item: Item) -> list[str]:
    """What a closed group's box says below its title."""
    group = item.group
    assert group is not None
    count = sum(1 for _ in group.vertices())
    return [f"{count} operation{'s' * (count != 1)}"]


def description(vertex: Vertex) -> str:
    """Everything about a vertex in one line, for tooltips and screen readers."""
    parts = [
        vertex.label if vertex.kind == "op" else f"{vertex.kind} {vertex.label}".replace("leaf leaf", "leaf").replace("constant constant", "constant")
    ]
    if vertex.arguments:
        parts.append(f"of {vertex.arguments}")
    parts += [vertex.size, saved_text(vertex) if vertex.kind == "op" else ""]
    parts.append("requires grad" if vertex.kind != "constant" else "no gradient")
    if vertex.output:
        parts.append(f"output: {vertex.output}")
    return ", ".join(part for part in parts if part)
