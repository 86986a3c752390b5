"""Step sizes from the data: its distribution, and which features matter."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["feature_scales", "relevance", "step_from_data"]


def step_from_data(x: Any, loss: str = "mse") -> float:
    """1 / L for a linear model on the data: no step of gradient descent by it overshoots.

    x     (samples, features); with a constant feature if the model has a bias
    loss  "mse" (mean of squared errors), L = 2 s; "logistic" (mean log loss of a sigmoid), L = s / 4;
          "softmax" (cross-entropy), L = s / 2; where s is the largest eigenvalue of x^T x / samples

    >>> step_from_data(np.array([[1.0, 0.0], [0.0, 2.0]]))
    0.25
    """
    factors = {"mse": 2.0, "logistic": 0.25, "softmax": 0.5}
    x = _samples(x, "step_from_data")
    if loss not in factors:
        raise ValueError(f"step_from_data: loss must be one of {', '.join(factors)}, not {loss!r}")
    largest = float(np.linalg.norm(x, 2)) ** 2 / len(x)
    if not largest:
        raise ValueError("step_from_data: the data is zero throughout, so it sets no bound to the step size")
    return 1 / (factors[loss] * largest)


def feature_scales(x: Any, y: Any = None, floor: float = 1e-8) -> Any:
    """A factor for each feature's step: one over its mean square, so that features of all sizes learn equally fast; mean 1.

    y  the targets, if features that say more about them shall learn faster: the factors are multiplied by `relevance`

    With it, `optim.transformations.scale_features` scales the first layer's updates. LeCun et al. 1998, "Efficient backprop",
    section 4.3 and 4.7.

    >>> feature_scales(np.array([[1.0, 10.0], [-1.0, -10.0]])).round(4)
    array([1.9802, 0.0198])
    """
    x = _samples(x, "feature_scales")
    squares = np.maximum((x * x).mean(axis=0), floor)
    scales = 1 / squares if y is None else (floor + relevance(x, y)) / squares
    return scales / scales.mean()


def relevance(x: Any, y: Any) -> Any:
    """How much each feature says about the targets: the size of its correlation with them, in [0, 1]; 0 for constant features.

    y  (samples,) or (samples, targets), of which the largest correlation counts; integer classes are taken as one target each

    >>> relevance(np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]), np.array([2.0, 4.0, 6.0])).round(6)
    array([1., 0.])
    """
    x = _samples(x, "relevance")
    y = np.asarray(y)
    if y.ndim == 1 and y.dtype.kind in "iub":
        y = y[:, None] == np.unique(y)
    y = y.reshape(len(y), -1).astype(float)
    _finite(y, "relevance", "the targets")
    if len(y) != len(x):
        raise ValueError(f"relevance: {len(x)} samples but {len(y)} targets")
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    sizes = np.linalg.norm(a, axis=0)[:, None] * np.linalg.norm(b, axis=0)
    correlations = np.divide(a.T @ b, sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    return np.abs(correlations).max(axis=1)


def _samples(x: Any, name: str) -> Any:
    x = np.asarray(x, dtype=float)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"{name}: the data has to be (samples, features) and not empty; its shape is {x.shape}")
    _finite(x, name, "the data")
    return x


def _finite(array: Any, name: str, what: str) -> None:
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = tuple(bad[0].tolist())
        raise ValueError(f"{name}: {what} must be finite, but element {place} is {array[place]}")
