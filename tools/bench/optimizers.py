"""The cost of an optimizer's step, as ratios against torch's foreach in the same process, on one core.

python -m tools.bench.optimizers             # about a minute
python -m tools.bench.optimizers --quick     # fewer rounds
python -m tools.bench.optimizers --all       # every rule that torch runs by foreach
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from tools.bench.measure import interleaved, one_core, table

SHAPES = {"20 x 500k": (20, 500_000), "200 x 1k": (200, 1_000)}
RULES: dict[str, dict[str, Any]] = {"SGD": {"lr": 1e-3, "momentum": 0.9}, "Adam": {"lr": 1e-3}}
OTHERS = ("ASGD", "Adadelta", "Adagrad", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop")
GOAL = 1.0
COLUMNS = ("autograd_core", "without the check", "goal", "torch foreach", "torch, one by one", "plain NumPy")


def contenders(rule: str, count: int, size: int) -> dict[str, Callable[[], object]]:
    """A step of each, on parameters and gradients of its own that are equal to the others'."""
    import numpy as np
    import torch

    import autograd_core as ag
    import optim

    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    starts = [random.normal(size=size).astype(np.float32) for _ in range(count)]
    gradients = [random.normal(size=size).astype(np.float32) for _ in range(count)]

    def ours(**options: Any) -> tuple[Callable[[], object], list[Any]]:
        parameters = [ag.tensor(start, requires_grad=True) for start in starts]
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = ag.tensor(g)
        return getattr(optim, rule)(parameters, **RULES.get(rule, {}), **options).step, [p.data for p in parameters]

    def torchs(foreach: bool) -> tuple[Callable[[], object], list[Any]]:
        parameters = [torch.tensor(start, requires_grad=True) for start in starts]
        for p, g in zip(parameters, gradients, strict=True):
            p.grad = torch.tensor(g)
        return getattr(torch.optim, rule)(parameters, foreach=foreach, **RULES.get(rule, {})).step, [p.detach().numpy() for p in parameters]

    plain = [start.copy() for start in starts]
    made = {
        "autograd_core": ours(),
        "without the check": ours(nonfinite="ignore"),
        "torch foreach": torchs(True),
        "torch, one by one": torchs(False),
    }
    if rule in RULES:
        made["plain NumPy"] = ({"SGD": plain_sgd, "Adam": plain_adam}[rule](plain, gradients), plain)
    for step, _ in made.values():
        for _ in range(3):
            step()
    for name, (_, parameters) in made.items():
        for p, expected in zip(parameters, made["torch, one by one"][1], strict=True):
            np.testing.assert_allclose(p, expected, rtol=1e-4, atol=1e-6, err_msg=f"{name} computes something else")
    return {name: step for name, (step, _) in made.items()}


def plain_sgd(parameters: list[Any], gradients: list[Any]) -> Callable[[], object]:
    """SGD with momentum as one writes it by hand, array by array."""
    momenta: list[Any] = [0.0] * len(parameters)
    lr, momentum = RULES["SGD"]["lr"], RULES["SGD"]["momentum"]

    def step() -> None:
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            momenta[i] = momentum * momenta[i] + g
            p -= lr * momenta[i]

    return step


def plain_adam(parameters: list[Any], gradients: list[Any]) -> Callable[[], object]:
    """Adam likewise."""
    import numpy as np

    means: list[Any] = [0.0] * len(parameters)
    squares: list[Any] = [0.0] * len(parameters)
    count = 0
    lr = RULES["Adam"]["lr"]

    def step() -> None:
        nonlocal count
        count += 1
        for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
            means[i] = 0.9 * means[i] + (1 - 0.9) * g
            squares[i] = 0.999 * squares[i] + (1 - 0.999) * g * g
            p -= lr * (means[i] / (1 - 0.9**count)) / (np.sqrt(squares[i] / (1 - 0.999**count)) + 1e-8)

    return step


def main() -> int:
    """Print the table; the exit status is 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 21")
    parser.add_argument("--all", action="store_true", help="all rules that torch runs by foreach")
    arguments = parser.parse_args()
    one_core()
    rows, missed = [], False
    for rule in [*RULES, *(OTHERS if arguments.all else ())]:
        for name, (count, size) in SHAPES.items():
            seconds = interleaved(contenders(rule, count, size), 5 if arguments.quick else 21)
            ratios = {contender: spent / seconds["torch foreach"] for contender, spent in seconds.items()}
            missed |= ratios["autograd_core"] > GOAL
            rows.append(
                [f"{rule}, {name}", *(f"{({'goal': GOAL} | ratios)[column]:.2f}" if column in {"goal", *ratios} else "-" for column in COLUMNS)]
            )
            print(f"{rule}, {name}: {ratios['autograd_core']:.2f}", file=sys.stderr)
    print(table(["one step, torch foreach = 1", *COLUMNS], rows))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
