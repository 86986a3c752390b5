"""Means of weights over time, which often do better than the last weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from optim.hyperparameters import at_step, between

__all__ = ["WeightAverage"]


class WeightAverage:
    """A mean of the parameters: a = decay a + (1 - decay) p at each `update()`, or their plain mean so far if decay is None.

    params  tensors
    decay   a number or a schedule; None for the plain mean (stochastic weight averaging, Izmailov et al. 2018, "Averaging
            weights leads to wider optima and better generalization", algorithm 1)

    The mean begins with the first update, so there is no bias towards the initial weights.

    >>> import autograd_core as ag, optim
    >>> p = ag.tensor([0.0], requires_grad=True)
    >>> mean = optim.WeightAverage([p])
    >>> for value in (1.0, 2.0, 6.0):
    ...     p.data[...] = value
    ...     mean.update()
    >>> with mean.applied(): print(p)
    tensor([3.], requires_grad=True)
    >>> p
    tensor([6.], requires_grad=True)
    """

    def __init__(self, params: Iterable[Any], decay: Any = None) -> None:
        self.parameters = list(params)
        if not self.parameters:
            raise ValueError("WeightAverage: got no parameters; an iterator that was used up already gives none")
        self.decay = decay
        self.updates = 0
        self.averages = [np.array(p.data) for p in self.parameters]
        if decay is not None:
            self._checked(at_step(decay, 0))

    def update(self) -> None:
        """Take the parameters, as they are now, into the mean."""
        weight = 1 - self._decay()
        for average, p in zip(self.averages, self.parameters, strict=True):
            if self.updates:
                average += weight * (p.data - average)
            else:  # a copy: of weights that are nan at first, or huge, the sum would keep something
                average[...] = p.data
        self.updates += 1

    def _decay(self) -> float:
        if self.updates == 0:
            return 0.0
        if self.decay is None:
            return self.updates / (self.updates + 1)
        return self._checked(at_step(self.decay, self.updates))

    @staticmethod
    def _checked(decay: Any) -> float:
        wanted, holds = between(0, 1)
        if not holds(decay):
            raise ValueError(f"WeightAverage: decay must be {wanted}, not {decay!r}")
        return float(decay)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, the parameters have the mean's values; afterwards their own again."""
        own = [p.data.copy() for p in self.parameters]
        self.copy_to_parameters()
        try:
            yield
        finally:
            for p, data in zip(self.parameters, own, strict=True):
                p.data[...] = data

    def copy_to_parameters(self) -> None:
        """Give the parameters the mean's values for good."""
        for p, average in zip(self.parameters, self.averages, strict=True):
            p.data[...] = average

    def state_dict(self) -> dict[str, Any]:
        """The mean, and of how many updates it is."""
        return {"updates": self.updates, "averages": [average.copy() for average in self.averages]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; ValueError if shapes differ."""
        saved = [np.asarray(a) for a in state_dict["averages"]]
        if [a.shape for a in saved] != [a.shape for a in self.averages]:
            raise ValueError("WeightAverage: the state is of parameters of other shapes")
        self.averages = [a.astype(own.dtype) for a, own in zip(saved, self.averages, strict=True)]
        self.updates = int(state_dict["updates"])
