"""What the claimed gradient is, in terms of what the operation touches: the argument, the result, the incoming gradient.

The right gradient, the claimed one and their difference are each compared with candidate terms: c * u(v), for functions u and
v one of x, the result and the other arguments; products of matrices. The simplest candidate that explains all elements at one
place, and all at a second one with the same constant c, is named.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import Case, same

__all__ = ["explained"]

CLOSE = 1e-5

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "1": lambda v: np.ones_like(v), "{}": lambda v: v, "{}**2": lambda v: v * v, "1 / {}": lambda v: 1 / v, "1 / {}**2": lambda v: 1 / (v * v),
    "sqrt({})": np.sqrt, "1 / sqrt({})": lambda v: 1 / np.sqrt(v), "{}**3": lambda v: v**3, "1 / {}**3": lambda v: 1 / v**3,
    "(1 - {})": lambda v: 1 - v, "(1 - {})**2": lambda v: (1 - v) ** 2, "(1 + {})": lambda v: 1 + v, "(1 - {}**2)": lambda v: 1 - v * v,
    "1 / (1 - {}**2)": lambda v: 1 / (1 - v * v),
    "1 / (1 + {}**2)": lambda v: 1 / (1 + v * v), "{0} * (1 - {0})": lambda v: v * (1 - v), "1 / (1 - {})": lambda v: 1 / (1 - v),
    "exp({})": np.exp, "exp(-{})": lambda v: np.exp(-v), "log({})": lambda v: np.log(np.abs(v)), "(1 + log({}))": lambda v: 1 + np.log(np.abs(v)),
    "sin({})": np.sin, "cos({})": np.cos, "tan({})": np.tan, "1 / cos({})**2": lambda v: 1 / np.cos(v) ** 2, "tanh({})": np.tanh,
    "sinh({})": np.sinh, "cosh({})": np.cosh, "sign({})": np.sign, "sigmoid({})": lambda v: 1 / (1 + np.exp(-v)),
    "1 / sqrt(1 - {}**2)": lambda v: 1 / np.sqrt(1 - v * v), "exp(-{}**2 / 2)": lambda v: np.exp(-v * v / 2), "exp(-{}**2)": lambda v: np.exp(-v * v),
    "({} > 0)": lambda v: (v > 0).astype(float),
}  # fmt: skip


# Those of which products of two, of one variable, are tried.
OF_ONE = ("{}", "{}**2", "1 / {}", "1 / {}**2", "(1 - {})", "(1 - {})**2", "(1 + {})", "(1 - {}**2)", "exp({})", "exp(-{})", "log({})", "sin({})",
          "cos({})", "tanh({})", "sigmoid({})", "exp(-{}**2)", "exp(-{}**2 / 2)")  # fmt: skip


class Term(NamedTuple):
    """A candidate: how it is written, and its values, of the shape of the argument."""

    text: str
    values: Any


def explained(case: Case, second: Case | None) -> tuple[str, str] | None:
    """A cause and what speaks for it, or None."""
    if not case.real or case.x.ndim == 0 or case.x.size < 2 or second is None or case.shape != second.shape:
        return None
    return _by_elements(case, second) or _by_products(case, second)


# --- element by element ---


def _by_elements(case: Case, second: Case) -> tuple[str, str] | None:
    cases = (case, second)
    g = [_aligned(c.spot.gs[0], c.x.shape) if len(c.spot.gs) == 1 else None for c in cases]
    if g[0] is None or g[1] is None:
        return None
    with np.errstate(all="ignore"):
        right, given = (
            [values / gk for values, gk in zip(rows, g, strict=True)] for rows in ((case.right, second.right), (case.given, second.given))
        )
        terms = list(zip(*(_terms(c) for c in cases), strict=True))
        missing = [a - b for a, b in zip(right, given, strict=True)]
        is_given, is_right = _first(terms, given), _first(terms, right)
        product = _of_a_product(case, second, given, missing)
        if product:
            return "term", product
        if is_given and is_right:
            ours, theirs = is_right.rsplit("|", 1), is_given.rsplit("|", 1)
            swapped = f"; {theirs[1]} is used where {ours[1]} is needed" if _shape(ours) == _shape(theirs) and ours[1] != theirs[1] else ""
            return "explained", f"the rule gives g * {theirs[0]}; the derivative is g * {ours[0]}{swapped}"
        if found := _first(terms, missing):
            return "term", f"what is missing is g * {found.rsplit('|', 1)[0]}"
        if swap := _swapped_variable(terms, given, right):
            return "explained", swap
        if is_given:
            return "explained", f"the rule gives g * {is_given.rsplit('|', 1)[0]}, which is not the derivative"
        if is_right:
            return "explained", f"the derivative is g * {is_right.rsplit('|', 1)[0]}, which is not what the rule gives"
    return None


def _shape(parts: list[str]) -> str:
    return parts[0].replace(parts[1], "@")


def _of_a_product(case: Case, second: Case, given: Any, missing: Any) -> str:
    """Of a product of x and h(x) the derivative is h + x h'; one of the two is missing."""
    results = [_aligned(c.spot.results[0], c.x.shape) for c in (case, second)]
    if results[0] is None or results[1] is None or len(case.spot.results) != 1 or results[0].size != case.spot.results[0].size:
        return ""
    inner = [r / c.x for r, c in zip(results, (case, second), strict=True)]
    name = case.name
    if all(_alike(a, b) for a, b in zip(given, inner, strict=True)):
        given_term = f"g * h({name}) = g * (result / {name})"
        return f"of the product {name} * h({name}) only the term {given_term} is there; the term g * {name} * h'({name}) is missing"
    if all(_alike(a, b) for a, b in zip(missing, inner, strict=True)):
        return f"of the product {name} * h({name}) the term g * h({name}) = g * (result / {name}) is missing"
    return ""


