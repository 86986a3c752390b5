"""A second collection of right operations that are hard to check, written after the checker was mended by the first."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, given, normal, positive
from gradcheck_collection.second_wrong import LABELS, average_pool, cosine_rows, dilated, group_norm, lstm_cell, mean_of_groups, polynomial
from gradcheck_collection.wrong import sigmoid, softmax


def scaled(by: float, *shapes: tuple[int, ...]) -> Any:
    return lambda r: tuple(by * r.normal(size=shape) for shape in shapes)


def group_norm_backward(g: Any, out: Any, x: Any) -> Any:
    y, dy, z = (a.reshape(x.shape[0], 2, -1) for a in (out, g, x))
    d = dy - dy.mean(axis=-1, keepdims=True) - y * (dy * y).mean(axis=-1, keepdims=True)
    return (d / np.sqrt(z.var(axis=-1, keepdims=True) + 1e-5)).reshape(x.shape)


def average_pool_backward(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    for k, value in enumerate(g):
        d[2 * k : 2 * k + 3] += value / 3
    return d


def dilated_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    d = np.zeros_like(x)
    for i, value in enumerate(g):
        d[i : i + 2 * len(k) - 1 : 2] += value * k
    return d, np.array([g @ x[2 * j : 2 * j + len(g)] for j in range(len(k))])


def lstm_backward(g: Any, z: Any, c: Any) -> tuple[Any, Any]:
    i, f, o, u = np.split(z, 4)
    i, f, o, u = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(u)
    new = f * c + i * u
    dc = g * o * (1 - np.tanh(new) ** 2)
    return np.concatenate([dc * u * i * (1 - i), dc * c * f * (1 - f), g * np.tanh(new) * o * (1 - o), dc * i * (1 - u**2)]), dc * f


def polynomial_backward(g: Any, x: Any, c: Any) -> tuple[Any, Any]:
    powers = x[:, None] ** np.arange(len(c))
    return g * (powers[:, : len(c) - 1] @ (c[1:] * np.arange(1, len(c)))), powers.T @ g


def mean_of_groups_backward(g: Any, x: Any, groups: Any) -> tuple[Any, None]:
    return (g / np.maximum(np.bincount(groups % 3, minlength=3), 1))[groups], None


def cosine_rows_backward(g: Any, out: Any, x: Any, y: Any) -> tuple[Any, Any]:
    nx, ny = np.linalg.norm(x, axis=1, keepdims=True), np.linalg.norm(y, axis=1, keepdims=True)
    return g[:, None] * (y / (nx * ny) - out[:, None] * x / nx**2), g[:, None] * (x / (nx * ny) - out[:, None] * y / ny**2)


def rank_of_two(x: Any) -> Any:
    if x.shape != (3, 3):
        raise ValueError("3 by 3 only")
    return np.linalg.svd(x, compute_uv=False)[:2]


def rank_of_two_backward(g: Any, x: Any) -> Any:
    u, _, vt = np.linalg.svd(x)
    return u[:, :2] @ np.diag(g) @ vt[:2]


def logsumexp(x: Any) -> Any:
    top = x.max(axis=-1, keepdims=True)
    return (np.log(np.exp(x - top).sum(axis=-1, keepdims=True)) + top)[..., 0]


def linear32(x: Any, w: Any) -> Any:
    return (x.astype(np.float32) @ w.astype(np.float32)).astype(x.dtype)


def linear32_backward(g: Any, x: Any, w: Any) -> tuple[Any, Any]:
    g = g.astype(np.float32)
    return (g @ w.astype(np.float32).T).astype(x.dtype), (x.astype(np.float32).T @ g).astype(w.dtype)


def stable_bce(z: Any, y: Any) -> Any:
    return np.logaddexp(0, z) - y * z


def unsorted_top(x: Any, k: Any) -> Any:
    if k < 1 or k > x.size:
        raise ValueError("k out of range")
    return np.sort(x)[-k:].sum()


def unsorted_top_backward(g: Any, x: Any, k: Any) -> tuple[Any, None]:
    d = np.zeros_like(x)
    d[np.argsort(x, kind="stable")[-k:]] = g
    return d, None


MASK = np.array([True, False, True, True, False])

SECOND_RIGHT = [
    Entry("group norm", group_norm, group_norm_backward, normal((3, 8))),
    Entry("overlapping average pool", average_pool, average_pool_backward, normal((7,))),
    Entry("dilated convolution", dilated, dilated_backward, normal((8,), (3,))),
    Entry("lstm cell", lstm_cell, lstm_backward, normal((8,), (2,))),
    Entry("lstm cell, saturated", lstm_cell, lstm_backward, scaled(20, (8,), (2,))),
    Entry("polynomial", polynomial, polynomial_backward, normal((5,), (4,))),
    Entry("mean of groups", mean_of_groups, mean_of_groups_backward, lambda r: (r.normal(size=6), np.array([0, 1, 1, 2, 2, 2]))),
    Entry("cosine of rows", cosine_rows, cosine_rows_backward, normal((3, 4), (3, 4))),
    Entry("two largest singular values", rank_of_two, rank_of_two_backward, normal((3, 3))),
    Entry("logsumexp of large values", logsumexp, lambda g, x: g[..., None] * softmax(x), scaled(80, (3, 4))),
    Entry("linear layer in single precision", linear32, linear32_backward, normal((4, 3), (3, 2))),
    Entry("cross-entropy of logits, large", stable_bce, lambda g, z, y: (g * (sigmoid(z) - y), -g * z), lambda r: (50 * r.normal(size=5), r.uniform(size=5))),
    Entry("sum of the k largest", unsorted_top, unsorted_top_backward, lambda r: (r.normal(size=6), 2)),
    Entry("masked selection", lambda x, mask: x * mask, lambda g, x, mask: (g * mask, None), lambda r: (r.normal(size=5), MASK)),
    Entry("selected by a mask", lambda x, mask: np.where(mask, np.exp(x), x), lambda g, x, mask: (g * np.where(mask, np.exp(x), 1.0), None), lambda r: (r.normal(size=5), MASK)),
    Entry("label smoothing", lambda z, y: -((0.9 * np.eye(z.shape[1])[y] + 0.1 / z.shape[1]) * (z - logsumexp(z)[:, None])).sum(),
          lambda g, z, y: (g * (softmax(z) - 0.9 * np.eye(z.shape[1])[y] - 0.1 / z.shape[1]), None), LABELS),
    Entry("softmax with temperature, cold", lambda x: softmax(x / 0.01), lambda g, out, x: out * (g - (g * out).sum(axis=-1, keepdims=True)) / 0.01, normal((3, 4))),
    Entry("softsign", lambda x: x / (1 + np.abs(x)), lambda g, x: g / (1 + np.abs(x)) ** 2, normal((6,))),
    Entry("outer difference", lambda x, y: x[:, None] - y[None, :], lambda g, x, y: (g.sum(axis=1), -g.sum(axis=0)), normal((4,), (4,))),
    Entry("determinant", np.linalg.det, lambda g, out, a: g * out * np.linalg.inv(a).T, lambda r: (r.normal(size=(3, 3)) + 2 * np.eye(3),)),
    Entry("complex quotient", lambda a, b: a / b, lambda g, a, b: (g / b.conj(), -g * (a / b**2).conj()), lambda r: (r.normal(size=3) + 1j, r.normal(size=3) - 2j)),
    Entry("squared magnitude of a transform", lambda x: np.abs(np.fft.fft(x)) ** 2, lambda g, x: 2 * x.shape[-1] * np.fft.ifft(g * np.fft.fft(x)).real, normal((6,))),
    Entry("window", lambda x: x * np.hanning(len(x)), lambda g, x: g * np.hanning(len(x)), normal((7,))),
    Entry("centred", lambda x: x - x.mean(axis=0), lambda g, x: g - g.mean(axis=0), scaled(1e4, (5, 3))),
    Entry("geometric mean", lambda x: np.exp(np.log(x).mean()), lambda g, out, x: g * out / (x.size * x), positive((5,))),
    Entry("step", lambda x: np.heaviside(x, 0.5), lambda g, x1: np.zeros_like(x1), normal((5,))),
    Entry("float16 inside", lambda x: np.sin(x), lambda g, x: g * np.cos(x), lambda r: (r.normal(size=6).astype(np.float32),)),
    Entry("triangular solve", lambda a, b: np.linalg.solve(np.tril(a), b), lambda g, out, a, b: (-np.tril(np.outer(np.linalg.solve(np.tril(a).T, g), out)), np.linalg.solve(np.tril(a).T, g)),
          lambda r: (np.tril(r.normal(size=(3, 3))) + 3 * np.eye(3), r.normal(size=3))),
    Entry("minimum of two, tied", np.minimum, lambda g, x1, x2: (g * (x1 <= x2), g * (x1 > x2)), given([1.0, 2.0, 0.5], [1.0, 3.0, 0.5])),
    Entry("mean absolute deviation", lambda x: np.abs(x - x.mean()).mean(), lambda g, x: g * (np.sign(x - x.mean()) - np.sign(x - x.mean()).mean()) / x.size, normal((5,))),
]  # fmt: skip
