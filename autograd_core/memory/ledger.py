"""What the tape keeps in memory: who holds each array, what the backward pass will need, and whether anything is left behind."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NamedTuple, Self

import numpy as np

from autograd_core.arrays.layers import ArrayLayer
from autograd_core.arrays.trees import flatten
from autograd_core.instruments.tables import html_table
from autograd_core.tape.guard import memory_owner
from autograd_core.tape.node import Leaf, Node, next_number, program_order
from autograd_core.tensor.tensor import Tensor

__all__ = ["Holder", "Holding", "Ledger", "arrays_in", "assert_no_leak", "memory"]


class Holder(NamedTuple):
    """A node that saved an array: its operation, the argument that it was (or "out"), and its number."""

    op: str
    argument: str
    number: int


@dataclass(slots=True)
class Holding:
    """One piece of memory that the tape keeps.

    shape, dtype, bytes  of the array that owns it (what is saved may be a view of a part)
    holders              the nodes that saved it
    leaf                 it is a leaf's own array (a parameter): there with or without the tape
    """

    shape: tuple[int, ...]
    dtype: str
    bytes: int
    leaf: bool
    holders: list[Holder] = field(default_factory=list)

    @property
    def is_shared(self) -> bool:
        return len({holder.number for holder in self.holders}) > 1

    def cells(self) -> tuple[str, str, str, str]:
        """Size, kind, what it is and who holds it, as text."""
        who = ", ".join(f"{h.op}({h.argument})" for h in self.holders[:3]) + (f" and {len(self.holders) - 3} more" if len(self.holders) > 3 else "")
        kind = "leaf's own" if self.leaf else "shared" if self.is_shared else "unique"
        return _megabytes(self.bytes), kind, f"{self.dtype} {self.shape}", who

    def __str__(self) -> str:
        size, kind, what, who = self.cells()
        return f"{size:>10}  {kind:<10}  {what}  {who}"


class Gain(NamedTuple):
    """What no longer had to be saved if an operation's results were recomputed: `bytes` that only it holds, in `nodes` nodes."""

    op: str
    nodes: int
    bytes: int


