"""Lazy layers: they become ordinary ones at the first input, and are the same parameters all the time."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim

# Lazy class, its arguments, an input, and torch's repr before the first call is of the same class.
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[int, ...]]] = [
    ("LazyLinear", (3,), {}, (2, 5)),
    ("LazyLinear", (3, False), {}, (5,)),
    ("LazyConv1d", (4, 3), {}, (2, 3, 7)),
    ("LazyConv2d", (4, 3), {"stride": 2, "padding": 1, "groups": 2, "bias": False}, (2, 6, 7, 7)),
    ("LazyConv2d", (4, (1, 2)), {"padding": "same", "padding_mode": "circular"}, (3, 5, 6)),
    ("LazyConv3d", (2, 2), {}, (1, 3, 3, 4, 5)),
    ("LazyConvTranspose1d", (4, 3), {"stride": 2, "output_padding": 1}, (2, 3, 5)),
    ("LazyConvTranspose2d", (4, 2), {"groups": 2}, (2, 4, 5, 5)),
    ("LazyConvTranspose3d", (2, 2), {}, (1, 3, 3, 2, 2)),
    ("LazyBatchNorm1d", (), {}, (4, 3)),
    ("LazyBatchNorm1d", (1e-3, 0.2), {"affine": False}, (4, 3, 2)),
    ("LazyBatchNorm2d", (), {"track_running_stats": False}, (2, 3, 4, 4)),
    ("LazyBatchNorm3d", (), {}, (2, 3, 2, 2, 2)),
    ("LazyInstanceNorm1d", (), {"affine": False}, (2, 3, 4)),
    ("LazyInstanceNorm2d", (), {"affine": True, "track_running_stats": True}, (2, 3, 4, 4)),
    ("LazyInstanceNorm3d", (), {}, (2, 3, 2, 2, 2)),
]
every_layer = pytest.mark.parametrize(("name", "args", "kwargs", "shape"), CASES, ids=str)


@every_layer
def test_a_lazy_layer_becomes_the_ordinary_one_of_the_inputs_size(name: str, args: Any, kwargs: Any, shape: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    layer, twin = getattr(nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    before = list(layer.parameters())
    assert all(isinstance(p, nn.UninitializedParameter) for p in before)
    assert [key for key, _ in layer.named_parameters()] == [key for key, _ in twin.named_parameters()]
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    y, u = layer(x), twin(torch.tensor(x))
    assert type(layer) is getattr(nn, name.removeprefix("Lazy"))
    assert all(p is q and type(p) is nn.Parameter and p.requires_grad for p, q in zip(layer.parameters(), before, strict=True))
    assert {key: value.shape for key, value in layer.state_dict().items()} == {key: tuple(value.shape) for key, value in twin.state_dict().items()}
    fresh = getattr(torch.nn, name.removeprefix("Lazy"))
    assert type(twin) is fresh
    layer.load_state_dict(twin.state_dict())
    with ag.no_grad():
        np.testing.assert_allclose(ag.tensor(layer(x)), twin(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert y.shape == tuple(u.shape)


@every_layer
def test_a_lazy_layer_is_an_instance_of_what_it_becomes_and_can_be_copied(name: str, args: Any, kwargs: Any, shape: tuple[int, ...]) -> None:
    layer = getattr(nn, name)(*args, **kwargs)
    becomes = getattr(nn, name.removeprefix("Lazy"))
    assert isinstance(layer, becomes)
    x = np.ones(shape, dtype=np.float32) * np.arange(shape[-1], dtype=np.float32)
    for clone in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        clone(x)
        assert type(clone) is becomes
    assert type(layer) is getattr(nn, name)
    assert inspect.isclass(getattr(nn, name))
    layer.double()
    layer(x.astype(np.float64))
    assert {p.dtype for p in layer.parameters()} <= {np.dtype(np.float64)}


def test_an_optimizer_made_before_the_first_input_trains_the_parameters() -> None:
    model = nn.Sequential(nn.LazyLinear(4, generator=0), nn.LazyBatchNorm1d(), nn.Tanh(), nn.LazyLinear(1, generator=1))
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    x = np.random.default_rng(0).normal(size=(16, 3)).astype(np.float32)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), x[:, :1] * x[:, 1:2])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    assert repr(model[0]) == "Linear(in_features=3, out_features=4, bias=True)"


def test_a_lazy_layer_has_the_values_that_the_ordinary_one_would_have() -> None:
    nn.manual_seed(3)
    lazy = nn.LazyLinear(4)
    lazy(np.ones((1, 3), dtype=np.float32))
    nn.manual_seed(3)
    for p, q in zip(lazy.parameters(), nn.Linear(3, 4).parameters(), strict=True):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


def test_a_state_loads_into_a_lazy_layer_and_gives_it_its_size() -> None:
    donor = nn.Sequential(nn.Linear(3, 4, generator=0), nn.BatchNorm1d(4))
    donor[1](np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    model = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
    model.load_state_dict(donor.state_dict())
    assert type(model[0].weight) is nn.Parameter
    x = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.eval()(x).detach(), donor.eval()(x).detach())
    assert model[0].in_features == 3
    other = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
    other.load_state_dict(donor.state_dict())
    with pytest.raises(ValueError, match=r"LazyLinear: an input of shape \(2, 7\) needs a weight of shape \(4, 7\), not \(4, 3\)"):
        other(np.ones((2, 7), dtype=np.float32))
    lazy = nn.LazyLinear(4)
    lazy.load_state_dict(nn.LazyLinear(4).state_dict())  # nothing to give
    assert isinstance(lazy.weight, nn.UninitializedParameter)


def test_the_shape_of_an_uninitialized_parameter_is_an_error_that_says_what_to_do() -> None:
    layer = nn.LazyLinear(4)
    for name in ("shape", "size", "ndim"):
        with pytest.raises(RuntimeError, match="UninitializedParameter has no shape yet; call its lazy layer once on an input"):
            getattr(layer.weight, name)
    assert repr(layer.weight) == "<UninitializedParameter, float32>"
    layer.weight.materialize((4, 2))
    assert layer.weight.shape == (4, 2)
    assert nn.LazyInstanceNorm1d()(np.arange(12.0).reshape(3, 4)).shape == (3, 4)  # one example, without a batch
    with pytest.raises(TypeError, match="out_features"):
        nn.LazyLinear()
    with pytest.raises(ValueError, match="Linear: out_features must be an integer >= 0, not -1"):
        nn.LazyLinear(-1)
    with pytest.raises(ValueError, match=r"LazyBatchNorm1d: an input of shape \(3,\) has no axis 1 to take num_features from"):
        nn.LazyBatchNorm1d()(np.ones(3))


def test_a_summary_of_a_lazy_model_runs_it() -> None:
    model = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d())
    assert nn.summary(model, np.ones((2, 3), dtype=np.float32)).parameters == 16 + 8
