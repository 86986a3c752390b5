"""What the programs' command lines share: errors of one line, and numbers within bounds."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any, NoReturn

from nn.saving import replacing

__all__ = ["Parser", "number", "writable_folder"]


class Parser(argparse.ArgumentParser):
    """Prints one line for a bad option, without the usage, and exits with status 2."""

    def error(self, message: str) -> NoReturn:
        print(f"{(self.prog or '').rpartition('.')[2]}: {message}", file=sys.stderr)
        sys.exit(2)


def number(kind: type, low: float, what: str) -> Any:
    """A type of argument: a number >= low, which errors call `what`."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not {what}")
        return value

    return parse


def writable_folder(parser: Parser, path: Path) -> None:
    """Make the folder, and try to write into it; the parser's error if that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with replacing(path / "probe.txt") as temporary:
            temporary.touch()
        (path / "probe.txt").unlink()
    except OSError as error:
        parser.error(f"cannot write to --output {path}: {error.strerror}")
