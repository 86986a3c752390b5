"""NumPy's warnings of overflow, division by zero and invalid values, at the user's line instead of the engine's.

NumPy names the line that called it: always the same few lines of the engine. As Python shows each line's warning once, all but the
first would go unseen. A filter that stands first in `warnings.filters` is asked about each warning while the program stands where it
happened. It passes those on as warnings of the user's line, by all other filters (`-W error` raises, `ignore` ignores), and
drops the engine's.
"""

from __future__ import annotations

import warnings
from _thread import _local  # `threading` takes a millisecond to import
from typing import Any, cast

__all__ = ["warn_at_users_lines"]

_OF_NUMPY = tuple(f"{what} encountered in " for what in ("overflow", "underflow", "divide by zero", "invalid value"))


class _Text(_local):
    """Asked first: whether a warning's text is one of NumPy's. It keeps the text, which the other one is not told.

    passing_on : a warning of the user's line is under way, which the other filters are to see
    """

    last = ""
    passing_on = False

    def match(self, text: str) -> bool:
        self.last = text
        return not self.passing_on and text.startswith(_OF_NUMPY)


class _Place:
    """Asked second: whether it is the engine that computes. The warning is then passed on."""

    def __init__(self, text: _Text) -> None:
        self.text = text

    def match(self, module: str) -> bool:
        text = self.text.last
        if self.text.passing_on or not text.startswith(_OF_NUMPY):
            return False
        from autograd_core.tape.source_lines import frame_behind_engine

        frame = frame_behind_engine()
        if frame is None:
            return False
        registry = frame.f_globals.setdefault("__warningregistry__", {})
        name = frame.f_globals.get("__name__") or "<unknown>"
        self.text.passing_on = True
        try:
            warnings.warn_explicit(text, RuntimeWarning, frame.f_code.co_filename, frame.f_lineno, name, registry)
        finally:
            self.text.passing_on = False
        return True


def warn_at_users_lines() -> None:
    """Put the filter first; what the user adds later comes before it."""
    text = _Text()
    cast(list[Any], warnings.filters).insert(0, ("ignore", text, RuntimeWarning, _Place(text), 0))
