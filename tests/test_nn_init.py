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
    with pytest.raises(ValueError, match=r"needs a < b and std > 0, not a=2\.0, b=1\.0"):
        init.trunc_normal_(np.empty(3), a=2.0, b=1.0)


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0, 1, -2, 2),
        (0, 1, -0.1, 5),
        (1, 2, 1.2, 1.3),
        (0, 1, 2, 2.5),
        (0, 1, 3, math.inf),
        (0, 1, -math.inf, -3),
        (5, 0.1, -50, -45),
        (0, 1e-3, 50, 60),
    ],
)
def test_truncated_normal_has_its_distribution_wherever_the_bounds_are(mean: float, std: float, a: float, b: float) -> None:
    stats = pytest.importorskip("scipy.stats")
    values = init.trunc_normal_(np.empty(20_000), mean, std, a, b, generator=3)
    assert a <= values.min()
    assert values.max() <= b
    if abs((a if a > mean else b) - mean) < 40 * std:
        assert stats.kstest(values, stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std).cdf).pvalue > 0.01


@pytest.mark.parametrize("shape", [(4, 3, 3), (3, 4, 3, 4), (4, 2, 2, 3, 4), (6, 2, 1)])
@pytest.mark.parametrize("groups", [1, 2, 3])
def test_dirac_is_torchs(shape: tuple[int, ...], groups: int) -> None:
    torch = pytest.importorskip("torch")
    if shape[0] % groups:
        with pytest.raises(ValueError, match=f"{shape[0]} output channels cannot be divided into {groups} groups"):
            init.dirac_(np.empty(shape), groups)
    else:
        np.testing.assert_array_equal(init.dirac_(np.empty(shape), groups), torch.nn.init.dirac_(torch.empty(shape), groups).numpy())


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.5, 1.0])
def test_sparse_zeroes_a_fraction_of_each_column(sparsity: float) -> None:
    values = init.sparse_(np.empty((10, 500)), sparsity, std=2.0, generator=0)
    zeros = values == 0
    np.testing.assert_array_equal(zeros.sum(axis=0), math.ceil(10 * sparsity))
    if sparsity < 1:
        assert abs(values[~zeros].std() / 2 - 1) < 0.05
    if 0 < sparsity < 1:
        assert zeros.any(axis=1).all()  # in each row somewhere: the places differ from column to column


NAMES = ["uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_", "orthogonal_"]


@pytest.mark.parametrize("name", [*NAMES, "ones_", "zeros_", "eye_"])
def test_a_parameter_is_filled_in_place_whoever_holds_its_memory(name: str) -> None:
    draw = getattr(init, name)
    options: dict[str, Any] = {"generator": 1} if name in NAMES else {}
    expected = draw(np.empty((4, 3), dtype=np.float32), **options)
    alone, known, viewed = (nn.Parameter(np.zeros((4, 3), dtype=np.float32)) for _ in range(3))
    held, rows = known.data, viewed.data[:]
    for parameter in (alone, known, viewed):
        assert draw(parameter, **options) is parameter
        assert parameter.requires_grad
        assert parameter.is_leaf
        np.testing.assert_array_equal(parameter.data, expected)
    np.testing.assert_array_equal(held, expected)
    np.testing.assert_array_equal(rows, expected)


def test_a_part_of_a_parameter_can_be_filled() -> None:
    weight = nn.Parameter(np.zeros((2, 3)))
    init.ones_(weight[1])
    assert weight.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_a_graph_that_saved_a_parameter_keeps_its_gradient() -> None:
    weight = nn.Parameter(np.full(3, 2.0))
    loss = (weight * weight).sum()
    init.ones_(weight)
    loss.backward()
    np.testing.assert_array_equal(weight.grad.data, 4.0)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "FAN_OUT"])
@pytest.mark.parametrize(("nonlinearity", "a"), [("leaky_relu", 0.3), ("relu", 0), ("tanh", 0), ("linear", 0), ("selu", 0)])
def test_kaiming_takes_fans_of_convolutions(mode: str, nonlinearity: str, a: float) -> None:
    shape = (40, 30, 3, 3)
    fan = (30 if mode == "fan_in" else 40) * 9
    std = init.calculate_gain(nonlinearity, a) / math.sqrt(fan)
    for draw in (init.kaiming_normal_, init.kaiming_uniform_):
        assert abs(draw(np.empty(shape), a, mode, nonlinearity, generator=0).std() / std - 1) < 0.03


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
    with pytest.raises(ValueError, match=r"sparse_: needs a matrix, not shape \(3,\)"):
        init.sparse_(np.empty(3), 0.5)
    with pytest.raises(ValueError, match=r"sparse_: sparsity must be in \[0, 1\], not 2"):
        init.sparse_(np.empty((3, 3)), 2)
    with pytest.raises(ValueError, match=r"dirac_: needs a weight of shape \(out, in, \*kernel\)"):
        init.dirac_(np.empty((3, 3)))
    with pytest.raises(ValueError, match="unknown nonlinearity 'swish'"):
        init.calculate_gain("swish")
