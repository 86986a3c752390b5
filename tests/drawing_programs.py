"""The programs that pictures are tested on: from an MLP to twelve transformer blocks, and the awkward ones.

Each function returns a `Program`: outputs, names of leaves, and the recording that it ran in (or None). They are written with
NumPy's functions and a module class of a few lines, so that they stay the same whatever `nn` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_core as ag


class Module:
    """Just enough of a module: named parameters, and calls that a recording sees."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(7)

    def parameter(self, *shape: int) -> ag.Tensor:
        return ag.tensor(self.random.normal(size=shape) / np.sqrt(shape[0]), requires_grad=True)

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        yield prefix, self
        for name, value in vars(self).items():
            inner = enumerate(value) if isinstance(value, list) else [(None, value)]
            for i, module in inner:
                if isinstance(module, Module):
                    own = name if i is None else f"{name}.{i}"
                    yield from module.named_modules(f"{prefix}.{own}" if prefix else own)

    def named_parameters(self) -> Iterator[tuple[str, ag.Tensor]]:
        for path, module in self.named_modules():
            for name, value in vars(module).items():
                if isinstance(value, ag.Tensor):
                    yield f"{path}.{name}" if path else name, value

    def parameters(self) -> list[ag.Tensor]:
        return [tensor for _, tensor in self.named_parameters()]

    def __call__(self, *arguments: Any) -> Any:
        observer = ag.observer()
        if observer is None:
            return self.forward(*arguments)
        with observer.scope(self, arguments):
            return self.forward(*arguments)

    def forward(self, *arguments: Any) -> Any:
        raise NotImplementedError


class Linear(Module):
    def __init__(self, wide: int, out: int) -> None:
        super().__init__()
        self.weight, self.bias = self.parameter(wide, out), self.parameter(out)

    def forward(self, x: Any) -> Any:
        return np.matmul(x, self.weight) + self.bias


