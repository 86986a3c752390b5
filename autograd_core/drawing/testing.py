"""Help for tests: `ag.testing.assert_same_graph` compares a program with the one in a file."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from autograd_core.drawing.files import write_whole
from autograd_core.instruments.listing import Row, tape

__all__ = ["UPDATE", "assert_same_graph"]

UPDATE = "AUTOGRAD_UPDATE_GRAPHS"  # environment variable: write the files instead of comparing


def assert_same_graph(outputs: Any, path: Any, *, params: Any = None, update: bool | None = None) -> None:
    """Assert that the program of `outputs` is the one written in the text file `path`: operations, arguments, shapes, dtypes.

    outputs  a Tensor or several
    params   names for leaves, as in `ag.tape`
    update   write the file instead; by default, if the environment variable AUTOGRAD_UPDATE_GRAPHS is set to something but 0
    raises   AssertionError with the lines that differ, or if there is no file yet, saying how to write it

    >>> import numpy as np, autograd_core as ag, pathlib, tempfile
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     golden = pathlib.Path(folder) / "graph.txt"
    ...     ag.testing.assert_same_graph((x * 2).sum(), golden, params={"x": x}, update=True)
    ...     ag.testing.assert_same_graph((x * 2).sum(), golden, params={"x": x})
    ...     print(golden.read_text(), end="")
    %0 x = leaf  (2,) float64
    %1 multiply  %0, 2  (2,) float64
    %2 sum  %1  () float64
    """
    text = "".join(f"{_line(row)}\n" for row in tape(outputs, params))
    path = Path(path)
    if update is None:
        update = os.environ.get(UPDATE, "") not in ("", "0")
    if update:
        write_whole(path, text)
        return
    how = f"to write it, run the test with {UPDATE}=1, or pass update=True"
    if not path.exists():
        raise AssertionError(f"there is no graph in {path} yet; {how}")
    expected = path.read_text(encoding="utf-8")
    if text != expected:
        lines = difflib.unified_diff(expected.splitlines(), text.splitlines(), "expected", "found", lineterm="", n=1)
        raise AssertionError(f"the graph is not the one in {path} ({how}):\n" + "\n".join(lines))


def _line(row: Row) -> str:
    arguments = f"  {row.arguments_text}" if row.arguments else ""
    return f"%{row.index} {row.name + ' = ' if row.name else ''}{row.op}{arguments}  {row.shape} {row.dtype}"
