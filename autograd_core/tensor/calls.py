"""A whole function recorded as one node: of a call that runs again, solves an equation, or has a gradient of its own.

Checkpointed functions and chains, mapped functions, roots, fixed points and functions with a custom gradient are called once,
outside of the tape or on one of their own. What the outer tape gets is one node. Its parents are the nodes of the tracked
inputs, and of tensors that the function refers to by itself, such as a module's parameters; its rule asks the call for their
gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from autograd_core.tape.guard import fingerprint
from autograd_core.tape.mode import current_mode
from autograd_core.tape.node import Leaf, Node, back_to, make_leaf
from autograd_core.tape.op import Op
from autograd_core.tape.plan import plan_of
from autograd_core.tensor.backward import partial_gradients
from autograd_core.tensor.handles import untracked
from autograd_core.tensor.ownership import share_memory_with
from autograd_core.tensor.recording import record

__all__ = [
    "CALL_PARAMETERS",
    "FunctionCall",
    "References",
    "function_op",
    "gradients_through",
    "nodes_before",
    "pull_call",
    "record_call",
    "variable",
]


CALL_PARAMETERS = ("inputs", "residuals", "call")  # of the operations that calls are recorded under


class FunctionCall(Protocol):
    """One call of a function, as its node keeps it.

    captured  nodes of tensors that the function refers to by itself
    """

    captured: Sequence[Node]

    def pull(self, gs: list[Any], inputs: list[Any]) -> list[Any]:
        """A gradient, or None, for each input, then for each captured node.

        gs      a gradient, or None, for each result
        inputs  values of the tracked inputs. In a recorded pass these and `gs` are tensors, and so have to be the gradients
        """
        ...


def pull_call(g: Any, inputs: Any, call: Any) -> list[Any]:
    """The rule of most such operations."""
    found: list[Any] = call.pull(g if isinstance(g, list) else [g], inputs[: len(inputs) - len(call.captured)])
    return found


def function_op(name: str, rule: Callable[..., Any] = pull_call) -> Op:
    """The operation that calls of one kind of function are recorded under. It stands in no table: nobody calls it.

    rule : of the gradient `g` and what it needs of: `inputs` (values of the tracked inputs, None for each captured node), `residuals`
           (other values), `call`, and `out`
    """
    op = Op(lambda inputs, residuals, call: None, name=name)
    op.define({"inputs": rule})
    return op


def record_call(
    op: Op, inputs: Sequence[Any], values: Sequence[Any], call: Any, captured: Sequence[Node] = (), residuals: tuple[Any, ...] = ()
) -> list[Any]:
    """Tensors with the results `values`, recorded as one node.

    inputs     the tracked tensors that the function was given; with `captured`, there is at least one parent
    call       what the rule asks for gradients: a `FunctionCall`, if the rule is `pull_call`
    residuals  other raw values that the rule takes, guarded against changes as inputs are
    """
    parents = [*(t.node for t in inputs), *captured]
    plan = plan_of(op, tuple((0, i) for i in range(len(parents))))
    arguments = (tuple(t._array for t in inputs) + (None,) * len(captured), residuals, call)
    result = record(plan, parents, arguments, {}, values[0] if len(values) == 1 else tuple(values), 0b11, current_mode())
    share_memory_with(inputs, result)
    return [result] if len(values) == 1 else list(result)


# --- what a call needs to find its gradients -------------------------------------------------------------------------------------


def variable(value: Any) -> Any:
    """A new variable with a raw value, which is shared and not copied."""
    made = untracked(value)
    made.node = make_leaf(made, value)
    return made


def gradients_through(outputs: Sequence[Any], nodes: Sequence[Any], gs: Sequence[Any], *, create_graph: bool) -> list[Any]:
    """The gradients of <outputs, gs> for what stands at `nodes`; None in `gs` counts nothing, None is found where nothing depends on it."""
    used = [(t, g) for t, g in zip(outputs, gs, strict=True) if g is not None and t.requires_grad]
    if not used:
        return [None] * len(nodes)
    return partial_gradients([t for t, _ in used], nodes, [g for _, g in used], create_graph=create_graph)


def nodes_before(start: int, outputs: Sequence[Any], own: Collection[Node] = ()) -> list[Node]:
    """The nodes older than `start` that `outputs`, computed since, depend on directly: what a function refers to by itself.

    own : nodes of variables that it was given, which do not count
    """
    return back_to(start, [t.node for t in outputs if getattr(t, "node", None) is not None], own)[0]


class References:
    """The values of leaves that a function refers to by itself (parameters), as they were when it ran first."""

    def __init__(self, who: str, nodes: Iterable[Node]) -> None:
        self.who = who
        self._prints: list[tuple[Leaf, Any]] = []
        self.add(nodes)

    def add(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            leaf = node.tensor() if isinstance(node, Leaf) else None
            if leaf is not None and isinstance(node, Leaf):
                self._prints.append((node, fingerprint(leaf._array) or leaf._array))

    def check(self) -> None:
        """Raise RuntimeError if one was changed since: another run would compute something else."""
        for node, before in self._prints:
            leaf = node.tensor()
            if leaf is not None and not _is_print_of(before, leaf._array):
                raise RuntimeError(
                    f"{self.who} refers to a tensor of shape {node.shape} that was changed after the forward pass, so the gradient would be "
                    "wrong; change it after backward()"
                )


def _is_print_of(before: Any, array: Any) -> bool:
    """Whether an array is as it was; a NumPy scalar is its own print."""
    now = fingerprint(array)
    return bool(before == now) if now is not None else array is before or bool(np.all(array == before))
