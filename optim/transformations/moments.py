"""Links that remember: momenta, and updates scaled by running moments.

m and v are running means of the update u and of its square, which start at 0; m^ and v^ are these divided by what their weights
add up to so far.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optim.rules.common import State, Step, moments, per_element
from optim.transformations.link import Link

__all__ = [
    "ema",
    "scale_by_adadelta",
    "scale_by_adam",
    "scale_by_adamax",
    "scale_by_amsgrad",
    "scale_by_belief",
    "scale_by_lion",
    "scale_by_radam",
    "scale_by_rms",
    "scale_by_rss",
    "scale_by_stddev",
    "scale_by_yogi",
    "trace",
]

Betas = tuple[float, float]


def trace(decay: Any, nesterov: bool = False) -> Link:
    """Momentum: v = decay v + u; gives v, or u + decay v."""
    return Link(_trace, {"decay": decay, "nesterov": nesterov})


@per_element
def _trace(u: Any, p: Any, state: State, *, decay: float, nesterov: bool) -> Step:
    v = decay * state.get("trace", 0.0) + u
    return (u + decay * v if nesterov else v), {"trace": v}


def ema(decay: Any, debias: bool = True) -> Link:
    """M^, the running mean of the updates; m without `debias`."""
    return Link(_ema, {"decay": decay, "debias": debias})


@per_element
def _ema(u: Any, p: Any, state: State, *, decay: float, debias: bool) -> Step:
    step = state.get("step", 0) + 1
    m = decay * state.get("ema", 0.0) + (1 - decay) * u
    return (m / (1 - decay**step) if debias else m), {"step": step, "ema": m}


def _moments(u: Any, state: State, betas: Betas) -> tuple[Any, Any, State, float, float]:
    """M, v, the new state, and what the weights of both add up to."""
    step, m, v = moments(u, state, betas)
    return m, v, {"step": step, "exp_avg": m, "exp_avg_sq": v}, 1 - betas[0] ** step, 1 - betas[1] ** step


def scale_by_adam(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Link:
    """m^ / (sqrt(v^) + eps) (Kingma & Ba 2015, "Adam", algorithm 1)."""
    return Link(_scale_by_adam, {"betas": (b1, b2), "eps": eps})


@per_element
def _scale_by_adam(u: Any, p: Any, state: State, *, betas: Betas, eps: float) -> Step:
    m, v, new, c1, c2 = _moments(u, state, betas)
    return m / c1 / (np.sqrt(v / c2) + eps), new


def scale_by_amsgrad(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Link:
    """m^ / (sqrt(largest v^ so far) + eps) (Reddi et al. 2018, "On the convergence of Adam and beyond", algorithm 2)."""
    return Link(_scale_by_amsgrad, {"betas": (b1, b2), "eps": eps})


@per_element
def _scale_by_amsgrad(u: Any, p: Any, state: State, *, betas: Betas, eps: float) -> Step:
    m, v, new, c1, c2 = _moments(u, state, betas)
    largest = new["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", 0.0), v / c2)
    return m / c1 / (np.sqrt(largest) + eps), new


def scale_by_adamax(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Link:
    """m^ / n with n = max(b2 n, |u| + eps) (Kingma & Ba 2015, "Adam", algorithm 2)."""
    return Link(_scale_by_adamax, {"betas": (b1, b2), "eps": eps})


@per_element
def _scale_by_adamax(u: Any, p: Any, state: State, *, betas: Betas, eps: float) -> Step:
    b1, b2 = betas
    step = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", 0.0) + (1 - b1) * u
    n = np.maximum(b2 * state.get("exp_inf", 0.0), np.abs(u) + eps)
    return m / (1 - b1**step) / n, {"step": step, "exp_avg": m, "exp_inf": n}


def scale_by_belief(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-16, eps_root: Any = 1e-16) -> Link:
    """m^ / (sqrt(s^) + eps) with s the running mean of (u - m)^2 + eps_root, how far updates are from what was expected.

    Zhuang et al. 2020, "AdaBelief optimizer: adapting stepsizes by the belief in observed gradients", algorithm 2.
    """
    return Link(_scale_by_belief, {"betas": (b1, b2), "eps": eps, "eps_root": eps_root})


@per_element
def _scale_by_belief(u: Any, p: Any, state: State, *, betas: Betas, eps: float, eps_root: float) -> Step:
    b1, b2 = betas
    step = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", 0.0) + (1 - b1) * u
    surprise = u - m
    s = b2 * state.get("exp_avg_var", 0.0) + (1 - b2) * (surprise * surprise) + eps_root
    return m / (1 - b1**step) / (np.sqrt(s / (1 - b2**step)) + eps), {"step": step, "exp_avg": m, "exp_avg_var": s}


def scale_by_yogi(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-3, initial_accumulator_value: Any = 1e-6) -> Link:
    """m^ / (sqrt(v^) + eps) with v = v - (1 - b2) sign(v - u^2) u^2, which falls no faster than u^2 allows.

    Zaheer et al. 2018, "Adaptive methods for nonconvex optimization", algorithm 2.
    """
    return Link(_scale_by_yogi, {"betas": (b1, b2), "eps": eps, "initial_accumulator_value": initial_accumulator_value})


@per_element
def _scale_by_yogi(u: Any, p: Any, state: State, *, betas: Betas, eps: float, initial_accumulator_value: float) -> Step:
    b1, b2 = betas
    step = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", initial_accumulator_value) + (1 - b1) * u
    square = u * u
    v = state.get("exp_avg_sq", initial_accumulator_value)
    v = v - (1 - b2) * np.sign(v - square) * square
    return m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps), {"step": step, "exp_avg": m, "exp_avg_sq": v}


def scale_by_radam(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8, threshold: Any = 5.0) -> Link:
    """R m^ / (sqrt(v^) + eps), or m^ while the variance of v is not known to be finite (Liu et al. 2020, "RAdam", algorithm 2)."""
    return Link(_scale_by_radam, {"betas": (b1, b2), "eps": eps, "threshold": threshold})


@per_element
def _scale_by_radam(u: Any, p: Any, state: State, *, betas: Betas, eps: float, threshold: float) -> Step:
    b2 = betas[1]
    m, v, new, c1, c2 = _moments(u, state, betas)
    rho = 2 / (1 - b2) - 1
    rho_t = rho - 2 * new["step"] * b2 ** new["step"] / c2
    if rho_t < threshold:
        return m / c1, new
    r = math.sqrt((rho_t - 4) * (rho_t - 2) * rho / ((rho - 4) * (rho - 2) * rho_t))
    return (r / c1) * m / (np.sqrt(v / c2) + eps), new


def scale_by_rms(decay: Any = 0.9, eps: Any = 1e-8) -> Link:
    """U / sqrt(v + eps) (Tieleman & Hinton 2012, "Neural networks for machine learning", lecture 6e)."""
    return Link(_scale_by_rms, {"decay": decay, "eps": eps})


@per_element
def _scale_by_rms(u: Any, p: Any, state: State, *, decay: float, eps: float) -> Step:
    v = decay * state.get("square_avg", 0.0) + (1 - decay) * (u * u)
    return u / np.sqrt(v + eps), {"square_avg": v}


def scale_by_stddev(decay: Any = 0.9, eps: Any = 1e-8) -> Link:
    """U / sqrt(v - m^2 + eps): RMSprop with the variance (Graves 2013, "Generating sequences with recurrent neural networks", eq. 38-41)."""
    return Link(_scale_by_stddev, {"decay": decay, "eps": eps})


@per_element
def _scale_by_stddev(u: Any, p: Any, state: State, *, decay: float, eps: float) -> Step:
    m = decay * state.get("grad_avg", 0.0) + (1 - decay) * u
    v = decay * state.get("square_avg", 0.0) + (1 - decay) * (u * u)
    # Rounding could make the variance of an almost constant update negative.
    return u / np.sqrt(np.maximum(v - m * m, 0.0) + eps), {"grad_avg": m, "square_avg": v}


def scale_by_rss(initial_accumulator_value: Any = 0.1, eps: Any = 1e-7) -> Link:
    """U / sqrt(s + eps) with s the sum of the squares so far (Duchi et al. 2011, "Adaptive subgradient methods", figure 1)."""
    return Link(_scale_by_rss, {"initial_accumulator_value": initial_accumulator_value, "eps": eps})


@per_element
def _scale_by_rss(u: Any, p: Any, state: State, *, initial_accumulator_value: float, eps: float) -> Step:
    s = state.get("sum", initial_accumulator_value) + u * u
    return u / np.sqrt(s + eps), {"sum": s}


def scale_by_adadelta(rho: Any = 0.9, eps: Any = 1e-6) -> Link:
    """D = sqrt(mean of d^2 + eps) / sqrt(v + eps) u (Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1)."""
    return Link(_scale_by_adadelta, {"rho": rho, "eps": eps})


@per_element
def _scale_by_adadelta(u: Any, p: Any, state: State, *, rho: float, eps: float) -> Step:
    squares = rho * state.get("square_avg", 0.0) + (1 - rho) * (u * u)
    d = np.sqrt(state.get("acc_delta", 0.0) + eps) / np.sqrt(squares + eps) * u
    return d, {"square_avg": squares, "acc_delta": rho * state.get("acc_delta", 0.0) + (1 - rho) * (d * d)}


def scale_by_lion(b1: Any = 0.9, b2: Any = 0.99) -> Link:
    """sign(b1 m + (1 - b1) u); m = b2 m + (1 - b2) u (Chen et al. 2023, "Symbolic discovery of optimization algorithms", program 1)."""
    return Link(_scale_by_lion, {"betas": (b1, b2)})


@per_element
def _scale_by_lion(u: Any, p: Any, state: State, *, betas: Betas) -> Step:
    b1, b2 = betas
    m = state.get("exp_avg", 0.0)
    return np.sign(b1 * m + (1 - b1) * u), {"exp_avg": b2 * m + (1 - b2) * u}
