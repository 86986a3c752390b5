"""Measuring: interleaved rounds in one process, so that what disturbs one contender disturbs all of them alike.

Only ratios are worth printing. Times are CPU time of this process on one core; the median of the rounds is taken.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping

__all__ = ["import_seconds", "interleaved", "memory", "one_core", "table"]

Step = Callable[[], object]


def one_core() -> None:
    """Keep this process, and libraries that are loaded after, on one core."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def interleaved(steps: Mapping[str, Step], rounds: int, at_least: float = 0.01) -> dict[str, float]:
    """The median seconds of each step, taken in turns; a short step is repeated until a turn takes `at_least` seconds."""
    gc.collect()
    gc.freeze()  # what is there already (above all the peers' modules) is not looked at in anybody's collections
    repeats = dict.fromkeys(steps, 1)
    for name, step in steps.items():
        while (spent := _turn(step, repeats[name])) < at_least:
            repeats[name] = max(2 * repeats[name], int(repeats[name] * at_least / max(spent, 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(_turn(step, repeats[name]) / repeats[name])
    gc.unfreeze()
    return {name: statistics.median(spent) for name, spent in times.items()}


def _turn(step: Step, repeats: int) -> float:
    """CPU seconds of `repeats` steps."""
    gc.collect()  # the garbage of the contender before
    step()  # brings back into the caches what the collector has put out
    start = time.process_time()
    for _ in range(repeats):
        step()
    return time.process_time() - start


def memory(build: Callable[[], object]) -> tuple[int, int]:
    """Bytes that the result of `build` keeps, and the peak while it is built, as Python's allocators (NumPy's too) see them."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = build()
        now, peak = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return now, peak


def import_seconds(modules: list[str], rounds: int) -> dict[str, float]:
    """The median CPU seconds that importing each module takes in a fresh interpreter, with its bytecode cached as usual."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = "import time; start = time.process_time(); import {}; print(time.process_time() - start)"
    times: dict[str, list[float]] = {module: [] for module in modules}
    for turn in range(rounds + 1):
        for module in modules:
            out = subprocess.run([sys.executable, "-c", code.format(module)], check=True, capture_output=True, text=True, env=environment).stdout
            if turn:
                times[module].append(float(out))
    return {module: statistics.median(spent) for module, spent in times.items()}


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown that can be read as it is: the first column aligned to the left, the others to the right.

    >>> print(table(["", "a"], [["row", "1.5"]]))
    |     |   a |
    |:----|----:|
    | row | 1.5 |
    """
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    lines = []
    for row in [heads, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append(f"| {' | '.join(cells)} |")
    rule = [":" + "-" * (widths[0] + 1), *("-" * (width + 1) + ":" for width in widths[1:])]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])
