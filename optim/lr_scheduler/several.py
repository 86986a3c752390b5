"""Schedulers of schedulers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import autograd_core as ag
from optim.at_once import Changes, set_attributes
from optim.lr_scheduler.base import LRScheduler, check_keys, done_or_not, rates_of, with_rates
from optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Several(LRScheduler):
    """Steps other schedulers, which do what they do by themselves, to the momentum too."""

    def _take(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None) -> None:
        name = type(self).__name__
        if not schedulers:
            raise ValueError(f"{name}: got no schedulers")
        for k, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{name}: scheduler {k} is a {type(scheduler).__name__}, which cannot be stepped without more; step it by itself")
        self.optimizer = optimizer or schedulers[0].optimizer
        if any(scheduler.optimizer is not self.optimizer for scheduler in schedulers):
            raise ValueError(f"{name}: all schedulers must be of this optimizer")
        self.schedulers = list(schedulers)

    def _note(self) -> None:
        self._last_lr = rates_of(self.optimizer)

    def _begin(self) -> None:
        """Set the learning rates to where they began, and forget the first steps of the schedulers, which set them one after the other."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self.rewind()

    def rewind(self) -> None:
        super().rewind()
        for scheduler in self.schedulers:
            scheduler.rewind()

    def _as_now(self) -> Changes:
        return [*super()._as_now(), *(change for scheduler in self.schedulers for change in scheduler._as_now())]

    def _refuse(self, epoch: float | None) -> None:
        if epoch not in (None, 0):
            raise ValueError(f"{type(self).__name__}: step goes to the next step, or back to 0; it cannot go to {epoch}")

    def state_dict(self) -> dict[str, Any]:
        """Where the scheduler stands, and the states of the schedulers inside."""
        states = [scheduler.state_dict() for scheduler in self.schedulers]
        return with_rates({"last_epoch": self.last_epoch, "_last_lr": list(self._last_lr), "_schedulers": states}, self.optimizer)

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        check_keys(self, state_dict, "_schedulers", "_last_lr")
        states = state_dict["_schedulers"]
        if len(states) != len(self.schedulers):
            raise ValueError(f"{type(self).__name__}: the state is of {len(states)} schedulers, but there are {len(self.schedulers)}")
        inner = [change for scheduler, state in zip(self.schedulers, states, strict=True) for change in scheduler.loading(state)]
        last = state_dict.get("last_epoch", states[0]["last_epoch"])  # torch's ChainedScheduler saves none
        return [*inner, set_attributes(self, last_epoch=last, _last_lr=list(state_dict["_last_lr"])), *self._setting(state_dict)]


class SequentialLR(_Several):
    """Schedulers one after the other: the next one begins, at its own step 0, at each of the milestones."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1) -> None:
        self._take(schedulers, optimizer)
        self.milestones = list(milestones)
        if len(self.milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} milestones, not {len(self.milestones)}")
        if self.milestones != sorted(self.milestones):
            raise ValueError(f"SequentialLR: milestones must be in order, not {self.milestones}")
        self._begin()
        self.last_epoch = last_epoch + 1
        self.schedulers[bisect_right(self.milestones, 0)].step()
        self._note()
        self._first = rates_of(self.optimizer)

    @ag.untraced
    @done_or_not
    def step(self, epoch: float | None = None) -> None:
        """Step the scheduler whose turn it is; go on to the next one at its milestone."""
        self._refuse(epoch)
        self.last_epoch = self.last_epoch + 1 if epoch is None else 0
        k = bisect_right(self.milestones, self.last_epoch)
        begins = epoch == 0 or (k > 0 and self.milestones[k - 1] == self.last_epoch)
        self.schedulers[k].step(0 if begins else None)
        self._note()


class ChainedScheduler(_Several):
    """Several schedulers at once, stepped in turn: each goes on from the learning rate that the one before has set."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        self._take(schedulers, optimizer)
        self.last_epoch = self.schedulers[0].last_epoch
        self._note()
        self._first = rates_of(self.optimizer)

    @ag.untraced
    @done_or_not
    def step(self, epoch: float | None = None) -> None:
        """Step all of them."""
        self._refuse(epoch)
        if epoch == 0:
            self._begin()
        for scheduler in self.schedulers:
            scheduler.step()
        self.last_epoch = self.schedulers[0].last_epoch
        self._note()
