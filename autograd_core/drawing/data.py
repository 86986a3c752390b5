"""The JSON writer: the document as it is, for programs that look at graphs."""

from __future__ import annotations

import json
import math
from typing import Any

from autograd_core.drawing.document.document import Document, Group
from autograd_core.drawing.health import health_of

__all__ = ["finite", "json_of"]


def json_of(document: Document) -> str:
    """The document as JSON text: vertices, edges, the tree of groups, notes."""
    vertices = [
        {
            "index": v.index,
            "kind": v.kind,
            "op": v.op,
            "label": v.label,
            "shape": finite(v.shape),
            "dtype": v.dtype,
            "bytes": v.nbytes,
            "saved_bytes": v.saved_bytes,
            "requires_grad": v.kind != "constant",
            "freed": v.freed,
            "name": v.name,
            "arguments": v.arguments,
            "output": v.output,
            **({"error": v.error} if v.error else {}),
            **({"facts": finite(v.facts)} if v.facts else {}),
        }
        for v in document.vertices
    ]
    edges = [{"source": e.source, "target": e.target, "argument": e.argument, "place": e.place} for e in document.edges]
    content = {
        "format": "autograd-core graph 1",
        "vertices": vertices,
        "edges": edges,
        "program": _group(document.root),
        "saved_bytes": document.saved_bytes,
        "rules": document.rules,
        "health": [{"kind": f.kind, "text": f.text, "vertices": f.vertices, "path": f.path} for f in health_of(document)],
        "notes": document.notes,
    }
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def finite(facts: Any) -> Any:
    """The same with None for what JSON cannot say: not a number, infinity."""
    if isinstance(facts, dict):
        return {key: finite(value) for key, value in facts.items()}
    if isinstance(facts, tuple | list):
        return [finite(value) for value in facts]
    return None if isinstance(facts, float) and not math.isfinite(facts) else facts


def _group(root: Group) -> dict[str, Any]:
    made: dict[int, dict[str, Any]] = {}
    for group in reversed(list(root.groups())):  # the innermost first
        children = [made.pop(id(child)) if isinstance(child, Group) else child for child in group.children]
        made[id(group)] = {
            "key": group.key,
            "kind": group.kind,
            "name": group.name,
            "detail": group.detail,
            "count": group.count,
            "children": children,
        }
    return made[id(root)]
