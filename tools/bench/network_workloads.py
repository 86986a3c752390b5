"""w2 and w2b: whole training steps of multi-layer perceptrons, loss, gradient and update, as their users write them.

Contenders as in engine_workloads.py: each is a step that returns the gradients of its first call, and trains on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import nn
import optim
from nn import functional
from tools.bench.engine_workloads import Contenders, installed

__all__ = ["large_network", "small_network"]

LARGE, SMALL = (784, 512, 512, 10), (64, 32, 10)


class NetworkByHand:
    """A ReLU network with softmax and cross-entropy, forward and backward written out over kept buffers."""

    def __init__(self, arrays: Sequence[Any], batch: int) -> None:
        self.weights, self.biases = arrays[0::2], arrays[1::2]
        self.outputs = [np.empty((batch, len(w)), np.float32) for w in self.weights]
        self.flows = [np.empty_like(out) for out in self.outputs]
        self.gradients = [np.empty_like(a) for a in arrays]
        self.ones, self.rows = np.ones(batch, np.float32), np.arange(batch)

    def __call__(self, x: Any, labels: Any) -> list[Any]:
        last = len(self.weights) - 1
        inputs = [x, *self.outputs[:-1]]
        for i, (w, b, out) in enumerate(zip(self.weights, self.biases, self.outputs, strict=True)):
            np.matmul(inputs[i], w.T, out=out)
            np.add(out, b, out=out)
            if i < last:
                np.maximum(out, 0, out=out)
        g = self.flows[last]
        np.subtract(self.outputs[last], self.outputs[last].max(axis=1, keepdims=True), out=g)
        np.exp(g, out=g)
        g /= g.sum(axis=1, keepdims=True)
        g[self.rows, labels] -= 1
        g *= 1 / len(labels)
        for i in range(last, -1, -1):
            np.matmul(self.flows[i].T, inputs[i], out=self.gradients[2 * i])
            np.matmul(self.ones, self.flows[i], out=self.gradients[2 * i + 1])
            if i:
                np.matmul(self.flows[i], self.weights[i], out=self.flows[i - 1])
                np.multiply(self.flows[i - 1], inputs[i] > 0, out=self.flows[i - 1])
        return self.gradients


def adam_by_hand(arrays: Sequence[Any], lr: float = 1e-3) -> Callable[[Sequence[Any]], None]:
    """Adam (Kingma & Ba 2015, algorithm 1) in place, with kept buffers."""
    states = [tuple(np.zeros_like(a) for _ in range(4)) for a in arrays]
    count = 0

    def update(gradients: Sequence[Any]) -> None:
        nonlocal count
        count += 1
        rate, root = lr / (1 - 0.9**count), (1 - 0.999**count) ** 0.5
        for a, g, (mean, square, s, t) in zip(arrays, gradients, states, strict=True):
            np.multiply(g, 0.1, out=s)
            mean *= 0.9
            mean += s
            np.multiply(g, g, out=s)
            s *= 0.001
            square *= 0.999
            square += s
            np.sqrt(square, out=t)
            t *= 1 / root
            t += 1e-8
            np.divide(mean, t, out=s)
            s *= rate
            a -= s

    return update


def momentum_by_hand(arrays: Sequence[Any], lr: float = 0.1) -> Callable[[Sequence[Any]], None]:
    """Gradient descent with the momentum 0.9 (Polyak 1964), in place."""
    velocities, steps = [np.zeros_like(a) for a in arrays], [np.empty_like(a) for a in arrays]

    def update(gradients: Sequence[Any]) -> None:
        for a, g, velocity, s in zip(arrays, gradients, velocities, steps, strict=True):
            velocity *= 0.9
            velocity += g
            np.multiply(velocity, lr, out=s)
            a -= s

    return update


def _data(sizes: tuple[int, ...], batch: int) -> tuple[Any, Any, list[Any]]:
    """Inputs, labels, and the parameters to start from, (out, in) weights and biases in turn."""
    random = np.random.default_rng(0)
    x = random.normal(size=(batch, sizes[0])).astype(np.float32)
    arrays: list[Any] = []
    for inputs, outputs in itertools.pairwise(sizes):
        arrays += [random.normal(scale=inputs**-0.5, size=(outputs, inputs)).astype(np.float32), np.zeros(outputs, np.float32)]
    return x, random.integers(0, sizes[-1], size=batch), arrays


def _contenders(sizes: tuple[int, ...], batch: int, by_hand: Callable[..., Any], ours: Callable[..., Any], torchs: Callable[..., Any]) -> Contenders:
    x, labels, arrays = _data(sizes, batch)
    own = [a.copy() for a in arrays]
    gradients, update = NetworkByHand(own, batch), by_hand(own)

    def limit() -> Any:
        update(gradients(x, labels))
        return gradients.gradients

    layers = [layer for n, m in itertools.pairwise(sizes) for layer in (nn.Linear(n, m), nn.ReLU())][:-1]
    model = nn.Sequential(*layers)
    model.load_state_dict(dict(zip(model.state_dict(), arrays, strict=True)))
    optimizer = ours(model.parameters())

    def step() -> Any:
        optimizer.zero_grad()
        functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        return [p.grad.numpy() for p in model.parameters()]

    contenders: Contenders = {"limit": limit, "autograd_core": step}
    if installed("torch"):
        contenders["torch"] = _by_torch(sizes, x, labels, arrays, torchs)
        contenders["torch, best"] = _by_torch(sizes, x, labels, arrays, torchs, fused=True)
    return contenders


def _by_torch(sizes: tuple[int, ...], x: Any, labels: Any, arrays: list[Any], make: Callable[..., Any], **options: Any) -> Callable[[], Any]:
    import torch

    layers = [layer for n, m in itertools.pairwise(sizes) for layer in (torch.nn.Linear(n, m), torch.nn.ReLU())][:-1]
    model = torch.nn.Sequential(*layers)
    model.load_state_dict(dict(zip(model.state_dict(), map(torch.tensor, arrays), strict=True)))
    optimizer = make(model.parameters(), **options)
    inputs, targets = torch.tensor(x), torch.tensor(labels)

    def step() -> Any:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
        return [p.grad.numpy() for p in model.parameters() if p.grad is not None]

    return step


def large_network() -> Contenders:
    """w2: 784-512-512-10 with Adam, batches of 128."""
    return _contenders(LARGE, 128, adam_by_hand, optim.Adam, _torch_optimizer("Adam", lr=1e-3))


def small_network() -> Contenders:
    """w2b: 64-32-10 with momentum, batches of 32."""
    return _contenders(SMALL, 32, momentum_by_hand, lambda p: optim.SGD(p, lr=0.1, momentum=0.9), _torch_optimizer("SGD", lr=0.1, momentum=0.9))


def _torch_optimizer(rule: str, **settings: Any) -> Callable[..., Any]:
    def make(parameters: Any, **options: Any) -> Any:
        import torch

        return getattr(torch.optim, rule)(parameters, **settings, **options)

    return make
