"""The scheduler that is driven by a metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optim.lr_scheduler.base import check_keys, check_rate, of_group, per_group
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
        per_group(min_lr, optimizer, "min_lr")
        self.min_lr = min_lr
        self.options: dict[str, Any] = {"factor": factor, "patience": patience, "mode": mode, "cooldown": cooldown, "eps": eps}
        self.options |= {"threshold": threshold, "threshold_mode": threshold_mode}
        self.plateaus: list[Plateau] = []
        self._meet_groups()
        self.last_epoch = 0

    def _meet_groups(self) -> None:
        """Make plateaus for the groups that are new; they have seen what the others have."""
        for i, group in list(enumerate(self.optimizer.param_groups))[len(self.plateaus) :]:
            check_rate(self, i)
            plateau = Plateau(group["lr"], minimum=of_group(self.min_lr, i, "min_lr"), **self.options)
            if self.plateaus:
                first = self.plateaus[0]
                plateau.best, plateau.bad, plateau.resting = first.best, first.bad, first.resting
            self.plateaus.append(plateau)

    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Take note of the metric, and set the learning rates."""
        self._meet_groups()
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
        check_keys(self, state_dict, "last_epoch", "best", "num_bad_epochs", "cooldown_counter")
        self.last_epoch = state_dict["last_epoch"]
        for plateau in self.plateaus:
            plateau.best = state_dict["best"]
            plateau.bad, plateau.resting = state_dict["num_bad_epochs"], state_dict["cooldown_counter"]
