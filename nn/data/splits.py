"""Splits of data into a training set, a validation set, a test set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nn import init
from nn.data.lazy import Subset, as_array, is_in_memory

__all__ = ["split"]


def split(*arrays: Any, fractions: Sequence[float] = (0.8, 0.2), seed: init.Seed = 0, stratify: Any = None) -> list[Any]:
    """Cut arrays of one length, all alike, into random parts without common samples, which have all of them together.

    fractions  of the samples, for each part; their sum is 1
    seed       a seed or a generator: the same seed gives the same parts
    stratify   classes, one for each sample: each part has as many of each as its size allows, to the nearest sample
    returns    a list of parts: tuples of one array each for the arrays given, or arrays if there is one. Arrays on disk are not read: their
               parts are `nn.data.Subset`s
    raises     ValueError for different lengths, fractions that make no sense, or a part without samples

    >>> import numpy as np
    >>> (x, y), (x_test, y_test) = split(np.arange(10), np.arange(10) % 2, fractions=(0.8, 0.2), stratify=np.arange(10) % 2)
    >>> len(x), sorted(y_test.tolist())
    (8, [0, 1])
    """
    if not arrays:
        raise TypeError("split: give at least one array")
    arrays = tuple(map(as_array, arrays))
    lengths = {len(array) for array in arrays} | ({len(stratify)} if stratify is not None else set())
    if len(lengths) != 1:
        raise ValueError(f"split: the arrays (and stratify) have different lengths, {', '.join(map(str, sorted(lengths)))}")
    if len(fractions) < 1 or not all(0 < fraction <= 1 for fraction in fractions) or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"split: fractions must be positive numbers with the sum 1, such as (0.8, 0.2), not {tuple(fractions)}")
    (samples,) = lengths
    random = init.as_generator(seed)
    order = random.permutation(samples)
    if stratify is not None:
        order = _interleaved(order, np.asarray(stratify), random)
    ends = np.round(np.cumsum(fractions) * samples).astype(int)
    parts = [np.sort(part) for part in np.split(order, ends[:-1])]
    if any(part.size == 0 for part in parts):
        raise ValueError(f"split: of {samples} samples, fractions {tuple(fractions)} leave a part without any")
    taken = [tuple(_taken(array, part) for array in arrays) for part in parts]
    return taken if len(arrays) > 1 else [part[0] for part in taken]


def _interleaved(order: Any, classes: Any, random: np.random.Generator) -> Any:
    """The samples so that each stretch of them has the classes in their proportions.

    The k-th of n samples of a class stands at (k + 1/2) / n of the way; a small shift for each class lets none always be the first.
    """
    if classes.ndim != 1:
        raise ValueError(f"split: stratify must be one class for each sample, not of shape {classes.shape}")
    where = np.empty(len(order))
    shuffled = classes[order]
    for value in np.unique(shuffled):
        members = np.flatnonzero(shuffled == value)
        where[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.lexsort((random.random(len(order)), where))]


def _taken(array: Any, places: Any) -> Any:
    return array[places] if is_in_memory(array) else Subset(array, places)
