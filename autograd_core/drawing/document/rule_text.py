"""The text of derivative rules, as they were registered."""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any

from autograd_core.tape.op import Op
from autograd_core.tape.signatures import rule_parameters

__all__ = ["rule_text", "rules_of"]

LONGEST = 200


def rules_of(op: Op) -> dict[str, str]:
    """Argument's name -> text of its rule: {"x1": "g, x2 -> g * x2.conjugate()", ...}."""
    return {name: rule_text(rule) for name, rule in op.rules.items()}


def rule_text(rule: Callable[..., Any]) -> str:
    """`g, out -> g * (1 - out * out)` for a lambda; the name of a function that was defined elsewhere.

    >>> rule_text(lambda g, out: g * (1 - out * out)).startswith("g, out -> ")
    True
    """
    try:
        takes = ", ".join(("g", *rule_parameters(rule)))
    except (TypeError, ValueError):
        takes = "g, ..."
    code = getattr(rule, "__code__", None)
    name = getattr(rule, "__name__", type(rule).__name__)
    body = _source(code) if code is not None and name == "<lambda>" else ""
    if body:
        return f"{takes} -> {body}"
    return f"{takes} -> {name}({takes})" if name != "<lambda>" else takes


def _source(code: Any) -> str:
    """The text of a lambda's body, from the places of its instructions."""
    places = [(line, end, start, stop) for line, end, start, stop in code.co_positions() if None not in (line, end, start, stop) and stop > start]
    if not places:
        return ""
    first, last = min(p[0] for p in places), max(p[1] for p in places)
    lines = [linecache.getline(code.co_filename, number) for number in range(first, last + 1)]
    if not all(lines):
        return ""
    begin = min(start for line, _, start, _ in places if line == first)
    end = max(stop for _, until, _, stop in places if until == last)
    # Columns are counted in bytes.
    raw = [line.encode() for line in lines]
    raw[-1] = raw[-1][:end]
    raw[0] = raw[0][begin:]
    text = " ".join(b" ".join(raw).decode(errors="replace").split())
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"
