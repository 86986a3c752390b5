"""Pooling: torch over all arguments, ties, numeric derivatives, and bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from against_torch import agree, compare, layers_agree, same_arguments

import autograd_core as ag
import nn
from nn import functional

SIZES = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
DIMENSIONS = pytest.mark.parametrize("ndim", [1, 2, 3])


def images(rng: np.random.Generator, ndim: int, ties: bool = False, batch: bool = True) -> Any:
    x = rng.normal(size=(*(2,) * batch, 2, *SIZES[ndim]))
    return np.round(x) if ties else x


# --- functions against torch ------------------------------------------------------------------------------------------------------


@DIMENSIONS
@pytest.mark.parametrize("ties", [False, True])
def test_max_pooling_agrees_with_torch_in_all_combinations_of_arguments(ties: bool, ndim: int, rng: np.random.Generator) -> None:
    taken = 0
    for kernel, stride, padding, dilation, ceil_mode, indices in itertools.product((2, 3), (None, 1, 2), (0, 1), (1, 2), *[(False, True)] * 2):
        x = images(rng, ndim, ties, batch=not ceil_mode)
        taken += agree(f"max_pool{ndim}d", [x], (kernel, stride, padding, dilation, ceil_mode), rng, return_indices=indices)
    assert taken > 60


@DIMENSIONS
def test_average_pooling_agrees_with_torch_in_all_combinations_of_arguments(ndim: int, rng: np.random.Generator) -> None:
    taken = 0
    divisors = (None,) if ndim == 1 else (None, 3, -2)
    for kernel, stride, padding, ceil_mode, counted, divisor in itertools.product((1, 2, 3), (None, 1, 2, 4), (0, 1), *[(False, True)] * 2, divisors):
        keywords = {} if ndim == 1 else {"divisor_override": divisor}
        taken += agree(f"avg_pool{ndim}d", [images(rng, ndim, batch=not ceil_mode)], (kernel, stride, padding, ceil_mode, counted), rng, **keywords)
    assert taken > 60


@DIMENSIONS
def test_adaptive_pooling_agrees_with_torch_for_all_sizes(ndim: int, rng: np.random.Generator) -> None:
    for size, batch in itertools.product((1, 2, 3, 4, 5, 7, 9, 11), (False, True)):
        agree(f"adaptive_avg_pool{ndim}d", [images(rng, ndim, batch=batch)], (size,), rng)
        for indices in (False, True):
            agree(f"adaptive_max_pool{ndim}d", [images(rng, ndim, ties=indices, batch=batch)], (size, indices), rng)
    if ndim == 2:
        for sizes in ((1, 4), (None, 3), [2, None]):
            agree("adaptive_avg_pool2d", [images(rng, 2)], (sizes,), rng)
            agree("adaptive_max_pool2d", [images(rng, 2)], (sizes, True), rng)


@DIMENSIONS
def test_power_pooling_agrees_with_torch_in_all_combinations_of_arguments(ndim: int, rng: np.random.Generator) -> None:
    for power, kernel, stride, ceil_mode in itertools.product((1, 2, 3, 2.5, -1.0), (2, 3), (None, 1, 2), (False, True)):
        x = images(rng, ndim, batch=not ceil_mode)
        agree(f"lp_pool{ndim}d", [x if power == 2 else abs(x)], (power, kernel, stride, ceil_mode), rng)


@DIMENSIONS
def test_unpooling_agrees_with_torch(ndim: int, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for kernel, stride, padding in ((2, None, 0), (3, 2, 1), (2, 3, 0)):
        x = images(rng, ndim)
        maxima, places = getattr(functional, f"max_pool{ndim}d")(x, kernel, stride, padding, return_indices=True)
        if stride is not None and stride < kernel:  # windows that share their maximum: torch's result depends on the order there
            places = np.broadcast_to(np.arange(places[0, 0].size).reshape(places.shape[2:]), places.shape)
        ours, theirs = getattr(functional, f"max_unpool{ndim}d"), getattr(torch.nn.functional, f"max_unpool{ndim}d")
        for size in (None, SIZES[ndim], [2, 2, *SIZES[ndim]])[stride == 3 :]:
            a, b = ag.tensor(maxima, requires_grad=True), torch.tensor(maxima, requires_grad=True)
            y, z = ours(a, places, kernel, stride, padding, size), theirs(b, torch.tensor(places), kernel, stride, padding, size)
            np.testing.assert_array_equal(y.detach().numpy(), z.detach().numpy())
            g = rng.normal(size=y.shape)
            y.backward(g)
            z.backward(torch.tensor(g))
            np.testing.assert_array_equal(a.grad.numpy(), b.grad.numpy())


def test_each_axis_has_numbers_of_its_own(rng: np.random.Generator) -> None:
    for _ in range(60):
        k, s, p, d = (tuple(int(n) for n in rng.integers(low, high, size=2)) for low, high in ((2, 5), (1, 5), (0, 2), (1, 4)))
        ceil_mode, other = bool(rng.integers(2)), bool(rng.integers(2))
        agree("max_pool2d", [rng.normal(size=(2, 3, 9, 11))], (k, s, p, d, ceil_mode), rng, return_indices=other)
        agree("avg_pool2d", [rng.normal(size=(2, 3, 9, 11))], (k, s, p, ceil_mode, other), rng)


@pytest.mark.parametrize("ndim", [2, 3])
def test_fractional_pooling_agrees_with_torch_for_the_same_random_numbers(ndim: int, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for kernel, size, batch in itertools.product((1, 2, (2,) * ndim), (1, 2, 4 - ndim + 1, (3, 2, 1)[:ndim]), (False, True)):
        x, u = images(rng, ndim, ties=True, batch=batch), rng.random((2 if batch else 1, 2, ndim))
        keywords = {"output_size": size, "return_indices": True}
        a, b = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        found = getattr(functional, f"fractional_max_pool{ndim}d")(a, kernel, **keywords, _random_samples=u)
        expected = getattr(torch.nn.functional, f"fractional_max_pool{ndim}d")(b, kernel, **keywords, _random_samples=torch.tensor(u))
        compare(found, expected, [a], [b], rng, f"{ndim} {kernel} {size} {batch}")
    layer = getattr(nn, f"FractionalMaxPool{ndim}d")
    for options in ({"output_size": 2}, {"output_ratio": 0.6}, {"output_ratio": (0.5, 0.6, 0.3)[:ndim]}):
        theirs = getattr(torch.nn, f"FractionalMaxPool{ndim}d")(2, **options, _random_samples=torch.tensor(u))
        ours = layer(2, **options, _random_samples=u)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        np.testing.assert_array_equal(ours(x), theirs(torch.tensor(x)).numpy())
        assert layer(2, **options)(x).shape == ours(x).shape


def test_fractional_windows_stand_where_a_seed_says_and_go_from_end_to_end(rng: np.random.Generator) -> None:
    x = rng.normal(size=(1, 1, 9, 9))
    pools = [functional.fractional_max_pool2d(x, 2, output_ratio=0.7, generator=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(pools[0], pools[1])
    assert (pools[0] != pools[2]).any()
    _, places = functional.fractional_max_pool2d(x * 0, 2, output_size=8, return_indices=True)
    np.testing.assert_array_equal(places[0, 0], np.arange(8)[:, None] * 9 + np.arange(8))


# --- layers -----------------------------------------------------------------------------------------------------------------------


@DIMENSIONS
def test_layers_agree_with_torchs(ndim: int, rng: np.random.Generator) -> None:
    x = images(rng, ndim)
    for arguments in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}):
        layers_agree(f"MaxPool{ndim}d", arguments, [x], rng=rng)
        layers_agree(f"MaxPool{ndim}d", {**arguments, "return_indices": True, "dilation": 1}, [x], rng=rng)
        layers_agree(f"AvgPool{ndim}d", {**arguments, "count_include_pad": False}, [x], rng=rng)
    if ndim > 1:
        layers_agree(f"AvgPool{ndim}d", {"kernel_size": (2,) * ndim, "divisor_override": 3}, [x], rng=rng)
    layers_agree(f"LPPool{ndim}d", {"norm_type": 2, "kernel_size": 2, "stride": 3, "ceil_mode": True}, [x], rng=rng)
    layers_agree(f"AdaptiveAvgPool{ndim}d", {"output_size": 3}, [x], rng=rng)
    layers_agree(f"AdaptiveMaxPool{ndim}d", {"output_size": 2}, [x], rng=rng)
    layers_agree(f"AdaptiveMaxPool{ndim}d", {"output_size": 3, "return_indices": True}, [x], rng=rng)


@DIMENSIONS
def test_an_unpooling_layer_puts_maxima_back(ndim: int, rng: np.random.Generator) -> None:
    x = images(rng, ndim)
    pool, back = getattr(nn, f"MaxPool{ndim}d")(2, return_indices=True), getattr(nn, f"MaxUnpool{ndim}d")(2)
    restored = back(*pool(x), output_size=x.shape)
    assert restored.shape == x.shape
    np.testing.assert_array_equal(restored[restored != 0], x[restored != 0])


LAYERS = [f"{kind}{n}d" for kind in ("MaxPool", "AvgPool", "LPPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "MaxUnpool") for n in (1, 2, 3)]
FUNCTIONS = [f"{kind}_pool{n}d" for kind in ("avg", "lp", "adaptive_avg") for n in (1, 2, 3)]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_torchs_arguments_in_its_order(name: str) -> None:
    torch = pytest.importorskip("torch")
    same_arguments(getattr(nn, name), getattr(torch.nn, name))


# --- what is particular to pooling ------------------------------------------------------------------------------------------------


def test_of_equal_maxima_the_first_gets_the_gradient() -> None:
    x = ag.tensor(np.zeros((1, 4, 4)), requires_grad=True)
    functional.max_pool2d(x, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy()[0], [[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])


def test_padding_is_never_the_maximum() -> None:
    x = np.full((1, 3, 3), -np.inf)
    maxima, places = functional.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert (maxima == -np.inf).all()
    np.testing.assert_array_equal(places[0], [[0, 1], [3, 4]])
    np.testing.assert_array_equal(functional.max_pool2d(np.full((1, 3, 3), -5), 3, 2, 1), np.full((1, 2, 2), -5))  # integers too


def test_a_nan_is_larger_than_all() -> None:
    x = np.array([[[1.0, np.nan, 3.0, 2.0]]])
    maxima, places = functional.max_pool1d(x, 2, return_indices=True)
    np.testing.assert_array_equal(maxima, [[[np.nan, 3.0]]])
    np.testing.assert_array_equal(places, [[[1, 2]]])
    np.testing.assert_array_equal(functional.max_pool1d(x, 2), maxima)
    np.testing.assert_array_equal(functional.adaptive_max_pool1d(x, 2, return_indices=True)[1], places)


def test_a_window_of_zeros_has_a_power_mean_without_slope() -> None:
    x = ag.tensor(np.zeros((1, 2, 2)), requires_grad=True)
    functional.lp_pool2d(x, 2, 2).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros((1, 2, 2)))


CALLS: list[tuple[str, Any]] = [
    ("max", lambda x: functional.max_pool2d(x, 2)),
    ("overlapping max", lambda x: functional.max_pool2d(x, 3, 1, 1, 2, ceil_mode=True)),
    ("max with indices", lambda x: functional.max_pool2d(x, 2, return_indices=True)[0]),
    ("mean", lambda x: functional.avg_pool2d(x, 2)),
    ("overlapping mean", lambda x: functional.avg_pool2d(x, 3, 2, 1, True, False)),
    ("large mean", lambda x: functional.avg_pool2d(x, (4, 3))),
    ("norm", lambda x: functional.lp_pool2d(x, 2, 2)),
    ("adaptive mean", lambda x: functional.adaptive_avg_pool2d(x, (3, 2))),
    ("adaptive max", lambda x: functional.adaptive_max_pool2d(x, (3, 2))),
    ("fractional", lambda x: functional.fractional_max_pool2d(x, 2, output_size=2, generator=0)),
    ("unpooling", lambda x: functional.max_unpool2d(x, np.arange(x.size)[::-1].reshape(x.shape) % 25, 2)),
]
each_call = pytest.mark.parametrize("call", [call for _, call in CALLS], ids=[name for name, _ in CALLS])


@each_call
def test_pooling_differentiates_twice(call: Any, rng: np.random.Generator) -> None:
    assert ag.gradcheck(call, rng.permutation(np.arange(1.0, 13.0)).reshape(1, 1, 4, 3) / 10, order=2)


@each_call
def test_float32_stays_float32_and_an_empty_batch_empty(call: Any) -> None:
    x = ag.tensor(np.ones((1, 2, 5, 5), dtype=np.float32), requires_grad=True)
    y = call(x)
    y.sum().backward()
    assert {y.dtype, x.grad.dtype} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"])
def test_an_empty_batch_has_an_empty_result(name: str) -> None:
    agree(name, [np.ones((0, 3, 6, 6))], (3,))


@each_call
def test_a_batch_of_calls_is_each_call_alone(call: Any, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 1, 2, 5, 5)) ** 2
    np.testing.assert_allclose(ag.vmap(call)(x), np.stack([call(one) for one in x]), rtol=1e-13)


# --- bad input ----------------------------------------------------------------------------------------------------------------------

X = np.ones((2, 3, 5, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.max_pool2d([[1.0]], 2), "max_pool2d: input must be a tensor or an array, not list"),
        (lambda: functional.max_pool2d(X[0, 0], 2), r"max_pool2d: input must have 4 axes, .* not shape \(5, 5\)"),
        (lambda: functional.max_pool2d(X, 0), "max_pool2d: kernel_size must be >= 1, not 0"),
        (lambda: functional.max_pool2d(X, 6), r"max_pool2d: windows that reach over \(6, 6\) .* input of size \(5, 5\)"),
        (lambda: functional.max_pool2d(X, 2, padding=2), r"max_pool2d: padding=\(2, 2\) must be at most half of what the windows reach over"),
        (lambda: functional.max_pool2d(X, (2, 2, 2)), "max_pool2d: kernel_size must be one integer or 2"),
        (lambda: functional.avg_pool2d(X, 2, padding=2), r"avg_pool2d: padding=\(2, 2\) must be at most half of the kernel"),
        (lambda: functional.avg_pool2d(X, 2, divisor_override=0), "avg_pool2d: divisor_override must be an integer that is not 0"),
        (lambda: functional.lp_pool2d(X, 0, 2), "lp_pool2d: norm_type must be a number that is not 0"),
        (lambda: functional.lp_pool2d([[1.0]], 2, 2), "lp_pool2d: input must be a tensor or an array, not list"),
        (lambda: functional.adaptive_avg_pool2d(X, 0), "adaptive_avg_pool2d: output_size must be >= 1"),
        (lambda: functional.adaptive_avg_pool2d(X, (1, 2, 3)), "adaptive_avg_pool2d: output_size must be one number or 2"),
        (lambda: functional.adaptive_avg_pool2d(X[..., :0], 1), r"adaptive_avg_pool2d: input has no elements along an axis of its size \(5, 0\)"),
        (lambda: functional.fractional_max_pool2d(X, 2), "fractional_max_pool2d: give one of output_size and output_ratio"),
        (lambda: functional.fractional_max_pool2d(X, 2, 5), r"\(5, 5\) windows of size \(2, 2\) need an input of 6, but its size is \(5, 5\)"),
        (lambda: functional.fractional_max_pool2d(X, 2, output_ratio=1.5), "output_ratio must be a number between 0 and 1 or 2 of them, not 1.5"),
        (lambda: functional.fractional_max_pool2d(X, 2, 3, _random_samples=np.ones(2)), r"_random_samples of shape \(2,\), expected .* \(2, 3, 2\)"),
        (lambda: nn.FractionalMaxPool3d(2, output_ratio=2), "FractionalMaxPool3d: output_ratio must be between 0 and 1, not 2"),
        (lambda: functional.max_unpool2d(X, np.zeros((2, 3, 5, 4), int), 2), r"indices must be integers of input's shape \(2, 3, 5, 5\)"),
        (lambda: functional.max_unpool2d(X, np.full(X.shape, 100), 2), r"max_unpool2d: indices from 100 to 100 for an output of size \(10, 10\)"),
        (lambda: functional.max_unpool2d(X, np.zeros(X.shape, int), 2, output_size=(5, 5)), r"output_size=.* must differ from \(10, 10\) by less"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
