"""Position encodings as modules."""

from __future__ import annotations

from typing import Any

import numpy as np

from nn import functional
from nn.dropout import Dropout
from nn.module import Module

__all__ = ["RotaryPositions", "SinusoidalPositions"]


class SinusoidalPositions(Module):
    """Add `functional.sinusoidal_positions` to embeddings, then drop out (Vaswani et al. 2017, sections 3.5 and 5.4).

    width        of the embeddings, even
    max_length   how many positions are kept ready; more are computed when they are asked for
    batch_first  (batch, length, width) instead of (length, batch, width)
    start        argument of the call: the position of the first, which with caches is how many came before

    >>> import numpy as np, nn
    >>> nn.SinusoidalPositions(4)(np.zeros((1, 2, 4), dtype=np.float32)).round(2)[0, 1]
    tensor([0.84, 0.54, 0.01, 1.  ], dtype=float32)
    """

    def __init__(
        self, width: int, max_length: int = 512, dropout: float = 0.0, base: float = 10000.0, batch_first: bool = True, dtype: Any = np.float32
    ) -> None:
        self.width, self.base, self.batch_first = width, base, batch_first
        self.dropout = Dropout(dropout)
        self.register_buffer("table", functional.sinusoidal_positions(max_length, width, base, dtype), persistent=False)

    table: Any

    def forward(self, input: Any, start: int = 0) -> Any:
        if input.ndim < 2 or input.shape[-1] != self.width:
            raise ValueError(f"SinusoidalPositions: input of shape {input.shape}, expected a last axis of {self.width}")
        stop = start + input.shape[-2 if self.batch_first or input.ndim == 2 else 0]
        if stop > self.table.shape[0]:
            self.table = functional.sinusoidal_positions(max(stop, 2 * self.table.shape[0]), self.width, self.base, self.table.dtype)
        rows = self.table[start:stop]
        return self.dropout(input + (rows if self.batch_first or input.ndim == 2 else rows.reshape((rows.shape[0], 1, self.width))))

    def extra_repr(self) -> str:
        return f"{self.width}, batch_first={self.batch_first}"


class RotaryPositions(Module):
    """`functional.rotary_positions` with its options: turns queries and keys (..., length, width of a head) by their positions.

    >>> import numpy as np, nn
    >>> nn.RotaryPositions()(np.ones((1, 2, 2))).round(2)
    array([[[ 1.  ,  1.  ],
            [-0.3 ,  1.38]]])
    """

    def __init__(self, base: float = 10000.0, interleaved: bool = False) -> None:
        self.base, self.interleaved = base, interleaved

    def forward(self, input: Any, positions: Any = 0) -> Any:
        return functional.rotary_positions(input, positions, self.base, self.interleaved)

    def extra_repr(self) -> str:
        return f"base={self.base}, interleaved={self.interleaved}"
