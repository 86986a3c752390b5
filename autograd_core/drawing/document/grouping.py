"""Grouping: the tree of modules, repeats and parts, and which of it is open at first.

Modules and scopes come from a recording. A stretch of the program that one call made is a group even if others ran in between
(in threads): then it is two groups, because a group is always contiguous. Long flat programs are cut into parts where few
values pass, so that whatever is opened shows a few dozen boxes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fnmatch import fnmatchcase

from autograd_core.drawing.document.document import Document, Group
from autograd_core.drawing.document.folding import fold, fresh_keys
from autograd_core.drawing.document.recorder import Call

__all__ = ["FIRST_VIEW", "group", "hidden_output", "opened_at_first"]

FIRST_VIEW = 40  # boxes in a picture unless more are asked for
MOST_CHILDREN = 120  # of one group, before it is cut into parts
PART = 40  # boxes in a part, about


Key = tuple[int, int]  # which recording, which call


def group(document: Document, calls: dict[Key, Call], call_of: dict[int, Key], backward_of: dict[int, int], folded: bool | str = True) -> None:
    """Give `document` its tree of groups.

    calls        by key
    call_of      vertex -> key of the call that made it
    backward_of  vertex -> vertex whose backward step made it
    """
    new_key = fresh_keys()
    _modules(document, calls, call_of, backward_of, new_key)
    if folded:
        fold(document, new_key, constants=folded != "all")
    for found in list(document.root.groups()):
        most = MOST_CHILDREN if found.kind != "repeat" else PART
        if len(found.children) > most:
            _cut(found, document, new_key)


def _modules(document: Document, calls: dict[Key, Call], call_of: dict[int, Key], backward_of: dict[int, int], new_key: Callable[[], str]) -> None:
    root = document.root
    stack: list[tuple[object, Group]] = [("program", root)]
    vertices, root.children = root.children, []
    numbers = {v.number: v.index for v in document.vertices}
    for vertex in vertices:
        assert isinstance(vertex, int)
        chain: list[object] = []
        key = call_of.get(backward_of.get(vertex, vertex))
        while key is not None:
            chain.append(key)
            parent = calls[key].parent
            key = None if parent is None else (key[0], parent)
        if vertex in backward_of:
            chain.append("backward")
        chain.append("program")
        chain.reverse()
        common = 0
        while common < min(len(chain), len(stack)) and chain[common] == stack[common][0]:
            common += 1
        del stack[common:]
        for step in chain[common:]:
            inner = Group(new_key(), "backward", "backward pass") if step == "backward" else _module_group(calls[step], new_key(), numbers)  # type: ignore[index]
            stack[-1][1].children.append(inner)
            stack.append((step, inner))
        stack[-1][1].children.append(vertex)


def _module_group(call: Call, key: str, numbers: dict[int, int]) -> Group:
    data = frozenset(numbers[number] for number in call.data if number in numbers)
    return Group(key, "module", call.name, call.detail, path=call.path or call.detail, data=data)


# --- long programs -------------------------------------------------------------------------------------------------------------


def _cut(found: Group, document: Document, new_key: Callable[[], str]) -> None:
    """Put the children of a long group into parts of about PART, and those again, until there are few."""
    # What a part is called by: the numbers of a repeat's members, or the rows of the listing.
    spans: list[tuple[int, int]] = [(i, i) if found.kind == "repeat" else (_first(child), _last(child)) for i, child in enumerate(found.children, 1)]
    while len(found.children) > PART:
        count = len(found.children)
        ends = _ends(found.children, document) if found.kind != "repeat" else [*range(PART, count, PART), count]
        parts: list[int | Group] = []
        start = 0
        for end in ends:
            sign = "" if found.kind == "repeat" else "%"
            name = f"{sign}{spans[start][0]} to {sign}{spans[end - 1][1]}"
            parts.append(Group(new_key(), "part", name, "", found.children[start:end]))
            start = end
        spans = [(spans[a][0], spans[b - 1][1]) for a, b in itertools.pairwise([0, *ends])]
        found.children = parts


def _first(item: int | Group) -> int:
    while isinstance(item, Group):
        item = item.children[0]
    return item


def _last(item: int | Group) -> int:
    while isinstance(item, Group):
        item = item.children[-1]
    return item


def _ends(children: list[int | Group], document: Document) -> list[int]:
    """Where to cut: about every PART children, within a quarter of that where the fewest values pass."""
    place: dict[int, int] = {}
    for i, child in enumerate(children):
        for vertex in child.vertices() if isinstance(child, Group) else (child,):
            place[vertex] = i
    furthest: dict[int, int] = {}
    for edge in document.edges:
        if edge.source in place and edge.target in place:
            furthest[edge.source] = max(furthest.get(edge.source, 0), place[edge.target])
    steps = [0] * (len(children) + 1)
    for source, end in furthest.items():
        if end > place[source]:
            steps[place[source] + 1] += 1
            steps[end + 1 if end + 1 < len(steps) else end] -= 1
    passing, total = [], 0
    for step in steps:
        total += step
        passing.append(total)
    ends = []
    at = 0
    while len(children) - at > PART + PART // 4:
        window = range(at + PART - PART // 4, min(at + PART + PART // 4, len(children)))
        at = min(window, key=lambda cut: (passing[cut], abs(cut - at - PART)))
        ends.append(at)
    return [*ends, len(children)]


# --- what is open at first -----------------------------------------------------------------------------------------------------


def opened_at_first(document: Document, depth: int | None, expand: str | None) -> tuple[set[str], set[str]]:
    """Keys of open groups, and of the repeats among them that show one member for all.

    depth   open that many levels of modules; None: as many as fit into FIRST_VIEW boxes
    expand  also open modules whose dotted name matches this pattern ("encoder.*"), and what is around them
    """
    opened: set[str] = set()
    plates: set[str] = set()
    parents: dict[Group, Group] = {}
    for found in document.root.groups():
        parents.update((child, found) for child in found.children if isinstance(child, Group))

    def open_up(found: Group) -> None:
        opened.add(found.key)
        if found.kind == "repeat":
            plates.add(found.key)

    if depth is None:
        _open_while_few(document, open_up)
    else:
        level = [(document.root, 0)]
        while level:
            found, deep = level.pop()
            if deep > depth:
                continue
            open_up(found)
            # Parts and repeats are no level of their own: they open with what is around them.
            level += [(c, deep + (c.kind in ("module", "backward"))) for c in visible_children(found) if isinstance(c, Group)]
    if expand is not None:
        for found in list(parents):
            if found.path and any(fnmatchcase(path, expand) for path in {found.path, found.name}):
                inner: Group | None = found
                while inner is not None:
                    open_up(inner)
                    inner = parents.get(inner)
    return opened, plates


def visible_children(found: Group) -> list[int | Group]:
    """What an open group shows: its children; of a repeat those of its first member, which stands for all."""
    if found.kind != "repeat":
        return found.children
    first = found.members()[0]
    return first.children if isinstance(first, Group) else [first]


def hidden_output(found: Group, document: Document, plate: bool = False) -> str:
    """Names of the outputs in a closed group; in a plate, those of members that the first stands for."""
    shown = set()
    if plate:
        first = found.members()[0]
        shown = set(first.vertices() if isinstance(first, Group) else [first])
    return ", ".join(name for v in found.vertices() if v not in shown and (name := document.vertices[v].output))


def _open_while_few(document: Document, open_up: Callable[[Group], None]) -> None:
    """Open groups level by level, smaller ones first, as long as the boxes in view are no more than FIRST_VIEW."""
    beside: dict[int, int] = {}  # vertex -> how many leaves and constants will stand beside it
    for edge in document.edges:
        if document.vertices[edge.source].kind != "op":
            beside[edge.target] = beside.get(edge.target, 0) + 1

    def cost(found: Group) -> int:
        return sum(1 + (beside.get(child, 0) if isinstance(child, int) else 0) for child in visible_children(found))

    open_up(document.root)
    shown = cost(document.root)
    level = [child for child in visible_children(document.root) if isinstance(child, Group)]
    while level:
        following: list[Group] = []
        alike: dict[tuple[str, str, int], list[Group]] = {}  # siblings of one kind are opened together or not at all
        for found in level:
            alike.setdefault((found.kind, found.detail, cost(found)), []).append(found)
        for kind in sorted(alike.values(), key=lambda groups: sum(map(cost, groups))):
            more = sum(cost(found) - 1 for found in kind)
            if shown + more <= FIRST_VIEW:
                shown += more
                for found in kind:
                    open_up(found)
                    following += [child for child in visible_children(found) if isinstance(child, Group)]
        level = following
