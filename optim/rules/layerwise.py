"""Steps in proportion to each array's own norm, for large batches; and Adam's memory, factored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optim.rules.common import State, Step, decayed, moments, norm, real_only

__all__ = ["adafactor", "lamb", "lars"]


def lars(
    g: Any, p: Any, state: State, *, lr: float, momentum: float, weight_decay: float, trust_coefficient: float, eps: float, maximize: bool
) -> Step:
    """LARS: l = trust_coefficient |p| / (|g| + weight_decay |p| + eps);  v = momentum v + lr l (g + weight_decay p);  change = -v.

    You et al. 2017, "Large batch training of convolutional networks", algorithm 1. For |p| = 0 or |g| = 0, l is 1.
    """
    g = decayed(g, p, 0.0, maximize)
    p_norm, g_norm = norm(p), norm(g)
    local = trust_coefficient * p_norm / (g_norm + weight_decay * p_norm + eps) if p_norm and g_norm else 1.0
    v = momentum * state.get("momentum_buffer", 0.0) + lr * local * decayed(g, p, weight_decay)
    return -v, {"momentum_buffer": v}


@real_only
def lamb(g: Any, p: Any, state: State, *, lr: float, betas: tuple[float, float], eps: float, weight_decay: float, maximize: bool) -> Step:
    """LAMB: r = m^ / (sqrt(v^) + eps) + weight_decay p;  change = -lr |p| / |r| r, with Adam's m^ and v^.

    You et al. 2020, "Large batch optimization for deep learning: training BERT in 76 minutes", algorithm 2. For |p| = 0 or
    |r| = 0 the ratio is 1.
    """
    b1, b2 = betas
    g = decayed(g, p, 0.0, maximize)
    step, m, v = moments(g, state, betas)
    r = m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps) + weight_decay * p
    p_norm, r_norm = norm(p), norm(r)
    trust = p_norm / r_norm if p_norm and r_norm else 1.0
    return -lr * trust * r, {"step": step, "exp_avg": m, "exp_avg_sq": v}


@real_only
def adafactor(
    g: Any, p: Any, state: State, *, lr: float, beta2_decay: float, eps: tuple[float | None, float], d: float, weight_decay: float, maximize: bool
) -> Step:
    """Adafactor: v ~ rows x columns / mean of rows, running means of g^2 along the last two axes;  u = g / sqrt(v).

    change = -max(eps2, rms(p)) min(lr, 1/sqrt(t)) u / max(1, rms(u) / d), and decoupled weight decay. Shazeer & Stern 2018,
    "Adafactor: adaptive learning rates with sublinear memory cost", algorithms 4 and 5; vectors keep the whole v.
    """
    g = decayed(g, p, 0.0, maximize)
    eps1 = float(np.finfo(p.dtype).eps) if eps[0] is None else eps[0]
    step = state.get("step", 0) + 1
    weight = step**beta2_decay
    new: State = {"step": step}
    if g.ndim > 1:
        mean_of_rows = np.vecdot(g, g)[..., None] / g.shape[-1]
        mean_of_columns = np.einsum("...ij,...ij->...j", g, g)[..., None, :] / g.shape[-2]
        rows = new["row_var"] = (1 - weight) * state.get("row_var", 0.0) + weight * mean_of_rows
        columns = new["col_var"] = (1 - weight) * state.get("col_var", 0.0) + weight * mean_of_columns
        u = _divided(g, rows / np.maximum(rows.mean(axis=-2, keepdims=True), eps1), columns, eps1 * eps1)
    else:
        v = new["variance"] = (1 - weight) * state.get("variance", 0.0) + weight * (g * g)
        u = g / np.sqrt(np.maximum(v, eps1 * eps1))
    size = math.sqrt(p.size)
    rate = max(eps[1], norm(p) / size) * min(lr, 1 / math.sqrt(step)) / max(1.0, norm(u) / (size * d))
    return -rate * u - lr * weight_decay * p if weight_decay else -rate * u, new


def _divided(g: Any, rows: Any, columns: Any, least: float) -> Any:
    """G / sqrt(max(rows x columns, least)), without the product's being formed where none of its elements is too small."""
    if rows.size and (rows.min(axis=-2) * columns.min(axis=-1)).min() > least:
        return g * rows**-0.5 * columns**-0.5
    return g / np.sqrt(np.maximum(rows * columns, least))
