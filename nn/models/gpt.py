"""GPT: a decoder-only Transformer that predicts the next token, and generates text with that.

Radford et al. 2019, "Language models are unsupervised multitask learners" (GPT-2), section 2.3: learned positions,
normalisation before each part and once more at the end, the projections back into the residual stream drawn smaller the more
layers there are, and the table of tokens shared with the output (Press & Wolf 2017). Arguments, names of the layers and initial
values are nanoGPT's, so its checkpoints load by name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn import functional, init
from nn.caches import KeyValueCache
from nn.containers import ModuleDict, ModuleList
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.functional.attention import attend, attend_packed, causal_bias, dropout_factors
from nn.linear import Linear
from nn.module import Module
from nn.normalisation import LayerNorm

__all__ = ["GPT"]


class _CausalSelfAttention(Module):
    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool, dtype: Any) -> None:
        self.c_attn = Linear(n_embd, 3 * n_embd, bias=bias, dtype=dtype)
        self.c_proj = Linear(n_embd, n_embd, bias=bias, dtype=dtype)
        self.resid_dropout = Dropout(dropout)
        self.n_head = n_head
        self.dropout = dropout

    def forward(self, x: Any, cache: KeyValueCache | None = None) -> Any:
        packed = self.c_attn(x)
        batch, length, width = x.shape
        past = 0 if cache is None else cache.length
        bias = causal_bias(length, past + length, x.dtype, past)
        factors = dropout_factors((batch, self.n_head, length, past + length), self.dropout if self.training else 0.0, x.dtype)
        scale = 1 / math.sqrt(width // self.n_head)
        if cache is None:
            y, _ = attend_packed(packed, self.n_head, bias, factors, scale)
        else:
            query, key, value = packed.reshape((batch, length, 3, self.n_head, -1)).transpose((2, 0, 3, 1, 4))
            y, _ = attend(query, *cache.extend(key, value), bias, factors, scale)
            y = y.transpose((0, 2, 1, 3)).reshape(x.shape)
        return self.resid_dropout(self.c_proj(y))


class _MLP(Module):
    def __init__(self, n_embd: int, dropout: float, bias: bool, dtype: Any) -> None:
        self.c_fc = Linear(n_embd, 4 * n_embd, bias=bias, dtype=dtype)
        self.c_proj = Linear(4 * n_embd, n_embd, bias=bias, dtype=dtype)
        self.dropout = Dropout(dropout)

    def forward(self, x: Any) -> Any:
        return self.dropout(self.c_proj(functional.gelu(self.c_fc(x))))


class _Block(Module):
    def __init__(self, n_embd: int, n_head: int, dropout: float, bias: bool, dtype: Any) -> None:
        self.ln_1 = LayerNorm(n_embd, bias=bias, dtype=dtype)
        self.attn = _CausalSelfAttention(n_embd, n_head, dropout, bias, dtype)
        self.ln_2 = LayerNorm(n_embd, bias=bias, dtype=dtype)
        self.mlp = _MLP(n_embd, dropout, bias, dtype)

    def forward(self, x: Any, cache: KeyValueCache | None = None) -> Any:
        x = x + self.attn(self.ln_1(x), cache)
        return x + self.mlp(self.ln_2(x))


class GPT(Module):
    """Logits of the next token, for each position of a sequence of tokens.

    vocab_size  how many tokens there are
    block_size  how many positions the model can see at most
    n_layer, n_head, n_embd  number of layers, heads of each, and width
    dropout     probability, of the attention's weights, after each part and of the embeddings
    bias        of the linear layers and normalisations
    generator   where the initial values come from: a generator, a seed, or None for `nn.init`'s own
    call        (batch, length) integers to (batch, length, vocab_size); ValueError for more than block_size positions

    >>> import numpy as np, nn
    >>> model = nn.models.GPT(vocab_size=10, block_size=8, n_layer=2, n_head=2, n_embd=16, generator=0)
    >>> model(np.array([[1, 2, 3]])).shape
    (1, 3, 10)
    >>> model.generate(np.array([[1, 2, 3]]), 2, temperature=0).shape
    (1, 5)
    """

    def __init__(
        self,
        vocab_size: int,
        block_size: int = 1024,
        n_layer: int = 12,
        n_head: int = 12,
        n_embd: int = 768,
        dropout: float = 0.0,
        bias: bool = True,
        dtype: Any = np.float32,
        generator: init.Seed = None,
    ) -> None:
        if n_embd % n_head:
            raise ValueError(f"GPT: n_embd={n_embd} must be a multiple of n_head={n_head}")
        self.block_size = block_size
        self.transformer = ModuleDict(
            {
                "wte": Embedding(vocab_size, n_embd, dtype=dtype),
                "wpe": Embedding(block_size, n_embd, dtype=dtype),
                "drop": Dropout(dropout),
                "h": ModuleList(_Block(n_embd, n_head, dropout, bias, dtype) for _ in range(n_layer)),
                "ln_f": LayerNorm(n_embd, bias=bias, dtype=dtype),
            }
        )
        self.lm_head = Linear(n_embd, vocab_size, bias=False, dtype=dtype)
        self.transformer["wte"].weight = self.lm_head.weight
        self.reset_parameters(generator)

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw the weights anew: normal with standard deviation 0.02, smaller by sqrt(2 n_layer) where a part ends."""
        generator = init.as_generator(generator)
        smaller = math.sqrt(2 * len(self._blocks))
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                init.zeros_(parameter)
            elif parameter.ndim == 2:
                init.normal_(parameter, 0.0, 0.02 / smaller if name.endswith("c_proj.weight") else 0.02, generator)

    @property
    def _blocks(self) -> Any:
        return self.transformer["h"]

    def forward(self, tokens: Any, caches: list[KeyValueCache] | None = None) -> Any:
        past = 0 if caches is None else caches[0].length
        if tokens.ndim != 2 or past + tokens.shape[1] > self.block_size:
            raise ValueError(f"GPT: tokens of shape {tokens.shape} after {past} positions; expected (batch, length), up to {self.block_size} in all")
        parts = self.transformer
        x = parts["drop"](parts["wte"](tokens) + parts["wpe"](np.arange(past, past + tokens.shape[1])))
        for i, block in enumerate(self._blocks):
            x = block(x, None if caches is None else caches[i])
        return self.lm_head(parts["ln_f"](x))

    def generate(
        self,
        tokens: Any,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        generator: init.Seed = None,
        use_cache: bool = True,
    ) -> Any:
        """`tokens` with `max_new_tokens` more, each drawn from what the model expects after those before it.

        tokens       (batch, length) integers; length at least 1
        temperature  divides the logits: below 1 bolder guesses come up less often; 0 always takes the likeliest
        top_k        draw from the k likeliest only
        use_cache    keep keys and values, as long as all tokens fit into block_size; then the last block_size are read anew
        """
        if temperature < 0 or (top_k is not None and top_k < 1) or tokens.ndim != 2 or not tokens.shape[1]:
            raise ValueError(
                f"GPT.generate: tokens of shape {tokens.shape}, temperature={temperature}, top_k={top_k}; "
                "expected (batch, length >= 1), a temperature >= 0 and top_k >= 1 or None"
            )
        random, training = init.as_generator(generator), self.training
        caches = [KeyValueCache() for _ in self._blocks] if use_cache else None
        self.eval()
        try:
            with ag.no_grad():
                for _ in range(max_new_tokens):
                    if tokens.shape[1] > self.block_size:
                        caches = None
                    new = tokens[:, -self.block_size :] if caches is None else tokens[:, caches[0].length :]
                    logits = self(new, caches).numpy()[:, -1]
                    tokens = np.concatenate((tokens, _drawn(logits, temperature, top_k, random)[:, None]), axis=1)
        finally:
            self.train(training)
        return tokens


def _drawn(logits: Any, temperature: float, top_k: int | None, random: np.random.Generator) -> Any:
    """A class for each row of (batch, classes) logits; drawn by adding Gumbel noise and taking the largest."""
    if temperature == 0:
        return logits.argmax(axis=-1)
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        least = np.partition(logits, -top_k, axis=-1)[:, -top_k, None]
        logits = np.where(logits < least, -np.inf, logits)
    return (logits + random.gumbel(size=logits.shape)).argmax(axis=-1)
