"""How a rule is run on many arrays quickly, without its formula knowing.

A formula in NumPy makes a temporary array per operation. On arrays of megabytes each of them is a trip to main memory; on
arrays of a few elements, each is mostly Python's overhead. So a rule marked `@per_element` is run on blocks of one size that
stays in the processor's cache: large parameters are cut up, small ones are joined in a `Pack`. Joined parameters have their
state in common flat arrays; what `optimizer.state[parameter]` holds are views of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Pack", "flat", "make_packs", "run_whole"]

BLOCK = 1 << 14  # elements: 64 KB of float32, so that a formula's operands fit into the second cache level


def flat(array: Any) -> Any:
    """`array` in one dimension, a view where possible; complex numbers as pairs of real ones."""
    line = array.reshape(-1)
    return line.view(line.real.dtype) if line.dtype.kind == "c" else line


class Pack:
    """Parameters of one dtype and one age (equal numbers in their states) that are stepped together.

    parameters  tensors
    entries     their states, dicts, which are kept up to date
    """

    def __init__(self, parameters: Sequence[Any], entries: Sequence[dict[str, Any]]) -> None:
        self.parameters = parameters
        self.entries = entries
        sizes = [flat(p.data).size for p in parameters]
        ends = np.cumsum(sizes).tolist()
        self.parts = [slice(end - size, end) for size, end in zip(sizes, ends, strict=True)]
        self.size = ends[-1]
        self.numbers = {name: value for name, value in entries[0].items() if not isinstance(value, np.ndarray)}
        self.arrays: dict[str, Any] = {}
        self.views: list[tuple[dict[str, Any], str, Any]] = []  # what the entries hold, to notice when somebody replaces it
        for name in [name for name, value in entries[0].items() if isinstance(value, np.ndarray)]:
            joined = self._join([np.asarray(entry[name], dtype=p.dtype) for entry, p in zip(entries, parameters, strict=True)])
            self._hand_out(name, joined)

    def _join(self, arrays: list[Any]) -> Any:
        return flat(arrays[0]) if len(arrays) == 1 else np.concatenate([flat(a) for a in arrays])

    def _hand_out(self, name: str, joined: Any) -> None:
        """Keep a flat state array, and put views of it into the entries."""
        self.arrays[name] = joined
        for entry, p, part in zip(self.entries, self.parameters, self.parts, strict=True):
            entry[name] = joined[part].view(p.dtype).reshape(p.shape)
            self.views.append((entry, name, entry[name]))

    def is_current(self) -> bool:
        """Whether the entries still hold what this pack put there."""
        return all(entry.get(name) is view for entry, name, view in self.views) and all(
            entry.get(name) == value for entry in self.entries for name, value in self.numbers.items()
        )

    def step(self, rule: Callable[..., Any], gradients: list[Any], hyperparameters: dict[str, Any]) -> None:
        """One step of `rule` for all parameters, block by block."""
        data = [p.data for p in self.parameters]
        g, p = self._join(gradients), self._join(data)
        in_place = len(data) == 1 and data[0].flags.c_contiguous
        change = None if in_place else np.empty_like(p)
        numbers: dict[str, Any] = {}
        before = dict(self.arrays)  # arrays that this step adds are not yet filled for the blocks to come
        for start in range(0, self.size, BLOCK):
            part = slice(start, start + BLOCK)
            state = {**self.numbers, **{name: array[part] for name, array in before.items()}}
            block_change, new = rule(g[part], p[part], state, **hyperparameters)
            for name, value in new.items():
                if not isinstance(value, np.ndarray):
                    numbers[name] = value
                    continue
                if name not in self.arrays:
                    self._hand_out(name, np.empty(self.size, dtype=p.dtype))
                self.arrays[name][part] = value
            if change is None:
                p[part] += block_change
            else:
                change[part] = block_change
        if change is not None:
            for array, part in zip(data, self.parts, strict=True):
                array += change[part].view(array.dtype).reshape(array.shape)
        self.numbers.update(numbers)
        for entry in self.entries:
            entry.update(numbers)


def make_packs(parameters: Sequence[Any], entries: Sequence[dict[str, Any]]) -> list[Pack]:
    """Packs of parameters that can be stepped together, none much larger than a block unless it is of one parameter."""
    open_packs: dict[Any, list[tuple[Any, dict[str, Any]]]] = {}
    sizes: dict[Any, int] = {}
    done = []
    for parameter, entry in zip(parameters, entries, strict=True):
        if parameter.size == 0:
            continue
        numbers = tuple((name, value) for name, value in entry.items() if not isinstance(value, np.ndarray))
        names = tuple(name for name, value in entry.items() if isinstance(value, np.ndarray))
        kind = (parameter.dtype, numbers, names)
        if sizes.get(kind, 0) + parameter.size > BLOCK and kind in open_packs:
            done.append(open_packs.pop(kind))
            sizes[kind] = 0
        open_packs.setdefault(kind, []).append((parameter, entry))
        sizes[kind] = sizes.get(kind, 0) + parameter.size
    return [Pack([p for p, _ in pack], [e for _, e in pack]) for pack in (*done, *open_packs.values())]


def run_whole(rule: Callable[..., Any], parameter: Any, gradient: Any, entry: dict[str, Any], hyperparameters: dict[str, Any]) -> None:
    """One step of a rule that needs the whole array at once."""
    data = parameter.data
    change, new = rule(gradient, data, dict(entry), **hyperparameters)
    if isinstance(data, np.ndarray):
        data += change
    else:
        parameter.data = data + change
    entry.update(new)
