"""What instruments have in common: each sees what the one before it sees, and knows in which module's call the program is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any

from autograd_core.tape.mode import Instrument

__all__ = ["Observer", "name_in"]


class Observer(Instrument):
    """An instrument that lets the one that was on before it see everything too. Subclasses override what they need, and call it.

    outer : the instrument that was on, or None
    """

    def __init__(self, outer: Instrument | None = None) -> None:
        self._outer = Instrument() if outer is None else outer
        self.guards_memory = self._outer.guards_memory
        self.silences_numpy = self._outer.silences_numpy
        self._scopes: ContextVar[tuple[Any, ...]] = ContextVar("autograd_core_scopes", default=())

    def line(self) -> str | None:
        return self._outer.line()

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

    @contextlib.contextmanager
    def scope(self, of: Any, arguments: tuple[Any, ...] = ()) -> Iterator[None]:
        token = self._scopes.set((*self._scopes.get(), of))
        try:
            with self._outer.scope(of, arguments):
                yield
        finally:
            self._scopes.reset(token)

    def scope_path(self) -> str:
        """Where the program is among modules and scopes, such as "Net.layers.0"; "" outside of all."""
        names: list[str] = []
        around: list[Any] = []
        for of in self._scopes.get():
            names.append(of if isinstance(of, str) else name_in(around, of) or type(of).__name__)
            around.append(of)
        return ".".join(names)


def name_in(around: Sequence[Any], module: Any) -> str:
    """What the innermost of the modules around a call calls it: "layers.0"; "" if none does."""
    for outer in reversed(around):
        if hasattr(outer, "named_modules"):
            for name, inner in outer.named_modules():
                if inner is module and name:
                    return str(name)
    return ""