def _terms(case: Case) -> Iterator[Term]:
    """Candidates, the simplest first."""
    variables = list(_variables(case))
    for form, function in FUNCTIONS.items():
        for name, values in variables:
            if form != "1" or name == case.name:
                yield Term(f"{form.format(name)}|{name}", function(values))
    for name, values in variables:
        for one, two in itertools.combinations(OF_ONE, 2):
            yield Term(f"{one.format(name)} * {two.format(name)}|{name}", FUNCTIONS[one](values) * FUNCTIONS[two](values))
    for (one, a), (two, b) in itertools.combinations(variables, 2):
        for (form, f), (other, h) in itertools.product(list(FUNCTIONS.items())[1:9], repeat=2):
            yield Term(f"{form.format(one)} * {other.format(two)}|{two}", f(a) * h(b))
        for form in ("log({})", "exp({})", "cos({})", "sin({})", "(1 - {})", "sign({})"):
            yield Term(f"{one} * {form.format(two)}|{two}", a * FUNCTIONS[form](b))
            yield Term(f"{two} * {form.format(one)}|{one}", b * FUNCTIONS[form](a))


def _variables(case: Case) -> Iterator[tuple[str, Any]]:
    yield case.name, case.x
    for k, (name, a) in enumerate(zip(case.spot.subject.names, case.spot.arrays, strict=True)):
        if k != case.argument and (values := _aligned(a, case.x.shape)) is not None:
            yield name, values
    for r in case.spot.results[:1]:
        if (values := _aligned(r, case.x.shape)) is not None:
            yield "result", values


def _aligned(a: Any, shape: tuple[int, ...]) -> Any:
    """`a` broadcast to `shape`, a reduced axis put back where only one place fits; None if it does not fit."""
    if a.shape == shape or a.size == 1:
        return np.broadcast_to(a.reshape(()) if a.size == 1 else a, shape)
    fits = [axis for axis in range(len(shape)) if a.shape == (*shape[:axis], *shape[axis + 1 :])]
    if len(fits) == 1:
        return np.broadcast_to(np.expand_dims(a, fits[0]), shape)
    try:
        return np.broadcast_to(a, shape) if a.ndim == len(shape) else None
    except ValueError:
        return None


def _first(terms: list[Any], wanted: list[Any]) -> str:
    """The first term that is `wanted` but for one constant, at both places; "" if none is."""
    if not all(np.isfinite(w).all() and w.any() for w in wanted):
        return ""
    pivot = int(np.argmax(np.abs(wanted[0])))
    value = wanted[0].reshape(-1)[pivot]
    for pair in terms:
        one, two = pair[0].values, pair[1].values
        at = one.reshape(-1)[pivot]
        constant = value / at if at else np.nan
        if not np.isfinite(constant) or abs(constant) > 1e4:
            continue
        if _alike(wanted[0], constant * one) and _alike(wanted[1], constant * two):
            text, variable = pair[0].text.rsplit("|", 1)
            text = _times(constant, text)
            return f"{text}|{variable}"
    return ""


