"""Right operations that are hard to check: textbook backward passes, scaled inputs, single precision, refusals, integers, masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, given, normal
from gradcheck_collection.fresh_wrong import (
    MASK,
    SPREAD,
    SQUARE,
    average,
    batch_norm,
    correlate2,
    cross_entropy,
    masked_mean,
    recurrent,
    rms_norm,
    segment_sum,
    valid,
)
from gradcheck_collection.wrong import sigmoid, softmax


def scaled(by: float, *shapes: tuple[int, ...]) -> Any:
    return lambda r: tuple(by * r.normal(size=shape) for shape in shapes)


def single(make: Any) -> Any:
    return lambda r: tuple(a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in make(r))


def softmax_backward(g: Any, out: Any, x: Any) -> Any:
    return out * (g - (g * out).sum(axis=-1, keepdims=True))


def attention(q: Any, k: Any, v: Any) -> Any:
    return softmax(q @ k.T / np.sqrt(q.shape[-1])) @ v


def attention_backward(g: Any, out: Any, q: Any, k: Any, v: Any) -> tuple[Any, ...]:
    p = softmax(q @ k.T / np.sqrt(q.shape[-1]))
    delta = (g * out).sum(axis=-1, keepdims=True)
    ds = p * (g @ v.T - delta) / np.sqrt(q.shape[-1])
    return ds @ k, ds.T @ q, p.T @ g


def tanh_squared_backward(g: Any, out: Any, x: Any) -> Any:
    d = g * (1 - out * out)
    return d @ x.T + x.T @ d


def causal_softmax(x: Any) -> Any:
    return softmax(np.where(np.tril(np.ones(x.shape, bool)), x, -1e30))


def layer32(x: Any, w: Any) -> Any:
    return np.tanh(x.astype(np.float32) @ w.astype(np.float32))


def layer32_backward(g: Any, out: Any, x: Any, w: Any) -> tuple[Any, Any]:
    d = g.astype(np.float32) * (np.float32(1) - out * out)
    return (d @ w.astype(np.float32).T).astype(x.dtype), (x.astype(np.float32).T @ d).astype(w.dtype)


def norm32(x: Any) -> Any:
    x = x.astype(np.float32)
    return (x - x.mean(axis=-1, keepdims=True)) / np.sqrt(x.var(axis=-1, keepdims=True) + np.float32(1e-5))


def norm32_backward(g: Any, out: Any, x: Any) -> Any:
    g, y = g.astype(np.float32), out
    spread = np.sqrt(x.astype(np.float32).var(axis=-1, keepdims=True) + np.float32(1e-5))
    return ((g - g.mean(axis=-1, keepdims=True) - y * (g * y).mean(axis=-1, keepdims=True)) / spread).astype(x.dtype)


def butterfly(x: Any) -> Any:
    if x.ndim != 1 or x.size % 2:
        raise ValueError("an even number of elements is needed")
    return np.concatenate([x[::2] + x[1::2], x[::2] - x[1::2]])


def butterfly_backward(g: Any, x: Any) -> Any:
    d, half = np.empty_like(x), len(g) // 2
    d[::2], d[1::2] = g[:half] + g[half:], g[:half] - g[half:]
    return d


def rotate_backward(g: Any, x: Any) -> Any:
    if g.shape != (4,):
        raise ValueError("written for four elements")
    return np.roll(g, -1) * 2


def huber(x: Any) -> Any:
    return np.where(np.abs(x) <= 1, 0.5 * x**2, np.abs(x) - 0.5)


def gather_backward(g: Any, x: Any, index: Any) -> tuple[Any, None]:
    d = np.zeros_like(x)
    np.add.at(d, index, g)
    return d, None


def take_backward(g: Any, x: Any, index: Any, axis: Any) -> tuple[Any, None, None]:
    d = np.zeros_like(x)
    np.add.at(np.moveaxis(d, axis, 0), index, np.moveaxis(g, axis, 0))
    return d, None, None


def power_of_spectrum_backward(g: Any, x: Any) -> Any:
    n, spectrum = x.size, np.fft.rfft(x)
    full = np.zeros(n, complex)
    full[: g.size] = 2 * g * spectrum
    return n * np.fft.ifft(full).real


def conv_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    return np.convolve(g, k[::-1], "full"), np.convolve(x[::-1], g, "valid")


def correlate2_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    d = np.zeros_like(x)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            d[i : i + k.shape[0], j : j + k.shape[1]] += g[i, j] * k
    return d, np.einsum("ijkl,ij->kl", np.lib.stride_tricks.sliding_window_view(x, k.shape), g)


def masked_mean_backward(g: Any, x: Any, mask: Any) -> tuple[Any, None]:
    return np.where(mask, (g / np.maximum(mask.sum(axis=1), 1))[:, None], 0.0), None


def average_backward(g: Any, x: Any) -> Any:
    d, state = np.empty_like(x), 0.0
    for i in reversed(range(len(x))):
        state = 0.7 * state + g[i]
        d[i] = 0.3 * state
    return d


def recurrent_backward(g: Any, x: Any, w: Any) -> tuple[Any, Any]:
    states = [0.0]
    for value in x:
        states.append(np.tanh(w * states[-1] + value))
    dx, dw, dh = np.zeros_like(x), 0.0, g
    for i in reversed(range(len(x))):
        dz = dh * (1 - states[i + 1] ** 2)
        dx[i], dw, dh = dz, dw + dz * states[i], dz * w
    return dx, np.asarray(dw)


def rms_backward(g: Any, out: Any, x: Any) -> Any:
    return (g - out * (g * out).mean(axis=-1, keepdims=True)) / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def batch_norm_backward(g: Any, out: Any, x: Any) -> Any:
    return (g - g.mean(axis=0) - out * (g * out).mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def same_or_not(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    if a is b:
        return g * a, g * a
    return g * b, g * a


def interp_backward(g: Any, fp: Any) -> Any:
    d = np.zeros_like(fp)
    points = np.array([0.2, 1.5, 2.0])
    left = np.minimum(points.astype(int), len(fp) - 2)
    share = np.clip(points - left, 0, 1)
    np.add.at(d, left, g * (1 - share))
    np.add.at(d, left + 1, g * share)
    return d


def interp(fp: Any) -> Any:
    if fp.ndim != 1 or len(fp) < 3:
        raise ValueError("at least three values")
    return np.interp([0.2, 1.5, 2.0], np.arange(len(fp)), fp)


def soft_entropy(p: Any) -> Any:
    return -np.where(p > 0, p * np.log(np.where(p > 0, p, 1)), 0.0).sum()


def viterbi(x: Any) -> Any:
    best = x[0]
    for row in x[1:]:
        best = (best[:, None] + np.subtract.outer(np.arange(x.shape[1]), np.arange(x.shape[1])) * 0.1).max(axis=0) + row
    return best.max()


def viterbi_backward(g: Any, x: Any) -> Any:
    bests, froms = [x[0]], []
    for row in x[1:]:
        scores = bests[-1][:, None] + np.subtract.outer(np.arange(x.shape[1]), np.arange(x.shape[1])) * 0.1
        froms.append(scores.argmax(axis=0))
        bests.append(scores.max(axis=0) + row)
    d, place = np.zeros_like(x), bests[-1].argmax()
    for i in reversed(range(len(x))):
        d[i, place] = g
        place = froms[i - 1][place] if i else place
    return d


def gather_checked(x: Any, index: Any) -> Any:
    if np.any(index < 0):
        raise IndexError("negative indices are refused")
    return x[index]


def logdet_backward(g: Any, a: Any) -> Any:
    return g * np.linalg.inv(a).T


def cummax_backward(g: Any, x: Any) -> Any:
    d, place = np.zeros_like(x), 0
    for i in range(len(x)):
        place = i if x[i] >= x[place] else place
        d[place] += g[i]
    return d


def complex_norm_backward(g: Any, z: Any) -> Any:
    size = np.abs(z)
    return g * z / np.where(size == 0, 1, size)


FRESH_RIGHT = [
    Entry("softmax of large values", softmax, softmax_backward, scaled(40, (3, 4))),
    Entry("softmax of very large values", softmax, softmax_backward, scaled(400, (2, 5))),
    Entry("attention of large values", attention, attention_backward, scaled(8, (3, 4), (5, 4), (5, 2))),
    Entry("attention of very large values", attention, attention_backward, scaled(40, (3, 4), (5, 4), (5, 2))),
    Entry("log softmax of large values", lambda x: x - np.logaddexp.reduce(x, axis=-1, keepdims=True), lambda g, out, x: g - np.exp(out) * g.sum(axis=-1, keepdims=True), scaled(60, (3, 4))),
    Entry("causal softmax", causal_softmax, softmax_backward, scaled(10, (4, 4))),
    Entry("float32 attention", attention, attention_backward, single(scaled(3, (3, 4), (5, 4), (5, 2)))),
    Entry("layer in single precision", layer32, layer32_backward, normal((4, 3), (3, 5))),
    Entry("layer in single precision, of float32", layer32, layer32_backward, single(normal((4, 3), (3, 5)))),
    Entry("layer norm in single precision", norm32, norm32_backward, normal((3, 6))),
    Entry("layer norm in single precision, of float32", norm32, norm32_backward, single(normal((3, 6)))),
    Entry("tanh of a square of 18", lambda x: np.tanh(x @ x), tanh_squared_backward, normal((18, 18))),
    Entry("tanh of a square of 20", lambda x: np.tanh(x @ x), tanh_squared_backward, normal((20, 20))),
    Entry("tanh of a square of 22", lambda x: np.tanh(x @ x), tanh_squared_backward, normal((22, 22))),
    Entry("butterfly: even sizes only", butterfly, butterfly_backward, normal((6,))),
    Entry("rule for four elements", lambda x: np.roll(x, 1) * 2, rotate_backward, normal((4,))),
    Entry("huber", huber, lambda g, x: g * np.clip(x, -1, 1), scaled(2, (7,))),
    Entry("relu6", lambda x: np.clip(x, 0, 6), lambda g, x: g * ((x > 0) & (x < 6)), scaled(4, (7,))),
    Entry("squared hinge", lambda x: np.maximum(1 - x, 0) ** 2, lambda g, x: -2 * g * np.maximum(1 - x, 0), scaled(3, (6,))),
    Entry("elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), lambda g, x: g * np.where(x > 0, 1.0, np.exp(np.minimum(x, 0))), scaled(5, (6,))),
    Entry("remainder", lambda x: np.mod(x, 1.0), lambda g, x: g * 1.0, scaled(3, (6,))),
    Entry("ternary", lambda x: np.sign(x) * (np.abs(x) > 0.5), lambda g, x: np.zeros_like(x), normal((6,))),
    Entry("gather with negative indices", lambda x, index: x[index], gather_backward, lambda r: (r.normal(size=(5, 2)), np.array([-1, 0, 3, -5, 0]))),
    Entry("gather without negative indices", gather_checked, gather_backward, lambda r: (r.normal(size=5), np.array([1, 0, 3]))),
    Entry("take along an axis", lambda x, index, axis: np.take(x, index, axis), take_backward, lambda r: (r.normal(size=(3, 4)), np.array([1, 0, 1]), 1)),
    Entry("roll", lambda x, k: np.roll(x, k), lambda g, x, k: (np.roll(g, -k), None), lambda r: (r.normal(size=5), 2)),
    Entry("diagonal matrix", lambda x, k: np.diag(x, k), lambda g, x, k: (np.diagonal(g, k).copy(), None), lambda r: (r.normal(size=4), 1)),
    Entry("integer power, of negative exponents", lambda x, n: x ** float(n), lambda g, x, n: (g * n * x ** (float(n) - 1), None), lambda r: (r.uniform(0.5, 2, size=4), 3)),
    Entry("segment sum", segment_sum, lambda g, x, segments: (g[segments], None), lambda r: (r.normal(size=5), np.array([0, 3, 1, 3, 2]))),
    Entry("cross-entropy of large values", cross_entropy, lambda g, z, labels: (g * (softmax(z) - np.eye(z.shape[-1])[labels]), None), lambda r: (3 * r.normal(size=(4, 3)), np.array([0, 2, 1, 1]))),
    Entry("masked mean", masked_mean, masked_mean_backward, lambda r: (r.normal(size=(3, 4)), MASK)),
    Entry("masked fill", lambda x, mask: np.where(mask, x, -1e9), lambda g, x, mask: (g * mask, None), lambda r: (r.normal(size=(3, 4)), MASK)),
    Entry("saturated logistic", sigmoid, lambda g, out, x: g * out * (1 - out), scaled(200, (6,))),
    Entry("saturated tanh", np.tanh, lambda g, out, x: g * (1 - out) * (1 + out), scaled(15, (6,))),
    Entry("softplus of large values", lambda x: np.logaddexp(0, x), lambda g, x: g * sigmoid(x), scaled(300, (6,))),
    Entry("gaussian far out", lambda x: np.exp(-(x**2)), lambda g, out, x: -2 * g * x * out, scaled(8, (6,))),
    Entry("magnitude of a complex number", np.abs, complex_norm_backward, lambda r: (r.normal(size=4) + 1j * r.normal(size=4),)),
    Entry("complex exponential", np.exp, lambda g, out, x: g * out.conj(), lambda r: (r.normal(size=4) + 1j * r.normal(size=4),)),
    Entry("real part of a transform", lambda x: np.fft.fft(x).real, lambda g, x: np.fft.fft(g).real, normal((7,))),
    Entry("power spectrum", lambda x: np.abs(np.fft.rfft(x)) ** 2, power_of_spectrum_backward, normal((7,))),
    Entry("valid convolution", valid, conv_backward, normal((7,), (3,))),
    Entry("2-d correlation", correlate2, correlate2_backward, normal((5, 6), (3, 3))),
    Entry("solve", np.linalg.solve, lambda g, out, a, b: (-np.outer(np.linalg.solve(a.T, g), out), np.linalg.solve(a.T, g)), SQUARE),
    Entry("inverse", np.linalg.inv, lambda g, out, a: -out.T @ g @ out.T, lambda r: SQUARE(r)[:1]),
    Entry("log of the determinant", lambda a: np.linalg.slogdet(a)[1], logdet_backward, lambda r: SQUARE(r)[:1]),
    Entry("moving average", average, average_backward, normal((6,))),
    Entry("recurrence", recurrent, recurrent_backward, lambda r: (r.normal(size=5), np.array(0.8))),
    Entry("rms norm", rms_norm, rms_backward, normal((3, 4))),
    Entry("batch norm of large values", batch_norm, batch_norm_backward, scaled(30, (6, 3))),
    Entry("product: same array asked for", lambda a, b: a * b, same_or_not, normal((4,), (4,))),
    Entry("interpolation of a table", interp, interp_backward, normal((5,))),
    Entry("entropy with a zero", soft_entropy, lambda g, p: g * np.where(p > 0, -np.log(np.where(p > 0, p, 1)) - 1, 0.0), given([0.5, 0.3, 0.2])),
    Entry("best path", viterbi, viterbi_backward, normal((4, 3))),
    Entry("running maximum", np.maximum.accumulate, lambda g, array: cummax_backward(g, array), normal((6,))),
    Entry("image normalisation", lambda x: (x - 0.45) / SPREAD, lambda g, x: g / SPREAD, normal((3, 2, 4))),
    Entry("hypotenuse of large values", np.hypot, lambda g, out, x1, x2: (g * x1 / out, g * x2 / out), scaled(1e6, (4,), (4,))),
    Entry("log of cosh", lambda x: np.logaddexp(x, -x) - np.log(2), lambda g, x: g * np.tanh(x), scaled(30, (5,))),
    Entry("difference", np.diff, lambda g, a: np.concatenate([[0.0], g]) - np.concatenate([g, [0.0]]), normal((6,))),
    Entry("trapezoid", lambda y: np.trapezoid(y), lambda g, y: g * np.r_[0.5, np.ones(len(y) - 2), 0.5] if len(y) > 1 else np.zeros_like(y), normal((6,))),
    Entry("float32 sum of many", lambda x: np.exp(x).sum(), lambda g, x: g * np.exp(x), single(normal((50,)))),
    Entry("binary cross-entropy of logits", lambda z, y: (np.maximum(z, 0) - z * y + np.log1p(np.exp(-np.abs(z)))).mean(), lambda g, z, y: (g * (sigmoid(z) - y) / z.size, -g * z / z.size),
          lambda r: (20 * r.normal(size=6), r.uniform(size=6))),
]  # fmt: skip
