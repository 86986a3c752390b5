"""Interpolation, sampling at given places, and rearranging: torch over all arguments, numeric derivatives, and bad input."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from against_torch import agree, layers_agree, same_arguments

import autograd_core as ag
import nn
from nn import functional

pytestmark = [
    pytest.mark.filterwarnings("ignore:Default .* behavior has changed to align_corners=False:UserWarning"),
    pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid behavior has changed:UserWarning"),
]

SIZES = {1: (5,), 2: (5, 7), 3: (3, 4, 5)}
MODES = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}
DIMENSIONS = pytest.mark.parametrize("ndim", [1, 2, 3])


# --- interpolation ----------------------------------------------------------------------------------------------------------------


@DIMENSIONS
def test_interpolation_agrees_with_torch_in_all_combinations_of_arguments(ndim: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 2, *SIZES[ndim]))
    taken = 0
    for mode, corners, antialias in itertools.product(MODES[ndim], (None, False, True), (False, True)):
        keywords = {"mode": mode, "align_corners": corners, "antialias": antialias}
        for size in (1, 3, 4, 8, 13):
            taken += agree("interpolate", [x], (size,), rng, **keywords)
        for factor, recompute in itertools.product((0.5, 0.71, 1.5, 2, 3.4), (None, True, False)):
            taken += agree("interpolate", [x], (None, factor), rng, recompute_scale_factor=recompute, **keywords)
    assert taken > 100


def test_each_axis_has_a_size_or_factor_of_its_own(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 5, 7))
    for mode in MODES[2]:
        agree("interpolate", [x], ((4, 9),), rng, mode=mode)
        agree("interpolate", [x], (None, (1.7, 0.6)), rng, mode=mode)
        agree("interpolate", [x], (None, [2.0, 0.5]), rng, mode=mode)


@DIMENSIONS
def test_nearest_elements_are_torchs_for_all_sizes(ndim: int) -> None:
    torch = pytest.importorskip("torch")
    for mode, dtype, n in itertools.product(("nearest", "nearest-exact"), (np.float32, np.float64), (2, 7, 26, 39)):
        x = np.arange(n, dtype=dtype).reshape(*(1,) * (ndim + 1), n)
        for size in (1, 11, 22, 37, 41, 46, 57):
            sizes = (*(1,) * (ndim - 1), size)
            found = functional.interpolate(x, sizes, mode=mode)
            expected = torch.nn.functional.interpolate(torch.tensor(x), sizes, mode=mode).numpy()
            np.testing.assert_array_equal(found, expected, err_msg=f"{mode} {n} -> {size} {dtype}")


@DIMENSIONS
def test_values_agree_with_torch_where_a_factor_keeps_the_size(ndim: int, rng: np.random.Generator) -> None:
    # Values only: torch's own gradients are not those of its values there.
    torch = pytest.importorskip("torch")
    for mode, n, factor in itertools.product(MODES[ndim], (3, 5, 8), (1.05, 1.13, 1.19)):
        x = rng.normal(size=(1, 2, *(n, 5, 4)[:ndim]))
        found = functional.interpolate(x, scale_factor=factor, mode=mode)
        expected = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=factor, mode=mode).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, err_msg=f"{mode} {n} * {factor}")


def test_upsampling_layers_agree_with_torchs(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 3, 5, 6))
    for arguments in (
        {"size": (7, 8)},
        {"size": 3, "mode": "bilinear", "align_corners": True},
        {"scale_factor": 2, "mode": "bicubic"},
        {"scale_factor": (2, 1.5), "mode": "bilinear", "recompute_scale_factor": True},
    ):
        layers_agree("Upsample", arguments, [x], rng=rng)
    for name in ("UpsamplingNearest2d", "UpsamplingBilinear2d"):
        layers_agree(name, {"scale_factor": 2}, [x], rng=rng)
        layers_agree(name, {"size": (3, 9)}, [x], rng=rng)
    np.testing.assert_array_equal(functional.upsample(x, 7, mode="bicubic"), functional.interpolate(x, 7, mode="bicubic"))


@pytest.mark.parametrize("mode", MODES[2])
def test_long_axes_are_computed_tap_by_tap_and_to_the_same(mode: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    x = rng.normal(size=(2, 2, 5, 7))

    def step(size: tuple[int, int]) -> list[Any]:
        t = ag.tensor(x, requires_grad=True)
        y = functional.interpolate(t, size, mode=mode)
        (y * np.cos(np.arange(y.size)).reshape(y.shape)).sum().backward()
        return [y.detach().numpy(), t.grad.numpy()]

    for size in ((8, 10), (10, 14), (3, 2)):
        monkeypatch.setattr("nn.functional.axes._LONGEST", 512)
        short = step(size)
        monkeypatch.setattr("nn.functional.axes._LONGEST", 0)
        for one, other in zip(short, step(size), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_an_infinite_pixel_stays_where_it_is() -> None:
    for value in (np.inf, np.nan):
        x = np.zeros((1, 1, 4, 4))
        x[0, 0, 0, 0] = value
        assert np.isfinite(functional.interpolate(x, 8, mode="bilinear")[0, 0, 3:]).all()
        assert np.isfinite(functional.adaptive_avg_pool2d(x, 3)[0, 0, 2:]).all()


# --- sampling -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_sampling_agrees_with_torch(padding_mode: str, mode: str, ndim: int, rng: np.random.Generator) -> None:
    for sizes, corners in itertools.product((SIZES[ndim], (1, 4, 1)[:ndim]), (None, False, True)):
        x, grid = rng.normal(size=(2, 3, *sizes)), rng.uniform(-2.5, 2.5, size=(2, *(3, 4, 2)[:ndim], ndim))
        agree("grid_sample", [x, grid], (mode, padding_mode, corners), rng)


@pytest.mark.parametrize("ndim", [2, 3])
def test_affine_grids_agree_with_torch(ndim: int, rng: np.random.Generator) -> None:
    for sizes, corners in itertools.product((SIZES[ndim], (1, 2, 1)[:ndim]), (None, False, True)):
        agree("affine_grid", [rng.normal(size=(2, ndim, ndim + 1))], ([2, 3, *sizes], corners), rng)


def test_places_that_are_no_numbers_read_nothing() -> None:
    x = np.ones((1, 1, 3, 3))
    for place in (np.nan, np.inf, -np.inf, 1e300):
        grid = np.full((1, 1, 1, 2), place)
        with np.errstate(invalid="ignore"):
            assert functional.grid_sample(x, grid)[0, 0, 0, 0] == 0


# --- rearranging ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(18, 6, 12), (2, 36, 6, 6), (2, 1, 36, 6, 6)])
def test_rearranging_agrees_with_torch(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = rng.normal(size=shape)
    for r in (1, 2, 3):
        for name, layer, argument in (
            ("pixel_shuffle", "PixelShuffle", "upscale_factor"),
            ("pixel_unshuffle", "PixelUnshuffle", "downscale_factor"),
            ("channel_shuffle", "ChannelShuffle", "groups"),
        ):
            if agree(name, [x], (r,), rng):
                layers_agree(layer, {argument: r}, [x], rng=rng)


@pytest.mark.parametrize("name", ["Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle"])
def test_layers_take_torchs_arguments_in_its_order(name: str) -> None:
    torch = pytest.importorskip("torch")
    same_arguments(getattr(nn, name), getattr(torch.nn, name))


@pytest.mark.parametrize("name", ["interpolate", "grid_sample", "affine_grid"])
def test_functions_take_torchs_arguments_in_its_order(name: str) -> None:
    torch = pytest.importorskip("torch")
    same_arguments(getattr(functional, name), getattr(torch.nn.functional, name))


# --- derivatives ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES[2])
def test_interpolation_differentiates_twice(mode: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=(1, 1, 2, 3))
    for size in (4, 2):
        assert ag.gradcheck(lambda x, size=size: functional.interpolate(x, size, mode=mode) ** 2, x, order=2)
    t = ag.tensor(x.astype(np.float32), requires_grad=True)
    y = functional.interpolate(t, scale_factor=1.5, mode=mode)
    y.sum().backward()
    assert {y.dtype, t.grad.dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(ag.vmap(lambda x: functional.interpolate(x[None], 5, mode=mode)[0])(x), functional.interpolate(x, 5, mode=mode))


@pytest.mark.parametrize(("mode", "padding_mode"), [("bilinear", "reflection"), ("bicubic", "border")])
def test_sampling_differentiates_twice_in_image_and_places(mode: str, padding_mode: str, rng: np.random.Generator) -> None:
    x, grid = rng.normal(size=(1, 1, 2, 2)), rng.uniform(-1.4, 1.4, size=(1, 1, 1, 2))
    assert ag.gradcheck(lambda x, grid: functional.grid_sample(x, grid, mode, padding_mode), x, grid, order=2)
    a, b = (ag.tensor(v.astype(np.float32), requires_grad=True) for v in (x, grid))
    y = functional.grid_sample(a, b, mode, padding_mode)
    y.sum().backward()
    assert {y.dtype, a.grad.dtype, b.grad.dtype} == {np.dtype(np.float32)}


# --- bad input ------------------------------------------------------------------------------------------------------------------------

X = np.ones((2, 4, 5, 6))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.interpolate([[1.0]], 2), "interpolate: input must be a tensor or an array, not list"),
        (lambda: functional.interpolate(X, 2, mode="cubic"), "interpolate: mode must be one of 'nearest'"),
        (lambda: functional.interpolate(X[0, 0], 2), r"interpolate: input must be \(batch, channels, \*sizes\) .* not of shape \(5, 6\)"),
        (lambda: functional.interpolate(X, 2, mode="linear"), r"interpolate: mode='linear' needs an input of 3 axes, not of shape \(2, 4, 5, 6\)"),
        (lambda: functional.interpolate(X), "interpolate: give either size or scale_factor"),
        (lambda: functional.interpolate(X, 2, 2.0), "interpolate: give either size or scale_factor"),
        (lambda: functional.interpolate(X, 0), "interpolate: size must be >= 1, not 0"),
        (lambda: functional.interpolate(X, None, 0.1), r"interpolate: input of shape \(2, 4, 5, 6\) would give an output of size \(0, 0\)"),
        (lambda: functional.interpolate(X, (1, 2, 3)), "interpolate: size must be one integer or 2"),
        (lambda: functional.interpolate(X, None, (1.0, 2.0, 3.0)), "interpolate: scale_factor must be one number or 2"),
        (lambda: functional.interpolate(X, 2, align_corners=True), "interpolate: align_corners is for the modes"),
        (lambda: functional.interpolate(X, 2, antialias=True), 'interpolate: antialias=True is for mode="bilinear" and "bicubic"'),
        (lambda: functional.interpolate(X, 2, recompute_scale_factor=True), "interpolate: recompute_scale_factor is for scale_factor"),
        (lambda: functional.grid_sample(X, np.ones((2, 3, 3, 3))), r"grid_sample: input of shape \(2, 4, 5, 6\) and grid of shape \(2, 3, 3, 3\)"),
        (lambda: functional.grid_sample(X, np.ones((1, 3, 3, 2))), r"grid_sample: input of shape .* and grid of shape \(1, 3, 3, 2\)"),
        (lambda: functional.grid_sample(X, np.ones((2, 3, 3, 2)), "cubic"), 'grid_sample: mode must be "bilinear", "nearest" or "bicubic"'),
        (lambda: functional.grid_sample(X, np.ones((2, 3, 3, 2)), padding_mode="wrap"), 'grid_sample: padding_mode must be "zeros"'),
        (lambda: functional.affine_grid(np.ones((1, 2, 3)), (2, 4, 5, 6)), r"affine_grid: theta has shape \(1, 2, 3\), expected \(2, 2, 3\)"),
        (lambda: functional.affine_grid(np.ones((1, 2, 3)), (2, 4, 5)), "affine_grid: size must be 4 or 5 positive integers"),
        (lambda: functional.pixel_shuffle(X, 3), r"pixel_shuffle: input of shape \(2, 4, 5, 6\) has 4 channels, which upscale_factor\^2 = 9"),
        (lambda: functional.pixel_unshuffle(X, 2), r"pixel_unshuffle: downscale_factor=2 does not divide the height and width .* \(2, 4, 5, 6\)"),
        (lambda: functional.channel_shuffle(X, 3), r"channel_shuffle: .* groups=3 divides, not of shape \(2, 4, 5, 6\)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
