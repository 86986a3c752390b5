"""Health: what is wrong with a run, as far as its facts tell, and where.

not finite     the first operation that made NaN or infinity of finite numbers, and the way from there to the outputs
zero, vanishing, exploding   parameters whose gradients are all zero, or far smaller or larger than the others'
unreached      parameters that the program does not depend on: no backward pass will ever reach them
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from autograd_core.drawing.document.document import Document, Vertex

__all__ = ["EXPLODING", "VANISHING", "Finding", "health_of"]

VANISHING = 1e-6  # of the largest gradient among the parameters (root mean squares)
EXPLODING = 1e4  # times the median gradient among the parameters


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what, a sentence, the vertices where it is, and those that it spread to."""

    kind: str
    text: str
    vertices: tuple[int, ...]
    path: tuple[int, ...] = ()


def health_of(document: Document) -> list[Finding]:
    """All findings, the gravest first; empty if nothing is known to be wrong."""
    return [*_not_finite(document), *_gradients(document), *_unreached(document)]


def _finite(vertex: Vertex, of: str = "value") -> bool | None:
    summary = vertex.facts.get(of)
    return None if summary is None else not (summary["nans"] or summary["infs"])


def _not_finite(document: Document) -> list[Finding]:
    sources: dict[int, list[int]] = {}
    for edge in document.edges:
        sources.setdefault(edge.target, []).append(edge.source)
    bad = {v.index for v in document.vertices if _finite(v) is False}
    given: set[int] = set()  # an infinity that the program was given, such as a mask of -inf, is no anomaly, and may be handed on
    for i in sorted(bad):
        vertex = document.vertices[i]
        handed_on = any(source in given for source in sources.get(i, ())) and not any(source in bad - given for source in sources.get(i, ()))
        if not vertex.facts["value"]["nans"] and (vertex.facts.get("given_infinity") or handed_on):
            given.add(i)
    bad -= given
    first = [i for i in sorted(bad) if not any(source in bad for source in sources.get(i, ()))]
    if not first:
        return []
    reached = set(first)
    for at in sorted(bad):
        if any(source in reached for source in sources.get(at, ())):
            reached.add(at)
    findings = []
    for i in first[:3]:
        vertex = document.vertices[i]
        summary = vertex.facts["value"]
        names = " and ".join(name for key, name in (("nans", "NaN"), ("infs", "infinity")) if summary[key])
        where = f" at {vertex.facts['line']}" if "line" in vertex.facts else ""
        how = "holds" if vertex.kind != "op" else "makes the first"
        text = f"%{i} {vertex.label}{where} {how} {names}: {summary['nans'] + summary['infs']} of {summary['size']} values."
        findings.append(Finding("not finite", text, (i,), tuple(sorted(reached - {i}))))
    return findings


def _gradients(document: Document) -> list[Finding]:
    sizes: dict[int, float] = {}
    bad: list[int] = []
    for vertex in document.vertices:
        if vertex.kind == "leaf" and "gradient" in vertex.facts:
            if _finite(vertex, "gradient"):
                sizes[vertex.index] = vertex.facts["gradient"]["rms"]
            else:
                bad.append(vertex.index)
    findings = []

    def add(kind: str, indices: list[int], tail: str) -> None:
        if indices:
            names = ", ".join(document.vertices[i].label for i in indices[:6]) + (", …" if len(indices) > 6 else "")
            findings.append(Finding(kind, f"{'Gradient' if len(indices) == 1 else 'Gradients'} of {names} {tail}", tuple(indices)))

    add("not finite", bad, "not finite.")
    zero = [i for i, size in sizes.items() if size == 0]
    add("zero", zero, "all zero.")
    positive = [size for size in sizes.values() if size > 0]
    if len(positive) > 1:
        largest, middle = max(positive), statistics.median(positive)
        add("vanishing", [i for i, size in sizes.items() if 0 < size < VANISHING * largest], f"under {VANISHING:g} of the largest.")
        add("exploding", [i for i, size in sizes.items() if size > EXPLODING * middle], f"over {EXPLODING:g} times the median.")
    return findings


def _unreached(document: Document) -> list[Finding]:
    lost = [v.index for v in document.vertices if v.facts.get("unreached")]
    if not lost:
        return []
    names = ", ".join(document.vertices[i].label for i in lost[:6]) + (", …" if len(lost) > 6 else "")
    return [Finding("unreached", f"Never reached by the backward pass: {names}.", tuple(lost))]
