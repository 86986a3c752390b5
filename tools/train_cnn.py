"""Train a small residual network to tell images apart.

    python -m tools.train_cnn                              # scikit-learn's digits; results in train-cnn-output/
    python -m tools.train_cnn train-images-idx3-ubyte.gz   # MNIST, or what has its format; or an .npz file
    python -m tools.train_cnn --resume                     # go on where a run was interrupted

The network is He et al. 2016's for small images (nn/models/resnet.py), trained by gradient descent with Nesterov's momentum
and a learning rate that falls along a cosine. After each epoch, and when it is interrupted (Ctrl-C), the run writes all that
it needs to go on bit for bit to checkpoint.safetensors; at its end it draws losses.png.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import autograd_core as ag
import nn
import optim
from nn import functional
from nn.models import small_resnet
from nn.saving import replacing
from optim.lr_scheduler import CosineAnnealingLR
from tools import images
from tools.command_line import Parser, number, writable_folder

CHECKPOINT = "checkpoint.safetensors"
EVALUATED = 512  # images at a time


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; prints one line and exits with status 2 for a bad value."""
    parser = Parser(prog="python -m tools.train_cnn", description="Train a small residual network on images.")
    positive = number(int, 1, "an integer >= 1")
    parser.add_argument(
        "data", type=Path, nargs="?", help="an IDX file such as MNIST's train-images-idx3-ubyte.gz, or an NPZ file (scikit-learn's digits)"
    )
    parser.add_argument("--labels", type=Path, help="the IDX file of the classes (the one beside the images)")
    parser.add_argument("--epochs", type=positive, default=15, help="passes over the training set (15)")
    parser.add_argument("--batch-size", type=positive, default=64, help="images per step (64)")
    parser.add_argument("--lr", type=number(float, 1e-300, "a number > 0"), default=0.1, help="learning rate at the beginning (0.1)")
    parser.add_argument("--momentum", type=number(float, 0, "a number >= 0"), default=0.9, help="Nesterov's momentum (0.9)")
    parser.add_argument("--weight-decay", type=number(float, 0, "a number >= 0"), default=5e-4, help="(0.0005)")
    parser.add_argument("--widths", type=positive, nargs="+", default=[16, 32, 64], help="channels of the stages (16 32 64)")
    parser.add_argument("--blocks", type=positive, default=1, help="residual blocks in each stage (1)")
    parser.add_argument("--limit", type=positive, help="train on so many images only")
    parser.add_argument("--seed", type=number(int, 0, "an integer >= 0"), default=0, help="of the split, the weights and the batches (0)")
    parser.add_argument("--resume", action="store_true", help=f"go on from {CHECKPOINT} in the output folder")
    parser.add_argument("--output", type=Path, default=Path("train-cnn-output"), help="folder for the results (train-cnn-output)")
    options = parser.parse_args(arguments)
    if options.data is not None and not options.data.is_file():
        parser.error(f"there is no file {options.data}")
    if options.resume and not (options.output / CHECKPOINT).is_file():
        parser.error(f"--resume: there is no {options.output / CHECKPOINT}")
    writable_folder(parser, options.output)
    return options


