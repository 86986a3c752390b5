"""What could not be decided or was skipped, gathered by reason, so that one line says it once."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["Notes"]

SHOWN = 4  # places that are named for one reason


class Notes:
    """Collects what is to be said of single places; `lines()` says it."""

    def __init__(self) -> None:
        self.inconclusive: dict[str, list[str]] = {}
        self.skipped: dict[str, list[str]] = {}

    def undecided(self, variation: str, place: str, reason: str) -> None:
        """A derivative at a variation of which nothing can be said; `place` is "x[0]", or "" for several elements together."""
        self.inconclusive.setdefault(reason, []).append(f"{variation} ({place})" if place else variation)

    def skip(self, variation: str, reason: str) -> None:
        """A variation that could not be tried."""
        self.skipped.setdefault(reason, []).append(variation)

    def lines(self) -> list[str]:
        """One line for each reason."""
        lines = [f"inconclusive, {reason}: {_listed(places)}" for reason, places in self.inconclusive.items()]
        return lines + [f"skipped, {reason}: {_listed(variations, 12)}" for reason, variations in self.skipped.items()]


def _listed(items: Sequence[str], shown: int = SHOWN) -> str:
    unique = list(dict.fromkeys(items))
    return ", ".join(unique[:shown]) + (f" and {len(unique) - shown} more" if len(unique) > shown else "")
