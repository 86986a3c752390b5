"""The DOT writer, through the graphviz package, so that people can edit the graph; and pictures by Graphviz's own layout."""

from __future__ import annotations

import shutil
import subprocess
import sys
from html import escape
from typing import Any

from autograd_core.drawing.figure import Look, description, flag_of, group_title, lines_of, shown_by
from autograd_core.drawing.heat import Heat, colour_of
from autograd_core.drawing.scene import Item, Scene

__all__ = ["MOST_BOXES", "digraph_of", "render"]

MOST_BOXES = 1500  # in view; Graphviz takes minutes for more

# A second real graph drawn by pygraphviz in one process has crashed Python, so each gets a process of its own.
_PYGRAPHVIZ = "import sys, pygraphviz; sys.stdout.buffer.write(pygraphviz.AGraph(string=sys.stdin.read()).draw(format=sys.argv[1], prog='dot'))"


def digraph_of(scene: Scene, direction: str = "down", look: Look | None = None) -> Any:
    """The scene as a `graphviz.Digraph`.

    raises : ImportError, saying how to get it, where the graphviz package is not installed
    """
    try:
        import graphviz
    except ImportError:
        raise ImportError("DOT needs the graphviz package: pip install 'autograd-core[viz]' (or save as .svg, .html, .txt or .json)") from None
    graph = graphviz.Digraph(
        "computation",
        graph_attr={"rankdir": "TB" if direction == "down" else "LR", "fontname": "Helvetica", "nodesep": "0.2", "ranksep": "0.3"},
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fillcolor": "#f6f7f9",
            "color": "#8a93a3",
            "fontname": "Helvetica",
            "fontsize": "10",
            "height": "0.3",
        },
        edge_attr={"color": "#5b6372", "arrowsize": "0.6", "fontname": "Helvetica", "fontsize": "8"},
    )
    look = look or Look()
    if look.heat is not None:
        numbers = (look.heat.of(shown_by(item)) for item in scene.items.values() if item.children is None)
        look.heat.scale_to(number for number in numbers if number is not None)
    _frame(graph, scene.root, look)
    if look.heat is not None and look.heat.high > 0:
        graph.node("legend", f"<{_legend(look.heat)}>", shape="plain", style="", fillcolor="none", tooltip="colours")
    for source, target, label in _edges(scene.root):
        ends = (target, source) if look.backward else (source, target)
        graph.edge(*ends, label=label or None)
    notes = [*scene.document.notes, *(f"⚠ {finding.text}" for finding in look.findings)]
    if notes:
        graph.attr(label=_escaped("\n".join(notes)), labeljust="l", fontsize="10")
    return graph


def _legend(heat: Heat) -> str:
    """The scale of colours, as Graphviz's table: its title, colours and numbers."""
    count = 2 * len(heat.marks()) - 1
    cells = "".join(f'<TD BGCOLOR="{colour_of(i / (count - 1))[0]}" WIDTH="60" HEIGHT="10"></TD>' for i in range(count))
    marks = "".join(f"<TD>{escape(dict(heat.marks()).get(i / (count - 1), ''))}</TD>" for i in range(count))
    title = f'<TR><TD COLSPAN="{count}" ALIGN="LEFT">{escape(heat.title)}</TD></TR>'
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0">{title}<TR>{cells}</TR><TR>{marks}</TR></TABLE>'


def _frame(graph: Any, frame: Item, look: Look) -> None:
    for item in frame.children or ():
        if item.children is not None:
            with graph.subgraph(name=f"cluster_{item.key}") as inner:
                inner.attr(
                    label=_escaped(group_title(item)), style="rounded,filled", fillcolor="#f4f5f8", color="#b9c0cc", labeljust="l", fontsize="10"
                )
                _frame(inner, item, look)
            continue
        lines = ["".join(run.text for run in line) for line in lines_of(item, look)]
        attributes = {"tooltip": _escaped(description(item.vertex) if item.vertex else group_title(item))}
        attributes |= _paint(item, look)
        graph.node(_name(item), _escaped("\n".join(lines)), **attributes)


