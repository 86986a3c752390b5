"""Texts, and random pieces of them to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["language_reference", "pieces", "read_text"]


def language_reference() -> str:
    """A text that every Python has: the part of its language reference that `help("topics")` shows, 465,000 characters in 3.11."""
    from pydoc_data import topics

    return "\n\n".join(text.strip() for _, text in sorted(topics.topics.items()))


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
