"""Gradient descent with momentum, and with averaging."""

from __future__ import annotations

from typing import Any

from optim.rules.common import State, Step, decayed, per_element

__all__ = ["asgd", "sgd"]


@per_element
def sgd(g: Any, p: Any, state: State, *, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool) -> Step:
    """Momentum: v = momentum v + (1 - dampening) g;  change = -lr v, or -lr (g + momentum v) with Nesterov's look ahead.

    Polyak 1964, "Some methods of speeding up the convergence of iteration methods", eq. 9. Nesterov's form as in
    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", section 2. The first v is g.
    """
    g = decayed(g, p, weight_decay, maximize)
    if not momentum:
        return -lr * g, {}
    v = momentum * state["momentum_buffer"] + (1 - dampening) * g if "momentum_buffer" in state else g
    return -lr * (g + momentum * v if nesterov else v), {"momentum_buffer": v}


@per_element
def asgd(g: Any, p: Any, state: State, *, lr: float, lambd: float, alpha: float, t0: float, weight_decay: float, maximize: bool) -> Step:
    """Averaging: p' = (1 - lambd eta) p - eta g;  the mean a = a + mu (p' - a) of the parameters since step t0 is in state "ax".

    eta = lr / (1 + lambd lr t)^alpha. Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging", eq. 2;
    the step size is that of Bottou 2012, "Stochastic gradient descent tricks", section 5.
    """
    g = decayed(g, p, weight_decay, maximize)
    step, eta, mu = state.get("step", 0) + 1, state.get("eta", lr), state.get("mu", 1.0)
    change = -eta * g - lambd * eta * p
    mean = state.get("ax", 0.0)
    mean = p + change if mu == 1 else mean + mu * (p + change - mean)
    new = {"step": step, "eta": lr / (1 + lambd * lr * step) ** alpha, "mu": 1 / max(1.0, step - t0), "ax": mean}
    return change, new
