"""The peak memory of a training step, beside torch: resident memory above what was there before the first step.

python -m tools.bench.training_memory             # all workloads, a minute
python -m tools.bench.training_memory w3 gpt

Each contender runs in a process of its own, so that neither finds memory that the other has freed. What libraries load on
their first call (kernels, threads) counts, so a workload of nothing is shown as well: a product of two numbers.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.bench.measure import one_core, table

__all__ = ["main"]

WORKLOADS = {
    "nothing": "a product of two numbers",
    "w2": "MLP 784-512-512-10 and Adam, batch 128",
    "w3": "CNN, two convolutions, 32 images",
    "w4": "LSTM 64-128, 50 steps of 32",
    "w5": "transformer block, 8x64x128",
    "gpt": "GPT of tools.train_gpt, whole step",
    "resnet": "ResNet of tools.train_cnn, whole step",
}
STEPS = 3


def _product() -> dict[str, Callable[[], Any]]:
    import autograd_core as ag

    def ours() -> None:
        x = ag.tensor([1.0], requires_grad=True)
        (x * x).sum().backward()

    contenders: dict[str, Callable[[], Any]] = {"autograd_core": ours}
    if importlib.util.find_spec("torch"):
        import torch

        def theirs() -> None:
            x = torch.tensor([1.0], requires_grad=True)
            (x * x).sum().backward()

        contenders["torch"] = theirs
    return contenders


def _mlp() -> dict[str, Callable[[], Any]]:
    import numpy as np

    import nn
    import optim

    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(128, 784)).astype(np.float32), rng.integers(0, 10, 128)
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    optimizer = optim.Adam(model.parameters())

    def ours() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()

    contenders: dict[str, Callable[[], Any]] = {"autograd_core": ours}
    if importlib.util.find_spec("torch"):
        import torch

        own = torch.nn
        twin = own.Sequential(own.Linear(784, 512), own.ReLU(), own.Linear(512, 512), own.ReLU(), own.Linear(512, 10))
        adam = torch.optim.Adam(twin.parameters())
        tx, target = torch.tensor(x), torch.tensor(labels)

        def theirs() -> None:
            adam.zero_grad()
            own.functional.cross_entropy(twin(tx), target).backward()
            adam.step()

        contenders["torch"] = theirs
    return contenders


def contenders_of(workload: str) -> dict[str, Callable[[], Any]]:
    """The steps of a workload, by contender."""
    from tools.bench import convolution_workloads, recurrent_workloads, transformer_workloads

    if workload == "w4":
        steps = recurrent_workloads.lstm()
        return {name: steps[step] for name, step in (("autograd_core", "nn.LSTM"), ("torch", "torch.nn.LSTM")) if step in steps}
    return {
        "nothing": _product,
        "w2": _mlp,
        "w3": convolution_workloads.network,
        "w5": transformer_workloads.encoder_block,
        "gpt": transformer_workloads.gpt_step,
        "resnet": convolution_workloads.residual_network,
    }[workload]()


def _resident(which: str) -> int:
    """Bytes, of /proc/self/status: VmRSS now, VmHWM at most until now."""
    found = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {which}")
    return 1024 * int(found[1])


def measure_here(workload: str, contender: str) -> dict[str, int]:
    """Resident bytes at most during some steps, above what was there before; run in a process of its own."""
    step = contenders_of(workload)[contender]
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak so far
    before = _resident("VmRSS")
    for _ in range(STEPS):
        step()
    return {"bytes": _resident("VmHWM") - before}


def measured(workload: str, contender: str) -> float:
    """MiB, of a fresh process."""
    command = [sys.executable, "-m", "tools.bench.training_memory", "--here", contender, workload]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(out.splitlines()[-1])["bytes"] / 2**20)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if a step takes more than torch's."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.training_memory", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workloads", nargs="*", help=f"some of {', '.join(WORKLOADS)}; all by default")
    parser.add_argument("--here", metavar="CONTENDER", help="measure one contender in this process")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    one_core()
    if options.here:
        print(json.dumps(measure_here(options.workloads[0], options.here)))
        return 0
    rows, missed = [], []
    for name in options.workloads or WORKLOADS:
        ours = measured(name, "autograd_core")
        theirs = measured(name, "torch") if importlib.util.find_spec("torch") else None
        rows.append([f"{name} {WORKLOADS[name]}", f"{ours:.1f}", "-" if theirs is None else f"{theirs:.1f}"])
        if theirs is not None and ours > theirs:
            missed.append(name)
    print(f"Resident MiB, at most, in {STEPS} steps, above what was there before the first\n")
    print(table(["", "autograd_core", "torch"], rows))
    print(f"\nMore than torch: {', '.join(missed)}" if missed else "\nNo step takes more than torch's.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
