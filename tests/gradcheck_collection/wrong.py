"""Rules whose numbers are wrong on any input, or that break the contract."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, normal, positive

ROW, SQUARE, MATRIX = (4,), (3, 3), (3, 4)


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def layer_norm(x: Any) -> Any:
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)


def doubled_in_place(x: Any) -> Any:
    x *= 2
    return x**2


def gradient_in_place(g: Any, x: Any) -> Any:
    g *= np.cos(x)
    return g


def input_in_place(g: Any, x: Any) -> Any:
    x *= x
    return g * 3 * x


_scratch = np.zeros(1)


def buffered(g: Any, x: Any) -> Any:
    global _scratch
    if _scratch.shape != x.shape:
        _scratch = np.zeros(x.shape)
    np.multiply(g, 2 * x, out=_scratch)
    return _scratch


_last: dict[str, Any] = {}


def remembering(x: Any) -> Any:
    _last["x"] = x.copy()
    return x**3


def remembered(g: Any, x: Any) -> Any:
    return 3 * g * _last["x"] ** 2


_sums: dict[tuple[int, ...], Any] = {}


def accumulating(g: Any, x: Any) -> Any:
    _sums[x.shape] = _sums.get(x.shape, 0.0) + g * np.exp(x)
    return _sums[x.shape].copy()


_noise = np.random.default_rng(5)


def dropout(x: Any) -> Any:
    return x * (_noise.random(x.shape) > 0.5) * 2


def maxpool_pairs(x: Any) -> Any:
    return x.reshape(-1, 2).max(axis=1)


def convolution(x: Any, w: Any) -> Any:
    return np.correlate(x, w, mode="valid")


WRONG = [
    # signs and factors
    Entry("cos: sign", np.cos, lambda g, x: g * np.sin(x), normal(MATRIX), ("x",), ("sign",)),
    Entry("subtract: sign of the second", lambda a, b: a - b, lambda g, a, b: (g, g), normal(MATRIX, MATRIX), ("b",), ("sign",)),
    Entry("square: factor 2", lambda x: x**2, lambda g, x: g * x, normal(MATRIX), ("x",), ("constant factor",)),
    Entry("log2: ln 2", np.log2, lambda g, x: g / x, positive(MATRIX), ("x",), ("constant factor",)),
    Entry("degrees", lambda x: np.sin(np.deg2rad(x)), lambda g, x: g * np.cos(np.deg2rad(x)), normal(MATRIX), ("x",), ("constant factor",)),
    Entry("sigmoid: a tenth of a percent off", sigmoid, lambda g, x: 1.001 * g * sigmoid(x) * (1 - sigmoid(x)), normal(MATRIX), ("x",), ("constant factor",)),
    Entry("mean: not divided", lambda x: x.mean(), lambda g, x: g * np.ones_like(x), normal((5,)), ("x",), ("1/n",)),
    Entry("sum: divided", lambda x: x.sum(axis=0), lambda g, x: np.broadcast_to(g / x.shape[0], x.shape), normal((5, 3)), ("x",), ("1/n",)),
    Entry(
        "mean squared error: value divided by n, gradient not", lambda p, y: ((p - y) ** 2).mean(), lambda g, p, y: (2 * g * (p - y), -2 * g * (p - y) / p.size),
        normal((7,), (7,)), ("p",), ("1/n",),
    ),
    Entry("variance: n - 1 for n", lambda x: x.var(), lambda g, x: g * 2 * (x - x.mean()) / (x.size - 1), normal((6,)), ("x",), ("constant factor", "1/n", "degrees of freedom")),
    # transposes and orders
    Entry("matmul: x2 not transposed", lambda a, b: a @ b, lambda g, a, b: (g @ b, a.T @ g), normal(SQUARE, SQUARE), ("a",), ("transpose",)),
    Entry("matmul: x1 not transposed", lambda a, b: a @ b, lambda g, a, b: (g @ b.T, a @ g), normal(SQUARE, SQUARE), ("b",), ("transpose",)),
    Entry("trace of a product", lambda a, b: np.trace(a @ b), lambda g, a, b: (g * b, g * a.T), normal(SQUARE, SQUARE), ("a",), ("transpose",)),
    Entry(
        "inverse: no transposes", np.linalg.inv, lambda g, out, a: -out @ g @ out,
        lambda r: (r.normal(size=(3, 3)) + 3 * np.eye(3),), ("a",), ("transpose",),
    ),
    Entry(
        "solve: the matrix, not its transpose", np.linalg.solve, lambda g, a, b: (-np.outer(np.linalg.solve(a.T, g), np.linalg.solve(a, b)), np.linalg.solve(a, g)),
        lambda r: (r.normal(size=(3, 3)) + 3 * np.eye(3), r.normal(size=3)), ("b",), ("transpose",),
    ),
    Entry("transpose: reshaped instead", lambda x: x.T * 2, lambda g, x: (2 * g).reshape(x.shape), normal(MATRIX), ("x",), ("transpose", "permutation")),
    Entry("reverse: not reversed", lambda x: x[::-1] * 1.0, lambda g, x: g, normal(ROW), ("x",), ("permutation",)),
    Entry("roll: the same way", lambda x: np.roll(x, 1), lambda g, x: np.roll(g, 1), normal((5,)), ("x",), ("permutation",)),
    Entry(
        "sort: the order, not its inverse", np.sort, lambda g, x: g[np.argsort(x, kind="stable")],
        lambda r: (np.array([2.0, 0.5, 1.0, -1.0, 3.0]),), ("x", "a"), ("permutation",),
    ),
    Entry(
        "permute: the permutation twice", lambda x, p: x[p], lambda g, x, p: (g[p], None),
        lambda r: (r.normal(size=5), np.array([2, 0, 1, 4, 3])), ("x",), ("permutation",),
    ),
    Entry("flatten: in Fortran order", lambda x: x.reshape(-1), lambda g, x: g.reshape(x.shape, order="F"), normal(MATRIX), ("x",), ("permutation", "transpose")),
    # axes
    Entry(
        "softmax: sum over the wrong axis", softmax, lambda g, out, x: out * (g - (g * out).sum(axis=0, keepdims=True)), normal(SQUARE), ("x",), ("wrong axis",)
    ),
    Entry("softmax: sum over all axes", softmax, lambda g, out, x: out * (g - (g * out).sum()), normal(MATRIX), ("x",), ("wrong axis",)),
    Entry("sum of rows: spread over the wrong axis", lambda x: x.sum(axis=1), lambda g, x: np.ones_like(x) * g, normal(SQUARE), ("x",), ("wrong axis",)),
    Entry(
        "cumsum: along the wrong axis", lambda x: np.cumsum(x, axis=0), lambda g, x: np.flip(np.cumsum(np.flip(g, 1), axis=1), 1), normal(MATRIX), ("x",), ("wrong axis",)
    ),
    Entry("cumsum: not reversed", np.cumsum, lambda g, a: np.cumsum(g), normal(ROW), ("a",), ("permutation", "transpose")),
    # inputs, outputs, incoming gradient
    Entry("multiply: swapped", lambda a, b: a * b, lambda g, a, b: (g * a, g * b), normal(MATRIX, MATRIX), ("a", "b"), ("swapped inputs",)),
    Entry("divide: swapped", lambda a, b: a / b, lambda g, a, b: (-g * a / b**2, g / b), positive(MATRIX, MATRIX), ("a", "b"), ("swapped inputs",)),
    Entry("tanh: g ignored", np.tanh, lambda g, x: 1 - np.tanh(x) ** 2, normal(MATRIX), ("x",), ("ignores incoming gradient",)),
    Entry("sum of squares: g ignored", lambda x: (x**2).sum(), lambda g, x: 2 * x, normal(ROW), ("x",), ("ignores incoming gradient",)),
    Entry("exp: g summed", np.exp, lambda g, x: g.sum() * np.exp(x), normal(ROW), ("x",), ("incoming gradient reduced",)),
    Entry("sin: g squared", np.sin, lambda g, x: g * np.abs(g) * np.cos(x), normal(ROW), ("x",), ("not linear",)),
    Entry("exp: g clipped", np.exp, lambda g, x: np.clip(g, -5, 5) * np.exp(x), normal(ROW), ("x",), ("not linear",)),
    Entry("sin and cos: cos forgotten", lambda x: (np.sin(x), np.cos(x)), lambda g, x: g[0] * np.cos(x), normal(ROW), ("x",), ("unused output",)),
    Entry(
        "mean and variance: variance forgotten", lambda x: (x.mean(), x.var()), lambda g, x: np.full_like(x, g[0] / x.size), normal((5,)), ("x",), ("unused output",)
    ),
    Entry("bias: not summed", lambda x, b: x + b, lambda g, x, b: (g, g[0]), normal(MATRIX, (4,)), ("b",), ("missing sum over a broadcast axis",)),
    Entry("bias: averaged", lambda x, b: x + b, lambda g, x, b: (g, g.mean(axis=0)), normal(MATRIX, (4,)), ("b",), ("missing sum over a broadcast axis", "1/n")),
    Entry("bias: the result's shape", lambda x, b: x + b, lambda g, x, b: (g, g), normal(MATRIX, (4,)), ("b",), ("missing sum over a broadcast axis", "shape")),
    Entry(
        "scale by column: summed over the wrong axis", lambda x, s: x * s, lambda g, x, s: (g * s, (g * x).sum(axis=1)), normal(SQUARE, (3,)), ("s",),
        ("missing sum over a broadcast axis", "wrong axis"),
    ),
    Entry("multiply: one gradient None", lambda a, b: a * b, lambda g, a, b: (g * b, None), normal(ROW, ROW), ("b",), ("missing gradient",)),
    # terms and factors
    Entry("product rule: a term missing", lambda x: x * np.sin(x), lambda g, x: g * x * np.cos(x), normal(ROW), ("x",), ("formula", "term", "factor")),
    Entry("chain rule: inner derivative missing", lambda x: np.sin(x**2), lambda g, x: g * np.cos(x**2), positive(ROW), ("x",), ("factor",)),
    Entry("tanh: square missing", np.tanh, lambda g, out, x: g * (1 - out), normal(ROW), ("x",), ("factor", "formula")),
    Entry("quotient: square missing", lambda a, b: a / b, lambda g, a, b: (g / b, -g * a / b), positive(ROW, ROW), ("b",), ("factor",)),
    Entry("softmax: coupling missing", softmax, lambda g, out, x: g * out * (1 - out), normal(MATRIX), ("x",), ("term",)),
    Entry(
        "layer norm: the mean's term missing", layer_norm,
        lambda g, out, x: (g - out * (g * out).mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5), normal((3, 5)), ("x",), ("term", "formula", "statistic"),
    ),
    Entry(
        "norm: not divided", lambda x: np.sqrt((x**2).sum()), lambda g, x: g * x, normal(ROW), ("x",), ("factor", "constant factor")
    ),
    Entry("relu of a layer: mask forgotten", lambda x: np.maximum(x, 0) * 3, lambda g, x: 3 * g, normal((8,)), ("x",), ("mask",)),
    Entry("clip: mask forgotten", lambda x: np.clip(x, -0.5, 0.5), lambda g, x: g, normal((8,)), ("x",), ("mask", "range", "large")),
    # precision
    Entry("exp: in single precision", np.exp, lambda g, x: g * np.exp(x.astype(np.float32)), normal(MATRIX), ("x",), ("float32 rounding",)),
    Entry("divide: eps", lambda x: 1 / x, lambda g, x: -g / (x**2 + 1e-6), positive(MATRIX), ("x",), ("eps",)),
    Entry("log: eps", np.log, lambda g, x: g / (x + 1e-5), positive(MATRIX), ("x",), ("eps",)),
    Entry(
        "normalise: eps inside for outside", lambda x: x / (np.sqrt((x**2).sum()) + 1e-4),
        lambda g, x: (g - x * (g @ x) / ((x @ x) + 1e-4)) / np.sqrt((x @ x) + 1e-4), normal((5,)), ("x",), ("eps", "formula", "nearly right"),
    ),
    # the contract
    Entry("changes its input", doubled_in_place, lambda g, x: 8 * g * x, normal(ROW), ("x",), ("changes input",)),
    Entry("changes its input backwards", lambda x: x**3, input_in_place, normal(ROW), ("x",), ("changes input",)),
    Entry("changes the incoming gradient", np.sin, gradient_in_place, normal(ROW), ("x", ""), ("changes incoming gradient",)),
    Entry("returns its buffer", lambda x: x**2, buffered, normal(ROW), ("x",), ("stale state",)),
    Entry("remembers the last forward pass", remembering, remembered, normal(ROW), ("x",), ("stale state",)),
    Entry("adds to the last gradient", np.exp, accumulating, normal(ROW), ("x",), ("second backward", "random", "stale state")),
    Entry("dropout with a new mask", dropout, lambda g, x: g * (_noise.random(x.shape) > 0.5) * 2, normal((20,)), ("x", ""), ("random",)),
    Entry("gradient of another shape", lambda x: x.sum(axis=1, keepdims=True), lambda g, x: g, normal(MATRIX), ("x",), ("shape",)),
    Entry("gradient in float32", lambda x: x**2, lambda g, x: (2 * g * x).astype(np.float32), normal(ROW), ("x",), ("float32 rounding", "dtype")),
    Entry("complex gradient", lambda x: np.abs(np.fft.fft(x)) ** 2, lambda g, x: 2 * np.fft.fft(g * np.fft.fft(x).conj()), normal(ROW), ("x",), ("dtype",)),
    # structure
    Entry(
        "correlation: kernel not reversed", convolution,
        lambda g, x, w: (np.convolve(g, w[::-1], mode="full"), np.correlate(x, g, mode="valid")), normal((7,), (3,)), ("x",), ("permutation", "formula", "substitute"),
    ),
    Entry(
        "max pool: shared with the neighbour", maxpool_pairs,
        lambda g, x: np.repeat(g, 2) * 0.5, normal((8,)), ("x",), ("mask", "formula", "blocked", "incoming gradient reduced"),
    ),
    Entry("diagonal: the whole matrix", lambda x: np.diag(x) * 1.0, lambda g, x: np.ones_like(x) * g, normal(SQUARE), ("x",), ("mask", "off-diagonal")),
    Entry("trace: off by the diagonal", lambda x: (x @ x.T).trace(), lambda g, x: g * (2 * x - np.diag(np.diag(x))), normal(SQUARE), ("x",), ("diagonal",)),
    Entry(
        "difference: the ends forgotten", np.diff, lambda g, a: np.concatenate([[0.0], g[:-1] - g[1:], [0.0]]), normal((6,)), ("a",), ("boundary", "blocked"),
    ),
    Entry(
        "binary cross-entropy of softmax outputs", lambda z, y: -(y * np.log(softmax(z)) + (1 - y) * np.log(1 - softmax(z))).sum(),
        lambda g, z, y: (g * (softmax(z) - y), None), lambda r: (r.normal(size=(4, 3)), np.eye(3)[[0, 2, 1, 1]]), ("z",), ("other loss",),
    ),
]  # fmt: skip
