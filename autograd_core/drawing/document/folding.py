"""Folding: equal siblings that follow one another (time steps, stacked blocks) become one group, drawn once and marked x20.

Two things are equal if they have the same operations with the same shapes, options and numbers in the same order, wired alike
inside. Only indices may differ (x[t] at every step), and on request numbers too: the repeat's name then says which. A sequence is
searched for periods with one array comparison per period, so that 10^5 operations take a fraction of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

from autograd_core.drawing.document.document import Document, Group, Vertex

__all__ = ["fold", "fresh_keys"]

LONGEST_PERIOD = 400  # items in one member
MOST_PASSES = 30  # folds one after another in one group
FEWEST_GROUPS = 3  # modules in a row that are worth folding
FEWEST_MEMBERS = 3  # and of sequences of operations,
FEWEST_OPERATIONS = 12  # which must have as many operations together, or
INDEXING = {"getitem", "setitem"}
FEWEST_SINGLE = 8  # if it is one operation again and again, follow one another as often


def fresh_keys() -> Callable[[], str]:
    """Keys "g1", "g2", ... for groups."""
    count = 0

    def key() -> str:
        nonlocal count
        count += 1
        return f"g{count}"

    return key


def fold(document: Document, new_key: Callable[[], str], constants: bool = True) -> None:
    """Fold repeats in every group of `document`, the innermost first.

    constants : whether members have to agree in them; else what differs is said in the repeat's name
    """
    tokens = _Tokens(document, constants)
    for group in reversed(list(document.root.groups())):
        _fold_children(group, tokens, document, new_key)


class _Tokens:
    """A number for everything: equal things have equal numbers."""

    def __init__(self, document: Document, constants: bool) -> None:
        self.document = document
        self.constants = constants
        self.numbers: dict[object, int] = {}
        self.known: dict[Group, int] = {}  # a group is asked for when what is in it is folded already
        self.inside: dict[int, list[tuple[int, int]]] = {}  # target -> [(source, place)]
        vertices = document.vertices
        for edge in document.edges:
            if vertices[edge.source].kind == "op":
                self.inside.setdefault(edge.target, []).append((edge.source, edge.place))

    def of(self, item: int | Group) -> int:
        if not isinstance(item, Group):
            return self.numbers.setdefault(_kind_of(self.document.vertices[item], self.constants), len(self.numbers))
        if item not in self.known:
            inside = item.members()[:1] if item.kind == "repeat" else item.children
            what = (item.kind, re.sub(r"\d+", "#", item.name), item.detail, item.count, tuple(self.of(child) for child in inside))
            self.known[item] = self.numbers.setdefault(what, len(self.numbers))
        return self.known[item]

    def wiring(self, vertices: list[int]) -> frozenset[tuple[int, int, int]]:
        """The edges among `vertices`, by their places in the list."""
        place = {vertex: i for i, vertex in enumerate(vertices)}
        return frozenset((place[source], i, at) for i, vertex in enumerate(vertices) for source, at in self.inside.get(vertex, ()) if source in place)


def _kind_of(vertex: Vertex, constants: bool) -> object:
    # Options count (axis=0), and numbers; indices do not: x[t] is the same operation at every step.
    words = vertex.label.split(" ")
    options = tuple(words if constants and vertex.op not in INDEXING else [word for word in words if "=" in word])
    return vertex.op, vertex.shape, vertex.dtype, options


def _fold_children(group: Group, tokens: _Tokens, document: Document, new_key: Callable[[], str]) -> None:
    for _ in range(MOST_PASSES):
        numbers = np.array([tokens.of(child) for child in group.children], dtype=np.int64)
        for period in range(1, min(LONGEST_PERIOD, (len(numbers) - 1) // 2) + 1):
            runs = [run for run in _runs(numbers, period) if _worth_it(group.children, *run, period)]
            folded = _folded(group.children, runs, period, tokens, new_key) if runs else group.children
            if len(folded) < len(group.children):
                group.children = folded
                break  # folded loops may make the loop around them periodic, with a shorter period
        else:
            return


def _runs(numbers: np.ndarray, period: int) -> list[tuple[int, int]]:
    """(start, length) of the stretches in which everything equals what stands `period` later."""
    equal = np.concatenate([[False], numbers[period:] == numbers[:-period], [False]])
    changes = np.flatnonzero(equal[1:] != equal[:-1])
    runs = []
    end = 0
    for start, stop in zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True):
        start = max(start, end)
        length = stop - start + period
        if length >= 2 * period:
            runs.append((start, length))
            end = start + length
    return runs


def _worth_it(children: list[int | Group], start: int, length: int, period: int) -> bool:
    count = length // period
    member = children[start : start + period]
    operations = [child for child in member if not isinstance(child, Group)]
    if period == 1:
        return count >= (FEWEST_SINGLE if operations else FEWEST_GROUPS)
    return count >= FEWEST_MEMBERS and (count * period >= FEWEST_OPERATIONS or len(operations) < period)


def _folded(
    children: list[int | Group], runs: Iterable[tuple[int, int]], period: int, tokens: _Tokens, new_key: Callable[[], str]
) -> list[int | Group]:
    result: list[int | Group] = []
    at = 0
    for start, length in runs:
        start = max(start, at)
        shift = _best_phase(children, start, length, period, tokens)
        members = [children[i : i + period] for i in range(start + shift, start + length - period + 1, period)]
        wirings = [tokens.wiring(_vertices(member)) for member in members]
        first = 0
        while first < len(members):
            last = first
            while last + 1 < len(members) and wirings[last + 1] == wirings[first]:
                last += 1
            where = start + shift + first * period
            if _worth_it(children, where, (last - first + 1) * period, period):
                result += children[at:where]
                result.append(_repeat(members[first : last + 1], tokens.document, new_key))
                at = where + (last - first + 1) * period
            first = last + 1
    return result + children[at:]


def _best_phase(children: list[int | Group], start: int, length: int, period: int, tokens: _Tokens) -> int:
    """Where to cut a periodic stretch into members: where the fewest values pass from one to the next."""
    spare = length % period
    if not spare:
        return 0
    place = {vertex: i for i, child in enumerate(children[start : start + 3 * period]) for vertex in _vertices([child])}
    crossing = [0] * (3 * period + 1)
    furthest: dict[int, int] = {}
    for vertex, i in place.items():
        for source, _ in tokens.inside.get(vertex, ()):
            if source in place:
                furthest[source] = max(furthest.get(source, 0), i)
    for source, end in furthest.items():
        for cut in range(place[source] + 1, end + 1):
            crossing[cut] += 1
    return min(range(spare + 1), key=lambda shift: (crossing[shift + period], shift))


def _vertices(items: Iterable[int | Group]) -> list[int]:
    return [vertex for item in items for vertex in (item.vertices() if isinstance(item, Group) else (item,))]


def _repeat(members: list[list[int | Group]], document: Document, new_key: Callable[[], str]) -> Group:
    key = new_key()
    differs = _differing(members, document)
    if len(members[0]) == 1:
        children = [member[0] for member in members]
        first, last = children[0], children[-1]
        if isinstance(first, Group) and isinstance(last, Group):
            return Group(
                key,
                "repeat",
                _joint_name(first.name, last.name) + differs,
                first.detail,
                children,
                _joint_name(first.path, last.path),
                count=len(members),
            )
        assert isinstance(first, int)
        return Group(key, "repeat", document.vertices[first].op + differs, "", children, count=len(members))
    steps: list[int | Group] = [Group(new_key(), "step", f"step {i}", "", member) for i, member in enumerate(members, 1)]
    return Group(key, "repeat", _summary(members[0], document) + differs, "", steps, count=len(members))


def _differing(members: list[list[int | Group]], document: Document) -> str:
    """` (multiply 1.0 … 12.0)`: the constants and indices that are not the same in all members, as they are in the first and the last."""
    rows = [_vertices(member) for member in members]
    found = []
    for place, first in enumerate(rows[0]):
        labels = dict.fromkeys(document.vertices[row[place]].label for row in rows)
        if len(labels) > 1:
            op = document.vertices[first].op
            ends = [document.vertices[row[place]].label.removeprefix(op).strip() for row in (rows[0], rows[-1])]
            found.append(f"{op} {' … '.join(ends)}" if ends[0] != ends[1] else f"{op} of {len(labels)} kinds")
    return f" ({', '.join(found[:2])}{', …' if len(found) > 2 else ''})" if found else ""


def _joint_name(first: str, last: str) -> str:
    """`layers.0` and `layers.11` as "layers.0-11"."""
    if first == last:
        return first
    a, b = re.split(r"(\d+)", first), re.split(r"(\d+)", last)
    if len(a) != len(b):
        return f"{first} … {last}"
    return "".join(x if x == y else f"{x}–{y}" for x, y in zip(a, b, strict=True))


def _summary(member: list[int | Group], document: Document) -> str:
    names = [item.detail or item.name if isinstance(item, Group) else document.vertices[item].op for item in member]
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
