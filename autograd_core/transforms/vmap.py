"""`vmap(f)`: f for each element of a batch, computed for all of them at once, by the same table of operations.

f's tensors hold batches (arrays/batching/array.py): arrays with one axis more than f sees. NumPy's functions step over that axis; the
few that cannot are run for one element after the other, so everything that works in a loop works here, if there is one
program for all elements: an `if` on a value that differs over the batch is refused.

On tracked tensors a call is one node of the outer graph. It keeps the graph of what was computed inside; its rule sends the
gradient back through that as a batch, and for tensors that f refers to by itself (weights), sums over the batch. In a recorded
pass that backward pass is again a mapped evaluation of one node, so derivatives of any order follow.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autograd_core.arrays.batching.interpreter  # noqa: F401  batches compute by it
from autograd_core.arrays.batching.axes import has_level, unwrapped, wrapped_beneath
from autograd_core.arrays.duals import without_tangents
from autograd_core.arrays.layers import new_level
from autograd_core.arrays.trees import axes_of_leaves, flatten, paths
from autograd_core.tape.mode import NOT_RECORDING, current_mode
from autograd_core.tape.node import Node, back_to, map_began, next_number
from autograd_core.tensor.backward import partial_gradients
from autograd_core.tensor.batch_writes import noting_writes, restore_the_outside
from autograd_core.tensor.calls import function_op, gradients_through, nodes_before, record_call
from autograd_core.tensor.handles import raw, untracked
from autograd_core.tensor.tensor import Tensor, tensor
from autograd_core.tensor.transformed import transform
from autograd_core.transforms.evaluation import keeps_tensors, mapping, separate

__all__ = ["map_over", "vmap"]


@transform
def vmap(function: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """`function` over a new axis: y[i] = f(x[i]) for all i at once, where f is written for one element.

    in_axes   which axis of each positional argument holds the batch; None for an argument that is the same for all. One number
              for all arguments, or a tuple with an entry for each, which may be a container like the argument.
              Keyword arguments are the same for all.
    out_axes  where the batch's axis is to stand in each result, likewise; None for one that is the same for all
    raises    ValueError for axes that an argument does not have, or batches of different sizes; BatchingError (a TypeError)
              where the function needs one Python value for the whole batch: `if x > 0`, `float(x)`, `np.asarray(x)`

    The function is evaluated once: what it prints, counts or draws from a random generator, it does once for the whole batch (hand
    random numbers in as an argument, if each element is to have its own). Arguments and results may be containers of arrays. It
    nests, and composes with the other transforms in either order:
    `vmap(grad(f))` are the gradients of each example by itself.

    >>> import numpy as np, autograd_core as ag
    >>> X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> ag.vmap(lambda x: x @ x)(X)
    array([ 5., 25., 61.])
    >>> ag.vmap(ag.grad(lambda x, w: np.sin(x @ w)), in_axes=(0, None))(X, np.zeros(2)).shape
    (3, 2)
    """

    @functools.wraps(function)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        axes = tuple(in_axes) if isinstance(in_axes, tuple | list) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ValueError(f"vmap: in_axes has {len(axes)} entries, but the function was called with {len(args)} positional arguments")
        names = [name for i, x in enumerate(args) for name in paths(x, f"argument {i}")]
        leaves, rebuild = flatten(list(args))
        places = [axis for x, given in zip(args, axes, strict=True) for axis in axes_of_leaves(x, given, "vmap: in_axes")]
        batched = [i for i, axis in enumerate(places) if axis is not None]
        size = _size([(names[i], leaves[i], places[i]) for i in batched])
        nested = keeps_tensors() or any(isinstance(leaf, Tensor) for leaf in leaves)
        build: Callable[[list[Any]], Any] = list
        depends: list[bool] = []

        def of_leaves(parts: Sequence[Any]) -> list[Any]:
            nonlocal build
            own = list(leaves)
            for i, part in zip(batched, parts, strict=True):
                own[i] = part
            with mapping():
                results, build = flatten(function(*rebuild(own), **kwargs))
            depends[:] = [has_level(raw(result), parts[0]._array.level) for result in results]
            return results

        found = map_over(of_leaves, [_batch_first(leaves[i], places[i]) for i in batched], size)
        ends = axes_of_leaves(build([0] * len(found)), out_axes, "vmap: out_axes")
        placed = [_placed(t, axis, own) for t, axis, own in zip(found, ends, depends, strict=True)]
        return build(placed if nested or any(t.requires_grad for t in placed) else separate(t._array for t in placed))

    return mapped


def _placed(t: Any, axis: int | None, depends: bool) -> Any:
    """A result with the batch's axis where it is wanted."""
    if axis is not None:
        if not -t.ndim <= axis < t.ndim:
            raise ValueError(f"vmap: out_axes={axis} for a result of shape {t.shape}, its batch's axis included")
        return np.moveaxis(t, 0, axis) if axis else t
    if depends:
        raise ValueError(f"vmap: out_axes=None for a result of shape {t.shape[1:]} that differs over the batch; say where its axis is to stand")
    return t[0]


def _size(batches: list[tuple[str, Any, int]]) -> int:
    """The common length of the axes to map over; ValueError if there is none."""
    if not batches:
        raise ValueError("vmap: no argument has an axis to map over: in_axes is None for all of them")
    sizes = {}
    for name, leaf, axis in batches:
        shape = np.shape(leaf)
        if not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
            hint = "; pass lists as np.array([...])" if "[" in name and not shape else ""
            raise ValueError(f"vmap: {name} of shape {shape} has no axis {axis} to map over{hint}")
        sizes[f"{name} (axis {axis})"] = shape[axis]
    if len(set(sizes.values())) > 1:
        raise ValueError("vmap: batches of different sizes: " + ", ".join(f"{n} of {name}" for name, n in sizes.items()))
    return int(next(iter(sizes.values())))


