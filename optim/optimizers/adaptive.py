"""Steps of its own size for each element."""

from __future__ import annotations

from typing import Any, Unpack

from optim.hyperparameters import hyperparameters_of
from optim.optimizer import Optimizer, Options, Value
from optim.rules import adadelta, adagrad, rmsprop, rprop

__all__ = ["Adadelta", "Adagrad", "RMSprop", "Rprop"]


class Adagrad(Optimizer):
    """Steps that shrink with the sum of squared gradients; see `optim.rules.adagrad` for the formula.

    lr                         step size
    lr_decay                   how fast lr falls besides
    weight_decay               strength of an L2 penalty
    initial_accumulator_value  where the sum starts
    eps                        added to the denominator
    maximize                   ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-2,
        lr_decay: Value = 0.0,
        weight_decay: Value = 0.0,
        initial_accumulator_value: Value = 0.0,
        eps: Value = 1e-10,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, adagrad, hyperparameters_of(adagrad, locals()), **options)


class Adadelta(Optimizer):
    """Steps in the parameter's own unit; see `optim.rules.adadelta` for the formula.

    lr            factor of the step
    rho           decay of the running means
    eps           added below both square roots
    weight_decay  strength of an L2 penalty
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1.0,
        rho: Value = 0.9,
        eps: Value = 1e-6,
        weight_decay: Value = 0.0,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, adadelta, hyperparameters_of(adadelta, locals()), **options)


class RMSprop(Optimizer):
    """Steps divided by the running size of the gradient; see `optim.rules.rmsprop` for the formula.

    lr            step size
    alpha         decay of the running mean of squared gradients
    eps           added to the denominator
    weight_decay  strength of an L2 penalty
    momentum      how much of the last change is kept
    centered      divide by the gradient's standard deviation
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-2,
        alpha: Value = 0.99,
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        momentum: Value = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, rmsprop, hyperparameters_of(rmsprop, locals()), **options)


class Rprop(Optimizer):
    """Steps that look at the gradient's sign only; for full batches; see `optim.rules.rprop` for the formula.

    lr            first step size
    etas          factors of the step size after a change of sign, and after none
    step_sizes    smallest and largest step size
    maximize      ascend
    weight_decay  strength of an L2 penalty
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-2,
        etas: tuple[Value, Value] = (0.5, 1.2),
        step_sizes: tuple[Value, Value] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        weight_decay: Value = 0.0,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, rprop, hyperparameters_of(rprop, locals()), **options)
