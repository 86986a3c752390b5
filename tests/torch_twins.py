"""Compare a function of ours with torch's: value, gradients of all arguments, and the gradients of those gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import autograd_core as ag


def assert_same_as_torch(
    ours: Callable[..., Any], theirs: Callable[..., Any], arrays: Sequence[Any], *, second: bool = True, rtol: float = 1e-11, atol: float = 1e-12
) -> None:
    """`ours(*tensors)` and `theirs(*tensors)` agree in value, in first and (`second`) in second derivatives, in shape and dtype."""
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(7)
    xs = [ag.tensor(a, requires_grad=True) for a in arrays]
    ts = [torch.tensor(np.array(a), requires_grad=True) for a in arrays]
    y, u = ours(*xs), theirs(*ts)
    same = {"rtol": rtol, "atol": atol}
    assert y.shape == tuple(u.shape)
    assert str(y.dtype) == str(u.dtype).removeprefix("torch.")
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), **same, err_msg="value")
    g = np.asarray(random.normal(size=y.shape), dtype=y.dtype)
    first = ag.gradient(y, xs, ag.tensor(g))
    wanted = torch.autograd.grad(u, ts, torch.tensor(g), retain_graph=True, allow_unused=True)
    for i, (a, b, x) in enumerate(zip(first, wanted, xs, strict=True)):
        assert a.dtype == x.dtype
        np.testing.assert_allclose(a.numpy(), np.zeros(x.shape) if b is None else b.numpy(), **same, err_msg=f"gradient of argument {i}")
    if second:
        _assert_same_second_derivatives(ours, theirs, arrays, g, same)


def _assert_same_second_derivatives(ours: Any, theirs: Any, arrays: Sequence[Any], g: Any, same: dict[str, float]) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(8)
    xs, ts = [ag.tensor(a, requires_grad=True) for a in arrays], [torch.tensor(np.array(a), requires_grad=True) for a in arrays]
    h, k = ag.tensor(g, requires_grad=True), torch.tensor(g, requires_grad=True)
    first = ag.gradient(ours(*xs), xs, h, create_graph=True)
    wanted = torch.autograd.grad(theirs(*ts), ts, k, create_graph=True, allow_unused=True)
    directions = [np.asarray(random.normal(size=x.shape), dtype=x.dtype) for x in xs]
    total: Any = sum((a * v).sum() for a, v in zip(first, directions, strict=True))
    total_of_torch = sum((b * torch.tensor(v)).sum() for b, v in zip(wanted, directions, strict=True) if b is not None)
    second = ag.gradient(total, [*xs, h], allow_unused=True)
    second_of_torch = torch.autograd.grad(total_of_torch, [*ts, k], allow_unused=True)
    for i, (a, b) in enumerate(zip(second, second_of_torch, strict=True)):
        shape = [*xs, h][i].shape
        np.testing.assert_allclose(
            np.zeros(shape) if a is None else a.numpy(), np.zeros(shape) if b is None else b.numpy(), **same, err_msg=f"second derivative {i}"
        )
