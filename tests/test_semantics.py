"""docs/semantics.md tells the truth: every row of its tables is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn

PAGE = (Path(__file__).parent.parent / "docs/semantics.md").read_text()


def assigned(x: Any, index: Any, y: Any) -> Any:
    t = x + 0
    t[index] = y
    return t


NAMES = {"np": np, "ag": ag, "nn": nn, "inf": np.inf, "nan": np.nan, "assigned": assigned}


def rows(third: str) -> list[tuple[str, ...]]:
    """The cells, without backticks, of all tables whose third column has this title."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        head, _, *body = [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table.splitlines()]
        if head[2].strip("| ") == third:
            found += [tuple(cell.strip("` |") for cell in line[:3]) for line in body]
    return found


def values_of(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(text, dict(NAMES), names)
    return {name: np.asarray(value) if np.asarray(value).dtype.kind == "c" else np.asarray(value, dtype=float) for name, value in names.items()}


@pytest.mark.parametrize(("result", "at", "expected"), rows("gradient"))
def test_the_gradient_is_the_documented_one(result: str, at: str, expected: str) -> None:
    tensors = {name: ag.tensor(value, requires_grad=True) for name, value in values_of(at).items()}
    with np.errstate(all="ignore"):
        if result.startswith("np.add.at("):  # it changes its first argument, and returns nothing
            changed = tensors["x"] + 0
            np.add.at(changed, [0, 0], tensors["y"])
            value = changed
        else:
            value = eval(result, {**NAMES, **tensors})
        found = ag.gradient(np.sum(value), list(tensors.values()), allow_unused=True)
    gradients = eval(expected, dict(NAMES))
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    assert len(gradients) == len(found)
    for g, right in zip(found, gradients, strict=True):
        assert g.shape == np.shape(right)
        assert np.allclose(g.data, right, rtol=1e-12, atol=1e-12, equal_nan=True), f"{result} at {at}: {g}"


@pytest.mark.parametrize(("result", "at", "expected"), rows("second derivative"))
def test_the_second_derivative_is_the_documented_one(result: str, at: str, expected: str) -> None:
    (x,) = values_of(at).values()
    found = ag.hessian(lambda x: eval(result, {**NAMES, "x": x}))(x)
    assert np.allclose(found, eval(expected, dict(NAMES)), rtol=1e-9, atol=1e-9), f"{result} at {at}: {found}"


@pytest.mark.parametrize(("code", "error", "says"), rows("says"))
def test_what_is_refused_is_refused_with_a_way_out(code: str, error: str, says: str) -> None:
    x, a = ag.tensor([1.0, 2.0, 3.0], requires_grad=True), np.ones(3)
    with pytest.raises(eval(error), match=re.escape(says)):
        exec(code, {**NAMES, "x": x, "a": a})


def test_no_row_was_missed():
    written = len(re.findall(r"^\| `", PAGE, re.MULTILINE))
    assert len(rows("gradient")) + len(rows("second derivative")) + len(rows("says")) == written > 50
