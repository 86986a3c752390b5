"""Step sizes from the curvature of the loss.

Where the gradient changes no faster than L times the parameters, steps of 1/L always lower the loss, and steps beyond 2/L
overshoot. L is the Hessian's largest eigenvalue, which power iteration finds from products with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import autograd_core as ag
from optim.second_order.products import Vector, hessian_product

__all__ = ["largest_eigenvalue", "lipschitz_step"]


def largest_eigenvalue(closure: Callable[[], Any], params: Iterable[Any], iterations: int = 100, tolerance: float = 1e-4, seed: int = 0) -> float:
    """The eigenvalue of the loss's Hessian that is largest in size, by power iteration; negative if the largest one is.

    closure     returns the loss, without calling backward
    iterations  products with the Hessian, at most
    tolerance   relative change of the estimate at which it stops
    seed        of the first vector
    raises      FloatingPointError if a product is not finite

    >>> import autograd_core as ag
    >>> x = ag.tensor([1.0, 1.0], requires_grad=True)
    >>> round(largest_eigenvalue(lambda: (x * x * np.array([1.0, 5.0])).sum(), [x]), 3)
    10.0
    """
    vector = Vector(list(params))
    with ag.enable_grad():
        _, product = hessian_product(closure(), vector)
    v = np.random.default_rng(seed).normal(size=vector.size)
    v /= np.linalg.norm(v)
    estimate = 0.0
    for _ in range(iterations):
        image = product(v.astype(vector.get().dtype, copy=False))
        previous, estimate = estimate, float(v @ image)
        size = float(np.linalg.norm(image))
        if not math.isfinite(size):
            raise FloatingPointError(
                "largest_eigenvalue: a product with the Hessian is not finite at these parameters; look for the cause with ag.detect_anomaly()"
            )
        if size == 0 or abs(estimate - previous) <= tolerance * abs(estimate):
            break
        v = image / size
    return estimate


def lipschitz_step(closure: Callable[[], Any], params: Iterable[Any], **options: Any) -> float:
    """1 / L, with L the size of the Hessian's largest eigenvalue: the step size that cannot overshoot where the curvature stays as it is here.

    raises  ValueError where the loss has no curvature
    """
    eigenvalue = largest_eigenvalue(closure, params, **options)
    if eigenvalue == 0:
        raise ValueError("lipschitz_step: the loss has no curvature at these parameters, so it sets no bound to the step size")
    return 1 / abs(eigenvalue)
