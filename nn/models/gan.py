"""Generative adversarial networks: one network makes things up, another one tells them from real ones, and each learns from the other.

Goodfellow et al. 2014, "Generative adversarial nets", algorithm 1, with the generator's loss that does not saturate (section 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn import functional, init
from nn.activations import LeakyReLU
from nn.models.mlp import MLP
from nn.module import Module

__all__ = ["GAN"]


class GAN(Module):
    """A generator and a discriminator; each has an optimizer of its own.

    sizes          of the generator: (noise, hidden, ..., data)
    discriminator  sizes of the discriminator: (data, hidden, ..., 1); None for those of the generator backwards
    seed           of the initial values and of the noise: a generator, a seed, or None

    >>> import numpy as np, nn, optim
    >>> model = nn.models.GAN(2, 16, 1, seed=0)
    >>> of_generator = optim.Adam(model.generator.parameters(), lr=1e-3)
    >>> of_discriminator = optim.Adam(model.discriminator.parameters(), lr=1e-3)
    >>> losses = model.step(np.ones((8, 1), np.float32), of_generator, of_discriminator)
    >>> sorted(losses)
    ['discriminator', 'generator']
    """

    def __init__(self, *sizes: int, discriminator: tuple[int, ...] | None = None, dtype: Any = np.float32, seed: init.Seed = None) -> None:
        self.random = init.as_generator(seed)
        judge = (*sizes[:0:-1], 1) if discriminator is None else discriminator
        self.generator = MLP(*sizes, dtype=dtype, generator=self.random)
        self.discriminator = MLP(*judge, activation=LeakyReLU(0.2), dtype=dtype, generator=self.random)
        self.noise_size = sizes[0]
        self.dtype = np.dtype(dtype)

    def forward(self, noise: Any) -> Any:
        return self.generator(noise)

    def generate(self, count: int) -> Any:
        """Samples that the generator makes up."""
        return self(self.random.normal(size=(count, self.noise_size)).astype(self.dtype))

    def discriminator_loss(self, real: Any, made_up: Any) -> Any:
        """How badly the two are told apart: -log D(real) - log(1 - D(made up)). The generator learns nothing from it."""
        made_up = made_up.detach() if isinstance(made_up, ag.Tensor) else made_up
        return functional.softplus(-self.discriminator(real)).mean() + functional.softplus(self.discriminator(made_up)).mean()

    def generator_loss(self, made_up: Any) -> Any:
        """How badly the discriminator is fooled: -log D(made up)."""
        return functional.softplus(-self.discriminator(made_up)).mean()

    def step(self, real: Any, of_generator: Any, of_discriminator: Any) -> dict[str, float]:
        """A step of the discriminator and one of the generator, with their optimizers; the two losses before it."""
        losses = {}
        for name, optimizer in (("discriminator", of_discriminator), ("generator", of_generator)):
            optimizer.zero_grad()
            made_up = self.generate(len(real))
            loss = self.discriminator_loss(real, made_up) if name == "discriminator" else self.generator_loss(made_up)
            loss.backward()
            optimizer.step()
            losses[name] = float(loss.item())
        return losses
