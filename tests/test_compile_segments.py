"""Segments of NumPy's inner loops compute what NumPy computes, to the last bit, whatever the layout."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograd_core.compiling.loops import OUT_OF_RANGE, address_of
from autograd_core.compiling.segments import Segment

pytestmark = [pytest.mark.usefixtures("compiled_loops"), pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")]

RNG = np.random.default_rng(5)
LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "C": lambda a: a.copy(),
    "F": lambda a: np.asfortranarray(a),
    "every second": lambda a: np.repeat(a, 2, -1)[..., ::2] if a.ndim else a,
    "reversed": lambda a: np.flip(np.flip(a).copy()),
    "rows reversed": lambda a: np.flip(np.flip(a, 0).copy(), 0) if a.ndim else a,
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape) if a.ndim else a,
    "moved axis": lambda a: np.moveaxis(np.moveaxis(a, -1, 0).copy(), 0, -1) if a.ndim else a,
}
SHAPES = [(), (1,), (7,), (3, 4), (2, 3, 5), (4, 1, 3), (0,), (3, 0), (1000,), (17, 33)]


def numbers(shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
    values = RNG.standard_normal(shape) * RNG.choice([1, 0.01, 30], shape)
    return np.asarray(values if np.dtype(dtype).kind != "c" else values + 1j * RNG.standard_normal(shape)).astype(dtype)


def result_of(write: Callable[[Segment, np.ndarray], bool], expected: Any) -> np.ndarray:
    """What a segment of one call writes into an array with the layout of the expected one."""
    out = np.full_like(np.asarray(expected), 7)
    segment = Segment()
    assert write(segment, out)
    segment.finish()()
    return out


def same_bits(found: np.ndarray, expected: Any) -> bool:
    return found.dtype == np.asarray(expected).dtype and found.shape == np.shape(expected) and found.tobytes() == np.asarray(expected).tobytes()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ufunc", [np.add, np.sin, np.exp, np.tanh, np.maximum, np.less, np.isfinite], ids=lambda u: u.__name__)
def test_elementwise_calls_have_the_bits_of_their_ufunc(ufunc: np.ufunc, layout: str) -> None:
    for shape, other, dtype in itertools.product(SHAPES, ["C", "F", "every second", "0-d"], [np.float32, np.float64]):
        inputs = [LAYOUTS[layout](numbers(shape, dtype))]
        if ufunc.nin == 2:
            inputs.append(numbers((), dtype) if other == "0-d" else LAYOUTS[other](numbers(shape, dtype)))
        expected = ufunc(*inputs)
        assert same_bits(result_of(lambda s, out: s.ufunc(ufunc, inputs, (out,)), expected), expected), (shape, other, dtype)  # noqa: B023


@pytest.mark.parametrize("shapes", [((3, 1), (1, 4)), ((2, 3, 4), (4,)), ((5,), (2, 1, 1)), ((2, 1, 3), (4, 1)), ((0, 3), (1, 3))], ids=str)
def test_broadcasting_is_numpys(shapes: tuple[tuple[int, ...], ...]) -> None:
    inputs = [numbers(shape) for shape in shapes]
    expected = np.multiply(*inputs)
    assert same_bits(result_of(lambda s, out: s.ufunc(np.multiply, inputs, (out,)), expected), expected)


def test_in_place_and_several_results() -> None:
    a, segment = numbers((5, 6)), Segment()
    expected = np.tanh(a)
    assert segment.ufunc(np.tanh, (a,), (a,))
    segment.finish()()
    assert same_bits(a, expected)
    b, parts, segment = numbers((5, 6)), (np.empty((5, 6)), np.empty((5, 6))), Segment()
    assert segment.ufunc(np.modf, (b,), parts)
    segment.finish()()
    assert all(map(same_bits, parts, np.modf(b)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("ufunc", [np.add, np.maximum], ids=lambda u: u.__name__)
def test_reductions_have_the_bits_of_their_ufunc_or_are_left_to_it(ufunc: np.ufunc, layout: str) -> None:
    written = 0
    for shape, dtype in itertools.product([*SHAPES, (3, 9000), (9000, 3), (2, 3, 2, 4)], [np.float32, np.float64]):
        array = LAYOUTS[layout](numbers(shape, dtype))
        for n, axes in enumerate(itertools.chain.from_iterable(itertools.combinations(range(len(shape)), n) for n in range(1, len(shape) + 1))):
            for keepdims in (bool(n % 2),):
                if ufunc.identity is None and 0 in [shape[axis] for axis in axes]:
                    continue
                expected = np.asarray(ufunc.reduce(array, axes, keepdims=keepdims))
                out, segment = np.full_like(expected, 7), Segment()
                if segment.reduce(ufunc, array, axes, out):
                    segment.finish()()
                    assert same_bits(out, expected), (shape, dtype, axes, keepdims)
                    written += 1
                else:
                    assert array.size
    assert written > 40


@pytest.mark.parametrize(
    "shapes",
    [((3, 4), (4, 5)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (6, 4, 5)),
     ((1, 4), (4, 1)), ((0, 4), (4, 5)), ((64, 65), (65, 66)), ((3, 1), (1, 5))],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.float32, np.complex128, np.int64])
def test_products_have_the_bits_of_matmul(shapes: tuple[tuple[int, ...], ...], dtype: Any) -> None:
    for layouts in itertools.product(["C", "F", "every second", "reversed", "moved axis"], repeat=2):
        inputs = [LAYOUTS[layout](numbers(shape, dtype)) for layout, shape in zip(layouts, shapes, strict=True)]
        expected = np.matmul(*inputs)
        assert same_bits(result_of(lambda s, out: s.ufunc(np.matmul, inputs, (out,)), expected), expected), layouts  # noqa: B023


def test_products_of_a_matrix_and_its_own_transpose() -> None:
    a = numbers((30, 20))
    for inputs in ((a, a.T), (a.T, a)):
        expected = np.matmul(*inputs)
        assert same_bits(result_of(lambda s, out: s.ufunc(np.matmul, inputs, (out,)), expected), expected)  # noqa: B023


@pytest.mark.parametrize("layout", LAYOUTS)
def test_copies_and_casts_are_numpys(layout: str) -> None:
    kinds = "?bBhHiIlLfdFD"
    written = 0
    for source, target, shape in itertools.product(kinds, kinds, [(), (7,), (3, 4), (0, 2)]):
        if np.dtype(source).kind == "c" and np.dtype(target).kind != "c":
            continue
        array = LAYOUTS[layout](numbers(shape, "d").round().astype("b" if np.dtype(source).kind != "u" else "B").astype(source))
        for out in (np.zeros(shape, target), np.zeros(shape, target, order="F"), np.zeros((*shape[:-1], 2 * shape[-1]) if shape else (), target)):
            out = out[..., ::2] if out.shape != shape else out
            segment = Segment()
            if segment.copy(out, array):
                written += 1
                segment.finish()()
                assert same_bits(out, array.astype(target)), (source, target)
    assert written > 400


def test_where_picks_as_numpy_does() -> None:
    for shape, dtype, (first, second) in itertools.product(SHAPES, "fdD?", [("C", "F"), ("broadcast", "C"), ("reversed", "every second")]):
        condition = numbers(shape) > 0
        yes, no = LAYOUTS[first](numbers(shape, dtype)), LAYOUTS[second](numbers(shape, dtype))
        expected = np.where(condition, yes, no)
        assert same_bits(result_of(lambda s, out: s.where(condition, yes, no, out), expected), expected)  # noqa: B023
        expected = np.where(condition, yes, no.flat[0] if no.size else 0).astype(dtype)
        scalar = np.array(no.flat[0] if no.size else 0, dtype)
        assert same_bits(result_of(lambda s, out: s.where(condition, yes, scalar, out), expected), expected)  # noqa: B023


def test_indexed_calls_take_put_and_add_as_numpy_does() -> None:
    for shape, dtype in itertools.product([(6,), (6, 3), (6, 2, 3)], "fd"):
        array, index = numbers(shape, dtype), np.array([0, 5, -1, 2, 2, -6, 5])
        values = numbers((7, *shape[1:]), dtype)
        assert same_bits(result_of(lambda s, out: s.indexed("take", array, index, out), array[index]), array[index])  # noqa: B023
        for kind in ("put", "add_at"):
            expected, found, segment = array.copy(), array.copy(), Segment()
            np.add.at(expected, index, values) if kind == "add_at" else expected.__setitem__(index, values)
            assert segment.indexed(kind, found, index, values)
            assert segment.finish()() & OUT_OF_RANGE == 0
            assert same_bits(found, expected)
    scores, target = numbers((5, 4)), np.array([3, 0, -1, 2, 2])
    picked = scores[np.arange(5), target]
    assert same_bits(result_of(lambda s, out: s.indexed("take", scores, target, out, first_is_counted=True), picked), picked)


def test_an_index_out_of_range_is_told_and_touches_nothing() -> None:
    array, values = numbers((4, 2)), numbers((3, 2))
    for wrong in (4, -5, 10**12):
        before, segment = array.copy(), Segment()
        assert segment.indexed("put", array, np.array([wrong, wrong, wrong]), values)
        assert segment.finish()() & OUT_OF_RANGE
        assert same_bits(array, before)


def test_what_overlaps_or_is_not_aligned_is_left_to_numpy() -> None:
    a = numbers((8,))
    unaligned = np.frombuffer(b"x" + numbers((4,)).tobytes(), np.uint8)[1:].view(np.float64)
    out = np.empty(4)
    segment = Segment()
    assert not segment.ufunc(np.negative, (a[:-1],), (a[1:],))
    assert not segment.ufunc(np.negative, (a[::-1],), (a,))
    assert not segment.ufunc(np.negative, (unaligned,), (out,))
    assert not segment.ufunc(np.add, (np.zeros(2), np.zeros(3)), (np.zeros(3),))
    assert not segment.copy(np.zeros(3), np.zeros((2, 3)))
    assert not segment.reduce(np.add, a, (0,), a[0, ...])
    assert not segment.ufunc(np.add, (np.zeros(3, ">f8"), np.zeros(3)), (np.zeros(3),))
    assert not segment.ufunc(np.power, (np.array([2]), np.array([-1])), (np.array([0]),))
    assert segment.calls == 0


def test_an_input_that_lies_elsewhere_is_found_again() -> None:
    first, second, out, segment = numbers((6, 4)), numbers((6, 4)), np.empty((4, 6)), Segment()
    assert segment.ufunc(np.exp, (first.T,), (out,))
    assert segment.ufunc(np.add, (out, first[2, :, None]), (out,))
    run = segment.finish()
    places = segment.places_within(address_of(first), address_of(first) + first.nbytes)
    assert len(places) == 2
    for array in (second, first):
        segment.move(places, address_of(array) - segment.program[places[0]])
        run()
        assert same_bits(out, np.exp(array.T) + array[2, :, None])


def test_floating_point_exceptions_are_told() -> None:
    for call, inputs, told in ((np.divide, (1.0, 0.0), 1), (np.exp, (1000.0,), 2), (np.subtract, (np.inf, np.inf), 8), (np.add, (1.0, 2.0), 0)):
        segment = Segment()
        assert segment.ufunc(call, [np.array(x) for x in inputs], (np.empty(()),))
        assert segment.finish()() & 11 == told
