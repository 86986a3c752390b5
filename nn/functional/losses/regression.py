"""Losses of numbers: how far `input` is from `target`, or how unlikely it makes it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.distances import at_least
from nn.functional.losses.arguments import as_input, check_same_shape, chosen_reduction, like_input, reduced

__all__ = ["gaussian_nll_loss", "huber_loss", "l1_loss", "mse_loss", "poisson_nll_loss", "smooth_l1_loss"]


def _target(name: str, input: Any, target: Any) -> Any:
    """`target` as an array of `input`'s shape, or a number; ValueError if it has another shape."""
    target = like_input(target, input)
    if target.ndim:
        check_same_shape(name, input, target)
    return target


def _error(name: str, input: Any, target: Any) -> Any:
    return input - _target(name, input, target)


def _weighted(name: str, losses: Any, weight: Any, input: Any, reduction: str) -> Any:
    """The losses times `weight`; their mean is the weighted one."""
    weight = like_input(weight, input)
    check_same_shape(name, input, weight, "weight")
    losses = losses * weight
    return np.sum(losses) / np.sum(weight) if reduction == "mean" else reduced(losses, reduction)


# One node instead of three, which keeps the two arrays only: the loss that most programs call most often.
@ag.op(
    batches=True,
    name="mse_loss",
    x=lambda g, x, target, count: (g * (2 / count)) * (x - target),
    target=lambda g, x, target, count: (g * (2 / count)) * (target - x),
    real_only=True,
    samples=lambda a: [ag.call(a(2, 3), a(2, 3), 6), ag.call(a(2, 3), a(), 1), ag.call(a(), a(), 1), ag.call(a(0, 3), a(0, 3), 1)],
)
def _squared_error(x: Any, target: Any, count: int) -> Any:
    error = x - target
    return (error * error).sum() / count


def mse_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Any = None) -> Any:
    """The squared error (input - target)^2, by default its mean.

    target  of `input`'s shape, or a number
    weight  a factor for each element, of `input`'s shape; the mean is sum(weight * error^2) / sum(weight)
    raises  ValueError if the shapes differ: (n, 1) against (n,) would silently be n^2 errors

    >>> import numpy as np
    >>> float(mse_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    2.0
    """
    reduction = chosen_reduction("mse_loss", size_average, reduce, reduction)
    input = as_input(input)
    target = _target("mse_loss", input, target)
    if weight is None and reduction != "none" and input.size and input.dtype.kind == "f":
        return _squared_error(input, target, input.size if reduction == "mean" else 1)
    error = input - target
    losses = error * error
    return reduced(losses, reduction) if weight is None else _weighted("mse_loss", losses, weight, input, reduction)


def l1_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", weight: Any = None) -> Any:
    """The absolute error |input - target|, whose derivative is 0 where they are equal; arguments as in `mse_loss`.

    >>> import numpy as np
    >>> float(l1_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])))
    1.0
    """
    reduction = chosen_reduction("l1_loss", size_average, reduce, reduction)
    input = as_input(input)
    losses = np.abs(_error("l1_loss", input, target))
    return reduced(losses, reduction) if weight is None else _weighted("l1_loss", losses, weight, input, reduction)


# Slope and curvature are those of the parabola at a distance of less than delta, of the line beyond.
@ag.op(
    batches=True,
    name="huber_loss",
    error=lambda g, error, delta: g * np.where(np.abs(error) < delta, error, delta * np.sign(error)),
    real_only=True,
    elementwise=True,
    samples=lambda a: [ag.call(a(2, 3), 1.0), ag.call(a(), 0.5), ag.call(a(0, 3), 1.0), ag.call(a(5), 10.0)],
)
def _huber(error: Any, delta: float) -> Any:
    distance = np.abs(error)
    return np.where(distance < delta, 0.5 * error * error, delta * (distance - 0.5 * delta))


