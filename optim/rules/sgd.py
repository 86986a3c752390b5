"""Gradient descent with momentum."""

from __future__ import annotations

from typing import Any

from optim.rules.common import State, Step, decayed, per_element

__all__ = ["sgd"]


@per_element
def sgd(
    gradient: Any, parameter: Any, state: State, *, lr: float, momentum: float, dampening: float, weight_decay: float, nesterov: bool, maximize: bool
) -> Step:
    """Momentum: v = momentum v + (1 - dampening) g;  change = -lr v, or -lr (g + momentum v) with Nesterov's look ahead.

    Polyak 1964, "Some methods of speeding up the convergence of iteration methods", eq. 9. Nesterov's form as in
    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", section 2. The first v is g.
    """
    g = decayed(gradient, parameter, weight_decay, maximize)
    if not momentum:
        return -lr * g, {}
    v = momentum * state["momentum_buffer"] + (1 - dampening) * g if "momentum_buffer" in state else g
    return -lr * (g + momentum * v if nesterov else v), {"momentum_buffer": v}
