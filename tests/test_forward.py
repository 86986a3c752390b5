"""Forward mode over the whole table of operations: it cannot disagree with the backward pass, at first and second order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_rules import FEW_ULP, differences, every_row, report, subjects

import autograd_core.forward  # noqa: F401  duals compute by it
from autograd_core.duals import Dual
from autograd_core.gradcheck.check import incoming_gradient
from autograd_core.layers import new_level
from autograd_core.recording import untracked

pytestmark = pytest.mark.filterwarnings("ignore")


def tangents_for(subject: Any, random: np.random.Generator) -> list[Any]:
    tangents = [incoming_gradient(random, a) for a in subject.arrays]
    return [(t + np.swapaxes(t, -1, -2).conj()) / 2 if i in subject.symmetric else t for i, t in enumerate(tangents)]


def dual_leaves(subject: Any, tangents: list[Any]) -> list[Any]:
    level = new_level()
    leaves = [untracked(Dual(a, t, level)) for a, t in zip(subject.arrays, tangents, strict=True)]
    for t in leaves:
        t.requires_grad = True
    return leaves


def tangent(data: Any) -> Any:
    return data.tangent if isinstance(data, Dual) else np.zeros_like(data)


@every_row
def test_forward_and_backward_mode_agree_in_the_dot_product(name: str) -> None:
    """<g, J t> = <J^T g, t>, in real numbers: of complex ones, real and imaginary parts are numbers of their own."""
    wrong = []
    for label, _, subject in subjects(name):
        random = np.random.default_rng(0)
        tangents = tangents_for(subject, random)
        with np.errstate(all="ignore"):
            outputs = [y._array if hasattr(y, "_array") else y for y in subject.call(dual_leaves(subject, tangents))]
            values = subject.value(subject.arrays)
            gs = [incoming_gradient(random, y) for y in values]
            gradients = subject.vjp(subject.arrays, gs)
        primals = [np.asarray(y.primal if isinstance(y, Dual) else y) for y in outputs]
        wrong += differences(label, ["value"] * len(values), primals, values, FEW_ULP)
        forward = [float(np.vdot(g, tangent(y)).real) for g, y in zip(gs, outputs, strict=True)]
        backward = [float(np.vdot(g, t).real) for g, t in zip(gradients, tangents, strict=True) if g is not None]
        size = sum(np.abs(np.vdot(np.abs(g), np.abs(t))) for g, t in zip(gradients, tangents, strict=True) if g is not None)
        if not abs(sum(forward) - sum(backward)) <= 1e-11 * max(float(size), 1.0):
            wrong.append(f"{label}: <g, J t> = {sum(forward)}, <J^T g, t> = {sum(backward)}")
    report(wrong)


@every_row
def test_the_derivative_of_a_gradient_in_forward_mode_is_that_of_two_backward_passes(name: str) -> None:
    """H v for the loss <g, f(x)>: a backward pass on duals, against the gradient of <v, gradient>."""
    wrong = []
    for label, _, subject in subjects(name):
        random = np.random.default_rng(0)
        tangents = tangents_for(subject, random)
        with np.errstate(all="ignore"):
            gs = [incoming_gradient(random, y) for y in subject.value(subject.arrays)]
            found = subject.gradients(dual_leaves(subject, tangents), gs)
            gradient_of = subject.derivative(gs)
            whole = [np.zeros_like(a) if t is None else t for a, t in zip(subject.arrays, tangents, strict=True)]
            expected = gradient_of.vjp([*subject.arrays, *gs], whole)
        for place, f, e, a in zip(subject.names, found, expected, subject.arrays, strict=False):
            zeros = np.zeros_like(a)
            f, e = zeros if f is None else np.asarray(tangent(f._array)), zeros if e is None else e
            if subject.symmetric:
                f, e = f + np.swapaxes(f, -1, -2).conj(), e + np.swapaxes(e, -1, -2).conj()
            # Both of them may be rounding errors of a derivative that is 0.
            if not np.allclose(f, e, rtol=1e-10, atol=1e-13 * max(1.0, float(np.abs(a).max(initial=0.0))), equal_nan=True):
                wrong.append(f"{label}: {place}: {f}, expected {e}")
    report(wrong)
