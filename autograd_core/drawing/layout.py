"""Where everything goes: a layered layout, written for pictures of programs, with nothing but Python.

Each open group is laid out by itself, inside out, and is then one box for the group around it; so the cost depends on what is
open. In one group the boxes are put on ranks (rows) by the longest way from its inputs, an edge that spans several ranks gets
a column of its own on each rank between (Sugiyama, Tagawa & Toda 1981), rows are ordered by the barycentres of their neighbours,
and the columns' places are the least-squares fit to their neighbours' under the minimal distances, which is an isotonic
regression (pool adjacent violators). Edges run straight down in their columns and bend between ranks only, where there are no
boxes: no edge passes through a box, by construction.

Lengths are in pixels, x to the right and y down, for a flow from top to bottom; `direction="right"` swaps the two at the end,
`direction="up"` turns the picture upside down.
"""

from __future__ import annotations

from autograd_core.drawing.boxes import Box
from autograd_core.drawing.level import Level

__all__ = ["arrange"]


def arrange(box: Box, direction: str = "down") -> None:
    """Place everything inside `box`: sets sizes, positions (absolute) and paths of it and all below it."""
    order: list[Box] = []
    stack = [box]
    while stack:
        group = stack.pop()
        order.append(group)
        stack.extend(child for child in group.children or () if child.children is not None)
    if direction == "right":
        _swap_sizes(order)
    for group in reversed(order):
        Level(group, across=direction == "right").place()
    for group in order:  # outermost first: from relative to absolute
        for child in group.children or ():
            child.x += group.x
            child.y += group.y
            child.title_x += child.x
            child.title_y += child.y
        for wire in group.wires:
            wire.paths = [[(x + group.x, y + group.y) for x, y in path] for path in wire.paths]
    if direction == "right":
        _transpose(order)
    elif direction == "up":
        _mirror(order)


def _swap_sizes(order: list[Box]) -> None:
    for group in order:
        for child in group.children or ():
            if child.children is None:
                child.w, child.h = child.h, child.w


def _transpose(order: list[Box]) -> None:
    order[0].w, order[0].h = order[0].h, order[0].w
    for group in order:
        for child in group.children or ():
            child.x, child.y, child.w, child.h = child.y, child.x, child.h, child.w
            child.title_x, child.title_y = child.x + 10, child.y + 15
        for wire in group.wires:
            wire.paths = [[(y, x) for x, y in path] for path in wire.paths]


def _mirror(order: list[Box]) -> None:
    height = order[0].h
    for group in order:
        for child in group.children or ():
            child.title_y = round(height - child.y - 7, 1)
            child.y = round(height - child.y - child.h, 1)
        for wire in group.wires:
            wire.paths = [[(x, round(height - y, 1)) for x, y in path] for path in wire.paths]
