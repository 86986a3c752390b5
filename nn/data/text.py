"""Texts as sequences of tokens to learn from: the input is a stretch of tokens, the target the same stretch one token later."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Characters", "bytes_of", "characters_of", "sequences"]


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


def characters_of(path: str | os.PathLike[str]) -> tuple[Any, Characters]:
    """A text file (UTF-8) as tokens, one for each character, and what they stand for; the text is read whole, unlike by `bytes_of`.

    raises  FileNotFoundError, or ValueError for a file that is empty or no text
    """
    _check_file("characters_of", path)
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"characters_of: {os.fspath(path)!r} is no text in UTF-8: {error}") from None
    characters = Characters(text)
    return characters.encode(text), characters


def bytes_of(path: str | os.PathLike[str]) -> Any:
    """The bytes of a file as tokens from 0 to 255, read as they are needed: for texts that are larger than the memory.

    raises  FileNotFoundError, or ValueError for an empty file
    """
    _check_file("bytes_of", path)
    return np.memmap(path, dtype=np.uint8, mode="r")


def _check_file(name: str, path: str | os.PathLike[str]) -> None:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{name}: there is no file {os.fspath(path)!r}")
    if not Path(path).stat().st_size:
        raise ValueError(f"{name}: {os.fspath(path)!r} is empty")


def sequences(tokens: Any, length: int, stride: int | None = None) -> tuple[Any, Any]:
    """(inputs, targets) of shape (N, length): stretches of tokens, and each one token later. Views: nothing is copied until it is indexed.

    tokens  one after the other, in memory or on disk
    stride  from the beginning of one stretch to that of the next; None for the length
    raises  ValueError if there are not length + 1 tokens

    >>> import numpy as np
    >>> x, y = sequences(np.arange(8), length=3)
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    stride = length if stride is None else stride
    if length < 1 or stride < 1:
        raise ValueError(f"sequences: length={length} and stride={stride} must be at least 1")
    if len(tokens) <= length:
        raise ValueError(f"sequences: {len(tokens)} tokens are too few for stretches of {length} and the one that follows")
    windows = np.lib.stride_tricks.sliding_window_view(tokens, length + 1, subok=True)[::stride]
    return windows[:, :-1], windows[:, 1:]
