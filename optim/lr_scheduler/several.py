"""Schedulers of schedulers."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from optim.lr_scheduler.base import Formula, LRScheduler
from optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class SequentialLR(LRScheduler):
    """Schedulers one after the other: the next one begins, at its own step 0, at each of the milestones."""

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1) -> None:
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers need {len(schedulers) - 1} milestones, not {len(milestones)}")
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError("SequentialLR: all schedulers must be of this optimizer")

        def formula(i: int) -> Formula:
            def at(step: float) -> float:
                k = bisect_right(milestones, step)
                return schedulers[k].formulas[i](step - (milestones[k - 1] if k else 0))

            return at

        super().__init__(optimizer, [formula(i) for i in range(len(optimizer.param_groups))], last_epoch)


class ChainedScheduler(LRScheduler):
    """Several schedulers at once: initial lr times the factors of all of them."""

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler: got no schedulers")
        optimizer = optimizer or schedulers[0].optimizer
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError("ChainedScheduler: all schedulers must be of this optimizer")

        def formula(i: int) -> Formula:
            def at(step: float) -> float:
                lr = schedulers[0].base_lrs[i]
                return lr * math.prod(scheduler.formulas[i](step) / lr for scheduler in schedulers) if lr else 0.0

            return at

        super().__init__(optimizer, [formula(i) for i in range(len(optimizer.param_groups))])
