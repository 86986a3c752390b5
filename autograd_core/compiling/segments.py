"""A segment: calls on arrays that stay where they are, written as words that the runner in loops.c runs without Python.

Each method writes one call, `ufunc(*inputs, out=outputs)` and the like, and answers whether it could; what it could not is for Python. The
axes are put in the order and joined in the way in which NumPy's own iterator does it, as a loop may take another path, with other last bits,
for another stride. To be sure, a loop is compared with its ufunc before it is first used, and a reduction for each layout that it meets.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_core.compiling.loops import Loop, NoLoopsError, address_of, loop_of, mover, own_loop, runner

__all__ = ["Segment", "trusted_loop"]

Array = np.ndarray[Any, Any]
_Axes = tuple[Sequence[int], Sequence[Sequence[int]]]  # lengths, and for each axis the steps of all operands
MOST_POINTERS = 32  # as in loops.c


class Segment:
    """Calls, being written; then, after `finish`, run by `run`."""

    def __init__(self) -> None:
        self.words: list[int] = []
        self.pointers: list[int] = []  # which words are addresses of elements
        self.kept: list[Any] = []
        self.calls = 0

    # --- calls -----------------------------------------------------------------------------------------------------------------------

    def ufunc(self, ufunc: np.ufunc, inputs: Sequence[Array], outputs: Sequence[Array], loop: Loop | None = None) -> bool:
        """`ufunc(*inputs, out=outputs)`, inputs and outputs of the dtypes of one of its loops."""
        operands = (*inputs, *outputs)
        if loop is None:
            loop = trusted_loop(ufunc, tuple(a.dtype for a in operands))
        if loop is None or not _lie_well(inputs, outputs, may_be_same=ufunc.signature is None):
            return False
        if ufunc.signature is not None:
            return self._generalized(ufunc, inputs, outputs, loop)
        if not _fit(operands):
            return False
        self._elementwise(loop, operands, len(outputs))
        return True

    def reduce(self, ufunc: np.ufunc, array: Array, axes: tuple[int, ...], out: Array) -> bool:
        """`ufunc.reduce(array, axes, out=out)` where array and out have the loop's dtype. `out` may have the axes as length 1 or not."""
        if not _lie_well((array,), (out,), may_be_same=False) or array.dtype != out.dtype:
            return False
        loop = trusted_loop(ufunc, (array.dtype,) * 3)
        # What has an identity starts with it, as in NumPy; maximum and minimum with the first element, which may come twice.
        starts_empty = ufunc.identity is not None
        if loop is None or not (starts_empty or ufunc in (np.maximum, np.minimum, np.fmax, np.fmin)):
            return False
        if not (array.size or starts_empty):
            return not out.size  # the largest of nothing is an error
        key = ufunc, array.dtype, array.shape, array.strides, axes, out.shape, out.strides
        if key not in _REDUCTIONS_THAT_AGREE:
            _REDUCTIONS_THAT_AGREE[key] = _reduction_agrees(*key)
        if not _REDUCTIONS_THAT_AGREE[key]:
            return False
        self._reduce(ufunc, loop, array, axes, out)
        return True

    def copy(self, out: Array, source: Array) -> bool:
        """`out[...] = source`, where loops.c has the cast."""
        loop = _copying(source.dtype, out.dtype)
        if loop is None or not _lie_well((source,), (out,), may_be_same=True) or not _fit((source, out)):
            return False
        self._elementwise(loop, (source, out), 1)
        return True

    def where(self, condition: Array, yes: Array, no: Array, out: Array) -> bool:
        """`out[...] = np.where(condition, yes, no)` of booleans and two arrays of the result's dtype."""
        name = f"where_{out.itemsize}"
        loop = _own(name) if condition.dtype == bool and yes.dtype == no.dtype == out.dtype and out.dtype.char in _COPIED else None
        operands = condition, yes, no, out
        if loop is None or not _lie_well(operands[:3], (out,), may_be_same=True) or not _fit(operands):
            return False
        self._elementwise(loop, operands, 1)
        return True

    def indexed(self, kind: str, array: Array, index: Array, values: Array, first_is_counted: bool = False) -> bool:
        """`values[...] = array[index]` ("take"), `array[index] = values` ("put"), `np.add.at(array, index, values)` ("add_at"), of int64
        indices into the first axis; with `first_is_counted` of `array[arange(n), index]`. Values have the shape of the result, in C order.
        """
        read, written = ((array,), (values,)) if kind == "take" else ((values,), (array,))
        if index.dtype != np.int64 or array.dtype != values.dtype or array.dtype.char not in _COPIED:
            return False
        if not _lie_well((*read, index), written, may_be_same=False) or not values.flags.c_contiguous or not index.flags.c_contiguous:
            return False
        row = (array[0, 0, ...] if first_is_counted else array[0, ...]) if array.size else None
        if row is None or not row.flags.c_contiguous or not values.size:
            return False
        name = kind if kind != "add_at" else {"f": "add_at_f", "d": "add_at_d"}.get(array.dtype.char, "")
        function = own_loop(name) if name else None
        if function is None:
            return False
        axis = int(first_is_counted)
        data = np.array([array.shape[axis], array.strides[axis], row.nbytes], dtype=np.intp)
        self.kept.append(data)
        step = array.strides[0] if first_is_counted else 0
        operands = array, index, values
        self.kept.extend(operands)
        self._write(Loop(function, address_of(data)), [address_of(a) for a in operands], [index.size], [step, index.itemsize, row.nbytes])
        return True

    # --- words -----------------------------------------------------------------------------------------------------------------------

    def _write(self, loop: Loop, addresses: Sequence[int], dims: Sequence[int], steps: Sequence[int], outer: _Axes = ((), ())) -> None:
        """One instruction; the addresses are those of the elements at which it begins."""
        words, (shape, strides) = self.words, outer
        words += (*loop, len(addresses), len(dims), len(steps), len(shape))
        self.pointers.extend(range(len(words), len(words) + len(addresses)))
        words += addresses
        words += dims
        words += steps
        words += shape
        for step in strides:
            words += step
        self.calls += 1

    def _elementwise(self, loop: Loop, operands: Sequence[Array], outputs: int) -> None:
        """A call for each element of the outputs; the others are broadcast to them."""
        out = operands[-1]
        shape = out.shape
        if out.size == 0:
            return
        self.kept.extend(operands)
        addresses = [address_of(a) for a in operands]
        if len(shape) < 2 and all(a.shape == shape or not a.shape for a in operands):
            # What NumPy does without an iterator: scalars have step 0, and an output without axes that of its elements.
            inputs = len(operands) - outputs
            steps = [a.strides[0] if a.shape else 0 if i < inputs else a.itemsize for i, a in enumerate(operands)]
            self._write(loop, addresses, [out.size], steps)
        elif all(not a.shape or (a.shape == shape and a.flags.c_contiguous) for a in operands):
            self._write(loop, addresses, [out.size], [a.itemsize if a.shape else 0 for a in operands])
        else:
            self._over(loop, addresses, shape, [_broadcast_strides(a, len(shape)) for a in operands], may_flip=True)

    def _over(self, loop: Loop, addresses: list[int], shape: tuple[int, ...], strides: list[tuple[int, ...]], may_flip: bool) -> None:
        """The loop over all axes: the last of those in memory order within the loop, the others around it."""
        lengths, steps, offsets = in_memory_order(shape, strides, may_flip)
        places = [address + offset for address, offset in zip(addresses, offsets, strict=True)]
        self._write(loop, places, lengths[-1:], steps[-1], (lengths[:-1], steps[:-1]))

    def _reduce(self, ufunc: np.ufunc, loop: Loop, array: Array, axes: tuple[int, ...], out: Array) -> None:
        if out.ndim == array.ndim:
            out = out[(*(0 if axis in axes else slice(None) for axis in range(out.ndim)), ...)]
        if ufunc.identity is not None:
            first = np.array(ufunc.identity, dtype=out.dtype)
        else:
            first = array[(*(0 if axis in axes else slice(None) for axis in range(array.ndim)), ...)]
        copying = _copying(out.dtype, out.dtype)
        assert copying is not None
        self._elementwise(copying, (first, out), 1)
        if len(axes) == 1 and ufunc.identity is None:
            array = array[tuple(slice(axes[0] == axis, None) for axis in range(array.ndim))]
        if array.size:
            self.kept.append(array)
            kept = iter(out.strides)
            into = tuple(0 if axis in axes else next(kept) for axis in range(array.ndim))
            to = address_of(out)
            self._over(loop, [to, address_of(array), to], array.shape, [into, array.strides, into], may_flip=False)

    def _generalized(self, ufunc: np.ufunc, inputs: Sequence[Array], outputs: Sequence[Array], loop: Loop) -> bool:
        """A ufunc over whole vectors and matrices, as matmul: its loop takes one outer axis, and the core axes' lengths and steps."""
        cores = _core_axes(str(ufunc.signature))
        operands = (*inputs, *outputs)
        optional = {name for core in cores for name in core if name.endswith("?")}
        # Of an operand with too few axes, the optional ones are missing; they have length 1 then.
        present = [
            core if len(core) <= a.ndim else tuple(n for n in core if n not in optional) for core, a in zip(cores[: len(inputs)], inputs, strict=True)
        ]
        missing = {n for core, has in zip(cores, present, strict=False) for n in core if n not in has}
        present += [tuple(n for n in core if n not in missing) for core in cores[len(inputs) :]]
        lengths: dict[str, int] = dict.fromkeys(missing, 1)
        for a, names in zip(operands, present, strict=True):
            if a.ndim < len(names):
                return False
            for name, length in zip(names, a.shape[a.ndim - len(names) :], strict=True):
                if lengths.setdefault(name, length) != length:
                    return False
        steps = []
        for a, core, names in zip(operands, cores, present, strict=True):
            own = dict(zip(names, a.strides[a.ndim - len(names) :], strict=True))
            steps += [0 if lengths[name] == 1 else own[name] for name in core]
        order = list(dict.fromkeys(name for core in cores for name in core))
        dims = [lengths[name] for name in order]
        if 0 in dims or any(a.size == 0 for a in operands):
            return all(a.size == 0 for a in outputs)
        outer = [_first_of_last(a, len(names)) for a, names in zip(operands, present, strict=True)]
        shape = outer[-1].shape
        self.kept.extend(operands)
        lengths_around, steps_around, offsets = in_memory_order(shape, [_broadcast_strides(a, len(shape)) for a in outer], may_flip=True)
        addresses = [address_of(a) + offset for a, offset in zip(outer, offsets, strict=True)]
        self._write(loop, addresses, [*lengths_around[-1:], *dims], [*steps_around[-1], *steps], (lengths_around[:-1], steps_around[:-1]))
        return True

    # --- running ---------------------------------------------------------------------------------------------------------------------

    def finish(self) -> Callable[[], int]:
        """`run()`: does all calls, and returns the floating-point exceptions that were raised (as NumPy numbers them) and OUT_OF_RANGE."""
        self.program = np.array(self.words, dtype=np.intp)
        begin = address_of(self.program)
        return functools.partial(runner(), begin, begin + self.program.nbytes)

    def places_within(self, first: int, last: int) -> Array:
        """Which words of the finished program point into the memory between two addresses."""
        return np.array([place for place in self.pointers if first <= self.words[place] < last], dtype=np.intp)

    def move(self, places: Array, distance: int) -> None:
        """The memory that these words point into lies this much further now."""
        mover()(address_of(self.program), address_of(places), places.size, distance)


