"""Draw the program of a function: `python -m tools.draw module:function --out graph.html`.

    python -m tools.draw mypackage.model:loss --out loss.html --heat gradient
    python -m tools.draw train:step --text --depth 2

The function is called without arguments, under a recording, and returns a Tensor (or several), or a pair (outputs, params) with
names for the leaves: a dict or a module. If it raises, the program is drawn as far as it ran, with the failing operation marked,
and the command ends with status 1.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import autograd_core as ag
from autograd_core.drawing.heat import HEATS

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        fail(message)


def fail(message: str) -> NoReturn:
    """One line, and status 2."""
    print(f"draw: {message}", file=sys.stderr)
    sys.exit(2)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options; prints one line and exits with status 2 for a bad value."""
    parser = _Parser(prog="python -m tools.draw", description="Draw the program that a function computes.")
    parser.add_argument("function", metavar="module:function", help="called without arguments; returns outputs, or (outputs, params)")
    parser.add_argument(
        "--out", default="graph.html", help="file to write; its suffix tells the format: html, svg, png, pdf, dot, json, txt (graph.html)"
    )
    parser.add_argument("--text", action="store_true", help="print the tree to the terminal instead of writing a file")
    parser.add_argument("--depth", type=int, help="levels of modules to open (as many as fit)")
    parser.add_argument("--expand", help='also open modules of this dotted name, such as "encoder.*"')
    parser.add_argument("--heat", choices=list(HEATS), help="colour boxes by this")
    parser.add_argument("--direction", choices=["down", "right"], default="down", help="where the program flows to (down)")
    parser.add_argument("--backward", action="store_true", help="show the backward pass")
    parser.add_argument("--no-fold", dest="fold", action="store_false", help="show equal steps one by one")
    return parser.parse_args(arguments)


def function_of(name: str) -> Callable[[], Any]:
    """The function that `module:function` names; exits with one line if there is none."""
    module_name, colon, function_name = name.partition(":")
    if not colon or not module_name or not function_name:
        fail(f"{name!r} must be module:function, such as mypackage.model:loss")
    sys.path.insert(0, "")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        fail(f"there is no module {module_name!r} here or on PYTHONPATH")
    function = getattr(module, function_name, None)
    if not callable(function):
        fail(f"module {module_name!r} has no function {function_name!r}")
    return function


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the function, draw what it computed, and return the exit status."""
    options = parse(arguments)
    function = function_of(options.function)
    shown = {"fold": options.fold, "depth": options.depth, "expand": options.expand}
    shown |= {"heat": options.heat, "direction": options.direction, "backward": options.backward}
    status = 0
    try:
        with ag.record() as recording:
            result = function()
    except Exception as error:  # noqa: BLE001  whatever the user's function raises, what it did is drawn
        print(f"draw: {options.function} raised {type(error).__name__}: {error}", file=sys.stderr)
        result, status = None, 1
    try:
        drawing = recording.draw(**shown | {"heat": None}) if status else _drawing(result, shown)
        if options.text:
            print(drawing)
        else:
            drawing.save(options.out)
            print(f"{options.out}: {drawing.document.operations} operations")
    except (ValueError, TypeError, OSError, RuntimeError, ImportError) as error:
        fail(str(error))
    return status


def _drawing(result: Any, shown: dict[str, Any]) -> Any:
    params = None
    if isinstance(result, tuple) and len(result) == 2 and (isinstance(result[1], dict) or hasattr(result[1], "named_parameters")):
        result, params = result
    return ag.draw(result, params=params, **shown)


if __name__ == "__main__":
    sys.exit(main())
