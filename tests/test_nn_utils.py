"""Clipping against torch, and parameters as a vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
from nn import utils

SHAPES = [(3, 4), (5,), (), (0, 2)]


def parameters(rng: np.random.Generator, scale: float = 1.0) -> list[ag.Tensor]:
    result = []
    for shape in SHAPES:
        p = ag.tensor(rng.normal(size=shape), requires_grad=True)
        p.grad = ag.tensor(scale * rng.normal(size=shape))
        result.append(p)
    return [*result, ag.tensor(1.0, requires_grad=True)]  # one without gradient


def as_torch(tensors: list[ag.Tensor]) -> list[Any]:
    torch = pytest.importorskip("torch")
    result = []
    for p in tensors:
        q = torch.tensor(p.detach().numpy(), requires_grad=True)
        q.grad = None if p.grad is None else torch.tensor(np.array(p.grad.data))
        result.append(q)
    return result


@pytest.mark.parametrize("scale", [0.01, 10.0])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
def test_clipping_the_norm_is_torchs(scale: float, norm_type: float, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    ours = parameters(rng, scale)
    theirs = as_torch(ours)
    norm = utils.clip_grad_norm_(ours, 1.5, norm_type=norm_type)
    other = torch.nn.utils.clip_grad_norm_([q for q in theirs if q.numel()], 1.5, norm_type=norm_type)
    np.testing.assert_allclose(norm.item(), other.item(), rtol=1e-14)
    for p, q in zip(ours, theirs, strict=True):
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-14)


def test_clipping_values_is_torchs(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    ours = parameters(rng)
    theirs = as_torch(ours)
    utils.clip_grad_value_(ours, 0.3)
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    for p, q in zip(ours, theirs, strict=True):
        if p.grad is not None:
            np.testing.assert_array_equal(p.grad.data, q.grad.numpy())


def test_clipping_keeps_float32_and_takes_a_single_tensor() -> None:
    p = ag.tensor(np.ones(4, dtype=np.float32), requires_grad=True)
    p.grad = ag.tensor(np.full(4, 3, dtype=np.float32))
    assert utils.clip_grad_norm_(p, 3.0).item() == 6.0
    np.testing.assert_allclose(p.grad.data, 1.5, rtol=1e-6)
    assert p.grad.dtype == np.float32


def test_adaptive_clipping_bounds_each_row_by_its_weights() -> None:
    p = ag.tensor([[3.0, 4.0], [0.0, 0.0], [30.0, 40.0]], requires_grad=True)
    p.grad = ag.tensor([[6.0, 8.0], [6.0, 8.0], [0.3, 0.4]])
    utils.clip_grad_adaptive_([p], clip_factor=0.1, eps=1e-3)
    np.testing.assert_allclose(p.grad.data, [[0.3, 0.4], [6e-5, 8e-5], [0.3, 0.4]])


def test_a_norm_that_is_not_finite_is_an_error_on_request_and_never_hidden() -> None:
    p = ag.tensor(np.ones(2), requires_grad=True)
    p.grad = ag.tensor([np.nan, 1.0])
    with pytest.raises(RuntimeError, match="the norm of the gradients is nan"):
        utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    utils.clip_grad_norm_([p], 1.0)
    assert np.isnan(p.grad.data).all()


@pytest.mark.parametrize("clip", [utils.clip_grad_norm_, utils.clip_grad_value_, utils.clip_grad_adaptive_])
@pytest.mark.parametrize("bound", [-1.0, math.nan])
def test_bad_bounds_are_named(clip: Any, bound: float) -> None:
    with pytest.raises(ValueError, match=f"{clip.__name__}: .* must be a number >= 0, not {bound}"):
        clip([], bound)


def test_parameters_go_into_a_vector_and_back() -> None:
    a, b = nn.MLP(3, 4, 2, generator=0), nn.MLP(3, 4, 2, generator=1)
    vector = utils.parameters_to_vector(a.parameters())
    vector.sum().backward()
    assert all((p.grad.data == 1).all() for p in a.parameters())
    utils.vector_to_parameters(vector, b.parameters())
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    with pytest.raises(ValueError, match=r"a vector of shape \(3,\) for parameters of 26 elements"):
        utils.vector_to_parameters(np.zeros(3), b.parameters())
    with pytest.raises(ValueError, match="got no parameters"):
        utils.parameters_to_vector([])


@pytest.mark.parametrize(("dtype", "size"), [(np.float16, 10.0), (np.float32, 1e20)])
@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, np.inf])
def test_clipping_by_the_norm_survives_gradients_whose_powers_overflow(dtype: Any, size: float, norm_type: float) -> None:
    torch = pytest.importorskip("torch")
    gradient = np.full(1000, size, dtype=dtype)
    ours = ag.tensor(np.zeros(1000, dtype=dtype), requires_grad=True)
    ours.grad = ag.tensor(gradient.copy())
    total = nn.utils.clip_grad_norm_([ours], 1.0, norm_type)
    # In double precision, torch's gives the norm: in single precision it is inf where the powers overflow.
    theirs = torch.zeros(1000, dtype=torch.float64, requires_grad=True)
    theirs.grad = torch.tensor(gradient.astype(np.float64))
    expected = torch.nn.utils.clip_grad_norm_([theirs], 1.0, norm_type)
    np.testing.assert_allclose(float(total), float(expected), rtol=4 * float(np.finfo(dtype).eps))
    np.testing.assert_allclose(ours.grad.data.astype(np.float64), theirs.grad.numpy(), rtol=2e-3)
    assert ours.grad.dtype == dtype


@pytest.mark.parametrize(("dtype", "size"), [(np.float16, 10.0), (np.float32, 1e20)])
def test_adaptive_clipping_survives_gradients_whose_squares_overflow(dtype: Any, size: float) -> None:
    p = ag.tensor(np.ones((2, 1000), dtype=dtype), requires_grad=True)
    p.grad = ag.tensor(np.full((2, 1000), size, dtype=dtype))
    nn.utils.clip_grad_adaptive_([p], 0.1)
    np.testing.assert_allclose(p.grad.data.astype(np.float64), 0.1, rtol=2e-3)
    assert p.grad.dtype == dtype


CLIPPING = {
    "clip_grad_norm_": lambda p: nn.utils.clip_grad_norm_(p, 1.0),
    "clip_grads_with_norm_": lambda p: nn.utils.clip_grads_with_norm_(p, 1.0, 5.0),
    "clip_grad_value_": lambda p: nn.utils.clip_grad_value_(p, 1.0),
    "clip_grad_adaptive_": lambda p: nn.utils.clip_grad_adaptive_(p),
    "get_total_norm": lambda p: nn.utils.get_total_norm(p),
}


@pytest.mark.parametrize("name", CLIPPING)
def test_an_iterator_that_was_used_up_is_refused(name: str) -> None:
    p = ag.tensor([3.0, 4.0], requires_grad=True)
    p.grad = ag.tensor([3.0, 4.0])
    for parameters in ((q for q in [p]), iter([p]), zip([p])):
        list(parameters)
        with pytest.raises(ValueError, match=f"{name}: got no parameters; the iterator was used up already"):
            CLIPPING[name](parameters)
    CLIPPING[name]([])
    CLIPPING[name](nn.ReLU().parameters())  # of a module without parameters, which is no mistake
    CLIPPING[name](q for q in [p])