def _first_of_last(array: Array, axes: int) -> Array:
    """A view without the last axes, at their first place."""
    index: Any = (..., *(0,) * axes)
    return array[index]


def _broadcast_strides(array: Array, ndim: int) -> tuple[int, ...]:
    return (0,) * (ndim - array.ndim) + tuple(0 if n == 1 else stride for n, stride in zip(array.shape, array.strides, strict=True))


def in_memory_order(shape: tuple[int, ...], strides: Sequence[tuple[int, ...]], may_flip: bool) -> tuple[list[int], list[list[int]], list[int]]:
    """Axes sorted and joined as `numpy.nditer` does it: their lengths, for each the steps of all operands, and how far from its first
    element each operand begins.

    As there: the smallest strides last; C order where the strides do not tell, or contradict one another; axes along which all
    operands run backwards are turned, in reductions they are not.
    """
    axes: list[tuple[int, list[int]]] = []  # innermost first
    for n, *steps in reversed(list(zip(shape, *strides, strict=True))):
        if n == 1:
            continue
        place = len(axes)
        for index in range(len(axes) - 1, -1, -1):
            pairs = [(abs(mine), abs(other)) for mine, other in zip(steps, axes[index][1], strict=True) if mine and other]
            if pairs and not all(mine < other for mine, other in pairs):
                break  # it lies farther apart than that axis, or some operand says so: C order stays
            if pairs:
                place = index
        axes.insert(place, (n, steps))
    offsets = [0] * len(strides)
    if may_flip:
        for index, (n, steps) in enumerate(axes):
            if min(steps) < 0 and max(steps) <= 0:
                offsets = [offset + (n - 1) * step for offset, step in zip(offsets, steps, strict=True)]
                axes[index] = n, [-step for step in steps]
    joined: list[tuple[int, list[int]]] = []
    for n, steps in axes:
        if joined and all(inner * joined[-1][0] == step for inner, step in zip(joined[-1][1], steps, strict=True)):
            joined[-1] = joined[-1][0] * n, joined[-1][1]
        else:
            joined.append((n, steps))
    joined = joined[::-1] or [(1, [0] * len(strides))]
    return [n for n, _ in joined], [steps for _, steps in joined], offsets


