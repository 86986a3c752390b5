"""The page: what is covered, in tables, as Markdown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tools.coverage.mapped import AT_ONCE, BY_LOOP, NOT_MAPPED
from tools.coverage.peers import PEERS, Count, count_peer
from tools.coverage.reasons import METHODS_REFUSED
from tools.coverage.states import (
    COMPOSITION,
    CONSTANT,
    DIFFERENTIABLE,
    METHODS,
    REFUSED_STATE,
    RULE,
    UPDATE,
    Row,
    all_functions,
    method_states,
    rows,
    state_of,
)

__all__ = ["PAGE", "comparable", "is_stale", "page", "peers_on"]

PAGE = Path(__file__).parents[2] / "notebooks" / "numpy-coverage.md"

_INTRODUCTION = """\
# NumPy's functions and their derivatives

Every function and ufunc that NumPy {version} lets other array types override, and what it does with tensors. Written by
`python -m tools.coverage` from the engine's tables and from the samples on which the tests of each function run; not by hand.

* **rule**: the derivative is written down, and computed in one step of the tape.
* **composition**: computed, on tensors, from functions with rules.
* **recorded update**: changes its first argument, and is recorded as item assignment (`np.put(t, ...)` as `t[...] = ...`).
* **constant**: has no derivative (comparisons, places, shapes, texts); tensors give plain arrays.
* **refused**: a TypeError that says so; for the reasons below.

*Differentiated* are the arguments with respect to which the samples are differentiated, *also taken* the others that the samples
pass. An argument in neither column is in no sample; a rule that does not know it refuses it, unless it has its default value.
*Twice*: the tests differentiate the gradient again, with respect to all these arguments and to the incoming gradient.
*Mapped*: under `ag.vmap` value and gradient of the samples are computed for the whole batch "at once", some of it by a "loop" over
the batch, or the function is "refused", because it needs one Python value, or one shape, for all elements.
*Complex*: "yes", "real only" (refused on complex tensors, though NumPy takes complex arrays), or "-" where NumPy takes none.
"""


def page(before: str = "", measure_peers: bool = True) -> str:
    """The whole page. Peers that are not installed keep the line they have in `before`, the page as it was."""
    table = rows()
    parts = [
        _INTRODUCTION.format(version=_numpy_version()),
        _totals(table),
        _peer_table(before, measure_peers),
        *(_functions(table, namespace) for namespace in _namespaces(table)),
        _methods(),
        _listed("Constant", "Without derivative: tensors give plain arrays.", table, CONSTANT),
        _refused(table),
    ]
    return "\n".join(parts)


def comparable(text: str) -> bool:
    """Whether `text` is a page made with this minor version of NumPy: others have other functions."""
    found = re.search(r"ufunc that NumPy (\d+\.\d+) lets", text)
    return found is None or found[1] == _numpy_version()


def is_stale(text: str) -> bool:
    """Whether the page would be written differently now, apart from the peers' lines."""
    return text != page(text, measure_peers=False)


def _numpy_version() -> str:
    return ".".join(np.__version__.split(".")[:2])


