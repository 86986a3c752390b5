"""Recompute instead of save: `checkpoint(f)` keeps only f's inputs, and runs f again in the backward pass.

A chain of n layers in s checkpointed segments keeps about s inputs and the inside of one segment, instead of the inside of
all (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.trees import flatten
from autograd_core.memory.random_states import RandomStates
from autograd_core.memory.second_runs import differs, summary_of
from autograd_core.tape.mode import NOT_RECORDING, current_mode, enable_grad
from autograd_core.tape.node import Leaf, Node, back_to, next_number
from autograd_core.tensor.calls import References, function_op, gradients_through, record_call, variable
from autograd_core.tensor.handles import raw, untracked
from autograd_core.tensor.tensor import Tensor
from autograd_core.tensor.transformed import transform

__all__ = ["checkpoint", "referred_nodes"]


@transform
def checkpoint(function: Callable[..., Any], *, generators: Iterable[np.random.Generator] = ()) -> Callable[..., Any]:
    """`function`, whose inner values are not kept for the backward pass but computed again there.

    function    of tensors (anywhere in its arguments, also in containers) and of whatever tensors it refers to by itself,
                such as a module's parameters; it returns tensors, or a container of them. Of plain arrays it gives what
                `function` gives
    generators  random generators that `function` draws from: the second run gets the same numbers as the first. NumPy's
                global one is always taken care of.
    raises      RuntimeError in the backward pass if the second run gives other values, as from a generator that is not listed

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> ag.checkpoint(lambda t: np.tanh(t) ** 2)(x).sum().backward()
    >>> bool(np.allclose(x.grad.data, 2 * np.tanh([1, 2]) * (1 - np.tanh([1, 2]) ** 2)))
    True
    """
    random = RandomStates(generators)

    @functools.wraps(function)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        leaves, rebuild = flatten([args, kwargs])
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]
        if current_mode() is NOT_RECORDING:
            return function(*args, **kwargs)
        run = _Run(function, leaves, rebuild, places, random)
        inputs = [leaves[i] for i in places]
        outputs, build = run.forward()
        if not places and not run.captured:
            return build([untracked(t._array) if isinstance(t, Tensor) else t for t in outputs])
        return build(record_call(_checkpointed, inputs, [t._array for t in outputs], run, run.captured))

    return checkpointed


class _Run:
    """A function, its arguments with places for the tracked tensors among them, and the random states it began with.

    captured  nodes of tensors that the function refers to by itself, once `forward` has run
    summary   of the values that it gave
    """

    captured: list[Node]
    summary: list[float]

    def __init__(self, function: Any, leaves: list[Any], rebuild: Any, places: Sequence[int], random: RandomStates) -> None:
        self.function = function
        self.others = [None if i in places else leaf for i, leaf in enumerate(leaves)]
        self.rebuild = rebuild
        self.places = places
        self.values = [leaves[i]._array for i in places]
        self.random = random
        self.states = random.get()

    def __call__(self, inputs: Sequence[Any]) -> tuple[list[Any], Any]:
        """The function's tensors for these tensors in the tracked places, and how to build its value from them."""
        leaves = list(self.others)
        for place, value in zip(self.places, inputs, strict=True):
            leaves[place] = value
        args, kwargs = self.rebuild(leaves)
        return flatten(self.function(*args, **kwargs))

    def forward(self) -> tuple[list[Any], Any]:
        """The tensors, and how to build the function's value around others.

        It is recorded in order to find what the function refers to by itself, and the record is dropped. Of plain arrays, if it
        refers to no tensors, the function may give what it likes.
        """
        start = next_number()
        variables = [variable(v) for v in self.values]
        own = {v.node for v in variables}
        outputs, build = self(variables)
        self.captured = referred_nodes("checkpoint: the function", start, outputs, own)
        for i, t in enumerate(outputs):
            if not isinstance(t, Tensor) and (self.places or self.captured):
                raise TypeError(f"checkpoint: the function must return tensors, its value {i} is of type {type(t).__name__}")
        self.references = References("checkpoint: the function", self.captured)
        self.summary = summary_of([raw(t) for t in outputs])
        return outputs, build

    def pull(self, gs: list[Any], inputs: list[Any]) -> list[Any]:
        """The gradients for the inputs and the captured nodes, by a second run."""
        recorded = any(isinstance(g, Tensor) for g in gs)
        self.references.check()
        with self.random.kept(), enable_grad():
            self.random.set(self.states)
            # In a recorded pass too a variable of its own for each input: two may be one tensor, or one that the function refers to.
            variables = [+x if recorded else variable(x) for x in inputs]
            outputs, _ = self(variables)
        self._check_second(outputs, gs)
        return gradients_through(outputs, [*(v.node for v in variables), *self.captured], gs, create_graph=recorded)

    def _check_second(self, outputs: list[Any], gs: list[Any]) -> None:
        """RuntimeError if the second run gave something else than the first."""
        hint = (
            "so its gradient would not be that of the value; the function must not change, and random generators that it draws from are to be "
            "listed: ag.checkpoint(f, generators=[generator])"
        )
        if len(outputs) != len(gs):
            raise RuntimeError(f"checkpoint: the second run gave {len(outputs)} tensors where the first gave {len(gs)}, {hint}")
        for t, g in zip(outputs, gs, strict=True):
            if g is not None and t.shape != g.shape:
                raise RuntimeError(f"checkpoint: the second run gave shape {t.shape} where the first gave {g.shape}, {hint}")
        if differs(self.summary, [raw(t) for t in outputs]):
            raise RuntimeError(f"checkpoint: the second run gave other values than the first, {hint}")


def referred_nodes(who: str, start: int, outputs: Sequence[Any], own: Collection[Node]) -> list[Node]:
    """The nodes older than `start` that `outputs` depend on directly: those of tensors that a function refers to by itself.

    own     nodes of variables that it was given, which do not count
    raises  RuntimeError for a leaf that it made itself and that lives on: a second run has another one, or leaves it out
    """
    found, since = back_to(start, [t.node for t in outputs if isinstance(t, Tensor) and t.node is not None], own)
    made = [node for node in since if isinstance(node, Leaf)]
    if any(leaf.tensor() is not None for leaf in made):
        gc.collect()  # it may be held by garbage
    for leaf in made:
        if leaf.tensor() is not None:
            raise RuntimeError(
                f"{who} made a tensor of shape {leaf.shape} that requires grad and lives on, so its gradient would be lost; make it before, "
                "outside of what is checkpointed"
            )
    return found


_checkpointed = function_op("checkpoint")
