"""Lock-free parallel training: converges, uses every batch once, and reports what a thread raises."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import nn
import optim


def problem(rng: np.random.Generator) -> tuple[nn.Module, Any, Any]:
    x = rng.normal(size=(256, 8))
    return nn.MLP(8, 16, 1, activation=nn.Tanh, dtype=np.float64, generator=0), x, np.tanh(x @ rng.normal(size=(8, 1)))


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_threads_without_locks_converge(threads: int, rng: np.random.Generator) -> None:
    model, x, y = problem(rng)
    names, lock = set(), threading.Lock()

    def loss_of(module: Any, batch: Any) -> Any:
        with lock:
            names.add(threading.current_thread().name)
        return nn.functional.mse_loss(module(batch[0]), batch[1])

    loader = nn.batches(x, y, batch_size=16, shuffle=True, seed=0)
    before = nn.functional.mse_loss(model(x), y).item()
    steps = optim.hogwild(model, loss_of, (b for _ in range(30) for b in loader), lambda p: optim.SGD(p, lr=0.1), threads)
    assert steps == 30 * 16
    assert nn.functional.mse_loss(model(x), y).item() < 0.05 * before
    assert len(names) <= threads


def test_one_thread_is_plain_gradient_descent(rng: np.random.Generator) -> None:
    model, x, y = problem(rng)
    twin, _, _ = problem(rng)
    twin.load_state_dict(model.state_dict())
    loader = list(nn.batches(x, y, batch_size=64))
    optim.hogwild(model, lambda m, b: nn.functional.mse_loss(m(b[0]), b[1]), loader, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), threads=1)
    optimizer = optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    for a, b in loader:
        optimizer.zero_grad()
        nn.functional.mse_loss(twin(a), b).backward()
        optimizer.step()
    for p, q in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_allclose(p.data, q.data, rtol=1e-12, atol=1e-15)


def test_what_a_thread_raises_reaches_the_caller_and_the_others_stop(rng: np.random.Generator) -> None:
    model, x, y = problem(rng)
    calls = []

    def loss_of(module: Any, batch: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise ZeroDivisionError("in a thread")
        return nn.functional.mse_loss(module(batch[0]), batch[1])

    with pytest.raises(ZeroDivisionError, match="in a thread"):
        optim.hogwild(model, loss_of, ((x, y) for _ in range(10_000)), lambda p: optim.SGD(p), threads=2)
    assert len(calls) < 100
    with pytest.raises(ValueError, match="threads must be at least 1"):
        optim.hogwild(model, loss_of, [], lambda p: optim.SGD(p), threads=0)
