"""Parts of models: wrong and right. They were written after the checker and put to it unseen."""

from __future__ import annotations

import numpy as np

from gradcheck_collection import model_parts as parts
from gradcheck_collection.entry import Entry, given, normal, positive
from gradcheck_collection.right import spd
from gradcheck_collection.wrong import sigmoid, softmax

COMPLEX = lambda r: tuple(r.normal(size=4) + 1j * r.normal(size=4) for _ in range(2))
TABLE = lambda r: (r.normal(size=6), r.uniform(0.1, 4.9, size=4))
WORDS = lambda r: (r.normal(size=(5, 3)), np.array([0, 4, 2]))

MODELS_WRONG = [
    Entry("rms norm: eps outside of the root", parts.rms_norm, parts.rms_norm_eps_outside, normal((3, 4)), ("x",), ("eps", "formula", "factor")),
    Entry("product that remembers", parts.remembering_product, parts.remembered_product, normal((5,), (5,)), ("x", "w"), ("stale state",)),
    Entry("sum of exp: in single precision", lambda x: np.exp(x).sum(), lambda g, x: (g * np.exp(x)).astype(np.float32).astype(np.float64), normal((3, 4)), ("x",), ("float32 rounding",)),
    Entry("a + 2 b: g doubled in place", lambda a, b: a + 2 * b, lambda g, a, b: (g, np.multiply(g, 2, out=g)), normal((4,), (4,)), ("a", "b"), ("changes incoming gradient",)),
    Entry("convolution: kernel's gradient flipped", parts.convolution, lambda g, x, k: (parts.convolution_backward(g, x, k)[0], parts.convolution_backward(g, x, k)[1][::-1, ::-1]),
          normal((5, 4), (2, 3)), ("k",), ("permutation",)),
    Entry("convolution: last row lost", parts.convolution, parts.convolution_without_last_row, normal((5, 4), (2, 3)), ("x",), ("boundary", "blocked")),
    Entry("channels: permuted twice", lambda x: x[:, [2, 0, 1]] * 1.0, lambda g, x: g[:, [2, 0, 1]], normal((2, 3)), ("x",), ("permutation",)),
    Entry("huber: quadratic everywhere", parts.huber, lambda g, x: g * x, normal((6,)), ("x",), ("large", "range", "factor")),
    Entry("gelu: exponent forgotten", parts.gelu, parts.gelu_backward(1.0), normal((6,)), ("x",), ("formula", "term")),
    Entry("max pool: each tied element gets all", parts.max_pool, parts.max_pool_backward(False), normal((4, 4)), ("x",), ("ties",)),
    Entry("embedding: repeated words overwrite", lambda w, index: w[index], parts.embedding_backward(False), WORDS, ("w",), ("repeated indices",)),
    Entry("attention: scale forgotten", parts.attention, parts.attention_backward(False), normal((3, 4), (5, 4), (5, 2)), ("q", "k"), ("constant factor", "factor")),
    Entry("log of the determinant: not transposed", lambda a: np.linalg.slogdet(a)[1], lambda g, a: g * np.linalg.inv(a), lambda r: (r.normal(size=(3, 3)) + 2 * np.eye(3),), ("a",), ("transpose",)),
    Entry("cumprod: divides by zero", np.cumprod, parts.cumprod_dividing, positive((5,)), ("a",), ("zero", "nan")),
    Entry("variance: n for n - 1", lambda x: x.var(axis=0, ddof=1), lambda g, x: g * 2 * (x - x.mean(axis=0)) / x.shape[0], normal((5, 3)), ("x",), ("1/n", "constant factor", "degrees of freedom")),
    Entry("cosine: second norm taken for constant", parts.cosine, parts.cosine_backward(False), normal((5,), (5,)), ("b",), ("term", "formula", "statistic")),
    Entry("clip by norm: norm taken for constant", parts.clip_by_norm, parts.clip_by_norm_backward(False), lambda r: (3 * r.normal(size=5),), ("x",), ("term", "formula", "statistic")),
    Entry("interpolation: weights swapped", parts.interpolate, parts.interpolate_backward(True), TABLE, ("table",), ("permutation", "formula", "swapped inputs")),
    Entry("gated unit: direct path forgotten", parts.gated, parts.gated_backward(False), normal((4, 3), (4, 3), (3, 3), (3, 3)), ("h",), ("term", "layers", "formula")),
    Entry("weighted mean: sum of weights taken for constant", lambda x, w: (x * w).sum() / w.sum(), lambda g, x, w: (g * w / w.sum(), g * x / w.sum()), positive((5,), (5,)), ("w",),
          ("term", "captured", "factor", "statistic")),
    Entry("outer product: contracted the wrong way", np.outer, lambda g, a, b: (g @ b, g @ a), normal((4,), (4,)), ("b",), ("transpose", "swapped inputs", "wrong axis")),
    Entry("complex product: not conjugate", lambda a, b: a * b, lambda g, a, b: (g * b, g * np.conj(a)), COMPLEX, ("a",), ("formula", "constant factor", "sign", "factor", "term", "conjugate")),
    Entry("squared magnitude: conjugate", lambda z: (z * z.conj()).real, lambda g, z: 2 * g * z.conj(), lambda r: COMPLEX(r)[:1], ("z",), ("sign", "formula", "conjugate")),
    Entry("minimum of rows: place of the maximum", lambda x: x.min(axis=1), lambda g, x: g[:, None] * (x == x.max(axis=1, keepdims=True)), normal((3, 4)), ("x",), ("permutation", "mask", "formula")),
    Entry("power of a magnitude: sign forgotten", lambda x: np.abs(x) ** 1.5, lambda g, x: 1.5 * g * np.sqrt(np.abs(x)), positive((5,)), ("x",), ("negative", "sign")),
    Entry("expm1(x) / x: zero near zero", lambda x: np.expm1(x) / x, lambda g, x: g * np.where(np.abs(x) < 1e-3, 0.0, (np.exp(x) * x - np.expm1(x)) / x**2), positive((5,)), ("x",), ("small", "blocked")),
    Entry("exp(-1 / x**2): nan at zero", lambda x: np.exp(-1 / x**2), lambda g, x: g * np.exp(-1 / x**2) * 2 / x**3, positive((4,)), ("x",), ("zero", "nan")),
    Entry("mean of rows: columns counted", lambda x: x.mean(axis=1), lambda g, x: np.repeat(g[:, None], x.shape[1], axis=1) / x.shape[0], normal((3, 5)), ("x",), ("1/n", "constant factor")),
    Entry("log softmax: g not summed", parts.log_softmax, lambda g, x: g - softmax(x), normal((3, 4)), ("x",), ("incoming gradient reduced", "not linear", "term")),
    Entry("logistic loss: sign of the labels", lambda z, y: (np.logaddexp(0, z) - y * z).mean(), lambda g, z, y: (g * (sigmoid(z) + y) / z.size, None),
          lambda r: (r.normal(size=6), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0])), ("z",), ("formula", "sign", "other loss", "term")),
    Entry("lower triangle: with the diagonal", lambda m: np.tril(m, -1), lambda g, m: np.tril(g), normal((4, 4)), ("m",), ("diagonal", "mask")),
    Entry("product: raw memory transposed", lambda a, x: a @ x, lambda g, a, x: (np.outer(g, x), parts.transposed_view(a) @ g), normal((3, 4), (4,)), ("x",), ("memory layout",)),
    Entry("tripled: integers", lambda x: 3 * x, lambda g, x: np.full(x.shape, 3), normal((4,)), ("x",), ("dtype", "ignores incoming gradient")),
    Entry("flip of both axes: one", lambda x: x[::-1, ::-1] * 2, lambda g, x: 2 * g[::-1], normal((3, 4)), ("x",), ("permutation",)),
    Entry("sum of products: a mean in the rule", lambda a, b: np.multiply.outer(a, b).sum(axis=0), lambda g, a, b: (np.full_like(a, (g * b).sum()), g * a.mean()), normal((3,), (4,)), ("b",), ("1/n",)),
    Entry("mixture: sign of the share", lambda a, b, t: a + (b - a) * t, lambda g, a, b, t: (g * (1 - t), g * t, g * (a - b)), normal((4,), (4,), (4,)), ("t",), ("sign",)),
]  # fmt: skip

