"""Means of weights over time, which often do better than the last weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from optim.at_once import Changes, assign, at_once, restoring, set_attributes
from optim.hyperparameters import at_step, between
from optim.precision import wide_dtype

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
        self.averages = [np.array(p.data, wide_dtype(p.dtype)) for p in self.parameters]
        if decay is not None:
            self._checked(at_step(decay, 0))

    def update(self) -> None:
        """Take the parameters, as they are now, into the mean."""
        weight = 1 - self._decay()
        changes: Changes = []
        for average, p in zip(self.averages, self.parameters, strict=True):
            if self.updates:
                way = np.empty_like(average)
                changes += [partial(np.subtract, p.data, average, out=way), partial(np.multiply, way, weight, out=way)]
                changes.append(partial(np.add, average, way, out=average))
            else:  # a copy: of weights that are nan at first, or huge, the sum would keep something
                changes.append(assign(average, p.data))
        at_once([*changes, set_attributes(self, updates=self.updates + 1)])

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
        back = restoring(self.parameters, ())
        try:
            try:
                self.copy_to_parameters()
                yield
            finally:
                at_once(back)
        finally:
            at_once(back)  # again: an interrupt may have come when the first time was about to begin

    def copy_to_parameters(self) -> None:
        """Give the parameters the mean's values for good."""
        at_once([assign(p.data, average) for p, average in zip(self.parameters, self.averages, strict=True)])

    def state_dict(self) -> dict[str, Any]:
        """The mean, and of how many updates it is."""
        return {"updates": self.updates, "averages": [average.copy() for average in self.averages]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`; ValueError if shapes differ."""
        at_once(self.loading(state_dict))

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        saved = [np.asarray(a) for a in state_dict["averages"]]
        if [a.shape for a in saved] != [a.shape for a in self.averages]:
            raise ValueError("WeightAverage: the state is of parameters of other shapes")
        averages = [a.astype(own.dtype) for a, own in zip(saved, self.averages, strict=True)]
        return [set_attributes(self, averages=averages, updates=int(state_dict["updates"]))]
