"""Backward passes for the user: check what was asked, run the sweep, and leave the gradients where they belong."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.duals import has_tangents, without_tangents
from autograd_core.arrays.layers import ArrayLayer, in_charge, owns_memory
from autograd_core.tape.mode import NOT_RECORDING, RECORDING, current_mode, enable_grad, no_grad
from autograd_core.tape.node import Node, by_number, map_began
from autograd_core.tape.sweep import Sweep, freed_error
from autograd_core.tensor import recording
from autograd_core.tensor.batches import recorded_loop
from autograd_core.tensor.recording import lift, raw, untracked

__all__ = ["backward", "gradient", "partial_gradients"]

# A leaf's `grad` is read, added to and written; threads that share the leaf must take turns.
_leaving_gradients = threading.Lock()
_nothing = contextlib.nullcontext()


def backward(output: Any, gradient: Any, *, retain_graph: bool | None, create_graph: bool) -> None:
    """See `Tensor.backward`."""
    seeds = _seeds([output], [gradient], create_graph)
    sweep = _sweep(seeds, [output], wanted=None, retain_graph=retain_graph, create_graph=create_graph)
    # Only now, when no rule and no hook can raise any more, does a tensor's `grad` change.
    with _leaving_gradients, enable_grad() if create_graph else _nothing:
        taken = {id(seed) for seed in seeds.values()}
        while sweep.leaf_gradients:
            # popitem: an array that only this loop holds can become the leaf's gradient without a copy.
            leaf, g = sweep.leaf_gradients.popitem()
            if create_graph:
                _leave_tracked(leaf.tensor(), _own(g, taken))
            elif type(g) is np.float64:  # nobody can change it; networks of scalars have hundreds of leaves
                tensor = leaf.tensor()
                if tensor is not None:
                    tensor.grad = untracked(g if tensor.grad is None else raw(tensor.grad) + g)
            else:
                _leave_array(leaf.tensor(), _outside(leaf, g) if isinstance(g, ArrayLayer) else _own_array(g))
        for node, g in sweep.retained:
            if g is None:
                continue
            if create_graph:
                _leave_tracked(node.watchers.retained_by(), _own(g, taken))
            else:
                _leave_array(node.watchers.retained_by(), _own_array(g))
    if sweep.retained:
        _call_after(sweep.retained)


def _call_after(retained: list[tuple[Any, Any]]) -> None:
    """Call the hooks that leaves have for when their gradient is there; outside of the lock, so that they may do anything."""
    for leaf, g in retained:
        tensor = leaf.tensor() if g is None else None
        if tensor is not None:
            for hook in list(leaf.watchers.after.values()):
                hook(tensor)


def gradient(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    retain_graph: bool | None = None,
) -> Any:
    """The gradients of `outputs` with respect to `inputs`: sum over outputs of grad_output^T d(output)/d(input).

    outputs, inputs  a Tensor or a sequence of them; inputs may be computed tensors
    grad_outputs     what each output's gradient is; may be None for outputs of one element
    create_graph     record the pass, so that the result can be differentiated
    allow_unused     give None for an input that no output depends on, instead of raising
    returns          a Tensor for one input, a tuple for a sequence; no tensor's `grad` is touched
    raises           RuntimeError for an unused input or a freed graph, ValueError and TypeError for a wrong grad_output

    >>> import autograd_core as ag
    >>> x = ag.tensor(2.0, requires_grad=True)
    >>> first = ag.gradient(x ** 3, x, create_graph=True)
    >>> first, ag.gradient(first, x)
    (tensor(12., op=multiply), tensor(12.))
    """
    found = gradients_of(outputs, inputs, grad_outputs, create_graph, allow_unused, retain_graph)
    if not create_graph:  # a constant, in forward mode too
        for g in found if isinstance(found, tuple) else (found,):
            if g is not None and isinstance(g._array, ArrayLayer):
                g._array = without_tangents(g._array)
    return found


def gradients_of(outputs: Any, inputs: Any, grad_outputs: Any, create_graph: bool, allow_unused: bool, retain_graph: bool | None) -> Any:
    """`gradient`, with the derivatives that its results carry forward on dual arrays."""
    output_list = _as_list(outputs, "outputs")
    input_list = _as_list(inputs, "inputs")
    given = [None] * len(output_list) if grad_outputs is None else grad_outputs if isinstance(grad_outputs, list | tuple) else [grad_outputs]
    if len(given) != len(output_list):
        raise ValueError(f"gradient: {len(output_list)} outputs, but {len(given)} grad_outputs")
    for i, x in enumerate(input_list):
        if x.node is None:
            raise RuntimeError(f"gradient: input {i} (shape {x.shape}) does not require grad")
    tracked = [(y, g) for y, g in zip(output_list, given, strict=True) if y.node is not None or not allow_unused]
    seeds = _seeds([y for y, _ in tracked], [g for _, g in tracked], create_graph)
    sweep = _sweep(seeds, output_list, wanted=[x.node for x in input_list], retain_graph=retain_graph, create_graph=create_graph)
    sweep.leaf_gradients.clear()
    uses = Counter(x.node for x in input_list)
    taken = {id(seed) for seed in seeds.values()}
    results: list[Any] = []
    for i, x in enumerate(input_list):
        uses[x.node] -= 1
        # pop: as in `backward`; an input that comes again needs another array.
        g = sweep.found.get(x.node) if uses[x.node] else sweep.found.pop(x.node, None)
        if g is None and not allow_unused:
            raise RuntimeError(f"gradient: no output depends on input {i} (shape {x.shape}); pass allow_unused=True to get None for it")
        results.append(None if g is None else _own(g, taken) if create_graph else untracked(_own_array(g)))
    return results[0] if isinstance(inputs, recording.tensor_class) else tuple(results)


def partial_gradients(outputs: Sequence[Any], nodes: Sequence[Node], grad_outputs: Sequence[Any], *, create_graph: bool) -> list[Any]:
    """The gradients of `outputs` with respect to what stands at `nodes`, as if each node were a leaf; None where nothing depends on it.

    Unlike `gradient` it does not look behind the nodes: where one depends on another, the way from one to the other does not
    count. It is how the rule of an operation that calls a function finds the gradients for the tensors that the function uses.
    """
    used = [(y, g) for y, g in zip(outputs, grad_outputs, strict=True) if y.node is not None]
    seeds = _seeds([y for y, _ in used], [g for _, g in used], create_graph)
    sweep = _sweep(seeds, outputs, wanted=nodes, retain_graph=True, create_graph=create_graph, kind=_PartialPass)
    taken = {id(seed) for seed in seeds.values()}
    uses = Counter(nodes)
    results: list[Any] = []
    for node in nodes:
        uses[node] -= 1
        g = sweep.found.get(node) if uses[node] else sweep.found.pop(node, None)
        results.append(None if g is None else _own(g, taken) if create_graph else _own_array(g))
    return results


def _as_list(tensors: Any, what: str) -> list[Any]:
    items = [tensors] if isinstance(tensors, recording.tensor_class) else tensors
    if not isinstance(items, Sequence) or not all(isinstance(t, recording.tensor_class) for t in items):
        raise TypeError(f"gradient: {what} must be a Tensor or a sequence of Tensors, not {type(tensors).__name__}")
    return list(items)


class _Pass(Sweep):
    """A sweep, and the gradients that computed tensors want to retain; None with a leaf that has hooks for when it has its gradient."""

    retained: list[tuple[Any, Any]]


class _PartialPass(_Pass):
    """A sweep that ends at the wanted nodes."""

    def _run_quick(self) -> bool:
        return False

    def _run_carefully(self) -> None:
        wanted = self.wanted or set()
        self.table = dict(self.seeds)
        operations = _down_to(wanted, self.seeds)
        self.needed = set(wanted)
        for node in reversed(operations):
            if not self.needed.isdisjoint(node.parents):
                self.needed.add(node)
        for node in operations:
            g = self.table.pop(node, None)
            if g is not None:
                self._pull(node, g)
        self.found.update((node, self.table.pop(node)) for node in wanted if node in self.table)


def _down_to(ends: set[Node], roots: Iterable[Node]) -> list[Node]:
    """The operations between `roots` and `ends` (without these), youngest first."""
    stack = [node for node in roots if node not in ends]
    seen = {*stack, *ends}
    operations: list[Node] = []
    while stack:
        node = stack.pop()
        operations.append(node)
        if node.plan.is_freed:
            raise freed_error(node)
        for parent in node.parents:
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    operations.sort(key=by_number, reverse=True)
    return operations


def _sweep(
    seeds: dict[Node, Any], outputs: Sequence[Any], *, wanted: Any, retain_graph: bool | None, create_graph: bool, kind: type[_Pass] = _Pass
) -> _Pass:
    mode = current_mode()
    retained: list[tuple[Any, Any]] = []

    def on_watched(node: Any, g: Any) -> Any:
        for hook in list(node.watchers.hooks.values()):
            g = _hooked(node, g, hook)
        if node.watchers.retained_by is not None:
            retained.append((node, g))
        if node.watchers.after:
            retained.append((node, None))  # not g: a leaf's gradient that nobody else holds needs no copy
        return g

    values = [*(t._array for t in outputs), *map(raw, seeds.values())]
    sweep = kind(
        seeds,
        wanted=wanted,
        retain_graph=create_graph if retain_graph is None else retain_graph,
        lift=lift if create_graph else None,
        recorded_loop=recorded_loop if create_graph else None,
        batched=any(type(value) is Batched for value in values),
        dual=any(map(has_tangents, values)),
        on_watched=on_watched,
        instrument=None if mode is RECORDING or mode is NOT_RECORDING else mode,
    )
    sweep.retained = retained
    with enable_grad() if create_graph else no_grad():
        sweep.run()
    return sweep


def _seeds(outputs: list[Any], gradients: list[Any], create_graph: bool) -> dict[Node, Any]:
    seeds: dict[Node, Any] = {}
    for output, g in zip(outputs, gradients, strict=True):
        if output.node is None:
            raise RuntimeError(
                f"backward: this tensor of shape {output.shape} does not require grad: nothing was recorded. "
                "Make an input with requires_grad=True, and compute outside of ag.no_grad()"
            )
        g = _first_gradient(output, g)
        if create_graph and not isinstance(g, recording.tensor_class):
            g = untracked(g)
        elif not create_graph:
            g = raw(g)
        seeds[output.node] = seeds[output.node] + g if output.node in seeds else g
    return seeds


def _first_gradient(output: Any, g: Any) -> Any:
    """`g` checked against `output` and in its dtype; ones if it is None."""
    shape, dtype = output.shape, output.dtype
    if g is None:
        if output.size != 1:
            raise ValueError(
                f"backward: the output has shape {shape}, so it needs a gradient of that shape: y.backward(gradient), or y.sum().backward()"
            )
        if dtype.kind == "c":
            raise TypeError("backward: a complex output needs an explicit gradient; differentiate a real loss, such as np.abs(y) ** 2")
        return np.ones_like(output._array)[()] if not shape else np.ones_like(output._array)
    if not hasattr(g, "dtype"):
        g = np.array(g, dtype=dtype)
    elif g.dtype.kind not in ("fc" if dtype.kind == "c" else "f"):
        raise TypeError(f"backward: a gradient of dtype {g.dtype} for an output of dtype {dtype}; convert it with g.astype({str(dtype)!r})")
    if g.shape != shape:
        raise ValueError(f"backward: a gradient of shape {g.shape} for an output of shape {shape}")
    return g if g.dtype == dtype else g.astype(dtype)


def _hooked(node: Node, g: Any, hook: Any) -> Any:
    """What `hook` makes of the gradient of `node`: checked, in the gradient's dtype, and raw if `g` is."""
    recorded = isinstance(g, recording.tensor_class)
    replaced = hook(g if recorded else untracked(_read_only(g)))
    if replaced is None:
        return g
    if not hasattr(replaced, "shape") or not hasattr(replaced, "dtype"):
        raise TypeError(f"hook on {node.op.name}: returned {type(replaced).__name__}, expected None or a gradient of shape {node.shape}")
    if replaced.shape != node.shape:
        raise ValueError(f"hook on {node.op.name}: returned a gradient of shape {replaced.shape}, expected {node.shape}")
    if replaced.dtype.kind == "c" and node.dtype.kind != "c":
        raise TypeError(f"hook on {node.op.name}: returned a gradient of dtype {replaced.dtype}, expected {node.dtype}")
    if replaced.dtype != node.dtype:
        replaced = replaced.astype(node.dtype)
    if not recorded:
        return raw(replaced)
    return replaced if isinstance(replaced, recording.tensor_class) else untracked(replaced)


