"""Attention: softmax(query key^T / sqrt(E) + mask) value (Vaswani et al. 2017, "Attention is all you need", eq. 1).

Two operations share one kernel: `_attention` for separate queries, keys and values, and `_packed_attention` for the three of
one projection (the usual self-attention), which reads them where they lie and writes their gradients side by side. Both
return the weights too, which the backward pass needs. In the kernel the query is scaled before the product, the softmax
happens in the product's own memory, and rows are summed by products. (The sum over dp * p in the softmax's gradient is also
g . out (Dao et al. 2022, "FlashAttention", appendix B); that is shorter for many keys, but of weights that are 0 and 1 it leaves
rounding errors where the gradient is 0.) The same mathematics in ordinary NumPy stands beside it; it takes what is not a plain
array: tensors when the gradient is differentiated again, and batches. Large batches are worked on in parts, so that what is
made of one part is still in the cache when it is used.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.functional.dropout import check_probability, dropout

__all__ = ["attend", "attend_packed", "causal_bias", "dropout_factors", "mask_bias", "scaled_dot_product_attention"]


# --- the kernel ---------------------------------------------------------------------------------------------------------------


def _plain(*values: Any) -> bool:
    return all(value is None or type(value) is np.ndarray for value in values)


def _swapped(x: Any) -> Any:
    return x.swapaxes(-1, -2)


PART = 2**19  # scores, at most, in one part of a batch


def _batch_parts(shape: tuple[int, ...]) -> list[slice]:
    """Slices of the first axis of scores of `shape`."""
    step = max(1, PART // max(1, math.prod(shape[1:])))
    return [slice(start, start + step) for start in range(0, shape[0], step)]


def _part_of(x: Any, part: slice, ndim: int) -> Any:
    """The part of what broadcasts to an array of `ndim` axes."""
    return x if x is None or x.ndim < ndim or x.shape[0] == 1 else x[part]


def _scores(query: Any, key: Any, bias: Any, scale: float, out: Any = None) -> Any:
    scores = (query * scale) @ _swapped(key) if out is None else np.matmul(query * scale, _swapped(key), out=out)
    if bias is None:
        return scores
    in_place = type(scores) is np.ndarray and _plain(bias) and np.broadcast_shapes(scores.shape, bias.shape) == scores.shape
    return np.add(scores, bias, out=scores) if in_place else scores + bias


def _weights(query: Any, key: Any, bias: Any, scale: float, out: Any = None) -> Any:
    """softmax(scale * query key^T + bias), with zeros in a row that is -inf throughout."""
    scores = _scores(query, key, bias, scale, out)
    lowest = float(np.finfo(scores.dtype).min)
    if not _plain(scores):
        powers = np.exp(scores - np.maximum(ag.stop_gradient(scores).max(axis=-1, keepdims=True, initial=lowest), lowest))
        return powers / np.maximum(powers.sum(axis=-1, keepdims=True), 1)
    # Without taking the maximum off first, which is a fifth of the time, unless a row's sum tells that this was wrong.
    with np.errstate(over="ignore"):
        np.exp(scores, out=scores)
    ones = np.ones(scores.shape[-1], scores.dtype)
    total = scores @ ones
    if not (total.size and math.sqrt(np.finfo(scores.dtype).tiny) < total.min() and total.max() < math.inf):
        scores = _scores(query, key, bias, scale, out)
        # `initial` is what a row of -inf has for a maximum: its powers are 0 and not nan. Another row's sum is at least exp(0).
        scores -= scores.max(axis=-1, keepdims=True, initial=lowest)
        np.exp(scores, out=scores)
        total = scores @ ones
        np.maximum(total, 1, out=total)
    scores *= np.reciprocal(total, out=total)[..., None]
    return scores


def _weighted(weights: Any, factors: Any, value: Any, out: Any = None) -> Any:
    dropped = weights if factors is None else weights * factors
    return np.matmul(dropped, value, out=out) if out is not None else dropped @ value


def _score_gradients(g: Any, g_weights: Any, value: Any, weights: Any, factors: Any) -> Any:
    """The gradient of the scores, from those of the result and of the weights (either may be None)."""
    plain = _plain(g, g_weights, value, weights, factors)
    if g is None:
        flow = g_weights
    else:
        flow = g @ _swapped(value)
        flow = flow if factors is None else np.multiply(flow, factors, out=flow) if plain else flow * factors
        flow = flow if g_weights is None else flow + g_weights
    if not plain:
        return weights * (flow - (flow * weights).sum(axis=-1, keepdims=True))
    flow = np.subtract(flow, np.vecdot(flow, weights)[..., None], out=None if flow is g_weights else flow)
    flow *= weights
    return flow


def _attend_in_parts(query: Any, key: Any, value: Any, bias: Any, factors: Any, scale: float, result: Any) -> Any:
    """The weights; the result is written to `result`. For arrays with equal axes before the last two."""
    weights = np.empty((*query.shape[:-1], key.shape[-2]), query.dtype)
    for part in _batch_parts(weights.shape):
        _weights(query[part], key[part], _part_of(bias, part, weights.ndim), scale, out=weights[part])
        _weighted(weights[part], _part_of(factors, part, weights.ndim), value[part], out=result[part])
    return weights


def _gradients_in_parts(g: Any, weights: Any, operands: Any, factors: Any, scale: float, gradients: Any) -> None:
    """The gradients of query, key and value, written to `gradients`; g is that of the result and of the weights."""
    query, key, value = operands
    g_query, g_key, g_value = gradients
    for part in _batch_parts(weights.shape):
        g_result, g_weights, p = (None if x is None else x[part] for x in (*g, weights))
        f = _part_of(factors, part, weights.ndim)
        scores = _score_gradients(g_result, g_weights, value[part], p, f)
        scores *= scale
        np.matmul(scores, key[part], out=g_query[part])
        np.matmul(_swapped(scores), query[part], out=g_key[part])
        if g_result is None:
            g_value[part] = 0
        else:
            np.matmul(_swapped(p if f is None else p * f), g_result, out=g_value[part])


# --- queries, keys and values apart ---------------------------------------------------------------------------------------------


def _can_be_parted(query: Any, key: Any, value: Any, *others: Any) -> bool:
    return _plain(query, key, value, *others) and query.ndim > 2 and query.shape[:-2] == key.shape[:-2] == value.shape[:-2]


def _attention_rule(g: Any, out: Any, operands: Any, factors: Any, scale: float) -> Any:
    query, key, value = operands[:3]
    (g_result, g_weights), weights = g, out[1]
    if len(operands) == 3 and _can_be_parted(query, key, value, g_result, g_weights, weights, factors):
        gradients = [np.empty(x.shape, x.dtype) for x in operands]
        _gradients_in_parts(g, weights, operands, factors, scale, gradients)
        return gradients
    scores = _score_gradients(g_result, g_weights, value, weights, factors)
    g_value = None if g_result is None else _swapped(weights if factors is None else weights * factors) @ g_result
    return (scores @ key) * scale, _swapped(scores) @ (query * scale), g_value, scores


def _attention_samples(a: Any) -> list[Any]:
    return [
        ag.call((a(3, 2), a(4, 2), a(4, 5)), None, None, 0.7),
        ag.call((a(2, 1, 3, 2), a(2, 3, 2), a(1, 2, 3, 2)), None, None, 0.5),
        ag.call((a(2, 3, 2), a(2, 3, 2), a(2, 3, 1), a(3, 3)), None, None, 1.0),
        ag.call((a(2, 3, 2), a(2, 3, 2), a(2, 3, 1)), a(3, 3), 2.0 * a.mask(2, 3, 3), 1.0),
        ag.call((a(3, 2), a(3, 2), a(3, 2), a(2, 3, 3)), None, 2.0 * a.mask(3, 3), 0.5),
        ag.call((a(2, 0, 2), a(2, 3, 2), a(2, 3, 2)), None, None, 1.0),
        ag.call((a(3, 2), a(0, 2), a(0, 2)), None, None, 1.0),
    ]


@ag.op(batches=True, name="attention", real_only=True, operands=_attention_rule, inert=("bias",), samples=_attention_samples)
def _attention(operands: Any, bias: Any, factors: Any, scale: float) -> Any:
    """(result, weights); a bias that has a gradient is the fourth of the operands."""
    query, key, value = operands[:3]
    bias = operands[3] if len(operands) > 3 else bias
    shape = (*query.shape[:-1], key.shape[-2])
    if _can_be_parted(query, key, value, bias, factors) and (bias is None or np.broadcast_shapes(bias.shape, shape) == shape):
        result = np.empty((*query.shape[:-1], value.shape[-1]), np.result_type(query, value))
        weights = _attend_in_parts(query, key, value, bias, factors, scale, result)
        return result, weights
    weights = _weights(query, key, bias, scale)
    return _weighted(weights, factors, value), weights


def attend(query: Any, key: Any, value: Any, bias: Any = None, factors: Any = None, scale: float = 1.0) -> tuple[Any, Any]:
    """(result, weights before dropout) of attention with everything settled: the masks in one bias, dropout drawn.

    query, key, value  (..., L, E), (..., S, E), (..., S, V), with axes before that broadcast
    bias               added to the scores, broadcast to (..., L, S); None for none
    factors            what dropout multiplies the weights with: 0 or 1 / (1 - p) each; None for none
    scale              factor of the scores
    """
    if bias is None or type(bias) is np.ndarray:
        return _attention((query, key, value), bias, factors, scale)
    return _attention((query, key, value, bias), None, factors, scale)


# --- packed ---------------------------------------------------------------------------------------------------------------------


def _parts(packed: Any, heads: int, batch_first: bool) -> Any:
    """Query, key and value, (batch, heads, length, width of a head) each, in a packed projection: views of it."""
    first, second, width = packed.shape
    split = packed.reshape((first, second, 3, heads, width // (3 * heads)))
    return split.transpose((2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4))


def _by_head(x: Any, heads: int, batch_first: bool) -> Any:
    """(batch, heads, length, width of a head) of a result (batch, length, width), or with the first axes swapped: a view."""
    first, second, width = x.shape
    return x.reshape((first, second, heads, width // heads)).transpose((0, 2, 1, 3) if batch_first else (1, 2, 0, 3))


def _packed_rule(g: Any, out: Any, packed: Any, bias: Any, factors: Any, heads: int, scale: float, batch_first: bool) -> Any:
    (g_result, g_weights), weights = g, out[1]
    operands = _parts(packed, heads, batch_first)
    g_head = None if g_result is None else _by_head(g_result, heads, batch_first)
    if _plain(g_result, g_weights, packed, weights, factors):
        gradient = np.empty(packed.shape, packed.dtype)
        _gradients_in_parts((g_head, g_weights), weights, operands, factors, scale, _parts(gradient, heads, batch_first))
        return gradient
    query, key, value = operands
    scores = _score_gradients(g_head, g_weights, value, weights, factors)
    g_value = 0 * value if g_head is None else _swapped(weights if factors is None else weights * factors) @ g_head
    parts = np.stack(((scores @ key) * scale, _swapped(scores) @ (query * scale), g_value))
    return parts.transpose((1, 3, 0, 2, 4) if batch_first else (3, 1, 0, 2, 4)).reshape(packed.shape)


@ag.op(
    batches=True,
    name="packed_attention",
    real_only=True,
    packed=_packed_rule,
    samples=lambda a: [
        ag.call(a(2, 3, 12), None, None, 2, 0.5, True),
        ag.call(a(2, 3, 6), np.where(a.mask(3, 3) | np.eye(3, dtype=bool), 0.0, -np.inf)[:2, :2], 2.0 * a.mask(3, 1, 2, 2), 1, 0.5, False),
        ag.call(a(1, 0, 6), None, None, 2, 0.5, True),
    ],
)
def _packed_attention(packed: Any, bias: Any, factors: Any, heads: int, scale: float, batch_first: bool) -> Any:
    query, key, value = _parts(packed, heads, batch_first)
    shape = (*packed.shape[:2], packed.shape[2] // 3)
    if _plain(packed, bias, factors):
        result = np.empty(shape, packed.dtype)
        return result, _attend_in_parts(query, key, value, bias, factors, scale, _by_head(result, heads, batch_first))
    weights = _weights(query, key, bias, scale)
    result = _weighted(weights, factors, value)
    return result.transpose((0, 2, 1, 3) if batch_first else (2, 0, 1, 3)).reshape(shape), weights


def attend_packed(packed: Any, heads: int, bias: Any = None, factors: Any = None, scale: float = 1.0, batch_first: bool = True) -> tuple[Any, Any]:
    """`attend` for the queries, keys and values of one projection, by heads.

    packed   (batch, length, 3 * width), or (length, batch, 3 * width) if not batch_first: query, key, value side by side
    bias     constant, broadcast to (batch, heads, length, length)
    returns  (result of `packed`'s shape with one width, weights (batch, heads, length, length))
    """
    return _packed_attention(packed, bias, factors, heads, scale, batch_first)


# --- masks and dropout ------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=32)
def causal_bias(queries: int, keys: int, dtype: Any, offset: int = 0) -> Any:
    """(queries, keys): 0 where query i may see key j, j <= i + offset, and -inf elsewhere. Kept, so not to be written to."""
    bias = np.triu(np.full((queries, keys), -np.inf, dtype), 1 + offset)
    bias.flags.writeable = False
    return bias


def mask_bias(mask: Any, dtype: Any, name: str, layer: str, hides: bool) -> Any:
    """A mask as what is added to the scores: a boolean one as 0 and -inf, a float one as it is, in `dtype`.

    hides   whether True means "not to be seen", as in MultiheadAttention, instead of "to be seen"
    raises  TypeError for a mask of integers, of which nobody knows whether 1 hides, shows or adds 1
    """
    mask = mask if isinstance(mask, ag.Tensor) else np.asarray(mask)
    if mask.dtype.kind == "b":
        mask = mask.detach().numpy() if isinstance(mask, ag.Tensor) else mask
        return np.where(mask, dtype.type(-np.inf if hides else 0), dtype.type(0 if hides else -np.inf))
    if mask.dtype.kind != "f":
        meaning = "True hides" if hides else "True shows"
        raise TypeError(f"{layer}: {name} of dtype {mask.dtype} and shape {mask.shape}; give booleans ({meaning}) or floats, which are added")
    return mask if mask.dtype == dtype else mask.astype(dtype)


def dropout_factors(shape: tuple[int, ...], p: float, dtype: Any, generator: init.Seed = None) -> Any:
    """What dropout multiplies the weights with: an array of 0 and 1 / (1 - p); None if p is 0."""
    check_probability("attention", p)
    return None if p == 0 else dropout(np.ones(shape, dtype), p, generator=generator)


# --- the function -------------------------------------------------------------------------------------------------------------------


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
    *,
    generator: init.Seed = None,
) -> Any:
    """Attention: softmax(scale * query key^T + mask) value (Vaswani et al. 2017, eq. 1).

    query, key, value  (..., L, E), (..., S, E), (..., S, V), with axes before that broadcast
    attn_mask   broadcast to (..., L, S): booleans, True where a query may see a key, or floats that are added to the scores
                (and have a gradient)
    dropout_p   probability with which a weight is dropped; always applied, so pass 0.0 in evaluation
    is_causal   query i sees the keys j <= i only
    scale       1 / sqrt(E) by default
    enable_gqa  fewer heads (axis -3) of keys and values than of queries: each serves a group of neighbouring queries' heads
                (Ainslie et al. 2023, "GQA")
    generator   of the dropout: a generator, a seed, or None for `nn.init`'s own
    returns     (..., L, V). A query that may see no key gives zeros, with gradient zero, as in torch
    raises      ValueError naming the shapes that do not fit

    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True).round(4)
    array([[1.    , 0.    ],
           [0.3302, 0.6698]])
    """
    query, key, value = (x if isinstance(x, ag.Tensor) or hasattr(x, "swapaxes") else np.asarray(x) for x in (query, key, value))
    _check_shapes(query, key, value)
    if is_causal and attn_mask is not None:
        raise ValueError("scaled_dot_product_attention: give attn_mask or is_causal=True, not both; put the causal part into the mask")
    if enable_gqa:
        key, value = (_repeated(x, query, name) for x, name in ((key, "key"), (value, "value")))
    try:
        batch = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    except ValueError:
        raise _unfit(query, key, value, "the axes before the last two must broadcast (enable_gqa=True lets heads share keys)") from None
    shape = (*batch, query.shape[-2], key.shape[-2])
    bias = None
    if is_causal:
        bias = causal_bias(*shape[-2:], query.dtype)
    elif attn_mask is not None:
        bias = mask_bias(attn_mask, query.dtype, "attn_mask", "scaled_dot_product_attention", hides=False)
        if not _fits(bias.shape, shape):
            raise ValueError(f"scaled_dot_product_attention: attn_mask of shape {bias.shape} does not broadcast to {shape}")
    factors = dropout_factors(shape, dropout_p, query.dtype, generator)
    width = query.shape[-1]
    scale = (1 / math.sqrt(width) if width else 1.0) if scale is None else float(scale)
    return attend(query, key, value, bias, factors, scale)[0]


def _fits(shape: tuple[int, ...], into: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, into) == into
    except ValueError:
        return False


def _check_shapes(query: Any, key: Any, value: Any) -> None:
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise _unfit(query, key, value, "each needs two axes at least: (..., length, width)")
    if query.shape[-1] != key.shape[-1]:
        raise _unfit(query, key, value, "queries and keys must have one width")
    if key.shape[-2] != value.shape[-2]:
        raise _unfit(query, key, value, "there must be one value for each key")


def _unfit(query: Any, key: Any, value: Any, reason: str) -> ValueError:
    shapes = f"query of shape {query.shape}, key of shape {key.shape}, value of shape {value.shape}"
    return ValueError(f"scaled_dot_product_attention: {shapes}; {reason}")


def _repeated(x: Any, query: Any, name: str) -> Any:
    """`x` with each head repeated for the heads of `query` that share it."""
    if x.ndim < 3 or query.ndim < 3 or not x.shape[-3] or query.shape[-3] % x.shape[-3]:
        raise ValueError(
            f"scaled_dot_product_attention: enable_gqa with query of shape {query.shape} and {name} of shape {x.shape}; "
            "the heads (axis -3) of the queries must be a multiple"
        )
    group = query.shape[-3] // x.shape[-3]
    return x if group == 1 else np.repeat(x, group, axis=-3)
