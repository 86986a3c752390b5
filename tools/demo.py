"""The whole library in one run: train a multi-layer perceptron on handwritten digits and show what happened.

    python -m tools.demo                    # about ten seconds; results in demo-output/
    python -m tools.demo --hidden 128 64 --optimizer sgd --lr 0.1 --epochs 40

Every forward pass is ordinary Python and is recorded as it runs; `loss.backward()` differentiates what was recorded. The run
also checks the gradient of the untrained model's loss against numeric derivatives, and draws that loss's computation graph.
Each file of the output folder is written aside and renamed, so an interrupted run leaves older files whole.
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
from nn.saving import replacing
from tools.command_line import Parser, number, writable_folder

OPTIMIZERS: dict[str, tuple[Any, float, dict[str, Any]]] = {
    "adam": (optim.Adam, 3e-3, {}),
    "sgd": (optim.SGD, 0.1, {"momentum": 0.9, "nesterov": True}),
}
WANTED = 97.0  # % of the test digits


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; prints one line and exits with status 2 for a bad value."""
    parser = Parser(prog="python -m tools.demo", description="Train an MLP on scikit-learn's handwritten digits.")
    positive = number(int, 1, "an integer >= 1")
    parser.add_argument("--epochs", type=positive, default=30, help="passes over the training set (30)")
    parser.add_argument("--hidden", type=positive, nargs="+", default=[128, 64], metavar="WIDTH", help="widths of the hidden layers (128 64)")
    parser.add_argument("--optimizer", choices=sorted(OPTIMIZERS), default="adam", help="update rule (adam)")
    parser.add_argument("--lr", type=number(float, 1e-300, "a number > 0"), help="learning rate (adam: 0.003, sgd: 0.1)")
    parser.add_argument("--batch-size", type=positive, default=32, help="samples per step (32)")
    parser.add_argument("--seed", type=number(int, 0, "an integer >= 0"), default=0, help="of the split, the weights and the batches (0)")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder for the results (demo-output)")
    options = parser.parse_args(arguments)
    writable_folder(parser, options.output)
    return options


def load_digits(seed: int) -> tuple[Any, Any, Any, Any]:
    """8x8 images as rows of 64 numbers in [0, 1], and their digits: training images, test images, training digits, test digits."""
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    images, digits = load(return_X_y=True)
    images = (images / 16).astype(np.float32)
    return tuple(train_test_split(images, digits, test_size=0.2, stratify=digits, random_state=seed))


def evaluate(model: nn.Module, images: Any, digits: Any) -> tuple[float, float]:
    """(loss, accuracy in %) without recording."""
    found = nn.training.evaluate(model, (images, digits), functional.cross_entropy, "accuracy", batch_size=len(digits))
    return found["loss"], 100.0 * found["accuracy"]


def check_gradients(model: nn.Module, images: Any, digits: Any) -> Any:
    """Compare the gradient of the loss on a few digits, by every parameter, with numeric derivatives in float64."""
    names = [name for name, _ in model.named_parameters()]

    def loss(*parameters: Any) -> Any:
        return functional.cross_entropy(nn.functional_call(model, dict(zip(names, parameters, strict=True)), images), digits)

    # vary=False: at these parameters, not at variations of them, whose many kinks of relu say nothing about this model.
    return ag.gradcheck(loss, *[parameter.data.astype(np.float64) for parameter in model.parameters()], vary=False, raise_on_failure=False)


def train(model: nn.Module, optimizer: optim.Optimizer, batches: nn.Batches, epochs: int, sets: dict[str, tuple[Any, Any]]) -> dict[str, list[Any]]:
    """Train, and return per epoch (0 is before training) the (loss, accuracy) on each set."""
    history: dict[str, list[Any]] = {name: [evaluate(model, *data)] for name, data in sets.items()}

    def note(run: Any) -> None:
        for name, data in sets.items():
            history[name].append(evaluate(model, *data))

    done = nn.fit(model, batches, functional.cross_entropy, optimizer, epochs=epochs, callbacks=note, metrics="accuracy", progress=True)
    if done.interrupted:
        raise KeyboardInterrupt
    return history


