"""Handles of registered hooks, by which they are taken off again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autograd_core.tape.node import next_number

__all__ = ["Hook"]


class Hook:
    """A registered hook; `remove()` takes it off again, also as the end of a `with` block."""

    def __init__(self, hooks: dict[int, Callable[..., Any]], function: Callable[..., Any]) -> None:
        self._hooks = hooks
        self._key = next_number()
        hooks[self._key] = function

    def remove(self) -> None:
        """Take the hook off; a second call does nothing."""
        self._hooks.pop(self._key, None)

    def __repr__(self) -> str:
        function = self._hooks.get(self._key)
        return f"Hook({getattr(function, '__qualname__', None) or repr(function)})" if function is not None else "Hook(removed)"

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
