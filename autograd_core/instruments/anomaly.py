"""Anomaly detection: a debugging mode that spends time to find where things went wrong, and says which line it was.

It stops at the first NaN or infinity that an operation makes, in the forward or in the backward pass, and explains it: a NaN
in the loss tells nothing, the operation that made it nearly all. And it finds what the quick mutation guard misses: outside,
large arrays are compared by a sample; inside, every byte of every saved array counts.

An infinity that the program is given (a mask of -inf) is the user's and no anomaly; one that an operation makes of finite
numbers is. A NaN is one wherever it is met first.
"""

from __future__ import annotations

import contextlib
import linecache
from typing import Any, Self

import numpy as np

from autograd_core.arrays.batching.array import Batched
from autograd_core.arrays.batching.axes import element_of
from autograd_core.instruments.observer import Observer
from autograd_core.instruments.traps import Trap, backward_trap, forward_trap
from autograd_core.tape.mode import NOT_RECORDING, Instrument, current_mode, instrumented, no_grad, observer
from autograd_core.tape.node import Node
from autograd_core.tape.source_lines import inside_sweep, place_text, user_place
from autograd_core.tensor.handles import raw

__all__ = ["AnomalyError", "detect_anomaly"]

Place = tuple[str, int]
_NOTES = 1_000_000  # are kept: about 200 bytes each


class AnomalyError(FloatingPointError, RuntimeError):
    """A NaN or an infinity, at the operation that made it. The message tells all; programs read its attributes.

    op     name of the operation;  phase  "forward" or "backward"
    index  of the offending element;  value  of it
    place  (file, line) in the user's code that computed the operation, or None
    cause, mend   why, and what to write instead; "" if it is no known trap
    """

    def __init__(self, message: str, op: str, phase: str, index: tuple[int, ...], value: Any, place: Place | None, trap: Trap | None) -> None:
        super().__init__(message)
        self.op, self.phase, self.index, self.value, self.place = op, phase, index, value, place
        self.cause, self.mend = ("", "") if trap is None else trap


