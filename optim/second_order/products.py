"""Products of curvature matrices with vectors, at the cost of a few backward passes.

A vector is one flat array for all parameters together. Pearlmutter 1994, "Fast exact multiplication by the Hessian";
Schraudolph 2002, "Fast curvature matrix-vector products for second-order gradient descent".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import autograd_core as ag
from optim.precision import wide

__all__ = ["Vector", "gauss_newton_product", "hessian_product"]

Product = Callable[[Any], Any]


class Vector:
    """Parameters as one flat vector: splits vectors into their shapes, joins arrays into vectors."""

    def __init__(self, parameters: Sequence[Any]) -> None:
        for i, p in enumerate(parameters):
            if p.dtype.kind != "f":
                raise TypeError(f"second-order methods need real parameters; parameter {i} is {p.dtype}")
        self.parameters = list(parameters)
        self.size = sum(p.size for p in self.parameters)

    def join(self, arrays: Sequence[Any]) -> Any:
        """One vector of the arrays' elements; None counts as zeros."""
        pairs = zip(arrays, self.parameters, strict=True)
        return np.concatenate(
            [wide(np.zeros(p.size, p.dtype) if a is None else np.reshape(a.data if isinstance(a, ag.Tensor) else a, -1)) for a, p in pairs]
        )

    def split(self, vector: Any) -> list[Any]:
        """The vector's parts in the parameters' shapes and dtypes."""
        ends = np.cumsum([p.size for p in self.parameters]).tolist()
        return [vector[end - p.size : end].reshape(p.shape).astype(p.dtype, copy=False) for end, p in zip(ends, self.parameters, strict=True)]

    def get(self) -> Any:
        """A copy of the parameters."""
        return self.join([p.data for p in self.parameters])

    def set(self, vector: Any) -> None:
        """Give the parameters new values."""
        for p, part in zip(self.parameters, self.split(vector), strict=True):
            p.data[...] = part

    def gradient(self, output: Any, grad_output: Any = None, create_graph: bool = False) -> Any:
        """d(output)/d(parameters) as tensors, None where there is no dependence."""
        return ag.gradient(output, self.parameters, grad_output, create_graph=create_graph, allow_unused=True, retain_graph=True)


def hessian_product(loss: Any, vector: Vector) -> tuple[Any, Product]:
    """The gradient g of a recorded loss, and the function v -> H v with its Hessian.

    >>> import autograd_core as ag
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> g, product = hessian_product((x ** 3).sum(), Vector([x]))
    >>> g, product(np.array([1.0, 0.0]))
    (array([ 3., 12.]), array([6., 0.]))
    """
    gradients = vector.gradient(loss, create_graph=True)
    tracked = [(i, g) for i, g in enumerate(gradients) if g is not None and g.requires_grad]

    def product(v: Any) -> Any:
        if not tracked:  # linear in all parameters
            return np.zeros_like(v)
        parts = vector.split(v)
        outputs = [g for _, g in tracked]
        return vector.join(vector.gradient(outputs, [ag.tensor(parts[i]) for i, _ in tracked]))

    return vector.join(gradients), product


def gauss_newton_product(outputs: Any, loss_of: Callable[[Any], Any], vector: Vector) -> tuple[float, Any, Product]:
    """For loss_of(outputs): the loss, its gradient J^T l', and the function v -> J^T l'' J v, with the Jacobian J of the outputs.

    J v is the derivative of u -> J^T u, which is linear in u, contracted with v: two backward passes.
    """
    detached = ag.tensor(outputs.detach(), requires_grad=True)
    loss = loss_of(detached)
    slope, curvature = hessian_product(loss, Vector([detached]))
    seed = ag.tensor(np.zeros(outputs.shape, outputs.dtype), requires_grad=True)
    pulled = vector.gradient(outputs, seed, create_graph=True)
    tracked = [(i, g) for i, g in enumerate(pulled) if g is not None and g.requires_grad]

    def pull(u: Any) -> Any:
        return vector.join(vector.gradient(outputs, ag.tensor(u.reshape(outputs.shape).astype(outputs.dtype))))

    def push(v: Any) -> Any:
        parts = vector.split(v)
        return ag.gradient([g for _, g in tracked], seed, [ag.tensor(parts[i]) for i, _ in tracked], retain_graph=True).data.reshape(-1)

    return float(loss.item()), pull(slope), lambda v: pull(curvature(push(v)))
