"""Second derivatives and whole Jacobians: a Hessian-vector product, a full Hessian, a Jacobian, against formulas by hand.

Contenders as in engine_workloads.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
from tools.bench.engine_workloads import Contenders, installed

__all__ = ["hessian_of_rosenbrock", "hessian_vector_product", "square_jacobian"]


# --- w8: a Hessian-vector product of a network ----------------------------------------------------------------------------------


def _network_data() -> tuple[Any, Any, list[Any], list[Any]]:
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(16, 64)), rng.normal(size=(16, 1))
    shapes = [(64, 64), (64,), (64, 64), (64,), (64, 1)]
    return x, t, [rng.normal(size=s) / 8 for s in shapes], [rng.normal(size=s) for s in shapes]


def _loss(parameters: Any, x: Any, t: Any, tanh: Callable[[Any], Any]) -> Any:
    w1, b1, w2, b2, w3 = parameters
    h = tanh(tanh(x @ w1 + b1) @ w2 + b2)
    return ((h @ w3 - t) ** 2).mean()


def _product_by_hand(x: Any, t: Any, parameters: list[Any], vectors: list[Any]) -> list[Any]:
    """Pearlmutter's R-operator, written out."""
    w1, b1, w2, b2, w3 = parameters
    v1, c1, v2, c2, v3 = vectors
    h1 = np.tanh(x @ w1 + b1)
    d1 = 1 - h1 * h1
    r1 = (x @ v1 + c1) * d1
    h2 = np.tanh(h1 @ w2 + b2)
    d2 = 1 - h2 * h2
    r2 = (r1 @ w2 + h1 @ v2 + c2) * d2
    g3, s3 = (h2 @ w3 - t) * (2 / t.size), (r2 @ w3 + h2 @ v3) * (2 / t.size)
    g2, s2 = g3 @ w3.T, s3 @ w3.T + g3 @ v3.T
    z2, y2 = g2 * d2, s2 * d2 - 2 * g2 * h2 * r2
    g1, s1 = z2 @ w2.T, y2 @ w2.T + z2 @ v2.T
    y1 = s1 * d1 - 2 * g1 * h1 * r1
    return [x.T @ y1, y1.sum(0), r1.T @ z2 + h1.T @ y2, y2.sum(0), r2.T @ g3 + h2.T @ s3]


def hessian_vector_product() -> Contenders:
    """w8: H v for the weights of a 64-64-64-1 tanh network on 16 examples."""
    x, t, parameters, vectors = _network_data()
    product = ag.hvp(lambda p: _loss(p, x, t, np.tanh))
    contenders: Contenders = {"limit": lambda: _product_by_hand(x, t, parameters, vectors), "autograd_core": lambda: product(parameters, vectors)}
    if installed("torch"):
        import torch

        tx, tt, *_ = map(torch.tensor, (x, t))
        leaves = [torch.tensor(p, requires_grad=True) for p in parameters]
        along = [torch.tensor(v) for v in vectors]

        def by_torch() -> Any:
            first = torch.autograd.grad(_loss(leaves, tx, tt, torch.tanh), leaves, create_graph=True)
            return [g.numpy() for g in torch.autograd.grad(first, leaves, along)]

        contenders["torch"] = by_torch
    if installed("autograd"):
        import autograd
        import autograd.numpy as anp

        theirs = autograd.make_hvp(lambda p: anp.mean((anp.tanh(anp.tanh(x @ p[0] + p[1]) @ p[2] + p[3]) @ p[4] - t) ** 2))
        contenders["autograd"] = lambda: theirs(parameters)[0](vectors)
    return contenders


# --- w8b: a full Hessian ------------------------------------------------------------------------------------------------------------


def _rosenbrock(x: Any) -> Any:
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def _hessian_by_hand(x: Any) -> Any:
    diagonal = np.zeros_like(x)
    diagonal[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    diagonal[1:] += 200
    beside = -400 * x[:-1]
    n = len(x)
    hessian = np.zeros((n, n))
    hessian.flat[:: n + 1] = diagonal
    hessian.flat[1 :: n + 1] = beside
    hessian.flat[n :: n + 1] = beside
    return hessian


def hessian_of_rosenbrock() -> Contenders:
    """w8b: the Hessian of Rosenbrock's function in 50 dimensions; the limit is its formula."""
    x = np.random.default_rng(0).normal(size=50)
    ours = ag.hessian(_rosenbrock)
    contenders: Contenders = {"limit": lambda: [_hessian_by_hand(x)], "autograd_core": lambda: [ours(x)]}
    if installed("torch"):
        import torch

        tx = torch.tensor(x)
        contenders["torch"] = lambda: [torch.autograd.functional.hessian(_rosenbrock, tx).numpy()]
        vectorised = torch.func.hessian(_rosenbrock)
        contenders["torch.func"] = lambda: [vectorised(tx).numpy()]
    if installed("autograd"):
        import autograd

        theirs = autograd.hessian(_rosenbrock_for_hips)
        contenders["autograd"] = lambda: [theirs(x)]
    return contenders


def _rosenbrock_for_hips(x: Any) -> Any:
    import autograd.numpy as anp

    return anp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


# --- w8j: a Jacobian of as many rows as columns ---------------------------------------------------------------------------------------


def square_jacobian() -> Contenders:
    """w8j: the 100 x 100 Jacobian of tanh(A x)^2; beside it 100 backward passes, one a row."""
    rng = np.random.default_rng(0)
    matrix, x = rng.normal(size=(100, 100)), rng.normal(size=100)
    units = np.eye(100)

    def by_hand() -> Any:
        y = np.tanh(matrix @ x)
        return [(2 * y * (1 - y * y))[:, None] * matrix]

    def squared(x: Any) -> Any:
        return np.tanh(matrix @ x) ** 2

    def row_by_row() -> Any:
        _, back = ag.vjp(squared, x)
        return [np.stack([back(unit)[0] for unit in units])]

    ours = ag.jacobian(squared)
    contenders: Contenders = {"limit": by_hand, "autograd_core": lambda: [ours(x)], "a pass for each row": row_by_row}
    if installed("torch"):
        import torch

        tm, tx = torch.tensor(matrix), torch.tensor(x)

        def theirs(x: Any) -> Any:
            return torch.tanh(tm @ x) ** 2

        contenders["torch"] = lambda: [torch.autograd.functional.jacobian(theirs, tx).numpy()]
        vectorised = torch.func.jacrev(theirs)
        contenders["torch.func"] = lambda: [vectorised(tx).numpy()]
    if installed("autograd"):
        import autograd
        import autograd.numpy as anp

        hips = autograd.jacobian(lambda x: anp.tanh(matrix @ x) ** 2)
        contenders["autograd"] = lambda: [hips(x)]
    return contenders
