"""What a search found: trials, best first, and a table of them."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Results", "Trial"]

SHOWN = 20  # trials that a notebook or a prompt shows by itself


@dataclass(frozen=True)
class Trial:
    """One choice of hyperparameters and how it did.

    score   lower is better; inf if it diverged
    budget  what successive halving gave it last, else None
    error   why it has no score, else ""
    """

    hyperparameters: dict[str, Any]
    score: float
    seconds: float = 0.0
    budget: float | None = None
    error: str = ""


class Results:
    """Trials from the best to the worst; `print(results)` shows a table."""

    def __init__(self, trials: list[Trial]) -> None:
        # The largest budget first: a score after few steps says little beside one after many. nan is worst.
        self.trials = sorted(trials, key=lambda t: (-(t.budget or 0), math.inf if math.isnan(t.score) else t.score))

    @property
    def best(self) -> Trial:
        """The best trial of those that have a finite score; ValueError if none has."""
        for trial in self.trials:
            if math.isfinite(trial.score):
                return trial
        raise ValueError("search: no trial has a finite score; look at the table for why")

    def __iter__(self) -> Iterator[Trial]:
        return iter(self.trials)

    def __len__(self) -> int:
        return len(self.trials)

    def table(self, rows: int | None = None) -> str:
        """The best `rows` trials (all by default) as text."""
        lines = self._cells(rows)
        widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
        return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)

    def _cells(self, rows: int | None) -> list[list[str]]:
        """The table as lists of cells, the first one being the header."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.hyperparameters))
        budgets = any(trial.budget is not None for trial in self.trials)
        header = ["rank", "score", *(["budget"] if budgets else []), *names, "seconds", ""]
        lines = [header]
        for rank, trial in enumerate(self.trials[:rows], 1):
            values = [_brief(trial.hyperparameters.get(name, "")) for name in names]
            budget = [_brief(trial.budget)] if budgets else []
            lines.append([str(rank), f"{trial.score:.5g}", *budget, *values, f"{trial.seconds:.2f}", trial.error])
        return lines

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        shown = self.table(SHOWN)
        return shown if len(self) <= SHOWN else f"{shown}\n... and {len(self) - SHOWN} more: print(results)"

    def _repr_html_(self) -> str:
        header, *lines = self._cells(SHOWN)
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
        more = f"<p>and {len(self) - SHOWN} more: <code>print(results)</code></p>" if len(self) > SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _brief(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)[:40]
