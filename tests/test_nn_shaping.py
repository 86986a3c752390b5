"""Layers that reshape, and the bilinear layer: torch's results, and errors that name the shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch_twins import assert_same_as_torch

import autograd_core as ag
import nn
from nn import functional


@pytest.mark.parametrize(
    ("shape", "args"),
    [
        ((2, 3, 4), ()),
        ((2, 3, 4), (0, -1)),
        ((2, 3, 4, 5), (1, 2)),
        ((2, 3, 4, 5), (-3, -2)),
        ((2, 3), (1, 1)),
        ((0, 3, 4), ()),
        ((2, 3, 0), ()),
        ((), (0, 0)),
    ],
)
def test_flatten_is_torchs(shape: tuple[int, ...], args: tuple[Any, ...]) -> None:
    torch = pytest.importorskip("torch")
    x = np.arange(np.prod(shape)).astype(float).reshape(shape)
    assert_same_as_torch(nn.Flatten(*args), torch.nn.Flatten(*args), [x])
    assert repr(nn.Flatten(*args)) == repr(torch.nn.Flatten(*args))


@pytest.mark.parametrize(
    ("shape", "dim", "sizes"),
    [((2, 12), 1, (3, 4)), ((2, 12), -1, (3, -1)), ((2, 12), 1, (-1, 2, 3)), ((4, 3), 0, (2, 2)), ((0, 6), 1, (2, 3)), ((2, 0), 1, (0, 3))],
)
def test_unflatten_is_torchs(shape: tuple[int, ...], dim: int, sizes: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    x = np.arange(np.prod(shape)).astype(float).reshape(shape)
    assert_same_as_torch(nn.Unflatten(dim, sizes), torch.nn.Unflatten(dim, sizes), [x])
    assert repr(nn.Unflatten(dim, sizes)) == repr(torch.nn.Unflatten(dim, sizes))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (lambda: nn.Flatten(2, 1), (2, 3, 4), r"Flatten: axes 2 to 1 of an input of shape \(2, 3, 4\); it has axes 0 to 2"),
        (lambda: nn.Flatten(3), (2, 3), r"Flatten: axes 3 to -1 of an input of shape \(2, 3\)"),
        (lambda: nn.Unflatten(1, (5, 2)), (2, 12), r"Unflatten: axis 1 of an input of shape \(2, 12\) cannot be split into \(5, 2\)"),
        (lambda: nn.Unflatten(1, (-1, 5)), (2, 12), r"cannot be split into \(-1, 5\)"),
        (lambda: nn.Unflatten(1, (-1, -1)), (2, 12), r"cannot be split into \(-1, -1\)"),
        (lambda: nn.Unflatten(2, (3, 4)), (2, 12), r"Unflatten: an input of shape \(2, 12\) has no axis 2"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(layer: Any, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer()(np.ones(shape))


def test_identity_takes_the_place_of_any_layer() -> None:
    x = np.ones(3)
    assert nn.Identity(54, unused=0.1)(x) is x
    assert list(nn.Identity().parameters()) == []


@pytest.mark.parametrize("batch", [(), (4,), (2, 3), (0,)])
@pytest.mark.parametrize("bias", [True, False])
def test_bilinear_is_torchs_in_all_arguments(batch: tuple[int, ...], bias: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    arrays = [rng.normal(size=(*batch, 3)), rng.normal(size=(*batch, 5)), rng.normal(size=(2, 3, 5)), *([rng.normal(size=2)] if bias else [])]
    if batch:  # torch's function needs an axis of samples
        assert_same_as_torch(functional.bilinear, torch.nn.functional.bilinear, arrays)
        assert_same_as_torch(functional.bilinear, torch.nn.functional.bilinear, [a.astype(np.float32) for a in arrays], rtol=1e-4, atol=1e-5)
    assert ag.gradcheck(functional.bilinear, *arrays, vary=False)


def test_bilinear_module_has_torchs_state_names_and_distribution() -> None:
    torch = pytest.importorskip("torch")
    twin = torch.nn.Bilinear(30, 20, 40)
    layer = nn.Bilinear(30, 20, 40, generator=0)
    bound = 1 / np.sqrt(30)
    for parameter in layer.parameters():
        assert bound * 0.9 < np.abs(parameter.detach().numpy()).max() <= bound
    assert list(layer.state_dict()) == ["weight", "bias"]
    layer.load_state_dict(twin.state_dict())
    x1, x2 = np.ones((2, 30), dtype=np.float32), np.ones((2, 20), dtype=np.float32)
    np.testing.assert_allclose(layer(x1, x2).detach().numpy(), twin(torch.tensor(x1), torch.tensor(x2)).detach().numpy(), rtol=1e-4, atol=1e-4)
    assert repr(layer) == repr(twin)
    assert nn.Bilinear(1, 2, 3, bias=False).bias is None
    with pytest.raises(ValueError, match="Bilinear: in2_features must be an integer >= 1, not 0"):
        nn.Bilinear(1, 0, 3)
    with pytest.raises(ValueError, match=r"bilinear: inputs of shapes \(2, 3\) and \(2, 4\) for a weight of shape \(1, 3, 5\)"):
        functional.bilinear(np.ones((2, 3)), np.ones((2, 4)), np.ones((1, 3, 5)))
