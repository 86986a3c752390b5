"""Rules that are right on natural inputs, and wrong for some elements, shapes or parameters: the user's inputs never meet them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, given, normal, positive


def scatter_add(x: Any, index: Any) -> Any:
    out = np.zeros(6)
    np.add.at(out, index, x)
    return out


def gather_backward(g: Any, x: Any, index: Any) -> tuple[Any, None]:
    d = np.zeros_like(x)
    d[index] = g
    return d, None


def softplus(x: Any) -> Any:
    return np.logaddexp(0, x)


def central(x: Any) -> Any:
    return np.gradient(x)


def central_backward(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    d[2:] += 0.5 * g[1:-1]
    d[:-2] -= 0.5 * g[1:-1]
    d[1] += g[0]
    d[0] -= g[0]
    d[-1] += 0.5 * g[-1]
    d[-2] -= 0.5 * g[-1]
    return d


def product_backward(g: Any, out: Any, x: Any) -> Any:
    return g * out / x


def leaky(x: Any, slope: float = 0.1) -> Any:
    return np.where(x > 0, x, slope * x)


def shared_by_max(g: Any, out: Any, x: Any) -> Any:
    return g * (x == out)


def in_c_order(g: Any, x: Any) -> Any:
    return (g.ravel(order="K") * 2).reshape(g.shape)


WRONG_PLACES = [
    Entry("cube: abs", lambda x: x**3, lambda g, x: 3 * g * x * np.abs(x), positive((6,)), ("x",), ("negative",)),
    Entry("sqrt of a square", lambda x: np.sqrt(x**2 + 1) * x, lambda g, x: g * (2 * x**2 + 1) / np.sqrt(x**2 + 1) * np.sign(x), positive((6,)), ("x",), ("negative",)),
    Entry("softplus: linear from 5 on", softplus, lambda g, x: np.where(x > 5, g, g / (1 + np.exp(-x))), normal((6,)), ("x",), ("large",)),
    Entry("softplus: overflow", softplus, lambda g, x: g * np.exp(x) / (1 + np.exp(x)), normal((6,)), ("x",), ("large", "nan", "overflow")),
    Entry("sinc: zero near zero", lambda x: np.sinc(x), lambda g, x: np.where(np.abs(x) < 1e-2, 0.0, g * (np.cos(np.pi * x) - np.sinc(x)) / np.where(x == 0, 1, x)),
          normal((6,)), ("x",), ("small", "zero", "eps", "range", "blocked")),
    Entry("reciprocal: floor of the denominator", lambda x: 1 / x, lambda g, x: -g / np.maximum(x**2, 1e-4), positive((6,)), ("x",), ("small", "eps", "range")),
    Entry("product: divided by zero", lambda x: x.prod(), product_backward, positive((5,)), ("x",), ("zero", "nan")),
    Entry("x log x: nan at zero", lambda x: np.where(x == 0, 0.0, x**2 * np.log(np.abs(np.where(x == 0, 1, x)))), lambda g, x: g * (2 * x * np.log(np.abs(x)) + x),
          positive((5,)), ("x",), ("zero", "nan")),
    Entry("max: each tied element gets all", lambda x: x.max(), shared_by_max, normal((5,)), ("x",), ("ties",)),
    Entry("maximum: both get all at a tie", np.maximum, lambda g, x1, x2: (g * (x1 >= x2), g * (x2 >= x1)), normal((5,), (5,)), ("x1", "x2"), ("ties", "same array")),
    Entry("minimum: none gets any at a tie", np.minimum, lambda g, x1, x2: (g * (x1 < x2), g * (x2 < x1)), normal((5,), (5,)), ("x1", "x2"), ("ties", "same array")),
    Entry("abs: 2 at zero", np.abs, lambda g, x: g * np.where(x == 0, 2.0, np.sign(x)), normal((5,)), ("x",), ("kink", "zero")),
    Entry("gather: repeated indices overwrite", lambda x, index: x[index], gather_backward, given([1.0, -0.5, 2.0, 0.3], np.array([2, 0, 3])), ("x",), ("repeated indices",)),
    Entry("product with a matrix: right if symmetric", lambda a, x: a @ x, lambda g, a, x: (np.outer(g, x), a @ g),
          given([[2.0, 0.5], [0.5, 1.0]], [1.0, -2.0]), ("x",), ("transpose", "unequal dimensions")),
    Entry("mean: divided by 4", lambda x: x.mean(axis=0), lambda g, x: np.broadcast_to(g / 4, x.shape), normal((4, 3)), ("x",), ("size",)),
    Entry("average of columns: rows counted", lambda x: x.mean(axis=0), lambda g, x: np.broadcast_to(g / x.shape[1], x.shape), normal((3, 3)), ("x",),
          ("unequal dimensions", "size", "1/n")),
    Entry("leaky relu: slope written in", leaky, lambda g, x, slope=0.1: g * np.where(x > 0, 1.0, 0.1), normal((8,)), ("x",), ("keyword",)),
    Entry("log softmax: axis ignored", lambda x, axis=-1: x - np.log(np.exp(x).sum(axis=axis, keepdims=True)),
          lambda g, x, axis=-1: g - np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True) * g.sum(axis=-1, keepdims=True), normal((3, 4)), ("x",), ("wrong axis", "keyword")),
    Entry("doubling: memory order of g", lambda x: 2 * x, in_c_order, normal((3, 4)), ("x",), ("memory layout",)),
    Entry("gradient: last difference halved", central, central_backward, normal((6,)), ("x",), ("boundary",)),
    Entry("upper triangle: diagonal left out", np.triu, lambda g, m: np.triu(g, 1), normal((4, 4)), ("m",), ("diagonal", "blocked")),
    Entry("symmetrise: diagonal doubled", lambda x: x + x.T, lambda g, x: g + g.T + np.diag(np.diag(g)), normal((4, 4)), ("x",), ("diagonal",)),
    Entry("power of an abs: at 1", lambda x: x**2, lambda g, x: np.where(x == 1.0, g, 2 * g * x), normal((5,)), ("x",), ("one element", "range")),
    Entry("arctan2: wrong quadrant", np.arctan2, lambda g, x1, x2: (g * x2 / (x1**2 + x2**2), -g * np.abs(x1) / (x1**2 + x2**2)), positive((5,), (5,)), ("x2",), ("negative",
          "factor", "sign", "range")),
    Entry("logistic loss: saturated", lambda x: -np.log(1 / (1 + np.exp(-x))), lambda g, x: -g * np.where(x > 4, 0.0, 1 / (1 + np.exp(x))), normal((6,)), ("x",), ("large", "blocked")),
    Entry("scaled identity: strided g written to", lambda x: x * 1.5, lambda g, x: np.multiply(g, 1.5, out=g), normal((5,)), ("x", ""), ("changes incoming gradient",)),
]  # fmt: skip
