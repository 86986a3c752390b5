"""Links of a `Chain`: each turns an update into another one, the gradient being the first and the last one being added.

    optim.Chain(params, clip_by_global_norm(1.0), scale_by_adam(), add_decayed_weights(1e-2), scale(-1e-3))

is AdamW with clipping. A link is a rule, (update, parameter, state, hyperparameters) -> (update, state), with its hyperparameters,
which may be schedules. Names are optax's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from optim.rules.common import State, Step, norm

__all__ = [
    "Link",
    "adaptive_grad_clip",
    "add_decayed_weights",
    "centralize",
    "clip",
    "clip_by_global_norm",
    "link",
    "scale",
    "scale_by_adam",
    "scale_by_rms",
    "scale_by_trust_ratio",
    "scale_features",
    "sign",
    "trace",
]


@dataclass(frozen=True)
class Link:
    """A rule with its hyperparameters.

    survey  for a rule that has to know the updates of all parameters: updates -> further hyperparameters
    """

    rule: Callable[..., Step]
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    survey: Callable[[Sequence[Any]], dict[str, Any]] | None = None

    @property
    def name(self) -> str:
        """The rule's name, without a leading underscore."""
        return getattr(self.rule, "__name__", "link").strip("_")


def link(rule: Callable[..., Step], **hyperparameters: Any) -> Link:
    """Any rule of `optim.rules`, or one of your own, as a link. A rule that has a step size gives an update ready to be added."""
    return Link(rule, hyperparameters)


def clip(max_delta: Any) -> Link:
    """Bring each element into [-max_delta, max_delta]."""
    return Link(_clip, {"max_delta": max_delta})


def _clip(u: Any, p: Any, state: State, *, max_delta: float) -> Step:
    return np.minimum(np.maximum(u, -max_delta), max_delta), {}


def clip_by_global_norm(max_norm: Any) -> Link:
    """Scale all updates by one factor, so that the norm of all of them together is at most `max_norm` (Pascanu et al. 2013)."""
    return Link(_clip_by_global_norm, {"max_norm": max_norm}, lambda updates: {"total": sum(norm(u) ** 2 for u in updates) ** 0.5})


def _clip_by_global_norm(u: Any, p: Any, state: State, *, max_norm: float, total: float) -> Step:
    return (u * (max_norm / total) if total > max_norm else u), {}


def adaptive_grad_clip(clip_factor: Any, eps: Any = 1e-3) -> Link:
    """Scale each unit's update so that its norm is at most `clip_factor` times its weights' norm (Brock et al. 2021, eq. 3)."""
    return Link(_adaptive_grad_clip, {"clip_factor": clip_factor, "eps": eps})


def _adaptive_grad_clip(u: Any, p: Any, state: State, *, clip_factor: float, eps: float) -> Step:
    def norms(x: Any) -> Any:
        return np.sqrt(np.sum(x * x, axis=tuple(range(1, x.ndim)) if x.ndim > 1 else None, keepdims=True))

    return u * np.minimum(clip_factor * np.maximum(norms(p), eps) / np.maximum(norms(u), 1e-6), 1.0), {}


def centralize() -> Link:
    """Take the mean over all axes but the first off the updates of matrices: Yong et al. 2020, "Gradient centralization", eq. 1."""
    return Link(_centralize)


def _centralize(u: Any, p: Any, state: State) -> Step:
    return (u - u.mean(axis=tuple(range(1, u.ndim)), keepdims=True) if u.ndim > 1 else u), {}


def add_decayed_weights(weight_decay: Any) -> Link:
    """U + weight_decay p: before the scaling it is an L2 penalty, after it decoupled decay."""
    return Link(_add_decayed_weights, {"weight_decay": weight_decay})


def _add_decayed_weights(u: Any, p: Any, state: State, *, weight_decay: float) -> Step:
    return u + weight_decay * p, {}


def trace(decay: Any, nesterov: bool = False) -> Link:
    """Momentum: v = decay v + u; gives v, or u + decay v."""
    return Link(_trace, {"decay": decay, "nesterov": nesterov})


def _trace(u: Any, p: Any, state: State, *, decay: float, nesterov: bool) -> Step:
    v = decay * state.get("trace", 0.0) + u
    return (u + decay * v if nesterov else v), {"trace": v}


def scale_by_adam(b1: Any = 0.9, b2: Any = 0.999, eps: Any = 1e-8) -> Link:
    """m^ / (sqrt(v^) + eps) with Adam's moments of the update (Kingma & Ba 2015)."""
    return Link(_scale_by_adam, {"betas": (b1, b2), "eps": eps})


def _scale_by_adam(u: Any, p: Any, state: State, *, betas: tuple[float, float], eps: float) -> Step:
    b1, b2 = betas
    step = state.get("step", 0) + 1
    m = b1 * state.get("exp_avg", 0.0) + (1 - b1) * u
    v = b2 * state.get("exp_avg_sq", 0.0) + (1 - b2) * (u * u)
    return m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps), {"step": step, "exp_avg": m, "exp_avg_sq": v}


def scale_by_rms(decay: Any = 0.9, eps: Any = 1e-8) -> Link:
    """U / sqrt(mean of u^2 + eps), with a running mean (Tieleman & Hinton 2012)."""
    return Link(_scale_by_rms, {"decay": decay, "eps": eps})


def _scale_by_rms(u: Any, p: Any, state: State, *, decay: float, eps: float) -> Step:
    v = decay * state.get("square_avg", 0.0) + (1 - decay) * (u * u)
    return u / np.sqrt(v + eps), {"square_avg": v}


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
    factors = np.asarray(scales, dtype=float)

    def scale_features(u: Any, p: Any, state: State) -> Step:
        return (u * factors.astype(u.dtype) if u.ndim > 1 and u.shape[-1] == len(factors) else u), {}

    return Link(scale_features)


def sign() -> Link:
    """The sign of each element (Bernstein et al. 2018, "signSGD")."""
    return Link(_sign)


def _sign(u: Any, p: Any, state: State) -> Step:
    return np.sign(u), {}


def scale(factor: Any) -> Link:
    """Multiply the update. Most chains end with the step size: -lr, or a schedule such as `-1 * Cosine(...)`."""
    return Link(_scale, {"factor": factor})


def _scale(u: Any, p: Any, state: State, *, factor: float) -> Step:
    return factor * u, {}
