"""One table: each workload in this library and in the peers that are installed, as ratios to careful NumPy written by hand.

python -m tools.bench                                   # everything that is installed, some minutes
python -m tools.bench w1 w2b --peers torch "jax jit"    # some workloads, some peers
python -m tools.bench --json now.json --plot now.png    # keep the figures, and draw them
python -m tools.bench --compare before.json now.json    # what changed between two of them
python -m tools.bench --write docs/benchmarks.md        # the page of the documentation

All contenders of a workload run in one process, in turns, on one core; each figure is a median of at least ten rounds. Before
anything is timed the gradients are compared with one another: a contender that computes something else is an error, not a row.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.bench.measure import interleaved, one_core, table

WORKLOADS = {
    "w0": "scalar network 2-16-16-1, 642 operations",
    "w1": "1000 operations on 8 floats",
    "w2": "MLP 784-512-512-10, batch 128, whole step with Adam",
    "w2b": "MLP 64-32-10, batch 32, whole step with momentum",
    "w3": "CNN, two 3x3 convolutions, 32 images of 28x28",
    "w4": "LSTM 64-128 over 50 steps, the layer",
    "w4c": "the same, the cell in a loop",
    "w5": "Transformer block, 8 x 64 x 128, 4 heads",
    "w6": "elementwise expression of 10^6 float64",
    "w7": "chain of 10^5 scalar products",
    "w8": "Hessian-vector product, 64-64-64-1",
    "w8b": "Hessian of Rosenbrock, 50 dimensions",
    "w8j": "Jacobian, 100 x 100",
}
PEERS = ("torch", "torch, best", "jax jit", "autograd", "mygrad", "micrograd")
MODULES = {"torch": "torch", "torch, best": "torch", "jax jit": "jax", "autograd": "autograd", "mygrad": "mygrad", "micrograd": "micrograd"}
COLUMNS = ("autograd_core", *PEERS)
BEST = """\
"torch, best" is what torch offers to who looks for it: fused optimizers, `torch.func` for second order. "jax jit" is timed after it
was compiled. An empty cell: the peer has no such program, or no part of it that does not have to be written first."""


def contenders_of(name: str) -> dict[str, Callable[[], Any]]:
    """The limit first, then this library and the peers, by the names of the columns."""
    from tools.bench import (
        convolution_workloads,
        engine_workloads,
        network_workloads,
        recurrent_workloads,
        second_order_workloads,
        transformer_workloads,
    )

    if name in ("w4", "w4c"):
        made = recurrent_workloads.lstm()
        ours, torchs = ("nn.LSTM", "torch.nn.LSTM") if name == "w4" else ("nn.LSTMCell in a loop", "torch.nn.LSTMCell in a loop")
        return {column: made[key] for column, key in (("limit", "limit"), ("autograd_core", ours), ("torch", torchs)) if key in made}
    makers: dict[str, Callable[[], dict[str, Callable[[], Any]]]] = {
        "w0": engine_workloads.scalar_network,
        "w1": engine_workloads.small_arrays,
        "w2": network_workloads.large_network,
        "w2b": network_workloads.small_network,
        "w3": convolution_workloads.network,
        "w5": transformer_workloads.encoder_block,
        "w6": engine_workloads.large_elementwise,
        "w7": lambda: engine_workloads.chain_of_scalars()[0],
        "w8": second_order_workloads.hessian_vector_product,
        "w8b": second_order_workloads.hessian_of_rosenbrock,
        "w8j": second_order_workloads.square_jacobian,
    }
    made = makers[name]()
    if "torch.func" in made:
        made["torch, best"] = made.pop("torch.func")
    return {column: step for column, step in made.items() if column in ("limit", *COLUMNS)}


def measured(name: str, peers: Sequence[str], rounds: int) -> dict[str, float]:
    """Ratios to the limit of one workload; AssertionError if a contender's gradients are not those of the others."""
    from tools.bench.engine_workloads import installed
    from tools.bench.transformer_workloads import agree

    contenders = contenders_of(name)
    if "jax jit" in peers and installed("jax"):
        from tools.bench import jax_workloads

        if name in jax_workloads.STEPS:
            contenders["jax jit"] = jax_workloads.STEPS[name]()
    contenders = {key: step for key, step in contenders.items() if key in ("limit", "autograd_core", *peers)}
    agree(contenders)
    seconds = interleaved(contenders, rounds)
    return {key: spent / seconds["limit"] for key, spent in seconds.items() if key != "limit"}


