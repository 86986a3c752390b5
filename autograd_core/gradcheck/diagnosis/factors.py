"""Suppose that a factor is wrong: a number, n or 1/n, or a function of the argument or the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import Case, ratios, same

__all__ = ["common_factor", "constant_factor", "factor_function"]


def constant_factor(case: Case) -> tuple[float, str] | None:
    """One factor for all elements; with what it may be."""
    r = ratios(case)
    if not r.size or not np.isfinite(r).all() or not same(case.given, case.right * (factor := float(np.median(r)))) or abs(factor - 1) < 1e-5:
        return None
    return factor, f"given / expected = {factor:.6g}{_meaning(factor)}"


def _meaning(factor: float) -> str:
    known = {
        math.pi: "pi", math.pi / 180: "pi/180 (degrees)", 180 / math.pi: "180/pi (degrees)", math.log(2): "log(2)", math.log(10): "log(10)",
        math.sqrt(2): "sqrt(2)", 1 / math.sqrt(2): "1/sqrt(2)", 2 * math.pi: "2 pi", 2 / math.sqrt(math.pi): "2/sqrt(pi)",
        1 / math.log(2): "1/log(2)", 1 / math.log(10): "1/log(10)",
    }  # fmt: skip
    for value, name in known.items():
        if abs(abs(factor) / value - 1) < 1e-5:
            return f", {'-' if factor < 0 else ''}{name}"
    return ""


def common_factor(*cases: tuple[Case, float]) -> str | None:
    """A factor that is one number at each place, but another at another: the result, a norm or a sum."""
    features: dict[str, Callable[[Case], float]] = {
        "the result": lambda c: float(c.spot.y[0]) if c.spot.y.size == 1 else math.nan,
        "the sum of squares": lambda c: float((c.x**2).sum()),
        "the norm": lambda c: float(np.sqrt((c.x**2).sum())),
        "the sum": lambda c: float(c.x.sum()),
        "the sum of the absolute values": lambda c: float(np.abs(c.x).sum()),
        "the largest absolute value": lambda c: float(np.abs(c.x).max(initial=0.0)),
        "the incoming gradient": lambda c: float(c.g[0]) if c.g.size == 1 else math.nan,
    }
    for name, feature in features.items():
        for power in (1.0, -1.0, 2.0, -2.0, 0.5, -0.5):
            with np.errstate(all="ignore"):
                quotients = [factor / np.float64(feature(case)) ** power for case, factor in cases]
            if np.isfinite(quotients).all() and all(abs(q / quotients[0] - 1) < 1e-5 for q in quotients):
                times = "multiplied" if power > 0 else "divided"
                return f"it is {times} by {name}{'' if abs(power) == 1 else ' squared' if abs(power) == 2 else ', its root'}"
    return None


def factor_function(case: Case) -> str | None:
    """Given = right times a simple function of the argument, of the result or of another argument."""
    if not case.real or case.given.size < 2:
        return None
    with np.errstate(all="ignore"):
        counts = np.abs(case.right) > 1e-6 * np.max(np.abs(case.right), initial=0.0)
        if counts.sum() < 2:
            return None
        ratio = case.given / case.right
        for name, values in _features(case):
            for power, word in ((1, ""), (2, "**2"), (-1, ""), (-2, "**2"), (0.5, "**0.5"), (-0.5, "**0.5")):
                feature = values**power
                quotient = (ratio / feature)[counts]
                usual = float(np.median(quotient))
                spread = np.ptp(feature[counts])
                if (
                    np.isfinite(quotient).all()
                    and usual
                    and np.all(np.abs(quotient / usual - 1) < 1e-5)
                    and spread > 1e-4 * np.abs(feature[counts]).max()
                ):
                    times = "multiplied" if power > 0 else "divided"
                    also = "" if abs(usual - 1) < 1e-5 else f" (and by the constant {usual:.6g})"
                    return f"it is {times} by {name}{word}{also}"
    return None


def _features(case: Case) -> Iterator[tuple[str, Any]]:
    """Arrays of the argument's shape that a forgotten inner derivative may consist of."""
    arrays = [(case.name, case.x)]
    arrays += [(n, a) for k, (n, a) in enumerate(zip(case.spot.subject.names, case.spot.arrays, strict=True)) if k != case.argument]
    arrays += [("the result", r) for r in case.spot.results]
    for name, a in arrays:
        try:
            a = np.broadcast_to(a, case.shape)
        except ValueError:
            continue
        functions: dict[str, Callable[[Any], Any]] = {
            "{}": lambda v: v, "1 - {}": lambda v: 1 - v, "1 - {}**2": lambda v: 1 - v * v, "1 + {}**2": lambda v: 1 + v * v,
            "1 + {}": lambda v: 1 + v,
            "exp({})": np.exp, "cos({})": np.cos, "sin({})": np.sin, "tan({})": np.tan, "log({})": lambda v: np.log(np.abs(v)),
            "{} - 1": lambda v: v - 1, "sigmoid({})": lambda v: 1 / (1 + np.exp(-v)), "abs({})": np.abs, "sign({})": np.sign,
        }  # fmt: skip
        for text, function in functions.items():
            yield text.format(name), function(a)
    for k, g in enumerate(case.spot.gs):
        if g.shape == case.shape:
            yield ("the incoming gradient" if len(case.spot.gs) == 1 else f"the incoming gradient of result {k}"), g
