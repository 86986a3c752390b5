"""Adam and its relatives: steps scaled by running moments of the gradient.

In all of them m is the running mean of the gradient g and v that of its square; both start at 0, and are divided by what the
weights add up to so far: m^ = m / (1 - b1^t), v^ = v / (1 - b2^t).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optim.rules.common import State, Step, decayed, moments, per_element, real_only

__all__ = ["adam", "adamax", "lion", "nadam", "radam", "sparse_adam"]

Betas = tuple[float, float]


@per_element
def adam(
    g: Any,
    p: Any,
    state: State,
    *,
    lr: float,
    betas: Betas,
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> Step:
    """Adam: m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  change = -lr m^ / (sqrt(v^) + eps).

    Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1. With `amsgrad`, v^ is formed from the largest v
    so far (Reddi et al. 2018, "On the convergence of Adam and beyond", algorithm 2). With `decoupled_weight_decay` it is AdamW:
    the decay is no part of g but a change of its own (Loshchilov & Hutter 2019, "Decoupled weight decay", algorithm 2).
    """
    b1, b2 = betas
    g = decayed(g, p, 0.0 if decoupled_weight_decay else weight_decay, maximize)
    step, m, v = moments(g, state, betas)
    new = {"step": step, "exp_avg": m, "exp_avg_sq": v}
    if amsgrad:
        v = new["max_exp_avg_sq"] = np.maximum(v, state.get("max_exp_avg_sq", 0.0))
    c = math.sqrt(1 - b2**step)  # both corrections in the step size, one pass less over the arrays (section 2 of the paper)
    change = m / (np.sqrt(v) + eps * c) * (-lr * c / (1 - b1**step))
    return change - lr * weight_decay * p if decoupled_weight_decay and weight_decay else change, new


@per_element
def adamax(g: Any, p: Any, state: State, *, lr: float, betas: Betas, eps: float, weight_decay: float, maximize: bool) -> Step:
    """Adamax: u = max(b2 u, |g| + eps);  change = -lr m^ / u: Adam with the infinity norm (Kingma & Ba 2015, algorithm 2)."""
    b1, b2 = betas
    g = decayed(g, p, weight_decay, maximize)
    step = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", 0.0) + (1 - b1) * g
    u = np.maximum(b2 * state.get("exp_inf", 0.0), np.abs(g) + eps)
    return m / u * (-lr / (1 - b1**step)), {"step": step, "exp_avg": m, "exp_inf": u}


@per_element
def nadam(
    g: Any,
    p: Any,
    state: State,
    *,
    lr: float,
    betas: Betas,
    eps: float,
    weight_decay: float,
    momentum_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> Step:
    """NAdam: change = -lr (mu_{t+1} m / (1 - mu_1...mu_{t+1}) + (1 - mu_t) g / (1 - mu_1...mu_t)) / (sqrt(v^) + eps).

    Adam with Nesterov's look ahead: Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2, with the warm-up
    mu_t = b1 (1 - 0.96^(t momentum_decay) / 2) of its section 4.
    """
    b1, b2 = betas
    g = decayed(g, p, 0.0 if decoupled_weight_decay else weight_decay, maximize)
    step, m, v = moments(g, state, betas)
    mu, mu_next = (b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in (step, step + 1))
    product = state.get("mu_product", 1.0) * mu
    look_ahead = mu_next / (1 - product * mu_next) * m + (1 - mu) / (1 - product) * g
    change = -lr * look_ahead / (np.sqrt(v / (1 - b2**step)) + eps)
    new = {"step": step, "mu_product": product, "exp_avg": m, "exp_avg_sq": v}
    return change - lr * weight_decay * p if decoupled_weight_decay and weight_decay else change, new


@per_element
def radam(
    g: Any, p: Any, state: State, *, lr: float, betas: Betas, eps: float, weight_decay: float, decoupled_weight_decay: bool, maximize: bool
) -> Step:
    """RAdam: change = -lr r_t m^ / (sqrt(v^) + eps), or -lr m^ while v has seen too little for its variance to be finite.

    r_t^2 = (rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t): Liu et al. 2020, "On the variance of the adaptive learning
    rate and beyond", algorithm 2.
    """
    b1, b2 = betas
    g = decayed(g, p, 0.0 if decoupled_weight_decay else weight_decay, maximize)
    step, m, v = moments(g, state, betas)
    rate = lr / (1 - b1**step)
    rho = 2 / (1 - b2) - 1
    rho_t = rho - 2 * step * b2**step / (1 - b2**step)
    if rho_t > 5:
        r = math.sqrt((rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t))
        change = m / (np.sqrt(v) + eps) * (-rate * r * math.sqrt(1 - b2**step))
    else:
        change = -rate * m
    new = {"step": step, "exp_avg": m, "exp_avg_sq": v}
    return change - lr * weight_decay * p if decoupled_weight_decay and weight_decay else change, new


@per_element
def lion(g: Any, p: Any, state: State, *, lr: float, betas: Betas, weight_decay: float, maximize: bool) -> Step:
    """Lion: change = -lr (sign(b1 m + (1 - b1) g) + weight_decay p);  m = b2 m + (1 - b2) g.

    Chen et al. 2023, "Symbolic discovery of optimization algorithms", program 1.
    """
    b1, b2 = betas
    g = decayed(g, p, 0.0, maximize)
    m = state.get("exp_avg", 0.0)
    direction = np.sign(b1 * m + (1 - b1) * g)
    return -lr * (direction + weight_decay * p if weight_decay else direction), {"exp_avg": b2 * m + (1 - b2) * g}


@real_only
def sparse_adam(g: Any, p: Any, state: State, *, lr: float, betas: Betas, eps: float, maximize: bool) -> Step:
    """Lazy Adam: Adam for the rows of p whose gradient is not 0; the moments of the others rest, where Adam's would decay.

    For embeddings, of which a batch sees few rows. A row is what belongs to one index of the first axis. The corrections count
    all steps, as in torch. Kingma & Ba 2015, "Adam", algorithm 1, restricted to these rows.
    """
    b1, b2 = betas
    g = decayed(g, p, 0.0, maximize)
    step = state.get("step", 0) + 1
    seen = (g != 0).any(axis=tuple(range(1, g.ndim)), keepdims=True) if g.ndim else g != 0
    m, v = state.get("exp_avg", 0.0 * g), state.get("exp_avg_sq", 0.0 * g)
    m, v = np.where(seen, b1 * m + (1 - b1) * g, m), np.where(seen, b2 * v + (1 - b2) * (g * g), v)
    change = m / (np.sqrt(v) + eps) * (-lr * math.sqrt(1 - b2**step) / (1 - b1**step))
    return np.where(seen, change, 0.0), {"step": step, "exp_avg": m, "exp_avg_sq": v}
