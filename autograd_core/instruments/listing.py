"""`ag.tape`: the recorded program as plain data, one row per operation, printed like a Wengert list.

    %0  leaf                 (3, 2)  float64  w
    %1  multiply  %0, 2.0    (3, 2)  float64
    %2  sum       %1, axis=0 (2,)    float64

Everything that looks at graphs (pictures, diffs, export) reads this one view. A row holds names, numbers and text, never an
array or a node, so a listing neither keeps a tape alive nor changes it; it is made in one pass, without recursion. What the
tape did not keep is not invented: `x + 2` saves nothing, so its 2 is listed as `_`, and so is what a backward pass freed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from autograd_core.instruments.tables import html_table
from autograd_core.tape.node import Node, program_order
from autograd_core.tape.op import Op
from autograd_core.tape.plan import Plan
from autograd_core.tape.signatures import NO_VALUE
from autograd_core.tensor.calls import CALL_PARAMETERS
from autograd_core.tensor.handles import Handle

__all__ = ["Argument", "Row", "RowMaker", "Tape", "constant_text", "counted", "names_of_nodes", "output_tensors", "size_text", "tape"]

NOT_KEPT = "_"  # the text of a constant argument that the tape has not kept
_NOTHING = "nothing recorded: the output is a constant; make an input with requires_grad=True and compute outside of ag.no_grad()"
_HEADS = ("", "operation", "of", "shape", "dtype", "name")
LONGEST_PRINT = 2000  # rows; more are printed as the first and the last half


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a recorded operation.

    name     what the operation calls it: "x1", "axis"
    row      the row whose value it is, or None for a constant
    constant its text: a number, a shape, "_" where the tape did not keep it; empty if it is a row's value
    element  its place in a sequence argument (concatenate's arrays), or None
    """

    name: str
    row: int | None
    constant: str = ""
    element: int | None = None

    def __str__(self) -> str:
        return self.constant if self.row is None else f"%{self.row}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the program: a leaf, or an operation and its result.

    index        its place in the listing: it is called %index there
    op           the operation's name; "leaf" for a tensor that was not computed
    arguments    what it was computed from, in order
    parameters   options with their text, such as (("axis", "0"),), where the tape kept them and they are not the default
    shape, dtype of the result; tuples of them for an operation with several results
    nbytes       of the result
    saved_bytes  of the arrays that the tape keeps for this row's backward step
    leaf         whether a gradient ends here
    freed        whether a backward pass has freed what the row had saved
    name         given by `params`, or None
    number       the node's own number, larger for younger ones; unique in the process
    """

    index: int
    op: str
    arguments: tuple[Argument, ...]
    parameters: tuple[tuple[str, str], ...]
    shape: Any
    dtype: Any
    nbytes: int
    saved_bytes: int
    leaf: bool
    freed: bool
    name: str | None
    number: int

    @property
    def sources(self) -> tuple[int, ...]:
        """The rows that this one was computed from, in the order of the arguments."""
        return tuple(a.row for a in self.arguments if a.row is not None)

    @property
    def arguments_text(self) -> str:
        """`%0, 2.0, axis=0`, with the elements of a sequence argument in brackets."""
        parts: list[str] = []
        opened: str | None = None
        for argument in self.arguments:
            sequence = argument.name if argument.element is not None else None
            if opened is not None and sequence != opened:
                parts[-1] += "]"
            parts.append(f"[{argument}" if sequence is not None and sequence != opened else str(argument))
            opened = sequence
        if opened is not None:
            parts[-1] += "]"
        return ", ".join(parts + [f"{name}={text}" for name, text in self.parameters])


class Tape(Sequence[Row]):
    """The rows of a recorded program in the order in which they ran. `print(tape)` lists them.

    outputs      the row of each output, None for one that nothing was recorded for
    saved_bytes  of all arrays kept for the backward pass, each counted once
    """

    def __init__(self, rows: list[Row], outputs: tuple[int | None, ...], saved_bytes: int, ops: list[Op]) -> None:
        self._rows = rows
        self.outputs = outputs
        self.saved_bytes = saved_bytes
        self._ops = ops

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return self._rows[index]

    def operation(self, index: int) -> Op:
        """The rule table's entry for a row's operation."""
        return self._ops[index]

    @property
    def freed(self) -> bool:
        """Whether a backward pass has freed saved values of some row."""
        return any(row.freed for row in self._rows)

    def __repr__(self) -> str:
        leaves = sum(row.leaf for row in self._rows)
        return f"<tape of {counted(leaves, 'leaf', 'leaves')} and {counted(len(self) - leaves, 'operation')}>"

    def __str__(self) -> str:
        return self.text(LONGEST_PRINT)

    def _repr_html_(self) -> str:
        if not self._rows:
            return html_table(_HEADS, [], [_NOTHING])
        rows = [_cells(row) for row in self._rows]
        if len(rows) > LONGEST_PRINT:
            left_out = f"{len(rows) - LONGEST_PRINT} rows more"
            rows[LONGEST_PRINT // 2 : -LONGEST_PRINT // 2] = [("", left_out, *[""] * (len(_HEADS) - 2))]
        return html_table(_HEADS, rows, [self._summary()])

    def text(self, longest: int | None = None) -> str:
        """The listing with aligned columns; at most `longest` rows (the first and the last half), all if None."""
        if not self._rows:
            return f"({_NOTHING})"
        rows = self._rows
        half = len(rows) if longest is None or len(rows) <= longest else longest // 2
        cells = [_cells(row) for row in (rows if half == len(rows) else rows[:half] + rows[-half:])]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
        if half != len(rows):
            lines[half:half] = [f"... {len(rows) - 2 * half} rows more ..."]
        return "\n".join([*lines, self._summary()])

    def _summary(self) -> str:
        """The last line: the outputs, what is kept, and what is not."""
        outputs = ", ".join("a constant" if i is None else f"%{i}" for i in self.outputs)
        freed = sum(row.freed for row in self._rows)
        parts = [f"output{'s' * (len(self.outputs) > 1)} {outputs}", f"{size_text(self.saved_bytes)} saved for backward"]
        if freed:
            parts.append(f"{counted(freed, 'operation')} freed by a backward pass")
        if any(a.constant == NOT_KEPT for row in self._rows for a in row.arguments):
            parts.append(f"{NOT_KEPT} is a constant that the tape does not keep")
        return "; ".join(parts)


def tape(outputs: Any, params: Any = None) -> Tape:
    """The program that `outputs` were computed by, as plain data: rows %0, %1, ... in the order in which they ran.

    outputs  a Tensor, or a list, tuple or dict of them
    params   names for leaves (and other tensors): {"w": w}, or a module with `named_parameters()`, or {"net": module}
    returns  a Tape: a sequence of rows; print() lists it with op, arguments, shape and dtype
    raises   TypeError if an output is no Tensor

    >>> import autograd_core as ag
    >>> w = ag.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> print(ag.tape((w * 2).sum(axis=0), params={"w": w}))
    %0  leaf                  (2, 2)  float64  w
    %1  multiply  %0, 2       (2, 2)  float64
    %2  sum       %1, axis=0  (2,)    float64
    output %2; 0 B saved for backward
    """
    tensors = output_tensors(outputs)
    operations, leaves = program_order(dict.fromkeys(t.node for t in tensors if t.node is not None))
    nodes: list[Node] = sorted([*operations, *leaves], key=_number)
    index = {node: i for i, node in enumerate(nodes)}
    names = names_of_nodes(params)
    maker = RowMaker()
    rows = [maker.row(i, node, index, names.get(node)) for i, node in enumerate(nodes)]
    outputs_at = tuple(None if t.node is None else index[t.node] for t in tensors)
    return Tape(rows, outputs_at, maker.saved_bytes, [node.plan.op for node in nodes])


class RowMaker:
    """Makes rows of nodes, working out once what the rows of one plan, or of one shape and dtype, have in common."""

    def __init__(self) -> None:
        self._templates: dict[Plan, _Template] = {}
        self._results: dict[tuple[Any, Any], tuple[Any, Any, int]] = {}  # str(dtype) is slow
        self._counted: dict[int, int] = {}  # id of the memory that an array lies in -> bytes, to count each once

    @property
    def saved_bytes(self) -> int:
        """Of all rows made."""
        return sum(self._counted.values())

    def forget(self) -> None:
        """Let go of the plans, which may hold the hooks of a watched node."""
        self._templates.clear()

    def row(self, i: int, node: Node, index: Any, name: str | None) -> Row:
        """Row number `i`, of `node`; `index` tells the rows of its parents."""
        template = self._templates.get(node.plan)
        if template is None:
            template = self._templates[node.plan] = _Template(node.plan)
        kind = (node.shape, node.dtype)
        result = self._results.get(kind)
        if result is None:
            result = self._results[kind] = _result(node)
        return template.row(i, node, index, name, result, self._counted)


def output_tensors(outputs: Any) -> list[Any]:
    """The tensors in `outputs`, which is one or a collection of them."""
    if isinstance(outputs, Handle):
        return [outputs]
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if isinstance(outputs, list | tuple):
        return [tensor for item in outputs for tensor in output_tensors(item)]
    raise TypeError(f"tape: an output must be a Tensor (or a list, tuple or dict of them), not {type(outputs).__name__}")


def names_of_nodes(params: Any) -> dict[Node, str]:
    """The node of each tensor that `params` names."""
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        if not hasattr(params, "named_parameters"):
            raise TypeError(f"params must be a dict name -> Tensor or a module with named_parameters(), not {type(params).__name__}")
        params = dict(params.named_parameters())
    names: dict[Node, str] = {}
    for name, value in params.items():
        if isinstance(value, Handle):
            if value.node is not None:
                names.setdefault(value.node, str(name))
        elif hasattr(value, "named_parameters") or isinstance(value, Mapping):
            for node, inner in names_of_nodes(value).items():
                names.setdefault(node, f"{name}.{inner}")
        else:
            raise TypeError(f"params: {name!r} must be a Tensor or a module, not {type(value).__name__}")
    return names


class _Template:
    """What the rows of one plan have in common, worked out once: which arguments are rows, saved constants, or not kept."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.op = plan.op
        self.name = str(self.op.name)
        self.freed = plan.is_freed
        self.saves: dict[Any, int] = {} if self.freed else {save: plan.arity + i for i, save in enumerate(plan.saves)}
        parameters = self.op.parameters
        self.links: dict[Any, list[tuple[int, int | None]]] = {}  # position -> [(place in links, element or None)]
        for place, where in enumerate(plan.tracked or range(plan.arity)):
            position, element = (where, None) if isinstance(where, int) else where
            self.links.setdefault(position, []).append((place, element))
        defaults = self.op.defaults
        last = max(self.links, default=-1)
        self.shown: list[int] = []  # positions of arguments, in order
        self.options: list[tuple[int, Any]] = []  # (position, default) of parameters that were saved
        for position, name in enumerate(parameters):
            if parameters == CALL_PARAMETERS and position not in self.links:
                continue  # what a call that is one node (checkpoint, vmap) keeps for itself
            default = defaults.get(name, NO_VALUE)
            if position in self.links or default is NO_VALUE or (position < last and position in self.saves):
                self.shown.append(position)
            elif position in self.saves:
                self.options.append((position, default))
        self.empty = [Argument(name, None, NOT_KEPT) for name in parameters]

    def row(self, i: int, node: Node, index: Any, name: str | None, result: tuple[Any, Any, int], counted: dict[int, int]) -> Row:
        plan, links = self.plan, node.parents + node.saved
        arguments: list[Argument] = []
        for position in self.shown:
            places = self.links.get(position)
            if places is None:
                kept = self.saves.get(position)
                arguments.append(self.empty[position] if kept is None else Argument(self.op.parameters[position], None, constant_text(links[kept])))
            elif places[0][1] is None:
                arguments.append(Argument(self.op.parameters[position], index[links[places[0][0]]]))
            else:
                arguments.extend(self._elements(position, places, links, index))
        options = []
        for position, default in self.options:
            value = links[self.saves[position]]
            if value is not default and not (type(value) is type(default) and value == default):
                options.append((self.op.parameters[position], constant_text(value)))
        saved = _array_bytes(node.saved[: len(plan.saves)], counted) if plan.keeps and not self.freed else 0
        shape, dtype, nbytes = result
        return Row(i, self.name, tuple(arguments), tuple(options), shape, dtype, nbytes, saved, plan.arity == 0, self.freed, name, node.number)

    def _elements(self, position: int, places: list[tuple[int, int | None]], links: Any, index: Any) -> Iterator[Argument]:
        """The elements of a sequence argument: rows, and constants as far as their shapes or values were saved."""
        name = self.op.parameters[position]
        tracked = {element: index[links[place]] for place, element in places}
        kept = self.saves.get(position, self.saves.get(("like", position)))
        constants: Sequence[Any] = () if kept is None else links[kept]
        for element in range(max(len(constants), *(e + 1 for e in tracked if e is not None))):
            row = tracked.get(element)
            text = "" if row is not None else constant_text(constants[element]) if element < len(constants) else NOT_KEPT
            yield Argument(name, row, text, element)


