"""A training run that is killed with SIGKILL again and again, and goes on from its checkpoint each time; in the end, all that it has
computed is compared bit by bit with a run that nobody has disturbed.

    python tests/killed_training.py --kills 50

It prints one JSON object. The run has everything that has a state: dropout, batch normalisation, an optimizer with moments, schedules of
the learning rate and of the batch size, a scheduler, an average of the weights, accumulation, clipping, loss scaling, augmentation with
random numbers of its own, early stopping with the best weights and statistics of gradients. Each run is a fork of this process, so that
only this one has to load everything.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

import nn
import optim
from nn import training


def bytes_of(value: Any) -> bytes:
    """A state as bytes: equal if and only if every bit is."""
    if isinstance(value, dict):
        return b"{" + b"".join(repr(key).encode() + bytes_of(item) for key, item in value.items()) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b"".join(map(bytes_of, value)) + b"]"
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}".encode() + value.tobytes()
    return repr(value).encode()


PRECISIONS = (None, "mixed")


def train(checkpoint: Path | None, precision: str | None, epochs: int) -> str:
    """The whole run, from the checkpoint if there is one; a digest of all that comes of it."""
    nn.manual_seed(1)
    random.seed(1)  # which a fork has seeded anew
    draw = np.random.default_rng(0)
    x = draw.normal(size=(96, 1, 2, 3)).astype(np.float32)
    y = (x[:, 0, 0, 0] * x[:, 0, 0, 1] > 0).astype(np.int64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 24, generator=2), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 2, generator=3))
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    average = optim.WeightAverage(model.parameters(), decay=0.9)
    augment = nn.data.Augment(nn.data.shift(1), nn.data.add_noise(0.1), seed=5)
    stopping, flow = training.EarlyStopping(patience=50), training.GradientFlow(every=3)
    batches = nn.batches(x[:80], y[:80], batch_size=lambda step: 8 + step // 20, shuffle=True, seed=4)
    history = nn.fit(
        model,
        batches,
        nn.CrossEntropyLoss(),
        optimizer,
        epochs=epochs,
        validation=(x[80:], y[80:]),
        metrics="accuracy",
        callbacks=[stopping, flow],
        schedules={"weight_decay": lambda step: 0.1 / (1 + step)},
        scheduler=optim.lr_scheduler.CosineAnnealingLR(optimizer, 6),
        clip=1.0,
        accumulate=3,
        precision=precision,
        average=average,
        augment=augment,
        checkpoint=checkpoint,
        checkpoint_every=None if checkpoint is None else 1,
        resume=checkpoint is not None,
        progress=False,
    )
    parts: list[Any] = [model, optimizer, average, augment, stopping, flow, batches, history, training.Generators()]
    return hashlib.sha256(b"".join(bytes_of(part.state_dict()) for part in parts)).hexdigest()


def killed_while_writing(run: Callable[[], str], write: int) -> str:
    """The run, which kills itself when its checkpoint number `write` is in the file by half."""
    sync, done = os.fsync, 0

    def half(file: Any) -> None:
        nonlocal done
        done += 1
        if done == write:
            os.truncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        sync(file)

    vars(os)["fsync"] = half
    return run()


def forked(run: Callable[[], str], result: Path, kill_after: float | None) -> bool:
    """Whether a fork of this process came to the end of `run`, the result of which is in the file then."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            result.write_text(run())
            status = 0
        except BaseException:  # noqa: BLE001 - a fork must not go on as if it were the parent
            traceback.print_exc()
        finally:
            os._exit(status)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise RuntimeError("the run has failed; see above")
    return os.WIFEXITED(status)


def has_left_a_file(checkpoint: Path) -> bool:
    """Whether a process that was killed was writing a checkpoint."""
    return any(name.startswith(f".{checkpoint.stem}-") for name in os.listdir(checkpoint.parent))


def killed_again_and_again(kills: int, epochs: int, seed: int) -> dict[str, Any]:
    """Runs, in float32 and in mixed precision by turns, each killed at random moments until it gets to its end; until there were so many kills."""
    draw = np.random.default_rng(seed)
    found: dict[str, Any] = {"kills": 0, "while writing": 0, "runs": 0, "different": 0}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result"
        expected, duration = [], 0.0
        for precision in PRECISIONS:
            forked(functools.partial(train, None, precision, epochs), result, None)
            expected.append(result.read_text())
            started = time.perf_counter()
            forked(functools.partial(train, Path(folder) / f"undisturbed-{precision}.safetensors", precision, epochs), result, None)
            duration = time.perf_counter() - started
            found["different"] += result.read_text() != expected[-1]  # a run that writes checkpoints is no other one
        while found["kills"] < kills or found["runs"] < len(PRECISIONS):
            which = found["runs"] % len(PRECISIONS)
            checkpoint = Path(folder) / f"{found['runs']}.safetensors"
            run = functools.partial(train, checkpoint, PRECISIONS[which], epochs)
            for write in (1, 3, 6):  # the first one of all, and some that have one before them
                found["kills"] += not forked(functools.partial(killed_while_writing, run, write), result, None)
                found["while writing"] += has_left_a_file(checkpoint)
            while not forked(run, result, draw.uniform(0, 0.5 * duration) if found["kills"] < kills else None):
                found["kills"] += 1
                found["while writing"] += has_left_a_file(checkpoint)
            found["runs"] += 1
            found["different"] += result.read_text() != expected[which]
        found["left over"] = [name for name in os.listdir(folder) if name.startswith(".")]
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(killed_again_and_again(options.kills, options.epochs, options.seed)))
