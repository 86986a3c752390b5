"""`MultiheadAttention`: attention in several heads, with its projections."""

from __future__ import annotations

from typing import Any

import numpy as np

from nn import init
from nn.caches import KeyValueCache
from nn.casting import dtype_of_new
from nn.functional.dropout import check_probability
from nn.functional.multihead import multi_head_attention_forward
from nn.linear import Linear
from nn.module import Module
from nn.parameter import Parameter

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """Several attentions side by side, with torch's layout, names and initial distributions (Vaswani et al. 2017, section 3.2.2).

    embed_dim      width of the queries and of the result, a multiple of `num_heads`
    dropout        probability with which a weight is dropped while training
    bias           of the projections
    add_bias_kv    a learned key and value after all others
    add_zero_attn  a key and value of zeros after all others
    kdim, vdim     widths of keys and values, if they are not embed_dim
    batch_first    (batch, length, width) instead of (length, batch, width)
    device, dtype  of the parameters: the CPU; float32 if none is given
    generator      where the initial values come from: a generator, a seed, or None for `nn.init`'s own
    in_proj_weight, in_proj_bias  (3 embed_dim, embed_dim) and (3 embed_dim,): of query, key and value, one below the other;
                   with kdim or vdim q_proj_weight, k_proj_weight and v_proj_weight instead
    out_proj       a `Linear`

    Weights are drawn by `xavier_uniform_`, biases are 0. The call's arguments are those of
    `functional.multi_head_attention_forward`; it returns (result, weights), and None for the weights unless they are asked for.

    >>> import numpy as np, nn
    >>> x = np.ones((5, 3, 8), dtype=np.float32)
    >>> result, weights = nn.MultiheadAttention(8, 2, batch_first=True)(x, x, x)
    >>> result.shape, weights.shape
    ((5, 3, 8), (5, 3, 3))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ValueError(f"MultiheadAttention: embed_dim={embed_dim} must be a positive multiple of num_heads={num_heads}")
        check_probability("MultiheadAttention", dropout)
        dtype = dtype_of_new("MultiheadAttention", device, dtype)
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.add_zero_attn = add_zero_attn
        generator = init.as_generator(generator)
        one_width = self.kdim == self.vdim == embed_dim

        def weight(*shape: int) -> Parameter:
            return Parameter(np.zeros(shape, dtype))

        self.in_proj_weight = weight(3 * embed_dim, embed_dim) if one_width else None
        self.q_proj_weight = None if one_width else weight(embed_dim, embed_dim)
        self.k_proj_weight = None if one_width else weight(embed_dim, self.kdim)
        self.v_proj_weight = None if one_width else weight(embed_dim, self.vdim)
        self.in_proj_bias = weight(3 * embed_dim) if bias else None
        self.bias_k = weight(1, 1, embed_dim) if add_bias_kv else None
        self.bias_v = weight(1, 1, embed_dim) if add_bias_kv else None
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, dtype=dtype, generator=generator)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw the parameters anew."""
        generator = init.as_generator(generator)
        for matrix in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if matrix is not None:
                init.xavier_uniform_(matrix, generator=generator)
        self.out_proj.reset_parameters(generator)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for row in (self.bias_k, self.bias_v):
            if row is not None:
                init.xavier_normal_(row, generator=generator)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        cache: KeyValueCache | None = None,
    ) -> tuple[Any, Any]:
        return multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=self.in_proj_weight is None,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
            cache=cache,
        )

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, dropout={self.dropout}, batch_first={self.batch_first}"
