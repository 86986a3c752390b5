"""Backward passes as they are found in teaching material, with the mistakes found in them, and the right versions beside."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, normal
from gradcheck_collection.wrong import sigmoid, softmax

PARAMETERS = ((6, 4), (4, 5), (5,), (5, 3), (3,))  # x, w1, b1, w2, b2


def mlp(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    return np.maximum(x @ w1 + b1, 0) @ w2 + b2


def mlp_backward(g: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> tuple[Any, ...]:
    z = x @ w1 + b1
    dz = (g @ w2.T) * (z > 0)
    return dz @ w1.T, x.T @ dz, dz.sum(axis=0), np.maximum(z, 0).T @ g, g.sum(axis=0)


def mlp_without_mask(g: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> tuple[Any, ...]:
    z = x @ w1 + b1
    dz = g @ w2.T
    return dz @ w1.T, x.T @ dz, dz.sum(axis=0), np.maximum(z, 0).T @ g, g.sum(axis=0)


def linear_loss(w: Any, x: Any, y: Any) -> Any:
    return ((x @ w - y) ** 2).mean()


def reversed_sign(g: Any, w: Any, x: Any, y: Any) -> Any:
    return g * 2 * x.T @ (y - x @ w) / y.size, None, None


def linear_backward(g: Any, w: Any, x: Any, y: Any) -> Any:
    return g * 2 * x.T @ (x @ w - y) / y.size, 2 * g * np.outer(x @ w - y, w) / y.size, -2 * g * (x @ w - y) / y.size


def two_layers(w1: Any, w2: Any, x: Any, y: Any) -> Any:
    return 0.5 * ((np.tanh(x @ w1) @ w2 - y) ** 2).sum()


def two_layers_backward(g: Any, w1: Any, w2: Any, x: Any, y: Any) -> tuple[Any, ...]:
    h = np.tanh(x @ w1)
    error = g * (h @ w2 - y)
    dz = (error @ w2.T) * (1 - h * h)
    return x.T @ dz, h.T @ error, dz @ w1.T, -error


def weight_gradient_passed_on(g: Any, w1: Any, w2: Any, x: Any, y: Any) -> tuple[Any, ...]:
    h = np.tanh(x @ w1)
    error = g * (h @ w2 - y)
    dw2 = h.T @ error
    dz = (dw2 @ w2.T) * (1 - h * h)  # instead of error @ w2.T
    return x.T @ dz, dw2, dz @ w1.T, -error


def three_layers(w1: Any, w2: Any, w3: Any, x: Any, y: Any) -> Any:
    a1 = sigmoid(x @ w1)
    a2 = sigmoid(a1 @ w2)
    return 0.5 * ((sigmoid(a2 @ w3) - y) ** 2).sum()


def three_layers_backward(g: Any, w1: Any, w2: Any, w3: Any, x: Any, y: Any) -> tuple[Any, ...]:
    a1 = sigmoid(x @ w1)
    a2 = sigmoid(a1 @ w2)
    a3 = sigmoid(a2 @ w3)
    d3 = g * (a3 - y) * a3 * (1 - a3)
    d2 = (d3 @ w3.T) * a2 * (1 - a2)
    d1 = (d2 @ w2.T) * a1 * (1 - a1)
    return x.T @ d1, a1.T @ d2, a2.T @ d3, d1 @ w1.T, -g * (a3 - y)


def last_error_everywhere(g: Any, w1: Any, w2: Any, w3: Any, x: Any, y: Any) -> tuple[Any, ...]:
    a1 = sigmoid(x @ w1)
    a2 = sigmoid(a1 @ w2)
    a3 = sigmoid(a2 @ w3)
    d3 = g * (a3 - y) * a3 * (1 - a3)
    return x.T @ d3, a1.T @ d3, a2.T @ d3, d3 @ w1.T, -g * (a3 - y)


def squared_error(p: Any, y: Any) -> Any:
    return ((p - y) ** 2).mean()


def binary_of_softmax(z: Any, y: Any) -> Any:
    p = softmax(z)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum()


def binary_of_softmax_backward(g: Any, z: Any, y: Any) -> Any:
    p = softmax(z)
    dp = (p - y) / (p * (1 - p))
    return g * p * (dp - (dp * p).sum(axis=-1, keepdims=True)), None


def one_hot(random: np.random.Generator) -> tuple[Any, ...]:
    return random.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]


TEACHING_WRONG = [
    Entry("(a) relu mask forgotten", mlp, mlp_without_mask, normal(*PARAMETERS), ("x", "w1", "b1"), ("mask",)),
    Entry("(b) sign of the update", lambda w, x, y: linear_loss(w, x, y), lambda g, w, x, y: (reversed_sign(g, w, x, y)[0], *linear_backward(g, w, x, y)[1:]),
          normal((4,), (7, 4), (7,)), ("w",), ("sign",)),
    Entry("(c) gradient of a weight passed on", two_layers, weight_gradient_passed_on, normal((4, 5), (5, 5), (5, 4), (5, 5)), ("w1", "x"), ("layers",)),
    Entry("(c) the same, of other shapes", two_layers, weight_gradient_passed_on, normal((4, 5), (5, 2), (7, 4), (7, 2)), ("w1", "x", ""), ("layers", "raises")),
    Entry("(d) labels (n,), predictions (n, 1)", squared_error, lambda g, p, y: (2 * g * (p - y) / p.size, -2 * g * (p - y) / p.size), normal((5, 1), (5,)), ("p", "y"),
          ("accidental broadcast",)),
    Entry("(e) the last error in every layer", three_layers, last_error_everywhere, normal((4, 4), (4, 4), (4, 4), (6, 4), (6, 4)), ("w1", "w2", "x"), ("layers",)),
    Entry("(f) binary cross-entropy of softmax", binary_of_softmax, lambda g, z, y: (g * (softmax(z) - y), None), one_hot, ("z",), ("other loss",)),
    Entry("(g) n in the value only", squared_error, lambda g, p, y: (2 * g * (p - y), -2 * g * (p - y)), normal((7,), (7,)), ("p", "y"), ("1/n",)),
]  # fmt: skip

TEACHING_RIGHT = [
    Entry("MLP", mlp, mlp_backward, normal(*PARAMETERS)),
    Entry("linear regression", linear_loss, linear_backward, normal((4,), (7, 4), (7,))),
    Entry("two layers", two_layers, two_layers_backward, normal((4, 5), (5, 2), (7, 4), (7, 2))),
    Entry("three layers", three_layers, three_layers_backward, normal((4, 4), (4, 4), (4, 4), (6, 4), (6, 4))),
    Entry("mean squared error", squared_error, lambda g, p, y: (2 * g * (p - y) / p.size, -2 * g * (p - y) / p.size), normal((7,), (7,))),
    Entry("binary cross-entropy of softmax", binary_of_softmax, binary_of_softmax_backward, one_hot),
]
