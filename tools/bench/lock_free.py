"""Lock-free parallel descent against the synchronous one: wall time until the loss is low enough, with one BLAS thread each.

python -m tools.bench.lock_free             # about a minute
python -m tools.bench.lock_free --quick     # fewer rounds

Wall time, because that is what threads are for; so the figures mean something only while other programs leave the processors
alone. The table says how many there are and how busy they were.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from tools.bench.measure import table

EPOCHS = 40  # at most
WIDTHS = (256, 1024)
GOAL = 0.1  # the loss at which the clock stops


def seconds(width: int, threads: int) -> tuple[float, float]:
    """Seconds and epochs until the loss on all samples is below GOAL; `threads` = 0 is plain gradient descent."""
    import numpy as np
    from sklearn.datasets import load_digits

    import nn
    import optim

    images, digits = load_digits(return_X_y=True)
    x = (images / 16).astype(np.float32)
    model = nn.MLP(64, width, width, 10, generator=0)
    loader = nn.batches(x, digits, batch_size=128, shuffle=True, seed=0)

    def loss_of(module: Any, batch: Any) -> Any:
        return nn.functional.cross_entropy(module(batch[0]), batch[1])

    def make(parameters: Any) -> optim.Optimizer:
        return optim.SGD(parameters, lr=0.2)

    def plain(batches: Iterator[Any]) -> None:
        for batch in batches:
            optimizer.zero_grad()
            loss_of(model, batch).backward()
            optimizer.step()

    optimizer = make(model.parameters())
    spent = 0.0
    for epoch in range(1, EPOCHS + 1):
        started = time.perf_counter()
        if threads:
            optim.hogwild(model, loss_of, loader, make, threads)
        else:
            plain(iter(loader))
        spent += time.perf_counter() - started
        if loss_of(model, (x, digits)).item() < GOAL:
            return spent, epoch
    raise RuntimeError(f"the loss was not below {GOAL} after {EPOCHS} epochs with {threads} threads, {width} wide")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 9")
    rounds = 3 if parser.parse_args().quick else 9
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    contenders = {"plain": 0, "1 thread": 1, "2 threads": 2, "4 threads": 4}
    rows = []
    for width in WIDTHS:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
        for _ in range(rounds):
            for name, threads in contenders.items():
                found[name].append(seconds(width, threads))
        best = {name: min(found[name]) for name in contenders}
        rows.append([f"{width} wide", *(f"{best[name][0] / best['plain'][0]:.2f} ({best[name][1]} epochs)" for name in contenders)])
        print(rows[-1], file=sys.stderr)
    print(table([f"time to a loss of {GOAL}, plain = 1", *contenders], rows))
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
