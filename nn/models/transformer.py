"""The sequence-to-sequence Transformer, such as for translation.

Vaswani et al. 2017, "Attention is all you need": encoder and decoder of section 3.1, sinusoidal positions (3.5), and one table of
tokens for source, target and output, multiplied by sqrt(width) at the inputs (3.4).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn import functional, init
from nn.embedding import Embedding
from nn.module import Module
from nn.positions import SinusoidalPositions
from nn.transformer import Transformer

__all__ = ["Seq2SeqTransformer"]


class Seq2SeqTransformer(Module):
    """Logits of the next target token, for each position of a target, given a source.

    vocab_size   how many tokens there are, in source and target together
    d_model, nhead, num_encoder_layers, num_decoder_layers, dim_feedforward, dropout  as in `nn.Transformer`; the paper's base model
                 by default
    norm_first   normalise before each part instead of after it
    padding_idx  a token that only fills up shorter sequences: nobody looks at it
    generator    where the initial values come from: a generator, a seed, or None for `nn.init`'s own
    call         (batch, n) and (batch, m) integers to (batch, m, vocab_size)

    >>> import numpy as np, nn
    >>> model = nn.models.Seq2SeqTransformer(10, d_model=16, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=32)
    >>> model(np.array([[4, 5, 6]]), np.array([[1, 4]])).shape
    (1, 2, 10)
    >>> model.generate(np.array([[4, 5, 6]]), start=1, end=2, max_length=4).shape[0]
    1
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        norm_first: bool = False,
        padding_idx: int | None = None,
        dtype: Any = np.float32,
        generator: init.Seed = None,
    ) -> None:
        generator = init.as_generator(generator)
        self.embedding = Embedding(vocab_size, d_model, padding_idx, dtype=dtype, generator=generator)
        init.normal_(self.embedding.weight, 0.0, d_model**-0.5, generator)
        self.positions = SinusoidalPositions(d_model, dropout=dropout, dtype=dtype)
        self.transformer = Transformer(
            d_model,
            nhead,
            num_encoder_layers,
            num_decoder_layers,
            dim_feedforward,
            dropout,
            batch_first=True,
            norm_first=norm_first,
            dtype=dtype,
            generator=generator,
        )
        self.padding_idx = padding_idx
        self.d_model = d_model

    def _embedded(self, tokens: Any, start: int = 0) -> Any:
        return self.positions(self.embedding(tokens) * math.sqrt(self.d_model), start)

    def _padding(self, tokens: Any) -> Any:
        return None if self.padding_idx is None else tokens == self.padding_idx

    def encode(self, source: Any) -> Any:
        """The memory that the decoder looks at, (batch, n, d_model)."""
        return self.transformer.encoder(self._embedded(source), src_key_padding_mask=self._padding(source))

    def decode(self, target: Any, memory: Any, source: Any, caches: Any = None) -> Any:
        """Logits for each position of `target`; with caches these are the positions after those that the caches hold."""
        past = 0 if caches is None else caches[0][0].length
        x = self.transformer.decoder(
            self._embedded(target, past), memory, memory_key_padding_mask=self._padding(source), tgt_is_causal=True, caches=caches
        )
        return functional.linear(x, self.embedding.weight)

    def forward(self, source: Any, target: Any) -> Any:
        return self.decode(target, self.encode(source), source)

    def generate(self, source: Any, start: int, end: int, max_length: int = 100) -> Any:
        """(batch, length <= max_length) tokens: `start`, and then the likeliest next one each time, until all have come to `end`.

        After its `end` a sequence is filled up with `end`.
        """
        training = self.training
        self.eval()
        try:
            with ag.no_grad():
                memory, caches = self.encode(source), self.transformer.decoder.caches()
                target = np.full((source.shape[0], 1), start)
                done = np.zeros(source.shape[0], dtype=bool)
                while target.shape[1] < max_length and not done.all():
                    following = self.decode(target[:, -1:], memory, source, caches).numpy()[:, -1].argmax(axis=-1)
                    following = np.where(done, end, following)
                    done |= following == end
                    target = np.concatenate((target, following[:, None]), axis=1)
        finally:
            self.train(training)
        return target