class _Watcher(Observer):
    """Guards memory in full, notes each node's line, and looks at every value and gradient."""

    def __init__(self, outer: Instrument | None, forward: bool, backward: bool) -> None:
        super().__init__(outer)
        self.guards_memory = self.silences_numpy = True
        self._forward = forward
        self._backward = backward
        self._notes: dict[int, tuple[Place | None, str, int | None]] = {}  # node's number -> line, module, node whose rule recorded it
        self._sweeping: int | None = None

    def line(self) -> str | None:
        place = user_place()
        return None if place is None else _quoted(place, full=True)

    # --- forward ----------------------------------------------------------------------------------------------------------

    def recorded(self, node: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], value: Any) -> None:
        super().recorded(node, arguments, keywords, value)
        in_sweep = self._sweeping is not None and inside_sweep()
        if len(self._notes) >= _NOTES:
            self._notes = dict(list(self._notes.items())[_NOTES // 2 :])
        self._notes[node.number] = (user_place(), self.scope_path(), self._sweeping if in_sweep else None)
        # What a rule computes on the way is judged when the rule is done: it may still be mended (structural zeros).
        if self._forward and not in_sweep:
            for part in value if isinstance(value, tuple | list) else [value]:
                if not _is_fine(part):
                    element, (part, arguments, keywords) = _one_element(part, (part, arguments, keywords))
                    self._judge_value(node, arguments, keywords, part, element)

    def _judge_value(self, node: Node, arguments: tuple[Any, ...], keywords: dict[str, Any], value: Any, element: tuple[int, ...]) -> None:
        named = _named(node, arguments, keywords)
        given = {name: a for name, a in named.items() if _is_array(a) and not _is_fine(a)}
        index = _offending(value, named if node.op.elementwise else None)
        if index is None or (given and not node.op.elementwise and not np.isnan(value[index])):
            return  # an infinity that was given is handed on
        at = _values_at(named, index, value.shape) if node.op.elementwise else {}
        trap = forward_trap(str(node.op.name), at, named, named.get("axis"), value[index])
        shown = at or {name: _summary(a) for name, a in named.items() if _is_array(a)}
        nan_given = [name for name, a in given.items() if np.isnan(a).any()]
        if nan_given:
            headline = f"{node.op.name}: its argument {nan_given[0]} holds nan, which came in with an input or a constant"
            trap = Trap("no recorded operation made this nan: it was in the data", f"look at it before: np.argwhere(np.isnan({nan_given[0]}))")
        else:
            headline = f"{node.op.name}: the forward pass made the first {_kind(value[index])}"
        raise self._error(headline, node, "forward", value, index, shown, trap, element)

    # --- backward ---------------------------------------------------------------------------------------------------------

    def sweeping(self, node: Any, gradient: Any) -> None:
        super().sweeping(node, gradient)
        self._sweeping = node.number
        if self._backward:
            for part in raw(gradient) if isinstance(gradient, list | tuple) else [raw(gradient)]:
                if _is_array(part) and not _is_fine(part):
                    index = _first(~np.isfinite(part), part)
                    headline = f"{node.op.name}: the gradient of its result is {_kind(part[index])} before any rule made it so"
                    trap = Trap(
                        "it was passed to backward(), a hook returned it, or finite contributions overflowed as they were added",
                        "look at what was passed, or scale the loss",
                    )
                    raise self._error(headline, node, "backward", part, index, {}, trap)

    def swept(self, node: Any, parent: Any, gradient: Any, contribution: Any) -> None:
        super().swept(node, parent, gradient, contribution)
        if not self._backward:
            return
        for part in raw(contribution) if isinstance(contribution, list | tuple) else [raw(contribution)]:
            if not _is_fine(part):
                element, (part, g, links, saved) = _one_element(part, (part, raw(gradient), node.links, _saved(node)))
                self._judge_gradient(node, parent, g, part, links, saved, element)

    def _judge_gradient(
        self, node: Node, parent: Node, g: Any, contribution: Any, links: tuple[Any, ...], saved: dict[str, Any], element: tuple[int, ...]
    ) -> None:
        name, unsummed = _again(node, parent, g, links)
        if unsummed is None or _is_fine(unsummed):
            unsummed = contribution
        bad = ~np.isfinite(contribution) if contribution.shape == unsummed.shape else ~np.isfinite(unsummed)
        index = _first(bad, unsummed)
        at: dict[str, Any] = {}
        if node.op.elementwise and unsummed.shape == node.shape:
            at = _values_at(saved, index, node.shape)
        arriving = g[index] if _is_array(g) and g.shape == unsummed.shape else None
        trap = backward_trap(str(node.op.name), at, arriving)
        if unsummed is contribution and trap is None:
            trap = Trap("overflow: finite contributions were added, and their sum is too large for the dtype", "scale the loss")
        shown = ({} if arriving is None else {"g": arriving}) | (at or {n: _summary(a) for n, a in saved.items() if _is_array(a)})
        headline = f"{node.op.name}: the backward pass made the first {_kind(unsummed[index])}, in the gradient for its argument {name}"
        raise self._error(headline, node, "backward", unsummed, index, shown, trap, element)

    # --- the message ------------------------------------------------------------------------------------------------------

    def _error(
        self,
        headline: str,
        node: Node,
        phase: str,
        array: Any,
        index: tuple[int, ...],
        shown: dict[str, Any],
        trap: Trap | None,
        element: tuple[int, ...] = (),
    ) -> AnomalyError:
        bad = int(np.size(array) - np.count_nonzero(np.isfinite(array)))
        count = f", one of {bad} that are nan or infinite" if bad > 1 else ""
        lines = [headline]
        if element:
            lines.append(f"  in a mapped call (vmap), for element {', '.join(map(str, element))} of the batch")
        lines.append(f"  element {list(index)} of shape {array.shape}, {array.dtype}: {array[index]}{count}")
        if shown:
            lines.append("  with " + ", ".join(f"{name} = {value}" for name, value in shown.items()))
        place, module, within = self._notes.get(node.number, (None, "", None))
        while within is not None:
            lines.append("  this operation is part of a recorded backward pass (create_graph), of the gradient of:")
            place, module, within = self._notes.get(within, (None, "", None))
        where = f" (in {module})" if module else ""
        lines.append(f"  computed at {_quoted(place)}{where}" if place else "  computed outside of detect_anomaly: put the forward pass inside")
        if phase == "backward":
            calling = user_place()
            lines.append(f"  in the backward pass of {_quoted(calling)}" if calling else "  in a backward pass")
        if trap is not None:
            lines += [f"  why:  {trap.cause}", f"  mend: {trap.mend}"]
        return AnomalyError("\n".join(lines), str(node.op.name), phase, index, array[index], place, trap)


def _quoted(place: Place, full: bool = False) -> str:
    """`train.py:12: loss = np.log(p)`."""
    where = f"{place[0]}:{place[1]}" if full else place_text(place)
    return f"{where}: {linecache.getline(*place).strip()}"


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray | np.inexact) and value.dtype.kind in "fc"


def _is_fine(value: Any) -> bool:
    """Whether all of an array is finite; so is what NumPy cannot look at."""
    while isinstance(value, Batched):
        value = value.payload
    return not _is_array(value) or bool(np.isfinite(value).all())


def _one_element(part: Any, values: Any) -> tuple[tuple[int, ...], Any]:
    """Which element of a batch, or of nested ones, makes `part` not finite, and `values` with that element in place of the batches."""
    element: list[int] = []
    while isinstance(part, Batched):
        i = next(i for i in range(len(part.payload)) if not _is_fine(part.payload[(i, ...)]))
        values = element_of(values, part.level, i)
        part = part.payload[(i, ...)]
        element.append(i)
    return tuple(reversed(element)), values  # the outer map's index first


def _kind(value: Any) -> str:
    return "nan" if np.isnan(value) else "inf"


def _first(bad: Any, array: Any) -> tuple[int, ...]:
    """The first place of a NaN among `bad`, else of anything."""
    nans = bad & np.isnan(array)
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(nans if nans.any() else bad)), np.shape(bad)))


