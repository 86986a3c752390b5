"""The scene: what of a document is in view, which depends on the groups that are open.

Operations and closed groups are in view as boxes, open groups as frames around theirs. A leaf stands beside what uses it:
once in a frame where it is used a few times, and once per use (a ghost) where it is used at every step, because the edges of
a shared weight would hide everything else. Of a repeat, one member is shown for all (a plate, marked x20); what a step hands
to the next then enters the plate from a ghost named "previous".
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass, field

from autograd_core.drawing.document.document import COMMUTATIVE, Document, Edge, Group, Vertex
from autograd_core.drawing.document.grouping import hidden_output, visible_children

__all__ = ["Item", "Net", "Scene", "scene_of"]

FEW_USES = 4  # a leaf that is used more often in one frame is drawn once per use,
MOST_UNREACHED = 6  # parameters that nothing uses; a note names more of them
NEAR = 6  # and so is one whose uses are further apart than this many boxes
MANY_VALUES = 4  # a closed group that hands out more values than this hands them out by one edge


@dataclass(eq=False, slots=True)
class Item:
    """Something in view.

    kind      "op", "leaf", "constant", "previous" or "group"
    vertex    what it shows, or None for a group
    children  what is in the frame of an open group, else None
    nets      the values inside the frame
    inputs    values that enter it, with the names of the arguments that they are, in order
    carried   whether the next member of its plate uses its value
    rules     text of the derivative rules for its tracked arguments, "x1: g * x2"
    output    names of outputs that lie in a closed group, or in members of a plate that are not shown
    ghost     whether it is one of several drawings of the same leaf
    """

    key: str
    kind: str
    parent: Item | None
    depth: int
    vertex: Vertex | None = None
    group: Group | None = None
    children: list[Item] | None = None
    nets: dict[tuple[str, str], Net] = field(default_factory=dict)
    inputs: dict[str, list[str]] = field(default_factory=dict)
    outputs: dict[str, None] = field(default_factory=dict)
    ghost: bool = False
    carried: bool = False
    rules: list[str] = field(default_factory=list)
    output: str = ""


@dataclass(eq=False, slots=True)
class Net:
    """A value's ways inside one frame: from an item, or from outside (None), to items, or outside (None)."""

    value: str
    vertex: Vertex
    source: Item | None
    targets: dict[Item | None, None] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """The outermost frame, and every item in view by its key."""

    root: Item
    items: dict[str, Item]
    document: Document


def scene_of(document: Document, opened: Collection[str], plates: Collection[str] = (), constants: bool = True) -> Scene:
    """What is in view when the groups with the keys `opened` are open, repeats in `plates` showing one member for all."""
    return _Builder(document, frozenset(opened), frozenset(plates), constants).build()


