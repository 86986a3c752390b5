"""How well gradient checkers tell wrong operations from correct but tricky ones: ours beside those of other libraries.

python -m tools.bench.gradcheck                     # about a quarter of an hour
python -m tools.bench.gradcheck --seeds 2 --names   # faster; names every miss and every false alarm
python -m tools.bench.gradcheck --collection mine   # a module with ALL_WRONG and ALL_RIGHT, as tests/gradcheck_collection has them

Every checker gets the same hand-written pairs (forward, backward) of plain NumPy functions and the same natural inputs, with
its default settings. The exit status is 1 if ours misses a goal.
"""

from __future__ import annotations

import argparse
import importlib
import re
import statistics
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tools.bench.gradcheck_peers import Checker, peers
from tools.bench.measure import one_core, table

GOAL_ARGUMENT, GOAL_CAUSE = 0.95, 0.90
GOAL_MEDIAN, GOAL_MOST, GOAL_LARGE = 0.1, 1.0, 5.0  # seconds


@dataclass
class Score:
    """What a checker made of the collection; counts of pairs times seeds."""

    wrong: int = 0
    caught: int = 0
    right: int = 0
    alarms: int = 0
    arguments: int = 0
    causes: int = 0
    seconds: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def put_to_ours(wrong: Sequence[Any], right: Sequence[Any], seeds: range) -> Score:
    """Our checker, with what it says of arguments and causes."""
    import autograd_core as ag

    score = Score()
    for entry, is_wrong, seed in _all(wrong, right, seeds):
        inputs = entry.inputs(np.random.default_rng(seed))
        started = time.process_time()
        report = ag.gradcheck((entry.forward, entry.backward), *inputs, seed=seed, raise_on_failure=False)
        score.seconds.append(time.process_time() - started)
        _count(score, entry, is_wrong, bool(report), seed)
        if is_wrong and not report:
            first = report.findings[0]
            named, told = first.argument in entry.arguments, _is_told(first, entry)
            score.arguments += named
            score.causes += told
            if not (named and told):
                score.names.append(f"{entry.name!r}, seed {seed}: found {first.argument!r}, {first.cause!r}, not {entry.arguments}, {entry.causes}")
    return score


def _is_told(finding: Any, entry: Any) -> bool:
    """Whether the cause is one of the entry's, or is told in words that a reader would accept."""
    words = getattr(entry, "words", "")
    text = f"{finding.title}; {finding.evidence}" + (f"; {finding.message}" if finding.given is None else "")
    return re.search(words, text) is not None if words else finding.cause in entry.causes


def put_to(checker: Checker, wrong: Sequence[Any], right: Sequence[Any], seeds: range) -> Score:
    """Another library's checker: does it accept?"""
    from autograd_core.gradcheck.check.pairs import pair

    score = Score()
    for entry, is_wrong, seed in _all(wrong, right, seeds):
        np.random.seed(seed)  # of which HIPS check_grads takes its directions
        started = time.process_time()
        try:
            subject: Any = pair(entry.forward, entry.backward, entry.inputs(np.random.default_rng(seed)), {})
            subject.results = subject.value([a.copy() for a in subject.arrays])
            accepted = checker(subject)
        except Exception:  # noqa: BLE001  what a user would see as a failed check
            accepted = False
        score.seconds.append(time.process_time() - started)
        _count(score, entry, is_wrong, accepted, seed)
    return score


def _all(wrong: Sequence[Any], right: Sequence[Any], seeds: range) -> list[tuple[Any, bool, int]]:
    return [(entry, is_wrong, seed) for entries, is_wrong in ((wrong, True), (right, False)) for entry in entries for seed in seeds]


def _count(score: Score, entry: Any, is_wrong: bool, accepted: bool, seed: int) -> None:
    if is_wrong:
        score.wrong += 1
        score.caught += not accepted
    else:
        score.right += 1
        score.alarms += not accepted
    if accepted == is_wrong:
        score.names.append(f"{entry.name!r}, seed {seed}: {'missed' if is_wrong else 'false alarm'}")


def row_of(name: str, score: Score, seeds: int) -> list[str]:
    """A row of the table: counts are means over the seeds."""

    def mean(count: int, of: int) -> str:
        return f"{count / seeds:.4g} / {of // seeds}"

    told = [f"{count / max(score.caught, 1):.1%}" for count in (score.arguments, score.causes)] if score.arguments else ["-", "-"]
    times = [f"{1000 * value:.3g}" for value in (statistics.median(score.seconds), max(score.seconds))]
    return [name, mean(score.caught, score.wrong), mean(score.alarms, score.right), *told, *times]


# --- times -----------------------------------------------------------------------------------------------------------------


