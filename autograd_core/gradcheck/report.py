"""What a check found: a list of findings with a truth value and a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["Finding", "Report"]


@dataclass
class Finding:
    """One thing that is wrong: which argument and element, and both numbers."""

    order: int
    argument: str
    element: tuple[int, ...]
    given: Any
    expected: Any
    bound: float
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass
class Report:
    """The result of a check; true if nothing was found."""

    name: str
    order: int
    seed: int
    compared: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.findings

    def __str__(self) -> str:
        if self:
            return f"{self.name}: {self.compared} derivatives agree to order {self.order}"
        return "\n".join([f"{self.name}: wrong derivatives ({len(self.findings)} found, seed {self.seed})", *map(str, self.findings)])
