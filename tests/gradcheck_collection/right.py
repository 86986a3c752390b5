"""Correct rules that checkers raise false alarms on: kinks, float32, magnitudes, edges, steep places, cancellation, symmetry."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, given, normal, positive
from gradcheck_collection.wrong import layer_norm, sigmoid, softmax


def spd(n: int) -> Any:
    return lambda r: ((lambda a: a @ a.T + n * np.eye(n))(r.normal(size=(n, n))),)


def shared_max(g: Any, out: Any, x: Any) -> Any:
    mask = x == out
    return g * mask / mask.sum()


def product_backward(g: Any, x: Any) -> Any:
    return g * np.array([np.delete(x, i).prod() for i in range(x.size)])


def gather_backward(g: Any, x: Any, index: Any) -> tuple[Any, None]:
    d = np.zeros_like(x)
    np.add.at(d, index, g)
    return d, None


def cholesky_backward(g: Any, out: Any, a: Any) -> Any:
    phi = np.tril(out.T @ np.tril(g))
    phi = phi - np.diag(np.diag(phi)) / 2
    inner = np.linalg.solve(out.T, np.linalg.solve(out.T, phi.T).T)
    return (inner + inner.T) / 2


def eigvalsh_backward(g: Any, a: Any) -> Any:
    vectors = np.linalg.eigh(a)[1]
    return vectors @ np.diag(g) @ vectors.T


def newton_root(x: Any) -> Any:
    y = np.ones_like(x)
    for _ in range(60):
        y = y - (y**3 - x) / (3 * y**2)
    return y


def unbroadcast(g: Any, shape: tuple[int, ...]) -> Any:
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(k for k, n in enumerate(shape) if n == 1), keepdims=True)


def sort_backward(g: Any, a: Any) -> Any:
    d = np.zeros_like(a)
    d[np.argsort(a, kind="stable")] = g
    return d


def norm_backward(g: Any, out: Any, x: Any) -> Any:
    return g * x / out if out > 0 else np.zeros_like(x)


def layer_norm_backward(g: Any, out: Any, x: Any) -> Any:
    spread = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    return (g - g.mean(axis=-1, keepdims=True) - out * (g * out).mean(axis=-1, keepdims=True)) / spread


_cache: dict[bytes, Any] = {}


def cached_exp(x: Any) -> Any:
    key = x.tobytes()
    if key not in _cache:
        _cache[key] = np.exp(x)
    return _cache[key].copy()


RIGHT = [
    # kinks
    Entry("relu at zero", lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), given([0.0, -1.0, 2.0, 0.0])),
    Entry("relu at zero, the other way", lambda x: np.maximum(x, 0), lambda g, x: g * (x >= 0), given([0.0, -1.0, 2.0, 0.0])),
    Entry("abs at zero", np.abs, lambda g, x: g * np.sign(x), given([0.0, -1.0, 2.0])),
    Entry("abs near zero", np.abs, lambda g, x: g * np.sign(x), given([1e-9, -1e-12, 2.0])),
    Entry("max with a tie, shared", lambda x: x.max(), shared_max, given([1.0, 3.0, 3.0, -1.0])),
    Entry("max with a tie, to the first", lambda x: x.max(), lambda g, x: g * (np.arange(x.size) == x.argmax()), given([1.0, 3.0, 3.0, -1.0])),
    Entry("maximum with ties", np.maximum, lambda g, x1, x2: (unbroadcast(g * ((x1 > x2) + 0.5 * (x1 == x2)), x1.shape), unbroadcast(g * ((x2 > x1) + 0.5 * (x1 == x2)), x2.shape)),
          given([1.0, 2.0, 3.0], [1.0, 0.0, 3.0])),
    Entry("clip at its bounds", lambda x: np.clip(x, -1, 1), lambda g, x: g * ((x > -1) & (x < 1)), given([-1.0, 0.5, 1.0, 2.0])),
    Entry("sort with ties", np.sort, sort_backward, given([1.0, 0.5, 1.0, -2.0])),
    Entry("hinge at the margin", lambda x: np.maximum(0, 1 - x).sum(), lambda g, x: -g * (x < 1), given([1.0, 0.5, 3.0])),
    Entry("norm at zero", lambda x: np.sqrt((x**2).sum()), norm_backward, given([0.0, 0.0, 0.0])),
    Entry("floor", np.floor, lambda g, x: np.zeros_like(x), normal((5,))),
    Entry("sign", np.sign, lambda g, x: np.zeros_like(x), normal((5,))),
    Entry("round at half", np.round, lambda g, a: np.zeros_like(a), given([0.5, 1.2, -1.5])),
    Entry("piecewise", lambda x: np.where(x > 1, x**2, 2 * x - 1), lambda g, x: g * np.where(x > 1, 2 * x, 2.0), given([1.0, 0.5, 2.0])),
    Entry("crelu", lambda x: np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)]), lambda g, x: np.split(g, 2)[0] * (x > 0) - np.split(g, 2)[1] * (x < 0),
          given([0.0, -1.0, 2.0])),
    # float32 and other precisions
    Entry("float32 tanh", np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2), lambda r: (r.normal(size=(3, 4)).astype(np.float32),)),
    Entry("float32 sum of squares", lambda x: (x**2).sum(), lambda g, x: 2 * g * x, lambda r: (r.normal(size=30).astype(np.float32),)),
    Entry("single precision inside", lambda x: x.astype(np.float32).astype(np.float64) * 3, lambda g, x: 3 * g, normal((5,))),
    Entry("cast to float32", lambda x: (x**2).astype(np.float32), lambda g, x: (2 * g * x).astype(x.dtype), normal((5,))),
    # magnitudes
    Entry("tiny values", lambda x: x**2, lambda g, x: 2 * g * x, lambda r: (r.normal(size=5) * 1e-12,)),
    Entry("huge values", lambda x: x**2, lambda g, x: 2 * g * x, lambda r: (r.normal(size=5) * 1e12,)),
    Entry("mixed magnitudes", lambda x: x**3, lambda g, x: 3 * g * x**2, given([1e-8, 1.0, -1e8])),
    Entry("tiny results", lambda x: 1e-200 * np.sin(x), lambda g, x: 1e-200 * g * np.cos(x), normal((5,))),
    Entry("large offset", lambda x: 1e8 + np.sin(x), lambda g, x: g * np.cos(x), normal((5,))),
    Entry("logsumexp of large values", lambda x: np.log(np.exp(x - x.max()).sum()) + x.max(), lambda g, x: g * softmax(x), given([1000.0, 1001.0, 999.0])),
    # edges of a domain
    Entry("sqrt near zero", np.sqrt, lambda g, x: g * 0.5 / np.sqrt(x), given([1e-10, 1e-4, 1.0])),
    Entry("sqrt at zero", np.sqrt, lambda g, x: g * 0.5 / np.sqrt(x), given([0.0, 1.0])),
    Entry("log near zero", np.log, lambda g, x: g / x, given([1e-12, 1e-3, 1.0])),
    Entry("arcsin near one", np.arcsin, lambda g, x: g / np.sqrt((1 - x) * (1 + x)), given([1 - 1e-10, -0.999, 0.0])),
    Entry("arctanh near one", np.arctanh, lambda g, x: g / ((1 - x) * (1 + x)), given([1 - 1e-9, 0.5])),
    Entry("log1p near -1", np.log1p, lambda g, x: g / (1 + x), given([-1 + 1e-9, 0.5])),
    Entry("x to the 1.5 at zero", lambda x: x**1.5, lambda g, x: g * 1.5 * np.sqrt(x), given([0.0, 1.0])),
    # steep and cancelling
    Entry("steep tanh", lambda x: np.tanh(1e4 * x), lambda g, x: g * 1e4 * (1 - np.tanh(1e4 * x) ** 2), given([1e-5, -3e-5, 0.5])),
    Entry("steep exponential", lambda x: np.exp(30 * x), lambda g, x: 30 * g * np.exp(30 * x), normal((5,))),
    Entry("fast oscillation", lambda x: np.sin(1e3 * x), lambda g, x: 1e3 * g * np.cos(1e3 * x), normal((5,))),
    Entry("1 - cos", lambda x: 1 - np.cos(x), lambda g, x: g * np.sin(x), given([1e-6, 1e-3, 1.0])),
    Entry("1e8 + x - 1e8", lambda x: (1e8 + x) - 1e8, lambda g, x: g, normal((5,))),
    Entry("variance of large numbers", lambda x: (x**2).mean() - x.mean() ** 2, lambda g, x: 2 * g * (x - x.mean()) / x.size, lambda r: (1e4 + r.normal(size=6),)),
    Entry("expm1", np.expm1, lambda g, x: g * np.exp(x), given([1e-12, 1e-3, 1.0])),
    Entry("saturated sigmoid", sigmoid, lambda g, out, x: g * out * (1 - out), given([40.0, -40.0, 0.0])),
    Entry("root by iteration", newton_root, lambda g, out, x: g / (3 * out**2), positive((5,))),
    # symmetric arguments and structure
    Entry("cholesky", np.linalg.cholesky, cholesky_backward, spd(3)),
    Entry("eigvalsh", np.linalg.eigvalsh, eigvalsh_backward, spd(3)),
    Entry("log of the determinant, symmetric", lambda a: np.linalg.slogdet(a)[1], lambda g, a: g * np.linalg.inv(a), spd(3)),
    Entry("softmax cross-entropy, one-hot", lambda z, y: -(y * np.log(softmax(z))).sum(), lambda g, z, y: (g * (softmax(z) - y), None),
          lambda r: (r.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]])),
    Entry("cross-entropy with labels", lambda z, labels: -np.log(softmax(z)[np.arange(len(labels)), labels]).mean(),
          lambda g, z, labels: (g * (softmax(z) - np.eye(z.shape[-1])[labels]) / len(labels), None), lambda r: (r.normal(size=(4, 3)), np.array([0, 2, 1, 1]))),
    Entry("product with a zero", lambda x: x.prod(), product_backward, given([0.0, 2.0, 3.0])),
    Entry("gather with repeated indices", lambda x, index: x[index], gather_backward, given([1.0, -0.5, 2.0], np.array([2, 0, 2]))),
    Entry("linear layer", lambda x, w, b: x @ w + b, lambda g, x, w, b: (g @ w.T, x.T @ g, g.sum(axis=0)), normal((5, 3), (3, 2), (2,))),
    Entry("multiply, equal shapes", lambda a, b: a * b, lambda g, a, b: (g * b, g * a), normal((3,), (3,))),
    Entry("weighted by a constant", lambda x: x * np.array([1.0, 2.0, 3.0]), lambda g, x: g * np.array([1.0, 2.0, 3.0]), normal((3,))),
    Entry("layer norm", layer_norm, layer_norm_backward, normal((3, 5))),
    Entry("layer norm of a constant", layer_norm, layer_norm_backward, given([[1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])),
    Entry("softmax", softmax, lambda g, out, x: out * (g - (g * out).sum(axis=-1, keepdims=True)), normal((3, 4))),
    Entry("cached", cached_exp, lambda g, x: g * np.exp(x), normal((4,))),
    Entry("identity", lambda x: x.copy(), lambda g, x: g, normal((4,))),
    Entry("constant", lambda x: np.ones(3), lambda g, x: np.zeros_like(x), normal((4,))),
    Entry("complex magnitude", lambda z: np.abs(z) ** 2, lambda g, z: 2 * g * z, lambda r: (r.normal(size=4) + 1j * r.normal(size=4),)),
    Entry("complex product", lambda a, b: a * b, lambda g, a, b: (g * b.conj(), g * a.conj()), lambda r: (r.normal(size=3) + 1j, r.normal(size=3) - 2j)),
    Entry("rfft", lambda x: np.abs(np.fft.rfft(x)) ** 2, lambda g, x: np.fft.ifft(np.pad(2 * g * np.fft.rfft(x), (0, x.size - g.size))).real * x.size,
          normal((8,))),
    Entry("integer power", lambda x, n: x**n, lambda g, x, n: (g * n * x ** (n - 1), None), lambda r: (r.normal(size=4), 3)),
]  # fmt: skip
