"""First and second derivatives of special functions at 0, 1, the ends of their domains, poles and far out.

The expected values in special_derivatives.json are [x, f'(x), f''(x)], one-sided at an end of the domain. They were computed with
mpmath 1.3 in 40 digits, by differences of the functions' definitions (series, integrals) there, not by any rule of ours.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import special

sp = pytest.importorskip("scipy.special")

TABLE: dict[str, list[list[float]]] = json.loads((Path(__file__).parent / "special_derivatives.json").read_text())


def first_and_second(f: Any, x: float) -> list[float]:
    t = ag.tensor(float(x), requires_grad=True)
    y, found = f(t), []
    for _ in range(2):
        y = ag.gradient(y, t, create_graph=True, allow_unused=True) if y is not None and y.requires_grad else None
        found.append(0.0 if y is None else y.item())
    return found


@pytest.mark.parametrize("formula", TABLE)
def test_derivatives_at_edges_and_far_out(formula: str) -> None:
    f = eval(f"lambda x: {formula}", {"sp": sp, "np": np, "special": special})
    with np.errstate(all="ignore"):
        for x, first, second in TABLE[formula]:
            # At 0 and 1 rounding of other terms remains where the derivative is 0.
            assert first_and_second(f, x) == pytest.approx([first, second], rel=2e-9, abs=1e-12 if x in (0, 1, -1) else 1e-300), f"at x = {x}"


def test_probit_hessians_are_finite_however_far_out() -> None:
    x = np.array([[1.0], [-1.0], [200.0], [-200.0], [1e8], [-1e8]])
    hessian = ag.hessian(lambda w: -np.sum(sp.log_ndtr(x @ w)))(np.ones(1))
    assert hessian.item() == pytest.approx(np.sum(x[[1, 3, 5], 0] ** 2), rel=1e-4)


def test_the_argument_at_which_a_density_begins_takes_its_limit_in_arrays_too() -> None:
    x = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(ag.grad(lambda x: np.sum(sp.gammainc(1.0, x)))(x), np.exp(-x))
    np.testing.assert_allclose(ag.grad(lambda x: np.sum(sp.betainc(1.0, 1.0, x)))(x), np.ones(3))
    np.testing.assert_allclose(ag.grad(lambda x: np.sum(sp.shichi(x)[0]))(x), [1, np.sinh(0.5) / 0.5, np.sinh(1)])
