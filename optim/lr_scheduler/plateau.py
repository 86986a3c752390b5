"""The scheduler that is driven by a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optim.lr_scheduler.base import per_group
from optim.optimizer import Optimizer
from optim.schedules import Plateau

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau:
    """`Plateau` for the learning rates: `step(metric)` lowers them when the metric has stopped getting better."""

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self.optimizer = optimizer
        lowest = per_group(min_lr, optimizer, "min_lr")
        self.plateaus = [
            Plateau(group["lr"], factor, patience, mode, threshold, threshold_mode, cooldown, low, eps)
            for group, low in zip(optimizer.param_groups, lowest, strict=True)
        ]
        self.last_epoch = 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Take note of the metric, and set the learning rates."""
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, plateau in zip(self.optimizer.param_groups, self.plateaus, strict=True):
            plateau.value = group["lr"]
            group["lr"] = plateau.report(metrics)

    def get_last_lr(self) -> list[float]:
        """The learning rates."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the scheduler stands, with torch's keys; all groups have seen the same metrics."""
        first = self.plateaus[0]
        counters = {"best": first.best, "num_bad_epochs": first.bad, "cooldown_counter": first.resting}
        return {**counters, "last_epoch": self.last_epoch, "_last_lr": self.get_last_lr()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, torch's included; the optimizer's own state holds the learning rates."""
        self.last_epoch = state_dict["last_epoch"]
        for plateau in self.plateaus:
            plateau.best = state_dict["best"]
            plateau.bad, plateau.resting = state_dict["num_bad_epochs"], state_dict["cooldown_counter"]
