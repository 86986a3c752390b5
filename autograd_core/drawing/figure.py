"""The figure: a scene with its texts chosen and everything in its place, ready for a writer that draws."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple

from autograd_core.drawing.boxes import Box, Wire, default_ports
from autograd_core.drawing.document.document import COMMUTATIVE, Document, Vertex, saved_text, shape_text
from autograd_core.drawing.health import Finding, health_of
from autograd_core.drawing.heat import Heat, heat_of
from autograd_core.drawing.layout import arrange
from autograd_core.drawing.measure import printable, shortened, text_width
from autograd_core.drawing.scene import Item, Net, Scene

__all__ = [
    "Figure",
    "Line",
    "Look",
    "Placed",
    "Run",
    "description",
    "figure_of",
    "flag_of",
    "group_line",
    "group_title",
    "lines_of",
    "look_at",
    "shown_by",
]

TITLE, DETAIL, SMALL = 12.0, 10.5, 9.5  # text sizes in pixels
WIDEST = 230.0  # text in a box
LINE = 1.3  # line height


class Run(NamedTuple):
    """A stretch of text of one style; a line has one or more."""

    text: str
    size: float
    bold: bool = False

    @property
    def width(self) -> float:
        return text_width(self.text, self.size, self.bold)


Line = tuple[Run, ...]


@dataclass(eq=False, slots=True)
class Placed:
    """An item, where it is, and its lines of text."""

    item: Item
    box: Box
    lines: list[Line]


@dataclass(slots=True)
class Look:
    """What a picture shows besides the program: heat, what is wrong, or the backward pass in its order."""

    heat: Heat | None = None
    findings: list[Finding] = field(default_factory=list)
    backward: bool = False
    flags: dict[int, str] = field(default_factory=dict)
    path: frozenset[int] = frozenset()
    order: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for finding in reversed(self.findings):
            self.flags.update((vertex, finding.kind) for vertex in finding.vertices)
        self.path = frozenset(v for finding in self.findings for v in (*finding.path, *(finding.vertices if finding.path else ())))


def look_at(document: Document, heat: str | None, backward: bool) -> Look:
    """The look for these options. The order of the backward pass is the recorded one, or else youngest first, as it will be."""
    look = Look(heat_of(heat, document), health_of(document), backward)
    operations = [v for v in document.vertices if v.kind == "op"]
    known = {v.index: v.facts["backward_order"] for v in operations if "backward_order" in v.facts}
    look.order = known or {v.index: i for i, v in enumerate(reversed(operations), 1)}
    return look


@dataclass(slots=True)
class Figure:
    """Frames and boxes, outermost first, and the wires with the values that they carry."""

    placed: list[Placed]
    wires: list[tuple[Net, Wire]]
    width: float
    height: float
    direction: str
    scene: Scene
    look: Look


def figure_of(scene: Scene, direction: str = "down", look: Look | None = None) -> Figure:
    """Choose texts and sizes for everything in `scene`, and lay it out."""
    look = look or Look()
    if look.backward:
        direction = "up"
    if look.heat is not None:
        numbers = (look.heat.of(shown_by(item)) for item in scene.items.values() if item.children is None)
        look.heat.scale_to(number for number in numbers if number is not None)
    placed: list[Placed] = []
    boxes: dict[Item, Box] = {}
    stack = [scene.root]
    while stack:
        item = stack.pop()
        lines = lines_of(item, look)
        box = boxes[item] = Box(item.key, light=item.kind in LIGHT_KINDS)
        box.free = item.vertex is not None and item.vertex.op in COMMUTATIVE
        box.inputs, box.outputs = list(item.inputs), list(item.outputs)
        if item.children is None:
            lines = [_fitted(line) for line in lines]
            widest = max(sum(run.width for run in line) for line in lines)
            # Room for the arguments' names beside the tips of their arrows.
            named = max((text_width(", ".join(names), 9) for names in item.inputs.values() if names), default=0.0)
            down = direction != "right"
            room = (named + 10) * max(len(item.inputs) + 1, 2 * len(item.inputs) - 1.3) if named and down else 0.0
            high = sum(max(run.size for run in line) * LINE for line in lines) + 8
            rows = 0.0 if down or not named else 15.0 * (len(item.inputs) + 1)
            between = _room_between(item, scene, down) if named else 0.0
            box.w = round(max(widest + 16, room, between if down else 0.0, 44.0), 1)
            box.h = round(max(high, rows, 0.0 if down else between), 1)
        else:
            box.children = []
            box.title_width = lines[0][0].width if item.parent is not None else 0.0
            stack.extend(reversed(item.children))
        placed.append(Placed(item, box, lines))
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
    return Figure(placed, wires, root.w, root.h, direction, scene, look)


LIGHT_KINDS = ("leaf", "constant", "previous")


def _room_between(item: Item, scene: Scene, down: bool) -> float:
    """How wide (or high, if not `down`) a box has to be, so that the names at its arrows' tips end before the next arrow's."""
    beside = [scene.items.get(value.partition("@")[2]) for value in item.inputs]
    probe = Box("", w=1.0, inputs=list(item.inputs))
    probe.light_inputs = {v for v, s in zip(item.inputs, beside, strict=True) if s is not None and s.kind in LIGHT_KINDS and s.parent is item.parent}
    default_ports(probe)
    places = sorted((probe.in_ports[value], text_width(", ".join(names), 9) if names else 0.0) for value, names in item.inputs.items())
    return max(((width + 10 if down else 14) / (after - at) for (at, width), (after, _) in itertools.pairwise(places) if width), default=0.0)


def _fitted(line: Line) -> Line:
    """The line cut to WIDEST: the longest run gives way."""
    over = sum(run.width for run in line) - WIDEST
    longest = max(line, key=lambda run: run.width)
    return tuple(
        run._replace(text=shortened(run.text, run.size, run.width - over, run.bold) if over > 0 and run is longest else printable(run.text))
        for run in line
    )


def shown_by(item: Item) -> list[int]:
    """The vertices that a box stands for; none for a drawing of a leaf that is not its first, so that sums count it once."""
    if item.vertex is not None:
        return [item.vertex.index] if item.kind != "previous" else []
    assert item.group is not None
    return list(item.group.vertices())


def lines_of(item: Item, look: Look | None = None) -> list[Line]:
    """The lines of text in a box, or the title of a frame."""
    look = look or Look()
    if item.children is not None:
        return [(Run(group_title(item), DETAIL, True),)]
    lines: list[Line] = (
        _vertex_lines(item, look) if item.vertex is not None else [(Run(group_title(item), TITLE, True),), (Run(group_line(item), SMALL),)]
    )
    if item.vertex is not None and "change" in item.vertex.facts:
        lines.insert(0, (Run(item.vertex.facts["change"], SMALL, True),))
    flag = flag_of(item, look)
    if flag:
        lines.insert(0, (Run(f"⚠ {flag}", SMALL, True),))
    number = None if look.heat is None else look.heat.of(shown_by(item))
    if look.heat is not None and number is not None:
        lines.append((Run(look.heat.text(number), DETAIL, True),))
    return lines


def flag_of(item: Item, look: Look) -> str:
    """What is wrong in a box, in a word."""
    if item.vertex is not None and item.vertex.error:
        return "raised"
    return next((look.flags[v] for v in shown_by(item) if v in look.flags), "") if look.flags else ""


def _vertex_lines(item: Item, look: Look) -> list[Line]:
    vertex = item.vertex
    assert vertex is not None
    if item.kind == "previous":
        return [(Run(f"↻ {vertex.label} of the step {'after' if look.backward else 'before'}", SMALL),), (Run(vertex.size, SMALL),)]
    if item.kind != "op":
        name = f"{_local_name(item)}.grad" if look.backward else _local_name(item)
        return [(Run(name, TITLE if item.kind == "leaf" else DETAIL, item.kind == "leaf"),), (Run(vertex.size, SMALL),)]
    name = f"{vertex.name} = {vertex.label}" if vertex.name else vertex.label
    first: Line = (Run(f"↻ {name}" if item.carried else name, TITLE, True), Run(f" {shape_text(vertex.shape)}", DETAIL))
    dtype = vertex.dtype if isinstance(vertex.dtype, str) else " ".join(vertex.dtype)
    if look.backward and vertex.index in look.order:
        number = Run(f"{look.order[vertex.index]}. ", TITLE)
        return [(number, *first), *[(Run(text, SMALL),) for text in item.rules]]
    if vertex.error:
        return [(Run(name, TITLE, True),), (Run(vertex.error, SMALL),)]
    lines: list[Line] = [first, (Run(", ".join(part for part in (dtype, saved_text(vertex)) if part), SMALL),)]
    return [(Run(vertex.output, SMALL, True),), *lines] if vertex.output else lines


def _local_name(item: Item) -> str:
    """A parameter's name without the path of the module that it is drawn in."""
    assert item.vertex is not None
    frame = item.parent
    while frame is not None and frame.group is not None:
        path = frame.group.path
        if path and item.vertex.label.startswith(f"{path}."):
            return item.vertex.label[len(path) + 1 :]
        frame = frame.parent
    return item.vertex.label


