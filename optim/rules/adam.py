"""Adam: steps scaled by running moments of the gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optim.rules.common import State, Step, decayed, per_element

__all__ = ["adam"]


@per_element
def adam(
    gradient: Any,
    parameter: Any,
    state: State,
    *,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
) -> Step:
    """Adam: m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  change = -lr m^ / (sqrt(v^) + eps), m^ and v^ freed of their bias to 0.

    Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1. With `amsgrad`, v is replaced by its largest
    value so far (Reddi et al. 2018, "On the convergence of Adam and beyond", algorithm 2).
    """
    b1, b2 = betas
    g = decayed(gradient, parameter, weight_decay, maximize)
    step = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", 0.0) + (1 - b1) * g
    v = b2 * state.get("exp_avg_sq", 0.0) + (1 - b2) * (g * g)
    new = {"step": step, "exp_avg": m, "exp_avg_sq": v}
    if amsgrad:
        v = new["max_exp_avg_sq"] = np.maximum(v, state.get("max_exp_avg_sq", 0.0))
    scale = lr / (1 - b1**step)
    return -scale * m / (np.sqrt(v) / math.sqrt(1 - b2**step) + eps), new
