"""Heat: a number for every box (bytes, seconds, sizes of gradients), and the colours that show it.

The colours are those of viridis, whose lightness grows evenly: they are in order for colour-blind readers and in grey print,
and the number itself is written in each box.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from autograd_core.drawing.document.document import Document, Vertex
from autograd_core.instruments.listing import size_text

__all__ = ["HEATS", "Heat", "colour_of", "heat_of"]


def _summary(vertex: Vertex, of: str) -> float | None:
    summary = vertex.facts.get(of)
    if summary is None:
        return None
    return math.inf if summary["nans"] or summary["infs"] else float(summary["rms"])


def _update(vertex: Vertex) -> float | None:
    value, gradient = _summary(vertex, "value"), _summary(vertex, "gradient")
    return None if vertex.kind != "leaf" or value is None or gradient is None or not 0 < value < math.inf else gradient / value


class _Metric:
    """What can be shown as heat: its title, its value for a vertex, how values of a group are joined, how they are written."""

    def __init__(
        self, title: str, of: Callable[[Vertex], float | None], join: Callable[[Iterable[float]], float], text: Callable[[float], str]
    ) -> None:
        self.title, self.of, self.join, self.text = title, of, join, text


def seconds_text(seconds: float) -> str:
    """`0.0012` as "1.2 ms".

    >>> seconds_text(0.0012), seconds_text(2.5), seconds_text(3e-6)
    ('1.2 ms', '2.5 s', '3.0 µs')
    """
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.1f} µs"


def number_text(number: float) -> str:
    """`0.00123` as "1.2e-03", `12.3` as "12.3"."""
    return "not finite" if not math.isfinite(number) else "0" if number == 0 else f"{number:.3g}" if 1e-2 <= abs(number) < 1e5 else f"{number:.1e}"


def _bytes_text(number: float) -> str:
    return size_text(int(number))


HEATS = {
    "memory": _Metric("bytes of the result", lambda v: v.nbytes or None, sum, _bytes_text),
    "saved": _Metric("bytes kept for the backward pass", lambda v: v.saved_bytes or None, sum, _bytes_text),
    "time": _Metric("time of the forward computation", lambda v: v.facts.get("forward_seconds"), sum, seconds_text),
    "backward time": _Metric("time of the backward step", lambda v: v.facts.get("backward_seconds"), sum, seconds_text),
    "gradient": _Metric("size of the gradient (root mean square)", lambda v: _summary(v, "gradient"), max, number_text),
    "value": _Metric("size of the values (root mean square)", lambda v: _summary(v, "value"), max, number_text),
    "update": _Metric("gradient over value of a parameter (root mean squares)", _update, max, number_text),
}


class Heat:
    """One metric on one document. `of(vertices)` is the number for a box that stands for these vertices, or None."""

    def __init__(self, name: str, document: Document) -> None:
        self.name = name
        self.metric = HEATS[name]
        self.title = self.metric.title
        self.values = {v.index: value for v in document.vertices if (value := self.metric.of(v)) is not None}
        self.low = self.high = 0.0

    def of(self, vertices: Iterable[int]) -> float | None:
        """The number for these vertices together."""
        values = [self.values[v] for v in vertices if v in self.values]
        return self.metric.join(values) if values else None

    def scale_to(self, numbers: Iterable[float]) -> None:
        """Let the colours run from the smallest to the largest of `numbers`, in logarithms if they span more than 1:50."""
        finite = [n for n in numbers if math.isfinite(n) and n > 0]
        self.low, self.high = min(finite, default=0.0), max(finite, default=0.0)

    @property
    def logarithmic(self) -> bool:
        return self.low > 0 and self.high / self.low > 50

    def place(self, number: float) -> float:
        """Where `number` is on the scale, from 0 to 1."""
        if not math.isfinite(number) or self.high <= self.low:
            return 1.0
        if number <= self.low:
            return 0.0
        if self.logarithmic:
            return math.log(number / self.low) / math.log(self.high / self.low)
        return (number - self.low) / (self.high - self.low)

    def text(self, number: float) -> str:
        """`number` with its unit."""
        return self.metric.text(number)

    def marks(self) -> list[tuple[float, str]]:
        """Places on the scale and their numbers, for the legend."""
        middle = math.sqrt(self.low * self.high) if self.logarithmic else (self.low + self.high) / 2
        return [(0.0, self.text(self.low)), (0.5, self.text(middle)), (1.0, self.text(self.high))]


def heat_of(name: str | None, document: Document) -> Heat | None:
    """The heat of that name.

    raises : ValueError for an unknown name, or where nothing is known (nothing was recorded), saying what to do
    """
    if name is None:
        return None
    if name not in HEATS:
        raise ValueError(f"draw: unknown heat {name!r}; known are {', '.join(HEATS)}")
    heat = Heat(name, document)
    if not heat.values and document.vertices:
        ran = (
            "run the forward pass inside `with ag.record():`"
            if name in ("time", "value")
            else "run the backward pass too, inside `with ag.record():`"
        )
        raise ValueError(f"draw: heat {name!r} is not known for this program; " + ("nothing is kept (any more)" if name == "saved" else ran))
    return heat


_VIRIDIS = [(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)]


def colour_of(place: float) -> tuple[str, str]:
    """Colour of a box at `place` (0 to 1), and of text on it.

    >>> colour_of(0.0), colour_of(1.0)
    (('#440154', '#ffffff'), ('#fde725', '#000000'))
    """
    at = max(0.0, min(place, 1.0)) * (len(_VIRIDIS) - 1)
    i = min(int(at), len(_VIRIDIS) - 2)
    rgb = [round(a + (b - a) * (at - i)) for a, b in zip(_VIRIDIS[i], _VIRIDIS[i + 1], strict=True)]
    return "#{:02x}{:02x}{:02x}".format(*rgb), "#ffffff" if _luminance(rgb) < 0.18 else "#000000"


def _luminance(rgb: list[int]) -> Any:
    linear = [(c / 255 / 12.92) if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
