"""Dropout: during training some elements, or whole channels, are set to zero by chance.

What is kept is scaled so that the expected value stays; without training the input is returned as it is. The draws come from
the generator that `nn.manual_seed` sets unless one is given. Srivastava et al. 2014, "Dropout: a simple way to prevent neural
networks from overfitting"; of whole channels: Tompson et al. 2015, "Efficient object localization using convolutional
networks", section 3.2; alpha dropout: Klambauer et al. 2017, "Self-normalizing neural networks", eq. 12 to 16.

`inplace` is accepted and changes nothing: a tensor on the tape is a value that other operations may have saved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.functional.activations import SELU_ALPHA, SELU_SCALE
from nn.functional.arguments import as_array

__all__ = ["alpha_dropout", "check_probability", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]


def check_probability(name: str, p: float) -> None:
    """Raise ValueError unless `p` is a probability."""
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p, the probability to drop an element, must be in [0, 1], not {p!r}")


@ag.op(
    batches=True,
    name="dropout",
    x=lambda g, factor: g * factor.conj(),
    inert=("factor",),
    elementwise=True,
    samples=lambda a: [
        ag.call(a(2, 3), np.array([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0]])).only("the factors are drawn, not differentiated"),
        ag.call(a(0, 3), np.ones((0, 1))).only("the factors are drawn, not differentiated"),
    ],
)
def _scaled(x: Any, factor: Any) -> Any:
    return x * factor


def _kept(shape: tuple[int, ...], p: float, dtype: Any, generator: init.Seed) -> Any:
    """1 with probability 1 - p, else 0."""
    draws = init.drawn(generator, "random", shape, dtype=np.float32 if dtype.itemsize <= 4 else np.float64)
    return (draws >= p).astype(dtype)


def _dropped(name: str, input: Any, p: float, training: bool, shape: tuple[int, ...] | None, generator: init.Seed) -> Any:
    """`input` with elements zeroed by a mask of `shape`, which broadcasts; None: one for each element."""
    check_probability(name, p)
    input = as_array(input)
    if not training or p == 0 or input.size == 0:
        return input
    kept = _kept(input.shape if shape is None else shape, p, input.dtype, generator)
    return _scaled(input, kept if p == 1 else kept * (1 / (1 - p)))


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: init.Seed = None) -> Any:
    """Zero each element with probability `p`, and multiply the others by 1 / (1 - p).

    training   False: return `input` as it is
    generator  where the draws come from: a generator, a seed, or None for the one that `nn.manual_seed` sets
    raises     ValueError unless 0 <= p <= 1

    >>> import numpy as np
    >>> dropout(np.ones(6), p=0.5, generator=0)
    array([2., 0., 0., 0., 2., 2.])
    """
    return _dropped("dropout", input, p, training, None, generator)


def _channels(name: str, input: Any, spatial: int) -> tuple[int, ...]:
    """The shape of a mask with one element for each channel of (N, C, *spatial) or (C, *spatial)."""
    shape = np.shape(input)
    if len(shape) not in (spatial + 1, spatial + 2):
        places = ("L", "H, W", "D, H, W")[spatial - 1]
        raise ValueError(f"{name}: needs an input (N, C, {places}) or (C, {places}), not one of shape {shape}")
    return shape[:-spatial] + (1,) * spatial


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: init.Seed = None) -> Any:
    """Zero each channel of (N, C, L) or (C, L) with probability `p`; see `dropout`."""
    return _dropped("dropout1d", input, p, training, _channels("dropout1d", input, 1), generator)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: init.Seed = None) -> Any:
    """Zero each channel of (N, C, H, W) with probability `p`; see `dropout`. Three axes are read as (N, C, L), as torch does."""
    if np.ndim(input) == 3:
        return _dropped("dropout2d", input, p, training, (*np.shape(input)[:2], 1), generator)
    if np.ndim(input) != 4:
        raise ValueError(f"dropout2d: needs an input (N, C, H, W) or (N, C, L), not one of shape {np.shape(input)}")
    return _dropped("dropout2d", input, p, training, _channels("dropout2d", input, 2), generator)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: init.Seed = None) -> Any:
    """Zero each channel of (N, C, D, H, W) or (C, D, H, W) with probability `p`; see `dropout`."""
    return _dropped("dropout3d", input, p, training, _channels("dropout3d", input, 3), generator)


_SATURATED = SELU_ALPHA * SELU_SCALE  # selu(-inf) = -_SATURATED


def _alpha_dropped(name: str, input: Any, p: float, training: bool, shape: tuple[int, ...] | None, generator: init.Seed) -> Any:
    """`input` with elements set to selu's lowest value; then scaled and moved, so that mean 0 and variance 1 stay."""
    check_probability(name, p)
    input = as_array(input)
    if not training or p == 0 or input.size == 0:
        return input
    kept = _kept(input.shape if shape is None else shape, p, input.dtype, generator)
    if p == 1:
        return _scaled(input, kept)
    scale = 1 / math.sqrt((_SATURATED * _SATURATED * p + 1) * (1 - p))
    return _scaled(input, kept * scale) + ((kept - 1) * (_SATURATED * scale) + _SATURATED * scale * p)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, generator: init.Seed = None) -> Any:
    """Set each element to selu's lowest value with probability `p`, then scale and move all so that mean 0 and variance 1 stay.

    >>> import numpy as np
    >>> alpha_dropout(np.zeros(3), training=True, generator=0).round(4)
    array([ 0.7792, -0.7792, -0.7792])
    """
    return _alpha_dropped("alpha_dropout", input, p, training, None, generator)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False, *, generator: init.Seed = None) -> Any:
    """Alpha dropout of whole channels of (N, C, ...)."""
    if np.ndim(input) < 2:
        raise ValueError(f"feature_alpha_dropout: needs an input (N, C, ...), not one of shape {np.shape(input)}")
    shape = np.shape(input)[:2] + (1,) * (np.ndim(input) - 2)
    return _alpha_dropped("feature_alpha_dropout", input, p, training, shape, generator)
