"""Steps in proportion to each array's own norm."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from optim.hyperparameters import Domain, at_least, hyperparameters_of
from optim.optimizer import Optimizer, Options, Value
from optim.rules import adafactor, lamb, lars

__all__ = ["LAMB", "LARS", "Adafactor"]


class LARS(Optimizer):
    """Momentum with a step size of its own for each array; see `optim.rules.lars` for the formula.

    lr                 step size
    momentum           how much of the last change is kept
    weight_decay       strength of an L2 penalty
    trust_coefficient  a step's size, relative to the array's
    eps                added to the denominator
    maximize           ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 0.1,
        momentum: Value = 0.9,
        weight_decay: Value = 1e-4,
        trust_coefficient: Value = 1e-3,
        eps: Value = 1e-8,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, lars, hyperparameters_of(lars, locals()), **options)


class LAMB(Optimizer):
    """Adam with steps in proportion to each array's norm; see `optim.rules.lamb` for the formula.

    lr            step size
    betas         decay of the running means of the gradient and of its square
    eps           added to the denominator
    weight_decay  how much of the parameter enters the direction
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-3,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-6,
        weight_decay: Value = 1e-2,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, lamb, hyperparameters_of(lamb, locals()), **options)


class Adafactor(Optimizer):
    """Steps like Adam's, with the memory of a row and a column instead of a matrix; see `optim.rules.adafactor` for the formula.

    lr            step size
    beta2_decay   the power with which the weight of new gradients falls
    eps           smallest root mean square of gradients (None: the precision of the dtype) and of parameters
    d             largest root mean square of an update
    weight_decay  how much of lr times the parameter is taken off it at each step
    maximize      ascend
    """

    domains: ClassVar[dict[str, Domain]] = {
        "eps": (
            "a pair (None or a number >= 0, a number >= 0)",
            lambda value: (
                isinstance(value, tuple) and len(value) == 2 and all((v is None and i == 0) or at_least(0)[1](v) for i, v in enumerate(value))
            ),
        )
    }

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-2,
        beta2_decay: Value = -0.8,
        eps: tuple[float | None, Value] = (None, 1e-3),
        d: Value = 1.0,
        weight_decay: Value = 0.0,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, adafactor, hyperparameters_of(adafactor, locals()), **options)