def plot(history: dict[str, list[Any]], title: str, path: Path) -> None:
    """Loss and accuracy by epoch, of the training and the test set, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    styles = {"train": {"color": "#1f77b4", "linestyle": "-"}, "test": {"color": "#d95f02", "linestyle": "--"}}
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.2), dpi=150, layout="constrained")
    for name, records in history.items():
        losses, accuracies = zip(*records, strict=True)
        left.plot(losses, label=f"{name} ({losses[-1]:.3f})", linewidth=1.8, **styles[name])
        right.plot(accuracies, label=f"{name} ({accuracies[-1]:.1f} %)", linewidth=1.8, **styles[name])
    left.set(title="Loss", xlabel="epoch", ylabel="cross-entropy (nats per digit)", yscale="log")
    right.set(title="Accuracy", xlabel="epoch", ylabel="digits recognised (%)", ylim=(min(80.0, min(a for _, a in history["test"][1:])) - 2, 100.5))
    right.axhline(WANTED, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    right.text(len(history["test"]) - 1, WANTED - 0.2, f"{WANTED:g} %", color="0.4", fontsize=8, ha="right", va="top")
    for axes in (left, right):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlim(0, len(history["test"]) - 1)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(title="after the last epoch", frameon=False)
    figure.suptitle(title)
    figure.savefig(path)
    pyplot.close(figure)


def run(options: argparse.Namespace) -> bool:
    """The demo; returns whether the wanted accuracy was reached."""
    started = time.perf_counter()
    train_images, test_images, train_digits, test_digits = load_digits(options.seed)
    random = np.random.default_rng(options.seed)
    model = nn.MLP(64, *options.hidden, 10, generator=random)
    make, usual_lr, extras = OPTIMIZERS[options.optimizer]
    lr = options.lr or usual_lr
    optimizer = make(model.parameters(), lr=lr, **extras)
    print(f"{len(train_digits)} digits to train on, {len(test_digits)} to test on; {sum(p.size for p in model.parameters())} parameters")

    few = slice(0, 8)
    report = check_gradients(model, train_images[few], train_digits[few])
    with replacing(options.output / "gradient-check.txt") as path:
        path.write_text(f"{report}\n", encoding="utf-8")
    print(f"gradient check of the untrained model: {'every derivative agrees' if report else 'FAILED, see gradient-check.txt'}")
    with ag.record(values=False):  # so that the picture knows the modules
        loss = functional.cross_entropy(model(ag.tensor(train_images[few])), train_digits[few])
    picture = ag.draw(loss, params=model)
    for suffix in ("svg", "dot"):
        with replacing(options.output / f"graph.{suffix}") as path:
            picture.save(path)

    batches = nn.batches(train_images, train_digits, batch_size=options.batch_size, shuffle=True, seed=random)
    sets = {"train": (train_images, train_digits), "test": (test_images, test_digits)}
    history = train(model, optimizer, batches, options.epochs, sets)
    widths = "-".join(map(str, (64, *options.hidden, 10)))
    with replacing(options.output / "curves.png") as path:
        plot(history, f"Handwritten digits: MLP {widths}, {make.__name__}, lr {lr:g}, batches of {options.batch_size}", path)

    (train_loss, train_accuracy), (test_loss, test_accuracy) = history["train"][-1], history["test"][-1]
    print(f"train: loss {train_loss:.4f}, accuracy {train_accuracy:.2f} %")
    print(f"test:  loss {test_loss:.4f}, accuracy {test_accuracy:.2f} %")
    print(f"{time.perf_counter() - started:.1f} s; written to {options.output}/: curves.png, graph.svg, graph.dot, gradient-check.txt")
    return bool(report)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; returns the exit status: 0, 1 for a failed gradient check, 2 for bad options, 130 if interrupted."""
    options = parse(arguments)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return 0 if run(options) else 1
    except ModuleNotFoundError as error:
        print(f'demo: needs the package {error.name}: pip install -e ".[demo]"', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\ndemo: interrupted; the files in {options.output}/ are whole, of this run or an earlier one", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
