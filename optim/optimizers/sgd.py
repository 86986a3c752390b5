"""Gradient descent."""

from __future__ import annotations

from typing import Any, Unpack

from optim.hyperparameters import hyperparameters_of
from optim.optimizer import Optimizer, Options, Value
from optim.rules import asgd, sgd

__all__ = ["ASGD", "SGD"]


class SGD(Optimizer):
    """Gradient descent, with momentum; see `optim.rules.sgd` for the formula.

    lr            step size
    momentum      how much of the last change is kept
    dampening     how much less of the gradient enters the momentum
    weight_decay  strength of an L2 penalty
    nesterov      look ahead along the momentum; needs momentum and no dampening
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-3,
        momentum: Value = 0.0,
        dampening: Value = 0.0,
        weight_decay: Value = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(f"SGD: nesterov needs momentum > 0 and dampening = 0, not momentum={momentum} and dampening={dampening}")
        super().__init__(params, sgd, hyperparameters_of(sgd, locals()), **options)


class ASGD(Optimizer):
    """Gradient descent that keeps the mean of its parameters, in `state[parameter]["ax"]`; see `optim.rules.asgd` for the formula.

    lr            step size
    lambd         how fast the step size and the parameter decay
    alpha         the power with which the step size falls
    t0            the step after which the mean is taken
    weight_decay  strength of an L2 penalty
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-2,
        lambd: Value = 1e-4,
        alpha: Value = 0.75,
        t0: Value = 1e6,
        weight_decay: Value = 0.0,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, asgd, hyperparameters_of(asgd, locals()), **options)
