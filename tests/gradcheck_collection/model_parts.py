"""Parts of models as people write them by hand, with right backward passes and with mistaken ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck_collection.wrong import sigmoid, softmax


def rms_norm(x: Any) -> Any:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)


def rms_norm_eps_outside(g: Any, x: Any) -> Any:
    size = np.sqrt((x**2).mean(axis=-1, keepdims=True)) + 1e-3
    return g / size - x * (g * x).mean(axis=-1, keepdims=True) / size**3


def batch_norm(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - x.mean(axis=0)
    return scale * centred / np.sqrt((centred**2).mean(axis=0) + 1e-5) + shift


def batch_norm_backward(g: Any, x: Any, scale: Any, shift: Any) -> tuple[Any, ...]:
    centred = x - x.mean(axis=0)
    inverse = 1 / np.sqrt((centred**2).mean(axis=0) + 1e-5)
    normal, dn = centred * inverse, g * scale
    return inverse * (dn - dn.mean(axis=0) - normal * (dn * normal).mean(axis=0)), (g * normal).sum(axis=0), g.sum(axis=0)


def convolution(x: Any, k: Any) -> Any:
    rows, columns = x.shape[0] - k.shape[0] + 1, x.shape[1] - k.shape[1] + 1
    return sum(k[i, j] * x[i : i + rows, j : j + columns] for i in range(k.shape[0]) for j in range(k.shape[1]))


def convolution_backward(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    dx, dk = np.zeros_like(x), np.zeros_like(k)
    for i in range(k.shape[0]):
        for j in range(k.shape[1]):
            window = (slice(i, i + g.shape[0]), slice(j, j + g.shape[1]))
            dx[window] += k[i, j] * g
            dk[i, j] = (g * x[window]).sum()
    return dx, dk


def convolution_without_last_row(g: Any, x: Any, k: Any) -> tuple[Any, Any]:
    dx, dk = convolution_backward(g, x, k)
    dx[-1] = 0
    return dx, dk


def _tiles(x: Any) -> Any:
    return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2)


def max_pool(x: Any) -> Any:
    return _tiles(x).max(axis=(1, 3))


def max_pool_backward(shared: bool) -> Callable[..., Any]:
    def backward(g: Any, x: Any) -> Any:
        chosen = _tiles(x) == max_pool(x)[:, None, :, None]
        shares = chosen / chosen.sum(axis=(1, 3), keepdims=True) if shared else chosen
        return (shares * g[:, None, :, None]).reshape(x.shape)

    return backward


def attention(q: Any, k: Any, v: Any) -> Any:
    return softmax(q @ k.T / np.sqrt(q.shape[-1])) @ v


def attention_backward(scaled: bool) -> Callable[..., Any]:
    def backward(g: Any, q: Any, k: Any, v: Any) -> tuple[Any, ...]:
        p = softmax(q @ k.T / np.sqrt(q.shape[-1]))
        dp = g @ v.T
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / (np.sqrt(q.shape[-1]) if scaled else 1.0)
        return ds @ k, ds.T @ q, p.T @ g

    return backward


def gated(x: Any, h: Any, w: Any, u: Any) -> Any:
    z = sigmoid(x @ w + h @ u)
    return z * h + (1 - z) * np.tanh(x)


def gated_backward(direct: bool) -> Callable[..., Any]:
    def backward(g: Any, x: Any, h: Any, w: Any, u: Any) -> tuple[Any, ...]:
        z, c = sigmoid(x @ w + h @ u), np.tanh(x)
        dz = g * (h - c) * z * (1 - z)
        return dz @ w.T + g * (1 - z) * (1 - c * c), dz @ u.T + (g * z if direct else 0.0), x.T @ dz, h.T @ dz

    return backward


def embedding_backward(adds: bool) -> Callable[..., Any]:
    def backward(g: Any, w: Any, index: Any) -> tuple[Any, None]:
        d = np.zeros_like(w)
        if adds:
            np.add.at(d, index, g)
        else:
            d[index] += g
        return d, None

    return backward


_cell: dict[str, Any] = {}


def remembering_product(x: Any, w: Any) -> Any:
    _cell["x"] = x
    return np.tanh(x * w)


def remembered_product(g: Any, x: Any, w: Any) -> tuple[Any, Any]:
    d = g * (1 - np.tanh(_cell["x"] * w) ** 2)
    return d * w, d * _cell["x"]


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def gelu_backward(inner: float) -> Callable[..., Any]:
    def backward(g: Any, x: Any) -> Any:
        t = np.tanh(0.7978845608 * (x + 0.044715 * x**3))
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * 0.7978845608 * (1 + inner * 0.044715 * x**2))

    return backward


def huber(x: Any) -> Any:
    return np.where(np.abs(x) <= 1, 0.5 * x * x, np.abs(x) - 0.5)


def cumprod_dividing(g: Any, a: Any) -> Any:
    return np.cumsum((g * np.cumprod(a))[::-1])[::-1] / a


def cumprod_backward(g: Any, a: Any) -> Any:
    return np.array([sum(g[k] * np.prod(np.delete(a[: k + 1], j)) for k in range(j, a.size)) for j in range(a.size)])


def cosine(a: Any, b: Any) -> Any:
    return (a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())


def cosine_backward(complete: bool) -> Callable[..., Any]:
    def backward(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
        lengths, c = np.sqrt((a * a).sum() * (b * b).sum()), cosine(a, b)
        return g * (b / lengths - c * a / (a * a).sum()), g * (a / lengths - (c * b / (b * b).sum() if complete else 0.0))

    return backward


def clip_by_norm(x: Any) -> Any:
    size = np.sqrt((x * x).sum())
    return x * min(1.0, 2.0 / size) if size > 0 else x * 1.0


def clip_by_norm_backward(complete: bool) -> Callable[..., Any]:
    def backward(g: Any, x: Any) -> Any:
        size = np.sqrt((x * x).sum())
        if size <= 2:
            return g * 1.0
        return 2 * g / size - (2 * x * (g @ x) / size**3 if complete else 0.0)

    return backward


def interpolate(table: Any, t: Any) -> Any:
    i = np.clip(np.floor(t).astype(int), 0, table.size - 2)
    return table[i] * (1 - (t - i)) + table[i + 1] * (t - i)


def interpolate_backward(swapped: bool) -> Callable[..., Any]:
    def backward(g: Any, table: Any, t: Any) -> tuple[Any, Any]:
        i = np.clip(np.floor(t).astype(int), 0, table.size - 2)
        d, share = np.zeros_like(table), t - i
        np.add.at(d, i, g * (share if swapped else 1 - share))
        np.add.at(d, i + 1, g * (1 - share if swapped else share))
        return d, g * (table[i + 1] - table[i])

    return backward


def log_softmax(x: Any) -> Any:
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def transposed_view(a: Any) -> Any:
    """The transpose of a matrix by its raw memory: right only in C order."""
    return np.lib.stride_tricks.as_strided(a, a.shape[::-1], (a.itemsize, a.itemsize * a.shape[1]))


def median_backward(g: Any, a: Any) -> Any:
    order, middle = np.argsort(a, kind="stable"), a.size // 2
    d = np.zeros_like(a)
    for j in order[middle : middle + 1] if a.size % 2 else order[middle - 1 : middle + 1]:
        d[j] += g / (1 if a.size % 2 else 2)
    return d


def largest_two_backward(g: Any, x: Any) -> Any:
    d = np.zeros_like(x)
    d[np.argsort(-x, kind="stable")[:2]] = g
    return d


def nuclear_backward(g: Any, x: Any) -> Any:
    u, _, vh = np.linalg.svd(x, full_matrices=False)
    return g * u @ vh


def largest_eigenvalue_backward(g: Any, a: Any) -> Any:
    v = np.linalg.eigh(a)[1][:, -1]
    return g * np.outer(v, v)


def safe_divide(a: Any, b: Any) -> Any:
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def safe_divide_backward(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    safe = np.where(b == 0, 1.0, b)
    return np.where(b == 0, 0.0, g / safe), np.where(b == 0, 0.0, -g * a / safe**2)


def kept(shape: tuple[int, ...]) -> Any:
    return (np.random.default_rng(7).random(shape) > 0.4) / 0.6


def least_squares(a: Any, b: Any) -> Any:
    return np.linalg.solve(a.T @ a, a.T @ b)


def least_squares_backward(g: Any, a: Any, b: Any) -> tuple[Any, Any]:
    inverse = np.linalg.inv(a.T @ a)
    x, y = inverse @ a.T @ b, inverse @ g
    return np.outer(b - a @ x, y) - np.outer(a @ y, x), a @ y


def distances(x: Any) -> Any:
    return np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=-1))


def distances_backward(g: Any, x: Any) -> Any:
    apart, d = x[:, None] - x[None], distances(x)
    return (((g + g.T) / np.where(d == 0, 1, d))[..., None] * apart).sum(axis=1)
