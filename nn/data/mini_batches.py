"""Mini-batches of arrays.

`for x, y in batches(X, Y, batch_size=32, shuffle=True, seed=0)` is one epoch; iterating again is the next one, in a new
order. The iterator's state is saved and restored in the middle of an epoch too, so that a run that was killed goes on with
exactly the batches that it would have seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nn import init
from nn.at_once import at_once

__all__ = ["Batches", "batches"]

BatchSize = int | Callable[[int], float]


@dataclass
class _Epoch:
    """How many samples of an epoch were given, in which order they are (None: as they lie), and which of them came last."""

    position: int
    order: Any
    places: Any = ()


class Batches:
    """What `batches` returns: iterable once per epoch, with `len`, `epoch`, `steps` and a `state_dict`."""

    def __init__(self, arrays: tuple[Any, ...], batch_size: BatchSize, shuffle: bool, seed: init.Seed, drop_last: bool) -> None:
        if not arrays:
            raise TypeError("batches: give at least one array")
        arrays = tuple(_indexable(array) for array in arrays)
        lengths = [len(array) for array in arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"batches: the arrays have different lengths, {', '.join(map(str, lengths))}; their first axes must agree")
        if not callable(batch_size):
            _checked_size(batch_size)
        self.arrays = arrays
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.random = init.as_generator(seed)
        self.epoch = 0  # epochs begun
        self.steps = 0  # batches given since the beginning: what a schedule of the batch size is a function of
        self._last = _Epoch(0, None)  # the one that was begun last
        self._resumed = False

    def __repr__(self) -> str:
        what = f"{self.samples} samples of {len(self.arrays)} {'array' if len(self.arrays) == 1 else 'arrays'}"
        how = f"batch_size={self.batch_size!r}, shuffle={self.shuffle}, drop_last={self.drop_last}"
        return f"Batches({what}, {how}; epoch {self.epoch}, at sample {self._last.position}, {self.steps} batches given)"

    @property
    def samples(self) -> int:
        """How many samples an epoch has."""
        return len(self.arrays[0])

    def size_at(self, step: int) -> int:
        """The batch size at `step`: the schedule's value rounded, at least 1."""
        return max(1, round(self.batch_size(step))) if callable(self.batch_size) else int(self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if not self._resumed:
            self.epoch += 1
            self._last = _Epoch(0, self.random.permutation(self.samples) if self.shuffle else None)
        self._resumed = False
        epoch = self._last  # not looked up again: another iteration may begin before this one has ended
        while (part := self._next_part(epoch.position)) is not None:
            self.steps += 1
            epoch.position = part.stop
            index = part if epoch.order is None else epoch.order[part]
            taken = tuple(array[index] for array in self.arrays)
            epoch.places = index
            yield taken if len(taken) > 1 else taken[0]
        epoch.position, epoch.order = 0, None

    def _next_part(self, position: int) -> slice | None:
        stop = position + self.size_at(self.steps)
        if position >= self.samples or (self.drop_last and stop > self.samples):
            return None
        return slice(position, min(stop, self.samples))

    def __len__(self) -> int:
        """How many batches an epoch has that begins now."""
        count = position = 0
        while position < self.samples:
            position += self.size_at(self.steps + count)
            count += 1
        return count - (self.drop_last and position > self.samples)

    def places(self) -> Any:
        """Which samples are in the batch that was given last."""
        places = self._last.places
        return np.arange(places.start, places.stop) if isinstance(places, slice) else np.array(places, dtype=int)

    def state_dict(self) -> dict[str, Any]:
        """Where the iteration that was begun last stands: numbers, the order of its epoch, and the generator's state."""
        position, order = self._last.position, self._last.order
        return {
            "epoch": self.epoch,
            "steps": self.steps,
            "position": position,
            "order": order.copy() if position > 0 and order is not None else None,
            "generator": self.random.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`: the next iteration gives the rest of the epoch that was saved."""
        at_once(self.loading(state))

    def loading(self, state: Mapping[str, Any]) -> list[Callable[[], Any]]:
        """Check a state as `load_state_dict` does, without changing anything; the changes that are left."""
        order, position = state["order"], int(state["position"])
        if order is not None and len(order) != self.samples:
            raise ValueError(f"batches: the saved order is of {len(order)} samples, but the arrays have {self.samples}")
        if order is not None and not np.array_equal(np.sort(order), np.arange(self.samples)):
            raise ValueError("batches: the saved order has not each sample once")
        if not 0 <= position <= self.samples:
            raise ValueError(f"batches: the saved position is {position}, but the arrays have {self.samples} samples")
        copy.deepcopy(self.random).bit_generator.state = state["generator"]
        new: dict[str, Any] = {"epoch": int(state["epoch"]), "steps": int(state["steps"]), "_resumed": position > 0}
        new["_last"] = _Epoch(position, None if order is None else np.array(order))
        return [partial(setattr, self.random.bit_generator, "state", state["generator"]), partial(self.__dict__.update, new)]


def _indexable(array: Any) -> Any:
    """What can be indexed by an array of places: lists become arrays, and so does what indexes by labels. Others stay: they may lie on disk."""
    if isinstance(array, list | tuple | range) or hasattr(array, "iloc"):
        try:
            return np.asarray(array)
        except ValueError as error:
            raise ValueError(
                f"batches: a {type(array).__name__} of items of different shapes is no array; pad them, or batch their places"
            ) from error
    return array


def _checked_size(batch_size: Any) -> None:
    if not isinstance(batch_size, int | np.integer) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"batches: batch_size must be an integer >= 1 or a schedule, not {batch_size!r}")


def batches(*arrays: Any, batch_size: BatchSize = 32, shuffle: bool = False, seed: init.Seed = None, drop_last: bool = False) -> Batches:
    """Iterate over `arrays` together in parts of `batch_size` along the first axis.

    arrays      of one length; tensors, lists of numbers and data frames too
    batch_size  a number, or a schedule: a function of the number of batches given so far
    shuffle     draw a new order for each epoch
    seed        a seed or a `np.random.Generator`; None for `nn.init`'s own
    drop_last   leave out a last batch that is smaller
    raises      ValueError for arrays of different lengths or a batch size below 1

    >>> import numpy as np
    >>> [part.tolist() for part in batches(np.arange(5), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """
    return Batches(arrays, batch_size, shuffle, seed, drop_last)
