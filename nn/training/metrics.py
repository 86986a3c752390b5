"""Metrics: functions `metric(prediction, *targets)` that give a number for a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["Metric", "accuracy", "named_metrics"]

Metric = Callable[..., Any]


def accuracy(prediction: Any, target: Any) -> float:
    """The fraction of samples of which the class is told right.

    prediction  logits or probabilities of classes along axis 1; or, of the target's shape, logits of one class: above 0 means 1
    target      the classes; integers, or 0 and 1

    >>> import numpy as np
    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([0, 0]))
    0.5
    """
    scores, classes = _plain(prediction), _plain(target)
    guesses = scores.argmax(axis=1) if scores.ndim > classes.ndim else scores > 0
    if guesses.shape != classes.shape:
        raise ValueError(f"accuracy: predictions of shape {scores.shape} do not fit targets of shape {classes.shape}; expected (N, classes) and (N,)")
    return float((guesses == classes).mean())


def _plain(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, ag.Tensor) else np.asarray(value)


_KNOWN: dict[str, Metric] = {"accuracy": accuracy}


def named_metrics(metrics: str | Metric | Iterable[str | Metric] | Mapping[str, Metric]) -> dict[str, Metric]:
    """Metrics by name, from a dict, or from names of known ones and functions, which are called after themselves.

    raises  ValueError for a name that is not known, TypeError for what is no function
    """
    if isinstance(metrics, Mapping):
        named = dict(metrics)
    else:
        listed = [metrics] if isinstance(metrics, str) or callable(metrics) else list(metrics)
        if unknown := [name for name in listed if isinstance(name, str) and name not in _KNOWN]:
            raise ValueError(f"metrics: {unknown[0]!r} is unknown; there are {', '.join(_KNOWN)}, or give a function of (prediction, target)")
        named = {m if isinstance(m, str) else getattr(m, "__name__", type(m).__name__): _KNOWN[m] if isinstance(m, str) else m for m in listed}
    for name, metric in named.items():
        if not callable(metric):
            raise TypeError(f"metrics: {name} must be a function of (prediction, target), not a {type(metric).__name__}")
    if "loss" in named:
        raise ValueError("metrics: the loss is there anyway; call this metric something else")
    return named
