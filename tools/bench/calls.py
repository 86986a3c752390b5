"""What the calls cost that users write, on small arrays, beside torch in the same process: microseconds and ratios.

python -m tools.bench.calls              # about a minute
python -m tools.bench.calls --quick      # fewer rounds
python -m tools.bench.calls --data-read  # on tensors whose `.data` was read before, as loggers and hand-written loops do
python -m tools.bench.calls -k where     # calls whose text contains this

8 float64, matrices 8 x 8. Recorded calls should take at most torch's time (goal 1), forward and backward together .8 of it. Without
torch there are no ratios. Before anything is timed, values and gradients are compared with torch's: a call that gives others is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from tools.bench.measure import interleaved, one_core, table

__all__ = ["CALLS", "PASSES", "call_of", "compare", "names_of_ours", "names_of_torch"]

# As users of NumPy write it, and users of torch. The names are the same: x, y vectors; m, w matrices; c four of them; `array`, `mask`, ...
CALLS = {
    "x * y": "x * y",
    "x * 2.0": "x * 2.0",
    "2.0 * x": "2.0 * x",
    "1.0 - x": "1.0 - x",
    "x * array": "x * array",
    "array * x": "array * x",
    "x ** 2": "x ** 2",
    "-x": "-x",
    "np.tanh(x)": "torch.tanh(x)",
    "np.maximum(x, 0.0)": "torch.clamp(x, min=0.0)",
    "np.where(mask, x, y)": "torch.where(mask, x, y)",
    "np.clip(x, 0.6, 1.0)": "torch.clip(x, 0.6, 1.0)",
    "x.sum()": "x.sum()",
    "np.sum(m, axis=0)": "torch.sum(m, dim=0)",
    "np.mean(x)": "torch.mean(x)",
    "m.max(axis=1)": "m.amax(dim=1)",
    "m @ w": "m @ w",
    "m @ x": "m @ x",
    "c @ w": "c @ w",
    "np.dot(x, y)": "torch.dot(x, y)",
    "np.einsum('ij,jk->ik', m, w)": "torch.einsum('ij,jk->ik', m, w)",
    "x[1:]": "x[1:]",
    "x[rows]": "x[rows]",
    "x[mask]": "x[mask]",
    "m.reshape(4, 16)": "m.reshape(4, 16)",
    "m.T": "m.T",
    "np.concatenate([x, y])": "torch.cat([x, y])",
    "np.stack([x, y])": "torch.stack([x, y])",
    "np.linalg.norm(x)": "torch.linalg.norm(x)",
    "np.linalg.solve(m, x)": "torch.linalg.solve(m, x)",
    "F.relu(x)": "F.relu(x)",
    "F.softmax(m, 1)": "F.softmax(m, 1)",
    "F.linear(matrix, w)": "F.linear(matrix, w)",
    "F.cross_entropy(m, labels)": "F.cross_entropy(m, labels)",
}
# Forward and backward.
PASSES = {
    "np.tanh(x * y).sum().backward()": "torch.tanh(x * y).sum().backward()",
    "np.maximum(m @ w, 0.0).sum().backward()": "torch.clamp(m @ w, min=0.0).sum().backward()",
    "((x - array) ** 2).sum().backward()": "((x - array) ** 2).sum().backward()",
    "np.where(mask, x * y, 0.0).sum().backward()": "torch.where(mask, x * y, 0.0).sum().backward()",
    "np.concatenate([x[1:], y[:1]]).sum().backward()": "torch.cat([x[1:], y[:1]]).sum().backward()",
    "F.cross_entropy(F.linear(matrix, w), labels).backward()": "F.cross_entropy(F.linear(matrix, w), labels).backward()",
}
LEAVES = ("x", "y", "m", "w", "c")
GOAL, GOAL_OF_PASSES = 1.0, 0.8


def _arrays() -> dict[str, Any]:
    import numpy as np

    random = np.random.default_rng(0)
    shapes: tuple[Any, ...] = ((8,), (8,), (8, 8), (8, 8), (4, 8, 8))
    arrays: dict[str, Any] = {name: random.random(shape) + 0.5 for name, shape in zip(LEAVES, shapes, strict=True)}
    arrays["m"] += 8 * np.eye(8)
    arrays |= {"array": random.random(8), "matrix": random.random((8, 8)), "rows": np.array([0, 3, 3, 5]), "labels": np.arange(8)[::-1].copy()}
    return arrays | {"mask": arrays["array"] > 0.5}


def names_of_ours(data_read: bool = False) -> dict[str, Any]:
    """What the calls refer to, as tensors of this library and arrays."""
    import numpy as np

    import autograd_core as ag
    import nn

    arrays = _arrays()
    leaves = {name: ag.tensor(arrays[name], requires_grad=True) for name in LEAVES}
    if data_read:
        for leaf in leaves.values():
            assert leaf.data is not None
    return arrays | leaves | {"np": np, "F": nn.functional}


def names_of_torch() -> dict[str, Any]:
    """The same as torch's."""
    import torch

    torch.set_num_threads(1)
    tensors = {name: torch.tensor(array, requires_grad=name in LEAVES) for name, array in _arrays().items()}
    return tensors | {"torch": torch, "F": torch.nn.functional}


