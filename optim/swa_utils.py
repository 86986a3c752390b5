"""Stochastic weight averaging under torch's name. The mean itself is `optim.WeightAverage`; this is its learning rate."""

from __future__ import annotations

from typing import Any

from optim.lr_scheduler.base import Formula, LRScheduler, of_group, per_group
from optim.optimizer import Optimizer
from optim.schedules import Piecewise

__all__ = ["SWALR"]


class SWALR(LRScheduler):
    """From the learning rate to `swa_lr` in `anneal_epochs` steps, along half a cosine or a line; then `swa_lr`.

    swa_lr           the last value, or one for each group
    anneal_epochs    how many steps the way takes
    anneal_strategy  "cos" or "linear"

    Other schedulers may set the learning rate until this one is stepped for the first time. Izmailov et al. 2018, "Averaging
    weights leads to wider optima and better generalization", section 3.2.

    >>> import autograd_core as ag, optim
    >>> optimizer = optim.SGD([ag.tensor(1.0, requires_grad=True)], lr=1.0)
    >>> scheduler, rates = optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear"), []
    >>> for _ in range(3): scheduler.step(); rates.append(optimizer.param_groups[0]["lr"])
    >>> rates
    [0.75, 0.5, 0.5]
    """

    relative = True

    def __init__(self, optimizer: Optimizer, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1) -> None:
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f'SWALR: anneal_strategy must be "cos" or "linear", not {anneal_strategy!r}')
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must be an integer >= 0, not {anneal_epochs!r}")
        per_group(swa_lr, optimizer, "swa_lr")
        self.swa_lr = swa_lr
        self.anneal_epochs = anneal_epochs
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def formula(self, i: int, initial: float) -> Formula:
        return Piecewise({0.0: initial} | {float(self.anneal_epochs): self._end(i)}, self.anneal_strategy)

    def _end(self, i: int) -> float:
        return float(of_group(self.swa_lr, i, "swa_lr"))

    def _gone_on(self, i: int, lr: float, before: float, value: float) -> float:
        return value if before == self._end(i) else super()._gone_on(i, lr, before, value)
