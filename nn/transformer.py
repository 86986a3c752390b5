"""The Transformer's layers, and stacks of them (Vaswani et al. 2017, "Attention is all you need", section 3 and figure 1).

A layer is attention and a small network at each position, each with a residual connection and layer normalisation: after the
sum as in the paper, or before the branch with `norm_first` (Xiong et al. 2020, "On layer normalization in the Transformer
architecture", figure 1), which trains without a warm-up. Names, arguments, `state_dict` keys and numerics are torch's.

Masks are those of `MultiheadAttention`: True hides. `is_causal` without a mask hides the later positions; with one it is
torch's hint that the mask does so. torch, in evaluation and without gradients, may leave out padded positions altogether, so
that they come out as zeros; here they are computed in evaluation as in training.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nn import functional, init
from nn.attention import MultiheadAttention
from nn.caches import KeyValueCache
from nn.casting import dtype_of_new
from nn.containers import ModuleList
from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.normalisation import LayerNorm

__all__ = ["Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder", "TransformerEncoderLayer"]

Activation = str | Callable[[Any], Any]
_ACTIVATIONS = {"relu": functional.relu, "gelu": functional.gelu}


class _Layer(Module):
    """What the layers of encoder and decoder share: the network at each position."""

    activation: Any

    def _set_feed_forward(
        self, d_model: int, dim_feedforward: int, dropout: float, activation: Activation, bias: bool, dtype: Any, generator: init.Seed
    ) -> None:
        if isinstance(activation, str) and activation not in _ACTIVATIONS:
            raise ValueError(f'{type(self).__name__}: activation must be "relu", "gelu" or a function, not {activation!r}')
        self.linear1 = Linear(d_model, dim_feedforward, bias=bias, dtype=dtype, generator=generator)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias=bias, dtype=dtype, generator=generator)
        self.activation = _ACTIVATIONS[activation] if isinstance(activation, str) else activation

    def _feed_forward(self, x: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention and a network at each position.

    d_model, nhead     width, and number of heads, which divides it
    dim_feedforward    width of the hidden layer at each position
    dropout            probability, of the attention's weights and after each part
    activation         "relu", "gelu", or a function or module
    layer_norm_eps     eps of the normalisations
    batch_first        (batch, length, width) instead of (length, batch, width)
    norm_first         normalise before attention and network, not after them
    bias               of all linear layers and normalisations
    device, dtype      of the parameters: the CPU; float32 if none is given
    generator          where the initial values come from: a generator, a seed, or None for `nn.init`'s own

    >>> import numpy as np, nn
    >>> nn.TransformerEncoderLayer(8, 2, dim_feedforward=16)(np.zeros((5, 3, 8), dtype=np.float32)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = functional.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        generator, dtype = init.as_generator(generator), dtype_of_new(type(self).__name__, device, dtype)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias=bias, batch_first=batch_first, dtype=dtype, generator=generator)
        self._set_feed_forward(d_model, dim_feedforward, dropout, activation, bias, dtype, generator)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)

    def forward(
        self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False, *, cache: KeyValueCache | None = None
    ) -> Any:
        def attend(x: Any) -> Any:
            return self.dropout1(self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal, cache=cache)[0])

        x = src
        if self.norm_first:
            x = x + attend(self.norm1(x))
            return x + self.dropout2(self._feed_forward(self.norm2(x)))
        x = self.norm1(x + attend(x))
        return self.norm2(x + self.dropout2(self._feed_forward(x)))


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's memory, and a network at each position; arguments as in the encoder's layer.

    >>> import numpy as np, nn
    >>> layer = nn.TransformerDecoderLayer(8, 2, dim_feedforward=16)
    >>> layer(np.zeros((5, 3, 8), dtype=np.float32), memory=np.zeros((4, 3, 8), dtype=np.float32)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = functional.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        generator, dtype = init.as_generator(generator), dtype_of_new(type(self).__name__, device, dtype)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias=bias, batch_first=batch_first, dtype=dtype, generator=generator)
        self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias=bias, batch_first=batch_first, dtype=dtype, generator=generator)
        self._set_feed_forward(d_model, dim_feedforward, dropout, activation, bias, dtype, generator)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.norm3 = LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
        *,
        caches: tuple[KeyValueCache | None, KeyValueCache | None] = (None, None),
    ) -> Any:
        own, memorys = caches

        def attend(x: Any) -> Any:
            return self.dropout1(self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal, cache=own)[0])

        def look(x: Any) -> Any:
            attention = self.multihead_attn(x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal, cache=memorys)
            return self.dropout2(attention[0])

        x = tgt
        if self.norm_first:
            x = x + attend(self.norm1(x))
            x = x + look(self.norm2(x))
            return x + self.dropout3(self._feed_forward(self.norm3(x)))
        x = self.norm1(x + attend(x))
        x = self.norm2(x + look(x))
        return self.norm3(x + self.dropout3(self._feed_forward(x)))


def _copies(layer: Module, count: int) -> ModuleList:
    """Copies with the same initial values, as torch makes them."""
    return ModuleList(copy.deepcopy(layer) for _ in range(count))


class TransformerEncoder(Module):
    """`num_layers` copies of a layer, one after the other, and a normalisation at the end if there is one.

    enable_nested_tensor, mask_check  accepted, and make no difference: padded positions are always computed

    >>> import numpy as np, nn
    >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), num_layers=2)
    >>> encoder(np.zeros((5, 3, 8), dtype=np.float32), is_causal=True).shape
    (5, 3, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None, enable_nested_tensor: bool = True, mask_check: bool = True
    ) -> None:
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self,
        src: Any,
        mask: Any = None,
        src_key_padding_mask: Any = None,
        is_causal: bool | None = None,
        *,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Any:
        output = src
        for i, layer in enumerate(self.layers):
            more = {} if caches is None else {"cache": caches[i]}
            output = layer(output, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=bool(is_causal), **more)
        return output if self.norm is None else self.norm(output)

    def caches(self) -> list[KeyValueCache]:
        """Empty caches for generation with `is_causal`: one for each layer."""
        return [KeyValueCache() for _ in self.layers]