def _batch_first(leaf: Any, axis: int) -> Any:
    """`leaf` with the batch's axis first; if it is not tracked, a copy: the graph may keep it, and the user may change it."""
    if isinstance(leaf, Tensor):
        array: Any = untracked(np.array(leaf._array)) if not leaf.requires_grad and isinstance(leaf._array, np.ndarray) else leaf
    else:
        array = np.array(leaf)
    return np.moveaxis(array, axis, 0) if axis else array


# --- one mapped evaluation, and its gradient ------------------------------------------------------------------------------------


def map_over(function: Callable[[Sequence[Any]], list[Any]], leaves: Sequence[Any], size: int) -> list[Any]:
    """The results of `function`, which takes and returns lists of tensors, for the batches `leaves`, whose first axes have `size`.

    It returns tensors with the batch's axis first, and None where the function does.
    """
    level, start = new_level(), next_number()
    tracked = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.requires_grad]
    variables = [_variable(leaf, level, isinstance(leaf, Tensor) and leaf.requires_grad) for leaf in leaves]
    token = map_began.set(start)
    try:
        with noting_writes() as written:
            parts = function(variables)
    finally:
        map_began.reset(token)
    restore_the_outside(written, parts, level)
    outputs = [None if part is None else part if isinstance(part, Tensor) else tensor(part) for part in parts]
    nodes = [v.node for v, leaf in zip(variables, leaves, strict=True) if isinstance(leaf, Tensor) and leaf.requires_grad]
    return _recorded(_Run(outputs, nodes, start, level, size), tracked)


def _variable(leaf: Any, level: int, tracked: bool) -> Tensor:
    return tensor(wrapped_beneath(leaf._array if isinstance(leaf, Tensor) else leaf, level), requires_grad=tracked)


def _recorded(run: _Run, inputs: Sequence[Tensor]) -> list[Any]:
    """The results of a mapped evaluation of `inputs`, as one node of the outer graph."""
    present = [t for t in run.outputs if t is not None]
    depends = bool(inputs or run.captured)
    if current_mode() is NOT_RECORDING or not depends or not present:
        return [None if t is None else untracked(run.whole(without_tangents(t._array) if depends else t._array)) for t in run.outputs]
    results = iter(record_call(_mapped, inputs, [run.whole(t._array) for t in present], run, run.captured))
    return [None if t is None else next(results) for t in run.outputs]


class _Run:
    """A mapped evaluation: its results, and the graph that it made.

    outputs   tensors of batches of `level`, with `size` elements; None in some places
    nodes     of the variables for the tracked inputs
    start     when it began, as a number of nodes
    captured  nodes of tensors that the function refers to by itself
    """

    def __init__(self, outputs: list[Any], nodes: list[Node], start: int, level: int, size: int) -> None:
        self.outputs = outputs
        self.nodes = nodes
        self.start = start
        self.level = level
        self.size = size
        self.captured = nodes_before(start, self._present(), set(nodes))

    def whole(self, value: Any) -> Any:
        """A value as an array with the batch's axis first; one that is the same over the batch, repeated."""
        return unwrapped(value, self.level, self.size)

    def summed(self, g: Any) -> Any:
        """The gradient of what is the same for all elements: the sum of theirs."""
        return self.whole(g).sum(0) if has_level(g, self.level) else g * self.size

    def pull(self, gs: list[Any], inputs: list[Any]) -> list[Any]:
        """The gradients for the inputs and the captured nodes."""
        if any(isinstance(g, Tensor) for g in gs):
            return self._pull_recorded(gs, inputs)
        batches = [None if g is None else wrapped_beneath(g, self.level) for g in gs]
        found = gradients_through(self._present(), [*self.nodes, *self.captured], batches, create_graph=False)
        count = len(self.nodes)
        own = [None if g is None else self.whole(g) for g in found[:count]]
        return [*own, *(None if g is None else self.summed(g) for g in found[count:])]

    def _pull_recorded(self, gs: list[Any], inputs: list[Any]) -> list[Any]:
        """The same on tensors, recorded. The backward pass through the graph that is there is a mapped evaluation like the first:
        of the same inputs, and of the gradients."""
        used = [(t, g) for t, g in zip(self._present(), gs, strict=True) if g is not None and t.requires_grad]
        variables = [_variable(g, self.level, g.requires_grad) for _, g in used]
        count = len(self.nodes)
        found = partial_gradients([t for t, _ in used], [*self.nodes, *self.captured], variables, create_graph=True)
        nodes = [*self.nodes, *(v.node for v in variables if v.requires_grad)]
        results = _recorded(_Run(found, nodes, self.start, self.level, self.size), [*inputs, *(g for _, g in used if g.requires_grad)])
        return [*results[:count], *(None if g is None else g.sum(0) for g in results[count:])]

    def inner_nodes(self) -> list[Node]:
        """The operations of the graph that the call keeps, down to what was there before."""
        return back_to(self.start, [t.node for t in self._present() if t.node is not None], self.nodes)[1]

    def _present(self) -> list[Any]:
        return [t for t in self.outputs if t is not None]


_mapped = function_op("vmap")
