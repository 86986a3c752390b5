"""w3, a small convolutional network, a step of `tools.train_cnn`, and their kernels one by one: against NumPy by hand, and torch.

python -m tools.bench.convolution_workloads             # all, a minute
python -m tools.bench.convolution_workloads w3 --quick
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
import nn
import optim
from nn import functional
from nn.models import small_resnet
from tools.bench.engine_workloads import installed
from tools.bench.measure import interleaved, memory, one_core, table

__all__ = ["convolution", "network", "pooling", "residual_network"]

Contenders = dict[str, Callable[[], Any]]
BATCH, SIZE, CLASSES = 32, 28, 10


def agree(contenders: Contenders) -> None:
    """Raise AssertionError unless all contenders compute in float32 what the first one does."""
    expected, *others = [[np.array(value) for value in step()] for step in contenders.values()]
    for results, name in zip(others, list(contenders)[1:], strict=True):
        for got, wanted in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4 * max(1.0, float(np.abs(wanted).max())), err_msg=name)


# --- w3 ---------------------------------------------------------------------------------------------------------------------------


class _Plane:
    """Images of `size` x `size` kept as (channels, size, size + 1, batch), all zeros around: a row's right padding is the next one's left.

    So a step of one pixel is a step of `batch` elements in memory, the elements that all windows see at one place are one slice,
    and the columns of a 3x3 convolution are nine long copies.
    """

    def __init__(self, channels: int, size: int) -> None:
        self.size, self.row = size, (size + 1) * BATCH
        self.inner = slice(self.row + BATCH, self.row + BATCH + size * self.row)
        self.flat = np.zeros((channels, (size + 2) * self.row + 2 * BATCH), np.float32)
        self.pixels = self.flat[:, self.inner].reshape(channels, size, size + 1, BATCH)[:, :, :size]

    def places(self) -> list[Any]:
        """The slices of `flat` that the windows see at each of their nine places."""
        starts = [i * self.row + j * BATCH for i in range(3) for j in range(3)]
        return [self.flat[:, start : start + self.size * self.row] for start in starts]


class NetworkByHand:
    """Two convolutions, each followed by pooling and then (they commute) bias and relu, and a linear layer, with their gradient."""

    def __init__(self, parameters: list[Any]) -> None:
        self.w1, self.b1, self.w2, self.b2, self.w3, self.b3 = parameters
        self.image, self.middle, self.g2 = _Plane(1, 28), _Plane(16, 14), _Plane(32, 14)
        self.columns1 = np.empty((1, 9, 28 * 29 * BATCH), np.float32)
        self.columns2 = np.empty((16, 9, 14 * 15 * BATCH), np.float32)
        self.gcolumns = np.empty((16, 9, 14 * 15 * BATCH), np.float32)
        self.gmiddle = _Plane(16, 14)
        self.conv1, self.conv2 = np.empty((16, 28 * 29 * BATCH), np.float32), np.empty((32, 14 * 15 * BATCH), np.float32)
        self.g1 = np.zeros((16, 28, 29, BATCH), np.float32)
        self.rows1, self.rows2 = np.empty((16, 14, 28, BATCH), np.float32), np.empty((32, 7, 14, BATCH), np.float32)
        self.top1, self.top2 = np.empty((16, 14, 14, BATCH), np.float32), np.empty((32, 7, 7, BATCH), np.float32)
        self.out2 = np.empty_like(self.top2)
        self.ones = np.ones(14 * 14 * BATCH, np.float32)

    @staticmethod
    def pool(x: Any, rows: Any, top: Any) -> None:
        np.maximum(x[:, 0::2], x[:, 1::2], out=rows)
        np.maximum(rows[:, :, 0::2], rows[:, :, 1::2], out=top)

    @staticmethod
    def unpool(g: Any, x: Any, top: Any, out: Any) -> None:
        still_open = np.ones(top.shape, bool)
        for i in (0, 1):
            for j in (0, 1):
                won = x[:, i::2, j::2] == top
                won &= still_open
                still_open ^= won
                np.multiply(g, won, out=out[:, i::2, j::2])

    def step(self, images: Any, labels: Any) -> list[Any]:
        self.image.pixels[0] = images[:, 0].transpose(1, 2, 0)
        for k, place in enumerate(self.image.places()):
            self.columns1[:, k] = place
        np.matmul(self.w1.reshape(16, 9), self.columns1[0], out=self.conv1)
        x1 = self.conv1.reshape(16, 28, 29, BATCH)[:, :, :28]
        self.pool(x1, self.rows1, self.top1)
        hidden = self.middle.pixels
        np.add(self.top1, self.b1[:, None, None, None], out=hidden)
        np.maximum(hidden, 0, out=hidden)
        for k, place in enumerate(self.middle.places()):
            self.columns2[:, k] = place
        w2, columns2 = self.w2.reshape(32, 144), self.columns2.reshape(144, -1)
        np.matmul(w2, columns2, out=self.conv2)
        x2 = self.conv2.reshape(32, 14, 15, BATCH)[:, :, :14]
        self.pool(x2, self.rows2, self.top2)
        np.add(self.top2, self.b2[:, None, None, None], out=self.out2)
        np.maximum(self.out2, 0, out=self.out2)
        features = self.out2.reshape(32 * 49, BATCH)
        logits = (self.w3 @ features).T + self.b3
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        logits[np.arange(BATCH), labels] -= 1
        logits /= BATCH
        g = self.w3.T @ logits.T
        g *= features > 0
        gw3, gb3 = (features @ logits).T, logits.sum(axis=0)
        gb2 = g.reshape(32, 49 * BATCH) @ self.ones[: 49 * BATCH]
        self.unpool(g.reshape(32, 7, 7, BATCH), x2, self.top2, self.g2.pixels)
        g2 = self.g2.flat[:, self.g2.inner]
        gw2 = g2 @ columns2.T
        np.matmul(w2.T, g2, out=self.gcolumns.reshape(144, -1))
        self.gmiddle.flat[...] = 0
        for k, place in enumerate(self.gmiddle.places()):
            place += self.gcolumns[:, k]
        ghidden = self.gmiddle.pixels * (hidden > 0)
        gb1 = ghidden.reshape(16, -1) @ self.ones
        self.unpool(ghidden, x1, self.top1, self.g1[:, :, :28])
        gw1 = self.g1.reshape(16, -1) @ self.columns1[0].T
        return [gw1.reshape(16, 1, 3, 3), gb1, gw2.reshape(32, 16, 3, 3), gb2, gw3, gb3]


class Network(nn.Module):
    """The same network as a module, as one writes it."""

    def __init__(self) -> None:
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 3, padding=1, generator=0), nn.Conv2d(16, 32, 3, padding=1, generator=1)
        self.pool, self.out = nn.MaxPool2d(2), nn.Linear(32 * 49, CLASSES, generator=2)

    def forward(self, x: Any) -> Any:
        x = self.pool(functional.relu(self.conv1(x)))
        x = self.pool(functional.relu(self.conv2(x)))
        return self.out(x.reshape((len(x), 32 * 49)))


def _batch() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    return random.normal(size=(BATCH, 1, SIZE, SIZE)).astype(np.float32), random.integers(0, CLASSES, size=BATCH)


def network() -> Contenders:
    """w3: the parameters' gradients of one batch of 32 images."""
    images, labels = _batch()
    model = Network()
    parameters = list(model.parameters())
    by_hand = NetworkByHand([np.array(p.detach().numpy()) for p in parameters])

    def ours() -> list[Any]:
        for p in parameters:
            p.grad = None
        functional.cross_entropy(model(images), labels).backward()
        return [p.grad.data for p in parameters]

    contenders: Contenders = {"limit": lambda: by_hand.step(images, labels), "autograd_core": ours}
    if installed("torch"):
        contenders["torch"] = _torch_network(model, images, labels)
    return contenders


