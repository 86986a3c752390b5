"""np.pad in all its modes.

Constant padding and taking the inner part are each other's rule. The modes that repeat elements (edge, reflect, symmetric,
wrap) are indices: NumPy pads the places 0, 1, 2..., and the array is read there. The others are put together of slices,
statistics and ramps, axis by axis, as NumPy does it: what an axis gets also pads the corners that earlier axes made.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_core.arrays.indices import along
from autograd_core.define.door import composed, op
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.shapes import array_of
from autograd_core.rules.taking import taken

Widths = tuple[tuple[int, int], ...]


def _inner(widths: Widths, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Where the array of `shape` stands in the padded one."""
    return tuple(slice(before, before + n) for (before, _), n in zip(widths, shape, strict=True))


@op(
    array=lambda g, widths, like: g[_inner(widths, like.shape)],
    inert=("value",),
    structural=True,
    samples=lambda a: [
        call(a(2, 3), ((1, 0), (2, 1))),
        call(a(3), ((0, 2),), value=1.5),
        call(a(), ()),
        call(a(0), ((1, 1),)),
        call(a.complex(2), ((1, 0),)),
    ],
)
def padded(array: Any, widths: Widths, value: Any = 0) -> Any:
    """`array` with `value` around it."""
    shape = tuple(before + n + after for n, (before, after) in zip(array.shape, widths, strict=True))
    result = np.full_like(array, value, shape=shape)
    result[_inner(widths, array.shape)] = array
    return result


def _pairs(value: Any, ndim: int) -> Any:
    """(ndim, 2) of `value`: one for all, a pair for each axis, one per axis as [[1], [2]], or all of them."""
    value = array_of(value)
    if value.size == 2 and value.shape != (2, 1):
        value = value.reshape(2)
    return np.broadcast_to(value, (ndim, 2))


def _widths(pad_width: Any, ndim: int) -> Widths:
    if type(pad_width) is int and pad_width >= 0:
        return ((pad_width, pad_width),) * ndim
    if isinstance(pad_width, dict):
        given = {operator.index(axis) % ndim: _pairs(width, 1)[0] for axis, width in pad_width.items()}
        pad_width = [given.get(axis, (0, 0)) for axis in range(ndim)]
    pairs = np.asarray(pad_width)
    if pairs.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    if (pairs < 0).any():
        raise ValueError("index can't contain negative values")
    return tuple((int(before), int(after)) for before, after in _pairs(pairs, ndim))


def _sample_pads(a: Arrays) -> list[Call]:
    widths = ((1, 2), (3, 0))
    return [
        call(a(2, 3), widths),
        call(a(3), 1),
        call(a(2, 3), (1, 2), constant_values=((1.5, 2.5), (3.5, 4.5))),
        call(a(2, 2), [[1], [2]], "constant", constant_values=2.0),
        call(a(), 2),
        call(a(0), 1),
        call(a.complex(2), (1, 1)),
        *(call(a(2, 3), widths, mode) for mode in ("edge", "reflect", "symmetric", "wrap", "linear_ramp", "maximum", "minimum", "mean", "median")),
        *(call(a(3), (5, 4), mode, reflect_type=kind) for mode in ("reflect", "symmetric") for kind in ("even", "odd")),
        call(a(2, 3), widths, mode="reflect", reflect_type="odd"),
        call(a(2, 3), widths, mode="symmetric", reflect_type="odd"),
        call(a(1, 3), 2, "reflect", reflect_type="odd"),
        call(a(3), (7, 5), "wrap"),
        call(a(3), (2, 1), "linear_ramp", end_values=(5.0, -4.0)),
        call(a(2, 5), 2, "mean", stat_length=2),
        call(a(2, 5), 2, "maximum", stat_length=((1, 1), (2, 3))),
        call(a(5), (1, 2), "minimum", stat_length=9),
        call(a.complex(3), 2, "edge"),
        call(a.complex(3), 1, "mean"),
    ]


@composed(np.pad, samples=_sample_pads)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """`array` with more elements around it; `mode` says which."""
    array = array_of(array)
    widths = _widths(pad_width, array.ndim)
    if callable(mode):
        return _pad_by_function(padded(array, widths), widths, mode, kwargs)
    allowed = _KEYWORDS.get(mode)
    if allowed is None:
        raise ValueError(f"mode '{mode}' is not supported")
    if set(kwargs) - {allowed}:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {set(kwargs) - {allowed}}")
    if mode == "constant":
        return _pad_constants(array, widths, kwargs.get("constant_values", 0))
    if mode == "empty":
        return padded(array, widths)
    for axis, (width, n) in enumerate(zip(widths, array.shape, strict=True)):
        if n == 0 and any(width):
            raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'")
    if array.size == 0:
        return padded(array, widths)
    for axis, (before, after) in enumerate(widths):
        if before or after:
            array = _MODES[mode](array, axis, before, after, kwargs)
    return array


def _pad_constants(array: Any, widths: Widths, values: Any) -> Any:
    if np.ndim(values) == 0 and not hasattr(values, "node"):
        return padded(array, widths, values)
    # NumPy pads numbers instead: which of the values, or none (-1), stands at each place.
    which = np.pad(np.full(array.shape, -1), widths, constant_values=np.arange(2 * array.ndim).reshape(-1, 2))
    chosen = _pairs(values, array.ndim).astype(array.dtype).reshape(-1)[np.maximum(which, 0)]
    return np.where(which < 0, padded(array, widths), chosen)


