"""Where a token stands: rotary and sinusoidal encodings of positions."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import autograd_core as ag
from nn.functional.arguments import as_array

__all__ = ["rotary_positions", "sinusoidal_positions"]


def _angles(positions: Any, pairs: int, base: float) -> Any:
    """(..., pairs): position / base^(i / pairs) for pair i, in float64."""
    return np.asarray(positions, np.float64)[..., None] * base ** (-np.arange(pairs) / pairs)


def sinusoidal_positions(positions: Any, width: int, base: float = 10000.0, dtype: Any = np.float32) -> Any:
    """Sines and cosines of wavelengths from 2 pi to base * 2 pi: column 2 i is sin(p / base^(2 i / width)), column 2 i + 1 its cos.

    positions  numbers of any shape, or one integer n for 0, 1, ..., n - 1
    returns    (*positions.shape, width), to be added to embeddings (Vaswani et al. 2017, section 3.5)
    raises     ValueError if width is odd

    >>> sinusoidal_positions(2, 4).round(4)
    array([[0.    , 1.    , 0.    , 1.    ],
           [0.8415, 0.5403, 0.01  , 1.    ]], dtype=float32)
    """
    if width % 2 or width < 0:
        raise ValueError(f"sinusoidal_positions: width={width} must be even: each wavelength has a sine and a cosine")
    angles = _angles(np.arange(positions) if np.ndim(positions) == 0 else positions, width // 2, base)
    return np.stack((np.sin(angles), np.cos(angles)), axis=-1).reshape((*angles.shape[:-1], width)).astype(dtype)


@functools.lru_cache(maxsize=32)
def _turns(start: int, length: int, width: int, base: float, interleaved: bool, dtype: Any) -> tuple[Any, Any]:
    """(cos, sin) for each position and feature; kept, so not to be written to."""
    return _cos_and_sin(np.arange(start, start + length), width, base, interleaved, dtype)


def _cos_and_sin(positions: Any, width: int, base: float, interleaved: bool, dtype: Any) -> tuple[Any, Any]:
    angles = _angles(positions, width // 2, base)
    angles = np.repeat(angles, 2, axis=-1) if interleaved else np.concatenate((angles, angles), axis=-1)
    return np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)


def _quarter_turn(x: Any, interleaved: bool) -> Any:
    """Each pair (a, b) as (-b, a)."""
    if interleaved:
        pairs = x.reshape((*x.shape[:-1], x.shape[-1] // 2, 2))
        return np.stack((-pairs[..., 1], pairs[..., 0]), axis=-1).reshape(x.shape)
    half = x.shape[-1] // 2
    return np.concatenate((-x[..., half:], x[..., :half]), axis=-1)


@ag.op
def _turned(x: Any, cos: Any, sin: Any, interleaved: bool) -> Any:
    return x * cos + _quarter_turn(x, interleaved) * sin


ag.defvjp(
    _turned,
    name="rotary",
    batches=True,
    linear=True,
    x=lambda g, cos, sin, interleaved: g * cos.conj() - _quarter_turn(g * sin.conj(), interleaved),
    inert=("cos", "sin"),
    samples=lambda a: [
        ag.call(a(2, 3, 4), *_turns(0, 3, 4, 10.0, False, np.dtype(float)), False).only("cos and sin are those of one angle"),
        ag.call(a(3, 4), *_turns(1, 3, 4, 10.0, True, np.dtype(float)), True).only("cos and sin are those of one angle"),
    ],
)


def rotary_positions(x: Any, positions: Any = 0, base: float = 10000.0, interleaved: bool = False) -> Any:
    """Turn each pair of features by an angle proportional to the position, so that query . key depends on the distance only.

    x            (..., length, width): queries or keys, by heads. Pair i is turned by p / base^(2 i / width)
    positions    that of the first, an integer (with a cache: how many there are before); or an array of them, broadcast to (..., length)
    interleaved  pairs are neighbours (2 i, 2 i + 1) as in the paper, instead of (i, i + width / 2) as in Llama and GPT-NeoX
    raises       ValueError if the width is odd

    Su et al. 2021, "RoFormer: Enhanced Transformer with rotary position embedding", eq. 34. The gradient is turned back.

    >>> import numpy as np
    >>> rotary_positions(np.ones((2, 2))).round(4)
    array([[ 1.    ,  1.    ],
           [-0.3012,  1.3818]])
    """
    x = as_array(x)
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError(f"rotary_positions: x of shape {x.shape}, expected (..., length, width) with an even width: features are turned in pairs")
    dtype = x.dtype if x.dtype.kind in "fc" else np.dtype(float)
    if np.ndim(positions) == 0:
        cos, sin = _turns(int(positions), x.shape[-2], x.shape[-1], float(base), interleaved, dtype)
    else:
        cos, sin = _cos_and_sin(positions, x.shape[-1], base, interleaved, dtype)
    return _turned(x, cos, sin, interleaved)
