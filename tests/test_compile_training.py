"""Modules and whole training steps under `ag.compile`: parameters, losses, running statistics and draws as without it, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import nn.functional as F
import optim
from autograd_core.compiling.replay import same_bits

Data = Callable[[int], tuple[Any, Any]]


def labelled(*shape: int) -> Data:
    def data(k: int) -> tuple[Any, Any]:
        random = np.random.default_rng(k)
        return random.normal(size=shape), random.integers(0, 3, shape[0])

    return data


def tokens(k: int) -> tuple[Any, Any]:
    return np.random.default_rng(k).integers(0, 10, (4, 5)), None


def mean_square(out: Any, target: Any) -> Any:
    return (out**2).mean()


MODELS: dict[str, tuple[Callable[[], Any], Any, Data]] = {
    "linear layers": (
        lambda: nn.Sequential(nn.Linear(8, 16, dtype=float), nn.ReLU(), nn.Linear(16, 3, dtype=float)),
        F.cross_entropy,
        labelled(5, 8),
    ),
    "dropout": (lambda: nn.Sequential(nn.Linear(8, 16), nn.Dropout(0.5), nn.Tanh(), nn.Linear(16, 3)), F.cross_entropy, labelled(5, 8)),
    "batch norm": (
        lambda: nn.Sequential(nn.Linear(8, 16, dtype=float), nn.BatchNorm1d(16, dtype=float), nn.GELU(), nn.Linear(16, 3, dtype=float)),
        F.cross_entropy,
        labelled(5, 8),
    ),
    "convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 3)),
        F.cross_entropy,
        labelled(5, 1, 8, 8),
    ),
    "lstm": (lambda: nn.LSTM(4, 6, dtype=float), lambda out, target: (out[0] ** 2).mean(), labelled(7, 5, 4)),
    "transformer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True), mean_square, labelled(3, 5, 8)),
    "embedding": (lambda: nn.Sequential(nn.Embedding(10, 6), nn.LayerNorm(6), nn.Linear(6, 3)), mean_square, tokens),
}
OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.05, momentum=0.9),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01),
}


def trained(model: str, optimizer: str, compiled: str, steps: int = 7, schedule: bool = False) -> tuple[list[Any], Any]:
    """All numbers of a training run, and what was compiled."""
    make, loss_of, data = MODELS[model]
    nn.manual_seed(0)
    module = make()
    opt = OPTIMIZERS[optimizer](list(module.parameters()))
    scheduler = optim.lr_scheduler.StepLR(opt, 2, 0.5)
    called = ag.compile(module) if compiled == "module" else module

    def step(x: Any, t: Any) -> Any:
        opt.zero_grad()
        loss = loss_of(called(x.astype(np.float32) if x.dtype == float and next(module.parameters()).dtype == np.float32 else x), t)
        loss.backward()
        opt.step()
        if schedule:
            scheduler.step()
        return loss

    run = ag.compile(step) if compiled == "step" else step
    nn.manual_seed(1)
    numbers = [run(*data(k)).data for k in range(steps)]
    numbers += [p.data for p in module.parameters()] + [b.data for b in module.buffers()]
    return numbers, run if compiled == "step" else called


def runs(compiled: Any) -> int:
    return sum(int(line.split()[-2]) for line in compiled.why().splitlines() if line.startswith("a program"))


@pytest.mark.parametrize("compiled", ["module", "step"])
@pytest.mark.parametrize("model", MODELS)
def test_a_model_is_trained_as_without_it(model: str, compiled: str) -> None:
    optimizer = "Adam" if compiled == "step" else "SGD"
    expected, _ = trained(model, optimizer, "nothing")
    found, replayed = trained(model, optimizer, compiled)
    assert all(same_bits(np.asarray(a), np.asarray(b)) for a, b in zip(found, expected, strict=True)), replayed.why()
    assert runs(replayed) >= 4, replayed.why()


def test_a_schedule_inside_of_the_step_goes_on():
    expected, _ = trained("linear layers", "SGD", "nothing", schedule=True)
    found, step = trained("linear layers", "SGD", "step", schedule=True)
    assert all(same_bits(np.asarray(a), np.asarray(b)) for a, b in zip(found, expected, strict=True))
    assert runs(step) >= 4


def test_training_mode_is_followed():
    nn.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    compiled = ag.compile(module)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    for k in range(12):
        module.train(k % 4 < 2)
        state = [b.data.copy() for b in module.buffers()]
        nn.manual_seed(k)
        expected = module(x).data
        for buffer, before in zip(module.buffers(), state, strict=True):
            buffer.data[...] = before
        nn.manual_seed(k)
        assert same_bits(compiled(x).data, expected), k
    assert runs(compiled) >= 6


def test_a_layer_whose_attribute_changes_is_recorded_again():
    module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5))
    compiled = ag.compile(module)
    x = np.ones((6, 4), np.float32)
    for k in range(12):
        module[1].p = 0.1 if k < 6 else 0.9
        nn.manual_seed(k)
        found = compiled(x).data
        nn.manual_seed(k)
        assert same_bits(found, module(x).data), k
