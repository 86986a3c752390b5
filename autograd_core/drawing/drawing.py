"""`ag.draw`: from outputs to a drawing that shows itself in a notebook, prints itself, and saves itself by suffix."""

from __future__ import annotations

import functools
from html import escape
from pathlib import Path
from typing import Any

from autograd_core.drawing import dot
from autograd_core.drawing.data import json_of
from autograd_core.drawing.document import Document, document_of
from autograd_core.drawing.figure import Figure, figure_of
from autograd_core.drawing.files import write_whole
from autograd_core.drawing.scene import Scene, scene_of
from autograd_core.drawing.svg import svg_of
from autograd_core.drawing.text import text_of
from autograd_core.listing import output_tensors, tape

__all__ = ["Drawing", "draw"]

SUFFIXES = (".svg", ".html", ".png", ".pdf", ".dot", ".json", ".txt")


def draw(outputs: Any, *, params: Any = None, direction: str = "down") -> Drawing:
    """A picture of the program that `outputs` were computed by: boxes are operations with shape, dtype and bytes.

    outputs    a Tensor, or a list, tuple or dict (of names) of them
    params     names for leaves: {"w": w}, or a module with `named_parameters()`
    direction  where the program flows to: "down" or "right"
    returns    a Drawing: it shows itself in a notebook, `print(drawing)` is a tree, `drawing.save("graph.svg")` writes a file
    raises     TypeError if an output is no Tensor, ValueError for an unknown direction

    >>> import numpy as np, autograd_core as ag
    >>> w = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> print(ag.draw(np.tanh(w * 3).sum(), params={"w": w}))
    %1 multiply  w, 3  (2,) float64  16 B
    %2 tanh      %1    (2,) float64  16 B, keeps 16 B
    %3 sum       %2    () float64    8 B  → output
    3 operations, 1 leaf, 16 B saved for backward
    """
    if direction not in ("down", "right"):
        raise ValueError(f"draw: direction must be 'down' or 'right', not {direction!r}")
    listing = tape(outputs, params)
    return Drawing(document_of(listing, _output_names(outputs)), direction)


def _output_names(outputs: Any) -> list[str]:
    if isinstance(outputs, dict):
        return [
            name if count == 1 else f"{name}[{i}]" for name, value in outputs.items() for count in [len(output_tensors(value))] for i in range(count)
        ]
    count = len(output_tensors(outputs))
    return ["output"] if count == 1 else [f"output {i}" for i in range(count)]


class Drawing:
    """A picture of a program. `document` is what it shows, as plain data: changing a drawing never touches a tape."""

    def __init__(self, document: Document, direction: str = "down") -> None:
        self.document = document
        self.direction = direction

    @functools.cached_property
    def scene(self) -> Scene:
        """What is in view."""
        return scene_of(self.document, ())

    @functools.cached_property
    def figure(self) -> Figure:
        """The scene with everything in its place."""
        return figure_of(self.scene, self.direction)

    def svg(self) -> str:
        """The picture as SVG text."""
        return svg_of(self.figure)

    def html(self) -> str:
        """A page for a browser, in one file, offline."""
        return f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Computation graph</title>{self.svg()}</html>\n'

    def json(self) -> str:
        """Everything that the picture can show, as JSON text."""
        return json_of(self.document)

    def digraph(self) -> Any:
        """The view as a `graphviz.Digraph`, to edit or render."""
        return dot.digraph_of(self.scene, self.direction)

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
        return text_of(self.document, set())

    def __repr__(self) -> str:
        return f"<drawing of {self.document.operations} operations; print() shows it as text, .save('graph.svg') writes it>"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _repr_html_(self) -> str:
        return f'<iframe srcdoc="{escape(self.html())}" style="width:100%;height:480px;border:0"></iframe>'
