"""The mutation guard: noticing that an array which the tape saved was changed in place before the backward pass.

    x = ag.tensor(np.ones(3), requires_grad=True);  a = np.ones(3)
    y = (x * a).sum();  a[:] = 100;  y.backward()          # the gradient is 1, and 100 would be wrong

An array that only the tape can reach needs no guard, and that is nearly all of them: results of operations are fresh. Two
kinds can be reached by the user: raw arrays given as arguments, and tensors' arrays handed out by `t.data` or `t.numpy()`.
Small ones are copied when they are saved (tensor/ownership.py). A node that saves a large one saves a fingerprint of it too, and
the sweep compares: a sample spread over every axis, so that the cost is bounded (debugging modes read all of it).
A view that is handed out only after its memory was saved is noted in `handed_out`, with a fingerprint of that moment.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_core.arrays.layers import ArrayLayer

__all__ = ["any_changed", "check_unchanged", "fingerprint", "full_fingerprint", "handed_out", "memory_owner", "note_handed_out"]

WHOLE = 1024  # bytes
SAMPLES = 256  # elements of a larger array

# id of an array that owns memory -> (weak reference to it, its fingerprint, number of the next node when handed out)
handed_out: dict[int, tuple[Any, bytes, int]] = {}


def fingerprint(array: Any) -> bytes | None:
    """A short summary that differs if `array` (as a whole, or an element of a small one) was changed; None if not NumPy's."""
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        return None
    if array.nbytes <= WHOLE:
        return array.tobytes()
    sample, last = _sample(array.shape)
    return array[sample].tobytes() + array[last].tobytes()


@functools.lru_cache(maxsize=1024)  # to work it out takes longer than to read the elements
def _sample(shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[int, ...]]:
    """Where the sample of a larger array is, and its last element."""
    per_axis = max(2, int(SAMPLES ** (1 / sum(n > 1 for n in shape))))
    # -(-n // k): steps are rounded up so that at most per_axis elements are taken; the last element is one more sample.
    # From the ninth axis on (two elements of each) only the first element: 2 ** 18 of them would be no sample.
    sample = tuple(slice(None, None, -(-n // per_axis)) if axis < 8 else slice(1) for axis, n in enumerate(shape))
    return sample, (-1,) * len(shape)


def full_fingerprint(array: Any) -> bytes | None:
    """A digest of every byte of `array`; what the debugging modes use."""
    if not isinstance(array, np.ndarray) or array.dtype.hasobject:
        return None
    import hashlib  # with OpenSSL it takes longer than all of this package's engine, and only debugging needs it

    return hashlib.blake2b(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"", digest_size=16).digest()


def memory_owner(array: Any) -> Any:
    """The array that owns the memory which `array` shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def note_handed_out(array: Any, number: int) -> None:
    """Remember what `array`, which nodes older than `number` may have saved, looks like as it is handed to the user."""
    if not isinstance(array, np.ndarray):
        return
    owner = memory_owner(array)
    key = id(owner)
    seen = fingerprint(owner)
    if key in handed_out or seen is None:
        return
    # A callback in C: an interrupt that arrived in one of ours would be lost.
    handed_out[key] = (weakref.ref(owner, functools.partial(handed_out.pop, key)), seen, number)


def any_changed() -> bool:
    """Whether an array in `handed_out` is not what it was: only then does a sweep have to look who saved it."""
    return any((owner := ref()) is not None and fingerprint(owner) != seen for ref, seen, _ in list(handed_out.values()))


def check_unchanged(node: Any) -> None:
    """Raise RuntimeError if a value that `node` saved was changed since."""
    plan = node.plan
    saved = node.saved
    if plan.is_guarded:
        *saved, (prints, take, line) = saved
        for value, before, save in zip(saved, prints, plan.saves, strict=True):
            values, befores = (value, before) if isinstance(before, list) else ([value], [before])
            for v, b in zip(values, befores, strict=True):
                if b is not None and take(v) != b:
                    raise _changed(plan.op, save, v, line)
    if handed_out:
        for value, save in zip(saved, plan.saves, strict=True):
            for array in _arrays_in(value):
                owner = memory_owner(array)
                entry = handed_out.get(id(owner))
                if entry is not None and node.number < entry[2] and fingerprint(owner) != entry[1]:
                    raise _changed(plan.op, save, value, None)


def _arrays_in(value: Any) -> Iterator[np.ndarray]:
    """The arrays of NumPy in a saved value: those that a map hands out are in its batches."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, ArrayLayer):
        for part in value.parts:
            yield from _arrays_in(part)


def _changed(op: Any, save: Any, value: Any, line: str | None) -> RuntimeError:
    name = "result" if save == -1 else f"argument {op.parameters[save]}" if isinstance(save, int) else "argument"
    where = f" It was saved at {line}." if line else " Run under ag.detect_anomaly() to see the line that saved it."
    return RuntimeError(
        f"{op.name}: its {name} (array of shape {value.shape}, {value.dtype}) was changed in place after the operation saved it, "
        f"so the gradient would be wrong. Change a copy instead (a = a * 2, t = t + 1), or change it after backward().{where}"
    )
