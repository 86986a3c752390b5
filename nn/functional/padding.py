"""Padding: an array made larger at its ends (or smaller, by negative numbers), axis by axis from the last one."""

from __future__ import annotations

from typing import Any

import numpy as np

from nn.functional.windows import arrays_only, is_integer

__all__ = ["pad"]

MODES = ("constant", "reflect", "replicate", "circular")
Pair = tuple[int, int]


def _slice(x: Any, axis: int, start: int, stop: int) -> Any:
    """The part of `x` from `start` to `stop` along `axis` >= 0."""
    return x if (start, stop) == (0, x.shape[axis]) else x[(*(slice(None),) * axis, slice(start, stop))]


def pad(input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """`input` with more elements at its ends.

    pad     (left, right), (left, right, top, bottom), (left, right, top, bottom, front, back), ...: pairs for the last axis, the
            one before it, and so on. Negative numbers take elements away
    mode    "constant": `value`, 0 if None, for any number of axes. The others pad the last one, two or three axes of an input that
            has channels, with or without a batch: "reflect" mirrors in the first and last element, which are not repeated;
            "replicate" repeats them; "circular" goes on at the other end
    raises  ValueError naming input's shape and the padding, if there is not enough to reflect or to take away

    >>> import numpy as np
    >>> pad(np.array([[1.0, 2.0, 3.0]]), (1, 2), mode="reflect")
    array([[2., 1., 2., 3., 2., 1.]])
    """
    pairs = _checked_pairs(input, pad, mode, value)
    if mode == "constant":
        for axis, (before, after) in pairs.items():
            input = _cropped(input, axis, before, after)
        widths = [(max(before, 0), max(after, 0)) for before, after in (pairs.get(axis, (0, 0)) for axis in range(input.ndim))]
        return np.pad(input, widths, constant_values=0 if value is None else value) if np.any(widths) else input
    for axis, pair in pairs.items():
        input = _padded_along(input, axis, pair, mode)
    return input


def _cropped(x: Any, axis: int, before: int, after: int) -> Any:
    """`x` without what negative numbers take away."""
    return _slice(x, axis, max(0, -before), x.shape[axis] + min(0, after))


def _padded_along(x: Any, axis: int, pair: Pair, mode: str) -> Any:
    before, after = pair
    if mode == "circular":  # goes round what is left of it; the others crop what has been padded
        x = _cropped(x, axis, before, after)
    n, first, last = x.shape[axis], max(before, 0), max(after, 0)
    pieces = [x]
    if first:
        pieces.insert(0, _beyond(x, axis, mode, first, before=True))
    if last:
        pieces.append(_beyond(x, axis, mode, last, before=False))
    out = np.concatenate(pieces, axis=axis) if len(pieces) > 1 else x
    return out if mode == "circular" else _slice(out, axis, max(0, -before), n + first + after)


def _beyond(x: Any, axis: int, mode: str, width: int, before: bool) -> Any:
    """The `width` elements that stand before the first or after the last one."""
    n = x.shape[axis]
    if mode == "replicate":
        return np.repeat(_slice(x, axis, 0, 1) if before else _slice(x, axis, n - 1, n), width, axis)
    if mode == "reflect":
        return np.flip(_slice(x, axis, 1, 1 + width) if before else _slice(x, axis, n - 1 - width, n - 1), axis)
    return _slice(x, axis, n - width, n) if before else _slice(x, axis, 0, width)


def _checked_pairs(input: Any, pad: Any, mode: str, value: Any) -> dict[int, Pair]:
    """Axis -> (before, after), where one of them is not 0; from the last axis on."""
    arrays_only("pad", input=input)
    if mode not in MODES:
        raise ValueError(f"pad: mode must be one of {', '.join(map(repr, MODES))}, not {mode!r}")
    numbers = tuple(pad) if isinstance(pad, tuple | list | np.ndarray) else None
    if numbers is None or not all(map(is_integer, numbers)):
        raise TypeError(f"pad: pad must be a sequence of integers, two for each axis to pad, not {pad!r}")
    shape, given = input.shape, len(numbers) // 2
    if len(numbers) % 2 or given > len(shape):
        raise ValueError(f"pad: pad must hold two numbers for each axis to pad, of {len(shape)} at most for shape {shape}, not {numbers}")
    if mode != "constant":
        if value is not None and value != 0:
            raise ValueError(f'pad: value={value!r} is for mode="constant"; mode={mode!r} takes its values from the input')
        if given not in (1, 2, 3) or len(shape) not in (given + 1, given + 2):
            raise ValueError(
                f"pad: mode={mode!r} with {given} pairs pads the last axes of an input of {given + 1} or {given + 2} axes, "
                f"(batch and) channels first; input has shape {shape}. Reshape it, or give pairs for fewer or more axes"
            )
    pairs = {len(shape) - 1 - k: (int(numbers[2 * k]), int(numbers[2 * k + 1])) for k in range(given)}
    for axis, pair in pairs.items():
        _check_room(shape, axis, pair, mode)
    return {axis: pair for axis, pair in pairs.items() if pair != (0, 0)}


def _check_room(shape: tuple[int, ...], axis: int, pair: Pair, mode: str) -> None:
    n = shape[axis]
    left = n + min(pair[0], 0) + min(pair[1], 0)  # after the cropping, before anything is added
    room, least = {"reflect": (n - 1, 1), "replicate": (max(pair) if n else 0, 1), "circular": (left, 0), "constant": (max(pair), 0)}[mode]
    if n + sum(pair) < least or (left < 0 and mode in ("constant", "circular")):
        raise ValueError(f"pad: pad={pair} leaves {n + sum(pair)} elements of the {n} along axis {axis} of an input of shape {shape}")
    if max(pair) > room:
        raise ValueError(f"pad: mode={mode!r} has {room} elements to pad with along axis {axis} of an input of shape {shape}, not {max(pair)}")
