"""`KeyValueCache`: the keys and values of the positions so far, so that each new one is projected once.

A decoder that generates token by token asks, for each new query, for the keys and values of all positions before it. They
do not change, since a position sees only what is before it; kept, a step costs the new position instead of all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["KeyValueCache"]


class KeyValueCache:
    """Keys and values of one attention layer, (batch, heads, length, width of a head) each, to which `extend` adds.

    fixed   the keys and values that come first serve all later calls, as those of an encoder's memory do
    length  of how many positions there are some

    Without gradients they are kept in arrays with room for more, which are doubled when they are full. Tracked ones are joined
    by `np.concatenate`, so that gradients flow through a cache too.

    >>> import numpy as np, autograd_core as ag, nn
    >>> attention = nn.MultiheadAttention(4, 2, batch_first=True, dtype=np.float64)
    >>> x = np.random.default_rng(0).normal(size=(1, 3, 4))
    >>> with ag.no_grad():
    ...     full, _ = attention(x, x, x, is_causal=True)
    ...     cache = nn.KeyValueCache()
    ...     parts = [attention(x[:, i : i + 1], x[:, i : i + 1], x[:, i : i + 1], is_causal=True, cache=cache)[0] for i in range(3)]
    >>> bool(np.allclose(np.concatenate(parts, axis=1), full))
    True
    """

    def __init__(self, fixed: bool = False) -> None:
        self.fixed = fixed
        self.length = 0
        self._stored: list[Any] = []  # keys and values: tensors of just `length` positions, or arrays with room for more

    def extend(self, key: Any, value: Any) -> tuple[Any, Any]:
        """Add keys and values of further positions, and return those of all."""
        if self.fixed and self.length:
            return self._all()
        if not self._stored:
            self._stored, self.length = [key, value], key.shape[2]
            return key, value
        for new, old, name in zip((key, value), self._stored, ("keys", "values"), strict=True):
            if new.shape[:2] != old.shape[:2] or new.shape[3] != old.shape[3]:
                raise ValueError(f"KeyValueCache: {name} of shape {new.shape} after some of shape {old.shape}; only the length (axis 2) may differ")
        before, self.length = self.length, self.length + key.shape[2]
        if any(isinstance(x, ag.Tensor) and x.requires_grad for x in (key, value, *self._stored)):
            self._stored = [np.concatenate((old[:, :, :before], new), axis=2) for old, new in zip(self._stored, (key, value), strict=True)]
            return self._all()
        self._stored = [_with_room(x, before, self.length) for x in self._stored]
        for buffer, new in zip(self._stored, (key, value), strict=True):
            buffer[:, :, before : self.length] = _array(new)
        return self._all()

    def _all(self) -> tuple[Any, Any]:
        key, value = self._stored
        return key[:, :, : self.length], value[:, :, : self.length]

    def reorder(self, index: Any) -> None:
        """Keep the sequences of the batch at `index`, in that order, repeated as it repeats: what a beam search needs."""
        self._stored = [x[index] for x in self._stored]

    def truncate(self, length: int) -> None:
        """Forget the positions from `length` on."""
        if not 0 <= length <= self.length:
            raise ValueError(f"KeyValueCache: it holds {self.length} positions, so it cannot be cut to {length}")
        self._stored = [x[:, :, :length] for x in self._stored] if length else []
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        shape = f", shape={self._all()[0].shape}" if self._stored else ""
        return f"KeyValueCache(length={self.length}{shape}{', fixed=True' if self.fixed else ''})"


def _array(x: Any) -> Any:
    return x.detach().numpy() if isinstance(x, ag.Tensor) else x


def _with_room(x: Any, length: int, needed: int) -> Any:
    """An array of its own that has room for `needed` positions and begins with the first `length` of x."""
    if isinstance(x, np.ndarray) and x.base is None and x.shape[2] >= needed:
        return x
    buffer = np.empty((*x.shape[:2], max(2 * length, needed), x.shape[3]), x.dtype)
    buffer[:, :, :length] = _array(x)[:, :, :length]
    return buffer
