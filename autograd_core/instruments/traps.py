"""Known traps: why an operation makes a NaN or an infinity, and what to write instead.

Each entry looks at the values at one element and, if it knows them, gives the cause and the mend as two sentences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Trap", "backward_trap", "forward_trap"]

Values = Mapping[str, Any]


class Trap(NamedTuple):
    """cause : why it happens here;  mend : what to write instead."""

    cause: str
    mend: str


INSIDE = (
    "where a mask decides, choose inside as well: np.where(m, {0}(np.where(m, x, 1)), 0) (np.where alone gives right gradients here; "
    "ag.detect_anomaly(forward=False) then lets the value pass)"
)


def _root(at: Values) -> Trap | None:
    if at["x"] < 0:
        return Trap("the square root of a negative number is nan", f"np.sqrt(np.maximum(x, 0)), or, {INSIDE.format('np.sqrt')}")
    return None


def _logarithm(at: Values) -> Trap | None:
    if at["x"] == 0:
        return Trap(
            "the logarithm of 0 is -inf",
            "keep x away from 0: np.log(np.maximum(x, 1e-12)); of probabilities take log_softmax of the scores; for x * log(x) use "
            f"scipy.special.xlogy; {INSIDE.format('np.log')}",
        )
    return Trap("the logarithm of a negative number is nan", f"np.log(np.abs(x)), or, {INSIDE.format('np.log')}") if at["x"] < 0 else None


def _logarithm_of_one_more(at: Values) -> Trap | None:
    return Trap("log1p needs x > -1", "np.log1p(np.maximum(x, -1 + 1e-12))") if at["x"] <= -1 else None


def _exponential(at: Values) -> Trap | None:
    x = at["x"]
    if math.isfinite(x) and x > 0:
        return Trap(
            f"overflow: the exponential of {x:.6g} is larger than the dtype's largest number",
            "subtract the largest element first, or use what does so: ag.special.logsumexp and softmax, np.logaddexp(0, x) for "
            "log(1 + exp(x)), scipy.special.expit(x) for 1 / (1 + exp(-x))",
        )
    return None


def _quotient(at: Values) -> Trap | None:
    x1, x2 = at.get("x1", 1.0), at["x2"] if "x2" in at else at["x"]
    if x2 == 0:
        return Trap(
            "division 0 / 0 is nan" if x1 == 0 else "division by 0",
            "add a small number to the denominator, or choose it: x1 / np.where(x2 == 0, 1, x2)",
        )
    if np.isinf(x1) and np.isinf(x2):
        return Trap("inf / inf is nan", "take logarithms and subtract; ag.special.softmax and logsumexp do so")
    return None


def _product(at: Values) -> Trap | None:
    if any(v == 0 for v in at.values()) and any(np.isinf(v) for v in at.values()):
        return Trap("0 * inf is nan", "choose instead of multiplying by a mask: np.where(mask, x, 0)")
    return None


def _difference(at: Values) -> Trap | None:
    if all(np.isinf(v) for v in at.values()):
        return Trap(
            "inf - inf is nan, as when the maximum of a row that is all -inf is subtracted from the row",
            "leave one element of each row unmasked, or mask with a large finite number (-1e30) instead of -inf",
        )
    return None


def _power(at: Values) -> Trap | None:
    base, exponent = at["x1"], at["x2"]
    if base < 0 and exponent != round(exponent):
        return Trap("a negative number to a power that is no integer is nan", "np.abs(x) ** p, or np.cbrt(x) for a cube root")
    if base == 0 and exponent < 0:
        return Trap("0 to a negative power is a division by 0", "np.where(x == 0, 1, x) ** p, inside of np.where(x == 0, 0, ...)")
    return None


def _within_one(at: Values) -> Trap | None:
    if abs(at["x"]) >= 1:
        return Trap("the argument has to be between -1 and 1", "np.clip(x, -1 + 1e-7, 1 - 1e-7); rounding easily brings a cosine beyond 1")
    return None


_FORWARD: dict[str, Callable[[Values], Trap | None]] = {
    "sqrt": _root,
    "log": _logarithm,
    "log2": _logarithm,
    "log10": _logarithm,
    "log1p": _logarithm_of_one_more,
    "exp": _exponential,
    "exp2": _exponential,
    "expm1": _exponential,
    "sinh": _exponential,
    "cosh": _exponential,
    "divide": _quotient,
    "reciprocal": _quotient,
    "multiply": _product,
    "subtract": _difference,
    "add": _difference,
    "power": _power,
    "float_power": _power,
    "arcsin": _within_one,
    "arccos": _within_one,
    "arctanh": _within_one,
}


def forward_trap(name: str, at: Values, arrays: Values, axis: Any, offending: Any) -> Trap | None:
    """Why the result has the `offending` element.

    at      the arguments' values at that element, by name, if the operation is elementwise; else empty
    arrays  the arguments as they are;  axis  the operation's, if it has one
    """
    if "softmax" in name or "sumexp" in name:
        return _row(arrays, axis)
    trap = _FORWARD[name](at) if name in _FORWARD and at and not any(isinstance(v, complex | np.complexfloating) for v in at.values()) else None
    if trap is None and np.isinf(offending):
        return Trap("overflow: the result is larger than the dtype's largest number", "scale the inputs, or compute in a wider dtype")
    return trap


def _row(arrays: Values, axis: Any) -> Trap | None:
    scores = next((a for a in arrays.values() if isinstance(a, np.ndarray)), None)
    if scores is None or not scores.size or not np.isneginf(scores).all(axis=axis).any():
        return None
    where = np.argwhere(np.atleast_1d(np.isneginf(scores).all(axis=axis)))[0].tolist()
    return Trap(
        f"all elements of row {where} (along axis {axis}) are -inf: the mask leaves nothing to choose from",
        "leave one element of each row unmasked, or mask with a large finite number (-1e30) and drop such rows afterwards with np.where",
    )


# --- the backward pass ---------------------------------------------------------------------------------------------------------

# operation -> (whether its slope is infinite there, where that is, what to write instead)
_STEEP: dict[str, tuple[Callable[[Values], bool], str, str]] = {
    "sqrt": (lambda at: at["out"] == 0, "the square root at 0", "np.sqrt(x + 1e-12); for a length, np.linalg.norm(x), whose gradient at 0 is 0"),
    "cbrt": (lambda at: at["out"] == 0, "the cube root at 0", "keep x away from 0"),
    "log": (lambda at: at["x"] == 0, "the logarithm at 0", "np.log(np.maximum(x, 1e-12)), scipy.special.xlogy, or log_softmax"),
    "log2": (lambda at: at["x"] == 0, "the logarithm at 0", "np.log2(np.maximum(x, 1e-12))"),
    "log10": (lambda at: at["x"] == 0, "the logarithm at 0", "np.log10(np.maximum(x, 1e-12))"),
    "divide": (lambda at: at["x2"] == 0, "a quotient at denominator 0", "x1 / np.where(x2 == 0, 1, x2)"),
    "reciprocal": (lambda at: at.get("x", at.get("out")) in (0, np.inf, -np.inf), "1 / x at 0", "1 / np.where(x == 0, 1, x)"),
    "power": (lambda at: at["x1"] == 0, "this power at 0", "(x + 1e-12) ** p, or np.where(x == 0, 1, x) ** p inside of np.where(x == 0, 0, ...)"),
    "arcsin": (lambda at: abs(at["x"]) == 1, "arcsin at -1 and 1", "np.clip(x, -1 + 1e-7, 1 - 1e-7)"),
    "arccos": (lambda at: abs(at["x"]) == 1, "arccos at -1 and 1", "np.clip(x, -1 + 1e-7, 1 - 1e-7)"),
    "arctanh": (lambda at: abs(at["x"]) == 1, "arctanh at -1 and 1", "np.clip(x, -1 + 1e-7, 1 - 1e-7)"),
    "arccosh": (lambda at: at["x"] == 1, "arccosh at 1", "np.maximum(x, 1 + 1e-7)"),
}
_DEGENERATE = {"eigh", "eig", "svd", "eigvals"}


def backward_trap(name: str, at: Values, g: Any) -> Trap | None:
    """Why the gradient `g`, which is finite, became nan or infinite in this operation's rule; `at` has the saved values there."""
    steep = _steep(name, at)
    if steep is not None:
        where, mend = steep
        if g == 0:
            return Trap(
                f"the slope of {where} is infinite, and the gradient that arrives is 0: 0 * inf is nan. Mostly a mask is the reason, "
                "multiplied in: mask * f(x) computes f where it is not wanted",
                "np.where(mask, f(x), 0) instead of mask * f(x): zeros that np.where sends back stay zeros here; in other libraries "
                f"choose inside too, np.where(mask, f(np.where(mask, x, 1)), 0). Or {mend}",
            )
        return Trap(f"the slope of {where} is infinite", mend)
    if name in _DEGENERATE:
        return Trap(
            "the derivative divides by differences of eigenvalues (or singular values), and two of them are equal",
            "use a function of the eigenvalues alone (eigvalsh, norms), or break the tie with a small perturbation",
        )
    finite = [abs(v) for v in at.values() if np.isfinite(v)]
    if g is not None and finite and max([abs(g), *finite]) > 1:
        return Trap("overflow: the product of the gradient and the slope is too large for the dtype", "scale the loss, or compute in a wider dtype")
    return None


def _steep(name: str, at: Values) -> tuple[str, str] | None:
    if name not in _STEEP:
        return None
    is_steep, where, mend = _STEEP[name]
    try:
        return (where, mend) if is_steep(at) else None
    except KeyError:  # the rule saved other values
        return None