def _read_only(g: Any) -> Any:
    """A view that a hook cannot write to: the same array may be on its way to other nodes."""
    if not isinstance(g, np.ndarray):
        return g
    view = g.view()
    view.flags.writeable = False
    return view


def _outside(leaf: Any, g: Any) -> Any:
    """The gradient `g`, which is a layer, as `grad` of a leaf: a constant, and not of a batch that the leaf will outlive."""
    if isinstance(in_charge((g,)), Batched) and leaf.number < map_began.get():
        raise BatchingError(
            f"backward() inside of a mapped function, down to a tensor of shape {leaf.shape} from outside: its grad would differ over the batch. "
            "Use ag.grad inside, or call backward() on what the mapped function returns"
        )
    return without_tangents(g)


def _leave_array(tensor: Any, g: Any) -> None:
    """Add the array `g`, which nobody else holds, to the `grad` of `tensor` (None if it is no more)."""
    if tensor is not None:
        previous = tensor.grad
        tensor.grad = untracked(g if previous is None else raw(previous) + g)


def _leave_tracked(tensor: Any, g: Any) -> None:
    """Add the tracked gradient `g`, which nobody else holds, to the `grad` of `tensor` (None if it is no more)."""
    if tensor is not None:
        tensor.grad = g if tensor.grad is None else tensor.grad + g


def _references(g: Any) -> int:
    return sys.getrefcount(g)


def _references_when_alone() -> int:
    g = np.empty(0)
    return _references(g)


# Asked, not known: how many references a call itself holds differs between versions of Python.
_ALONE = _references_when_alone()


def _own_array(g: Any) -> Any:
    """`g` as an array that nobody else holds and that can be written to: itself if its caller's name is the only one, else a copy."""
    if isinstance(g, np.generic):
        return g
    if isinstance(g, np.ndarray):
        return g if sys.getrefcount(g) <= _ALONE and g.base is None and g.flags.writeable else np.array(g, order="K")
    return g if sys.getrefcount(g) <= _ALONE and owns_memory(g) else g.copy()


def _own(g: Any, taken: set[int]) -> Any:
    """The tracked gradient `g` as a tensor with an array of its own: itself, unless it is `taken` already or a view; then a recorded copy."""
    data = g._array
    if id(g) in taken or (isinstance(data, np.ndarray) and not (data.base is None and data.flags.writeable)):
        g = +g
    taken.add(id(g))
    return g
