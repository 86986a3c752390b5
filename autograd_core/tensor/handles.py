"""Handles: what the engine knows of a tensor, and how it makes one around a result.

A handle holds the array, its place on the tape (None if nothing is recorded), the gradient that a backward pass left, and
whether the user was given the array itself (ownership.py). `Tensor` (tensor.py) is the handle with all that users see.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.layers import sequence_like
from autograd_core.tape.node import Node, make_node
from autograd_core.tape.op import Op
from autograd_core.tape.plan import ONE_PARENT, Edge, Plan

__all__ = ["SCALARS", "Handle", "as_operand", "handle", "lift", "plain", "raw", "results", "untracked", "wrap"]

# Never shared memory, never worth a fingerprint, and always fine as the other operand.
SCALARS = frozenset({float, int, complex, bool, *np.sctypeDict.values()})

_SEQUENCES = (list, tuple)  # `list | tuple` would make a new object at each call
new_object = object.__new__


class _Results:
    """Which class results get: the handle that says so of itself, `class Tensor(Handle, of_results=True)`."""

    __slots__ = ("kind",)

    kind: Any


results = _Results()


class Handle:
    """The four slots of a tensor, and nothing that it can do. `help(Tensor.grad)` tells what is written here."""

    __slots__ = {
        "__weakref__": "",
        "_array": "",
        "grad": "The gradient that `backward()` left, a Tensor, or None. It is added to by each pass, and may be assigned: `t.grad = None`.",
        "handed_out": "Whether the user was given the array itself, and may change it (tensor/ownership.py). The engine's own.",
        "node": "Where the tensor stands on the tape; None if nothing is recorded for it. `ag.tape(t)` shows the program behind it.",
    }

    _array: Any
    node: Any
    grad: Any
    handed_out: Any

    def __init_subclass__(cls, of_results: bool = False) -> None:
        if of_results:
            results.kind = cls


def handle(data: Any, node: Any) -> Any:
    """A tensor with the raw array `data` that stands where `node` stands in its graph."""
    result = new_object(results.kind)
    result._array = data
    result.node = node
    result.grad = None
    result.handed_out = False
    return result


def untracked(data: Any) -> Any:
    """A tensor without history around a raw array."""
    return handle(data, None)


def raw(value: Any) -> Any:
    """The raw array of a tensor; tuples, lists and dicts with the tensors inside them replaced; others as they are."""
    if isinstance(value, Handle):
        return value._array
    kind = type(value)
    if kind is tuple or kind is list:
        return kind(raw(v) for v in value)
    if kind is dict:
        return {k: raw(v) for k, v in value.items()}
    if isinstance(value, _SEQUENCES):
        return sequence_like(value, [raw(v) for v in value])
    return value


def plain(value: Any) -> Any:
    """`raw(value)`, as constants in forward mode too: what a rule or composition makes decisions with."""
    return without_tangents(raw(value))


def wrap(value: Any) -> Any:
    """Untracked tensors around the arrays in `value`; anything else as it is."""
    if isinstance(value, tuple | list):
        return sequence_like(value, [wrap(v) for v in value])
    return untracked(value) if hasattr(value, "dtype") and hasattr(value, "shape") else value


def as_operand(other: Any) -> Any:
    """A list or tuple as the array that NumPy's arithmetic takes it for; anything else as it is."""
    return np.asarray(other) if isinstance(other, list | tuple) else other


# --- tensors around results -----------------------------------------------------------------------------------------------


def lift(data: Any, node: Node) -> Any:
    """A tensor that stands where `node` stands in its graph, with the raw value `data`."""
    if isinstance(data, tuple | list):
        return sequence_like(data, [_output(value, node, i) for i, value in enumerate(data)])
    return handle(data, node)


# --- operations with several results -------------------------------------------------------------------------------------


def _add_output(total: Any, total_owned: bool, g: Any, g_owned: bool, node: Node, index: int) -> Any:
    """The gradient of an operation with several results is the list of theirs, with None for those not used."""
    gradients = [None] * len(node.dtype) if total is None else total
    gradients[index] = g if gradients[index] is None else gradients[index] + g
    return gradients


_pick_plans: dict[int, Plan] = {}


def _pick_plan(index: int) -> Plan:
    plan = _pick_plans.get(index)
    if plan is None:

        def accumulate(total: Any, total_owned: bool, g: Any, g_owned: bool, links: Any) -> Any:
            return _add_output(total, total_owned, g, g_owned, links[0], index)

        def pull(g: Any, links: Any) -> Any:
            return _add_output(None, False, g, False, links[0], index)

        edges = (Edge("results", 0, pull, False, accumulate),)
        plan = Plan(Op(lambda results: results[index], name=f"output {index}", signature="results"), ())
        plan = _pick_plans[index] = plan.changed(arity=1, walk=ONE_PARENT, edges=edges, graph_edges=edges, special=True)
    return plan


def _output(value: Any, node: Node, index: int) -> Any:
    """The tensor for one of several results."""
    if not hasattr(value, "dtype") or value.dtype.kind not in "fc":
        return wrap(value)
    return lift(value, make_node(_pick_plan(index), (node,), (), value))