class TransformerDecoder(Module):
    """`num_layers` copies of a layer, one after the other, and a normalisation at the end if there is one.

    >>> import numpy as np, nn
    >>> decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), num_layers=2)
    >>> target, memory = np.zeros((5, 3, 8), dtype=np.float32), np.zeros((4, 3, 8), dtype=np.float32)
    >>> decoder(target, memory, tgt_is_causal=True).shape
    (5, 3, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Any,
        memory: Any,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
        *,
        caches: Sequence[tuple[KeyValueCache, KeyValueCache]] | None = None,
    ) -> Any:
        output = tgt
        for i, layer in enumerate(self.layers):
            output = layer(
                output,
                memory,
                tgt_mask=tgt_mask,
                memory_mask=memory_mask,
                tgt_key_padding_mask=tgt_key_padding_mask,
                memory_key_padding_mask=memory_key_padding_mask,
                tgt_is_causal=bool(tgt_is_causal),
                memory_is_causal=memory_is_causal,
                **({} if caches is None else {"caches": caches[i]}),
            )
        return output if self.norm is None else self.norm(output)

    def caches(self) -> list[tuple[KeyValueCache, KeyValueCache]]:
        """Empty caches for generation with `tgt_is_causal`: for each layer one of its own positions, and one of the memory."""
        return [(KeyValueCache(), KeyValueCache(fixed=True)) for _ in self.layers]


class Transformer(Module):
    """Encoder and decoder, with a normalisation at the end of each (Vaswani et al. 2017, figure 1).

    num_encoder_layers, num_decoder_layers  how many layers; the other arguments are those of the layers
    custom_encoder, custom_decoder          modules to take instead

    All matrices are drawn by `xavier_uniform_`. There is no embedding and no position encoding: see `nn.models.Seq2SeqTransformer`.

    >>> import numpy as np, nn
    >>> model = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    >>> source, target = np.zeros((3, 5, 8), dtype=np.float32), np.zeros((3, 4, 8), dtype=np.float32)
    >>> model(source, target, tgt_mask=nn.Transformer.generate_square_subsequent_mask(4)).shape
    (3, 4, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = functional.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        generator, dtype = init.as_generator(generator), dtype_of_new("Transformer", device, dtype)
        sizes = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias, device, dtype)
        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(*sizes, generator=generator), num_encoder_layers, LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(*sizes, generator=generator), num_decoder_layers, LayerNorm(d_model, layer_norm_eps, bias=bias, dtype=dtype)
        )
        self.reset_parameters(generator)
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw all matrices anew."""
        generator = init.as_generator(generator)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter, generator=generator)

    def forward(
        self,
        src: Any,
        tgt: Any,
        src_mask: Any = None,
        tgt_mask: Any = None,
        memory_mask: Any = None,
        src_key_padding_mask: Any = None,
        tgt_key_padding_mask: Any = None,
        memory_key_padding_mask: Any = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Any:
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and tgt.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise ValueError(f"Transformer: src of shape {src.shape} and tgt of shape {tgt.shape}; the batches (axis {batch}) must be equal")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ValueError(f"Transformer: src of shape {src.shape} and tgt of shape {tgt.shape}; the last axis must be d_model={self.d_model}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz: int, dtype: Any = np.float32) -> Any:
        """(sz, sz): 0 where position i may see position j, j <= i, and -inf elsewhere.

        >>> import nn
        >>> nn.Transformer.generate_square_subsequent_mask(2)
        array([[  0., -inf],
               [  0.,   0.]], dtype=float32)
        """
        return np.triu(np.full((sz, sz), -np.inf, dtype), 1)
