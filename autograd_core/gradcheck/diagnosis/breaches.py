"""A breach of the contract between a rule and those who call it, and what the checks of it share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric.spots import RuleFailed, Spot, rule_failed
from autograd_core.gradcheck.subjects.subjects import Subject

__all__ = ["Breach", "bits", "fresh", "raised", "vectors"]


@dataclass
class Breach:
    """Something that is against the contract.

    cause      a word of causes.CAUSES
    argument   its name, or "" if it is none's
    serious    False for what is only worth a warning
    """

    cause: str
    argument: str
    text: str
    serious: bool = True


def bits(arrays: Sequence[Any]) -> list[bytes]:
    """The arrays' contents, to compare to the bit."""
    return [b"" if a is None else np.asarray(a).tobytes() for a in arrays]


def fresh(spot: Spot) -> list[Any]:
    """The incoming gradients as copies, which a rule may spoil."""
    return [g.copy() for g in spot.gs]


def vectors(spot: Spot, gradients: Sequence[Any]) -> Any:
    """Gradients as one real vector; what has the wrong shape counts as nan."""
    try:
        return spot.inputs.join(gradients)
    except ValueError:
        return np.full(spot.x.size, np.nan)


def raised(error: Exception, subject: Subject, when: str) -> Breach:
    """The breach that an exception in a rule is."""
    failure = error if isinstance(error, RuleFailed) else rule_failed(error, subject)
    cause = "changes input" if "changed in place" in str(error) else failure.cause
    return Breach(cause, failure.argument, f"{failure}{when}")
