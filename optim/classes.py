"""The optimizers by their usual names: a rule from `optim.rules`, with torch's arguments and defaults."""

from __future__ import annotations

from typing import Any, Unpack

from optim.optimizer import Optimizer, Options
from optim.rules import adam, sgd

__all__ = ["SGD", "Adam"]

Value = Any  # a number, or a schedule: a function of the step


class SGD(Optimizer):
    """Gradient descent; see `optim.rules.sgd` for the formula.

    lr            step size
    momentum      how much of the last change is kept
    dampening     how much less of the gradient enters the momentum
    weight_decay  strength of an L2 penalty
    nesterov      look ahead along the momentum; needs momentum and no dampening
    maximize      ascend

    >>> import autograd_core as ag, optim
    >>> x = ag.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.SGD([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.8], requires_grad=True)
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
        defaults = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize}
        super().__init__(params, sgd, defaults, **options)


class Adam(Optimizer):
    """Adam, and AMSGrad; see `optim.rules.adam` for the formula.

    lr            step size
    betas         decay of the running means of the gradient and of its square
    eps           added to the denominator
    weight_decay  strength of an L2 penalty (for decoupled decay see AdamW)
    amsgrad       let the denominator never shrink
    maximize      ascend

    >>> import autograd_core as ag, optim
    >>> x = ag.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.Adam([x], lr=0.1)
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([0.9], requires_grad=True)
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-3,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "maximize": maximize}
        super().__init__(params, adam, defaults, **options)
