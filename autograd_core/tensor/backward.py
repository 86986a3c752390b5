"""Backward passes for the user: check what was asked, run the sweep, and leave the gradients where they belong."""

from __future__ import annotations

import contextlib
from collections import Counter, deque
from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.layers import ArrayLayer, in_charge
from autograd_core.tape.mode import enable_grad
from autograd_core.tape.node import Node, map_began, watched_collector
from autograd_core.tape.sweep import Sweep
from autograd_core.tape.turns import Turns
from autograd_core.tensor.handles import Handle, handle, raw, untracked
from autograd_core.tensor.ownership import own_array, own_tensor
from autograd_core.tensor.passes import seeds_of, swept, swept_plainly

__all__ = ["backward", "gradient", "gradients_of", "partial_gradients"]

# A leaf's `grad` is read, added to and written; threads that share the leaf must take turns.
_turns = Turns()
LONGEST_TURN = 10.0  # seconds; who had the seat for longer is not coming back
_nothing = contextlib.nullcontext()


def backward(output: Any, gradient: Any, *, retain_graph: bool | None, create_graph: bool) -> None:
    """See `Tensor.backward`."""
    plain = swept_plainly(output, retain_graph) if gradient is None and not create_graph else None
    if plain is None:
        seeds = seeds_of([output], [gradient], create_graph)
        plain = swept(seeds, [output], wanted=None, retain_graph=retain_graph, create_graph=create_graph)
    sweep, retained = plain
    seat = _turns.take(LONGEST_TURN)
    try:
        tensors, gradients = _with_gradients(sweep, retained, create_graph)
        # All or none, and only now, when no rule and no hook can raise any more: no signal is handled within this one call.
        if len(tensors) == 1:
            tensors[0].grad = gradients[0]
        else:
            deque(map(setattr, tensors, repeat("grad"), gradients), maxlen=0)
    finally:
        del seat
    watched_collector.passed = output.node.number
    if watched_collector.own is not None:
        watched_collector.restore()
    if retained:
        _call_after(retained)


def _with_gradients(sweep: Sweep, retained: list[tuple[Any, Any]], create_graph: bool) -> tuple[list[Any], list[Any]]:
    """The tensors whose `grad` a pass changes, and what it will be: what it was, and what the pass found."""
    tensors: list[Any] = []
    gradients: list[Any] = []
    taken = {id(seed) for seed in sweep.seeds.values()} if create_graph else set()
    with enable_grad() if create_graph else _nothing:
        while sweep.leaf_gradients:
            # popitem: an array that only this loop holds can become the leaf's gradient without a copy.
            leaf, g = sweep.leaf_gradients.popitem()
            tensor = leaf.tensor()
            if tensor is None:
                continue
            if create_graph:
                g = own_tensor(g, taken)
                gradients.append(g if tensor.grad is None else tensor.grad + g)
            elif type(g) is np.float64:  # nobody can change it; networks of scalars have hundreds of leaves
                gradients.append(untracked(g if tensor.grad is None else raw(tensor.grad) + g))
            else:
                gradients.append(_added(tensor, _outside(leaf, g) if isinstance(g, ArrayLayer) else own_array(g)))
            tensors.append(tensor)
        for node, g in retained:
            tensor = None if g is None else node.watchers.retained_by()
            if tensor is not None:
                tensors.append(tensor)
                if create_graph:
                    g = own_tensor(g, taken)
                    gradients.append(g if tensor.grad is None else tensor.grad + g)
                else:
                    gradients.append(_added(tensor, own_array(g)))
    return tensors, gradients


def _added(tensor: Any, g: Any) -> Any:
    """The `grad` of `tensor` with the array `g`, which nobody else holds, added."""
    previous = tensor.grad
    return handle(g if previous is None else raw(previous) + g, None)


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
    seeds = seeds_of([y for y, _ in tracked], [g for _, g in tracked], create_graph)
    sweep, _ = swept(seeds, output_list, wanted=[x.node for x in input_list], retain_graph=retain_graph, create_graph=create_graph)
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
        results.append(None if g is None else own_tensor(g, taken) if create_graph else untracked(own_array(g)))
    return results[0] if isinstance(inputs, Handle) else tuple(results)


def partial_gradients(outputs: Sequence[Any], nodes: Sequence[Node], grad_outputs: Sequence[Any], *, create_graph: bool) -> list[Any]:
    """The gradients of `outputs` with respect to what stands at `nodes`, as if each node were a leaf; None where nothing depends on it.

    Unlike `gradient` it does not look behind the nodes: where one depends on another, the way from one to the other does not
    count. It is how the rule of an operation that calls a function finds the gradients for the tensors that the function uses.
    """
    used = [(y, g) for y, g in zip(outputs, grad_outputs, strict=True) if y.node is not None]
    seeds = seeds_of([y for y, _ in used], [g for _, g in used], create_graph)
    sweep, _ = swept(seeds, outputs, wanted=nodes, retain_graph=True, create_graph=create_graph, ends_at_wanted=True)
    taken = {id(seed) for seed in seeds.values()}
    uses = Counter(nodes)
    results: list[Any] = []
    for node in nodes:
        uses[node] -= 1
        g = sweep.found.get(node) if uses[node] else sweep.found.pop(node, None)
        results.append(None if g is None else own_tensor(g, taken) if create_graph else own_array(g))
    return results


def _as_list(tensors: Any, what: str) -> list[Any]:
    items = [tensors] if isinstance(tensors, Handle) else tensors
    if not isinstance(items, Sequence) or not all(isinstance(t, Handle) for t in items):
        raise TypeError(f"gradient: {what} must be a Tensor or a sequence of Tensors, not {type(tensors).__name__}")
    return list(items)


def _outside(leaf: Any, g: Any) -> Any:
    """The gradient `g`, which is a layer, as `grad` of a leaf: a constant, and not of a batch that the leaf will outlive."""
    if isinstance(in_charge((g,)), Batched) and leaf.number < map_began.get():
        raise BatchingError(
            f"backward() inside of a mapped function, down to a tensor of shape {leaf.shape} from outside: its grad would differ over the batch. "
            "Use ag.grad inside, or call backward() on what the mapped function returns"
        )
    return without_tangents(g)