MODELS_RIGHT = [
    Entry("median of even length", np.median, parts.median_backward, normal((6,))),
    Entry("median with ties", np.median, parts.median_backward, given([1.0, 2.0, 2.0, 2.0, 5.0])),
    Entry("two largest", lambda x: np.sort(x)[::-1][:2], parts.largest_two_backward, normal((6,))),
    Entry("two largest, with ties", lambda x: np.sort(x)[::-1][:2], parts.largest_two_backward, given([1.0, 3.0, 3.0, 3.0, 0.0])),
    Entry("largest eigenvalue", lambda a: np.linalg.eigvalsh(a)[-1], parts.largest_eigenvalue_backward, spd(4)),
    Entry("nuclear norm", lambda x: np.linalg.svd(x, compute_uv=False).sum(), parts.nuclear_backward, normal((3, 4))),
    Entry("quadratic form of a symmetric matrix", lambda a, x: x @ a @ x, lambda g, a, x: (g * np.outer(x, x), g * (a + a.T) @ x), lambda r: (*spd(3)(r), r.normal(size=3))),
    Entry("safe division", parts.safe_divide, parts.safe_divide_backward, normal((4,), (4,))),
    Entry("safe division by zero", parts.safe_divide, parts.safe_divide_backward, given([1.0, 2.0, 3.0], [0.0, 1.0, 2.0])),
    Entry("dropout with a fixed seed", lambda x: x * parts.kept(x.shape), lambda g, x: g * parts.kept(x.shape), normal((10,))),
    Entry("selu", lambda x: 1.05 * np.where(x > 0, x, 1.67 * np.expm1(np.minimum(x, 0))), lambda g, x: g * 1.05 * np.where(x > 0, 1.0, 1.67 * np.exp(np.minimum(x, 0))), normal((8,))),
    Entry("hard swish", lambda x: x * np.clip(x + 3, 0, 6) / 6, lambda g, x: g * np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, (2 * x + 3) / 6)), normal((8,))),
    Entry("soft threshold", lambda x, t=0.5: np.sign(x) * np.maximum(np.abs(x) - t, 0), lambda g, x, t=0.5: g * (np.abs(x) > t), normal((6,))),
    Entry("pinball at zero", lambda x: np.maximum(0.9 * x, -0.1 * x), lambda g, x: g * np.where(x > 0, 0.9, -0.1), given([0.0, 1.0, -1.0])),
    Entry("least squares", parts.least_squares, parts.least_squares_backward, normal((6, 3), (6,))),
    Entry("quantised", lambda x: np.round(x * 4) / 4, lambda g, x: np.zeros_like(x), normal((6,))),
    Entry("log of a sigmoid, saturated", lambda x: -np.logaddexp(0, -x), lambda g, x: g * sigmoid(-x), given([50.0, -50.0, 0.0, 700.0, -700.0])),
    Entry("divergence", lambda p, q: (p * np.log(p / q)).sum(), lambda g, p, q: (g * (np.log(p / q) + 1), -g * p / q), lambda r: (softmax(r.normal(size=5)), softmax(r.normal(size=5)))),
    Entry("distances", parts.distances, parts.distances_backward, normal((4, 2))),
    Entry("batch norm", parts.batch_norm, parts.batch_norm_backward, normal((6, 3), (3,), (3,))),
    Entry("gelu", parts.gelu, parts.gelu_backward(3.0), normal((6,))),
    Entry("attention", parts.attention, parts.attention_backward(True), normal((3, 4), (5, 4), (5, 2))),
    Entry("convolution", parts.convolution, parts.convolution_backward, normal((5, 4), (2, 3))),
    Entry("max pool", parts.max_pool, parts.max_pool_backward(True), normal((4, 4))),
    Entry("cumprod with zeros", np.cumprod, parts.cumprod_backward, given([1.0, 0.0, 2.0, 0.0, 3.0])),
    Entry("cosine", parts.cosine, parts.cosine_backward(True), normal((5,), (5,))),
    Entry("clip by norm", parts.clip_by_norm, parts.clip_by_norm_backward(True), lambda r: (3 * r.normal(size=5),)),
    Entry("interpolation", parts.interpolate, parts.interpolate_backward(False), TABLE),
    Entry("gated unit", parts.gated, parts.gated_backward(True), normal((4, 3), (4, 3), (3, 3), (3, 3))),
    Entry("embedding", lambda w, index: w[index], parts.embedding_backward(True), WORDS),
    Entry("difference of roots", lambda x: np.sqrt(x + 1) - np.sqrt(x), lambda g, x: g * (0.5 / np.sqrt(x + 1) - 0.5 / np.sqrt(x)), given([1e8, 1e3, 1.0])),
    Entry("tiny complex magnitude", np.abs, lambda g, x: g * x / np.where(x == 0, 1, np.abs(x)), lambda r: (1e-9 * COMPLEX(r)[0],)),
    Entry("float32 softmax", softmax, lambda g, out, x: out * (g - (g * out).sum(axis=-1, keepdims=True)), lambda r: (r.normal(size=(3, 4)).astype(np.float32),)),
    Entry("float32 log", np.log, lambda g, x: g / x, lambda r: (r.uniform(0.01, 2, size=8).astype(np.float32),)),
    Entry("saw tooth", lambda x: np.maximum(x - np.floor(x) - 0.5, 0), lambda g, x: g * ((x - np.floor(x)) > 0.5), normal((6,))),
    Entry("angle near an axis", np.arctan2, lambda g, x1, x2: (g * x2 / (x1**2 + x2**2), -g * x1 / (x1**2 + x2**2)), given([1e-12, -1e-12, 1.0], [1.0, 2.0, 1e-12])),
]  # fmt: skip
