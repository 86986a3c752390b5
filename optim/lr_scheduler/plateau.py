"""The scheduler that is driven by a metric."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import autograd_core as ag
from optim.at_once import Changes, at_once, holds, set_attributes
from optim.lr_scheduler.base import check_keys, check_rate, done_or_not, of_group, per_group, rates_in, with_rates
from optim.optimizer import Optimizer
from optim.schedules import Plateau

__all__ = ["ReduceLROnPlateau"]


class _TorchsPlateau(Plateau):
    """With torch's meaning of a relative threshold: a fraction of the best metric itself, of its sign too."""

    def _size_of(self, metric: float) -> float:
        return metric


class ReduceLROnPlateau:
    """`Plateau` for the learning rates: `step(metric)` lowers them when the metric has stopped getting better.

    As in torch, `threshold_mode="rel"` asks for less than best (1 - threshold) with "min", and for more than best (1 + threshold) with
    "max". For negative metrics that is the wrong way round: with a threshold of 0.1, -0.95 counts as better than -1. Give
    `threshold_mode="abs"` for these, or `optim.Plateau` as the learning rate, which takes the fraction of the best one's size.
    """

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
            plateau = _TorchsPlateau(group["lr"], minimum=of_group(self.min_lr, i, "min_lr"), **self.options)
            if self.plateaus:
                first = self.plateaus[0]
                plateau.best, plateau.bad, plateau.resting = first.best, first.bad, first.resting
            self.plateaus = [*self.plateaus, plateau]

    def _as_now(self) -> Changes:
        """The changes that bring all that a step changes back to what it is now."""
        return [
            change for content in (*self.optimizer.param_groups, vars(self), *map(vars, self.plateaus)) for change in holds(content, dict(content))
        ]

    @ag.untraced
    @done_or_not
    def step(self, metrics: Any, epoch: int | None = None) -> None:
        """Take note of the metric, and set the learning rates."""
        self._meet_groups()
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        for group, plateau in zip(self.optimizer.param_groups, self.plateaus, strict=True):
            plateau.value = group["lr"]
            group["lr"] = plateau.report(metrics)

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in {**self.options, "min_lr": self.min_lr}.items())
        return f"ReduceLROnPlateau({options}; at step {self.last_epoch}, lr {self.get_last_lr()})"

    def get_last_lr(self) -> list[float]:
        """The learning rates."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the scheduler stands, with torch's keys; all groups have seen the same metrics."""
        first = self.plateaus[0]
        counters = {"best": first.best, "num_bad_epochs": first.bad, "cooldown_counter": first.resting}
        return with_rates({**counters, "last_epoch": self.last_epoch, "_last_lr": self.get_last_lr()}, self.optimizer)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, torch's included. The optimizer's state may be loaded before or after."""
        at_once(self.loading(state_dict))

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        check_keys(self, state_dict, "last_epoch", "best", "num_bad_epochs", "cooldown_counter")
        seen = {"best": state_dict["best"], "bad": state_dict["num_bad_epochs"], "resting": state_dict["cooldown_counter"]}
        rates = rates_in(state_dict)
        return [
            set_attributes(self, last_epoch=state_dict["last_epoch"]),
            *(set_attributes(plateau, **seen) for plateau in self.plateaus),
            *(partial(group.__setitem__, "lr", lr) for group, lr in zip(self.optimizer.param_groups, rates or (), strict=rates is not None)),
        ]
