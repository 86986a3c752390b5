"""Which sweep a backward pass is, and what it begins with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np

from autograd_core.arrays.batching.array import Batched
from autograd_core.arrays.duals import has_tangents
from autograd_core.arrays.foreign import array_at_heart
from autograd_core.tape.mode import NOT_RECORDING, RECORDING, current_mode, follower, raw_mode
from autograd_core.tape.node import Node, program_order
from autograd_core.tape.op import Op
from autograd_core.tape.quick import QuickSweep
from autograd_core.tape.sweep import Sweep
from autograd_core.tensor.apply import BARE
from autograd_core.tensor.handles import Handle, raw, untracked
from autograd_core.tensor.ownership import read_only

__all__ = ["ASKS_FOR_GRAPH", "SEEDS_ARE_CONSTANT", "seeds_of", "swept", "swept_plainly"]


IN_PLACE: frozenset[type] = frozenset({np.ndarray, Batched})


def swept(
    seeds: dict[Node, Any],
    outputs: Sequence[Any],
    *,
    wanted: Collection[Node] | None,
    retain_graph: bool | None,
    create_graph: bool,
    ends_at_wanted: bool = False,
) -> tuple[Sweep, list[tuple[Any, Any]]]:
    """A sweep that has run, and the gradients that computed tensors want to retain.

    With a leaf that has hooks for when it has its gradient, None stands instead: what nobody else holds needs no copy.
    """
    retained: list[tuple[Any, Any]] = []
    values = [t._array for t in outputs]
    values += map(raw, seeds.values())
    values = [value for value in values if type(value) not in BARE]  # of which it is known that no layer is in them
    mode = current_mode()
    recorded_for_a_rule = not create_graph and _asks_for_graph(seeds)
    if recorded_for_a_rule:
        seeds = {node: untracked(g) for node, g in seeds.items()}
    recorded = create_graph or recorded_for_a_rule
    sweep = _kind_of_sweep(values, recorded)(
        seeds,
        wanted=wanted,
        ends_at_wanted=ends_at_wanted,
        retain_graph=recorded if retain_graph is None or recorded_for_a_rule else retain_graph,
        in_place=frozenset() if any(map(has_tangents, values)) else IN_PLACE,  # nothing can be added to a dual in place
        on_watched=_noting(retained),
        instrument=None if mode is RECORDING or mode is NOT_RECORDING else mode,
        mode=NOT_RECORDING if not recorded else RECORDING if mode is NOT_RECORDING else mode,
        settings={SEEDS_ARE_CONSTANT: all(getattr(g, "node", None) is None for g in seeds.values())} if recorded else {},
    )
    sweep.run()
    if recorded_for_a_rule:
        sweep.leaf_gradients = {leaf: raw(g) for leaf, g in sweep.leaf_gradients.items()}
        sweep.found = {node: raw(g) for node, g in sweep.found.items()}
        retained[:] = [(node, raw(g)) for node, g in retained]
        if not retain_graph:
            for node in program_order(seeds, (wanted or ()) if ends_at_wanted else ())[0]:
                if sweep.needed is None or not sweep.needed.isdisjoint(node.parents):
                    node.free()
    return sweep, retained


def swept_plainly(output: Any, retain_graph: bool | None) -> tuple[Sweep, list[tuple[Any, Any]]] | None:
    """`swept` for `loss.backward()` and nothing more, in a third of its time; None where there is more to it."""
    seed = ONES.get(type(output._array))
    node = output.node
    if seed is None or node is None or raw_mode() is not RECORDING:
        return None
    for op in ASKS_FOR_GRAPH:
        if op.plans:
            return None
    retained: list[tuple[Any, Any]] = []
    sweep = QuickSweep({node: seed}, retain_graph=bool(retain_graph), in_place=IN_PLACE, on_watched=_noting(retained), mode=NOT_RECORDING)
    sweep.run()
    return sweep, retained


def _noting(retained: list[tuple[Any, Any]]) -> Callable[[Any, Any], Any]:
    """What a sweep calls at nodes with watchers: it calls the hooks, and notes in `retained` what is to be done after the sweep."""

    def on_watched(node: Any, g: Any) -> Any:
        for hook in list(node.watchers.hooks.values()):
            g = _hooked(node, g, hook)
        if node.watchers.retained_by is not None:
            retained.append((node, g))
        if node.watchers.after:
            retained.append((node, None))
        return g

    return on_watched


# Whether the recorded sweep that is running began with constants. Else a gradient that is 0 may be that of a probe, which is to be varied.
SEEDS_ARE_CONSTANT: ContextVar[bool] = ContextVar("autograd_core_constant_seeds", default=True)

# Ops some of whose nodes have rules that ask the graph for a limit (rules/equal_values.py), and which nodes those are.
ASKS_FOR_GRAPH: dict[Op, Callable[[Node], bool]] = {}


def _asks_for_graph(seeds: Iterable[Node]) -> bool:
    """Whether a pass has to be recorded for the sake of a node's rules."""
    if not any(op.plans for op in ASKS_FOR_GRAPH):
        return False
    return any(node.op in ASKS_FOR_GRAPH and not node.plan.is_freed and ASKS_FOR_GRAPH[node.op](node) for node in program_order(seeds)[0])