class Run:
    """A training run: everything that changes in it, and what it has seen so far."""

    def __init__(self, options: argparse.Namespace, data: images.Images) -> None:
        nn.manual_seed(options.seed)
        self.options = options
        self.data = data
        kept = slice(options.limit)
        self.batches = nn.batches(
            data.train_images[kept], data.train_classes[kept], batch_size=options.batch_size, shuffle=True, seed=options.seed + 1
        )
        self.model = small_resnet(data.classes, data.train_images.shape[1], options.widths, options.blocks)
        nesterov = options.momentum > 0
        self.optimizer = optim.SGD(
            self.model.parameters(), lr=options.lr, momentum=options.momentum, nesterov=nesterov, weight_decay=options.weight_decay
        )
        self.schedule = CosineAnnealingLR(self.optimizer, options.epochs * len(self.batches))
        self.losses: list[float] = []  # of each step
        self.accuracies: list[float] = []  # in %, on the test images, after each epoch
        self.interrupted = False

    @property
    def steps(self) -> int:
        """How many steps the run has in all."""
        return self.options.epochs * len(self.batches)

    def step(self, batch: Any, classes: Any) -> float:
        """One step of training; returns the loss before it."""
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.model(batch), classes)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return float(loss.item())

    def train(self) -> None:
        """The steps that are left, until the end or an interrupt; a checkpoint after each epoch."""
        from tqdm import tqdm

        with tqdm(total=self.steps, initial=len(self.losses), desc="training", unit="step", dynamic_ncols=True) as bar:
            while len(self.losses) < self.steps:
                for batch, classes in self.batches:
                    self.losses.append(self.step(batch, classes))
                    bar.update()
                    if len(self.losses) % 10 == 0:
                        bar.set_postfix_str(f"loss {self.losses[-1]:.4f}{self._accuracy_text()}", refresh=False)
                    if self.interrupted:
                        break
                if len(self.losses) // len(self.batches) > len(self.accuracies):
                    self.accuracies.append(self.accuracy())
                self.save()
                if self.interrupted:
                    return

    def _accuracy_text(self) -> str:
        return f", accuracy {self.accuracies[-1]:.2f} %" if self.accuracies else ""

    def accuracy(self) -> float:
        """How many of the test images are told right, in %."""
        self.model.eval()
        right = 0
        with ag.no_grad():
            for batch, classes in nn.batches(self.data.test_images, self.data.test_classes, batch_size=EVALUATED):
                right += int((self.model(batch).argmax(axis=1) == classes).sum())
        self.model.train()
        return 100.0 * right / len(self.data.test_classes)

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "batches": self.batches}

    def save(self) -> None:
        """Write the checkpoint, which takes the place of the one before when it is complete."""
        history = {"losses": self.losses, "accuracies": self.accuracies, "steps": self.steps}
        nn.save_checkpoint(self.options.output / CHECKPOINT, **self._parts(), **history)

    def resume(self) -> None:
        """Go on from the checkpoint; ValueError if it is of a run of other length, which had another schedule."""
        history = nn.load_checkpoint(self.options.output / CHECKPOINT, **self._parts())
        if history["steps"] != self.steps:
            raise ValueError(f"--resume: the checkpoint is of a run of {history['steps']} steps, not {self.steps}; give the options of that run")
        self.losses, self.accuracies = list(history["losses"]), list(history["accuracies"])


def plot(losses: Sequence[float], accuracies: Sequence[float], steps_per_epoch: int, path: Path) -> None:
    """The loss of each step with its running mean, and the accuracy after each epoch, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), dpi=150, layout="constrained")
    epochs = np.arange(1, len(losses) + 1) / steps_per_epoch
    window = max(1, min(steps_per_epoch, len(losses)) // 5)
    smooth = np.convolve(losses, np.full(window, 1 / window), mode="valid")
    left.plot(epochs, losses, color="#1f77b4", alpha=0.3, linewidth=0.8, label="each step")
    left.plot(epochs[window - 1 :], smooth, color="#1f77b4", linewidth=1.8, label=f"mean of {window} steps ({smooth[-1]:.4f})")
    left.set(title="Loss", xlabel="epoch", ylabel="cross-entropy (nats per image)", yscale="log")
    if accuracies:
        right.plot(np.arange(1, len(accuracies) + 1), accuracies, color="#d95f02", marker=".", label=f"test ({accuracies[-1]:.2f} %)")
        right.legend(frameon=False)
    right.set(title="Accuracy", xlabel="epoch", ylabel="images recognised (%)")
    right.xaxis.get_major_locator().set_params(integer=True)
    left.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    pyplot.close(figure)


def run(options: argparse.Namespace) -> Run:
    """Train, and print what came of it."""
    started = time.perf_counter()
    data = images.digits(options.seed) if options.data is None else images.from_file(options.data, options.labels, options.seed)
    training = Run(options, data)
    if options.resume:
        training.resume()
    shape, parameters = data.train_images.shape[1:], sum(p.size for p in training.model.parameters())
    print(f"{training.batches.samples} images of shape {shape} to train on, {len(data.test_classes)} to test on; {parameters:,} parameters")

    def interrupt(*_: object) -> None:
        training.interrupted = True

    before = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGTERM, interrupt)
    try:
        training.train()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    if training.losses:
        with replacing(options.output / "losses.png") as path:
            plot(training.losses, training.accuracies, len(training.batches), path)
        print(f"step {len(training.losses)} of {training.steps}: loss {training.losses[-1]:.4f}{training._accuracy_text()}")
    print(f"{time.perf_counter() - started:.1f} s; written to {options.output}/: {CHECKPOINT}, losses.png")
    return training


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0, 1 if the loss is no number, 2 for bad options or data, 130 if interrupted."""
    options = parse(arguments)
    try:
        return 130 if run(options).interrupted else 0
    except ModuleNotFoundError as error:
        print(f'train_cnn: needs the package {error.name}: pip install -e ".[demo]"', file=sys.stderr)
        return 2
    except (ValueError, KeyError) as error:
        print(f"train_cnn: {error.args[0]}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"train_cnn: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