_REDUCTIONS_THAT_AGREE: dict[Any, bool] = {}
_COPIED = "?bBhHiIlLqQefdFD"  # elements of 1, 2, 4, 8 or 16 bytes without padding or Python objects


def _own(name: str) -> Loop | None:
    function = own_loop(name)
    return None if function is None else Loop(function, 0)


@functools.cache
def _copying(source: np.dtype[Any], target: np.dtype[Any]) -> Loop | None:
    """The loop that copies, or casts."""
    if not (source.isnative and target.isnative and source.char in _COPIED and target.char in _COPIED):
        return None
    return _own(f"copy_{source.itemsize}" if source.str == target.str else f"cast_{source.str[1:]}_{target.str[1:]}")


def _extent(array: Array) -> tuple[int, int]:
    """The addresses between which the elements lie."""
    first = last = address_of(array)
    for n, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            first += (n - 1) * stride
        else:
            last += (n - 1) * stride
    return first, last + array.itemsize


def _lie_well(inputs: Sequence[Array], outputs: Sequence[Array], may_be_same: bool) -> bool:
    """Whether all are aligned, and no output overlaps anything, unless it is element for element the same as an input."""
    if len(inputs) + len(outputs) > MOST_POINTERS or not all(a.flags.aligned for a in (*inputs, *outputs)):
        return False
    extents = [(a, _extent(a)) for a in (*inputs, *outputs) if a.size]
    for out in outputs:
        if not out.size:
            continue
        if not out.flags.writeable or _writes_twice(out):
            return False
        first, last = _extent(out)
        for a, (begin, end) in extents:
            if a is out or end <= first or last <= begin:
                continue
            same = address_of(a) == address_of(out) and a.strides == out.strides and a.shape == out.shape and a.dtype.itemsize == out.dtype.itemsize
            if not (may_be_same and same):
                return False
    return True


