"""Which module an error comes from: said by its path, as a note on the error, or in its text."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["naming_layers", "say_where"]


class _Place(NamedTuple):
    """Where an error was raised: the innermost module's class, and its path from the outermost one that it has passed so far.

    That one is known by its id: an error that is kept, or sent to another process, takes no model with it.
    """

    kind: str
    path: str
    outer: int
    note: str


def say_where(module: Any, error: Exception) -> None:
    """Tell of an error that leaves the module's call: "in layer1.0.conv2 (Conv2d) of ResNet"; each module around makes the path longer."""
    place: _Place | None = getattr(error, "_place", None)
    if place is None:
        place = _Place(type(module).__name__, "", id(module), f"in {type(module).__name__}")
    elif place.outer != id(module):
        name = _name_in(module, place.outer)
        if not name:  # not a part of this one, which only calls it
            return
        _forget(error, place.note)
        path = f"{name}.{place.path}" if place.path else name
        place = _Place(place.kind, path, id(module), f"in {path} ({place.kind}) of {type(module).__name__}")
    else:
        return
    error.add_note(place.note)
    error._place = place  # type: ignore[attr-defined]


def _name_in(module: Any, part: int) -> str:
    for named in (module.named_children, module.named_modules):  # nearly always it is a child
        for name, found in named():
            if id(found) == part:
                return str(name)
    return ""


def _forget(error: Exception, note: str) -> None:
    if note in error.__notes__:
        error.__notes__.remove(note)


# Errors whose text is their first argument; of others it may be made in another way.
_PLAIN = (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


@contextlib.contextmanager
def naming_layers() -> Iterator[None]:
    """An error of a module that is called in here has the note in its text: for who sees the text alone, in a log or a dialogue."""
    try:
        yield
    except _PLAIN as error:
        place: _Place | None = getattr(error, "_place", None)
        if place is not None and type(error) in _PLAIN and error.args and isinstance(error.args[0], str):
            _forget(error, place.note)
            error.args = (f"{place.note}: {error.args[0]}", *error.args[1:])
        raise
