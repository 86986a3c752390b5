"""Dropout as modules: active while `training`, the identity in evaluation."""

from __future__ import annotations

from typing import Any

from nn import functional
from nn.functional.dropout import check_probability
from nn.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


class _Dropout(Module):
    """Something dropped with probability `p`. `inplace` is accepted and changes nothing: tensors on the tape are values."""

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        check_probability(type(self).__name__, p)
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zero each element with probability `p`, and multiply the others by 1 / (1 - p).

    >>> import numpy as np, nn
    >>> nn.Dropout(0.2).eval()(np.ones(2))
    array([1., 1.])
    """

    def forward(self, input: Any) -> Any:
        return functional.dropout(input, self.p, self.training)


class Dropout1d(_Dropout):
    """Zero each channel of (N, C, L) or (C, L) with probability `p`."""

    def forward(self, input: Any) -> Any:
        return functional.dropout1d(input, self.p, self.training)


class Dropout2d(_Dropout):
    """Zero each channel of (N, C, H, W) with probability `p`."""

    def forward(self, input: Any) -> Any:
        return functional.dropout2d(input, self.p, self.training)


class Dropout3d(_Dropout):
    """Zero each channel of (N, C, D, H, W) or (C, D, H, W) with probability `p`."""

    def forward(self, input: Any) -> Any:
        return functional.dropout3d(input, self.p, self.training)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1 of what comes out of `SELU`."""

    def forward(self, input: Any) -> Any:
        return functional.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """Alpha dropout of whole channels of (N, C, ...)."""

    def forward(self, input: Any) -> Any:
        return functional.feature_alpha_dropout(input, self.p, self.training)
