"""Initial values: their distributions, their reproducibility, and torch's gains."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nn
from nn import init

SHAPE = (60, 100)
DRAWS = {
    "xavier_uniform_": math.sqrt(2 / 160),
    "xavier_normal_": math.sqrt(2 / 160),
    "kaiming_uniform_": math.sqrt(2 / 100),
    "kaiming_normal_": math.sqrt(2 / 100),
    "uniform_": 1 / math.sqrt(12),
    "normal_": 1.0,
}


@pytest.mark.parametrize(("name", "std"), DRAWS.items())
def test_the_standard_deviation_is_that_of_the_formula(name: str, std: float) -> None:
    values = getattr(init, name)(nn.Parameter(np.empty(SHAPE)), generator=0).data
    assert abs(values.std() / std - 1) < 0.03
    assert abs(values.mean() - (0.5 if name == "uniform_" else 0)) < 4 * std / math.sqrt(values.size)


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_repeats_in_float32_and_float64(name: str) -> None:
    draw = getattr(init, name)
    wide = draw(np.empty(SHAPE), generator=3)
    narrow = draw(np.empty(SHAPE, dtype=np.float32), generator=np.random.default_rng(3))
    np.testing.assert_array_equal(wide.astype(np.float32), narrow)
    assert narrow.dtype == np.float32


def test_manual_seed_fixes_everything_drawn_without_a_generator() -> None:
    def draw() -> Any:
        nn.manual_seed(5)
        return nn.MLP(3, 4, 2).state_dict()

    a, b = draw(), draw()
    for name in a:
        np.testing.assert_array_equal(a[name].numpy(), b[name].numpy())


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 2, 3)])
def test_orthogonal_rows_or_columns(shape: tuple[int, ...]) -> None:
    matrix = init.orthogonal_(np.empty(shape), gain=2.0, generator=0).reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(min(matrix.shape)), atol=1e-12)


def test_truncated_normal_stays_inside() -> None:
    values = init.trunc_normal_(np.empty(10_000), std=2.0, a=-1.0, b=3.0, generator=0)
    assert values.min() >= -1
    assert values.max() <= 3
    with pytest.raises(ValueError, match="widen it"):
        init.trunc_normal_(np.empty(3), a=50.0, b=60.0)


def test_constants() -> None:
    assert init.constant_(np.empty(2), 3.0).tolist() == [3, 3]
    assert init.ones_(np.empty(2)).tolist() == [1, 1]
    assert init.zeros_(nn.Parameter(np.ones(()))).item() == 0
    assert init.eye_(np.empty((2, 3))).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("nonlinearity", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu", "conv2d", "conv_transpose1d"])
def test_gains_are_torchs(nonlinearity: str) -> None:
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(nonlinearity) == pytest.approx(torch.nn.init.calculate_gain(nonlinearity), rel=1e-15)


def test_linear_starts_in_torchs_range() -> None:
    layer = nn.Linear(100, 50, generator=0)
    for parameter in (layer.weight, layer.bias):
        assert parameter is not None
        assert np.abs(parameter.data).max() <= 0.1
        assert np.abs(parameter.data).max() > 0.09


def test_errors_name_the_function_and_the_shape() -> None:
    with pytest.raises(ValueError, match=r"xavier_uniform_: a weight of shape \(3,\)"):
        init.xavier_uniform_(np.empty(3))
    with pytest.raises(ValueError, match='kaiming_normal_: mode must be "fan_in" or "fan_out"'):
        init.kaiming_normal_(np.empty((3, 3)), mode="fan")
    with pytest.raises(ValueError, match="unknown nonlinearity 'swish'"):
        init.calculate_gain("swish")
