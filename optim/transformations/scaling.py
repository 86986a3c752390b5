"""Links without memory: factors, decay, noise, means taken off."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from optim.rules.common import State, Step, norm, per_element
from optim.transformations.link import Link

__all__ = ["add_decayed_weights", "add_noise", "centralize", "scale", "scale_by_learning_rate", "scale_by_trust_ratio", "scale_features", "sign"]


def scale(factor: Any) -> Link:
    """Multiply the update by a number, or by a schedule such as `-1 * Cosine(...)`."""
    return Link(_scale, {"factor": factor})


@per_element
def _scale(u: Any, p: Any, state: State, *, factor: float) -> Step:
    return factor * u, {}


def scale_by_learning_rate(lr: Any) -> Link:
    """-lr u: downhill. Most chains end with it; lr may be a schedule."""
    return Link(_scale_by_learning_rate, {"lr": lr})


@per_element
def _scale_by_learning_rate(u: Any, p: Any, state: State, *, lr: float) -> Step:
    return -lr * u, {}


def add_decayed_weights(weight_decay: Any) -> Link:
    """U + weight_decay p: before the scaling it is an L2 penalty, after it decoupled decay."""
    return Link(_add_decayed_weights, {"weight_decay": weight_decay})


@per_element
def _add_decayed_weights(u: Any, p: Any, state: State, *, weight_decay: float) -> Step:
    return u + weight_decay * p, {}


def add_noise(eta: Any, gamma: Any = 0.55, seed: int = 0) -> Link:
    """U + n with n normal, of variance eta / (1 + t)^gamma in step t, counted from 0.

    Neelakantan et al. 2015, "Adding gradient noise improves learning for very deep networks", eq. 1.
    """
    return Link(partial(_add_noise, seeds=np.random.SeedSequence(seed)), {"eta": eta, "gamma": gamma}, label="add_noise")


def _add_noise(u: Any, p: Any, state: State, *, seeds: np.random.SeedSequence, eta: float, gamma: float) -> Step:
    # Each parameter has a seed of its own, which is in its state, so that a saved run goes on with the same noise.
    own = state.get("seed") or int(seeds.spawn(1)[0].generate_state(1)[0]) + 1
    step = state.get("step", 0)
    noise = np.random.default_rng([own, step]).normal(scale=(eta / (1 + step) ** gamma) ** 0.5, size=u.shape)
    return u + noise.astype(u.dtype), {"seed": own, "step": step + 1}


def centralize() -> Link:
    """Take the mean over all axes but the first off the updates of matrices: Yong et al. 2020, "Gradient centralization", eq. 1."""
    return Link(_centralize)


def _centralize(u: Any, p: Any, state: State) -> Step:
    return (u - u.mean(axis=tuple(range(1, u.ndim)), keepdims=True) if u.ndim > 1 else u), {}


def scale_by_trust_ratio() -> Link:
    """|p| / |u| u, as LARS and LAMB have it (You et al. 2020); u as it is where one of the norms is 0."""
    return Link(_scale_by_trust_ratio)


def _scale_by_trust_ratio(u: Any, p: Any, state: State) -> Step:
    p_norm, u_norm = norm(p), norm(u)
    return (u * (p_norm / u_norm) if p_norm and u_norm else u), {}


def scale_features(scales: Any) -> Link:
    """Multiply the columns of the first layer's weights (all matrices with as many columns) by a factor per input feature.

    scales  one factor per feature, such as `optim.choice.feature_scales` gives
    """
    return Link(partial(_scale_features, factors=np.asarray(scales, dtype=float)), label="scale_features")


def _scale_features(u: Any, p: Any, state: State, *, factors: Any) -> Step:
    return (u * factors.astype(u.dtype) if u.ndim > 1 and u.shape[-1] == len(factors) else u), {}


def sign() -> Link:
    """The sign of each element (Bernstein et al. 2018, "signSGD")."""
    return Link(_sign)


@per_element
def _sign(u: Any, p: Any, state: State) -> Step:
    return np.sign(u), {}
