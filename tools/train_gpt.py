"""Train a small GPT on the characters of a text, and let it write.

    python -m tools.train_gpt                    # Python's language reference; some minutes, results in train-gpt-output/
    python -m tools.train_gpt input.txt          # a text of yours, such as the works of Shakespeare
    python -m tools.train_gpt --resume           # go on where a run was interrupted

The configuration is the one that nanoGPT's README gives for a CPU: 4 layers of 4 heads, 128 wide, a context of 64 characters,
batches of 12, no dropout and no bias; AdamW with a short warm-up and a cosine. At each evaluation, and when it is interrupted
(Ctrl-C), the run writes all that it needs to go on bit for bit to checkpoint.safetensors; at its end it draws losses.png and
writes sample.txt.
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
from nn.data import Characters
from nn.saving import replacing
from tools.command_line import Parser, number, writable_folder
from tools.text import pieces, read_text

CHECKPOINT = "checkpoint.safetensors"


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; prints one line and exits with status 2 for a bad value."""
    parser = Parser(prog="python -m tools.train_gpt", description="Train a small GPT on the characters of a text.")
    positive, not_negative = number(int, 1, "an integer >= 1"), number(float, 0, "a number >= 0")
    parser.add_argument("text", type=Path, nargs="?", help="a text file in UTF-8 (Python's language reference)")
    parser.add_argument("--steps", type=positive, default=2000, help="steps of training (2000)")
    parser.add_argument("--batch-size", type=positive, default=12, help="pieces of text per step (12)")
    parser.add_argument("--context", type=positive, default=64, help="characters that the model sees (64)")
    parser.add_argument("--layers", type=positive, default=4, help="(4)")
    parser.add_argument("--heads", type=positive, default=4, help="attention heads in each layer (4)")
    parser.add_argument("--width", type=positive, default=128, help="(128)")
    parser.add_argument("--dropout", type=not_negative, default=0.0, help="probability (0)")
    parser.add_argument("--bias", action="store_true", help="linear layers and normalisations with a bias")
    parser.add_argument("--lr", type=number(float, 1e-300, "a number > 0"), default=1e-3, help="highest learning rate (0.001)")
    parser.add_argument("--weight-decay", type=not_negative, default=0.1, help="of matrices (0.1)")
    parser.add_argument("--clip", type=number(float, 1e-300, "a number > 0"), default=1.0, help="largest norm of the gradient (1)")
    parser.add_argument("--evaluate-every", type=positive, default=250, metavar="STEPS", help="(250)")
    parser.add_argument("--evaluate-batches", type=positive, default=20, metavar="BATCHES", help="(20)")
    parser.add_argument("--seed", type=number(int, 0, "an integer >= 0"), default=0, help="of the weights and the batches (0)")
    parser.add_argument("--sample", type=number(int, 0, "an integer >= 0"), default=500, metavar="CHARACTERS", help="to write at the end (500)")
    parser.add_argument("--start", default="\n", metavar="TEXT", help="what the sample begins with (a new line)")
    parser.add_argument("--temperature", type=not_negative, default=0.8, help="of the sample (0.8)")
    parser.add_argument("--top-k", type=positive, default=200, help="characters among which the sample is drawn (200)")
    parser.add_argument("--resume", action="store_true", help=f"go on from {CHECKPOINT} in the output folder")
    parser.add_argument("--output", type=Path, default=Path("train-gpt-output"), help="folder for the results (train-gpt-output)")
    options = parser.parse_args(arguments)
    if options.text is not None and not options.text.is_file():
        parser.error(f"there is no file {options.text}")
    if options.width % options.heads:
        parser.error(f"--width {options.width} is no multiple of --heads {options.heads}")
    if options.dropout > 1:
        parser.error(f"--dropout {options.dropout} is no probability")
    if not options.start:
        parser.error("--start needs a character at least")
    if options.resume and not (options.output / CHECKPOINT).is_file():
        parser.error(f"--resume: there is no {options.output / CHECKPOINT}")
    writable_folder(parser, options.output)
    return options


