"""Where a rule raised: the line of the user's own file, the expression, the shapes of what stands in it, whose gradient it was.

Everything is taken out of the traceback at once, as text: frames that are kept would keep arrays.
"""

from __future__ import annotations

import ast
import dis
import functools
import linecache
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

__all__ = ["Raised", "where_raised"]

ENGINE = Path(__file__).parents[2]
NOT_THE_USERS = (os.path.dirname(np.__file__) + os.sep, str(ENGINE) + os.sep)


@dataclass(frozen=True)
class Raised:
    """Where an exception came from.

    text      for messages: "in line 7 of rules.py: g @ w, where g has shape (4, 3) and w (3, 3)"; "" if it is not known
    element   which of the gradients that the function returns was being computed, by number; -1 if it is not known
    name      the variable that it was to become; "" if there is none
    refusal   the user's own code raised it, by `raise` or `assert`
    code      of the function in which it was raised
    """

    text: str = ""
    element: int = -1
    name: str = ""
    refusal: bool = False
    code: Any = None


def where_raised(error: BaseException) -> Raised:
    """What the traceback of `error` tells."""
    traceback, found, last = error.__traceback__, None, None
    while traceback is not None:
        last = traceback
        if not traceback.tb_frame.f_code.co_filename.startswith((*NOT_THE_USERS, "<frozen", "<__array_function__")):
            found = traceback
        traceback = traceback.tb_next
    if found is None or last is None:
        return Raised()
    frame, offset = found.tb_frame, found.tb_lasti
    refusal = found is last and _is_raise(frame, offset)
    positions = list(frame.f_code.co_positions())
    line, end_line, start, end = positions[offset // 2] if offset // 2 < len(positions) else (None, None, None, None)
    line = line or found.tb_lineno
    file = frame.f_code.co_filename
    source = linecache.getline(file, line).encode()
    expression = source[start:end] if line == end_line and start is not None and end is not None else source
    text = expression.decode(errors="replace").strip()
    element, name = _purpose(file, line, start or 0)
    where = f"in line {line} of {os.path.basename(file)}" + (f": {text}" if text else "") + _shapes(text, frame)
    return Raised(where, element, name, refusal, frame.f_code)


def _is_raise(frame: FrameType, offset: int) -> bool:
    return any(i.offset == offset and i.opname == "RAISE_VARARGS" for i in dis.get_instructions(frame.f_code))


def _shapes(text: str, frame: FrameType) -> str:
    """The shapes of the arrays whose names stand in `text`."""
    shapes = []
    for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", text)):
        value: Any = frame.f_locals.get(name)
        if isinstance(getattr(value, "shape", None), tuple):
            shapes.append(f"{name} has shape {value.shape}")
    return ", where " + ", ".join(shapes) if shapes else ""


@functools.lru_cache(maxsize=8)
def _tree(file: str) -> ast.AST | None:
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return None


def _purpose(file: str, line: int, column: int) -> tuple[int, str]:
    """Which element of the returned tuple the place belongs to, or which variable is assigned there."""
    tree = _tree(file)
    if tree is None:
        return -1, ""
    functions = [f for f in ast.walk(tree) if isinstance(f, ast.Lambda | ast.FunctionDef) and _holds(f, line, column)]
    if not functions:
        return -1, ""
    function = functions[-1]  # walked from the outside: the last is the innermost
    returned = list(_returned(function))
    for value in returned:
        if isinstance(value, ast.Tuple | ast.List):
            for i, item in enumerate(value.elts):
                if _holds(item, line, column):
                    return i, ""
    for statement in ast.walk(function):
        if isinstance(statement, ast.Assign | ast.AugAssign) and _holds(statement, line, column):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            while isinstance(target, ast.Subscript):
                target = target.value
            if isinstance(target, ast.Name):
                return _place_in(returned, target.id), target.id
    return -1, ""


def _returned(function: ast.Lambda | ast.FunctionDef) -> Iterator[ast.expr]:
    if isinstance(function, ast.Lambda):
        yield function.body
    else:
        yield from (s.value for s in ast.walk(function) if isinstance(s, ast.Return) and s.value is not None)


def _place_in(returned: list[ast.expr], name: str) -> int:
    for value in returned:
        for i, item in enumerate(value.elts) if isinstance(value, ast.Tuple | ast.List) else ():
            if isinstance(item, ast.Name) and item.id == name:
                return i
    return -1


def _holds(node: ast.AST, line: int, column: int) -> bool:
    start, end = (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)), (getattr(node, "end_lineno", 0), getattr(node, "end_col_offset", 0))
    return start <= (line, column) < end
