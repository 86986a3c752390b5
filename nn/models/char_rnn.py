"""A recurrent network that writes: it guesses each next character of a text, and what it guesses is what it reads next.

Graves 2013, "Generating sequences with recurrent neural networks", sections 2 and 3; as in Karpathy 2015, "The unreasonable
effectiveness of recurrent neural networks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.dropout import Dropout
from nn.embedding import Embedding
from nn.linear import Linear
from nn.module import Module
from nn.recurrent import LSTM

__all__ = ["CharRNN"]


class CharRNN(Module):
    """Logits of the next token, for each position of a sequence of tokens.

    vocab_size  how many tokens there are
    embedding_size, hidden_size, num_layers  of the table of tokens and the LSTM
    dropout     probability, between layers and before the last one
    call        (batch, length) integers to (batch, length, vocab_size)

    >>> import numpy as np, nn
    >>> model = nn.models.CharRNN(10, 4, 8)
    >>> model(np.array([[1, 2, 3]])).shape
    (1, 3, 10)
    >>> model.sample(np.array([[1, 2, 3]]), 4, generator=0).shape
    (1, 7)
    """

    def __init__(
        self, vocab_size: int, embedding_size: int = 32, hidden_size: int = 128, num_layers: int = 1, dropout: float = 0.0, dtype: Any = np.float32
    ) -> None:
        self.embedding = Embedding(vocab_size, embedding_size, dtype=dtype)
        self.rnn = LSTM(embedding_size, hidden_size, num_layers, batch_first=True, dropout=dropout if num_layers > 1 else 0.0, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.head = Linear(hidden_size, vocab_size, dtype=dtype)

    def forward(self, tokens: Any) -> Any:
        return self.step(tokens)[0]

    def step(self, tokens: Any, state: Any = None) -> tuple[Any, Any]:
        """The logits, and the state to read on with; `state` is that of what was read before, None at the beginning."""
        if len(tokens.shape) != 2:
            raise ValueError(f"CharRNN: tokens of shape {tokens.shape}; expected (batch, length)")
        output, state = self.rnn(self.embedding(tokens), state)
        return self.head(self.dropout(output)), state

    def sample(self, tokens: Any, length: int, temperature: float = 1.0, generator: init.Seed = None) -> Any:
        """`tokens` with `length` more, each drawn from what the model expects after those before it.

        tokens       (batch, length) integers; length at least 1
        temperature  divides the logits: below 1 bolder guesses come up less often; 0 always takes the likeliest
        """
        if temperature < 0 or tokens.ndim != 2 or not tokens.shape[1]:
            raise ValueError(f"CharRNN.sample: tokens of shape {tokens.shape}, temperature={temperature}; expected (batch, length >= 1), and >= 0")
        random, training = init.as_generator(generator), self.training
        self.eval()
        try:
            with ag.no_grad():
                logits, state = self.step(tokens)
                for _ in range(length):
                    scores = np.asarray(logits.data)[:, -1]
                    noise = random.gumbel(size=scores.shape) if temperature else 0.0  # the largest is then a draw from the softmax
                    new = (scores / (temperature or 1.0) + noise).argmax(axis=1)[:, None]
                    tokens = np.concatenate((tokens, new), axis=1)
                    logits, state = self.step(new, state)
        finally:
            self.train(training)
        return tokens