def smooth_l1_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Quadratic near 0, linear beyond: e^2 / (2 beta) where |e| < beta, |e| - beta / 2 elsewhere (Girshick 2015, eq. 3).

    target  of `input`'s shape, or a number
    beta    where the parabola becomes a line; 0 gives `l1_loss`

    >>> import numpy as np
    >>> smooth_l1_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none")
    array([0.125, 2.5  ])
    """
    reduction = chosen_reduction("smooth_l1_loss", size_average, reduce, reduction)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta must not be negative, not {beta}")
    error = _error("smooth_l1_loss", as_input(input), target)
    return reduced(_huber(error, float(beta)) / beta if beta else np.abs(error), reduction)


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None) -> Any:
    """Quadratic near 0, linear beyond: e^2 / 2 where |e| <= delta, delta (|e| - delta / 2) elsewhere (Huber 1964).

    target  of `input`'s shape, or a number
    weight  a factor for each element; unlike in `mse_loss`, the mean is not divided by the weights' sum, as in torch

    >>> import numpy as np
    >>> huber_loss(np.array([0.5, 3.0]), np.array([0.0, 0.0]), reduction="none", delta=2.0)
    array([0.125, 4.   ])
    """
    reduction = chosen_reduction("huber_loss", None, None, reduction)
    if not delta > 0:
        raise ValueError(f"huber_loss: delta must be positive, not {delta}")
    input = as_input(input)
    losses = _huber(_error("huber_loss", input, target), float(delta))
    if weight is not None:
        weight = like_input(weight, input)
        check_same_shape("huber_loss", input, weight, "weight")
        losses = losses * weight
    return reduced(losses, reduction)


def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """The negative log-likelihood of counts under a Poisson distribution with the rate `input`: rate - target log(rate).

    log_input  whether `input` is the rate's logarithm: exp(input) - target input
    full       add the rest, log(target!), by Stirling's formula: t log(t) - t + log(2 pi t) / 2 where t > 1, nothing elsewhere
    eps        added to the rate before its logarithm is taken, if `log_input` is False

    >>> import numpy as np
    >>> poisson_nll_loss(np.array([0.0]), np.array([2.0]), reduction="none")
    array([1.])
    """
    reduction = chosen_reduction("poisson_nll_loss", size_average, reduce, reduction)
    input = as_input(input)
    target = like_input(target, input)
    losses = np.exp(input) - target * input if log_input else input - target * np.log(input + eps)
    if full:
        many = target > 1
        count = np.where(many, target, 1.0)
        losses = losses + np.where(many, count * np.log(count) - count + 0.5 * np.log(2 * math.pi * count), 0.0)
    return reduced(losses, reduction)


def gaussian_nll_loss(input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> Any:
    """The negative log-likelihood of `target` under a normal distribution with mean `input` and variance `var` (Nix & Weigend 1994).

    (log(var) + (input - target)^2 / var) / 2, with log(2 pi) / 2 added if `full`.

    var     of `input`'s shape, without its last axis or with 1 in place of one axis, or a number; below `eps` it counts as eps,
            where its gradient is the one at eps, as in torch
    raises  ValueError for a negative variance, or one of another shape

    >>> import numpy as np
    >>> gaussian_nll_loss(np.array([1.0]), np.array([3.0]), np.array([1.0]), reduction="none")
    array([2.])
    """
    reduction = chosen_reduction("gaussian_nll_loss", None, None, reduction)
    input = as_input(input)
    target, var = like_input(target, input), like_input(var, input)
    if ag.for_any(var < 0):
        raise ValueError("gaussian_nll_loss: var has negative entries, but a variance is at least 0; predict its logarithm and pass np.exp of it")
    if var.ndim and var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = var[..., None]
        elif var.ndim != input.ndim or [v for v, n in zip(var.shape, input.shape, strict=True) if v != n] != [1]:
            raise ValueError(
                f"gaussian_nll_loss: var has shape {var.shape}, input {input.shape}; expected the same shape, or it without the last axis, "
                "or with one axis of size 1"
            )
    var = at_least(var, eps)  # whose gradient passes where it was raised too: else the variance would never grow again
    error = input - target
    losses = 0.5 * (np.log(var) + error * error / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)
