"""From Adam to SGD by itself, at a learning rate that Adam's own steps give."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from optim.at_once import Changes, afterwards, set_attributes
from optim.hyperparameters import at_least
from optim.optimizers import SGD, Adam
from optim.precision import wide
from optim.stepping import Ready
from optim.wrappers.combined import Switch

__all__ = ["SWATS"]


class SWATS(Switch):
    """Adam until its steps look like SGD's, then SGD with momentum: fast at first, and often ending lower.

    For Adam's step d and the gradient g, the learning rate r = d.d / -(d.g) is SGD's whose step, projected on d, is d. When r is
    nearer to its running mean m^ (of weight b2, freed of its bias) than `tolerance`, SGD takes over with lr (1 - b1) m^ and
    momentum b1.

    params        tensors
    lr            Adam's learning rate
    betas         Adam's; the first one is SGD's momentum too, and the second the weight of the running mean
    eps           Adam's
    weight_decay  of both
    tolerance     how near

    Keskar & Socher 2017, "Improving generalization performance by switching from Adam to SGD", algorithm 1.

    >>> import autograd_core as ag, optim
    >>> x = ag.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SWATS([x], lr=0.01, tolerance=1e-3)
    >>> for _ in range(2000):
    ...     optimizer.zero_grad(); (x * x).sum().backward(); optimizer.step()
    >>> type(optimizer.current).__name__, bool(abs(x.item()) < 1e-6)
    ('SGD', True)
    """

    def __init__(
        self,
        params: Any,
        lr: Any = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: Any = 0.0,
        tolerance: float = 1e-9,
    ) -> None:
        wanted, holds = at_least(0)
        if not holds(tolerance):
            raise ValueError(f"SWATS: tolerance must be {wanted}, not {tolerance!r}")
        params = list(params)
        adam = Adam(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        if len(adam.param_groups) != 1:
            raise ValueError(f"SWATS: all parameters have to be in one group, as their steps are one vector; got {len(adam.param_groups)} groups")
        super().__init__(adam, SGD(params, lr=0.0, momentum=betas[0], weight_decay=weight_decay))  # its lr is found later
        self.betas = betas
        self.tolerance = tolerance
        self.mean = 0.0  # of the learning rates that Adam's steps gave, with its bias

    def ready(self) -> Ready:
        """A step of Adam, and a look at it; or a step of SGD."""
        inside = super().ready()
        if self.current is not self.optimizers[0] or not inside.taken:
            return inside
        parameters = self.param_groups[0]["params"]
        before = [p.data.copy() for p in parameters]
        return Ready(True, lambda: [*inside.changes(), *afterwards(lambda: self._look(parameters, before))])

    def _look(self, parameters: list[Any], before: list[Any]) -> Changes:
        """Note the learning rate that Adam's last step gives, and let SGD take over if it has settled."""
        square = slope = 0.0
        for p, old in zip(parameters, before, strict=True):
            if p.grad is not None:
                d = wide(p.data) - wide(old)
                square += float(np.vdot(d, d).real)
                slope += float(np.vdot(d, wide(p.grad.data)).real)
        if not slope < 0:  # no way down: such a step says nothing about SGD's
            return []
        rate, b2 = square / -slope, self.betas[1]
        mean = b2 * self.mean + (1 - b2) * rate
        changes: Changes = [set_attributes(self, mean=mean)]
        settled = mean / (1 - b2**self.steps)
        if self.steps > 1 and abs(settled - rate) < self.tolerance:
            changes.append(partial(self.optimizers[1].param_groups[0].__setitem__, "lr", (1 - self.betas[0]) * settled))
            changes.append(self._advancing())
        return changes

    def state_dict(self) -> dict[str, Any]:
        """The states of both, how far the run is, and the mean of the learning rates."""
        return {**super().state_dict(), "mean": self.mean}

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        return [*super().loading(state_dict), set_attributes(self, mean=float(state_dict["mean"]))]