def call_of(text: str, names: dict[str, Any]) -> Callable[[], Any]:
    """A function without arguments that evaluates `text`."""
    call: Callable[[], Any] = eval(f"lambda: {text}", names)
    return call


def compare(text: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """AssertionError if the value of a call, or a gradient of the sum of its squares, is not torch's; of a backward pass its gradients."""
    import numpy as np

    results = []
    for names, written in ((ours, text), (theirs, (CALLS | PASSES)[text])):
        for name in LEAVES:
            names[name].grad = None
        value = call_of(written, names)()
        if value is not None:
            (value * value).sum().backward()
        found = [None if value is None else value.detach().numpy()]
        results.append(found + [None if names[name].grad is None else names[name].grad.detach().numpy() for name in LEAVES])
    for what, mine, other in zip(("value", *LEAVES), *results, strict=True):
        assert (mine is None) == (other is None), f"{text}: a gradient of {what} is found by one of the two only"
        assert mine is None or np.allclose(mine, other, rtol=1e-10, atol=1e-12), f"{text}: {what} is not torch's"


def rows_of(texts: list[str], rounds: int, data_read: bool) -> list[tuple[str, float, float | None]]:
    """Each call with its microseconds here and in torch, None where torch is not installed."""
    ours = names_of_ours(data_read)
    try:
        theirs = names_of_torch()
    except ImportError:
        theirs = {}
    rows: list[tuple[str, float, float | None]] = []
    for text in texts:
        steps = {"ours": call_of(text, ours)}
        if theirs:
            compare(text, ours, theirs)
            steps["torch"] = call_of((CALLS | PASSES)[text], theirs)
        spent = interleaved(steps, rounds)
        rows.append((text, 1e6 * spent["ours"], 1e6 * spent["torch"] if theirs else None))
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if there is a call that misses its goal."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.calls", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 11")
    parser.add_argument("--data-read", action="store_true", help="on tensors whose data was read before")
    parser.add_argument("-k", default="", help="only calls whose text contains this")
    options = parser.parse_args(arguments)
    one_core()
    texts = [text for text in (*CALLS, *PASSES) if options.k in text]
    lines, missed = [], 0
    for text, mine, other in rows_of(texts, 3 if options.quick else 11, options.data_read):
        goal = GOAL_OF_PASSES if text in PASSES else GOAL
        missed += other is not None and mine / other > goal
        lines.append([text, f"{mine:.2f}", "" if other is None else f"{other:.2f}", "" if other is None else f"{mine / other:.2f}", f"{goal:g}"])
    print(table(["call", "us", "torch, us", "ratio", "goal"], lines))
    print(f"{len(texts) - missed} of {len(texts)} at their goal" if lines and lines[0][2] else "torch is not installed: no ratios")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
