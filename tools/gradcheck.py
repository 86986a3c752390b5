"""Check the gradient of an operation from the command line.

    python -m tools.gradcheck package.module:function [--shape 3,4 --shape 4 ...]
    python -m tools.gradcheck package.module:forward,backward --shape 5
    python -m tools.gradcheck np.linalg.inv --shape 3,3 --json report.json --plot errors.svg

The exit status is 1 if a gradient is wrong, 2 if the check could not be made.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["main", "resolve"]


def resolve(text: str) -> Any:
    """The object named by "package.module:name" or "np.name"; two names with a comma between them are a pair.

    raises : ValueError saying what is not found
    """
    if ":" not in text:
        module, _, names = text.rpartition(".")
    else:
        module, _, names = text.partition(":")
    module = {"np": "numpy", "ag": "autograd_core"}.get(module, module.replace("np.", "numpy.", 1) if module.startswith("np.") else module)
    if not module or not names:
        raise ValueError(f"{text!r} is not of the form package.module:function")
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"no module {module!r} ({error})") from None
    finally:
        sys.path.pop(0)
    objects = []
    for name in names.split(","):
        value = found
        for part in name.strip().split("."):
            if not hasattr(value, part):
                raise ValueError(f"module {module!r} has no {name.strip()!r}")
            value = getattr(value, part)
        objects.append(value)
    if len(objects) > 2 or not all(map(callable, objects)):
        raise ValueError(f"{text!r} names no function and no pair (forward, backward)")
    return objects[0] if len(objects) == 1 else tuple(objects)


def shape_of(text: str) -> tuple[int, ...]:
    """A shape from "3,4"; "" or "()" is a number."""
    try:
        shape = tuple(int(n) for n in text.strip("() ").split(",") if n.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no shape; write 3,4") from None
    if any(n < 0 for n in shape):
        raise argparse.ArgumentTypeError(f"{text!r} is no shape: sizes are not negative")
    return shape


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m tools.gradcheck", description="Check the gradient of an operation.")
    result.add_argument("function", help="package.module:function, package.module:forward,backward, or np.name")
    text = "shape of an argument, in order; without: the checker's own"
    result.add_argument("--shape", action="append", type=shape_of, default=[], metavar="3,4", help=text)
    result.add_argument("--low", type=float, default=-2.0, help="least value of the arguments (default: -2)")
    result.add_argument("--high", type=float, default=2.0, help="largest value of the arguments (default: 2)")
    result.add_argument("--dtype", default="float64", choices=["float32", "float64", "complex64", "complex128"])
    result.add_argument("--order", type=int, default=2, choices=[1, 2, 3])
    result.add_argument("--seed", type=int, default=0)
    result.add_argument("--budget", type=float, default=30.0, metavar="SECONDS", help="time after which no further variation is begun")
    result.add_argument("--only-given", action="store_true", help="no variations of the checker's own")
    result.add_argument("--json", type=Path, metavar="FILE", help="write the report as JSON")
    result.add_argument("--plot", type=Path, metavar="FILE", help="write heat maps of the errors (.svg or .png)")
    return result


def arguments(options: argparse.Namespace) -> list[Any]:
    """Arrays of the shapes asked for."""
    random = np.random.default_rng(options.seed)
    arrays = []
    for shape in options.shape:
        array = random.uniform(options.low, options.high, shape)
        if options.dtype.startswith("complex"):
            array = array + 1j * random.uniform(options.low, options.high, shape)
        arrays.append(np.asarray(array).astype(options.dtype))
    return arrays


def main(command_line: Sequence[str] | None = None) -> int:
    """Run a check; the exit status."""
    options = parser().parse_args(command_line)
    try:
        if options.plot is not None and options.plot.suffix not in (".svg", ".png"):
            raise ValueError(f"--plot {options.plot}: write to a file that ends with .svg or .png")
        report = ag.gradcheck(
            resolve(options.function), *arguments(options), order=options.order, seed=options.seed, budget=options.budget,
            vary=not options.only_given, raise_on_failure=False,
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  one line for whatever is wrong with what was asked for
        print(f"gradcheck: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(report.text(color=sys.stdout.isatty()))
    if options.json is not None:
        options.json.write_text(report.to_json() + "\n", encoding="utf-8")
    if options.plot is not None:
        report.plot(options.plot)
    return 0 if report else 1


if __name__ == "__main__":
    sys.exit(main())