def group_title(item: Item) -> str:
    """`encoder: Sequential ×12`, as far as known."""
    group = item.group
    assert group is not None
    title = ": ".join(part for part in (group.name, group.detail) if part)
    title = f"{title} ×{group.count}" if group.count > 1 else title
    return f"{title} → {item.output}" if item.output else title


def group_line(item: Item) -> str:
    """What a closed group's box says below its title."""
    group = item.group
    assert group is not None
    count = sum(1 for _ in group.vertices())
    return f"{count} operation{'s' * (count != 1)}"


def description(vertex: Vertex) -> str:
    """Everything about a vertex in one line, for tooltips and screen readers."""
    parts = [
        vertex.label if vertex.kind == "op" else f"{vertex.kind} {vertex.label}".replace("leaf leaf", "leaf").replace("constant constant", "constant")
    ]
    if vertex.arguments:
        parts.append(f"of {vertex.arguments}")
    parts += [vertex.size, saved_text(vertex) if vertex.kind == "op" else ""]
    if vertex.error:
        parts.append(vertex.error)
    if "line" in vertex.facts:
        parts.append(f"at {vertex.facts['line']}")
    parts.append("requires grad" if vertex.kind != "constant" else "no gradient")
    if vertex.output:
        parts.append(f"output: {vertex.output}")
    return ", ".join(part for part in parts if part)
