"""`nn.summary`: a table of a model's layers with what comes out of each, what it holds, and what it costs.

The model is run once, in evaluation and with everything recorded. What was recorded between the beginning and the end of a
module's call, and not in a module within it, is the module's own: so products written in a `forward` count like layers do.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_core as ag
from nn.module import Module

__all__ = ["Summary", "SummaryRow", "summary"]


@dataclass(frozen=True)
class SummaryRow:
    """One module.

    name        its path in the model; "" for the model itself
    kind        its class
    output      the shape of what its first call gave, a tuple of shapes for several results; None if it was not called
    parameters  how many numbers its own parameters have: not those of modules in it, nor those that an earlier row has
    trainable   how many of them require grad
    bytes       of these parameters, and of its own buffers
    flops       of its own products and convolutions in all its calls: 2 for each multiplication with its addition
    """

    name: str
    kind: str
    output: Any
    parameters: int
    trainable: int
    bytes: int
    flops: int

    @property
    def depth(self) -> int:
        """How many modules it is in."""
        return self.name.count(".") + 1 if self.name else 0


@dataclass(frozen=True)
class Summary:
    """What `nn.summary` returns: `print` it, or let a notebook show it.

    rows         one `SummaryRow` per module, parents first
    saved_bytes  of what the tape keeps for a backward pass from the model's output, parameters included
    """

    rows: Sequence[SummaryRow]
    saved_bytes: int

    @property
    def parameters(self) -> int:
        """How many numbers all parameters have together."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable(self) -> int:
        """How many of them require grad."""
        return sum(row.trainable for row in self.rows)

    @property
    def bytes(self) -> int:
        """Of all parameters and buffers."""
        return sum(row.bytes for row in self.rows)

    @property
    def flops(self) -> int:
        """Of all products and convolutions of the forward pass."""
        return sum(row.flops for row in self.rows)

    def _cells(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        for row in self.rows:
            name = f"{row.name.rpartition('.')[2]}: {row.kind}" if row.name else row.kind
            output = "not called" if row.output is None else str(row.output)
            yield row.depth, (name, output, _count(row.parameters), _size(row.bytes), _flops(row.flops))

    def _totals(self) -> list[str]:
        frozen = self.parameters - self.trainable
        return [
            f"{self.parameters:,} parameters in {len(self.rows):,} modules"
            + (f", {self.trainable:,} to be trained and {frozen:,} frozen" if frozen else ""),
            f"{_size(self.bytes) or '0 B'} of parameters and buffers; {_size(self.saved_bytes) or '0 B'} kept for the backward pass",
            f"{_flops(self.flops) or '0'} floating-point operations in the products of a forward pass",
        ]

    def __str__(self) -> str:
        cells = [_HEAD, *(("  " * depth + name, *rest) for depth, (name, *rest) in self._cells())]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(_aligned(i, text, width) for i, (text, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in cells]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        return "\n".join([lines[0], rule, *lines[1:], rule, *self._totals()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        def row(tag: str, texts: Sequence[str], depth: int = 0) -> str:
            styles = [f"text-align:left;padding-left:{0.6 + 1.2 * depth:g}em", "text-align:left", *["text-align:right"] * 3]
            cells = (f'<{tag} style="{style}">{html.escape(text)}</{tag}>' for style, text in zip(styles, texts, strict=True))
            return f"<tr>{''.join(cells)}</tr>"

        body = "".join(row("td", texts, depth) for depth, texts in self._cells())
        totals = "<br>".join(html.escape(line) for line in self._totals())
        return f"<table><thead>{row('th', _HEAD)}</thead><tbody>{body}</tbody></table><p>{totals}</p>"


_HEAD = ("module", "output", "parameters", "bytes", "FLOPs")


def summary(model: Module, *inputs: Any, **kwargs: Any) -> Summary:
    """A table of the model's modules: output shapes, parameters, bytes, floating-point operations, with totals.

    inputs   what the model is called on: arrays, tensors, or shapes (tuples of integers), of which zeros are made in the dtype of the
             first parameter
    returns  a `Summary`, which prints as a table and shows itself in notebooks
    raises   TypeError for a model that is no module, and what the model raises

    The model is left as it was: it runs in evaluation, so that neither running statistics nor random draws change.

    >>> import nn
    >>> print(nn.summary(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)), (8, 3)))
    module       output  parameters  bytes  FLOPs
    ---------------------------------------------
    Sequential   (8, 1)
      0: Linear  (8, 4)          16   64 B    192
      1: ReLU    (8, 4)
      2: Linear  (8, 1)           5   20 B     64
    ---------------------------------------------
    21 parameters in 4 modules
    84 B of parameters and buffers; 288 B kept for the backward pass
    256 floating-point operations in the products of a forward pass
    """
    if not isinstance(model, Module):
        raise TypeError(f"summary: the model must be a module, not {type(model).__name__}; write nn.summary(model, input)")
    names = {id(module): name for name, module in model.named_modules()}
    calls: list[_Call] = []
    with _left_as_it_was(model), ExitStack() as hooks, ag.enable_grad():
        for module in list(model.modules()):
            watched = _Watched(calls, names[id(module)])
            hooks.enter_context(module.register_forward_pre_hook(watched.before, prepend=True))
            hooks.enter_context(module.register_forward_hook(watched.after))
        result = model(*(_input(model, value) for value in inputs), **kwargs)
        tape = ag.tape([t for t in _tensors(result) if t.requires_grad])
    flops = _flops_by_name(tape, calls)
    outputs: dict[str, Any] = {}
    for call in reversed(calls):
        outputs[call.name] = call.output
    return Summary([*_rows(model, outputs, flops)], tape.saved_bytes)


# --- running it ---------------------------------------------------------------------------------------------------------


@dataclass
class _Call:
    """A module's call: the number of the last operation before it, and after it."""

    name: str
    begin: int
    end: int = -1
    output: Any = None


class _Watched:
    """The hooks of one module."""

    def __init__(self, calls: list[_Call], name: str) -> None:
        self.calls = calls
        self.name = name
        self.running: list[_Call] = []

    def before(self, _module: Any, _args: Any) -> None:
        self.running.append(_Call(self.name, _last_number()))
        self.calls.append(self.running[-1])

    def after(self, _module: Any, _args: Any, result: Any) -> None:
        call = self.running.pop()
        call.end, call.output = _last_number(), _shapes(result)


def _last_number() -> int:
    """The number of an operation recorded now."""
    return ag.tape(ag.tensor(0.0, requires_grad=True) * 1.0)[-1].number


@contextmanager
def _left_as_it_was(model: Module) -> Iterator[None]:
    """The model in evaluation and with all parameters requiring grad, so that all of it is recorded; at the end as before."""
    modes = [(module, module.training) for module in model.modules()]
    frozen = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    try:
        model.eval()
        for parameter in frozen:
            parameter.requires_grad = True
        yield
    finally:
        for parameter in frozen:
            parameter.requires_grad = False
        for module, training in modes:
            module.training = training


def _input(model: Module, value: Any) -> Any:
    """An array that is tracked, if it can be: zeros for a shape."""
    if isinstance(value, tuple) and all(isinstance(n, int | np.integer) for n in value):
        dtype = next((parameter.dtype for parameter in model.parameters()), np.dtype(np.float32))
        value = np.zeros(value, dtype)
    if isinstance(value, ag.Tensor | np.ndarray) and value.dtype.kind == "f":
        return ag.tensor(value.detach() if isinstance(value, ag.Tensor) else value, requires_grad=True)
    return value


def _tensors(result: Any) -> Iterator[ag.Tensor]:
    if isinstance(result, ag.Tensor):
        yield result
    elif isinstance(result, dict | tuple | list):
        for item in result.values() if isinstance(result, dict) else result:
            yield from _tensors(item)


def _shapes(result: Any) -> Any:
    if isinstance(result, dict):
        result = tuple(result.values())
    if isinstance(result, tuple | list):
        return tuple(_shapes(item) for item in result)
    return np.shape(result) if hasattr(result, "shape") else ()


def _rows(model: Module, outputs: dict[str, Any], flops: dict[str, int]) -> Iterator[SummaryRow]:
    seen: set[int] = set()

    def new(tensors: Any) -> list[Any]:
        found = [tensor for tensor in tensors if id(tensor) not in seen]
        seen.update(map(id, found))
        return found

    for name, module in model.named_modules():
        parameters, buffers = new(module.parameters(recurse=False)), new(module.buffers(recurse=False))
        yield SummaryRow(
            name,
            type(module).__name__,
            outputs.get(name),
            sum(p.size for p in parameters),
            sum(p.size for p in parameters if p.requires_grad),
            sum(p.data.nbytes for p in (*parameters, *buffers)),
            flops.get(name, 0),
        )


# --- floating-point operations ------------------------------------------------------------------------------------------


def _matmul(out: Any, of: Any) -> int:
    inner = of["x1"][-1] if "x1" in of else of["x2"][-2 if len(of["x2"]) > 1 else 0] if "x2" in of else 1
    return 2 * math.prod(out) * inner


def _attention(out: Any, of: Any) -> int:
    weights, query = math.prod(out[1]), of.get(("operands", 0), out[0])
    return 2 * weights * (query[-1] + out[0][-1])


def _recurrent(*weights: int) -> Any:
    """Each row of x with each of the weights, which stand at these places of the operands."""
    return lambda out, of: 2 * of.get(("operands", 0), (0,))[0] * sum(math.prod(of.get(("operands", i), (0,))) for i in weights)


# Operation -> operations from the shape of the result and those of the arguments that the tape has, by name, or by (name, place) in a
# sequence. What is not here has no product in it.
_OPERATIONS: dict[str, Callable[[Any, Any], int]] = {
    "matmul": _matmul,
    "linear": lambda out, of: 2 * math.prod(out) * of["weight"][-1],
    "convolve": lambda out, of: 2 * math.prod(out) * math.prod(of["weight"][1:]),
    "convolve_transposed": lambda out, of: 2 * math.prod(of.get("x", out)) * math.prod(of["weight"][1:]),
    "attention": _attention,
    "packed_attention": lambda out, of: 4 * math.prod(out[1]) * out[0][-1] // out[1][1],
    "lstm": _recurrent(3, 4, 7),
    "gru": _recurrent(2, 3),
    "rnn": _recurrent(2, 3),
}


def _flops_by_name(tape: Any, calls: list[_Call]) -> dict[str, int]:
    """Module's path -> operations of the rows that were recorded in its calls, and in no module's within."""
    found: dict[str, int] = {}
    for row in tape:
        count = _OPERATIONS.get(row.op)
        if count is None:
            continue
        shapes = {a.name if a.element is None else (a.name, a.element): tape[a.row].shape for a in row.arguments if a.row is not None}
        around = [call for call in calls if call.begin < row.number < call.end]
        name = max(around, key=lambda call: call.begin).name if around else ""
        found[name] = found.get(name, 0) + count(row.shape, shapes)
    return found


# --- texts --------------------------------------------------------------------------------------------------------------


def _aligned(column: int, text: str, width: int) -> str:
    return text.ljust(width) if column < 2 else text.rjust(width)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _size(number: int) -> str:
    return _in_units(number, 1024, ("B", "KiB", "MiB", "GiB", "TiB"))


def _flops(number: int) -> str:
    return _in_units(number, 1000, ("", "k", "M", "G", "T", "P"))


def _in_units(number: float, factor: int, units: Sequence[str]) -> str:
    """The number in the unit in which it is short; nothing for 0."""
    place = 0
    while number >= factor and place < len(units) - 1:
        number, place = number / factor, place + 1
    return f"{number:.{0 if number >= 999.5 else 4}{'f' if number >= 999.5 else 'g'}} {units[place]}".rstrip() if number else ""