class Ledger:
    """What the tape behind some tensors keeps; `print(ag.memory(y))` shows it.

    holdings    every saved array, largest first
    operations  number of recorded operations
    bytes       kept because of the tape: each array counted once, leaves' own not at all
    leaf_bytes  of leaves' own arrays that the tape refers to too
    peak        predicted bytes of saved arrays and gradients together at the worst moment of the backward pass
    """

    def __init__(self, outputs: Iterable[Node]) -> None:
        operations, leaves = program_order(outputs)
        owned = {id(memory_owner(a)) for leaf in leaves if isinstance(leaf, Leaf) and isinstance(a := _array_of(leaf), np.ndarray)}
        self._by_memory: dict[int, Holding] = {}
        self._memory_of: dict[int, list[int]] = {}  # node's number -> the memory that it saved
        for node in operations:
            self._enter(node, owned)
        self.holdings = sorted(self._by_memory.values(), key=lambda holding: -holding.bytes)
        self.operations = len(operations)
        self.bytes = sum(holding.bytes for holding in self.holdings if not holding.leaf)
        self.leaf_bytes = sum(holding.bytes for holding in self.holdings if holding.leaf)
        self.peak = self._predict(operations)

    def _enter(self, node: Node, owned: set[int]) -> None:
        keys = self._memory_of.setdefault(node.number, [])
        for save, value in zip(node.plan.saves, node.saved, strict=False):
            name = node.plan.name_of(save) if isinstance(save, int) else "shapes"
            for array in arrays_in(value):
                owner = memory_owner(array)
                key = id(owner)
                holding = self._by_memory.get(key)
                if holding is None:
                    holding = self._by_memory[key] = Holding(owner.shape, str(owner.dtype), int(owner.nbytes), key in owned)
                holding.holders.append(Holder(str(node.op.name), name, node.number))
                keys.append(key)

    def _predict(self, operations: list[Node]) -> int:
        """Walk through the backward pass with sizes instead of arrays."""
        uses: dict[int, int] = {}
        for keys in self._memory_of.values():
            for key in keys:
                uses[key] = uses.get(key, 0) + 1
        alive = peak = self.bytes
        gradients: dict[Node, int] = {}
        if operations:
            gradients[operations[0]] = _size(operations[0])
            alive += _size(operations[0])
        for node in operations:
            passes_on = {edge.place for edge in node.plan.edges if edge.passes_g and not isinstance(edge.place, tuple)}
            for place, parent in enumerate(node.parents):
                # The gradient of a sum is a view of one number, as large as it looks.
                size = 0 if node.op.structural and node.size < parent.size else _size(parent)
                first = parent not in gradients
                if first and place in passes_on and parent.shape == node.shape:
                    gradients[parent] = 0  # it is the same array
                    continue
                peak = max(peak, alive + size)  # a later contribution is there for a moment, until it is added
                if first:
                    gradients[parent] = size
                    alive += size
            if not all(parent in gradients and gradients[parent] for parent in node.parents):
                # Its gradient lives on as a parent's.
                heir = next((parent for parent in node.parents if not gradients.get(parent)), None)
                if heir is not None:
                    gradients[heir] = gradients.get(node, 0)
                    gradients[node] = 0
            alive -= gradients.pop(node, 0)
            for key in self._memory_of[node.number]:
                uses[key] -= 1
                if uses[key] == 0 and not self._by_memory[key].leaf:
                    alive -= self._by_memory[key].bytes
            peak = max(peak, alive)
        return peak

    def gains(self) -> list[Gain]:
        """For each operation what recomputing (`ag.checkpoint`) instead of saving would free, the most first."""
        found: dict[str, tuple[set[int], int]] = {}
        for holding in self.holdings:
            names = {holder.op for holder in holding.holders}
            if holding.leaf or len(names) > 1:
                continue
            nodes, size = found.get(holding.holders[0].op, (set(), 0))
            found[holding.holders[0].op] = (nodes | {holder.number for holder in holding.holders}, size + holding.bytes)
        return sorted((Gain(op, len(nodes), size) for op, (nodes, size) in found.items()), key=lambda gain: -gain.bytes)

    def table(self, rows: int = 20) -> str:
        lines = [str(holding) for holding in self.holdings[:rows]]
        if len(self.holdings) > rows:
            lines.append(f"... {len(self.holdings) - rows} more")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        first, last = str(self).splitlines()[0], str(self).splitlines()[-1]
        more = [f"... {len(self.holdings) - 20} more"] if len(self.holdings) > 20 else []
        notes = [first, *more, *([last] if self.gains() else [])]
        return html_table(("size", "kind", "array", "saved by"), [holding.cells() for holding in self.holdings[:20]], notes)

    def __str__(self) -> str:
        head = (
            f"{self.operations} operations keep {_megabytes(self.bytes)} in {sum(not h.leaf for h in self.holdings)} arrays"
            f" (and refer to {_megabytes(self.leaf_bytes)} of leaves); predicted peak of the backward pass: {_megabytes(self.peak)}"
        )
        gains = self.gains()
        parts = [head, self.table()] if self.holdings else [head]
        if gains:
            most = gains[0]
            parts.append(f"most to gain by ag.checkpoint: around {most.op} ({most.nodes} nodes), up to {_megabytes(most.bytes)}")
        return "\n".join(parts)

    def __repr__(self) -> str:
        return f"<ledger of {self.operations} operations, {_megabytes(self.bytes)}>"


def memory(tensors: Any) -> Ledger:
    """The ledger of what the tape behind `tensors` (one, or a container of them) keeps for the backward pass.

    raises : TypeError if none of them is a tracked tensor

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor(np.ones(1000), requires_grad=True)
    >>> print(ag.memory(np.exp(x * 2.0).sum()))
    3 operations keep 0.01 MB in 1 arrays (and refer to 0.00 MB of leaves); predicted peak of the backward pass: 0.02 MB
       0.01 MB  unique      float64 (1000,)  exp(out)
    most to gain by ag.checkpoint: around exp (1 nodes), up to 0.01 MB
    """
    nodes = [t.node for t in flatten(tensors)[0] if isinstance(t, Tensor) and t.node is not None]
    if not nodes:
        raise TypeError("memory: no tracked tensor was given, so there is no tape to look at")
    return Ledger(dict.fromkeys(nodes))