def optimizer_of(model: nn.Module, options: argparse.Namespace) -> optim.Optimizer:
    """AdamW as nanoGPT sets it: decay of matrices only, a warm-up of 100 steps (or a tenth of them), then a cosine to a tenth."""
    matrices, others = ([p for p in model.parameters() if (p.ndim >= 2) is wanted] for wanted in (True, False))
    warmup = min(100, options.steps // 10)
    rate = optim.Warmup(optim.Cosine(options.lr, options.steps - warmup, options.lr / 10), warmup, start=1 / (warmup + 1))
    groups = [{"params": matrices, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return optim.AdamW([group for group in groups if group["params"]], lr=rate, betas=(0.9, 0.99))


class Run:
    """A training run: everything that changes in it, and what it has seen so far."""

    def __init__(self, options: argparse.Namespace, text: str) -> None:
        self.options = options
        self.characters = Characters(text)
        tokens = self.characters.encode(text)
        cut = len(tokens) * 9 // 10
        self.sets = {"train": tokens[:cut], "validation": tokens[cut:]}
        nn.manual_seed(options.seed)  # for the dropout
        self.model = nn.models.GPT(
            len(self.characters),
            options.context,
            options.layers,
            options.heads,
            options.width,
            options.dropout,
            options.bias,
            generator=options.seed,
        )
        self.parameters = list(self.model.parameters())
        self.optimizer = optimizer_of(self.model, options)
        self.random = np.random.default_rng(options.seed + 1)  # of the batches
        self.losses: list[float] = []  # of each step
        self.evaluations: list[dict[str, float]] = []  # step and mean loss on each set
        self.interrupted = False

    def batch(self) -> tuple[Any, Any]:
        """Pieces of the text to train on, and what follows each character."""
        return pieces(self.sets["train"], self.options.context, self.options.batch_size, self.random)

    def loss(self, tokens: Any, targets: Any) -> Any:
        """The mean of -log P(character that follows)."""
        return functional.cross_entropy(self.model(tokens).reshape((-1, len(self.characters))), targets.reshape(-1))

    def step(self, tokens: Any, targets: Any) -> float:
        """One step of training; returns the loss before it."""
        self.optimizer.zero_grad()
        loss = self.loss(tokens, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters, self.options.clip)
        self.optimizer.step()
        return float(loss.item())

    def evaluate(self) -> None:
        """Note the mean losses on random pieces of both sets, the same ones each time."""
        found: dict[str, float] = {"step": len(self.losses)}
        self.model.eval()
        with ag.no_grad():
            for name, tokens in self.sets.items():
                random = np.random.default_rng(self.options.seed + 2)
                batches = (pieces(tokens, self.options.context, self.options.batch_size, random) for _ in range(self.options.evaluate_batches))
                found[name] = float(np.mean([self.loss(*batch).item() for batch in batches]))
        self.model.train()
        self.evaluations.append(found)

    def train(self) -> None:
        """The steps that are left, until the end or an interrupt; evaluations and checkpoints between."""
        from tqdm import tqdm

        steps = self.options.steps
        with tqdm(total=steps, initial=len(self.losses), desc="training", unit="step", dynamic_ncols=True) as bar:
            while len(self.losses) < steps and not self.interrupted:
                if not self.evaluations:
                    self.evaluate()
                self.losses.append(self.step(*self.batch()))
                if not np.isfinite(self.losses[-1]):
                    raise FloatingPointError(f"the loss of step {len(self.losses)} is {self.losses[-1]}; try a smaller --lr")
                bar.update()
                if len(self.losses) % self.options.evaluate_every == 0 or len(self.losses) == steps:
                    self.evaluate()
                    self.save()
                if len(self.losses) % 10 == 0:
                    bar.set_postfix_str(f"loss {np.mean(self.losses[-10:]):.4f}, validation {self.evaluations[-1]['validation']:.4f}", refresh=False)
        if self.interrupted:
            self.save()

    def sample(self) -> str:
        """What the model writes after the start."""
        start, options = self.characters.encode(self.options.start)[None], self.options
        tokens = self.model.generate(start, options.sample, options.temperature, options.top_k, generator=options.seed + 3)
        return self.characters.decode(tokens[0])

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "optimizer": self.optimizer, "random": self.random, "dropout": nn.init.default_generator}

    def save(self) -> None:
        """Write the checkpoint, which takes the place of the one before when it is complete."""
        history = {"losses": self.losses, "evaluations": self.evaluations, "characters": self.characters.all, "steps": self.options.steps}
        nn.save_checkpoint(self.options.output / CHECKPOINT, **self._parts(), **history)

    def resume(self) -> None:
        """Go on from the checkpoint; ValueError if it is of a run on another text, or of another length, which had other rates."""
        path = self.options.output / CHECKPOINT
        history = nn.load_checkpoint(path)
        for name, now in (("characters", self.characters.all), ("steps", self.options.steps)):
            if history[name] != now:
                raise ValueError(f"--resume: the checkpoint is of a run with {name} {history[name]!r}, not {now!r}; give the options of that run")
        nn.load_checkpoint(path, **self._parts())
        self.losses, self.evaluations = list(history["losses"]), list(history["evaluations"])


def plot(losses: Sequence[float], evaluations: Sequence[dict[str, float]], path: Path) -> None:
    """The loss of each step, and the mean losses on both sets at the evaluations, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes.plot(np.arange(1, len(losses) + 1), losses, color="0.6", linewidth=0.6, label="each step")
    for name, color, style in (("train", "#1f77b4", "-"), ("validation", "#d95f02", "--")):
        values = [found[name] for found in evaluations]
        axes.plot([found["step"] for found in evaluations], values, style, color=color, marker=".", label=f"{name} ({values[-1]:.3f})")
    axes.set(title="Loss", xlabel="step", ylabel="cross-entropy (nats per character)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path)
    pyplot.close(figure)


def run(options: argparse.Namespace) -> Run:
    """Train, and print what came of it."""
    started = time.perf_counter()
    training = Run(options, read_text(options.text))
    training.characters.encode(options.start)  # an unknown character is said before the training, not after it
    if options.resume:
        training.resume()
    sizes = {name: f"{len(tokens):,}" for name, tokens in training.sets.items()}
    print(
        f"{sizes['train']} characters to train on, {sizes['validation']} to validate, {len(training.characters)} different ones; "
        f"{sum(p.size for p in training.parameters):,} parameters"
    )

    def interrupt(*_: object) -> None:
        training.interrupted = True

    before = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGTERM, interrupt)
    try:
        training.train()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    written = [CHECKPOINT]
    if training.losses:
        with replacing(options.output / "losses.png") as path:
            plot(training.losses, training.evaluations, path)
        last = training.evaluations[-1]
        print(f"step {len(training.losses)} of {options.steps}: train loss {last['train']:.4f}, validation loss {last['validation']:.4f}")
        written.append("losses.png")
    if options.sample and not training.interrupted:
        sample = training.sample()
        with replacing(options.output / "sample.txt") as path:
            path.write_text(sample, encoding="utf-8")
        print(f"{'-' * 40}\n{sample}\n{'-' * 40}")
        written.append("sample.txt")
    print(f"{time.perf_counter() - started:.1f} s; written to {options.output}/: {', '.join(written)}")
    return training


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status: 0, 1 if the loss is no number, 2 for bad options or text, 130 if interrupted."""
    options = parse(arguments)
    try:
        return 130 if run(options).interrupted else 0
    except ModuleNotFoundError as error:
        print(f'train_gpt: needs the package {error.name}: pip install -e ".[demo]"', file=sys.stderr)
        return 2
    except (ValueError, KeyError) as error:
        print(f"train_gpt: {error.args[0]}", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"train_gpt: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
