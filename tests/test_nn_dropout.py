"""Dropout: what is dropped, how often, and how the rest is scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import functional

# Name, a shape, and the axes along which all elements are dropped together.
CASES = [
    ("dropout", (40, 50), ()),
    ("dropout1d", (20, 30, 4), (2,)),
    ("dropout1d", (600, 4), (1,)),
    ("dropout2d", (20, 30, 3, 2), (2, 3)),
    ("dropout2d", (20, 30, 4), (2,)),
    ("dropout3d", (20, 30, 2, 2, 2), (2, 3, 4)),
    ("dropout3d", (600, 2, 2, 2), (1, 2, 3)),
]
ALPHA = [("alpha_dropout", (40, 50), ()), ("feature_alpha_dropout", (30, 40, 2, 3), (2, 3)), ("feature_alpha_dropout", (30, 40), ())]
every_dropout = pytest.mark.parametrize(("name", "shape", "together"), CASES + ALPHA)
MODULES = {name: "".join(part.capitalize() for part in name.split("_")) for name, _, _ in CASES + ALPHA}


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(("name", "shape", "together"), CASES)
def test_each_part_is_dropped_with_probability_p_and_the_rest_scaled(name: str, shape: tuple[int, ...], together: tuple[int, ...], p: float) -> None:
    y = getattr(functional, name)(np.ones(shape), p, generator=3)
    np.testing.assert_allclose(np.unique(y), [0.0, 1 / (1 - p)], rtol=1e-15)
    first = y[tuple(slice(1) if axis in together else slice(None) for axis in range(y.ndim))]
    np.testing.assert_array_equal(y, np.broadcast_to(first, shape))
    assert abs((first == 0).mean() - p) < 4 * np.sqrt(p * (1 - p) / first.size)


@pytest.mark.parametrize("p", [0.2, 0.5])
@pytest.mark.parametrize(("name", "shape", "together"), ALPHA)
def test_alpha_dropout_keeps_mean_and_variance_and_has_torchs_two_values(
    name: str, shape: tuple[int, ...], together: tuple[int, ...], p: float, rng: np.random.Generator
) -> None:
    torch = pytest.importorskip("torch")
    ones = getattr(functional, name)(np.ones(shape), p, True, generator=3)
    torch.manual_seed(0)
    np.testing.assert_allclose(
        np.unique(ones.round(12)), np.unique(getattr(torch.nn.functional, name)(torch.ones(shape).double(), p, True).numpy().round(12))
    )
    first = ones[tuple(slice(1) if axis in together else slice(None) for axis in range(ones.ndim))]
    np.testing.assert_array_equal(ones, np.broadcast_to(first, shape))
    y = getattr(functional, name)(rng.normal(size=(200, 200)), p, True, generator=3)
    assert abs(y.mean()) < 0.05
    assert abs(y.var() - 1) < 0.05


@every_dropout
def test_the_gradient_goes_where_the_values_went(name: str, shape: tuple[int, ...], together: tuple[int, ...], rng: np.random.Generator) -> None:
    x = ag.tensor(np.ones(shape), requires_grad=True)
    y = getattr(functional, name)(x, 0.4, True, generator=3)
    y.sum().backward()
    values = y.detach().numpy()
    np.testing.assert_allclose(x.grad.numpy(), values if "alpha" not in name else np.where(values > 0, x.grad.numpy().max(), 0.0))
    small = rng.normal(size=tuple(min(n, 2) for n in shape))
    assert ag.gradcheck(lambda x: getattr(functional, name)(x, 0.4, True, generator=3), small, vary=False)


@every_dropout
def test_without_training_or_chance_it_is_the_identity_and_with_certainty_zero(name: str, shape: tuple[int, ...], together: tuple[int, ...]) -> None:
    x, function = np.ones(shape), getattr(functional, name)
    assert function(x, 0.3, False) is x
    assert function(x, 0.0, True) is x
    np.testing.assert_array_equal(function(x, 1.0, True), 0.0)
    empty = np.ones((0, *shape[1:]))
    assert function(empty, 0.5, True) is empty
    for dtype in (np.float16, np.float32):
        assert function(x.astype(dtype), 0.5, True).dtype == dtype


@every_dropout
def test_a_dropout_module_drops_while_training_and_follows_the_seed(name: str, shape: tuple[int, ...], together: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    layer, x = getattr(nn, MODULES[name])(0.25, inplace=True), np.ones(shape)
    assert repr(layer) == repr(getattr(torch.nn, MODULES[name])(0.25, True))
    assert repr(getattr(nn, MODULES[name])()) == repr(getattr(torch.nn, MODULES[name])())
    nn.manual_seed(5)
    first = layer(x)
    second = layer(x)
    assert (first != second).any()
    nn.manual_seed(5)
    np.testing.assert_array_equal(layer(x), first)
    assert layer.eval()(x) is x
    np.testing.assert_array_equal(x, 1.0)  # inplace or not: arrays are values


@every_dropout
@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_what_is_no_probability_is_refused_by_name(name: str, shape: tuple[int, ...], together: tuple[int, ...], p: float) -> None:
    with pytest.raises(ValueError, match=rf"{name}: p, the probability to drop an element, must be in \[0, 1\], not {p}"):
        getattr(functional, name)(np.ones(shape), p, True)
    with pytest.raises(ValueError, match=rf"{MODULES[name]}: p, the probability to drop"):
        getattr(nn, MODULES[name])(p)


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("dropout1d", (2,), r"dropout1d: needs an input \(N, C, L\) or \(C, L\), not one of shape \(2,\)"),
        ("dropout2d", (2, 3), r"dropout2d: needs an input \(N, C, H, W\) or \(N, C, L\)"),
        ("dropout3d", (2, 3), r"dropout3d: needs an input \(N, C, D, H, W\) or \(C, D, H, W\)"),
        ("feature_alpha_dropout", (3,), r"feature_alpha_dropout: needs an input \(N, C, ...\)"),
    ],
)
def test_an_input_without_channels_is_refused(name: str, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(functional, name)(np.ones(shape), 0.5, True)


def test_dropout_takes_lists_and_draws_one_mask_for_a_batch() -> None:
    assert functional.dropout([1.0, 2.0], 0.5, generator=0).shape == (2,)
    x: Any = np.ones((3, 50))
    y = ag.vmap(lambda row: functional.dropout(row, 0.5, generator=1))(x)
    np.testing.assert_array_equal(y, np.broadcast_to(y[0], y.shape))
