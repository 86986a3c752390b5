"""Boxes and wires: what a layout places."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

__all__ = ["Box", "Wire", "default_ports"]


@dataclass(eq=False)
class Box:
    """A box to place. For an open group, `children` and `wires` are what is inside.

    key      unique
    w, h     its size; of an open group, found by the layout
    light    whether it hangs on its consumer (a leaf, a constant) rather than being part of the stream
    free     whether the order of its inputs may be changed to untangle edges
    inputs   values that enter, in order; the edge of value v ends at x + in_ports[v]
    outputs  values that leave, in order
    """

    key: str
    w: float = 0.0
    h: float = 0.0
    light: bool = False
    free: bool = False
    inputs: list[str] = field(default_factory=list)
    light_inputs: set[str] = field(default_factory=set)
    outputs: list[str] = field(default_factory=list)
    children: list[Box] | None = None
    wires: list[Wire] = field(default_factory=list)
    title_width: float = 0.0
    title_x: float = 10.0
    title_y: float = 15.0
    x: float = 0.0
    y: float = 0.0
    in_ports: dict[str, float] = field(default_factory=dict)
    out_ports: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False)
class Wire:
    """One value inside one group: from a child's output, or from outside (None), to children's inputs, or outside (None).

    paths  per target, the points that the edge goes through; between points of different x it bends
    """

    value: str
    source: Box | None
    targets: list[Box | None]
    paths: list[list[tuple[float, float]]] = field(default_factory=list)


def default_ports(box: Box) -> None:
    """Spread the ports of a box that is not an open group over its sides.

    What comes down the stream enters at the middle and leaves there, so that it runs straight; leaves enter beside it.
    """
    if box.children is not None:
        return
    box.out_ports = {value: box.w * (i + 1) / (len(box.outputs) + 1) for i, value in enumerate(box.outputs)}
    stream = [i for i, value in enumerate(box.inputs) if value not in box.light_inputs]
    if not stream:
        box.in_ports = {value: box.w * (i + 1) / (len(box.inputs) + 1) for i, value in enumerate(box.inputs)}
        return
    # Marks at the ends and at each stream input; the leaves between two marks share the room there.
    marks = [(-1, 0.0), *((at, (n + 1) / (len(stream) + 1)) for n, at in enumerate(stream)), (len(box.inputs), 1.0)]
    for (before, low), (after, high) in itertools.pairwise(marks):
        for at in range(before + 1, after):
            if before < 0 or after == len(box.inputs):  # at an end of the box, spread out
                place = (at - before - (0.65 if before < 0 else 0.0)) / (after - before - 0.65)
            else:
                place = (at - before) / (after - before)
            box.in_ports[box.inputs[at]] = box.w * (low + (high - low) * place)
        if after < len(box.inputs):
            box.in_ports[box.inputs[after]] = box.w * high