class _Builder:
    def __init__(self, document: Document, opened: frozenset[str], plates: frozenset[str], constants: bool) -> None:
        self.document = document
        self.constants = constants
        self.opened = opened
        self.plates = plates
        self.items: dict[str, Item] = {}
        self.shown: dict[int, Item] = {}  # vertex -> the item that it is in view as, or inside of
        self.member: dict[int, list[tuple[str, int]]] = {}  # vertex -> the plates that it is in, and in which member
        self.arity: dict[int, int] = {}  # vertex -> how many edges end there
        for edge in document.edges:
            self.arity[edge.target] = self.arity.get(edge.target, 0) + 1
        self.beside: dict[tuple[int, Item], Item] = {}  # leaf, what uses it -> the drawing of the leaf
        self.represents: dict[int, int] = {}  # vertex -> the vertex that stands for it in a plate

    def build(self) -> Scene:
        root = Item("", "group", None, 0, group=self.document.root, children=[])
        self._open(root)
        edges = self._edges_in_view()
        self._place_leaves(edges)
        for edge, target in edges:
            self._connect(edge, target)
        for vertex in [v for v in self.document.vertices if v.facts.get("unreached")][:MOST_UNREACHED]:
            self._beside(f"n{vertex.index}", "leaf", vertex, root)
        self._order_children(root)
        return Scene(root, self.items, self.document)

    # --- boxes and frames -------------------------------------------------------------------------------------------------

    def _open(self, frame: Item) -> None:
        stack = [frame]
        while stack:
            frame = stack.pop()
            assert frame.group is not None
            assert frame.children is not None
            children = frame.group.children
            if frame.group.key in self.plates:
                self._note_plate(frame.group)
                children = visible_children(frame.group)
                frame.output = hidden_output(frame.group, self.document, plate=True)
            for child in children:
                if isinstance(child, Group):
                    item = Item(child.key, "group", frame, frame.depth + 1, group=child)
                    if child.key in self.opened:
                        item.children = []
                        stack.append(item)
                    else:
                        self.shown.update((v, item) for v in child.vertices())
                        item.output = hidden_output(child, self.document)
                else:
                    vertex = self.document.vertices[child]
                    item = Item(f"n{child}", "op", frame, frame.depth + 1, vertex=vertex)
                    self.shown[child] = item
                self.items[item.key] = item
                frame.children.append(item)

    def _note_plate(self, group: Group) -> None:
        """Remember which vertex of the first member stands for which of the others."""
        members = [list(child.vertices()) if isinstance(child, Group) else [child] for child in group.members()]
        for number, member in enumerate(members):
            for vertex, first in zip(member, members[0], strict=True):
                self.member.setdefault(vertex, []).append((group.key, number))
                self.represents[vertex] = first

    def _stands_for(self, vertex: int) -> int:
        while self.represents.get(vertex, vertex) != vertex:
            vertex = self.represents[vertex]
        return vertex

    # --- edges ------------------------------------------------------------------------------------------------------------

    def _edges_in_view(self) -> list[tuple[Edge, Item]]:
        """Edges with the item in view at their end, without those inside a closed group."""
        result = []
        vertices = self.document.vertices
        for edge in self.document.edges:
            target = self.shown.get(self._stands_for(edge.target))
            if target is None:
                continue
            source = vertices[edge.source]
            if source.kind == "constant" and not self.constants:
                continue
            if source.kind == "op":
                if self.shown.get(self._stands_for(edge.source)) is not target or self._carried(edge):
                    result.append((edge, target))
            elif self._stands_for(edge.target) == edge.target and (target.kind == "op" or self._is_input(source, target)):
                result.append((edge, target))
        return result

    def _is_input(self, source: Vertex, target: Item) -> bool:
        """Whether a leaf or constant that a closed group uses is worth an edge: data is, a parameter belongs to the module."""
        return target.group is not None and source.index in self._data_of(target.group)

    def _carried(self, edge: Edge) -> bool:
        """Whether the edge goes from one member of a plate to another."""
        source, target = self._members(edge.source), self._members(edge.target)
        if any(source[plate] != number for plate, number in target.items() if plate in source):
            return True
        # Members that are not shown may be wired otherwise. What stands for a value then may come later than what stands for its use.
        return bool(source) and self._stands_for(edge.source) >= self._stands_for(edge.target)

    def _members(self, vertex: int) -> dict[str, int]:
        """The plates that a vertex is in, and in which member; of a plate within a plate, where what stands for it is."""
        found: dict[str, int] = {}
        while True:
            for plate, number in self.member.get(vertex, ()):
                found.setdefault(plate, number)
            first = self.represents.get(vertex, vertex)
            if first == vertex:
                return found
            vertex = first

    def _connect(self, edge: Edge, target: Item) -> None:
        vertex = self.document.vertices[self._stands_for(edge.source)]
        if vertex.kind != "op":
            source = self.beside[edge.source, target]
        elif self._carried(edge):
            self.shown[vertex.index].carried = True
            source = self._beside(f"p{vertex.index}@{target.key}", "previous", vertex, _parent(target))
        else:
            source = self.shown[vertex.index]
        if source is target:
            return
        value = f"{vertex.index}"
        if source.kind == "group" and value not in source.outputs and len(source.outputs) >= MANY_VALUES:
            value = source.key
        if source.kind != "op":
            value = f"{value}@{source.key}"
        self._add_rule(edge, vertex, target)
        names = target.inputs.setdefault(value, [])
        argument = edge.argument[edge.argument.index("[") :] if "[" in edge.argument else edge.argument
        ordered = target.vertex is not None and target.vertex.op not in COMMUTATIVE and self.arity[target.vertex.index] > 1
        if ordered and argument not in names and len(names) < 3 and vertex.name.rpartition(".")[2] != argument:
            names.append(argument)
        self._route(value, vertex, source, target)

    def _add_rule(self, edge: Edge, source: Vertex, target: Item) -> None:
        if target.vertex is None or source.kind == "constant":
            return
        name = edge.argument.partition("[")[0]
        rule = self.document.rules.get(target.vertex.op, {}).get(name)
        text = f"{name}: {rule.partition(' -> ')[2]}" if rule else ""
        if text and text not in target.rules:
            target.rules.append(text)

    def _place_leaves(self, edges: list[tuple[Edge, Item]]) -> None:
        """Decide how often each leaf and constant is drawn, and beside what: once for uses that are few and near."""
        place = {item: i for i, item in enumerate(self.items.values())}
        uses: dict[tuple[int, Item], list[Item]] = {}
        for edge, target in edges:
            vertex = self.document.vertices[edge.source]
            if vertex.kind != "op":
                uses.setdefault((edge.source, self._frame_for(vertex, target)), []).append(target)
        for (source, frame), targets in uses.items():
            vertex = self.document.vertices[source]
            targets = sorted(dict.fromkeys(targets), key=place.__getitem__)
            clusters = [[targets[0]]]
            for before, target in itertools.pairwise(targets):
                if len(targets) > FEW_USES or place[target] - place[before] > NEAR:
                    clusters.append([])
                clusters[-1].append(target)
            for cluster in clusters:
                key = f"n{source}@{cluster[0].key if len(clusters) > 1 else frame.key}"
                item = self._beside(key, vertex.kind, vertex, frame)
                item.ghost = len(clusters) > 1
                self.beside.update(((source, target), item) for target in cluster)

    def _frame_for(self, vertex: Vertex, target: Item) -> Item:
        """Where a leaf is drawn: beside what uses it; but what a module was called with comes from outside of the module."""
        frame = _parent(target)
        while frame.parent is not None and frame.group is not None and vertex.index in self._data_of(frame.group):
            frame = frame.parent
        return frame

    def _data_of(self, group: Group) -> frozenset[int]:
        first = group.members()[0] if group.kind == "repeat" else group
        return first.data if isinstance(first, Group) else frozenset()

    def _beside(self, key: str, kind: str, vertex: Vertex, frame: Item) -> Item:
        """The item `key`, made in `frame` if it is not there yet."""
        item = self.items.get(key)
        if item is None:
            assert frame.children is not None
            item = self.items[key] = Item(key, kind, frame, frame.depth + 1, vertex=vertex)
            frame.children.append(item)
        return item

    def _route(self, value: str, vertex: Vertex, source: Item, target: Item) -> None:
        """Enter the value into the nets of every frame between source and target."""
        up, down = source, target
        up.outputs.setdefault(value)
        into: list[Item] = []  # frames from the common one down to the target
        while down.depth > up.depth:
            into.append(down)
            down = _parent(down)
        while up.depth > down.depth:
            self._net(_parent(up), value, vertex, up).targets.setdefault(None)
            up = _parent(up)
            up.outputs.setdefault(value)
        while up.parent is not down.parent:
            self._net(_parent(up), value, vertex, up).targets.setdefault(None)
            up = _parent(up)
            up.outputs.setdefault(value)
            into.append(down)
            down = _parent(down)
        self._net(_parent(up), value, vertex, up).targets.setdefault(down)
        down.inputs.setdefault(value, [])
        for inner in reversed(into):
            self._net(_parent(inner), value, vertex, None).targets.setdefault(inner)
            inner.inputs.setdefault(value, [])

    def _net(self, frame: Item, value: str, vertex: Vertex, source: Item | None) -> Net:
        key = (value, "" if source is None else source.key)
        net = frame.nets.get(key)
        if net is None:
            net = frame.nets[key] = Net(value, vertex, source)
        return net

    def _order_children(self, root: Item) -> None:
        """Put leaves right before the first item that they are for: the rest is in the program's order already."""
        stack = [root]
        while stack:
            frame = stack.pop()
            children = frame.children or []
            place = {child: i for i, child in enumerate(child for child in children if child.kind in ("op", "group"))}
            for net in frame.nets.values():
                if net.source is not None and net.source not in place:
                    place[net.source] = min((place[t] for t in net.targets if t is not None and t in place), default=0)
            children.sort(key=lambda child: (place.get(child, 0), child.kind in ("op", "group")))
            stack.extend(child for child in children if child.children is not None)


def _parent(item: Item) -> Item:
    assert item.parent is not None
    return item.parent
