"""The variational autoencoder: the code is a distribution, near enough to a normal one that things can be made up from it.

Kingma & Welling 2014, "Auto-encoding variational Bayes": the bound of eq. 3, with the divergence of appendix B and the
reparametrisation of section 2.4.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import autograd_core as ag
from nn import functional, init
from nn.models.mlp import MLP
from nn.module import Module

__all__ = ["VAEOutput", "VariationalAutoencoder"]


class VAEOutput(NamedTuple):
    """What the model says of a batch: logits of the pixels, and the mean and the logarithm of the variance of the codes."""

    logits: Any
    mean: Any
    log_variance: Any


class VariationalAutoencoder(Module):
    """For data in [0, 1]: an encoder to a normal distribution of codes, and a decoder to logits.

    sizes      (inputs, hidden, ..., code)
    generator  of the initial values; the noise is drawn from `nn.init`'s own, like dropout

    >>> import numpy as np, nn
    >>> model = nn.models.VariationalAutoencoder(64, 32, 2)
    >>> x = np.zeros((5, 64), np.float32)
    >>> model.loss(model(x), x).shape, model.generate(3, generator=0).shape
    ((), (3, 64))
    """

    def __init__(self, *sizes: int, activation: Any = "tanh", dtype: Any = np.float32, generator: init.Seed = None) -> None:
        random = init.as_generator(generator)
        self.encoder = MLP(*sizes[:-1], 2 * sizes[-1], activation=activation, dtype=dtype, generator=random)
        self.decoder = MLP(*sizes[::-1], activation=activation, dtype=dtype, generator=random)
        self.code_size = sizes[-1]

    def forward(self, input: Any) -> VAEOutput:
        statistics = self.encoder(input)
        mean, log_variance = statistics[:, : self.code_size], statistics[:, self.code_size :]
        codes = mean
        if self.training:
            noise = init.drawn(None, "normal", size=mean.shape).astype(mean.dtype)
            codes = mean + np.exp(0.5 * log_variance) * noise
        return VAEOutput(self.decoder(codes), mean, log_variance)

    def loss(self, output: VAEOutput, target: Any) -> Any:
        """Minus the bound on the logarithm of the probability of a sample, in nats, the mean over the batch: for `nn.fit(..., model.loss, ...)`."""
        samples = output.mean.shape[0]
        reconstruction = functional.binary_cross_entropy_with_logits(output.logits, target, reduction="sum")
        divergence = 0.5 * (np.exp(output.log_variance) + output.mean**2 - 1 - output.log_variance).sum()
        return (reconstruction + divergence) / samples

    def generate(self, count: int, generator: init.Seed = None) -> Any:
        """Samples that the model makes up, as probabilities of the pixels."""
        codes = init.as_generator(generator).normal(size=(count, self.code_size))
        with ag.no_grad():
            return functional.sigmoid(self.decoder(codes.astype(next(self.parameters()).dtype)))
