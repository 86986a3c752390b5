"""Channels and pixels of images exchanged for one another."""

from __future__ import annotations

from typing import Any

import numpy as np

from nn.functional.windows import arrays_only, is_integer

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Each r^2 channels become r x r pixels: (..., C r^2, H, W) to (..., C, H r, W r) (Shi et al. 2016, "Real-time single image... sub-pixel").

    >>> import numpy as np
    >>> pixel_shuffle(np.array([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2)
    array([[[1., 2.],
            [3., 4.]]])
    """
    r = _factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise ValueError(f"pixel_shuffle: input of shape {input.shape} has {channels} channels, which upscale_factor^2 = {r * r} does not divide")
    k = len(batch)
    split = input.reshape((*batch, channels // (r * r), r, r, height, width))
    return np.transpose(split, (*range(k + 1), k + 3, k + 1, k + 4, k + 2)).reshape((*batch, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """Blocks of r x r pixels become r^2 channels: (..., C, H r, W r) to (..., C r^2, H, W), the inverse of `pixel_shuffle`.

    >>> import numpy as np
    >>> pixel_unshuffle(np.array([[[1.0, 2.0], [3.0, 4.0]]]), 2).ravel()
    array([1., 2., 3., 4.])
    """
    r = _factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    *batch, channels, height, width = input.shape
    if height % r or width % r:
        raise ValueError(f"pixel_unshuffle: downscale_factor={r} does not divide the height and width of input of shape {input.shape}")
    k = len(batch)
    split = input.reshape((*batch, channels, height // r, r, width // r, r))
    return np.transpose(split, (*range(k + 1), k + 2, k + 4, k + 1, k + 3)).reshape((*batch, channels * r * r, height // r, width // r))


def _factor(function: str, name: str, input: Any, factor: Any) -> int:
    arrays_only(function, input=input)
    if not is_integer(factor) or factor < 1:
        raise ValueError(f"{function}: {name} must be an integer >= 1, not {factor!r}")
    if input.ndim < 3:
        raise ValueError(f"{function}: input must be (..., channels, height, width), not of shape {input.shape}")
    return int(factor)


def channel_shuffle(input: Any, groups: int) -> Any:
    """Channels dealt out anew: of (g, n) channels, (n, g) (Zhang et al. 2018, "ShuffleNet", figure 1).

    input   (batch, channels, *sizes)

    >>> import numpy as np
    >>> channel_shuffle(np.arange(6.0).reshape(1, 6, 1), 2).ravel()
    array([0., 3., 1., 4., 2., 5.])
    """
    arrays_only("channel_shuffle", input=input)
    if not is_integer(groups) or groups < 1:
        raise ValueError(f"channel_shuffle: groups must be an integer >= 1, not {groups!r}")
    if input.ndim < 3 or input.shape[1] % groups:
        raise ValueError(
            f"channel_shuffle: input must be (batch, channels, *sizes) with channels that groups={groups} divides, not of shape {input.shape}"
        )
    split = input.reshape((input.shape[0], groups, input.shape[1] // groups, *input.shape[2:]))
    return np.swapaxes(split, 1, 2).reshape(input.shape)
