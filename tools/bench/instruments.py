"""What debugging and memory instruments cost: nothing when they are off, and how much when they are on.

python -m tools.bench.instruments             # a minute
python -m tools.bench.instruments --quick     # fewer rounds

"Off" is the same step before any instrument was imported and after all of them have been used; the two are measured in turns,
the first in a process of its own, as an import cannot be taken back.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from tools.bench.measure import interleaved, one_core, table


def step() -> Callable[[], None]:
    """A forward and a backward pass of 1000 operations on arrays of 8 numbers, where the cost per operation is all there is."""
    import numpy as np

    import autograd_core as ag

    x, w = (ag.tensor(np.linspace(start, 1.0, 8), requires_grad=True) for start in (0.1, 0.5))

    def run() -> None:
        h = x
        for _ in range(250):
            h = (h * w + x).tanh() - w
        h.sum().backward()
        x.grad = w.grad = None

    return run


def use_all() -> dict[str, Callable[[], AbstractContextManager[Any]]]:
    """Every instrument, used once; how to switch each on."""
    import numpy as np

    import autograd_core as ag

    switches: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "detect_anomaly": ag.detect_anomaly,
        "profile": ag.profile,
        "record (for pictures)": ag.record,
        "save_as(np.float16)": lambda: ag.save_as(np.float16),
        "assert_no_leak": ag.assert_no_leak,
        "a scope": lambda: ag.scope("named"),
    }
    for switch in switches.values():
        x = ag.tensor(np.ones(2), requires_grad=True)
        handles = [x.register_hook(lambda g: None), x.register_post_accumulate_grad_hook(lambda t: None)]
        with switch():
            np.tanh(x).sum().backward()
        for handle in handles:
            handle.remove()
    ag.memory(np.tanh(x).sum())
    ag.draw(np.tanh(x).sum())
    return switches


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.instruments", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)  # the measurement in a process of its own
    options = parser.parse_args(arguments)
    one_core()
    rounds = 5 if options.quick else 15
    run = step()
    if options.alone:
        print(interleaved({"alone": run}, rounds)["alone"])
        return 0
    switches = use_all()

    def inside(switch: Callable[[], AbstractContextManager[Any]]) -> Callable[[], None]:
        def within() -> None:
            with switch():
                run()

        return within

    off = []
    for _ in range(3 if options.quick else 7):
        command = [sys.executable, "-m", "tools.bench.instruments", "--alone", *(["--quick"] if options.quick else [])]
        before = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        off.append(interleaved({"after": run}, rounds)["after"] / before)
    seconds = interleaved({"off": run, **{name: inside(switch) for name, switch in switches.items()}}, rounds)
    rows = [["off, after all were used", f"{sorted(off)[len(off) // 2]:.3f} ({min(off):.3f} to {max(off):.3f})"]]
    rows += [[f"on: {name}", f"{spent / seconds['off']:.2f}"] for name, spent in seconds.items() if name != "off"]
    print("CPU time of 1000 operations, forward and backward, as a multiple of what it is without instruments\n")
    print(table(["", "ratio"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