def _number(node: Node) -> int:
    return node.number


def _result(node: Node) -> tuple[Any, Any, int]:
    if isinstance(node.dtype, tuple):
        size = sum(_bytes(shape, dtype) for shape, dtype in zip(node.shape, node.dtype, strict=True))
        return node.shape, tuple(str(dtype) for dtype in node.dtype), size
    return node.shape, str(node.dtype), _bytes(node.shape, node.dtype)


def _bytes(shape: tuple[int, ...], dtype: Any) -> int:
    size = math.prod(shape) * dtype.itemsize
    return int(size) if math.isfinite(size) else 0  # a lazy array may not know its shape: nan


def _array_bytes(values: Any, counted: dict[int, int]) -> int:
    """Bytes of the arrays in a node's saved values, each memory block counted once here and noted in `counted`."""
    total = 0
    seen: list[int] = []
    for value in values:
        if isinstance(value, list | tuple):
            total += _array_bytes(value, counted)
            continue
        size = getattr(value, "nbytes", None)
        if not isinstance(size, int):
            continue
        owner = value
        while getattr(owner, "base", None) is not None and hasattr(owner.base, "nbytes"):
            owner = owner.base
        size = min(size, owner.nbytes)  # a broadcast view is smaller in memory than it says
        if id(owner) not in seen:
            seen.append(id(owner))
            total += size
        counted[id(owner)] = max(size, counted.get(id(owner), 0))
    return total


