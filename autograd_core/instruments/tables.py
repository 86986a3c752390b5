"""Tables for notebooks: what an instrument shows, as HTML that takes the notebook's own fonts and colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["html_table"]

_NUMBER = frozenset("0123456789.,-% BKMGTPi")


def html_table(heads: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table with sentences below it; columns of numbers stand to the right.

    >>> html_table(["op", "calls"], [["exp", "2"]])[:23]
    '<table><thead><tr><th s'
    """
    rows = [list(row) for row in rows]
    numeric = [bool(rows) and all(set(row[i]) <= _NUMBER for row in rows) for i in range(len(heads))]
    styles = [f'style="text-align:{"right" if right else "left"}"' for right in numeric]

    def line(tag: str, texts: Sequence[str]) -> str:
        return f"<tr>{''.join(f'<{tag} {style}>{escape(text)}</{tag}>' for style, text in zip(styles, texts, strict=True))}</tr>"

    body = "".join(line("td", row) for row in rows)
    below = "<br>".join(map(escape, notes))
    return f"<table><thead>{line('th', heads)}</thead><tbody>{body}</tbody></table>" + (f"<p>{below}</p>" if below else "")