def arrays_in(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """The arrays in what a node saved."""
    value = getattr(value, "packed", value)  # what hooks keep in an array's place (saved_tensors.py)
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list):
        for part in value:
            yield from arrays_in(part)
    elif isinstance(value, ArrayLayer):
        yield from arrays_in(value.parts)
    else:
        for node in getattr(value, "inner_nodes", tuple)():  # a mapped call keeps the graph of its inside (transforms/vmap.py)
            yield from arrays_in(node.saved)


def _array_of(leaf: Leaf) -> Any:
    tensor = leaf.tensor()
    return None if tensor is None else tensor._array


def _size(node: Node) -> int:
    """Bytes of a gradient for the result of `node`."""
    if isinstance(node.dtype, tuple):
        return sum(int(np.prod(shape, dtype=int)) * dtype.itemsize for shape, dtype in zip(node.shape, node.dtype, strict=True))
    return int(node.size * node.dtype.itemsize)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


# --- leaks ---------------------------------------------------------------------------------------------------------------------


class assert_no_leak:
    """`with ag.assert_no_leak():` no operation that is recorded inside may outlive the block. For tests.

    A common leak is `total += loss`, which keeps every step's tape; write `total += loss.item()`. Do the work in a function, so
    that its names are gone at the end.

    raises : AssertionError that tells what is left and which tensors, under which names, hold it

    >>> import autograd_core as ag
    >>> x, total = ag.tensor(2.0, requires_grad=True), 0.0
    >>> with ag.assert_no_leak():
    ...     for _ in range(3):
    ...         total = total + x * x  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: 6 operations recorded inside are still there, the youngest is add of shape ()...
    """

    def __enter__(self) -> Self:
        self._start = next_number()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            return
        left = self._left()
        if not left:
            return
        youngest = max(left, key=lambda node: node.number)
        text = f"{len(left)} operations recorded inside are still there, the youngest is {youngest.op.name} of shape {youngest.shape}"
        saved = sum(array.nbytes for node in left for value in node.saved for array in arrays_in(value))
        text += f"; they keep {_megabytes(saved)}. "
        names = _names_of_tensors_at(left)
        del youngest
        left.clear()
        gc.collect()
        if not self._left():
            raise AssertionError(text + "Only the garbage collector frees them: something that refers to itself holds them.")
        raise AssertionError(text + f"Held by {'; '.join(names) or 'something that is no tensor'}. Keep y.detach() or y.item() instead.")

    def _left(self) -> list[Node]:
        return [o for o in gc.get_objects() if issubclass(type(o), Node) and not issubclass(type(o), Leaf) and o.number > self._start]


def _names_of_tensors_at(nodes: list[Node]) -> list[str]:
    """Who holds tensors at these nodes, as text."""
    wanted = set(nodes)
    # Not isinstance, which asks every object of the program for its __class__: some answer with a warning.
    tensors = [o for o in gc.get_objects() if issubclass(type(o), Tensor) and o.node in wanted][:5]
    return [f"a tensor of shape {t.shape} ({', '.join(_names(t, tensors)) or 'without a name'})" for t in tensors]


def _names(tensor: Any, besides: list[Any]) -> list[str]:
    found = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals is not globals():
            found += [f"local {name!r} of {frame.f_code.co_name}" for name, value in frame.f_locals.items() if value is tensor]
        frame = frame.f_back
    for holder in gc.get_referrers(tensor):
        if holder is besides:
            continue
        if isinstance(holder, dict):
            found += [f"{key!r} of a dict" for key, value in holder.items() if value is tensor]
        elif isinstance(holder, list | tuple):
            found += [f"element {i} of a {type(holder).__name__}" for i, value in enumerate(holder) if value is tensor]
    return found
