"""Multi-head attention: several attentions side by side, each on its own projection of queries, keys and values.

Vaswani et al. 2017, "Attention is all you need", section 3.2.2. What `nn.MultiheadAttention` computes, with torch's arguments.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nn import init
from nn.functional.attention import attend, attend_packed, causal_bias, dropout_factors, mask_bias
from nn.functional.products import linear

__all__ = ["multi_head_attention_forward"]

_LAYER = "MultiheadAttention"


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    batch_first: bool = False,
    cache: Any = None,
    generator: init.Seed = None,
) -> tuple[Any, Any]:
    """Project, attend in each head, join the heads and project again (Vaswani et al. 2017, section 3.2.2).

    query       (L, N, E), or (L, E) without a batch; `batch_first` means (N, L, E)
    key, value  (S, N, Ek) and (S, N, Ev), likewise
    in_proj_weight, in_proj_bias    (3 E, E) and (3 E,): for query, key and value, one below the other
    q_proj_weight, ...  (E, E), (E, Ek), (E, Ev) instead, with use_separate_proj_weight
    bias_k, bias_v      (1, 1, E): one more key and value, after all others; None for none
    add_zero_attn       one more key and value of zeros
    static_k, static_v  (N num_heads, S, E / num_heads): keys and values that are projected already
    key_padding_mask    (N, S), or (S,) without a batch: True hides a key from all queries; floats are added to the scores
    attn_mask   (L, S) or (N num_heads, L, S): True hides a key from a query; floats are added to the scores
    need_weights, average_attn_weights  return the weights (after dropout), averaged over the heads or of each head
    is_causal   query i sees the keys j <= i. As in torch it is a hint that attn_mask says so: the mask is not looked at if weights
                are not needed and no key is padded (and then bias_k and the key of zeros count as the last keys, which nobody sees)
    cache       a `nn.KeyValueCache`, whose keys and values come before these
    returns     (result of the query's shape, weights (N, L, S) or (N, num_heads, L, S), or None)
                A query that may see no key gives the bias of the output (torch: nan with need_weights, else the same as here)
    raises      ValueError naming the shapes that do not fit
    """
    shapes = f"query of shape {query.shape}, key of shape {key.shape}, value of shape {value.shape}"
    if query.ndim not in (2, 3) or key.ndim != query.ndim or value.ndim != query.ndim:
        raise ValueError(f"{_LAYER}: {shapes}; give all three with a batch, 3-d, or all three without, 2-d")
    if query.shape[-1] != embed_dim_to_check or embed_dim_to_check % num_heads:
        raise ValueError(f"{_LAYER}: {shapes}; the query's width must be embed_dim={embed_dim_to_check}, a multiple of num_heads={num_heads}")
    batched = query.ndim == 3
    same = query is key and key is value
    if not batched:
        batch_first = True
        query, key, value = ([x.reshape((1, *x.shape)) for x in (query, key, value)]) if not same else 3 * [query.reshape((1, *query.shape))]
        key_padding_mask = None if key_padding_mask is None else np.reshape(key_padding_mask, (1, *np.shape(key_padding_mask)))
    length_axis = 1 if batch_first else 0
    batch, queries, keys = query.shape[1 - length_axis], query.shape[length_axis], key.shape[length_axis]
    if key.shape[:2] != value.shape[:2] or key.shape[1 - length_axis] != batch:
        raise ValueError(f"{_LAYER}: {shapes}; the batches must be equal, and there must be one value for each key")
    past = 0 if cache is None else cache.length
    seen = past if cache is not None and cache.fixed and past else past + (keys if static_k is None else static_k.shape[1])
    extra = (bias_k is not None) + add_zero_attn
    only_causal = is_causal and attn_mask is not None and key_padding_mask is None and not need_weights
    causal = causal_bias(queries, seen, query.dtype, past) if is_causal and attn_mask is None else None
    bias = _merged_masks(None if only_causal else attn_mask, key_padding_mask, causal, (batch, num_heads, queries, seen), query.dtype)
    if extra and bias is not None:
        bias = np.concatenate((bias, np.zeros((*bias.shape[:-1], extra), bias.dtype)), axis=-1)
    if only_causal:
        bias = causal_bias(queries, seen + extra, query.dtype, past)
    weights = (in_proj_weight,) if not use_separate_proj_weight else (q_proj_weight, k_proj_weight, v_proj_weight)
    probability = dropout_p if training else 0.0
    factors = dropout_factors((batch, num_heads, queries, seen + extra), probability, query.dtype, generator)
    scale = 1 / math.sqrt(embed_dim_to_check // num_heads)

    if same and len(weights) == 1 and not extra and cache is None and static_k is static_v is None and (bias is None or type(bias) is np.ndarray):
        packed = linear(query, in_proj_weight, in_proj_bias)
        result, attention = attend_packed(packed, num_heads, bias, factors, scale, batch_first)
    else:
        settled = cache is not None and cache.fixed and cache.length > 0
        parts = _projected(query, key, value, weights, in_proj_bias, keys_too=not settled)
        if bias_k is not None or bias_v is not None:
            parts = _with_bias(parts, bias_k, bias_v, length_axis, static_k is not None or static_v is not None or cache is not None)
        by_head: list[Any] = [None if x is None else _heads(x, num_heads, batch_first) for x in parts]
        q, k, v = by_head
        k, v = (x if static is None else _static(static, x.shape, name) for x, static, name in ((k, static_k, "static_k"), (v, static_v, "static_v")))
        if cache is not None:
            k, v = cache.extend(k, v)
        if add_zero_attn:
            k, v = (np.concatenate((x, np.zeros((*x.shape[:2], 1, x.shape[3]), x.dtype)), axis=2) for x in (k, v))
        result, attention = attend(q, k, v, bias, factors, scale)
        result = result.transpose((0, 2, 1, 3) if batch_first else (2, 0, 1, 3)).reshape(query.shape)
    result = linear(result, out_proj_weight, out_proj_bias)
    if need_weights:
        attention = attention if factors is None else attention * factors
        attention = attention.mean(axis=1) if average_attn_weights else attention
    if not batched:
        result, attention = result[0], attention[0] if need_weights else None
    return result, attention if need_weights else None


def _merged_masks(attn_mask: Any, key_padding_mask: Any, causal: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """All masks as one bias that broadcasts to `shape`, (batch, heads, queries, keys); None if there is none."""
    batch, heads, queries, keys = shape
    bias = causal
    if attn_mask is not None:
        mask = mask_bias(attn_mask, dtype, "attn_mask", _LAYER, hides=True)
        expected = (queries, keys) if mask.ndim == 2 else (batch * heads, queries, keys)
        if mask.shape != expected:
            raise ValueError(f"{_LAYER}: attn_mask of shape {mask.shape}, expected {(queries, keys)} or {(batch * heads, queries, keys)}")
        mask = mask if mask.ndim == 2 else mask.reshape(shape)
        bias = mask if bias is None else bias + mask
    if key_padding_mask is not None:
        padding = mask_bias(key_padding_mask, dtype, "key_padding_mask", _LAYER, hides=True)
        if padding.shape != (batch, keys):
            raise ValueError(f"{_LAYER}: key_padding_mask of shape {padding.shape}, expected {(batch, keys)}: one entry for each key")
        padding = padding.reshape((batch, 1, 1, keys))
        bias = padding if bias is None else bias + padding
    return bias


def _projected(query: Any, key: Any, value: Any, weights: tuple[Any, ...], bias: Any, keys_too: bool) -> list[Any]:
    """The projections of query, key and value, those of one input in one product; [q, None, None] unless `keys_too`."""
    width = query.shape[-1]
    biases = (None, None, None) if bias is None else tuple(bias[i * width : (i + 1) * width] for i in range(3))
    for i, (x, name) in enumerate(((query, "query"), (key, "key"), (value, "value"))):
        columns = weights[i % len(weights)].shape[-1]
        if x.shape[-1] != columns:
            raise ValueError(f"{_LAYER}: {name} of shape {x.shape}, expected a width of {columns} (kdim and vdim of the layer)")
    if len(weights) == 3:
        rows: Any = weights
    elif keys_too and query is key and key is value:
        packed = linear(query, weights[0], bias)
        return [packed[..., i * width : (i + 1) * width] for i in range(3)]
    elif keys_too and key is value:
        packed = linear(key, weights[0][width:], None if bias is None else bias[width:])
        return [linear(query, weights[0][:width], biases[0]), packed[..., :width], packed[..., width:]]
    else:
        rows = tuple(weights[0][i * width : (i + 1) * width] for i in range(3))
    given = (query, key, value) if keys_too else (query, None, None)
    return [None if x is None else linear(x, row, b) for x, row, b in zip(given, rows, biases, strict=True)]


def _with_bias(parts: list[Any], bias_k: Any, bias_v: Any, length_axis: int, refused: bool) -> list[Any]:
    """Keys and values with one more at the end, the same for all of the batch."""
    if bias_k is None or bias_v is None or refused:
        raise ValueError(f"{_LAYER}: bias_k and bias_v go together, and neither with static_k, static_v nor with a cache")
    query, key, value = parts
    shape = (key.shape[0], 1, key.shape[2]) if length_axis else (1, *key.shape[1:])
    key, value = (np.concatenate((x, np.broadcast_to(bias, shape)), axis=length_axis) for x, bias in ((key, bias_k), (value, bias_v)))
    return [query, key, value]


def _heads(x: Any, heads: int, batch_first: bool) -> Any:
    """(batch, heads, length, width of a head) of a projection."""
    first, second, width = x.shape
    return x.reshape((first, second, heads, width // heads)).transpose((0, 2, 1, 3) if batch_first else (1, 2, 0, 3))


def _static(static: Any, shape: tuple[int, ...], name: str) -> Any:
    batch, heads, _, width = shape
    if static.ndim != 3 or static.shape[0] != batch * heads or static.shape[2] != width:
        raise ValueError(
            f"{_LAYER}: {name} of shape {static.shape}, expected ({batch * heads}, keys, {width}): (batch * heads, keys, width of a head)"
        )
    return static.reshape((batch, heads, *static.shape[1:]))
