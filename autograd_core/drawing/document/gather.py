"""Gathering: from a listing, recordings and the leaves' tensors to a document with facts and groups.

The facts of a vertex are plain values under these names, as far as they are known:

    line, code        "train.py:12" and the text of that line, the user's own
    module            dotted name of the module that it ran in
    forward_seconds, backward_seconds, backward_order
    given_infinity    True where all infinities in the value come from a constant, such as a mask
    value, gradient   summaries: {"size", "low", "high", "mean", "rms", "zeros", "nans", "infs"}
"""

from __future__ import annotations

import linecache
from typing import Any

from autograd_core.drawing.document.document import Document, Edge, Group, Vertex, constant_vertex, document_of
from autograd_core.drawing.document.grouping import group
from autograd_core.drawing.document.recorder import Call, Facts, Recorder, recorders
from autograd_core.drawing.document.rule_text import rules_of
from autograd_core.drawing.document.summary import Summary, summary_of
from autograd_core.instruments.listing import Argument, Row, Tape, names_of_nodes, output_tensors, tape
from autograd_core.tape.node import Leaf, program_order
from autograd_core.tape.source_lines import place_text

__all__ = ["document_of_outputs", "document_of_recorded"]


def document_of_outputs(outputs: Any, params: Any, folded: bool | str = True) -> Document:
    """Everything that is known about the program that `outputs` were computed by."""
    known = recorders()
    listing = tape(outputs, params)
    document = _described(listing, _output_names(outputs), known)
    roots = dict.fromkeys(t.node for t in output_tensors(outputs) if t.node is not None)
    _, leaves = program_order(roots)
    _describe_leaves(document, {leaf.number: leaf for leaf in leaves})
    _add_unreached(document, params)
    _group(document, listing, known, folded, params)
    return document


def document_of_recorded(recorded: Recorder, params: Any, folded: bool | str = True) -> Document:
    """The program of a recording as far as it ran, with the operation that failed as the last one."""
    listing = recorded.tape(params)
    names = [f"output {i}" for i in range(len(listing.outputs))] if len(listing.outputs) > 1 else ["output"] * len(listing.outputs)
    if recorded.failure is not None or recorded.error:
        names = [""] * len(names)
    document = _described(listing, names, [recorded])
    if recorded.failure is not None:
        _add_failure(document, recorded)
    if recorded.error:
        document.notes.append(f"The forward pass raised {recorded.error}")
    _group(document, listing, [recorded], folded, params, failed_in=None if recorded.failure is None else recorded.failure.call)
    return document


def _output_names(outputs: Any) -> list[str]:
    if isinstance(outputs, dict):
        counts = [(name, len(output_tensors(value))) for name, value in outputs.items()]
        return [str(name) if count == 1 else f"{name}[{i}]" for name, count in counts for i in range(count)]
    count = len(output_tensors(outputs))
    return ["output"] if count == 1 else [f"output {i}" for i in range(count)]


def _described(listing: Tape, names: list[str], known: list[Recorder]) -> Document:
    facts: dict[int, Facts] = {}
    for recorded in known:
        facts.update(recorded.facts)

    def constant(row: Row, argument: Argument) -> tuple[int, Any, str] | str | None:
        noted = facts.get(row.number)
        if noted is None or not noted.constants:
            return None
        op = listing.operation(row.index)
        position = op.parameters.index(argument.name) if argument.name in op.parameters else -1
        if argument.element is not None:
            position += argument.element if op.variadic == position else len(op.parameters) + 1
        return noted.constants.get(position)

    document = document_of(listing, names, constant if facts else None)
    ops = {row.op: listing.operation(row.index) for row in listing if not row.leaf}
    document.rules = {name: rules_of(op) for name, op in sorted(ops.items()) if op.rules}
    for row in listing:
        noted = facts.get(row.number)
        if noted is not None:
            document.vertices[row.index].facts = _plain(noted)
    return document


def _plain(noted: Facts) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    if noted.place is not None:
        plain["line"], plain["code"] = place_text(noted.place), linecache.getline(*noted.place).strip()
    if noted.seconds:
        plain["forward_seconds"] = noted.seconds
    if noted.given_infinity:
        plain["given_infinity"] = True
    for name in ("backward_seconds", "backward_order"):
        if getattr(noted, name) is not None:
            plain[name] = getattr(noted, name)
    for name in ("value", "gradient"):
        summary = getattr(noted, name)
        if isinstance(summary, Summary):
            plain[name] = summary._asdict()
    return plain


