"""Lookahead: slow weights that follow fast ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag
from optim.at_once import Changes, assign, followed, set_attributes
from optim.hyperparameters import COUNT, at_step, between
from optim.precision import wide_dtype
from optim.stepping import Ready
from optim.wrappers.base import Wrapper

__all__ = ["Lookahead"]


class Lookahead(Wrapper):
    """Every k steps: slow = slow + alpha (fast - slow), and the fast weights go on from there.

    optimizer  moves the fast weights, which are the parameters
    k          steps between two meetings
    alpha      how far the slow weights go: a number, or a schedule, which is asked with the number of steps done

    Zhang et al. 2019, "Lookahead optimizer: k steps forward, 1 step back", algorithm 1.
    """

    def __init__(self, optimizer: Any, k: int = 5, alpha: Any = 0.5) -> None:
        super().__init__(optimizer)
        wanted, holds = COUNT
        if not holds(k):
            raise ValueError(f"Lookahead: k must be {wanted}, not {k!r}")
        self.k = k
        self.alpha = alpha
        self.count = 0
        self._alpha(0)
        self._slow: dict[Any, Any] = {}  # parameter -> its slow weights
        self._meet_parameters()

    @property
    def slow(self) -> list[Any]:
        """The slow weights, in the order of the parameters."""
        self._meet_parameters()
        return [self._slow[p] for p in self.parameters()]

    def _meet_parameters(self) -> None:
        """Note where parameters stand that are new."""
        for p in self.parameters():
            if p not in self._slow:
                self._slow[p] = np.array(p.data, wide_dtype(p.dtype))

    @ag.untraced
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of the fast weights, and every k-th time one of the slow ones."""
        if not self.needs_closure:
            return super().step(closure)
        self._meet_parameters()
        before = self.steps
        return followed(lambda: self.optimizer.step(closure), lambda: self._after(self.steps > before))

    def ready(self) -> Ready:
        """As the optimizer inside; after its step, every k-th time, comes one of the slow weights."""
        self._meet_parameters()
        inside = super().ready()
        return Ready(inside.taken, lambda: [*inside.changes(), *self._after(inside.taken)])

    def _after(self, taken: bool) -> Changes:
        """What follows a step, if it was not skipped and is not yet to come."""
        count = self.count + taken
        changes: Changes = [set_attributes(self, count=count)]
        if taken and count % self.k == 0:
            alpha = self._alpha(count)
            for p, slow in zip(self.parameters(), self.slow, strict=True):
                way = np.empty_like(slow)
                changes += [partial(np.subtract, p.data, slow, out=way), partial(np.multiply, way, alpha, out=way)]
                changes += [partial(np.add, slow, way, out=slow), assign(p.data, slow)]
        return changes

    def _alpha(self, count: int) -> float:
        alpha = at_step(self.alpha, count)
        wanted, holds = between(0, 1)
        if not holds(alpha):
            raise ValueError(f"Lookahead: alpha must be {wanted}, not {alpha!r}")
        return float(alpha)

    def _own_state(self) -> dict[str, Any]:
        return {"count": self.count, "slow": [slow.copy() for slow in self.slow]}

    def _loading_own(self, state_dict: Mapping[str, Any]) -> Changes:
        slow = self.slow
        for mine, saved in zip(slow, state_dict["slow"], strict=True):
            if mine.shape != saved.shape:
                raise ValueError(f"Lookahead: a slow weight has shape {saved.shape}, but the parameter {mine.shape}")
        pairs = zip(self.parameters(), slow, state_dict["slow"], strict=True)
        own = {p: np.array(saved, dtype=mine.dtype) for p, mine, saved in pairs}
        return [set_attributes(self, count=int(state_dict["count"]), _slow=own)]
