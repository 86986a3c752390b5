"""What must hold of every picture, computed from its geometry: nothing overlaps, and no edge passes through a box.

A picture is given as plain numbers, so that the same checks serve the figures of Python and those that the page makes:

    boxes  {"key", "parent": key of the frame around it or None, "frame": bool, "x", "y", "w", "h"}
    wires  {"frame": key, "source": key or None, "target": key or None, "path": [[x, y], ...]}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from autograd_core.drawing.figure import Figure

TOUCH = 0.6  # pixels that may overlap by rounding


def geometry_of(figure: Figure) -> dict[str, Any]:
    """The geometry of a figure."""
    boxes = [
        {
            "key": entry.item.key,
            "parent": None if entry.item.parent is None else entry.item.parent.key,
            "frame": entry.item.children is not None,
            "x": entry.box.x,
            "y": entry.box.y,
            "w": entry.box.w,
            "h": entry.box.h,
        }
        for entry in figure.placed
    ]
    frames = {id(net): entry.item.key for entry in figure.placed for net in entry.item.nets.values()}
    wires = [
        {"frame": frames[id(net)], "source": net.source and net.source.key, "target": target and target.key, "path": [list(p) for p in path]}
        for net, wire in figure.wires
        for target, path in zip(net.targets, wire.paths, strict=True)
    ]
    return {"boxes": boxes, "wires": wires, "right": figure.direction == "right"}


# The page's figure in the same form, as a JavaScript expression.
JAVASCRIPT = """(() => {
  const f = page.figure, frames = new Map();
  for (const e of f.placed) if (e.item.children) for (const net of e.item.nets.values()) frames.set(net, e.item.key);
  return {
    boxes: f.placed.map((e) => ({key: e.item.key, parent: e.item.parent ? e.item.parent.key : null, frame: !!e.item.children,
      x: e.box.x, y: e.box.y, w: e.box.w, h: e.box.h})),
    wires: f.wires.flatMap(([net, wire, targets]) => targets.map((t, i) => ({frame: frames.get(net), source: net.source && net.source.key,
      target: t && t.key, path: wire.paths[i]}))),
    right: f.direction === "right",
  };
})()"""


def problems(geometry: dict[str, Any]) -> list[str]:
    """Every violation, in words; an empty list for a good picture."""
    found = []
    boxes = {box["key"]: box for box in geometry["boxes"]}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for box in boxes.values():
        children.setdefault(box["parent"], []).append(box)
    for box in boxes.values():
        around = boxes.get(box["parent"]) if box["parent"] is not None else None
        if around is not None and not _inside(box, around):
            found.append(f"{box['key']} sticks out of {around['key']}")
    for siblings in children.values():
        found += [f"{a['key']} overlaps {b['key']}" for a, b in _overlapping(siblings)]
    for wire in geometry["wires"]:
        found += _wire_problems(wire, boxes, children, geometry["right"])
    return found


def _wire_problems(wire: dict[str, Any], boxes: dict[str, Any], children: dict[str | None, list[Any]], right: bool) -> list[str]:
    path = wire["path"]
    name = f"edge {wire['source']} -> {wire['target']} in frame {wire['frame']!r}"
    found = []
    frame = boxes[wire["frame"]]
    points = list(_points(path, right))
    low, high = min(p[0] for p in points), max(p[0] for p in points)
    top, bottom = min(p[1] for p in points), max(p[1] for p in points)
    if not _inside({"x": low, "y": top, "w": high - low, "h": bottom - top}, frame):
        found.append(f"{name} leaves its frame")
    for box in children.get(wire["frame"], []):
        if box["x"] > high or box["x"] + box["w"] < low or box["y"] > bottom or box["y"] + box["h"] < top:
            continue
        if any(_strictly_in(p, box) for p in points):
            found.append(f"{name} passes through {box['key']}")
    for end, key in ((path[0], wire["source"]), (path[-1], wire["target"])):
        box = frame if key is None else boxes[key]
        if not _on_border(end, box):
            found.append(f"{name} does not touch {'its frame' if key is None else key}")
    return found


def _points(path: list[list[float]], right: bool) -> Iterator[tuple[float, float]]:
    """Points along the way as it is drawn: lines, and S-curves with their control points half-way along the flow."""
    yield path[0][0], path[0][1]
    for (x, y), (x2, y2) in itertools.pairwise(path):
        for step in range(1, 17):
            t = step / 16
            near, far = 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2
            start, end = (1 - t) ** 3, t**3
            if right:
                middle = (x + x2) / 2
                yield start * x + (near + far) * middle + end * x2, (start + near) * y + (far + end) * y2
            else:
                middle = (y + y2) / 2
                yield (start + near) * x + (far + end) * x2, start * y + (near + far) * middle + end * y2


def _inside(box: dict[str, float], around: dict[str, float]) -> bool:
    return (
        box["x"] >= around["x"] - TOUCH
        and box["y"] >= around["y"] - TOUCH
        and box["x"] + box["w"] <= around["x"] + around["w"] + TOUCH
        and box["y"] + box["h"] <= around["y"] + around["h"] + TOUCH
    )


def _overlapping(boxes: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    ordered = sorted(boxes, key=lambda b: b["y"])
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            if b["y"] >= a["y"] + a["h"] - TOUCH:
                break
            if a["x"] < b["x"] + b["w"] - TOUCH and b["x"] < a["x"] + a["w"] - TOUCH:
                yield a, b


def _strictly_in(point: tuple[float, float], box: dict[str, float]) -> bool:
    x, y = point
    return box["x"] + TOUCH < x < box["x"] + box["w"] - TOUCH and box["y"] + TOUCH < y < box["y"] + box["h"] - TOUCH


def _on_border(point: list[float], box: dict[str, float]) -> bool:
    x, y = point
    left, top, right, bottom = box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]
    inside = left - TOUCH <= x <= right + TOUCH and top - TOUCH <= y <= bottom + TOUCH
    return inside and min(abs(x - left), abs(x - right), abs(y - top), abs(y - bottom)) <= TOUCH
