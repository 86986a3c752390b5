"""Windows that slide over the last axes of an array: the geometry that convolution, pooling and unfolding share.

A window looks at `kernel` places per axis, `dilation` apart; the next one stands `stride` further; the first one begins
`padding` places before the array. All kernels here walk over the places *within* a window (nine, for 3x3), not over the
windows: the elements at one place of all the windows are a plain slice of the array. Where a place lies outside, the slice
is shorter, so no padded copy of the array is made.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Slot", "Windows", "arrays_only", "batched", "per_axis", "pool_numbers", "windows_over"]

Numbers = tuple[int, ...]
Slices = tuple[Any, ...]  # an ellipsis and a slice per axis


class Slot(NamedTuple):
    """One place within all windows: which windows have it inside the array, and the elements that they see there."""

    place: Numbers
    windows: Slices
    elements: Slices


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of `kernel` places, `counts` of them per axis; one number per axis everywhere.

    >>> windows = Windows(kernel=(3,), stride=(2,), padding=(1,), dilation=(1,), counts=(3,))
    >>> [(slot.windows[-1], slot.elements[-1]) for slot in windows.slots((5,))]
    [(slice(1, 3, None), slice(1, 4, 2)), (slice(0, 3, None), slice(0, 5, 2)), (slice(0, 2, None), slice(1, 4, 2))]
    """

    kernel: Numbers
    stride: Numbers
    padding: Numbers
    dilation: Numbers
    counts: Numbers

    @property
    def ndim(self) -> int:
        """The number of axes that the windows slide over."""
        return len(self.kernel)

    @property
    def places(self) -> int:
        """How many elements a window sees."""
        return math.prod(self.kernel)

    def are_elements(self, sizes: Numbers) -> bool:
        """Whether the windows are the elements themselves, in order: a 1x1 convolution needs no columns."""
        return self.places == 1 and self.tiles(sizes)

    def slots(self, sizes: Numbers) -> tuple[Slot, ...]:
        """The places within the windows, in row-major order, over an array whose last axes are `sizes`; none that is empty."""
        return _slots(self, tuple(sizes))

    def tiles(self, sizes: Numbers) -> bool:
        """Whether each element is in exactly one window."""
        whole = all(n == k * count for n, k, count in zip(sizes, self.kernel, self.counts, strict=True))
        close = all(d == 1 or k == 1 for d, k in zip(self.dilation, self.kernel, strict=True))
        return whole and close and self.stride == self.kernel and not any(self.padding)

    def rows(self, start: int, stop: int) -> Windows:
        """Of these windows, those from `start` to `stop` along the first axis."""
        padding = (self.padding[0] - start * self.stride[0], *self.padding[1:])  # less than none: they begin inside the array
        return Windows(self.kernel, self.stride, padding, self.dilation, (stop - start, *self.counts[1:]))

    def along(self, axis: int) -> Windows:
        """The same windows over one of the axes alone."""
        return Windows(*((numbers[axis],) for numbers in (self.kernel, self.stride, self.padding, self.dilation, self.counts)))


@functools.lru_cache(maxsize=2048)
def _slots(windows: Windows, sizes: Numbers) -> tuple[Slot, ...]:
    axes = []
    for k, s, p, d, count, n in zip(windows.kernel, windows.stride, windows.padding, windows.dilation, windows.counts, sizes, strict=True):
        axis = []
        for place in range(k):
            offset = place * d - p
            first = max(0, -(offset // s))  # the first window whose element is not before the array
            end = min(count, (n - 1 - offset) // s + 1)  # and behind the last one that is not after it
            if first < end:
                start = offset + first * s
                axis.append((place, slice(first, end), slice(start, start + (end - first - 1) * s + 1, s if s > 1 else None)))
        axes.append(axis)
    return tuple(Slot(tuple(a[0] for a in one), (..., *(a[1] for a in one)), (..., *(a[2] for a in one))) for one in itertools.product(*axes))


# --- arguments ------------------------------------------------------------------------------------------------------------


def arrays_only(function: str, **arguments: Any) -> None:
    """Raise TypeError for an argument that is no array and no tensor (None is let through)."""
    for name, value in arguments.items():
        if value is not None and not hasattr(value, "dtype"):
            raise TypeError(f"{function}: {name} must be a tensor or an array, not {type(value).__name__}; np.asarray(...) makes one of a list")


def is_integer(value: Any) -> bool:
    """Whether `value` is an int, Python's or NumPy's; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)


def per_axis(function: str, name: str, value: Any, ndim: int, least: int) -> Numbers:
    """`value`, one integer for all axes or a sequence of one per axis, as a tuple; TypeError or ValueError if it is neither."""
    numbers = tuple(value) if isinstance(value, tuple | list | np.ndarray) else (value,)
    if not all(map(is_integer, numbers)):
        raise TypeError(f"{function}: {name} must be an integer or {ndim} of them, not {value!r}")
    if len(numbers) == 1:
        numbers *= ndim
    if len(numbers) != ndim:
        raise ValueError(f"{function}: {name} must be one integer or {ndim}, one per axis, not {value!r}")
    if min(numbers) < least:
        raise ValueError(f"{function}: {name} must be >= {least}, not {value!r}")
    return tuple(map(int, numbers))


def batched(function: str, input: Any, ndim: int, channels: bool = True) -> tuple[Any, bool]:
    """`input` as (batch, channels, *sizes), and whether the batch axis had to be added."""
    arrays_only(function, input=input)
    if input.ndim not in (ndim + 1, ndim + 2):
        names = ("length", "height, width", "depth, height, width")[ndim - 1]
        raise ValueError(
            f"{function}: input must have {ndim + 2} axes, (batch, channels, {names}), or {ndim + 1} without the batch, not shape {input.shape}"
        )
    return (input, False) if input.ndim == ndim + 2 else (input[None], True)


def windows_over(
    function: str, sizes: Numbers, kernel: Numbers, stride: Numbers, padding: Numbers, dilation: Numbers, ceil_mode: bool = False
) -> Windows:
    """The windows that fit into `sizes` with `padding` at both ends.

    ceil_mode  a last window may hang over the end, if it begins inside the array or the padding before it
    raises     ValueError if there is no room for a single one
    """
    counts = []
    for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1
        counts.append(count)
    if min(counts) < 1:
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
        raise ValueError(
            f"{function}: windows that reach over {reach} elements do not fit into an input of size {sizes} with padding {padding}: "
            f"the output would have size {tuple(counts)}"
        )
    return Windows(kernel, stride, padding, dilation, tuple(counts))


def pool_numbers(function: str, ndim: int, kernel: Any, stride: Any, padding: Any) -> tuple[Numbers, Numbers, Numbers]:
    """(kernel, stride, padding) of pooling, one number per axis each; without a stride it is the kernel's size."""
    kernel = per_axis(function, "kernel_size", kernel, ndim, 1)
    empty = stride is None or (isinstance(stride, tuple | list) and not stride)
    return kernel, kernel if empty else per_axis(function, "stride", stride, ndim, 1), per_axis(function, "padding", padding, ndim, 0)