def _describe_leaves(document: Document, leaves: dict[int, Leaf]) -> None:
    for vertex in document.vertices:
        leaf = leaves.get(vertex.number) if vertex.kind == "leaf" else None
        tensor = None if leaf is None else leaf.tensor()
        if tensor is None:
            continue
        for name, value in (("value", tensor._array), ("gradient", None if tensor.grad is None else tensor.grad._array)):
            summary = None if value is None else summary_of(value)
            if summary is not None:
                vertex.facts[name] = summary._asdict()


def _add_unreached(document: Document, params: Any) -> None:
    """Parameters that the program does not depend on: the backward pass will never reach them."""
    there = {v.number for v in document.vertices}
    for node, name in names_of_nodes(params).items():
        if isinstance(node, Leaf) and node.number not in there and document.vertices:
            size = node.size * node.dtype.itemsize
            vertex = Vertex(len(document.vertices), "leaf", "leaf", name, node.shape, str(node.dtype), size, name=name, number=node.number)
            tensor = node.tensor()
            summary = None if tensor is None else summary_of(tensor._array)
            if summary is not None:
                vertex.facts["value"] = summary._asdict()
            vertex.facts["unreached"] = True
            document.vertices.append(vertex)


def _add_failure(document: Document, recorded: Recorder) -> None:
    failure = recorded.failure
    assert failure is not None
    index = len(document.vertices)
    texts = ", ".join(str(argument) for argument in failure.arguments)
    vertex = Vertex(index, "op", failure.op, failure.op, (), "", arguments=texts, error=failure.error)
    if failure.place is not None:
        vertex.facts["line"], vertex.facts["code"] = place_text(failure.place), linecache.getline(*failure.place).strip()
    document.vertices.append(vertex)
    document.root.children.append(index)
    for place, argument in enumerate(failure.arguments):
        name = argument.name if argument.element is None else f"{argument.name}[{argument.element}]"
        if argument.row is not None:
            document.edges.append(Edge(argument.row, index, name, place))
        elif argument.constant.startswith("<"):
            constant = constant_vertex(len(document.vertices), argument.constant)
            document.vertices.append(constant)
            document.edges.append(Edge(constant.index, index, name, place))


def _group(document: Document, listing: Tape, known: list[Recorder], folded: bool | str, params: Any, failed_in: int | None = None) -> None:
    """Give the document its groups: a call's key is (recording, key), since several recordings may have seen parts of it."""
    calls: dict[tuple[int, int], Call] = {}
    call_of: dict[int, tuple[int, int]] = {}
    backward_of: dict[int, int] = {}
    index = {row.number: row.index for row in listing}
    for which, recorded in enumerate(known):
        calls.update(((which, call.key), call) for call in recorded.named_calls(params))
        for row in listing:
            noted = recorded.facts.get(row.number)
            if noted is None:
                continue
            if noted.call is not None:
                call_of[row.index] = (which, noted.call)
            if noted.backward_of is not None and noted.backward_of in index:
                backward_of[row.index] = index[noted.backward_of]
        if failed_in is not None:
            call_of[_failed(document)] = (which, failed_in)
    for row in listing:  # one of several results has no facts of its own
        if row.op.startswith("output ") and row.sources and row.sources[0] in call_of:
            call_of.setdefault(row.index, call_of[row.sources[0]])
    given = {-number for call in calls.values() for number in call.data if number < 0}
    for vertex in document.vertices:
        if vertex.kind == "constant" and -vertex.number in given:
            vertex.label = "input"
    group(document, calls, call_of, backward_of, folded)
    _name_modules(document)


def _failed(document: Document) -> int:
    return next(v.index for v in document.vertices if v.error)


def _name_modules(document: Document) -> None:
    """Tell every vertex the module that it is in."""
    stack: list[tuple[Group, str]] = [(document.root, "")]
    while stack:
        found, path = stack.pop()
        path = found.path if found.kind == "module" else path
        for child in found.children:
            if isinstance(child, Group):
                stack.append((child, path))
            elif path:
                document.vertices[child].facts["module"] = path
