"""How wide a text is, without a font: enough to size a box so that any sans-serif face fits into it."""

from __future__ import annotations

import unicodedata

__all__ = ["printable", "shortened", "text_width"]

_NARROW = frozenset("ijl|!.,:;'`()[]{}ft-/\\ \"r1I*")
_WIDE = frozenset("mwMWOQGDHNUCR@%&_+=<>~#")


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About the width of `text` in a sans-serif face of `size`, rather too wide than too narrow."""
    total = 0.0
    for letter in text:
        if letter in _NARROW:
            total += 0.36
        elif letter in _WIDE:
            total += 0.84
        elif letter < "\u0250":
            total += 0.60
        elif unicodedata.combining(letter):
            continue
        else:
            total += 1.05 if unicodedata.east_asian_width(letter) in "WF" else 0.72
    return total * size * (1.13 if bold else 1.0)


def printable(text: str) -> str:
    """`text` with control characters as spaces: neither XML nor a line of a picture can hold them."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def shortened(text: str, size: float, width: float, bold: bool = False) -> str:
    """`text`, cut with an ellipsis to fit into `width`; control characters are made visible as spaces."""
    text = printable(text)
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(text, size, bold) > width - size:
        text = text[:-1]
    return text + "…"
