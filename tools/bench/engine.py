"""The engine's cost, as ratios against careful code without a tape, beside the peers that are installed.

python -m tools.bench.engine             # all workloads, some minutes
python -m tools.bench.engine --quick     # fewer rounds, shorter chains
python -m tools.bench.engine w0 w1       # some of them
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from tools.bench.measure import import_seconds, interleaved, memory, one_core, table

WORKLOADS = {
    "w0": "scalar network 2-16-16-1",
    "w1f": "1000 ops on 8 floats, forward",
    "w1": "1000 ops on 8 floats, with backward",
    "w6": "10^6 float64, elementwise",
    "w7": "chain of scalars",
    "w8": "Hessian-vector product, 64-64-64-1",
    "w8b": "Hessian of Rosenbrock, 50 dimensions",
    "w8j": "Jacobian, 100 x 100",
    "w9": "import, against import numpy",
}
GOALS = {"w0": 15.0, "w1f": 4.0, "w1": 3.5, "w6": 1.1, "w7": 25.0, "w8": 6.0, "w8b": 200.0, "w9": 1.2}
MEMORY_GOALS = {"w6 peak, MiB": 55.0, "w7 bytes per node": 250.0}
COLUMNS = ("autograd_core", "goal", "plain NumPy", "bare tape", "torch", "torch.func", "autograd", "mygrad")


def measured(name: str, quick: bool) -> dict[str, dict[str, float]]:
    """The rows of one workload: what is measured -> contender -> figure."""
    from tools.bench import engine_workloads as workloads  # after the threads are settled: NumPy reads them when it is loaded
    from tools.bench import second_order_workloads as second_order

    rounds = 5 if quick else 21
    if name == "w9":
        modules = ["numpy", "autograd_core", *(peer for peer in ("torch", "autograd", "mygrad") if workloads.installed(peer))]
        seconds = import_seconds(modules, min(rounds, 7))
        return {name: {module: spent / seconds["numpy"] for module, spent in seconds.items() if module != "numpy"}}
    length = 10_000 if quick else 100_000
    chains: dict[str, Callable[[], Any]] = {}
    if name == "w7":
        contenders, chains = workloads.chain_of_scalars(length)
    elif name == "w6":
        contenders = workloads.large_elementwise()
    else:
        make = {
            "w0": workloads.scalar_network,
            "w1f": workloads.small_arrays_forward,
            "w1": workloads.small_arrays,
            "w8": second_order.hessian_vector_product,
            "w8b": second_order.hessian_of_rosenbrock,
            "w8j": second_order.square_jacobian,
        }
        contenders = make[name]()
    workloads.gradients_agree(contenders)
    seconds = interleaved(contenders, min(rounds, 7) if name == "w7" else rounds)
    rows = {name: {contender: spent / seconds["limit"] for contender, spent in seconds.items() if contender != "limit"}}
    if name == "w6":
        rows["w6 peak, MiB"] = {c: memory(contenders[c])[1] / 2**20 for c in contenders if c not in ("limit", "torch")}
    if name == "w7":
        rows["w7 bytes per node"] = {contender: memory(build)[0] / length for contender, build in chains.items()}
    return rows


def shown(figure: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.engine", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workloads", nargs="*", help=f"some of {', '.join(WORKLOADS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter chains")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {unknown[0]!r}; there are {', '.join(WORKLOADS)}")
    one_core()
    rows, missed = [], []
    for name in options.workloads or WORKLOADS:
        print(f"{name}: {WORKLOADS[name]} ...", file=sys.stderr, flush=True)
        for row, figures in measured(name, options.quick).items():
            goal = GOALS.get(row, MEMORY_GOALS.get(row, float("inf")))
            if figures["autograd_core"] > goal:
                missed.append(row)
            cells = {contender: shown(figure) for contender, figure in figures.items()}
            cells["goal"] = "-" if goal == float("inf") else f"≤ {shown(goal)}"
            title = f"{row} {WORKLOADS[row]}" if row in WORKLOADS else row
            rows.append([title, *(cells.get(column, "-") for column in COLUMNS)])
    print("CPU time of one core as a multiple of careful code without a tape (memory where said)\n")
    print(table(["", *COLUMNS], rows))
    print(f"\nGoals missed: {', '.join(missed)}" if missed else "\nAll goals are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