def _fit(operands: Sequence[Array]) -> bool:
    """Whether all can be broadcast to the last one."""
    shape = operands[-1].shape
    return all(
        a.shape == shape or (a.ndim <= len(shape) and all(n in (1, m) for n, m in zip(a.shape[::-1], shape[::-1], strict=False))) for a in operands
    )


def _writes_twice(array: Array) -> bool:
    """Whether elements may share memory with one another."""
    reach = 0
    for stride, n in sorted((abs(s), n) for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        if stride < reach + array.itemsize:
            return True
        reach += stride * (n - 1)
    return False


@functools.cache
def _core_axes(signature: str) -> list[tuple[str, ...]]:
    """The names of each operand's core axes: "(m,n?),(n)->(m)"."""
    operands = signature.replace("->", ",").replace(" ", "")[1:-1].split("),(")
    return [tuple(name for name in operand.split(",") if name) for operand in operands]


# --- whether they can be trusted -----------------------------------------------------------------------------------------------------


def _same_bits(found: Array, expected: Array) -> bool:
    if found.dtype.char in "gG":  # 80 bits in 128: the others are not part of the number
        return bool(np.array_equal(found, expected, equal_nan=True))
    return found.tobytes() == expected.tobytes()


@functools.cache
def trusted_loop(ufunc: np.ufunc, dtypes: tuple[np.dtype[Any], ...]) -> Loop | None:
    """The ufunc's loop for these dtypes, if what it computes here is what the ufunc computes, to the last bit."""
    loop = loop_of(ufunc, dtypes)
    if loop is None:
        return None
    if ufunc.signature is None:
        layouts: list[list[tuple[int, ...]]] = [[(31,)] * ufunc.nin, [(3, 5)] + [()] * (ufunc.nin - 1)]
    else:
        lengths = {"m": 4, "n": 3, "p": 5, "k": 6}
        cores = _core_axes(ufunc.signature)[: ufunc.nin]
        layouts = [[(*outer, *(lengths.get(n[0], 2) for n in core)) for core in cores] for outer in ((), (2,))]
    for layout in layouts:
        for strided in (False, True):
            inputs = [
                _some_numbers(dtype, math.prod(shape), seed).reshape(shape) for seed, (dtype, shape) in enumerate(zip(dtypes, layout, strict=False))
            ]
            if strided:
                inputs = [np.repeat(a, 2, -1)[..., ::2] if a.ndim else a for a in inputs]
            with np.errstate(all="ignore"):
                try:
                    results = ufunc(*inputs, signature=tuple(dtypes))
                except (TypeError, ValueError):
                    return None
            expected = [np.asarray(r) for r in (results if isinstance(results, tuple) else (results,))]
            found = [np.zeros_like(a) for a in expected]
            segment = Segment()
            if [a.dtype for a in expected] != list(dtypes[ufunc.nin :]) or not segment.ufunc(ufunc, inputs, found, loop):
                return None
            segment.finish()()
            if not all(map(_same_bits, found, expected)):
                raise NoLoopsError(f"NumPy {np.__version__} computes {ufunc.__name__} by another loop than {loop}")
    return loop


def _reduction_agrees(
    ufunc: np.ufunc,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    axes: tuple[int, ...],
    out_shape: tuple[int, ...],
    out_strides: tuple[int, ...],
) -> bool:
    """Whether a reduction of numbers that lie like this is the ufunc's, to the last bit; where NumPy works in blocks it is not."""
    array, out, expected = _laid_out(dtype, shape, strides), _laid_out(dtype, out_shape, out_strides), _laid_out(dtype, out_shape, out_strides)
    loop = trusted_loop(ufunc, (dtype,) * 3)
    assert loop is not None
    segment = Segment()
    segment._reduce(ufunc, loop, array, axes, out)
    run = segment.finish()
    keepdims = len(out_shape) == len(shape)
    # Two orders of adding give the same last bit every other time, so that several sums have to agree.
    for seed in range(1 + 40 // max(1, out.size) if dtype.kind in "fc" else 1):
        array[...] = _some_numbers(dtype, array.size, seed).reshape(shape)
        run()
        with np.errstate(all="ignore"):
            ufunc.reduce(array, axes, out=expected, keepdims=keepdims)
        if not _same_bits(out, expected):
            return False
    return True


def _some_numbers(dtype: np.dtype[Any], size: int, seed: int) -> Array:
    """So many of a few thousand numbers, from another beginning for each seed."""
    pool = _pool_of_numbers(dtype)
    return np.resize(np.roll(pool, -191 * seed) if size > 500 else pool[191 * (seed % 60) :], size)


@functools.cache
def _pool_of_numbers(dtype: np.dtype[Any]) -> Array:
    """Numbers of many sizes and both signs; small ones of integers."""
    rng = np.random.default_rng(0)
    if dtype.kind == "b":
        return rng.random(12007) < 0.5
    if dtype.kind in "iu":
        return rng.integers(0 if dtype.kind == "u" else -9, 9, 12007).astype(dtype)
    values = rng.standard_normal(12007) * rng.choice([1.0, 0.01, 30.0], 12007)
    return (values + 1j * rng.standard_normal(12007) if dtype.kind == "c" else values).astype(dtype)


def _laid_out(dtype: np.dtype[Any], shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """An array of this layout, in memory of its own."""
    if 0 in shape:
        return np.empty(shape, dtype)
    below = sum(stride * (n - 1) for n, stride in zip(shape, strides, strict=True) if stride < 0)
    above = sum(stride * (n - 1) for n, stride in zip(shape, strides, strict=True) if stride > 0)
    return np.ndarray(shape, dtype, np.zeros(above - below + dtype.itemsize, np.uint8), -below, strides)
