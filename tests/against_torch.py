"""The same call here and in torch: values, gradients of all arguments, parameters' gradients, indices."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn

CLOSE: dict[str, float] = {"rtol": 1e-11, "atol": 1e-11}


def agree(name: str, arrays: Sequence[Any], arguments: Sequence[Any] = (), rng: Any = None, **keywords: Any) -> bool:
    """Whether `nn.functional.name(*arrays, *arguments, **keywords)` is a call that torch takes; AssertionError if we compute something else.

    What torch refuses must be refused here by a ValueError or TypeError that names the function.
    """
    torch = pytest.importorskip("torch")
    ours, theirs = getattr(nn.functional, name), getattr(torch.nn.functional, name)
    x = [ag.tensor(a, requires_grad=True) for a in arrays]
    t = [torch.tensor(a, requires_grad=True) for a in arrays]
    said = f"{name}({', '.join(str(a.shape) for a in arrays)}, {', '.join(map(repr, arguments))}, {keywords})"
    try:
        expected = theirs(*t, *arguments, **keywords)
    except (RuntimeError, ValueError, TypeError, NotImplementedError):
        with pytest.raises((ValueError, TypeError), match=name):
            ours(*x, *arguments, **keywords)
        return False
    compare(ours(*x, *arguments, **keywords), expected, x, t, rng, said)
    return True


def compare(found: Any, expected: Any, x: Sequence[Any], t: Sequence[Any], rng: Any, said: str) -> None:
    """Assert that results (or results and indices) are equal, and the gradients of a random combination of them."""
    if isinstance(expected, tuple):
        assert isinstance(found, tuple), said
        np.testing.assert_array_equal(found[1], expected[1].numpy(), err_msg=said)
        found, expected = found[0], expected[0]
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), err_msg=said, **CLOSE)
    g = (rng or np.random.default_rng(0)).normal(size=found.shape)
    found.backward(g)
    torch = pytest.importorskip("torch")
    expected.backward(torch.tensor(g))
    for a, b in zip(x, t, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), err_msg=said, **CLOSE)


def layers_agree(name: str, arguments: Mapping[str, Any], inputs: Sequence[Any], call: Mapping[str, Any] | None = None, rng: Any = None) -> None:
    """Assert that `nn.name(**arguments)` computes what torch's layer with the same state does, keeps the same state, and looks like it."""
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.nn, name)(**arguments).double()
    ours = getattr(nn, name)(**arguments).double()
    state = {key: value.numpy() for key, value in theirs.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == {key: value.shape for key, value in state.items()}
    ours.load_state_dict(state)
    x = [ag.tensor(a, requires_grad=True) for a in inputs]
    t = [torch.tensor(a, requires_grad=True) for a in inputs]
    parameters = [dict(ours.named_parameters())[key] for key, _ in theirs.named_parameters()]
    found, expected = ours(*x, **(call or {})), theirs(*t, **(call or {}))
    compare(found, expected, [*x, *parameters], [*t, *theirs.parameters()], rng, f"{name}({arguments})({call})")
    assert repr(ours) == repr(theirs), f"{ours!r} instead of {theirs!r}"


def same_arguments(ours: Any, theirs: Any, without: Sequence[str] = ("device", "dtype")) -> None:
    """Assert that two functions or classes have arguments of the same names, order and defaults (ours may have more, by keyword)."""
    found, expected = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
    wanted = [(p.name, p.default) for p in expected.values() if p.name not in without and p.kind is not p.VAR_KEYWORD]
    assert [(p.name, p.default) for p in found.values() if p.kind is p.POSITIONAL_OR_KEYWORD][: len(wanted)] == wanted, ours
