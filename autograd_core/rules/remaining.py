"""What is left once every family has its file: `np.exp.at(t, indices)`, `np.maximum.at(t, indices, values)`, for any ufunc.

Unlike `t[indices] = f(t[indices], values)`, a place that comes twice is changed twice, one time after the other. So the indices
are parted into rounds in which no place repeats, and each round is an assignment. The sums, which come often, have a way
of their own in updates.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.arrays.indices import settled
from autograd_core.define.door import updating
from autograd_core.rules.shapes import array_of
from autograd_core.tape.table import TABLE, UPDATES
from autograd_core.tensor.handles import plain

__all__: list[str] = []


def _rounds(places: Any) -> Iterator[Any]:
    """Where in `places` (n,) each place comes for the first time, for the second time, and so on."""
    order = np.argsort(places, kind="stable")
    first = np.flatnonzero(np.diff(places[order], prepend=-1))
    lengths = np.diff(first, append=places.size)
    times = np.arange(places.size) - np.repeat(first, lengths)
    by_time = np.argsort(times, kind="stable")
    counts = np.bincount(times, minlength=1)
    return (order[part] for part in np.split(by_time, np.cumsum(counts)[:-1]))


def _at(ufunc: Any) -> Callable[..., None]:
    def at(a: Any, indices: Any, *b: Any) -> None:
        chosen = np.arange(a.size).reshape(a.shape)[settled(plain(indices))]
        places = np.ravel(chosen)
        operands = [np.broadcast_to(array_of(values), chosen.shape).reshape(places.shape) for values in b]
        for part in _rounds(places):
            where = np.unravel_index(places[part], a.shape) if a.ndim else ...
            a[where] = ufunc(a[where], *(values[part] if a.ndim else values[part[0]] for values in operands))

    return at


for _ufunc in [function for function, row in TABLE.items() if row.rules and row.elementwise and getattr(function, "nout", 0) == 1]:
    if isinstance(_ufunc, np.ufunc) and _ufunc.nin <= 2 and (_ufunc, "at") not in UPDATES:
        updating((_ufunc, "at"))(_at(_ufunc))