class Perceptron(Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = Linear(64, 32), Linear(32, 16), Linear(16, 10)

    def forward(self, x: Any) -> Any:
        return self.fc3(np.maximum(self.fc2(np.maximum(self.fc1(x), 0)), 0))


class Convolution(Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.weight, self.bias = self.parameter(out, channels, 3, 3), self.parameter(out, 1, 1)

    def forward(self, x: Any) -> Any:
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), axis=(2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, self.weight) + self.bias


class Residual(Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = Convolution(channels, channels), Convolution(channels, channels)

    def forward(self, x: Any) -> Any:
        return np.maximum(self.conv2(np.maximum(self.conv1(x), 0)) + x, 0)


class ResidualNetwork(Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(1, 4)
        self.blocks = [Residual(4), Residual(4)]
        self.head = Linear(4, 10)

    def forward(self, x: Any) -> Any:
        x = np.maximum(self.stem(x), 0)
        for block in self.blocks:
            x = block(x)
        return self.head(np.mean(x, axis=(2, 3)))


class Cell(Module):
    """An LSTM cell."""

    def __init__(self, wide: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.input, self.recurrent, self.bias = self.parameter(wide, 4 * hidden), self.parameter(hidden, 4 * hidden), self.parameter(4 * hidden)

    def forward(self, x: Any, h: Any, c: Any) -> Any:
        n = self.hidden
        gates = np.matmul(x, self.input) + np.matmul(h, self.recurrent) + self.bias
        forget, enter, leave = (1 / (1 + np.exp(-gates[:, i * n : (i + 1) * n])) for i in range(3))
        c = forget * c + enter * np.tanh(gates[:, 3 * n :])
        return leave * np.tanh(c), c


class Recurrent(Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = Cell(3, 8), Linear(8, 2)

    def forward(self, x: Any) -> Any:
        h = c = np.zeros((x.shape[0], 8))
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], h, c)
        return self.head(h)


class Norm(Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.scale, self.shift = self.parameter(wide), self.parameter(wide)

    def forward(self, x: Any) -> Any:
        centred = x - np.mean(x, axis=-1, keepdims=True)
        return centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) * self.scale + self.shift


class Attention(Module):
    def __init__(self, wide: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (Linear(wide, wide) for _ in range(4))

    def forward(self, x: Any) -> Any:
        n, length, wide = x.shape
        q, k, v = (np.swapaxes(np.reshape(part(x), (n, length, self.heads, -1)), 1, 2) for part in (self.query, self.key, self.value))
        scores = np.matmul(q, np.swapaxes(k, -1, -2)) / np.sqrt(wide / self.heads)
        weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
        mixed = np.matmul(weights / np.sum(weights, axis=-1, keepdims=True), v)
        return self.out(np.reshape(np.swapaxes(mixed, 1, 2), (n, length, wide)))


class Block(Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.norm1, self.attention, self.norm2 = Norm(wide), Attention(wide, 2), Norm(wide)
        self.up, self.down = Linear(wide, 4 * wide), Linear(4 * wide, wide)

    def forward(self, x: Any) -> Any:
        x = x + self.attention(self.norm1(x))
        return x + self.down(np.maximum(self.up(self.norm2(x)), 0))


class Transformer(Module):
    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.embedding = self.parameter(20, 8)
        self.blocks = [Block(8) for _ in range(blocks)]
        self.head = Linear(8, 20)

    def forward(self, tokens: Any) -> Any:
        x = self.embedding[tokens]
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@dataclass
class Program:
    outputs: Any
    params: Any
    recording: Any = None


def recorded(module: Module, *inputs: Any) -> Program:
    """A module's mean squared output, run and differentiated under a recording."""
    with ag.record() as recording:
        loss = np.mean(module(*inputs) ** 2)
        loss.backward(retain_graph=True)
    return Program({"loss": loss}, module, recording)


def random(*shape: int) -> Any:
    return np.random.default_rng(3).normal(size=shape)


def mlp() -> Program:
    return recorded(Perceptron(), random(5, 64))


def residual_network() -> Program:
    return recorded(ResidualNetwork(), random(2, 1, 6, 6))


def lstm(steps: int = 20) -> Program:
    return recorded(Recurrent(), random(2, steps, 3))


def flat_lstm(steps: int = 20) -> Program:
    """The same without a recording: there are no modules, only equal stretches of operations."""
    module = Recurrent()
    return Program({"loss": np.mean(module(random(2, steps, 3)) ** 2)}, module)


def transformer(blocks: int = 1) -> Program:
    return recorded(Transformer(blocks), np.array([[1, 2, 3, 4, 5]]))


def shared_weights() -> Program:
    w = ag.tensor(random(4, 4), requires_grad=True)
    x = random(2, 4)
    for _ in range(6):
        x = np.tanh(np.matmul(x, w)) + np.mean(w)
    return Program(x.sum(), {"w": w})


def two_losses() -> Program:
    module = Perceptron()
    with ag.record() as recording:
        shared = np.maximum(module.fc2(np.maximum(module.fc1(random(5, 64)), 0)), 0)
        first, second = np.mean(module.fc3(shared) ** 2), np.sum(np.abs(shared))
    return Program({"fit": first, "sparsity": second}, module, recording)


def gradient_of_a_gradient() -> Program:
    x = ag.tensor(random(3), requires_grad=True)
    with ag.record() as recording:
        y = np.sum(np.tanh(x * 2.0) * x)
        first = ag.gradient(y, x, create_graph=True)
        penalty = np.sum(first * first)
    return Program({"y": y, "penalty": penalty}, {"x": x}, recording)


def run_with_a_nan() -> Program:
    w = ag.tensor(np.array([1.0, -1.0, 2.0]), requires_grad=True)
    with ag.record() as recording, np.errstate(all="ignore"):
        loss = np.mean(np.log(w * 3.0) * 2.0) + np.sum(w * w)
        loss.backward(retain_graph=True)
    return Program({"loss": loss}, {"w": w}, recording)


def disconnected_parameter() -> Program:
    module = Perceptron()
    with ag.record() as recording:
        loss = np.mean(module.fc2(np.maximum(module.fc1(random(5, 64)), 0)))
    return Program({"loss": loss}, module, recording)


class Markup(Module):
    def __init__(self) -> None:
        super().__init__()
        setattr(self, "a <b>\"bold\"</b> & 'q'\n</script>", Linear(3, 3))
        setattr(self, "層 α", Linear(3, 3))

    def forward(self, x: Any) -> Any:
        first, second = (value for value in vars(self).values() if isinstance(value, Module))
        return second(first(x))


def markup() -> Program:
    return recorded(Markup(), random(2, 3))


PROGRAMS: dict[str, Callable[[], Program]] = {
    "mlp": mlp,
    "residual network": residual_network,
    "lstm 20": lstm,
    "lstm 1000": lambda: lstm(1000),
    "flat lstm 20": flat_lstm,
    "transformer": transformer,
    "transformer 12": lambda: transformer(12),
    "shared weights": shared_weights,
    "two losses": two_losses,
    "gradient of a gradient": gradient_of_a_gradient,
    "run with a nan": run_with_a_nan,
    "disconnected parameter": disconnected_parameter,
    "markup": markup,
}