def _times(constant: float, text: str) -> str:
    if abs(constant - 1) < CLOSE:
        return text
    if abs(constant + 1) < CLOSE:
        return f"(-{text})"
    fraction = Fraction(constant).limit_denominator(24)
    near = abs(float(fraction) - constant) < CLOSE * abs(constant)
    return f"({str(fraction) if near else f'{constant:.6g}'} * {text})" if text != "1" else f"({str(fraction) if near else f'{constant:.6g}'})"


def _alike(a: Any, b: Any) -> bool:
    if not np.isfinite(b).all():
        return False
    return bool(np.all(np.abs(a - b) <= CLOSE * np.maximum(np.abs(a), 1e-3 * np.abs(a).max())))


def _swapped_variable(terms: list[Any], given: list[Any], right: list[Any]) -> str:
    """The right derivative is A * u(v), the claimed one A * u(w): one thing used in place of another, whatever A is."""
    singles = [pair for pair in terms if pair[0].text.count("|") == 1 and " * " not in pair[0].text.split("|")[0]]
    forms: dict[str, list[Any]] = {}
    for pair in singles:
        text, variable = pair[0].text.split("|")
        forms.setdefault(text.replace(variable, "@"), []).append((variable, pair))
    quotient = [a / b for a, b in zip(given, right, strict=True)]
    if not all(np.isfinite(q).all() for q in quotient):
        return ""
    for form, members in forms.items():
        for (one, a), (two, b) in itertools.permutations(members, 2):
            if all(_alike(q, a[k].values / b[k].values) and np.ptp(q) > 1e-3 * np.abs(q).max() for k, q in enumerate(quotient)):
                return f"{form.replace('@', one)} is used where {form.replace('@', two)} is needed"
    return ""


# --- products of matrices ---


def _by_products(case: Case, second: Case) -> tuple[str, str] | None:
    """What is missing, or what is given, is a product of arrays of the call."""
    if len(case.spot.gs) != 1 or case.x.ndim > 2 or case.x.size > 64:
        return None
    found = [dict(_products(c)) for c in (case, second)]
    for what, wanted in (("missing", (case.right - case.given, second.right - second.given)), ("given", (case.given, second.given))):
        for name, values in found[0].items():
            other = found[1].get(name)
            if other is None or not values.any() or not np.isfinite(values).all() or not wanted[0].any():
                continue
            constant = float((values * wanted[0]).sum() / (values**2).sum())
            if abs(constant) > 1e-6 and same(constant * values, wanted[0]) and same(constant * other, wanted[1]):
                text = _times(constant, name)
                if what == "missing":
                    return "term", f"what is missing is {text}: each place where {case.name} enters adds a term"
                return "explained", f"the rule gives {text}, which is not the derivative"
    return None


def _products(case: Case) -> Iterator[tuple[str, Any]]:
    arrays = [
        ("g", case.spot.gs[0]),
        (case.name, case.x),
        *((n, a) for n, a in zip(case.spot.subject.names, case.spot.arrays, strict=True) if n != case.name),
    ]
    arrays += [("result", case.spot.results[0])]
    sides = []
    for name, a in arrays[:5]:
        if a.ndim == 2:
            sides += [(name, a), (f"{name}.T", a.T)]
        elif a.ndim < 2:
            sides.append((name, a))
    shape = case.x.shape
    for (one, a), (two, b) in itertools.product(sides, repeat=2):
        if a.ndim and b.ndim and a.shape[-1] == b.shape[0]:
            product = a @ b
            if product.shape == shape:
                yield f"{one} @ {two}", product
            for three, c in sides if product.ndim else ():
                if c.ndim and product.shape[-1] == c.shape[0] and (product @ c).shape == shape:
                    yield f"{one} @ {two} @ {three}", product @ c
            if product.ndim == 0 and len(shape) == 1:
                for three, c in sides:
                    if c.shape == shape:
                        yield f"({one} @ {two}) * {three}", product * c
        if a.ndim == b.ndim == 1 and (a.size, b.size) == shape:
            yield f"outer({one}, {two})", np.outer(a, b)
        if a.ndim == 0 and b.shape == shape:
            yield f"{one} * {two}", a * b
