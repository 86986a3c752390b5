"""Rules that treat a parameter as a matrix, not as a bag of elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from optim.rules.common import State, Step, decayed, norm, real_only

__all__ = ["muon", "shampoo"]


@real_only
def muon(
    g: Any,
    p: Any,
    state: State,
    *,
    lr: float,
    weight_decay: float,
    momentum: float,
    nesterov: bool,
    ns_coefficients: tuple[float, float, float],
    eps: float,
    ns_steps: int,
    adjust_lr_fn: str | None,
) -> Step:
    """Muon: the momentum, made nearly orthogonal: change = -lr ratio O(m) - lr weight_decay p, for matrices only.

    O is `newton_schulz`, ratio the square root of max(1, rows / columns), or 0.2 sqrt(max(rows, columns)) for
    "match_rms_adamw". Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
    """
    m = momentum * state.get("momentum_buffer", 0.0) + (1 - momentum) * g
    update = newton_schulz(momentum * m + (1 - momentum) * g if nesterov else m, ns_coefficients, ns_steps, eps)
    rows, columns = g.shape
    ratio = 0.2 * math.sqrt(max(rows, columns)) if adjust_lr_fn == "match_rms_adamw" else math.sqrt(max(1, rows / columns))
    return -lr * ratio * update - lr * weight_decay * p, {"momentum_buffer": m}


def newton_schulz(matrix: Any, coefficients: tuple[float, float, float], steps: int, eps: float) -> Any:
    """Bring the singular values of `matrix` near 1: X = a X + (b A + c A^2) X with A = X X^T, from |X| = 1."""
    a, b, c = coefficients
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / max(norm(x), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


@real_only
def shampoo(
    g: Any,
    p: Any,
    state: State,
    *,
    lr: float,
    momentum: float,
    weight_decay: float,
    eps: float,
    update_every: int,
    max_size: int,
    grafting: str | None,
    maximize: bool,
) -> Step:
    """Shampoo: H_i = H_i + G_(i) G_(i)^T for each axis i of g;  change = -lr times g multiplied by H_i^(-1/2k) along each axis.

    G_(i) is g unfolded along axis i, k the number of axes; H_i starts at eps I. Gupta et al. 2018, "Shampoo: preconditioned
    stochastic tensor optimization", algorithms 1 and 2. Axes longer than `max_size` are left as they are, and the roots are
    taken anew every `update_every` steps (more often at first), as their cost is cubic.

    A direction in which no gradient has pointed yet is blown up by eps^(-1/2), the more steps the longer the roots are kept. With
    `grafting` the change has the length of another rule's: -lr g for "sgd", -lr g / sqrt(sum of g^2) for "adagrad". Anil et al.
    2021, "Scalable second order optimization for deep learning", section 3.
    """
    g = decayed(g, p, weight_decay, maximize)
    step = state.get("step", 0) + 1
    new: State = {"step": step}
    axes = [axis for axis, n in enumerate(g.shape) if 1 < n <= max_size]
    direction = g
    for axis in axes:
        unfolded = np.moveaxis(g, axis, 0).reshape(g.shape[axis], -1)
        statistic = state.get(f"statistic_{axis}", eps * np.eye(len(unfolded), dtype=g.dtype)) + unfolded @ unfolded.T
        # Often at first, when the statistic is of few gradients: at steps 1, 2, 4, 8, ...
        renew = (step - 1) % update_every == 0 or (step < update_every and step.bit_count() == 1)
        root = _inverse_root(statistic, 2 * len(axes), eps) if renew else state[f"root_{axis}"]
        new |= {f"statistic_{axis}": statistic, f"root_{axis}": root}
        direction = np.moveaxis(np.tensordot(root, direction, axes=(1, axis)), 0, axis)
    if grafting == "adagrad":
        squares = new["sum"] = state.get("sum", 0.0) + g * g
        direction = _as_long_as(g / (np.sqrt(squares) + 1e-30), direction)
    elif grafting == "sgd":
        direction = _as_long_as(g, direction)
    if momentum:
        direction = new["momentum_buffer"] = momentum * state.get("momentum_buffer", 0.0) + direction
    return -lr * direction, new


def _as_long_as(other: Any, direction: Any) -> Any:
    length = norm(direction)
    return direction * (norm(other) / length) if length else direction


def _inverse_root(matrix: Any, power: int, eps: float) -> Any:
    """matrix^(-1/power) of a symmetric positive definite matrix; eigenvalues below eps, rounding errors, count as eps.

    For eps = 0 the inverse is the one on the space of the gradients so far, where eigenvalues are more than rounding errors.
    """
    values, vectors = np.linalg.eigh(matrix)
    if eps:
        return vectors * np.maximum(values, eps) ** (-1 / power) @ vectors.T
    seen = values > len(values) * np.finfo(values.dtype).eps * values[-1]
    return vectors[:, seen] * values[seen] ** (-1 / power) @ vectors[:, seen].T
