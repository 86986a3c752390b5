"""Steps of its own size for each element."""

from __future__ import annotations

from typing import Any, Unpack

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
        super().__init__(
            params,
            adagrad,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
            **options,
        )


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
        super().__init__(params, adadelta, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}, **options)


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
        super().__init__(
            params,
            rmsprop,
            {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum, "centered": centered, "maximize": maximize},
            **options,
        )


class Rprop(Optimizer):
    """Steps that look at the gradient's sign only; for full batches; see `optim.rules.rprop` for the formula.

    lr          first step size
    etas        factors of the step size after a change of sign, and after none
    step_sizes  smallest and largest step size
    maximize    ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-2,
        etas: tuple[Value, Value] = (0.5, 1.2),
        step_sizes: tuple[Value, Value] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, rprop, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}, **options)