def _kind_of_sweep(values: Iterable[Any], create_graph: bool) -> type[Sweep]:
    # What is needed now and then is imported then.
    if create_graph:
        from autograd_core.tensor.recorded import RecordedSweep

        return RecordedSweep
    if follower() is not None:
        from autograd_core.tape.followed import FollowedSweep

        return FollowedSweep
    if values:
        from autograd_core.arrays.batching.loop import batches_in
        from autograd_core.tape.batched import BatchedSweep

        if any(True for _ in batches_in(values)):
            return BatchedSweep
    return QuickSweep


def seeds_of(outputs: list[Any], gradients: list[Any], create_graph: bool) -> dict[Node, Any]:
    """What a pass begins with: the node of each output, with the gradient given for it."""
    seeds: dict[Node, Any] = {}
    for output, g in zip(outputs, gradients, strict=True):
        if output.node is None:
            raise RuntimeError(
                f"backward: this tensor of shape {output.shape} does not require grad: nothing was recorded. "
                "Make an input with requires_grad=True, and compute outside of ag.no_grad()"
            )
        g = _first_gradient(output, g)
        if create_graph and not isinstance(g, Handle):
            g = untracked(g)
        elif not create_graph:
            g = raw(g)
        seeds[output.node] = seeds[output.node] + g if output.node in seeds else g
    return seeds


ONES = {kind: kind(1) for kind in (np.float64, np.float32)}  # the first gradient of a number


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
        if type(output._array) in ONES:
            return ONES[type(output._array)]
        return np.ones_like(output._array)[()] if not shape else np.ones_like(output._array)
    g = array_at_heart(g, "backward: the gradient")
    if not hasattr(g, "dtype"):
        g = np.array(g, dtype=dtype)
    elif g.dtype.kind not in ("fc" if dtype.kind == "c" else "f"):
        raise TypeError(f"backward: a gradient of dtype {g.dtype} for an output of dtype {dtype}; convert it with g.astype({str(dtype)!r})")
    if g.shape != shape:
        raise ValueError(f"backward: a gradient of shape {g.shape} for an output of shape {shape}")
    if type(g) is np.ndarray and not shape and isinstance(output._array, np.generic):
        g = g[()]  # as the engine's own: arithmetic of 0-d arrays and of scalars may differ in the last bit
    return g if g.dtype == dtype else g.astype(dtype)


def _hooked(node: Node, g: Any, hook: Any) -> Any:
    """What `hook` makes of the gradient of `node`: checked, in the gradient's dtype, and raw if `g` is."""
    recorded = isinstance(g, Handle)
    replaced = hook(g if recorded else untracked(read_only(g)))
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
    return replaced if isinstance(replaced, Handle) else untracked(replaced)