def _torch_network(model: Any, images: Any, labels: Any) -> Callable[[], Any]:
    import torch

    torch.set_num_threads(1)
    own = torch.nn
    layers = [own.Conv2d(1, 16, 3, padding=1), own.ReLU(), own.MaxPool2d(2), own.Conv2d(16, 32, 3, padding=1), own.ReLU(), own.MaxPool2d(2)]
    theirs = own.Sequential(*layers, own.Flatten(), own.Linear(32 * 49, CLASSES))
    with torch.no_grad():
        for p, q in zip(theirs.parameters(), model.parameters(), strict=True):
            p.copy_(torch.tensor(q.detach().numpy()))
    x, target, parameters = torch.tensor(images), torch.tensor(labels), list(theirs.parameters())

    def step() -> list[Any]:
        for p in parameters:
            p.grad = None
        own.functional.cross_entropy(theirs(x), target).backward()
        return [p.grad.numpy() for p in parameters if p.grad is not None]

    return step


# --- a step of tools.train_cnn ----------------------------------------------------------------------------------------------------


def residual_network(batch: int = 64) -> Contenders:
    """Loss, gradient and Nesterov's step of the residual network that `tools.train_cnn` trains on digits; each contender returns its loss."""
    random = np.random.default_rng(0)
    images, labels = random.normal(size=(batch, 1, 8, 8)).astype(np.float32), random.integers(0, CLASSES, size=batch)
    model = small_resnet()
    options: dict[str, Any] = {"lr": 1e-4, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
    optimizer = optim.SGD(model.parameters(), **options)

    def ours() -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return [loss.item()]

    contenders: Contenders = {"autograd_core": ours}
    if installed("torch"):
        import torch

        torch.set_num_threads(1)
        twin = _torch_residual_network()
        twin.load_state_dict({name: torch.tensor(value.numpy()) for name, value in model.state_dict().items()})
        theirs = torch.optim.SGD(twin.parameters(), **options)
        x, target = torch.tensor(images), torch.tensor(labels)

        def by_torch() -> Any:
            theirs.zero_grad()
            loss = torch.nn.functional.cross_entropy(twin(x), target)
            loss.backward()
            theirs.step()
            return [loss.item()]

        contenders["torch"] = by_torch
    return contenders


def _torch_residual_network() -> Any:
    """`small_resnet` in torch, as torchvision writes it."""
    import torch

    own = torch.nn

    class Block(own.Module):  # type: ignore[name-defined, misc]
        def __init__(self, inputs: int, planes: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = own.Conv2d(inputs, planes, 3, stride=stride, padding=1, bias=False), own.BatchNorm2d(planes)
            self.conv2, self.bn2 = own.Conv2d(planes, planes, 3, padding=1, bias=False), own.BatchNorm2d(planes)
            self.downsample = None
            if stride != 1:
                self.downsample = own.Sequential(own.Conv2d(inputs, planes, 1, stride=stride, bias=False), own.BatchNorm2d(planes))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class Network(own.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = own.Conv2d(1, 16, 3, padding=1, bias=False), own.BatchNorm2d(16)
            self.layer1, self.layer2, self.layer3 = (own.Sequential(Block(*sizes)) for sizes in ((16, 16, 1), (16, 32, 2), (32, 64, 2)))
            self.fc = own.Linear(64, CLASSES)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.bn1(self.conv1(x)))
            x = self.layer3(self.layer2(self.layer1(x)))
            return self.fc(own.functional.adaptive_avg_pool2d(x, 1).flatten(1))

    return Network()


# --- kernels ----------------------------------------------------------------------------------------------------------------------


def _forward_and_backward(call: Callable[..., Any], arrays: list[Any], g: Any, theirs: Callable[..., Any] | None) -> Contenders:
    """A call and all its gradients, here and in torch."""

    def ours() -> list[Any]:
        tracked = [ag.tensor(a, requires_grad=True) for a in arrays]
        call(*tracked).backward(g)
        return [t.grad.data for t in tracked]

    contenders: Contenders = {"autograd_core": ours}
    if theirs is not None and installed("torch"):
        import torch

        torch.set_num_threads(1)
        tensors, gradient = [torch.tensor(a) for a in arrays], torch.tensor(g)

        def torchs() -> list[Any]:
            tracked = [t.detach().requires_grad_() for t in tensors]
            theirs(torch.nn.functional, *tracked).backward(gradient)
            return [t.grad.numpy() for t in tracked if t.grad is not None]

        contenders["torch"] = torchs
    return contenders


def convolution(batch: int, inputs: int, outputs: int, size: int, kernel: int = 3, stride: int = 1) -> Contenders:
    """A convolution that keeps the size (or halves it, with stride 2), with the gradients of image, weight and bias."""
    random = np.random.default_rng(0)
    shapes = [(batch, inputs, size, size), (outputs, inputs, kernel, kernel), (outputs,)]
    arrays: list[Any] = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    keywords: dict[str, Any] = {"padding": kernel // 2, "stride": stride}
    g = np.asarray(random.normal(size=functional.conv2d(*arrays, **keywords).shape), dtype=np.float32)
    return _forward_and_backward(lambda *a: functional.conv2d(*a, **keywords), arrays, g, lambda module, *a: module.conv2d(*a, **keywords))


def pooling(batch: int, channels: int, size: int) -> Contenders:
    """2x2 maxima and their gradient."""
    random = np.random.default_rng(0)
    x = random.normal(size=(batch, channels, size, size)).astype(np.float32)
    g = random.normal(size=(batch, channels, size // 2, size // 2)).astype(np.float32)
    return _forward_and_backward(lambda x: functional.max_pool2d(x, 2), [x], g, lambda module, x: module.max_pool2d(x, 2))


WORKLOADS: dict[str, Callable[[], Contenders]] = {
    "w3": network,
    "resnet": residual_network,
    "conv 32x1x28x28 -> 16": lambda: convolution(32, 1, 16, 28),
    "conv 32x16x14x14 -> 32": lambda: convolution(32, 16, 32, 14),
    "conv 16x64x28x28 -> 64": lambda: convolution(16, 64, 64, 28),
    "conv 32x64x14x14 -> 128, stride 2": lambda: convolution(32, 64, 128, 14, stride=2),
    "conv 64x128x4x4 -> 128": lambda: convolution(64, 128, 128, 4),
    "conv 1x1, 32x64x14x14 -> 64": lambda: convolution(32, 64, 64, 14, kernel=1),
    "max pool 32x16x28x28": lambda: pooling(32, 16, 28),
    "max pool 32x32x14x14": lambda: pooling(32, 32, 14),
}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if a network takes longer than torch, or w3 more than 1.3 times the limit."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.convolution_workloads", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workloads", nargs="*", help="beginnings of names, such as w3, conv, max; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(arguments)
    one_core()
    rows, missed = [], False
    for name, make in WORKLOADS.items():
        if options.workloads and not name.startswith(tuple(options.workloads)):
            continue
        contenders = make()
        agree(contenders)
        seconds = interleaved(contenders, 5 if options.quick else 21)
        ours, torchs, limit = (seconds.get(key) for key in ("autograd_core", "torch", "limit"))
        if ours is None:
            raise RuntimeError(f"{name} was not measured here")
        ratios = [f"{ours / other:.2f}" if other else "-" for other in (limit, torchs)]
        peak = f"{memory(contenders['autograd_core'])[1] / 2**20:.1f}"
        rows.append([name, *ratios, f"{torchs / limit:.2f}" if torchs and limit else "-", peak])
        if name in ("w3", "resnet"):
            missed = missed or any(other is not None and ours > factor * other for factor, other in ((1.3, limit), (1.0, torchs)))
    print("CPU time of one core of a step with all gradients\n")
    print(table(["", "/ by hand", "/ torch", "torch / by hand", "peak, MiB"], rows))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
