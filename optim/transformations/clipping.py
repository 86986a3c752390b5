"""Links that keep updates small."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from optim.rules.common import State, Step, norm, per_element
from optim.transformations.link import Link

__all__ = ["adaptive_grad_clip", "clip", "clip_by_block_rms", "clip_by_global_norm", "zero_nans"]


def clip(max_delta: Any) -> Link:
    """Bring each element into [-max_delta, max_delta]."""
    return Link(_clip, {"max_delta": max_delta})


@per_element
def _clip(u: Any, p: Any, state: State, *, max_delta: float) -> Step:
    return np.minimum(np.maximum(u, -max_delta), max_delta), {}


def clip_by_global_norm(max_norm: Any) -> Link:
    """Scale all updates by one factor, so that the norm of all of them together is at most `max_norm` (Pascanu et al. 2013)."""
    return Link(_clip_by_global_norm, {"max_norm": max_norm}, _total)


def _total(updates: Sequence[Any]) -> dict[str, float]:
    """The norm of all updates together."""
    return {"total": math.hypot(*map(norm, updates))}


@per_element
def _clip_by_global_norm(u: Any, p: Any, state: State, *, max_norm: float, total: float) -> Step:
    return (u * (max_norm / total) if total > max_norm else u), {}


def clip_by_block_rms(threshold: Any) -> Link:
    """U / max(1, rms(u) / threshold), for each parameter by itself (Shazeer & Stern 2018, "Adafactor", section 6)."""
    return Link(_clip_by_block_rms, {"threshold": threshold})


def _clip_by_block_rms(u: Any, p: Any, state: State, *, threshold: float) -> Step:
    rms = norm(u) / max(1, u.size) ** 0.5
    return (u * (threshold / rms) if rms > threshold else u), {}


def adaptive_grad_clip(clip_factor: Any, eps: Any = 1e-3) -> Link:
    """Scale each unit's update so that its norm is at most `clip_factor` times its weights' norm (Brock et al. 2021, eq. 3)."""
    return Link(_adaptive_grad_clip, {"clip_factor": clip_factor, "eps": eps})


def _adaptive_grad_clip(u: Any, p: Any, state: State, *, clip_factor: float, eps: float) -> Step:
    def norms(x: Any) -> Any:
        x = x.astype(np.result_type(x.dtype, np.float64), copy=False)  # squares of large elements are finite there
        return np.sqrt(np.sum((x * x.conj()).real, axis=tuple(range(1, x.ndim)) if x.ndim > 1 else None, keepdims=True))

    return (u * np.minimum(clip_factor * np.maximum(norms(p), eps) / np.maximum(norms(u), 1e-6), 1.0)).astype(u.dtype), {}


def zero_nans() -> Link:
    """Put 0 for each nan; for a chain with `nonfinite="ignore"`, as the others refuse or skip such gradients."""
    return Link(_zero_nans)


@per_element
def _zero_nans(u: Any, p: Any, state: State) -> Step:
    return np.where(np.isnan(u), 0.0, u), {}
