"""Along which directions a subject is differenced: one per element, or random ones.

A symmetric argument (of `eigh` or `cholesky`) may be read from one triangle only, and its gradient be spread over both; what
is defined is the derivative along symmetric directions, so its elements (i, j) and (j, i) are then moved together.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric.vectors import Vectors

__all__ = ["Directions", "is_symmetric"]


def is_symmetric(array: Any) -> bool:
    """Whether `array` is a stack of symmetric (Hermitian) matrices of at least 2 x 2, and not merely of one value."""
    if array.ndim < 2 or array.shape[-1] != array.shape[-2] or array.shape[-1] < 2 or array.size == 0:
        return False
    return bool(np.array_equal(array, np.swapaxes(array, -1, -2).conj())) and not bool((array == array.flat[0]).all())


class Directions:
    """The directions of one place: `unit(j)` moves the component j by its scale (and its mirror image with it)."""

    def __init__(self, inputs: Vectors, scale: Any, symmetric: Collection[int]) -> None:
        self.inputs = inputs
        self.scale = scale
        self.symmetric = frozenset(symmetric)
        self.mirror = np.arange(inputs.size)
        self.sign = np.ones(inputs.size)
        for i in self.symmetric:
            self._tie(i)
        # Of two components that move together the first stands for both; an imaginary part on the diagonal cannot move.
        self.components = np.flatnonzero((np.arange(inputs.size) <= self.mirror) & (self.sign * (self.mirror == np.arange(inputs.size)) >= 0))

    def _tie(self, i: int) -> None:
        shape, part = self.inputs.shapes[i], self.inputs.parts[i]
        order = np.arange(int(np.prod(shape, dtype=int))).reshape(shape)
        swapped = np.swapaxes(order, -1, -2).reshape(-1)
        if self.inputs.like[i].dtype.kind == "c":
            self.mirror[part] = part.start + np.stack([2 * swapped, 2 * swapped + 1], axis=-1).reshape(-1)
            self.sign[part] = np.tile([1.0, -1.0], swapped.size)
        else:
            self.mirror[part] = part.start + swapped
        self.scale[part] = np.maximum(self.scale[part], self.scale[self.mirror[part]])

    def unit(self, component: int) -> Any:
        """The direction that moves `component`."""
        direction = np.zeros(self.inputs.size)
        direction[component] = self.scale[component]
        direction[self.mirror[component]] = self.sign[component] * self.scale[component]
        return direction

    def together(self, components: Any, signs: Any | None = None) -> Any:
        """The direction that moves all of `components` by one and the same step."""
        direction = np.zeros(self.inputs.size)
        step = float(np.max(self.scale[components], initial=0.0))
        direction[components] = step if signs is None else step * signs
        return self._symmetrised(direction)

    def random(self, random: np.random.Generator, components: Any | None = None) -> Any:
        """A direction that moves all components (or some) by about their scale, with random signs."""
        direction = np.zeros(self.inputs.size)
        chosen = slice(None) if components is None else components
        size = self.scale[chosen].size
        direction[chosen] = self.scale[chosen] * random.uniform(0.5, 1.5, size) * random.choice([-1.0, 1.0], size)
        return self._symmetrised(direction)

    def _symmetrised(self, direction: Any) -> Any:
        return (direction + self.sign * direction[self.mirror]) / 2 if self.symmetric else direction