def _table(titles: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    titles = list(titles)
    return "\n".join(f"| {' | '.join(line)} |" for line in [titles, ["---"] * len(titles), *lines]) + "\n"


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _totals(table: list[Row]) -> str:
    counts = Counter(row.state for row in table)
    covered = sum(counts[state] for state in DIFFERENTIABLE)
    methods = Counter(state for states in method_states().values() for state in states.values() if state != "-")
    lines = [[state, str(counts[state]), str(methods[state])] for state in (*DIFFERENTIABLE, CONSTANT, REFUSED_STATE)]
    lines.append(["all", str(len(table)), str(sum(methods.values()))])
    twice = sum(row.second_order for row in table)
    tested = sum(row.state in (RULE, COMPOSITION) for row in table)
    ways = Counter(row.mapped for row in table)
    mapped = (
        f"Under `ag.vmap` {ways[AT_ONCE]} are computed at once, {ways[BY_LOOP]} by a loop in some sample, {ways[NOT_MAPPED]} are refused there.\n"
    )
    text = f"{covered} functions are differentiated; of the {tested} with a rule or composition, {twice} are tested at second order.\n"
    return "## Totals\n\n" + _table(["state", "functions", "methods of ufuncs"], lines) + "\n" + text + mapped


# --- beside other engines ------------------------------------------------------------------------------------------------------------


def _own_count() -> Count:
    known = {function: name for name, function in all_functions().items() if state_of(function) in DIFFERENTIABLE}
    namespaces = Counter(_namespace(name) for name in known.values())
    return Count("", namespaces["np"], namespaces["np.linalg"], namespaces["np.fft"])


def peers_on(text: str) -> dict[str, Count]:
    """The peers' counts that stand on a page."""
    found = re.findall(r"^\| ([\w ]+?) (\d[\w.]*) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    return {name: Count(version, *map(int, numbers)) for name, version, *numbers in found if name in PEERS}


def _peer_table(before: str, measure: bool) -> str:
    own, last = _own_count(), peers_on(before)
    lines = [["this engine", *map(str, own[1:])]]
    for name in PEERS:
        count = (count_peer(name) if measure else None) or last.get(name)
        if count is not None:
            lines.append([f"{name} {count.version}", *map(str, count[1:])])
    introduction = (
        "Functions with a derivative, or composed of such ones, by enumeration of each engine's own tables.\n"
        "Those of other engines may lack keywords, or a second derivative; this is not counted.\n"
    )
    return f"## Beside other engines\n\n{introduction}\n" + _table(["", "numpy", "numpy.linalg", "numpy.fft"], lines)


# --- the functions -------------------------------------------------------------------------------------------------------------------


def _namespace(name: str) -> str:
    return name.rpartition(".")[0]


def _namespaces(table: list[Row]) -> list[str]:
    return list(dict.fromkeys(_namespace(row.name) for row in table if row.state in DIFFERENTIABLE))


def _functions(table: list[Row], namespace: str) -> str:
    lines = [
        [f"`{row.name}`", row.state, _code(row.differentiable), _code(row.others), "yes" if row.second_order else "", row.mapped, row.is_complex]
        for row in table
        if row.state in DIFFERENTIABLE and _namespace(row.name) == namespace
    ]
    return f"## {namespace.replace('np', 'numpy', 1)}\n\n" + _table(
        ["function", "state", "differentiated", "also taken", "twice", "mapped", "complex"], lines
    )


def _methods() -> str:
    words = {COMPOSITION: "yes", RULE: "yes", UPDATE: "yes", CONSTANT: "constant"}
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, states in method_states().items():
        groups.setdefault(tuple(words.get(states[method], states[method]) for method in METHODS), []).append(name)
    lines = [[_code(names), *states] for states, names in groups.items()]
    reasons: dict[str, list[str]] = {}
    for name, reason in METHODS_REFUSED.items():
        reasons.setdefault(reason, []).append(name)
    why = "\n".join(f"* {_code(names)}: {reason}." for reason, names in reasons.items())
    table = _table(["ufunc", *METHODS], lines)
    text = (
        '"-": NumPy has no such method. Refused are methods of functions without derivative, which give whole numbers or truth values;\n'
        "those of the others for these reasons:"
    )
    return f"## Methods of ufuncs\n\n{table}\n{text}\n\n{why}\n"


def _listed(title: str, text: str, table: list[Row], state: str) -> str:
    return f"## {title}\n\n{text}\n\n{_code(row.name for row in table if row.state == state)}\n"


def _refused(table: list[Row]) -> str:
    reasons: dict[str, list[str]] = {}
    for row in table:
        if row.state not in (*DIFFERENTIABLE, CONSTANT):
            reasons.setdefault(row.reason or "unknown", []).append(row.name)
    return "## Refused\n\n" + _table(["reason", "functions"], [[reason, _code(names)] for reason, names in reasons.items()])