def _offending(value: Any, elementwise: dict[str, Any] | None) -> tuple[int, ...] | None:
    """Where the operation made what is not finite; None if, elementwise, all infinities come from infinities."""
    bad = ~np.isfinite(value)
    if elementwise is not None:
        for a in elementwise.values():
            if _is_array(a) or isinstance(a, float):
                bad = bad & ~(np.isinf(a) & ~np.isnan(value))
    return _first(bad, value) if np.any(bad) else None


def _named(node: Node, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> dict[str, Any]:
    """The operation's arguments by name; elements of sequences as `arrays[0]`."""
    op = node.op
    named: dict[str, Any] = {}
    for position, argument in enumerate(arguments):
        variadic = op.variadic is not None and position >= op.variadic
        name = op.parameters[op.variadic or 0] if variadic else op.parameters[position] if position < len(op.parameters) else f"argument {position}"
        if variadic:
            named[f"{name}[{position - (op.variadic or 0)}]"] = argument
        elif isinstance(argument, list | tuple) and any(_is_array(a) for a in argument):
            named.update({f"{name}[{i}]": a for i, a in enumerate(argument)})
        else:
            named[name] = argument
    return named | keywords


def _saved(node: Node) -> dict[str, Any]:
    """What a node saved, by name."""
    names = [node.plan.name_of(save) if isinstance(save, int) else None for save in node.plan.saves]
    return {name: value for name, value in zip(names, node.saved, strict=False) if name is not None}


def _values_at(named: dict[str, Any], index: tuple[int, ...], shape: tuple[int, ...]) -> dict[str, Any]:
    """Each argument's value where the result has `index`."""
    values = {}
    for name, a in named.items():
        if isinstance(a, np.ndarray) and a.dtype.kind in "fciub":
            values[name] = np.broadcast_to(a, shape)[index]
        elif isinstance(a, int | float | complex | np.number):
            values[name] = a
    return values


def _summary(array: Any) -> str:
    """`array (3, 4) from -1.5 to 7.25`."""
    if not np.size(array) or array.dtype.kind == "c":
        return f"array {array.shape}"
    if array.ndim == 0:
        return str(array)
    return f"array {array.shape} from {np.min(array)} to {np.max(array)}"


def _again(node: Node, parent: Node, g: Any, links: tuple[Any, ...]) -> tuple[str, Any]:
    """The name of the argument whose rule spoiled the gradient for `parent`, and its contribution before it was summed to shape."""
    conjugate = node.op.holomorphic and not isinstance(g, list) and node.dtype.kind == "c"
    name = ""
    with no_grad(), np.errstate(all="ignore"):
        for edge in node.plan.edges:
            places = edge.place if isinstance(edge.place, tuple) else [(edge.place, None)]
            for place, element in places:
                if links[place] is not parent:
                    continue
                name = edge.name if element is None else f"{edge.name}[{element}]"
                if edge.accumulate is not None:
                    return name, None
                found = edge.pull(g.conjugate() if conjugate else g, links)
                found = found if element is None else found[element]
                if _is_array(found) and not _is_fine(found):
                    return name, found.conjugate() if conjugate else found
    return name, None


class detect_anomaly(contextlib.ContextDecorator):
    """`with ag.detect_anomaly():` stops at the first NaN or infinity that an operation makes, and explains it.

    The error names the operation, the element and the values there, the line that computed it, and, where it is a known trap
    (a masked branch, sqrt or log at 0, 0 * inf, overflow of exp, a softmax row that is all -inf), the cause and the mend. Put
    the forward and the backward pass inside. Every saved array is compared in full, so that a change in place is found too.

    forward   judge the values that operations compute; False where a later mask discards them on purpose
    backward  judge the gradients
    raises    AnomalyError (a FloatingPointError and a RuntimeError); RuntimeError for a saved array that was changed

    NumPy's own warnings of operations on tensors (division by zero, overflow, ...) are off inside: what they warn of is an error here,
    with a reason.

    >>> import numpy as np, autograd_core as ag
    >>> x = ag.tensor([4.0, 0.0], requires_grad=True)
    >>> with ag.detect_anomaly():
    ...     (np.array([1.0, 0.0]) * np.sqrt(x)).sum().backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    autograd_core.instruments.anomaly.AnomalyError: sqrt: the backward pass made the first nan, in the gradient for its argument x
      element [1] of shape (2,), float64: nan
      with g = 0.0, out = 0.0
    ...
      why:  the slope of the square root at 0 is infinite, and the gradient that arrives is 0: 0 * inf is nan. Mostly a mask ...
      mend: np.where(mask, f(x), 0) instead of mask * f(x): ...
    """

    def __init__(self, forward: bool = True, backward: bool = True) -> None:
        self._forward, self._backward = forward, backward
        self._inside: list[instrumented | None] = []

    def _recreate_cm(self) -> detect_anomaly:
        return detect_anomaly(self._forward, self._backward)

    def __enter__(self) -> Self:
        switch = None
        if current_mode() is not NOT_RECORDING:
            switch = instrumented(_Watcher(observer(), self._forward, self._backward))
            switch.__enter__()
        self._inside.append(switch)
        return self

    def __exit__(self, *exception: object) -> None:
        switch = self._inside.pop()
        if switch is not None:
            switch.__exit__(*exception)