def _paint(item: Item, look: Look) -> dict[str, str]:
    """Colours and borders: what is wrong, then heat, then what a box is."""
    vertex = item.vertex
    change = vertex.facts.get("change", "") if vertex is not None else ""
    number = None if look.heat is None else look.heat.of(shown_by(item))
    if flag_of(item, look):
        return {"fillcolor": "#fde8ea", "color": "#c22032", "penwidth": "2"}
    if change:
        fill, line = {"+": ("#dff3e3", "#1f7a3a"), "−": ("#fde8ea", "#c22032")}.get(change[0], ("#fdebd0", "#c47a12"))
        return {"fillcolor": fill, "color": line, "penwidth": "2"}
    if look.heat is not None and number is not None:
        fill, ink = colour_of(look.heat.place(number))
        return {"fillcolor": fill, "fontcolor": ink}
    if item.output:
        return {"fillcolor": "#fdebd0", "color": "#c47a12", "peripheries": "2" if item.group is not None and item.group.count > 1 else "1"}
    if item.group is not None:
        return {"fillcolor": "#eceef3", "peripheries": "2" if item.group.count > 1 else "1"}
    if item.kind == "leaf":
        return {"fillcolor": "#dcebfb", "color": "#2f78bf"}
    if item.kind in ("constant", "previous"):
        return {"fillcolor": "white", "style": "rounded,filled,dashed"}
    return {"fillcolor": "#fdebd0", "color": "#c47a12"} if vertex is not None and vertex.output else {}


def _edges(root: Item) -> list[tuple[str, str, str]]:
    """Edges between boxes, those that pass through frames joined to one."""
    edges = []
    stack = [root]
    entered: dict[tuple[Item, str], Item] = {}  # (frame, value) -> the box outside that it comes from
    left: dict[tuple[Item, str], Item] = {}  # (frame, value) -> the box inside that it comes from
    order: list[Item] = []
    while stack:
        frame = stack.pop()
        order.append(frame)
        stack.extend(reversed([c for c in frame.children or () if c.children is not None]))
    for frame in reversed(order):
        for net in frame.nets.values():
            if net.source is not None and None in net.targets:
                source = net.source
                left[frame, net.value] = left[source, net.value] if source.children is not None else source
    for frame in order:
        for net in frame.nets.values():
            if net.source is None:
                source = entered[frame, net.value]
            else:
                source = left[net.source, net.value] if net.source.children is not None else net.source
            for target in net.targets:
                if target is None:
                    continue
                if target.children is not None:
                    entered[target, net.value] = source
                else:
                    edges.append((_name(source), _name(target), ", ".join(target.inputs.get(net.value, ()))))
    return edges


def _name(item: Item) -> str:
    return item.key.replace("@", "_at_")  # a colon or an at sign would be read as a port


def _escaped(text: str) -> str:
    """Text for a label: DOT reads backslashes, and a label in angle brackets as markup."""
    text = "".join(c if c.isprintable() or c == "\n" else " " for c in text).replace("\\", "\\\\").replace("\n", "\\n")
    return f" {text}" if text.startswith("<") and text.endswith(">") else text


def render(source: str, suffix: str) -> bytes:
    """`source` (DOT) as PNG or PDF: by the system's `dot`, else by pygraphviz, which carries Graphviz with it.

    raises : RuntimeError naming both where neither is there
    """
    problems = []
    dot = shutil.which("dot")
    if dot is not None:
        done = subprocess.run([dot, f"-T{suffix}"], input=source.encode(), capture_output=True, check=False)
        if done.returncode == 0:
            return done.stdout
        problems.append(f"dot failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    else:
        problems.append("no `dot` program on PATH")
    done = subprocess.run([sys.executable, "-c", _PYGRAPHVIZ, suffix], input=source.encode(), capture_output=True, check=False)
    if done.returncode == 0 and done.stdout:
        return done.stdout
    missing = b"No module named" in done.stderr
    problems.append("pygraphviz is not installed" if missing else f"pygraphviz failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    raise RuntimeError(
        f"cannot draw .{suffix}: {'; '.join(problems)}. Either install Graphviz (its `dot`, from graphviz.org or your system's packages), "
        "or `pip install pygraphviz`, whose wheels carry Graphviz inside. .svg and .html need neither."
    )
