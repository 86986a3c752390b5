"""What came out at one variation of the inputs, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autograd_core.gradcheck.inputs.variations import Variation
from autograd_core.gradcheck.numeric.spots import RuleFailed, Spot
from autograd_core.gradcheck.numeric.values import Comparison, Disagreement

__all__ = ["LARGEST_CASE", "ORDINARY", "Diagnosis", "Outcome"]

ORDINARY = frozenset({"given", "value", "positive"})

LARGEST_CASE = 80  # components of all arguments; of larger calls a smaller variation is diagnosed


@dataclass
class Outcome:
    """What came out at one variation: a spot and its comparison, or the failure of the rule."""

    variation: Variation
    spot: Spot | None = None
    comparison: Comparison | None = None
    failure: RuleFailed | None = None
    order: int = 1

    def disagreements(self, argument: int) -> list[Disagreement]:
        """Those that concern an argument, by its number."""
        if self.comparison is None or self.spot is None:
            return []
        part = self.spot.inputs.parts[argument]
        return [
            d for d in self.comparison.disagreements if (d.component is None and _moves(d, part)) or (d.component is not None and _inside(d, part))
        ]


def _moves(d: Disagreement, part: slice) -> bool:
    return d.moved is None or bool(np.any(d.moved[part]))


def _inside(d: Disagreement, part: slice) -> bool:
    return d.component is not None and part.start <= d.component < part.stop


@dataclass
class Diagnosis:
    """A cause (a word of causes.CAUSES) and what speaks for it."""

    cause: str
    evidence: str = ""
