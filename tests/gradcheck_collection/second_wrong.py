"""A second collection of natural mistakes, written after the checker was mended by the first, and not tuned to."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, normal, positive
from gradcheck_collection.wrong import sigmoid, softmax


def group_norm(x: Any) -> Any:
    y = x.reshape(x.shape[0], 2, -1)
    y = (y - y.mean(axis=-1, keepdims=True)) / np.sqrt(y.var(axis=-1, keepdims=True) + 1e-5)
    return y.reshape(x.shape)


def group_norm_constant(g: Any, x: Any) -> Any:
    y = x.reshape(x.shape[0], 2, -1)
    return (g.reshape(y.shape) / np.sqrt(y.var(axis=-1, keepdims=True) + 1e-5)).reshape(x.shape)


def average_pool(x: Any) -> Any:
    if x.ndim != 1 or x.size < 4:
        raise ValueError("at least four elements")
    return np.array([x[i : i + 3].mean() for i in range(0, x.size - 2, 2)])


def average_pool_backward(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    for k, value in enumerate(g):
        d[2 * k : 2 * k + 3] = value / 3  # of windows that overlap the last wins
    return d


def dilated(x: Any, k: Any) -> Any:
    span = 2 * (len(k) - 1) + 1
    if len(x) < span:
        raise ValueError("the signal is too short")
    return np.array([x[i : i + span : 2] @ k for i in range(len(x) - span + 1)])


def dilated_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    d = np.zeros_like(x)
    for i, value in enumerate(g):
        d[i : i + len(k)] += value * k
    return d, np.array([g @ x[2 * j : 2 * j + len(g)] for j in range(len(k))])


def lstm_cell(z: Any, c: Any) -> Any:
    i, f, o, u = np.split(z, 4)
    return sigmoid(o) * np.tanh(sigmoid(f) * c + sigmoid(i) * np.tanh(u))


def lstm_backward(g: Any, z: Any, c: Any) -> tuple[Any, Any]:
    i, f, o, u = np.split(z, 4)
    i, f, o, u = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(u)
    new = f * c + i * u
    dc = g * o * (1 - np.tanh(new) ** 2)
    di, df, do, du = dc * u * i * (1 - i), dc * c * f * (1 - f), g * np.tanh(new) * o * (1 - o), dc * i * (1 - u**2)
    return np.concatenate([di, do, df, du]), dc * f  # the forget gate's and the output gate's exchanged


def polynomial(x: Any, c: Any) -> Any:
    result = np.zeros_like(x)
    for a in c[::-1]:
        result = result * x + a
    return result


def polynomial_backward(g: Any, x: Any, c: Any) -> tuple[Any, Any]:
    powers = x[:, None] ** np.arange(len(c))
    return g * (powers[:, :-1] @ (c[1:] * np.arange(1, len(c)))), powers.T[::-1] @ g


def mean_of_groups(x: Any, groups: Any) -> Any:
    total = np.zeros(3)
    np.add.at(total, groups, x)
    return total / np.maximum(np.bincount(groups % 3, minlength=3), 1)


def mean_of_groups_backward(g: Any, x: Any, groups: Any) -> tuple[Any, None]:
    return g[groups], None


def cosine_rows(x: Any, y: Any) -> Any:
    return (x * y).sum(axis=1) / (np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1))


def cosine_rows_backward(g: Any, out: Any, x: Any, y: Any) -> tuple[Any, Any]:
    nx, ny = np.linalg.norm(x, axis=1, keepdims=True), np.linalg.norm(y, axis=1, keepdims=True)
    dx = g[:, None] * (y / (nx * ny) - out[:, None] * x / nx**2)
    return dx, g[:, None] * (x / (nx * ny) - out[:, None] * y / nx**2)


class Scaled:
    """Keeps the scale of the first backward call."""

    scale: Any = None

    def __call__(self, g: Any, x: Any) -> Any:
        if self.scale is None or self.scale.shape != x.shape:
            self.scale = 1 - np.tanh(x) ** 2
        return g * self.scale


def sinkhorn(x: Any) -> Any:
    p = np.exp(x)
    p = p / p.sum(axis=1, keepdims=True)
    return p / p.sum(axis=0, keepdims=True)


def sinkhorn_backward(g: Any, out: Any, x: Any) -> Any:
    p = softmax(x)
    total = p.sum(axis=0, keepdims=True)
    dp = g / total  # and nothing through the sums of the columns
    return p * (dp - (dp * p).sum(axis=1, keepdims=True))


LABELS = lambda r: (r.normal(size=(4, 3)), np.array([0, 2, 1, 2]))

SECOND_WRONG = [
    Entry("group norm: statistics constant", group_norm, group_norm_constant, normal((3, 8)), ("x",), words="mean|varianc|statistic|constant|term"),
    Entry("overlapping average pool: overwritten", average_pool, average_pool_backward, normal((7,)), ("x",), words="boundar|overlap|overwrit|term|left out|factor|contribution|inner|position"),
    Entry("dilated convolution: not dilated back", dilated, dilated_backward, normal((8,), (3,)), ("x",), words="shift|off by|dilat|neighbour|wrong place|wrong order|diagonal"),
    Entry("lstm cell: gates exchanged", lstm_cell, lstm_backward, normal((8,), (2,)), ("z",), words="order|permut|swap|exchang|place"),
    Entry("polynomial: coefficients' gradient reversed", polynomial, polynomial_backward, normal((5,), (4,)), ("c",), words="revers|flip|order"),
    Entry("mean of groups: not divided", mean_of_groups, mean_of_groups_backward, lambda r: (r.normal(size=6), np.array([0, 1, 1, 2, 2, 2])), ("x",), words="factor|divid|count|mean|1/n|position"),
    Entry("cosine of rows: second norm is the first", cosine_rows, cosine_rows_backward, normal((3, 4), (3, 4)), ("y",), words="norm|statistic|term|factor"),
    Entry("tanh: slope of the first call", np.tanh, Scaled(), normal((4,)), ("x",), words="stale|state|first|earlier|kept|remember"),
    Entry("sinkhorn step: sums of columns constant", sinkhorn, sinkhorn_backward, normal((3, 3)), ("x",), words="sum|statistic|constant|term"),
    Entry("exponential: of x", np.exp, lambda g, x: g * x, normal((5,)), ("x",), words="exp|result|instead|needed"),
    Entry("quotient: sign of the denominator's gradient", lambda a, b: a / b, lambda g, a, b: (g / b, g * a / b**2), positive((4,), (4,)), ("b",), words="sign"),
    Entry("quotient: square forgotten", lambda a, b: a / b, lambda g, a, b: (g / b, -g * a / b), positive((4,), (4,)), ("b",), words="b|factor|square|power"),
    Entry("softsign: absolute value forgotten", lambda x: x / (1 + np.abs(x)), lambda g, x: g / (1 + x) ** 2, positive((5,)), ("x",), words="negative|abs|sign"),
    Entry("arc cosine: sign", np.arccos, lambda g, x: g / np.sqrt(1 - x**2), lambda r: (r.uniform(-0.9, 0.9, 5),), ("x",), words="sign"),
    Entry("log base two: factor", np.log2, lambda g, x: g / x, positive((5,)), ("x",), words=r"log\(2\)|constant factor"),
    Entry("outer difference: not summed", lambda x, y: x[:, None] - y[None, :], lambda g, x, y: (g.sum(axis=1), -g.sum(axis=1)), normal((4,), (4,)), ("y",), words="axis|axes|transpos|broadcast"),
    Entry("trace: ones for the identity", np.trace, lambda g, a: g * np.ones_like(a), normal((3, 3)), ("a",), words="diagonal|mask|not depend|flat"),
    Entry("determinant: adjugate not transposed", np.linalg.det, lambda g, out, a: g * out * np.linalg.inv(a), lambda r: (r.normal(size=(3, 3)) + 2 * np.eye(3),), ("a",), words="transpos"),
    Entry("kronecker: second argument's factor", np.kron, lambda g, a, b: (np.einsum("ijkl,jl->ik", g.reshape(a.shape[0], b.shape[0], a.shape[1], b.shape[1]), b), b * g.sum()), normal((2, 2), (3, 2)), ("b",),
          words="formula|sum|reduced|incoming gradient"),
    Entry("upper triangle: lower passes", np.triu, lambda g, m: np.tril(g), normal((4, 4)), ("m",), words="transpos|diagonal|triangle|mask|zero"),
    Entry("cumulative product: forward scan", np.cumprod, lambda g, out, a: np.cumsum(g * out) / a, positive((5,)), ("a",), words="revers|direction|order|transpos"),
    Entry("rotation: angle's sign", lambda v, t: np.stack([v[0] * np.cos(t) - v[1] * np.sin(t), v[0] * np.sin(t) + v[1] * np.cos(t)]),
          lambda g, v, t: (np.stack([g[0] * np.cos(t) - g[1] * np.sin(t), g[0] * np.sin(t) + g[1] * np.cos(t)]), np.asarray(g[0] * (-v[0] * np.sin(t) - v[1] * np.cos(t)) + g[1] * (v[0] * np.cos(t) - v[1] * np.sin(t)))),
          lambda r: (r.normal(size=2), np.array(0.7)), ("v",), words="transpos|t with the sign|sign"),
    Entry("focal loss: weight a constant", lambda p: -((1 - p) ** 2) * np.log(p), lambda g, p: -g * (1 - p) ** 2 / p, lambda r: (r.uniform(0.1, 0.9, 6),), ("p",), words="term|constant|missing"),
    Entry("label smoothing: hard labels in the rule", lambda z, y: -((0.9 * np.eye(z.shape[1])[y] + 0.1 / z.shape[1]) * np.log(softmax(z))).sum(), lambda g, z, y: (g * (softmax(z) - np.eye(z.shape[1])[y]), None), LABELS, ("z",),
          words="other loss|another loss|cross-entropy"),
    Entry("temperature: forgotten in the rule", lambda x: softmax(x / 2.0), lambda g, out, x: out * (g - (g * out).sum(axis=-1, keepdims=True)), normal((3, 4)), ("x",), words="constant factor|= 2|0\\.5"),
    Entry("mean over rows and columns: rows only", lambda x: x.mean(), lambda g, x: np.full_like(x, g / x.shape[0]), normal((4, 3)), ("x",), words="1/n|factor|number"),
    Entry("hardtanh: passes at both sides", lambda x: np.clip(x, -2, 2), lambda g, x: g * (x < 2), lambda r: (r.uniform(-1, 1, 5),), ("x",), words="negative|mask|range|below|flat"),
    Entry("swapped order of gradients", lambda a, b: a * np.sin(b), lambda g, a, b: (g * a * np.cos(b), g * np.sin(b)), normal((4,), (4,)), ("a", "b"), words="swap|exchang"),
    Entry("scatter: indices sorted first", lambda x, index: x[index] * 2, lambda g, x, index: (2 * np.bincount(np.sort(index), weights=g, minlength=len(x)), None), lambda r: (r.normal(size=5), np.array([0, 2, 4])), ("x",),
          words="order|sort|permut"),
    Entry("norm of rows: one norm for all", lambda x: np.linalg.norm(x, axis=1), lambda g, x: g[:, None] * x / np.linalg.norm(x), normal((3, 4)), ("x",), words="row|norm|axis"),
]  # fmt: skip