def small_times() -> dict[str, float]:
    """CPU seconds of checks of operations on 12 elements, at order 2."""
    import autograd_core as ag

    random = np.random.default_rng(0)
    x, y, square = random.normal(size=(3, 4)), random.normal(size=(3, 4)), random.normal(size=(3, 3)) + 3 * np.eye(3)
    calls: dict[str, tuple[Any, ...]] = {
        "sin": (np.sin, x), "exp": (np.exp, x), "tanh": (np.tanh, x), "abs": (np.abs, x), "sqrt": (np.sqrt, x**2 + 0.1), "log": (np.log, x**2 + 0.1),
        "add": (np.add, x[:2, :3], y[:2, :3]), "multiply": (np.multiply, x[:2, :3], y[:2, :3]), "power": (np.power, x[:2, :3] ** 2 + 0.1, y[:2, :3]),
        "maximum": (np.maximum, x[:2, :3], y[:2, :3]), "sum": (np.sum, x), "mean": (np.mean, x), "max": (np.max, x), "var": (np.var, x),
        "prod": (np.prod, x),
        "cumsum": (np.cumsum, x), "sort": (np.sort, x), "transpose": (np.transpose, x), "reshape": (np.reshape, x, (4, 3)), "diff": (np.diff, x),
        "matmul": (np.matmul, x[:2, :3], y[:, :2]), "inv": (np.linalg.inv, square), "det": (np.linalg.det, square), "norm": (np.linalg.norm, x),
        "rfft": (np.fft.rfft, x), "a function": (lambda a: np.tanh(a @ a.T).sum(), x),
    }  # fmt: skip
    return {name: _seconds(lambda call=call: ag.gradcheck(*call, order=2, raise_on_failure=False)) for name, call in calls.items()}


def large_times() -> dict[str, float]:
    """CPU seconds of checks on 10^6 elements, at order 2."""
    import autograd_core as ag

    random = np.random.default_rng(0)
    x = random.normal(size=(1000, 1000))
    calls: dict[str, tuple[Any, ...]] = {
        "sin": (np.sin, x), "multiply": (np.multiply, x[:500], x[500:]), "sum": (np.sum, x), "matmul": (np.matmul, x[:500], x[:, :500]),
        "sort": (np.sort, x), "a wrong pair": ((np.tanh, lambda g, x: g * (1 - np.tanh(x))), x),
    }  # fmt: skip
    return {name: _seconds(lambda call=call: ag.gradcheck(*call, order=2, raise_on_failure=False)) for name, call in calls.items()}


def _seconds(step: Any) -> float:
    step()  # what is loaded on demand is loaded now
    started = time.process_time()
    step()
    return time.process_time() - started


def main() -> int:
    """Print the tables; the exit status is 1 if ours misses a goal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds of the inputs and of the checkers (default: 20)")
    parser.add_argument("--collection", default="gradcheck_collection", help="a module with ALL_WRONG and ALL_RIGHT")
    parser.add_argument("--names", action="store_true", help="name what each checker misses or is alarmed by, and what ours names otherwise")
    parser.add_argument("--no-peers", action="store_true", help="ours alone")
    options = parser.parse_args()
    one_core()
    warnings.simplefilter("ignore")
    sys.path[:0] = [str(Path(__file__).parents[2] / "tests"), "."]
    collection = importlib.import_module(options.collection)
    wrong, right, seeds = collection.ALL_WRONG, collection.ALL_RIGHT, range(options.seeds)
    with np.errstate(all="ignore"):
        scores = {"autograd_core": put_to_ours(wrong, right, seeds)}
        for name, checker in ({} if options.no_peers else peers()).items():
            print(f"{name} ...", file=sys.stderr)
            scores[name] = put_to(checker, wrong, right, seeds)
    heads = [f"mean of {options.seeds} seeds", "wrong ones caught", "false alarms", "argument named", "cause named", "median ms", "most ms"]
    print(table(heads, [row_of(name, score, options.seeds) for name, score in scores.items()]))
    for name, score in scores.items():
        for line in score.names if options.names or name == "autograd_core" else []:
            print(f"{name}: {line}")
    small, large = small_times(), large_times()
    slowest, largest = max(small, key=small.__getitem__), max(large, key=large.__getitem__)
    median = statistics.median(small.values())
    print(f"operations on 12 elements at order 2: median {median:.3f} s, most {small[slowest]:.3f} s ({slowest})")
    print(f"operations on 10^6 elements at order 2: most {large[largest]:.2f} s ({largest})")
    ours = scores["autograd_core"]
    told = ours.arguments >= GOAL_ARGUMENT * ours.caught and ours.causes >= GOAL_CAUSE * ours.caught
    fast = median <= GOAL_MEDIAN and small[slowest] <= GOAL_MOST and max(ours.seconds) <= GOAL_MOST and large[largest] <= GOAL_LARGE
    return int(ours.caught < ours.wrong or ours.alarms > 0 or not told or not fast)


if __name__ == "__main__":
    sys.exit(main())
