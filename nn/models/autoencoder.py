"""An autoencoder: it squeezes what it sees through a narrow code and makes it again.

Hinton & Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nn import init
from nn.models.mlp import MLP
from nn.module import Module

__all__ = ["Autoencoder"]


class Autoencoder(Module):
    """An encoder of the given sizes, the last of which is the code, and a decoder of the same sizes backwards.

    >>> import numpy as np, nn
    >>> model = nn.models.Autoencoder(64, 32, 2)
    >>> x = np.zeros((5, 64), np.float32)
    >>> model(x).shape, model.encode(x).shape
    ((5, 64), (5, 2))
    """

    def __init__(self, *sizes: int, activation: Any = "relu", dtype: Any = np.float32, generator: init.Seed = None) -> None:
        random = init.as_generator(generator)
        self.encoder = MLP(*sizes, activation=activation, dtype=dtype, generator=random)
        self.decoder = MLP(*sizes[::-1], activation=activation, dtype=dtype, generator=random)

    def encode(self, input: Any) -> Any:
        """The codes."""
        return self.encoder(input)

    def decode(self, codes: Any) -> Any:
        """What the codes stand for."""
        return self.decoder(codes)

    def forward(self, input: Any) -> Any:
        return self.decode(self.encode(input))
