"""Steps of its own size for each element, from the history of its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from optim.rules.common import State, Step, decayed, per_element

__all__ = ["adadelta", "adagrad", "rmsprop", "rprop"]


@per_element
def adagrad(
    g: Any, p: Any, state: State, *, lr: float, lr_decay: float, weight_decay: float, initial_accumulator_value: float, eps: float, maximize: bool
) -> Step:
    """Adagrad: s = s + g^2;  change = -lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps).

    Duchi et al. 2011, "Adaptive subgradient methods for online learning and stochastic optimization", figure 1, diagonal case.
    """
    g = decayed(g, p, weight_decay, maximize)
    step = state.get("step", 0) + 1
    s = state.get("sum", initial_accumulator_value) + g * g
    return g / (np.sqrt(s) + eps) * (-lr / (1 + (step - 1) * lr_decay)), {"step": step, "sum": s}


@per_element
def adadelta(g: Any, p: Any, state: State, *, lr: float, rho: float, eps: float, weight_decay: float, maximize: bool) -> Step:
    """Adadelta: d = sqrt(mean of d^2 + eps) / sqrt(mean of g^2 + eps) g;  change = -lr d: steps have the parameter's unit.

    Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1 (which has lr = 1).
    """
    g = decayed(g, p, weight_decay, maximize)
    squares = rho * state.get("square_avg", 0.0) + (1 - rho) * (g * g)
    d = np.sqrt(state.get("acc_delta", 0.0) + eps) / np.sqrt(squares + eps) * g
    new = {"step": state.get("step", 0) + 1, "square_avg": squares, "acc_delta": rho * state.get("acc_delta", 0.0) + (1 - rho) * (d * d)}
    return -lr * d, new


@per_element
def rmsprop(
    g: Any, p: Any, state: State, *, lr: float, alpha: float, eps: float, weight_decay: float, momentum: float, centered: bool, maximize: bool
) -> Step:
    """RMSprop: v = alpha v + (1 - alpha) g^2;  change = -lr g / (sqrt(v) + eps), or a momentum of these.

    Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6e. `centered` takes the variance instead of v:
    v - (running mean of g)^2 (Graves 2013, "Generating sequences with recurrent neural networks", eq. 38-41).
    """
    g = decayed(g, p, weight_decay, maximize)
    v = alpha * state.get("square_avg", 0.0) + (1 - alpha) * (g * g)
    new = {"step": state.get("step", 0) + 1, "square_avg": v}
    if centered:
        m = new["grad_avg"] = alpha * state.get("grad_avg", 0.0) + (1 - alpha) * g
        v = np.maximum(v - m * m, 0.0)  # rounding could make the variance of an almost constant gradient negative
    direction = g / (np.sqrt(v) + eps)
    if momentum > 0:
        direction = new["momentum_buffer"] = momentum * state.get("momentum_buffer", 0.0) + direction
    return -lr * direction, new


@per_element
def rprop(
    g: Any, p: Any, state: State, *, lr: float, etas: tuple[float, float], step_sizes: tuple[float, float], weight_decay: float, maximize: bool
) -> Step:
    """Rprop: change = -sign(g) d, where d grows by etas[1] if the gradient kept its sign and shrinks by etas[0] if it changed.

    Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", eq. 4-5, in
    the form without weight backtracking: after a change of sign the element rests for a step. The first d is lr.
    """
    g = decayed(g, p, weight_decay, maximize)
    agreement = g * state.get("prev", 0.0)
    factor = np.where(agreement > 0, etas[1], np.where(agreement < 0, etas[0], 1.0))
    d = np.minimum(np.maximum(state.get("step_size", lr) * factor, step_sizes[0]), step_sizes[1])
    g = np.where(agreement < 0, 0.0, g)
    return -(np.sign(g) * d), {"step": state.get("step", 0) + 1, "prev": g, "step_size": d}
