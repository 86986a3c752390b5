"""The noise of gradients, and the batch size that it calls for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["GradientNoise"]


class GradientNoise:
    """Estimates the gradient noise scale, tr(S) / |G|^2: the batch size at which the noise is as large as the gradient.

    Far smaller batches waste steps, far larger ones waste samples. G is the true gradient, S the covariance of one sample's
    gradient. From the squared norms of gradients of batches of two sizes, both are estimated without bias:

        |G|^2 ~ (B |g_B|^2 - b |g_b|^2) / (B - b),    tr(S) ~ (|g_b|^2 - |g_B|^2) / (1/b - 1/B)

    decay  of the running means of both, whose ratio is taken

    McCandlish et al. 2018, "An empirical model of large-batch training", appendix A.1.

    >>> noise = GradientNoise()
    >>> noise.update([np.array([1.0, 3.0]), np.array([3.0, 1.0])], batch_size=4)
    >>> noise.scale
    2.6666666666666665
    """

    def __init__(self, decay: float = 0.9) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"GradientNoise: decay must be in [0, 1), not {decay!r}")
        self.decay = decay
        self.square = 0.0  # running sums of the estimates of |G|^2 and tr(S); their weights cancel in the ratio
        self.trace = 0.0

    def update(self, gradients: Sequence[Any], batch_size: int) -> None:
        """Take note of gradients of at least two batches of `batch_size` samples each; the batch of all of them is the large one.

        gradients  flat arrays, one per batch
        """
        parts = np.stack([np.asarray(g, dtype=float).reshape(-1) for g in gradients])
        if len(parts) < 2:
            raise ValueError(f"GradientNoise: needs gradients of two batches or more, not {len(parts)}")
        if not np.isfinite(parts).all():
            raise FloatingPointError("GradientNoise: a gradient is not finite; nothing was noted")
        if batch_size < 1:
            raise ValueError(f"GradientNoise: batch_size must be at least 1, not {batch_size!r}")
        small, large = batch_size, batch_size * len(parts)
        small_square = float((parts**2).sum(axis=1).mean())
        large_square = float((parts.mean(axis=0) ** 2).sum())
        self._add((large * large_square - small * small_square) / (large - small), (small_square - large_square) / (1 / small - 1 / large))

    def _add(self, square: float, trace: float) -> None:
        self.square = self.decay * self.square + (1 - self.decay) * square
        self.trace = self.decay * self.trace + (1 - self.decay) * trace

    @property
    def scale(self) -> float:
        """The noise scale; inf while no gradient stands out of the noise."""
        return self.trace / self.square if self.square > 0 else float("inf")

    def batch_size(self, smallest: int = 1, largest: int = 1 << 16) -> int:
        """The noise scale as a batch size within the bounds."""
        return int(min(max(self.scale, smallest), largest))
