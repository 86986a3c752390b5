"""Lookahead: slow weights that follow fast ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from optim.hyperparameters import COUNT, at_step, between
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
        self._alpha()
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
                self._slow[p] = p.data.copy()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of the fast weights, and every k-th time one of the slow ones."""
        if not self.needs_closure:
            return super().step(closure)
        self._meet_parameters()
        taken = self.steps
        loss = self.optimizer.step(closure)
        self._after_steps(self.steps - taken)
        return loss

    def ready(self) -> Callable[[], None]:
        """As the optimizer inside; after its step, every k-th time, comes one of the slow weights."""
        self._meet_parameters()
        return partial(self._run, super().ready())

    def _run(self, run: Callable[[], None]) -> None:
        taken = self.steps
        run()
        self._after_steps(self.steps - taken)

    def _after_steps(self, taken: int) -> None:
        self.count += taken  # 0 if the step was skipped, or is not yet due
        if taken and self.count % self.k == 0:
            alpha = self._alpha()
            for p, slow in zip(self.parameters(), self.slow, strict=True):
                slow += alpha * (p.data - slow)
                p.data[...] = slow

    def _alpha(self) -> float:
        alpha = at_step(self.alpha, self.count)
        wanted, holds = between(0, 1)
        if not holds(alpha):
            raise ValueError(f"Lookahead: alpha must be {wanted}, not {alpha!r}")
        return float(alpha)

    def _own_state(self) -> dict[str, Any]:
        return {"count": self.count, "slow": [slow.copy() for slow in self.slow]}

    def _load_own_state(self, state_dict: Mapping[str, Any]) -> None:
        slow = self.slow
        for mine, saved in zip(slow, state_dict["slow"], strict=True):
            if mine.shape != saved.shape:
                raise ValueError(f"Lookahead: a slow weight has shape {saved.shape}, but the parameter {mine.shape}")
        self.count = int(state_dict["count"])
        pairs = zip(self.parameters(), slow, state_dict["slow"], strict=True)
        self._slow = {p: np.array(saved, dtype=mine.dtype) for p, mine, saved in pairs}
