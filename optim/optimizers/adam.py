"""Adam and its relatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from optim.at_once import Changes
from optim.hyperparameters import hyperparameters_of
from optim.optimizer import Optimizer, Options, Value
from optim.rules import adam, adamax, lion, nadam, radam, sparse_adam

__all__ = ["Adam", "AdamW", "Adamax", "Lion", "NAdam", "RAdam", "SparseAdam"]


class Adam(Optimizer):
    """Adam, and AMSGrad; see `optim.rules.adam` for the formula.

    lr                      step size
    betas                   decay of the running means of the gradient and of its square
    eps                     added to the denominator
    weight_decay            strength of an L2 penalty
    amsgrad                 let the denominator never shrink
    maximize                ascend
    decoupled_weight_decay  let the decay be a change of its own, not a part of the gradient
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
        decoupled_weight_decay: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, adam, hyperparameters_of(adam, locals()), **options)


class AdamW(Optimizer):
    """Adam with decoupled weight decay; see `optim.rules.adam` for the formula.

    lr            step size
    betas         decay of the running means of the gradient and of its square
    eps           added to the denominator
    weight_decay  how much of lr times the parameter is taken off it at each step
    amsgrad       let the denominator never shrink
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-3,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, adam, hyperparameters_of(adam, locals() | {"decoupled_weight_decay": True}), **options)

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Of a state of `Adam` too: the weight decay is decoupled in any case, as in torch."""
        self._check_state(state_dict)
        groups = [{**group, "decoupled_weight_decay": True} for group in state_dict["param_groups"]]
        return super().loading({**state_dict, "param_groups": groups})


class Adamax(Optimizer):
    """Adam with the infinity norm; see `optim.rules.adamax` for the formula.

    lr            step size
    betas         decay of the running mean of the gradient and of its largest size
    eps           added to the gradient's size
    weight_decay  strength of an L2 penalty
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 2e-3,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, adamax, hyperparameters_of(adamax, locals()), **options)


class NAdam(Optimizer):
    """Adam with Nesterov's look ahead; see `optim.rules.nadam` for the formula.

    lr                      step size
    betas                   decay of the running means of the gradient and of its square
    eps                     added to the denominator
    weight_decay            strength of an L2 penalty
    momentum_decay          how fast the momentum warms up
    decoupled_weight_decay  let the decay be a change of its own, not a part of the gradient
    maximize                ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 2e-3,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        momentum_decay: Value = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, nadam, hyperparameters_of(nadam, locals()), **options)


class RAdam(Optimizer):
    """Adam that waits until it knows the size of the gradients; see `optim.rules.radam` for the formula.

    lr                      step size
    betas                   decay of the running means of the gradient and of its square
    eps                     added to the denominator
    weight_decay            strength of an L2 penalty
    decoupled_weight_decay  let the decay be a change of its own, not a part of the gradient
    maximize                ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-3,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-8,
        weight_decay: Value = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, radam, hyperparameters_of(radam, locals()), **options)


class Lion(Optimizer):
    """Steps of one size, in the direction of the sign of a momentum; see `optim.rules.lion` for the formula.

    lr            step size
    betas         weight of the momentum in the direction, and its decay
    weight_decay  how much of lr times the parameter is taken off it at each step
    maximize      ascend
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-4,
        betas: tuple[Value, Value] = (0.9, 0.99),
        weight_decay: Value = 0.0,
        *,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, lion, hyperparameters_of(lion, locals()), **options)


class SparseAdam(Optimizer):
    """Adam that leaves alone the rows whose gradient is 0, for embeddings; see `optim.rules.sparse_adam` for the formula.

    lr        step size
    betas     decay of the running means of the gradient and of its square
    eps       added to the denominator
    maximize  ascend

    torch's wants sparse gradients; here they are arrays, and a row is left alone if all of its gradient is 0.
    """

    def __init__(
        self,
        params: Any,
        lr: Value = 1e-3,
        betas: tuple[Value, Value] = (0.9, 0.999),
        eps: Value = 1e-8,
        maximize: bool = False,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(params, sparse_adam, hyperparameters_of(sparse_adam, locals()), **options)
