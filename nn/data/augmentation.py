"""Augmentation of images: each time that a batch is seen it is a little different.

    augment = nn.data.Augment(nn.data.flip(), nn.data.shift(2), seed=0)
    nn.fit(model, (images, classes), ..., augment=augment)

A transformation is a function of (images, random): images of shape (N, channels, height, width), and a generator from which it
draws for each of them. The functions here make such functions; one of your own does as well.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.at_once import at_once
from nn.functional.grid_sampling import affine_grid, grid_sample

__all__ = ["Augment", "add_noise", "brightness", "cutout", "flip", "rotate", "shift"]

Transformation = Callable[[Any, np.random.Generator], Any]


class Augment:
    """Transformations one after the other, with a generator of their own, the state of which is saved and restored.

    >>> import numpy as np
    >>> augment = Augment(flip(p=1.0), seed=0)
    >>> augment(np.arange(4.0).reshape((1, 1, 2, 2)))[0, 0]
    array([[1., 0.],
           [3., 2.]])
    """

    def __init__(self, *transformations: Transformation, seed: init.Seed = None) -> None:
        for transformation in transformations:
            if not callable(transformation):
                raise TypeError(f"Augment: expected functions of (images, random), such as nn.data.flip(), not {transformation!r}")
        self.transformations = transformations
        self.random = init.as_generator(seed)

    def __call__(self, images: Any) -> Any:
        """The images, changed; the array that was given stays as it is."""
        images = images.detach().numpy() if isinstance(images, ag.Tensor) else np.asarray(images)
        if images.ndim != 4:
            raise ValueError(f"Augment: expected images of shape (N, channels, height, width), not {images.shape}")
        for transformation in self.transformations if len(images) else ():
            images = transformation(images, self.random)
        return images

    def state_dict(self) -> dict[str, Any]:
        """The generator's state."""
        return {"generator": self.random.bit_generator.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        at_once(self.loading(state))

    def loading(self, state: Mapping[str, Any]) -> list[Callable[[], Any]]:
        """Check a state as `load_state_dict` does; the change that is left to be made."""
        copy.deepcopy(self.random).bit_generator.state = state["generator"]
        return [partial(setattr, self.random.bit_generator, "state", state["generator"])]


def _each(values: Any) -> Any:
    """One number per image, so that it broadcasts over the image."""
    return values[:, None, None, None]


def flip(p: float = 0.5, vertical: bool = False) -> Transformation:
    """Mirror images with probability `p`, left to right, or top to bottom."""
    if not 0 <= p <= 1:
        raise ValueError(f"flip: p must be in [0, 1], not {p!r}")

    def flipped(images: Any, random: np.random.Generator) -> Any:
        mirrored = images[:, :, ::-1] if vertical else images[..., ::-1]
        return np.where(_each(random.random(len(images)) < p), mirrored, images)

    return flipped


def shift(pixels: int, fill: float = 0.0) -> Transformation:
    """Move images by up to so many pixels in both directions; what comes in is `fill`. Also known as padding and random cropping."""
    if not isinstance(pixels, int) or pixels < 0:
        raise ValueError(f"shift: pixels must be an integer >= 0, not {pixels!r}")

    def shifted(images: Any, random: np.random.Generator) -> Any:
        count, channels, height, width = images.shape
        padded = np.pad(images, ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels)), constant_values=fill)
        top, left = random.integers(0, 2 * pixels + 1, size=(2, count))
        rows, columns = top[:, None] + np.arange(height), left[:, None] + np.arange(width)
        return padded[
            np.arange(count)[:, None, None, None], np.arange(channels)[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
        ]

    return shifted


def rotate(degrees: float) -> Transformation:
    """Turn images around their middle by up to so many degrees in both directions; what comes in is 0."""
    if not 0 <= degrees <= 180:
        raise ValueError(f"rotate: degrees must be in [0, 180], not {degrees!r}")

    def rotated(images: Any, random: np.random.Generator) -> Any:
        angles = np.deg2rad(random.uniform(-degrees, degrees, len(images)))
        height, width = images.shape[2:]
        cos, sin, zero = np.cos(angles), np.sin(angles), np.zeros(len(images))
        # In coordinates from -1 to 1, in which an image that is not square is stretched.
        theta = np.stack([np.stack([cos, -sin * height / width, zero], -1), np.stack([sin * width / height, cos, zero], -1)], 1)
        with ag.no_grad():
            grid = affine_grid(theta.astype(images.dtype), images.shape, align_corners=False)
            turned = grid_sample(images, grid, align_corners=False)
        return turned.numpy() if isinstance(turned, ag.Tensor) else turned

    return rotated


def cutout(size: int, p: float = 0.5, fill: float = 0.0) -> Transformation:
    """With probability `p`, cover a square of size x size pixels, wherever its middle lies. DeVries & Taylor 2017, "Improved regularization"."""
    if not isinstance(size, int) or size < 1 or not 0 <= p <= 1:
        raise ValueError(f"cutout: size={size!r} and p={p!r}; expected an integer >= 1 and a number in [0, 1]")

    def covered(images: Any, random: np.random.Generator) -> Any:
        count, _, height, width = images.shape
        chosen = random.random(count) < p
        y, x = random.integers(0, height, count), random.integers(0, width, count)
        rows, columns = np.arange(height), np.arange(width)
        inside_rows = (rows >= y[:, None] - size // 2) & (rows < y[:, None] - size // 2 + size)
        inside_columns = (columns >= x[:, None] - size // 2) & (columns < x[:, None] - size // 2 + size)
        square = inside_rows[:, None, :, None] & inside_columns[:, None, None, :]
        return np.where(square & _each(chosen), np.asarray(fill, images.dtype), images)

    return covered


def add_noise(std: float) -> Transformation:
    """Add normal noise to each pixel."""
    if not std >= 0:
        raise ValueError(f"add_noise: std must be a number >= 0, not {std!r}")
    return lambda images, random: images + random.normal(0, std, images.shape).astype(images.dtype)


def brightness(factor: float) -> Transformation:
    """Multiply each image by a number between 1 - factor and 1 + factor."""
    if not 0 <= factor <= 1:
        raise ValueError(f"brightness: factor must be in [0, 1], not {factor!r}")
    return lambda images, random: images * _each(random.uniform(1 - factor, 1 + factor, len(images)).astype(images.dtype))
