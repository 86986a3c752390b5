"""Parameters computed from others: torch over all arguments, copies and pickles, removal, errors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn.utils import parametrizations, parametrize, remove_spectral_norm, remove_weight_norm, spectral_norm, weight_norm


def pair(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Our module and torch's in float64, with the same weights."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(*args, **options).double()
    ours = getattr(nn, name)(*args, **options).double()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def assert_same(ours: Any, theirs: Any, x: Any, rng: np.random.Generator) -> None:
    """State, value, and the gradients of the input and all parameters."""
    torch = pytest.importorskip("torch")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    a, t = ag.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    ours.zero_grad()
    theirs.zero_grad()
    y, u = ours(a), theirs(t)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-10, atol=1e-12)
    g = rng.normal(size=y.shape)
    y.backward(g)
    u.backward(torch.tensor(g))
    named = dict(theirs.named_parameters())
    assert [name for name, _ in ours.named_parameters()] == list(named)
    np.testing.assert_allclose(a.grad.data, t.grad.numpy(), rtol=1e-9, atol=1e-11)
    for name, p in ours.named_parameters():
        np.testing.assert_allclose(p.grad.data, named[name].grad.numpy(), rtol=1e-9, atol=1e-11, err_msg=name)
    for (name, b), (_, c) in zip(ours.named_buffers(), theirs.named_buffers(), strict=True):
        np.testing.assert_allclose(b.numpy(), c.numpy(), rtol=1e-9, err_msg=name)


LAYERS: list[tuple[str, tuple[Any, ...], tuple[int, ...]]] = [
    ("Linear", (3, 4), (2, 3)),
    ("Conv1d", (3, 4, 2), (2, 3, 5)),
    ("Conv2d", (2, 3, 2), (1, 2, 4, 4)),
    ("ConvTranspose1d", (3, 4, 2), (2, 3, 5)),
]


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize(("name", "args", "shape"), LAYERS)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weight_norm_agrees_with_torch(name: str, args: Any, shape: Any, dim: int | None, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for ours_with, theirs_with in (
        (parametrizations.weight_norm, torch.nn.utils.parametrizations.weight_norm),
        (weight_norm, torch.nn.utils.weight_norm),
    ):
        ours, theirs = pair(name, *args)
        weight = ours.weight.numpy().copy() if not ours.weight.requires_grad else ours.weight.detach().numpy().copy()
        ours, theirs = ours_with(ours, dim=dim), theirs_with(theirs, dim=dim)
        np.testing.assert_allclose(ours.weight.detach().numpy(), weight, rtol=1e-14)
        for value, expected in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
            np.testing.assert_allclose(value.numpy(), expected.numpy(), rtol=1e-13)
        with torch.no_grad():
            for p in theirs.parameters():
                p.copy_(torch.tensor(rng.normal(size=p.shape)))
        ours.load_state_dict(theirs.state_dict())
        assert_same(ours, theirs, rng.normal(size=shape), rng)


@pytest.mark.parametrize("dim", [None, 0, 1])
@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize(("name", "args", "shape"), LAYERS)
def test_spectral_norm_agrees_with_torch(name: str, args: Any, shape: Any, iterations: int, dim: int | None, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    for ours_with, theirs_with in (
        (parametrizations.spectral_norm, torch.nn.utils.parametrizations.spectral_norm),
        (spectral_norm, torch.nn.utils.spectral_norm),
    ):
        ours, theirs = pair(name, *args)
        ours, theirs = ours_with(ours, "weight", iterations, 1e-10, dim), theirs_with(theirs, "weight", iterations, 1e-10, dim)
        ours.load_state_dict(theirs.state_dict())
        for training in (True, True, False):
            ours.train(training)
            theirs.train(training)
            assert_same(ours, theirs, rng.normal(size=shape), rng)


def test_spectral_norm_comes_to_divide_by_the_largest_singular_value(rng: np.random.Generator) -> None:
    layer = parametrizations.spectral_norm(nn.Linear(6, 5, dtype=np.float64, generator=0), generator=1)
    weight = layer.parametrizations.weight.original.detach().numpy()
    for _ in range(300):
        found = layer.weight
    np.testing.assert_allclose(found.detach().numpy(), weight / np.linalg.norm(weight, 2), rtol=1e-6)
    vector = parametrizations.spectral_norm(nn.Linear(6, 5, dtype=np.float64), "bias")
    np.testing.assert_allclose(np.linalg.norm(vector.bias.detach().numpy()), 1.0)


@pytest.mark.parametrize("trivialization", [True, False])
@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize(("inputs", "outputs"), [(4, 4), (3, 5), (5, 3)])
def test_orthogonal_agrees_with_torch(inputs: int, outputs: int, kind: str, trivialization: bool, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    if kind == "matrix_exp":
        pytest.importorskip("scipy")
    ours, theirs = pair("Linear", inputs, outputs)
    ours = parametrizations.orthogonal(ours, orthogonal_map=kind, use_trivialization=trivialization)
    theirs = torch.nn.utils.parametrizations.orthogonal(theirs, orthogonal_map=kind, use_trivialization=trivialization)
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach().numpy(), rtol=1e-10, atol=1e-12)
    state = {name: value.numpy() for name, value in theirs.state_dict().items()}
    change = rng.normal(scale=0.3, size=(outputs, inputs))
    if kind == "householder":
        np.fill_diagonal(change, 0)  # holds signs
    state["parametrizations.weight.original"] = state["parametrizations.weight.original"] + change
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    ours.load_state_dict(state)
    assert_same(ours, theirs, rng.normal(size=(2, inputs)), rng)
    q = ours.weight.detach().numpy()
    q = q if outputs >= inputs else q.T
    np.testing.assert_allclose(q.T @ q, np.eye(q.shape[1]), atol=1e-12)


@pytest.mark.parametrize("kind", ["cayley", "householder"])
def test_orthogonal_makes_a_stack_of_matrices_and_takes_values(kind: str, rng: np.random.Generator) -> None:
    layer = nn.Module()
    layer.register_parameter("weight", nn.Parameter(rng.normal(size=(2, 4, 3))))
    parametrizations.orthogonal(layer, orthogonal_map=kind)
    q, _ = np.linalg.qr(rng.normal(size=(2, 4, 3)))
    layer.weight = q * np.sign(np.diagonal(np.linalg.qr(q)[1], axis1=1, axis2=2))[:, None, :]
    np.testing.assert_allclose(np.abs(layer.weight.detach().numpy()), np.abs(q), atol=1e-12)


class Symmetric(nn.Module):
    def forward(self, x: Any) -> Any:
        return np.triu(x) + np.triu(x, 1).T

    def right_inverse(self, a: Any) -> Any:
        return np.triu(a)


class RankOne(nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        return x[:, None] * y

    def right_inverse(self, z: Any) -> Any:
        u, s, v = np.linalg.svd(z)
        return u[:, 0] * np.sqrt(s[0]), v[0] * np.sqrt(s[0])


class Doubled(nn.Module):
    def forward(self, x: Any) -> Any:
        return 2 * x


def test_a_parametrized_weight_is_read_assigned_and_restored(rng: np.random.Generator) -> None:
    layer = nn.Linear(3, 3, dtype=np.float64, generator=0)
    original = layer.weight
    parametrize.register_parametrization(layer, "weight", Symmetric())
    assert parametrize.is_parametrized(layer)
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    assert layer.parametrizations.weight.original is original
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    np.testing.assert_array_equal(layer.weight.detach().numpy(), layer.weight.detach().numpy().T)
    value = rng.normal(size=(3, 3))
    layer.weight = value + value.T
    np.testing.assert_allclose(layer.weight.detach().numpy(), value + value.T)
    parametrize.register_parametrization(layer, "weight", Doubled())
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * (value + value.T))
    now = layer.weight.detach().numpy()
    assert parametrize.remove_parametrizations(layer, "weight") is layer
    assert layer.weight is original
    assert type(layer) is nn.Linear
    assert list(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_array_equal(layer.weight.detach().numpy(), now)


def test_the_original_can_come_back_and_several_originals_cannot(rng: np.random.Generator) -> None:
    layer = nn.Linear(3, 3, dtype=np.float64, generator=0)
    parametrize.register_parametrization(layer, "weight", Doubled())
    weight = layer.parametrizations.weight.original.detach().numpy().copy()
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), weight)
    parametrize.register_parametrization(layer, "weight", RankOne())
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original0", "parametrizations.weight.original1"]
    assert np.linalg.matrix_rank(layer.weight.detach().numpy()) == 1
    layer(rng.normal(size=(2, 3))).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())
    with pytest.raises(ValueError, match="computed from 2 tensors; it can only keep its value"):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    parametrize.remove_parametrizations(layer, "weight")
    assert isinstance(layer.weight, nn.Parameter)


def test_buffers_and_several_parameters_are_parametrized() -> None:
    layer = nn.Linear(2, 2, dtype=np.float64)
    layer.register_buffer("scale", np.ones(2))
    for name in ("weight", "bias", "scale"):
        parametrize.register_parametrization(layer, name, Doubled())
    np.testing.assert_array_equal(layer.scale.numpy(), [2.0, 2.0])
    assert [name for name, _ in layer.named_buffers()] == ["parametrizations.scale.original"]
    parametrize.remove_parametrizations(layer, "weight")
    assert parametrize.is_parametrized(layer, "bias")
    assert not parametrize.is_parametrized(layer, "weight")
    parametrize.remove_parametrizations(layer, "scale", leave_parametrized=False)
    np.testing.assert_array_equal(layer.scale.numpy(), [1.0, 1.0])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("normalised", [parametrizations.weight_norm, parametrizations.spectral_norm, weight_norm, spectral_norm])
def test_copies_and_pickles_are_modules_of_their_own(normalised: Any, copied: Any, rng: np.random.Generator) -> None:
    layer = normalised(nn.Linear(3, 3, dtype=np.float64, generator=0)).eval()
    x = rng.normal(size=(2, 3))
    twin = copied(layer)
    np.testing.assert_array_equal(twin(x).detach().numpy(), layer(x).detach().numpy())
    for p in twin.parameters():
        p.data[...] += 1.0
    assert not np.allclose(twin(x).detach().numpy(), layer(x).detach().numpy())
    assert list(twin.state_dict()) == list(layer.state_dict())
    if parametrize.is_parametrized(twin):
        parametrize.remove_parametrizations(twin, "weight")
        assert parametrize.is_parametrized(layer, "weight")
        layer(x)


@pytest.mark.parametrize(("put_on", "take_off"), [(weight_norm, remove_weight_norm), (spectral_norm, remove_spectral_norm)])
def test_the_older_ways_are_taken_off_again(put_on: Any, take_off: Any, rng: np.random.Generator) -> None:
    layer = put_on(nn.Linear(3, 4, dtype=np.float64, generator=0)).eval()
    x = rng.normal(size=(2, 3))
    expected = layer(x).detach().numpy()
    with pytest.raises(RuntimeError, match="Linear has it on 'weight' already"):
        put_on(layer)
    take_off(layer)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-14)
    assert [name for name, _ in layer.named_parameters()] == ["bias", "weight"]
    assert not list(layer.buffers())
    with pytest.raises(ValueError, match=r"Linear has no .* on 'weight'"):
        take_off(layer)


def test_two_forward_passes_before_the_backward_pass_keep_their_own_vectors(rng: np.random.Generator) -> None:
    for normalised in (parametrizations.spectral_norm, spectral_norm):
        layer = normalised(nn.Linear(3, 3, dtype=np.float64, generator=0), generator=1)
        x = rng.normal(size=(2, 3))
        first, second = layer(x), layer(2 * x)
        (first - second).sum().backward()


def test_weights_of_recurrent_layers_are_normalised(rng: np.random.Generator) -> None:
    layer = nn.LSTM(2, 3, dtype=np.float64, generator=0)
    x = rng.normal(size=(4, 1, 2))
    expected = layer(x)[0].detach().numpy()
    parametrizations.weight_norm(layer, "weight_hh_l0")
    output, _ = layer(x)
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-12)
    output.sum().backward()
    assert layer.parametrizations.weight_hh_l0.original0.grad is not None


@pytest.mark.parametrize("normalised", [parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal])
def test_parametrized_layers_differentiate_twice(normalised: Any, rng: np.random.Generator) -> None:
    if normalised is parametrizations.orthogonal:
        pytest.importorskip("scipy")
    layer = normalised(nn.Linear(3, 3, dtype=np.float64, generator=0)).eval()
    names = [name for name, _ in layer.named_parameters()]
    x = rng.normal(size=(2, 3))
    parameters = [p.detach().numpy().copy() for p in layer.parameters()]
    assert ag.gradcheck(lambda *ps: nn.functional_call(layer, dict(zip(names, ps, strict=True)), x), *parameters)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("normalised", [parametrizations.weight_norm, parametrizations.spectral_norm, parametrizations.orthogonal, weight_norm])
def test_dtypes_are_kept(normalised: Any, dtype: Any) -> None:
    layer = normalised(nn.Linear(3, 5, dtype=dtype))
    y = layer(np.ones((2, 3), dtype))
    y.sum().backward()
    assert y.dtype == layer.weight.dtype == dtype
    assert all(p.dtype == p.grad.dtype == dtype for p in layer.parameters())


def test_reading_within_cached_computes_once() -> None:
    layer = parametrizations.spectral_norm(nn.Linear(3, 3))
    with parametrize.cached():
        first = layer.weight
        with parametrize.cached():
            assert layer.weight is first
        assert layer.weight is first
    assert layer.weight is not first


class Wrong(nn.Module):
    def forward(self, x: Any) -> Any:
        return x[:1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parametrize.register_parametrization(nn.Linear(2, 3), "weights", Doubled()), "Linear has no parameter or buffer 'weights'"),
        (
            lambda: parametrize.register_parametrization(nn.Linear(2, 3), "weight", Wrong()),
            r"makes shape \(1, 2\) .* parameter of shape \(3, 2\)",
        ),
        (lambda: parametrize.remove_parametrizations(nn.Linear(2, 3), "weight"), "Linear has no parametrization on 'weight'"),
        (lambda: parametrizations.orthogonal(nn.Linear(2, 3), "bias"), r"'bias' must be a matrix or a stack of them, but has shape \(3,\)"),
        (lambda: parametrizations.orthogonal(nn.Linear(2, 3), orthogonal_map="qr"), "orthogonal_map must be one of matrix_exp, cayley, householder"),
        (lambda: parametrizations.spectral_norm(nn.Linear(2, 3), n_power_iterations=0), "n_power_iterations must be positive, not 0"),
        (lambda: spectral_norm(nn.Linear(2, 3), n_power_iterations=0), "n_power_iterations must be positive, not 0"),
        (lambda: parametrizations.weight_norm(nn.Linear(2, 3), dim=2), r"dim=2 for a weight of shape \(3, 2\)"),
        (lambda: weight_norm(nn.Linear(2, 3), "w"), "Linear has no parameter 'w'"),
    ],
)
def test_what_does_not_fit_is_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_layer_that_was_refused_is_as_it_was() -> None:
    layer = nn.Linear(2, 3)
    with pytest.raises(ValueError, match="makes shape"):
        parametrize.register_parametrization(layer, "weight", Wrong())
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert not parametrize.is_parametrized(layer)
    parametrize.register_parametrization(layer, "weight", Wrong(), unsafe=True)
    assert layer.weight.shape == (1, 2)


def test_what_cannot_be_inverted_cannot_be_assigned_to() -> None:
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    with pytest.raises(RuntimeError, match="Doubled has no right_inverse"):
        layer.weight = np.ones((2, 2), np.float32)
