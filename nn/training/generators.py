"""All random numbers that a run can draw, as one thing that is saved."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from nn import init

__all__ = ["Generators"]


class Generators:
    """The states of `nn.init`'s generator (dropout draws from it), of `numpy.random`'s and `random`'s global ones, and of those that are given.

    >>> import numpy as np, nn
    >>> noise = np.random.default_rng(0)
    >>> generators = nn.training.Generators(noise=noise)
    >>> state = generators.state_dict()
    >>> first = noise.random(), np.random.random()
    >>> generators.load_state_dict(state)
    >>> first == (noise.random(), np.random.random())
    True
    """

    def __init__(self, **generators: np.random.Generator) -> None:
        if "nn" in generators:
            raise ValueError("generators: 'nn' is nn.init's own, which is saved anyway; call yours something else")
        for name, generator in generators.items():
            if not isinstance(generator, np.random.Generator):
                raise TypeError(f"generators: {name} must be a numpy.random.Generator, not {type(generator).__name__}")
        self.generators = {"nn": init.default_generator, **generators}

    def state_dict(self) -> dict[str, Any]:
        """The states, as plain data."""
        version, words, gauss = random.getstate()
        return {
            "generators": {name: generator.bit_generator.state for name, generator in self.generators.items()},
            "numpy": np.random.get_state(legacy=False),
            "random": (version, np.array(words, np.uint32), gauss),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        if missing := self.generators.keys() - state["generators"].keys():
            raise KeyError(f"generators: the state lacks {', '.join(sorted(missing))}")
        for name, generator in self.generators.items():
            generator.bit_generator.state = state["generators"][name]
        np.random.set_state(state["numpy"])
        version, words, gauss = state["random"]
        random.setstate((version, tuple(np.asarray(words).tolist()), gauss))
