"""Text as numbers: one for each character that comes up, and random pieces of it to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Characters", "language_reference", "pieces", "read_text"]


def language_reference() -> str:
    """A text that every Python has: the part of its language reference that `help("topics")` shows, 465,000 characters in 3.11."""
    from pydoc_data import topics

    return "\n\n".join(text.strip() for _, text in sorted(topics.topics.items()))


class Characters:
    """The characters of a text, sorted, and their numbers.

    >>> letters = Characters("hello")
    >>> letters.encode("hole"), letters.decode([0, 3])
    (array([1, 3, 2, 0]), 'eo')
    """

    def __init__(self, text: str) -> None:
        self.all = "".join(sorted(set(text)))
        self._numbers = {character: i for i, character in enumerate(self.all)}

    def __len__(self) -> int:
        return len(self.all)

    def encode(self, text: str) -> Any:
        """The characters' numbers; ValueError for one that does not come up in the text."""
        unknown = set(text) - set(self.all)
        if unknown:
            raise ValueError(f"{min(unknown)!r} does not come up in the text, so the model does not know it")
        return np.array([self._numbers[character] for character in text], dtype=np.int64)

    def decode(self, numbers: Any) -> str:
        """The text of numbers."""
        return "".join(self.all[i] for i in numbers)


def pieces(tokens: Any, length: int, count: int, random: np.random.Generator) -> tuple[Any, Any]:
    """(count, length) tokens from random places, and those that follow each of them.

    raises  ValueError if there are not length + 1 tokens
    """
    if len(tokens) <= length:
        raise ValueError(f"a text of {len(tokens)} characters is too short for pieces of {length} and the one that follows; give a longer one")
    places = random.integers(0, len(tokens) - length, size=count)[:, None] + np.arange(length + 1)
    taken = tokens[places]
    return taken[:, :-1], taken[:, 1:]


def read_text(path: Path | None) -> str:
    """The text of a file (UTF-8), or Python's language reference; ValueError if the file holds none."""
    if path is None:
        return language_reference()
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text
