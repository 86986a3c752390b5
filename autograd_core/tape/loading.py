"""Rules that are imported late: whoever misses a function in the tables asks for more, and looks again."""

from __future__ import annotations

from _thread import RLock  # `threading` takes a millisecond to import
from collections.abc import Callable

__all__ = ["load_more", "load_on_miss"]

# What imports the rules that are not imported with the package (rules/__init__.py), and says whether there were any.
_loaders: list[Callable[[], bool]] = []
_loading = RLock()
_times_loaded = 0


def load_on_miss(loader: Callable[[], bool]) -> None:
    """Let `loader` fill the tables when a function is not found in them."""
    _loaders.append(loader)


def load_more() -> bool:
    """Fill the tables; True if they were filled since this was called, so that looking again is worth it."""
    global _times_loaded
    before = _times_loaded
    with _loading:
        if _times_loaded != before:
            return True  # by another thread, while this one waited
        loaders, _loaders[:] = _loaders[:], []  # none, for the rules that are imported now
        try:
            _times_loaded += any(loader() for loader in loaders)
        finally:
            _loaders[:] = loaders
        return _times_loaded != before
