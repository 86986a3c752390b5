"""Anomaly detection: a debugging mode that spends time to find what the quick checks miss, and to say which line it came from.

Outside of it the mutation guard compares small arrays whole and large ones by a sample, so that its cost is bounded. Inside,
every byte of every saved array counts, and the error names the line that saved it.
"""

from __future__ import annotations

import linecache
from contextlib import AbstractContextManager
from typing import Any

from autograd_core.drawing.source_lines import user_place
from autograd_core.grad_mode import NOT_RECORDING, RECORDING, Instrument, current_mode, instrumented

__all__ = ["detect_anomaly"]


class _Watcher(Instrument):
    """Guards memory in full, and lets the instrument that was on before see everything too."""

    guards_memory = True

    def __init__(self, outer: Instrument) -> None:
        self._outer = outer

    def line(self) -> str | None:
        place = user_place()
        return None if place is None else f"{place[0]}:{place[1]}: {linecache.getline(*place).strip()}"

    def computing(self, op: Any, parents: list[Any]) -> None:
        self._outer.computing(op, parents)

    def recorded(self, node: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], value: Any) -> None:
        self._outer.recorded(node, arguments, keywords, value)

    def failed(self, op: Any, arguments: tuple[Any, ...], keywords: dict[str, Any], error: BaseException) -> None:
        self._outer.failed(op, arguments, keywords, error)

    def sweeping(self, node: Any, gradient: Any) -> None:
        self._outer.sweeping(node, gradient)

    def swept(self, node: Any, parent: Any, gradient: Any, contribution: Any) -> None:
        self._outer.swept(node, parent, gradient, contribution)

    def scope(self, of: Any, arguments: tuple[Any, ...] = ()) -> AbstractContextManager[Any]:
        return self._outer.scope(of, arguments)


def detect_anomaly() -> AbstractContextManager[Any]:
    """`with ag.detect_anomaly():` every array that an operation saves inside is compared in full before its gradient is computed.

    raises : RuntimeError, in the backward pass, naming the operation, the argument and the line that saved it, if one was changed

    >>> import numpy as np, autograd_core as ag
    >>> x, a = ag.tensor(np.ones(1000), requires_grad=True), np.ones(1000)
    >>> with ag.detect_anomaly():
    ...     y = (x * a).sum()
    >>> a[123] = 100.0  # one element of a large array, which a sample may miss
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    RuntimeError: multiply: its argument x2 (array of shape (1000,), float64) was changed in place ... It was saved at ...
    """
    mode = current_mode()
    return instrumented(mode if mode is NOT_RECORDING else _Watcher(Instrument() if mode is RECORDING else mode))
