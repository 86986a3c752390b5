"""`ag.draw`: from outputs to a drawing that shows itself in a notebook, prints itself, and saves itself by suffix."""

from __future__ import annotations

import functools
from html import escape
from pathlib import Path
from typing import Any

from autograd_core.drawing import dot
from autograd_core.drawing.data import json_of
from autograd_core.drawing.document.document import Document
from autograd_core.drawing.document.gather import document_of_outputs, document_of_recorded
from autograd_core.drawing.document.grouping import opened_at_first
from autograd_core.drawing.document.recorder import Recorder
from autograd_core.drawing.figure import Figure, figure_of, look_at
from autograd_core.drawing.files import write_whole
from autograd_core.drawing.html import html_of
from autograd_core.drawing.scene import Scene, scene_of
from autograd_core.drawing.svg import svg_of
from autograd_core.drawing.text import text_of

__all__ = ["Drawing", "draw", "draw_recorded"]

SUFFIXES = (".svg", ".html", ".png", ".pdf", ".dot", ".json", ".txt")


def draw(
    outputs: Any,
    *,
    params: Any = None,
    depth: int | None = None,
    expand: str | None = None,
    fold: bool | str = True,
    heat: str | None = None,
    backward: bool = False,
    direction: str = "down",
) -> Drawing:
    """A picture of the program that `outputs` were computed by: boxes are operations with shape, dtype and bytes.

    outputs    a Tensor, or a list, tuple or dict (of names) of them; or a recording (of `with ag.record() as recording:`)
    params     names for leaves and modules: {"w": w, "query": layer}, or a module with `named_parameters()`
    depth      how many levels of modules to open; by default as many as fit into about 40 boxes
    expand     also open modules with this dotted name; a pattern such as "encoder.*"
    fold       draw equal time steps or stacked blocks once, marked ×20; "all": also those that differ in a number, and say in which
    heat       colour boxes by "memory", "saved", "time", "backward time", "gradient", "value" or "update"
    backward   show the backward pass: the gradients' way from the outputs to the leaves, numbered in order, with the rules
    direction  where the program flows to: "down" or "right"
    returns    a Drawing: it shows itself in a notebook, `print(drawing)` is a tree, `drawing.save("graph.svg")` writes a file
    raises     TypeError if an output is no Tensor, ValueError for an unknown direction or heat, or one that is not known here

    Modules, lines, times, values and gradients are shown if the program ran inside `with ag.record():`.

    >>> import numpy as np, autograd_core as ag
    >>> w = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> print(ag.draw(np.tanh(w * 3).sum(), params={"w": w}))
    %1 multiply  w, 3  (2,) float64  16 B
    %2 tanh      %1    (2,) float64  16 B, keeps 16 B
    %3 sum       %2    () float64    8 B  → output
    3 operations, 1 leaf, 16 B saved for backward
    """
    _check_options(direction, depth)
    if isinstance(outputs, Recorder):
        return draw_recorded(outputs, params=params, fold=fold, direction=direction, depth=depth, expand=expand, heat=heat, backward=backward)
    return Drawing(document_of_outputs(outputs, params, fold), direction=direction, depth=depth, expand=expand, heat=heat, backward=backward)


def draw_recorded(recorder: Recorder, *, params: Any = None, fold: bool | str = True, **options: Any) -> Drawing:
    """See `Recording.draw`."""
    _check_options(options.get("direction", "down"), options.get("depth"))
    return Drawing(document_of_recorded(recorder, params, fold), **options)


def _check_options(direction: str, depth: int | None) -> None:
    if direction not in ("down", "right"):
        raise ValueError(f"draw: direction must be 'down' or 'right', not {direction!r}")
    if depth is not None and (not isinstance(depth, int) or depth < 0):
        raise ValueError(f"draw: depth must be a number of levels, 0 or more, not {depth!r}")


class Drawing:
    """A picture of a program. `document` is what it shows, as plain data: changing a drawing never touches a tape."""

    def __init__(
        self,
        document: Document,
        *,
        direction: str = "down",
        depth: int | None = None,
        expand: str | None = None,
        heat: str | None = None,
        backward: bool = False,
    ) -> None:
        self.document = document
        self.direction = direction
        self.look = look_at(document, heat, backward)
        self.opened, self.plates = opened_at_first(document, depth, expand)

    @functools.cached_property
    def scene(self) -> Scene:
        """What is in view."""
        return scene_of(self.document, self.opened, self.plates, constants=not self.look.backward)

    @functools.cached_property
    def figure(self) -> Figure:
        """The scene with everything in its place."""
        return figure_of(self.scene, self.direction, self.look)

    def svg(self) -> str:
        """The picture as SVG text."""
        return svg_of(self.figure)

    def html(self) -> str:
        """A page for a browser, in one file, offline: groups open and close, search, heat, details, mouse and keyboard."""
        return html_of(self.document, self.look, self.opened, self.plates, self.direction)

    def json(self) -> str:
        """Everything that the picture can show, as JSON text."""
        return json_of(self.document)

    def digraph(self) -> Any:
        """The view as a `graphviz.Digraph`, to edit or render."""
        return dot.digraph_of(self.scene, self.direction, self.look)

    def save(self, path: Any) -> None:
        """Write the picture: .svg, .html, .json and .txt need nothing else; .dot the graphviz package; .png and .pdf Graphviz.

        raises  ValueError for another suffix or a graph too large for Graphviz, ImportError or RuntimeError where a program is
                missing (saying how to get it), OSError where the path cannot be written; a half-written file is never left
        """
        path = Path(path)
        write_whole(path, self._content(path.suffix.lower()))

    def _content(self, suffix: str) -> str | bytes:
        match suffix:
            case ".svg":
                return self.svg()
            case ".html":
                return self.html()
            case ".json":
                return self.json()
            case ".txt":
                return f"{self}\n"
            case ".dot":
                return str(self.digraph().source)
            case ".png" | ".pdf":
                if len(self.scene.items) > dot.MOST_BOXES:
                    raise ValueError(
                        f"{len(self.scene.items)} boxes are in view, and Graphviz would take very long: save .html or .svg, or show less with depth="
                    )
                return dot.render(self.digraph().source, suffix[1:])
        raise ValueError(f"cannot tell the format from the suffix {suffix!r}; known are {', '.join(SUFFIXES)}")

    def __str__(self) -> str:
        return text_of(self.document, self.opened, self.plates, self.look.findings)

    def __repr__(self) -> str:
        return f"<drawing of {self.document.operations} operations; print() shows it as text, .save('graph.svg') writes it>"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        height = round(min(max(self.figure.height + 120, 260), 620))
        return f'<iframe title="Computation graph" srcdoc="{escape(self.html())}" style="width:100%;height:{height}px;border:0"></iframe>'