def constant_text(value: Any) -> str:
    """A constant in a listing: short, on one line, and the same in every run."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return repr(value.item()) if shape == () and hasattr(value, "item") else f"<{getattr(value, 'dtype', 'array')} {tuple(shape)}>"
    if isinstance(value, slice):
        start, stop, step = ("" if v is None else constant_text(v) for v in (value.start, value.stop, value.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")
    if isinstance(value, tuple | list):
        inside = ", ".join(constant_text(v) for v in value[:8]) + (", ..." if len(value) > 8 else "")
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
    if value is Ellipsis:
        return "..."
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        text = repr(value)
        return text if len(text) <= 40 else text[:37] + "..."
    return getattr(value, "__name__", None) or str(getattr(value, "name", f"<{type(value).__name__}>"))


def size_text(nbytes: int) -> str:
    """`1536` as "1.5 KiB".

    >>> size_text(0), size_text(1536), size_text(3 << 20)
    ('0 B', '1.5 KiB', '3.0 MiB')
    """
    if nbytes < 1024:
        return f"{nbytes} B"
    power = min((nbytes.bit_length() - 1) // 10, 5)
    return f"{nbytes / 1024**power:.1f} {'KMGTP'[power - 1]}iB"


def _cells(row: Row) -> tuple[str, ...]:
    dtype = row.dtype if isinstance(row.dtype, str) else " ".join(row.dtype)
    shape = str(row.shape) if isinstance(row.dtype, str) else " ".join(map(str, row.shape))
    return f"%{row.index}", row.op, row.arguments_text, shape, dtype, (row.name or "") + (" (freed)" if row.freed else "")


def counted(n: int, one: str, many: str | None = None) -> str:
    """`3 leaves`: a number with its noun."""
    return f"{n} {one if n == 1 else many or one + 's'}"
