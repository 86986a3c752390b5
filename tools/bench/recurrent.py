"""What recurrent layers cost, as ratios against careful code by hand, beside torch where it is installed.

python -m tools.bench.recurrent             # w4: the gradients of an LSTM over 50 steps
python -m tools.bench.recurrent --quick     # fewer rounds
"""

from __future__ import annotations

import argparse
import sys

from tools.bench.measure import interleaved, one_core, table

GOALS = {"nn.LSTM": 0.9, "nn.LSTMCell in a loop": 1.5}


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.recurrent", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(arguments)
    one_core()
    from tools.bench.engine_workloads import gradients_agree  # after the threads are settled: NumPy reads them when it is loaded
    from tools.bench.recurrent_workloads import lstm

    contenders = lstm()
    gradients_agree(contenders)
    seconds = interleaved(contenders, 5 if options.quick else 21)
    figures = {name: spent / seconds["limit"] for name, spent in seconds.items() if name != "limit"}
    print("CPU time of one core as a multiple of an LSTM by hand (64 to 128, 50 steps of 32 examples, float32)\n")
    rows = [[name, f"{figure:.2f}", f"≤ {GOALS[name]}" if name in GOALS else "-"] for name, figure in figures.items()]
    print(table(["w4 LSTM", "ratio", "goal"], rows))
    missed = [name for name, goal in GOALS.items() if figures[name] > goal]
    print(f"\nGoals missed: {', '.join(missed)}" if missed else "\nAll goals are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