def machine() -> dict[str, str]:
    """What the figures were measured with."""
    import numpy as np

    from autograd_core import __version__
    from tools.bench.engine_workloads import installed

    versions = {"autograd_core": __version__, "Python": platform.python_version(), "NumPy": np.__version__}
    for module in sorted(set(MODULES.values())):
        if installed(module):
            from importlib.metadata import version

            versions[module] = version(module)
    system = f"{platform.system()} on {platform.machine()}"
    return {"processor": _processor(), "system": system, "date": datetime.date.today().isoformat(), **versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def shown(figure: float | None) -> str:
    """Three significant digits without an exponent; nothing for what was not measured."""
    return "" if figure is None else f"{figure:.0f}" if figure >= 100 else f"{figure:.3g}"


def as_table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """Workloads down, contenders across."""
    columns = [column for column in COLUMNS if any(column in row for row in figures.values())]
    rows = [[f"{name} {WORKLOADS[name]}", *(shown(row.get(column)) for column in columns)] for name, row in figures.items()]
    return table(["CPU time / NumPy by hand", *columns], rows)


def compared(before: Path, now: Path) -> str:
    """How this library's figures changed from one file to another; the peers' tell how much the machine did."""
    first, second = (json.loads(path.read_text())["figures"] for path in (before, now))
    names = [name for name in WORKLOADS if name in first and name in second]
    columns = [column for column in COLUMNS if any(column in first[name] and column in second[name] for name in names)]
    rows = []
    for name in names:
        ratios = [second[name][column] / first[name][column] if column in first[name] and column in second[name] else None for column in columns]
        rows.append([name, shown(first[name].get("autograd_core")), shown(second[name].get("autograd_core")), *map(shown, ratios)])
    return table(["", "before", "now", *(f"{column}: now / before" for column in columns)], rows)


def plotted(figures: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """One row a workload, one dot a contender, on a logarithmic axis."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit('--plot needs matplotlib: pip install -e ".[viz]"') from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 0.9 + 0.42 * len(figures)), layout="constrained")
    names = list(figures)
    for column, marker in zip(COLUMNS, "oDdsv^x", strict=True):
        places = [(figures[name][column], -row) for row, name in enumerate(names) if column in figures[name]]
        if places:
            ours = column == "autograd_core"
            axes.plot(
                *zip(*places, strict=True), marker, label=column, markersize=9 if ours else 6, zorder=3 if ours else 2, alpha=1 if ours else 0.7
            )
    axes.axvline(1, color="0.5", linewidth=1)
    axes.set(xscale="log", xlabel="CPU time as a multiple of NumPy by hand", yticks=[-i for i in range(len(names))])
    axes.set_yticklabels([f"{name}  {WORKLOADS[name]}" for name in names])
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(COLUMNS), fontsize="small")
    figure.savefig(path, dpi=140)
    pyplot.close(figure)


def page(results: Mapping[str, Any]) -> str:
    """The page of the documentation."""
    facts = ", ".join(f"{what} {value}" for what, value in results["machine"].items() if what not in ("processor", "system", "date"))
    where = f"{results['machine']['processor']}, {results['machine']['system']}, {results['machine']['date']}"
    missing = [peer for peer in PEERS if not any(peer in row for row in results["figures"].values())]
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m tools.bench --write docs/benchmarks.md`; not by hand.",
        "",
        f"One core of: {where}. {facts}.",
        "",
        "Each figure is the CPU time of a workload as a multiple of the same computation written out in NumPy with kept buffers",
        "(1 is level with it, less is faster): forward pass and all gradients, and the update where it says whole step. All contenders",
        f"run in one process, in turns, medians of {results['rounds']} rounds; their gradients are compared before anything is timed.",
        "",
        as_table(results["figures"]),
        "",
        BEST,
    ]
    if missing:
        lines += ["", f"Not installed, so not measured: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and keep what was asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench", description=(__doc__ or "").splitlines()[0], epilog="workloads: " + ", ".join(WORKLOADS)
    )
    parser.add_argument("workloads", nargs="*", metavar="workload", help="some of them; all by default")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS), help="some of them; all that are installed by default")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each contender (11)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, help="draw the figures here: .png, .svg or .pdf")
    parser.add_argument("--write", type=Path, help="write the page of the documentation here")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("BEFORE", "NOW"), help="compare two files of --json; nothing is measured")
    options = parser.parse_args(arguments)
    if options.compare:
        print(compared(*options.compare))
        return 0
    if unknown := [name for name in options.workloads if name not in WORKLOADS]:
        parser.error(f"unknown workloads {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds} must be at least 1")
    one_core()
    from tools.bench.engine_workloads import installed  # after the threads are settled: NumPy reads them when it is loaded

    for peer in options.peers:
        if not installed(MODULES[peer]):
            print(f"{peer}: skipped, {MODULES[peer]} is not installed", file=sys.stderr)
    if installed("torch") and {"torch", "torch, best"} & {*options.peers}:
        import torch

        torch.set_num_threads(1)
    figures: dict[str, dict[str, float]] = {}
    names = options.workloads or list(WORKLOADS)
    for number, name in enumerate(names, 1):
        print(f"[{number}/{len(names)}] {name} {WORKLOADS[name]}", file=sys.stderr, flush=True)
        figures[name] = measured(name, options.peers, options.rounds)
    print(as_table(figures))
    results = {"machine": machine(), "rounds": options.rounds, "figures": figures}
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    if options.plot:
        plotted(figures, options.plot)
    if options.write:
        options.write.write_text(page(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
