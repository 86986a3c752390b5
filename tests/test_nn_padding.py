"""Padding: torch in all modes, with numbers of both signs, numeric derivatives, and bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from against_torch import agree, layers_agree, same_arguments

import autograd_core as ag
import nn
from nn import functional

MODES = ("constant", "reflect", "replicate", "circular")
LAYERS = [f"{kind}Pad{n}d" for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular") for n in (1, 2, 3)]


@pytest.mark.parametrize("mode", MODES)
def test_padding_agrees_with_torch_for_numbers_of_both_signs(mode: str, rng: np.random.Generator) -> None:
    taken = 0
    for shape in [(6,), (7, 6), (5, 7, 6), (2, 5, 7, 6), (2, 1, 5, 6, 7), (0, 2, 6)]:
        for pairs in (1, 2, 3):
            low = -1 if mode == "circular" else -2  # torch's circular padding wraps round memory that is not there, if it is cut too short
            for _ in range(8):
                if len(shape) == 3 and pairs == 2 and shape[0] == 0:
                    continue  # without a batch axis torch takes no empty array
                numbers = tuple(int(n) for n in rng.integers(low, 4, size=2 * pairs))
                if len(shape) > pairs + (mode == "constant" or len(shape) < 3) and (mode == "constant" or len(shape) in (pairs + 1, pairs + 2)):
                    taken += agree("pad", [rng.normal(size=shape)], (numbers, mode), rng)
    assert taken > 40


def test_constant_padding_takes_a_value_and_any_number_of_axes(rng: np.random.Generator) -> None:
    for numbers in ((1, 2, 0, 1, 2, -1, 1, 0), (), (0, 0), (-6, 3)):
        for value in (None, 0.0, 2.5, -np.inf):
            if numbers or value is None:
                agree("pad", [rng.normal(size=(2, 3, 4, 6))], (numbers, "constant", value), rng)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_agree_with_torchs(name: str, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    same_arguments(getattr(nn, name), getattr(torch.nn, name))
    ndim = int(name[-2])
    value = {"value": 1.5} if name.startswith("Constant") else {}
    for padding in (2, tuple(range(2 * ndim)), (1, -1) * ndim):
        if max(np.atleast_1d(padding)) < 6:
            layers_agree(name, {"padding": padding, **value}, [rng.normal(size=(2, 3, *(7, 6, 7)[:ndim]))], rng=rng)


@pytest.mark.parametrize("mode", MODES)
def test_padding_differentiates_twice(mode: str, rng: np.random.Generator) -> None:
    assert ag.gradcheck(lambda x: functional.pad(x, (2, 1, -1, 2), mode) ** 2, rng.normal(size=(1, 2, 4, 3)), order=2)


@pytest.mark.parametrize("mode", MODES)
def test_float32_stays_float32_and_batches_are_taken(mode: str, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 2, 5)).astype(np.float32)
    t = ag.tensor(x, requires_grad=True)
    y = functional.pad(t, (1, 2), mode)
    y.sum().backward()
    assert {y.dtype, t.grad.dtype} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(ag.vmap(lambda row: functional.pad(row, (1, 2), mode))(x), functional.pad(x, (1, 2), mode))


X = np.ones((2, 3, 4, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.pad([1.0], (1, 1)), "pad: input must be a tensor or an array, not list"),
        (lambda: functional.pad(X, 1), "pad: pad must be a sequence of integers, two for each axis to pad, not 1"),
        (lambda: functional.pad(X, (1, 1.5)), "pad: pad must be a sequence of integers"),
        (lambda: functional.pad(X, (1,)), r"pad: pad must hold two numbers for each axis to pad, of 4 at most for shape \(2, 3, 4, 5\), not \(1,\)"),
        (lambda: functional.pad(X, (1,) * 10), "pad: pad must hold two numbers for each axis to pad, of 4 at most"),
        (lambda: functional.pad(X, (1, 1), "mirror"), "pad: mode must be one of 'constant', 'reflect', 'replicate', 'circular', not 'mirror'"),
        (lambda: functional.pad(X, (1, 1), "reflect"), r"pad: mode='reflect' with 1 pairs pads the last axes of an input of 2 or 3 axes"),
        (lambda: functional.pad(X, (5, 0, 0, 0), "reflect"), r"pad: mode='reflect' has 4 elements to pad with along axis 3 .* not 5"),
        (lambda: functional.pad(X, (6, 0, 0, 0), "circular"), r"pad: mode='circular' has 5 elements to pad with along axis 3 .* not 6"),
        (lambda: functional.pad(X, (-3, -3)), r"pad: pad=\(-3, -3\) leaves -1 elements of the 5 along axis 3 of an input of shape \(2, 3, 4, 5\)"),
        (lambda: functional.pad(X, (1, 1, 1, 1), "reflect", 2.0), 'pad: value=2.0 is for mode="constant"'),
        (lambda: nn.ReflectionPad2d((1, 2, 3)), r"ReflectionPad2d: padding must be an integer or 4 of them, not \(1, 2, 3\)"),
    ],
)
def test_bad_input_is_refused_by_name(call: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        call()
