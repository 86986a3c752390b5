"""A schedule that is driven by a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optim.at_once import Changes, at_once, set_attributes
from optim.schedules.base import Schedule

__all__ = ["Plateau"]


class Plateau(Schedule):
    """A value that is multiplied by `factor` when the metric given to `report` has not become better for `patience` reports.

    initial         the value to begin with
    mode            "min" if a smaller metric is better, "max" if a larger one
    threshold       how much better counts: a fraction of the best one's size ("rel") or an amount ("abs")
    threshold_mode  "rel" or "abs"
    cooldown        after how many reports counting begins again when the value was changed
    minimum         smallest value
    eps             a change that is not larger is left out

    >>> lr = Plateau(1.0, factor=0.5, patience=0)
    >>> [lr.report(loss) for loss in (3.0, 2.0, 2.0, 1.0)]
    [1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self,
        initial: float,
        factor: float = 0.1,
        patience: int = 10,
        mode: str = "min",
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        minimum: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        if not 0 <= factor < 1:
            raise ValueError(f"Plateau: factor must be in [0, 1), not {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(f'Plateau: mode must be "min" or "max" and threshold_mode "rel" or "abs", not {mode!r} and {threshold_mode!r}')
        self.value = initial
        self.factor = factor
        self.patience = patience
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.minimum = minimum
        self.eps = eps
        self.best = math.inf if mode == "min" else -math.inf
        self.bad = 0  # reports since the best one
        self.resting = 0  # reports until counting begins again

    def __repr__(self) -> str:
        return f"Plateau(now {self.value}, factor={self.factor}, patience={self.patience})"

    def at(self, step: float) -> float:
        return self.value

    def report(self, metric: float) -> float:
        """Take note of the metric, and return the value from now on."""
        metric = float(metric)
        if self._is_better(metric):
            self.best, self.bad = metric, 0
        else:
            self.bad += 1
        if self.resting > 0:
            self.resting -= 1
            self.bad = 0
        if self.bad > self.patience:
            lower = max(self.value * self.factor, self.minimum)
            if self.value - lower > self.eps:
                self.value = lower
            self.resting, self.bad = self.cooldown, 0
        return self.value

    def _is_better(self, metric: float) -> bool:
        sign = 1.0 if self.mode == "min" else -1.0
        margin = self.threshold * (self._size_of(self.best) if self.threshold_mode == "rel" else 1.0) if math.isfinite(self.best) else 0.0
        bound = self.best - margin if self.mode == "min" else self.best + margin
        return sign * metric < sign * bound

    def _size_of(self, metric: float) -> float:
        """What the threshold is a fraction of. The size, so that of negative metrics, log-likelihoods say, better is better too."""
        return abs(metric)

    def state_dict(self) -> dict[str, Any]:
        """What `report` has changed."""
        return {"value": self.value, "best": self.best, "bad": self.bad, "resting": self.resting}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        at_once(self.loading(state))

    def loading(self, state: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        return [set_attributes(self, **{name: state[name] for name in ("value", "best", "bad", "resting")})]