def _pad_by_places(mode: str) -> Callable[..., Any]:
    def pad_axis(array: Any, axis: int, before: int, after: int, keywords: dict[str, Any]) -> Any:
        n = array.shape[axis]
        places = np.pad(np.arange(n), (before, after), mode=mode)  # type: ignore[call-overload]
        return np.concatenate((taken(array, places[:before], axis), array, taken(array, places[before + n :], axis)), axis)

    return pad_axis


def _pad_reflected(mode: str) -> Callable[..., Any]:
    by_places = _pad_by_places(mode)

    def pad_axis(array: Any, axis: int, before: int, after: int, keywords: dict[str, Any]) -> Any:
        kind = keywords.get("reflect_type", "even")
        if array.shape[axis] == 1:
            return _pad_by_places("edge")(array, axis, before, after, keywords)
        # NumPy takes any other word than "odd" for "even".
        return _pad_odd(array, axis, before, after, int(mode == "symmetric")) if kind == "odd" else by_places(array, axis, before, after, keywords)

    return pad_axis


def _pad_odd(array: Any, axis: int, before: int, after: int, edge: int) -> Any:
    """Reflected in the point at either end: 2 * end - reflection. As often as it takes, each time in whole periods.

    edge : 1 if the end itself is reflected too (mode "symmetric")
    """
    period = array.shape[axis] - 1 + edge
    while before or after:
        n = array.shape[axis]
        longest = (n - 1 + edge) // period * period
        pieces = [array]
        if before:
            chunk = min(longest, before)
            mirrored = np.flip(array[along(axis, slice(1 - edge, 1 - edge + chunk))], axis)
            pieces.insert(0, 2 * array[along(axis, slice(0, 1))] - mirrored)
            before -= chunk
        if after:
            chunk = min(longest, after)
            mirrored = np.flip(array[along(axis, slice(n - 1 + edge - chunk, n - 1 + edge))], axis)
            pieces.append(2 * array[along(axis, slice(n - 1, n))] - mirrored)
            after -= chunk
        array = np.concatenate(pieces, axis)
    return array


def _pad_ramp(array: Any, axis: int, before: int, after: int, keywords: dict[str, Any]) -> Any:
    """From the end value, which stands outermost, in equal steps to the edge."""
    first, last = _pairs(keywords.get("end_values", 0), array.ndim)[axis]
    n = array.shape[axis]

    def ramp(end: Any, edge: Any, width: int) -> Any:
        steps = (np.arange(width) / max(width, 1)).astype(array.real.dtype).reshape((-1,) + (1,) * (array.ndim - axis - 1))
        return end + (edge - end) * steps

    left = ramp(first.astype(array.dtype), array[along(axis, slice(0, 1))], before)
    right = np.flip(ramp(last.astype(array.dtype), array[along(axis, slice(n - 1, n))], after), axis)
    return np.concatenate((left, array, right), axis)


def _pad_statistic(statistic: Callable[..., Any]) -> Callable[..., Any]:
    def pad_axis(array: Any, axis: int, before: int, after: int, keywords: dict[str, Any]) -> Any:
        """A statistic of the elements next to the edge (of all, without `stat_length`), over and over."""
        n = array.shape[axis]
        lengths = keywords.get("stat_length")
        first, last = (n, n) if lengths is None else (min(n, int(length)) for length in _pairs(lengths, array.ndim)[axis])

        def block(part: Any, width: int) -> Any:
            value = statistic(part, axis=axis, keepdims=True)
            return np.broadcast_to(value, (*array.shape[:axis], width, *array.shape[axis + 1 :]))

        left = block(array[along(axis, slice(0, first))], before)
        right = block(array[along(axis, slice(n - last, n))], after)
        return np.concatenate((left, array, right), axis)

    return pad_axis


def _pad_by_function(array: Any, widths: Widths, function: Callable[..., Any], keywords: dict[str, Any]) -> Any:
    """Let the user's function fill in each row along each axis, by item assignment."""
    for axis, width in enumerate(widths):
        moved = np.moveaxis(array, axis, -1)
        rows = []
        for place in np.ndindex(moved.shape[:-1]):
            row = np.copy(moved[place])
            function(row, width, axis, keywords)
            rows.append(row)
        array = np.moveaxis(np.stack(rows).reshape(moved.shape), -1, axis)
    return array


# Each pads one axis: (array, axis, before, after, keywords) -> array.
_MODES: dict[str, Callable[..., Any]] = {
    "edge": _pad_by_places("edge"),
    "wrap": _pad_by_places("wrap"),
    "reflect": _pad_reflected("reflect"),
    "symmetric": _pad_reflected("symmetric"),
    "linear_ramp": _pad_ramp,
    "maximum": _pad_statistic(np.max),
    "minimum": _pad_statistic(np.min),
    "mean": _pad_statistic(np.mean),
    "median": _pad_statistic(np.median),
}
_KEYWORDS = {
    "constant": "constant_values",
    "linear_ramp": "end_values",
    "reflect": "reflect_type",
    "symmetric": "reflect_type",
    "empty": "",
    "edge": "",
    "wrap": "",
} | dict.fromkeys(("maximum", "minimum", "mean", "median"), "stat_length")
