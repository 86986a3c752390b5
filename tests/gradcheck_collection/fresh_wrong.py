"""Natural mistakes, written down before the checker's list of causes was looked at, over the kinds that it had not met.

What a report has to say is given in words that a reader would accept (`words`), not as one of the checker's own causes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck_collection.entry import Entry, normal, positive
from gradcheck_collection.wrong import sigmoid, softmax

FLIPPED = r"flip|revers"
LENGTHS = r"length|size|shape|odd|even|parity"
TRANSPOSED = r"transpos"
TERM = r"term|taken for (a )?constant|held constant|treated as constant|depends on"
STEPS = r"truncat|recurren|earlier|previous|through time|one step|steps|later"


# --- windows, convolutions, spectra ---


def same_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    """Right for odd kernels only."""
    half = len(k) // 2
    padded_g, padded_x = np.pad(g, half), np.pad(x, half)
    return np.convolve(padded_g, k, "valid")[: len(x)], np.correlate(padded_x, g, "valid")[: len(k)]


def same(x: Any, k: Any) -> Any:
    if len(k) > len(x):
        raise ValueError("the kernel is longer than the signal")
    return np.correlate(x, k, "same")


def valid(x: Any, k: Any) -> Any:
    if len(k) > len(x):
        raise ValueError("the kernel is longer than the signal")
    return np.convolve(x, k, "valid")


def power_backward(g: Any, x: Any) -> Any:
    n = 2 * (g.size - 1)  # an odd length is forgotten
    spectrum = np.fft.rfft(x)
    return np.fft.irfft(2 * g * spectrum * np.array([n] + [n / 2] * (g.size - 2) + [n]), n=x.size)


def strided(x: Any, k: Any) -> Any:
    if len(k) > len(x):
        raise ValueError("the kernel is longer than the signal")
    return np.lib.stride_tricks.sliding_window_view(x, len(k))[::2] @ k


def strided_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    d = np.zeros((len(g) - 1) * 2 + len(k))  # and nothing for a rest
    for i, value in enumerate(g):
        d[2 * i : 2 * i + len(k)] += value * k
    return d, np.lib.stride_tricks.sliding_window_view(x, len(k))[::2].T @ g


def blocks_backward(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    for start in range(0, len(x) // 4 * 4, 4):
        d[start : start + 4] = 2 * g * x[start : start + 4]
    return d


def unrolled_backward(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    d[:8] = g[:8] * np.cos(x[:8])
    if len(x) > 8:
        d[8:] = g[8:] * np.cos(x[: len(x) - 8])
    return d


def correlate2(x: Any, k: Any) -> Any:
    return np.einsum("ijkl,kl->ij", np.lib.stride_tricks.sliding_window_view(x, k.shape), k)


def correlate2_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    d = np.zeros_like(x)
    for i in range(g.shape[0]):
        for j in range(g.shape[1]):
            d[i : i + k.shape[0], j : j + k.shape[1]] += g[i, j] * k
    return d, np.einsum("ijkl,ij->kl", np.lib.stride_tricks.sliding_window_view(x, k.shape), g)[::-1, ::-1]


def hann(n: int) -> Any:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


# --- integers and masks ---


def gather_by_comparison(g: Any, x: Any, index: Any) -> tuple[Any, None]:
    return (index[:, None] == np.arange(len(x))).T.astype(float) @ g, None


def gather_overwriting(g: Any, x: Any, index: Any) -> tuple[Any, None]:
    d = np.zeros_like(x)
    d[index] += g
    return d, None


def shifted_labels(z: Any, labels: Any) -> Any:
    labels -= labels.min()
    return -np.log(softmax(z)[np.arange(len(labels)), labels]).mean()


def shifted_labels_backward(g: Any, z: Any, labels: Any) -> tuple[Any, None]:
    return g * (softmax(z) - np.eye(z.shape[-1])[labels - labels.min()]) / len(labels), None


def cross_entropy(z: Any, labels: Any) -> Any:
    return -np.log(softmax(z)[np.arange(len(labels)), labels]).sum()


def cross_entropy_few_classes(g: Any, z: Any, labels: Any) -> tuple[Any, None]:
    return g * (softmax(z) - np.eye(labels.max() + 1)[labels]), None


def segment_sum(x: Any, segments: Any) -> Any:
    result = np.zeros(4)
    np.add.at(result, segments, x)
    return result


def segment_sum_sorted(g: Any, x: Any, segments: Any) -> tuple[Any, None]:
    return np.repeat(g, np.bincount(segments, minlength=4)), None


def masked_mean(x: Any, mask: Any) -> Any:
    return np.where(mask, x, 0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)


def masked_mean_backward(g: Any, x: Any, mask: Any) -> tuple[Any, None]:
    return np.where(mask, (g / mask.sum(axis=1))[:, None], mask * np.nan if not mask.any(axis=1).all() else 0.0), None


MASK = np.array([[True, False, True, True], [True, True, False, True], [False, True, True, False]])


# --- statistics ---


def rms_norm(x: Any) -> Any:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def batch_norm(x: Any) -> Any:
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def batch_norm_mean_constant(g: Any, out: Any, x: Any) -> Any:
    return (g - out * (g * out).mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def batch_norm_variance_constant(g: Any, out: Any, x: Any) -> Any:
    return (g - g.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)


def unit_rows(x: Any) -> Any:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def weight_norm(v: Any, s: Any) -> Any:
    return s * v / np.linalg.norm(v)


SPREAD = np.array([0.229, 0.224, 0.225])[:, None, None]
ROWS = np.array([[0.5], [2.0], [3.0]])
VARIANCES = np.array([0.5, 2.0, 4.0])


# --- scans and recurrences ---


def average(x: Any) -> Any:
    out, state = np.empty_like(x), 0.0
    for i, value in enumerate(x):
        state = 0.7 * state + 0.3 * value
        out[i] = state
    return out


def recurrent(x: Any, w: Any) -> Any:
    state = 0.0
    for value in x:
        state = np.tanh(w * state + value)
    return state + 0 * x[0]


def recurrent_truncated(g: Any, x: Any, w: Any) -> tuple[Any, Any]:
    states = [0.0]
    for value in x:
        states.append(np.tanh(w * states[-1] + value))
    dx, dw, dh = np.zeros_like(x), 0.0, g
    for i in reversed(range(max(len(x) - 2, 0), len(x))):
        dz = dh * (1 - states[i + 1] ** 2)
        dx[i], dw, dh = dz, dw + dz * states[i], dz * w
    return dx, np.asarray(dw)


def exclusive(g: Any, x: Any) -> Any:
    total = np.cumsum(g[::-1])[::-1]
    return total - g


def shifted_difference(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    d[1:] += g
    d[:-2] -= g[1:]
    return d


# --- state ---

_kept: dict[str, Any] = {}


def remembered_mask(g: Any, x: Any) -> Any:
    mask = _kept.get("mask")
    if mask is None or mask.shape != x.shape:
        mask = _kept["mask"] = x > 0
    return g * mask


def twice(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    if a is b:
        return 2 * g * a, 2 * g * a
    return g * b, g * a


def row_max_everywhere(g: Any, x: Any) -> Any:
    return np.broadcast_to(g[:, None], x.shape).copy()


def missing_name(g: Any, x: Any) -> Any:
    return g * scale_of_x  # type: ignore[name-defined]  # noqa: F821


SYMMETRIC = lambda r: tuple((lambda a: a + a.T)(r.normal(size=(3, 3))) for _ in range(2))
SQUARE = lambda r: (r.normal(size=(3, 3)) + 3 * np.eye(3), r.normal(size=3))
COMPLEX = lambda r: (r.normal(size=4) + 1j * r.normal(size=4),)
GELU = np.sqrt(2 / np.pi)


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(GELU * (x + 0.044715 * x**3)))


def gelu_backward(g: Any, x: Any) -> Any:
    t = np.tanh(GELU * (x + 0.044 * x**3))
    return g * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * GELU * (1 + 3 * 0.044 * x**2))


def attention(q: Any, k: Any, v: Any) -> Any:
    return softmax(q @ k.T / 2.0) @ v


def attention_backward(g: Any, q: Any, k: Any, v: Any) -> tuple[Any, ...]:
    p = softmax(q @ k.T / 2.0)
    dp = g @ v.T
    ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / 2.0
    return ds @ k, ds @ q, p.T @ g  # ds.T @ q


def pairwise(x: Any) -> Any:
    return (x[:, None] * x[None, :]).sum(axis=1)


FRESH_WRONG = [
    Entry("valid convolution: signal's gradient not flipped", valid, lambda g, x, k: (np.convolve(g, k, "full"), np.convolve(x[::-1], g, "valid")), normal((7,), (3,)), ("x",), words=FLIPPED),
    Entry("same correlation: odd kernels only", same, same_backward, normal((8,), (3,)), ("x", "k"), words=LENGTHS + "|raises"),
    Entry("power spectrum: even lengths only", lambda x: np.abs(np.fft.rfft(x)) ** 2, power_backward, normal((8,)), ("x",), words=LENGTHS),
    Entry("window: periodic for symmetric", lambda x: x * np.hanning(len(x)), lambda g, x: g * hann(len(x)), normal((7,)), ("x",), words="per element|position|each element|factor|boundar|index"),
    Entry("strided correlation: rest forgotten", strided, strided_backward, normal((7,), (3,)), ("x",), words=LENGTHS),
    Entry("sum of squares in blocks: rest forgotten", lambda x: (x**2).sum(), blocks_backward, normal((8,)), ("x",), words=LENGTHS + "|last|boundar|block"),
    Entry("unrolled sine: wrong after eight", np.sin, unrolled_backward, normal((6,)), ("x",), words=LENGTHS + "|last|from element|block|large"),
    Entry("2-d correlation: kernel's gradient flipped", correlate2, correlate2_backward, normal((5, 6), (3, 3)), ("k",), words=FLIPPED + "|permut"),
    Entry("gather: negative indices lost", lambda x, index: x[index], gather_by_comparison, lambda r: (r.normal(size=5), np.array([2, 0, 3])), ("x",), words="negative ind|negative .*index|index.*negative"),
    Entry("gather: repeated indices overwrite", lambda x, index: x[index], gather_overwriting, lambda r: (r.normal(size=5), np.array([2, 0, 3])), ("x",), words="repeat|twice|duplicate|same index"),
    Entry("labels shifted in place", shifted_labels, shifted_labels_backward, lambda r: (r.normal(size=(4, 3)), np.array([1, 2, 1, 3])), ("labels", "z"), words="in place|change|modif|overwrit"),
    Entry("classes counted from the labels", cross_entropy, cross_entropy_few_classes, lambda r: (r.normal(size=(4, 3)), np.array([0, 2, 1, 1])), ("z",), words="raises|label|shape|integer"),
    Entry("segment sum: sorted segments only", segment_sum, segment_sum_sorted, lambda r: (r.normal(size=5), np.array([0, 0, 1, 3, 3])), ("x",), words="order|sort|permut|segments|integer"),
    Entry("roll: rolled further", lambda x, k: np.roll(x, k), lambda g, x, k: (np.roll(g, k), None), lambda r: (r.normal(size=4), 2), ("x",), words="revers|shift|permut|direction|roll|k ?="),
    Entry("diagonal matrix: offset forgotten", lambda x, k: np.diag(x, k), lambda g, x, k: (np.diagonal(g)[: len(x)].copy(), None), lambda r: (r.normal(size=4), 0), ("x",), words="diagonal|offset|shift|k ?=|integer"),
    Entry("power: square only", lambda x, n: x**n, lambda g, x, n: (2 * g * x, None), lambda r: (r.normal(size=4), 2), ("x",), words="n ?=|other n|of n|depends on n|integer"),
    Entry("masked mean: rows of nothing", masked_mean, masked_mean_backward, lambda r: (r.normal(size=(3, 4)), MASK), ("x",), words="mask|nan|empty|nothing"),
    Entry("masked fill: mask forgotten", lambda x, mask: np.where(mask, x, -1e3), lambda g, x, mask: (g, None), lambda r: (r.normal(size=(3, 4)), np.ones((3, 4), bool)), ("x",), words="mask"),
    Entry("affine: scale along the other axis", lambda x: x * VARIANCES, lambda g, x: g * VARIANCES[:, None], normal((3, 3)), ("x",), words="axis|row|column|transpos"),
    Entry("image normalisation: divided by the square", lambda x: (x - 0.45) / SPREAD, lambda g, x: g / SPREAD**2, normal((3, 2, 4)), ("x",), words="channel|axis 0|along axis|first axis"),
    Entry("weighted rows: weights forgotten", lambda x: x * ROWS, lambda g, x: g * 1.0, normal((3, 4)), ("x",), words="row|axis 0"),
    Entry("rms norm: rms a constant", rms_norm, lambda g, x: g / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6), normal((3, 4)), ("x",), words="rms|statistic|constant|term"),
    Entry("batch norm: mean a constant", batch_norm, batch_norm_mean_constant, normal((6, 3)), ("x",), words="mean|statistic"),
    Entry("batch norm: variance a constant", batch_norm, batch_norm_variance_constant, normal((6, 3)), ("x",), words="varianc|standard dev|std|spread|statistic"),
    Entry("by the largest: maximum a constant", lambda x: x / x.max(), lambda g, x: g / x.max(), positive((5,)), ("x",), words="max|statistic|constant|term"),
    Entry("softmax: sum a constant", softmax, lambda g, out, x: g * out, normal((3, 4)), ("x",), words="sum|normali|statistic|constant|term"),
    Entry("unit rows: norm a constant", unit_rows, lambda g, x: g / np.linalg.norm(x, axis=1, keepdims=True), normal((3, 4)), ("x",), words="norm|statistic|constant|term|project"),
    Entry("weight norm: norm a constant", weight_norm, lambda g, v, s: (g * s / np.linalg.norm(v), np.asarray((g * v).sum() / np.linalg.norm(v))), lambda r: (r.normal(size=(3, 2)), np.array(1.5)), ("v",),
          words="norm|statistic|constant|term|project"),
    Entry("swish: second term missing", lambda x: x * sigmoid(x), lambda g, x: g * sigmoid(x), normal((6,)), ("x",), words=TERM),
    Entry("x log x: second term missing", lambda x: x * np.log(x), lambda g, x: g * np.log(x), positive((6,)), ("x",), words=TERM + "|\\+ 1|by 1|constant"),
    Entry("matrix squared: one factor only", lambda x: x @ x, lambda g, x: g @ x.T, normal((3, 3)), ("x",), words=TERM),
    Entry("quadratic form: taken for symmetric", lambda x, a: x @ a @ x, lambda g, x, a: (2 * g * a @ x, g * np.outer(x, x)), normal((4,), (4, 4)), ("x",), words="symmetr|transpos"),
    Entry("solve: right side not transposed", np.linalg.solve, lambda g, out, a, b: (-np.outer(np.linalg.solve(a.T, g), out), np.linalg.solve(a, g)), SQUARE, ("b",), words=TRANSPOSED),
    Entry("solve: inner solve not transposed", np.linalg.solve, lambda g, out, a, b: (-np.outer(np.linalg.solve(a, g), out), np.linalg.solve(a.T, g)), SQUARE, ("a",), words=TRANSPOSED),
    Entry("inverse: nothing transposed", np.linalg.inv, lambda g, out, a: -out @ g @ out, lambda r: SQUARE(r)[:1], ("a",), words=TRANSPOSED),
    Entry("rounding: straight through", np.round, lambda g, a: g, normal((5,)), ("a",), words="straight|flat|piecewise constant|does not change|step function"),
    Entry("product with itself detached", lambda x: x * x, lambda g, x: g * x, normal((5,)), ("x",), words="factor|half|detach|term|2"),
    Entry("clip: straight through", lambda x: np.clip(x, -1, 1), lambda g, x: g, normal((5,)), ("x",), words="clip|flat|straight|outside|range|large|saturat"),
    Entry("full convolution: kernel's gradient reversed", lambda x, k: np.convolve(x, k), lambda g, x, k: (np.correlate(g, k, "valid"), np.correlate(g, x, "valid")[::-1]), normal((7,), (3,)), ("k",), words=FLIPPED),
    Entry("cumulative sum: without itself", np.cumsum, exclusive, normal((5,)), ("a",), words="exclusive|off by one|itself|diagonal|shift|own"),
    Entry("cumulative sum: not from the end", np.cumsum, lambda g, a: np.cumsum(g), normal((5,)), ("a",), words="revers|direction|from the (end|other)|transpos"),
    Entry("difference: shifted by one", np.diff, lambda g, a: shifted_difference(g, a), normal((6,)), ("a",), words="shift|off by one|neighbo|boundar"),
    Entry("moving average: one step only", average, lambda g, x: 0.3 * g, normal((6,)), ("x",), words=STEPS),
    Entry("recurrence: two steps only", recurrent, recurrent_truncated, lambda r: (r.normal(size=5), np.array(0.8)), ("x", "w"), words=STEPS),
    Entry("relu: mask of the first call", lambda x: np.maximum(x, 0), remembered_mask, normal((5,)), ("x",), words="stale|cache|remember|first call|earlier|state|kept"),
    Entry("softplus: nan at an overflow", lambda x: np.logaddexp(0, x), lambda g, x: g * np.exp(x) / (1 + np.exp(x)), normal((5,)), ("x",), words="nan|overflow|inf"),
    Entry("log of a sum of exponentials: not shifted", lambda x: np.logaddexp.reduce(x), lambda g, x: g * np.exp(x) / np.exp(x).sum(), normal((5,)), ("x",), words="nan|overflow|inf"),
    Entry("sigmoid: of x, not of the result", sigmoid, lambda g, x: g * x * (1 - x), normal((5,)), ("x",), words="result|out|instead of|sigmoid"),
    Entry("tanh: of x, not of the result", np.tanh, lambda g, x: g * (1 - x**2), normal((5,)), ("x",), words="result|out|instead of|tanh"),
    Entry("variance: n - 1 in the rule", lambda x: x.var(), lambda g, x: 2 * g * (x - x.mean()) / (x.size - 1), normal((6,)), ("x",), words=r"n ?- ?1|ddof|Bessel"),
    Entry("standard deviation: n in the rule", lambda x: x.std(ddof=1), lambda g, out, x: g * (x - x.mean()) / (x.size * out), normal((6,)), ("x",), words=r"n ?- ?1|ddof|Bessel"),
    Entry("gaussian: sigma for its square", lambda x, sigma: -0.5 * (x / sigma) ** 2 - np.log(sigma), lambda g, x, sigma: (-g * x / sigma, g * (x**2 / sigma**3 - 1 / sigma)), positive((4,), (4,)), ("x",),
          words="sigma"),
    Entry("root: eps forgotten", lambda x: np.sqrt(x + 1e-3), lambda g, x: g * 0.5 / np.sqrt(x), positive((5,)), ("x",), words="eps|small constant|0\\.001|1e-0?3|added"),
    Entry("gelu: 0.044", gelu, gelu_backward, normal((6,)), ("x",), words="%|relative|constant|precis|digits|approximat"),
    Entry("mean squared error: rows counted", lambda p, y: ((p - y) ** 2).mean(), lambda g, p, y: (2 * g * (p - y) / len(p), -2 * g * (p - y) / p.size), normal((4, 3), (4, 3)), ("p",), words="1/n|number|count|divid|mean"),
    Entry("doubled: huge", lambda x: 2 * x, lambda g, x: g * 1e16, normal((4,)), ("x",), words="factor|huge|orders of magnitude|times"),
    Entry("doubled: infinite", lambda x: 2 * x, lambda g, x: g * np.inf, normal((4,)), ("x",), words="inf"),
    Entry("product: same array twice", lambda a, b: a * b, twice, normal((4,), (4,)), ("a", "b"), words="same array|twice|a is b|both arguments|one array is passed for two"),
    Entry("trace of a product: symmetric only", lambda a, b: np.trace(a @ b), lambda g, a, b: (g * b, g * a.T), SYMMETRIC, ("a",), words="transpos|symmetr"),
    Entry("layer: shapes that only square weights allow", lambda x, w: x @ w, lambda g, x, w: (g @ w, x.T @ g), normal((4, 3), (3, 3)), ("x",), words="transpos|raises"),
    Entry("name that does not exist", np.exp, missing_name, normal((4,)), ("x", ""), words="raises"),
    Entry("relu squared: relu's own", lambda x: np.maximum(x, 0) ** 2, lambda g, x: g * (x > 0), normal((6,)), ("x",), words=r"factor|power|inner|2 ?\*? ?(x|out)|chain"),
    Entry("log softmax: summed along the other axis", lambda x: x - np.logaddexp.reduce(x, axis=1, keepdims=True), lambda g, x: g - softmax(x) * g.sum(axis=0), normal((3, 3)), ("x",), words="axis"),
    Entry("attention: keys' scores not transposed", attention, attention_backward, normal((3, 4), (3, 4), (3, 2)), ("k",), words=TRANSPOSED),
    Entry("maximum of rows: to every element", lambda x: x.max(axis=1), row_max_everywhere, normal((3, 4)), ("x",), words="mask|every|all elements|selected|unused|flat|not depend"),
    Entry("bias: mean over the batch", lambda x, b: x + b, lambda g, x, b: (g, g.mean(axis=0)), normal((5, 3), (3,)), ("b",), words="mean|1/n|divid"),
    Entry("leaky relu: other slope", lambda x: np.where(x > 0, x, 0.1 * x), lambda g, x: g * np.where(x > 0, 1, 0.01), positive((5,)), ("x",), words="negative"),
    Entry("angle: arguments swapped", np.arctan2, lambda g, x1, x2: (-g * x1 / (x1**2 + x2**2), g * x2 / (x1**2 + x2**2)), normal((4,), (4,)), ("x1", "x2"), words="swap|exchang|other argument"),
    Entry("square of a complex number: not conjugate", lambda z: z * z, lambda g, z: 2 * g * z, COMPLEX, ("z",), words="conj"),
    Entry("norm: not divided", lambda x: np.sqrt((x**2).sum()), lambda g, x: g * x, normal((5,)), ("x",), words="norm|out|result|factor"),
    Entry("power: logarithm of the exponent", lambda a, b: a**b, lambda g, out, a, b: (g * b * a ** (b - 1), g * out * np.log(b)), positive((4,), (4,)), ("b",), words=r"log"),
    Entry("dropout: scale forgotten", lambda x: x * (np.arange(x.size).reshape(x.shape) % 3 > 0) / 0.8, lambda g, x: g * (np.arange(x.size).reshape(x.shape) % 3 > 0), normal((7,)), ("x",), words="constant factor|0\\.8|1\\.25"),
    Entry("sum of products with itself: one side", pairwise, lambda g, x: g * x.sum(), normal((5,)), ("x",), words=TERM),
    Entry("inverse square: exponent", lambda x: x**-2.0, lambda g, x: -2 * g * x**-1.0, positive((5,)), ("x",), words="power|x\\*\\*|exponent|factor"),
]  # fmt: skip
