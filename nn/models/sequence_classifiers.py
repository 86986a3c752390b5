"""Classifiers of sequences: a recurrent network reads the sequence, and a linear layer judges what it remembers at the end.

LSTM: Hochreiter & Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers et al. 2000. GRU: Cho et al. 2014,
"Learning phrase representations using RNN encoder-decoder", section 2.3.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from nn.dropout import Dropout
from nn.linear import Linear
from nn.module import Module
from nn.recurrent import GRU, LSTM, RNNBase
from nn.utils.rnn import pack_padded_sequence

__all__ = ["GRUClassifier", "LSTMClassifier"]


class _SequenceClassifier(Module):
    """What both classifiers are."""

    recurrent: ClassVar[type[RNNBase]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        dtype: Any = np.float32,
    ) -> None:
        between = dropout if num_layers > 1 else 0.0
        make: Any = self.recurrent
        self.rnn = make(input_size, hidden_size, num_layers, batch_first=True, dropout=between, bidirectional=bidirectional, dtype=dtype)
        self.dropout = Dropout(dropout)
        self.head = Linear(hidden_size * (2 if bidirectional else 1), num_classes, dtype=dtype)

    def forward(self, input: Any, lengths: Any = None) -> Any:
        if len(input.shape) != 3:
            raise ValueError(f"{type(self).__name__}: input of shape {input.shape}; expected (batch, length, {self.rnn.input_size})")
        if lengths is not None:
            input = pack_padded_sequence(input, lengths, batch_first=True, enforce_sorted=False)
        _, state = self.rnn(input)
        last = state[0] if isinstance(state, tuple) else state  # (layers * directions, batch, hidden_size)
        directions = 2 if self.rnn.bidirectional else 1
        return self.head(self.dropout(np.concatenate([last[i] for i in range(-directions, 0)], axis=1)))


class LSTMClassifier(_SequenceClassifier):
    """Logits of classes for each sequence, which is read with an LSTM.

    input_size     features of each step
    hidden_size    numbers that each layer and direction remembers
    num_classes    how many logits there are
    num_layers, bidirectional  of the recurrent network
    dropout        probability, between layers and before the last one
    call           (batch, length, input_size), and if not all steps count, how many of each sequence do, to (batch, num_classes)

    >>> import numpy as np, nn
    >>> nn.models.LSTMClassifier(3, 8, 5)(np.zeros((2, 7, 3), np.float32), np.array([7, 4])).shape
    (2, 5)
    """

    recurrent = LSTM


class GRUClassifier(_SequenceClassifier):
    """A classifier of sequences that reads them with a GRU; everything else is as in `LSTMClassifier`."""

    recurrent = GRU
