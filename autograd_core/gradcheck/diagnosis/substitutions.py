"""Suppose that a rule used something else than it should: an argument reversed, a matrix not transposed, x in place of the result.

Each supposition is tried out: the right gradient with the substitute is compared with the claimed one, or the claimed gradient
is looked at where the substitute makes no difference (for a matrix that is symmetric, transposing it does not matter).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import Case, same
from autograd_core.gradcheck.numeric.differences import central_derivatives, evaluated
from autograd_core.gradcheck.numeric.directions import is_symmetric
from autograd_core.gradcheck.numeric.spots import RuleFailed, Skip, Spot

__all__ = ["changed_argument", "not_conjugate", "right_where_symmetric", "transposed_unknown"]


def not_conjugate(case: Case) -> str | None:
    """Of complex numbers: something in the rule is conjugate, or is not."""
    if case.x.dtype.kind != "c" or any(r.dtype.kind != "c" for r in case.spot.results):
        g = None
    else:
        g = np.concatenate([np.stack([r.real, -r.imag], axis=-1).reshape(-1) for r in map(np.asarray, case.spot.gs)])
    if case.x.dtype.kind != "c":
        return None
    turn = np.array([1.0, -1.0])
    right = (case.g @ case.jacobian).reshape(*case.x.shape, 2)
    given = case.given.reshape(right.shape)
    if same(given, right * turn) and not same(given, right):
        return "it is the complex conjugate of the right gradient"
    if g is not None:
        other = (g @ case.jacobian).reshape(right.shape)
        if same(given, other * turn) and not same(given, right):
            return "the derivative is not conjugated: by the convention dL/dRe + i dL/dIm, a rule is g * conj(f'(z))"
        if same(given, other) and not same(given, right):
            return "the incoming gradient is conjugated, the derivative is not: take g * conj(f'(z))"
    return None


def _changes(a: Any, *, other: bool) -> Iterator[tuple[str, Any]]:
    for axis in range(a.ndim):
        if a.shape[axis] > 1:
            yield f"reversed along axis {axis}" if a.ndim > 1 else "reversed (flipped)", np.flip(a, axis).copy()
    if a.ndim > 1:
        yield "flipped along all axes", np.flip(a).copy()
    for axis in range(a.ndim):
        if a.shape[axis] > 2:
            yield f"shifted by one along axis {axis}", np.roll(a, 1, axis)
            yield f"shifted by one along axis {axis}", np.roll(a, -1, axis)
    yield "with the sign reversed", -a
    if other:
        yield "taken for one", np.ones_like(a)
        yield "squared", a * a
        yield "with 1 / itself", 1 / a
        yield "taken for its mean", np.full_like(a, a.mean())


def changed_argument(case: Case) -> str | None:
    """It is the gradient for another argument reversed, shifted, squared, or left out."""
    if not case.real or case.spot.y.size > 64:
        return None
    others = [k for k in range(len(case.spot.arrays)) if k != case.argument]
    for k in [*others, case.argument]:
        a = case.spot.arrays[k]
        if not 1 < a.size <= 64:
            continue
        for text, changed in _changes(a, other=k != case.argument):
            if not np.isfinite(changed).all() or np.array_equal(changed, a):
                continue
            arrays = case.spot.copies()
            arrays[k] = changed
            if not _at_a_glance(case, arrays):
                continue
            found = gradient_at(case, arrays)
            if found is not None and case.is_given(found) and not same(found, np.zeros_like(found)):
                return f"it is the gradient with {case.spot.subject.names[k]} {text}"
    return None


def _at_a_glance(case: Case, arrays: list[Any]) -> bool:
    """Whether the claimed gradient may be that at other arguments, as one difference tells."""
    spot = case.spot
    x, direction = spot.inputs.join(arrays), np.zeros(spot.x.size)
    direction[case.part] = 1e-4 * spot.scale[case.part] * np.linspace(0.5, 1.5, case.given.size) * np.resize([1.0, -1.0, -1.0], case.given.size)
    above, below = (evaluated(spot.function, x + sign * direction, spot.y.size) for sign in (1.0, -1.0))
    terms = case.given.reshape(-1) * direction[case.part]
    return bool(abs(float(spot.g @ (above - below)) / 2 - float(terms.sum())) <= 1e-3 * float(np.abs(terms).sum()))


def gradient_at(case: Case, arrays: list[Any]) -> Any:
    """The numeric gradient of the argument at other values of the arguments; None where there is none."""
    spot = case.spot
    try:
        values = spot.subject.at(arrays)
        centre = spot.outputs.join(values.value([a.copy() for a in arrays]))
    except Exception:  # noqa: BLE001  not defined there
        return None
    if centre.size != case.g.size or not np.isfinite(centre).all():
        return None
    x = spot.inputs.join(arrays)
    rows = np.zeros((case.part.stop - case.part.start, x.size))
    rows[:, case.part] = np.diag(spot.scale[case.part])
    found = central_derivatives(spot.function, x, rows, case.g, centre, spot.eps)
    gradient = (found.estimate / spot.scale[case.part]).reshape(case.shape)
    return gradient if np.isfinite(gradient).all() else None


def right_where_symmetric(case: Case) -> str | None:
    """Right as soon as a square matrix among the arguments is symmetric: somewhere it has to be transposed, or is not."""
    for k, a in enumerate(case.spot.arrays):
        if a.ndim < 2 or a.shape[-1] != a.shape[-2] or a.shape[-1] < 2 or not case.real or is_symmetric(a):
            continue
        arrays = case.spot.copies()
        arrays[k] = (a + np.swapaxes(a, -1, -2)) / 2
        if _right_at(case, arrays):
            return f"it is right where {case.spot.subject.names[k]} is symmetric: a matrix in the rule is not transposed, or should not be"
    return None


def _right_at(case: Case, arrays: list[Any]) -> bool:
    try:
        spot = Spot(case.spot.subject.at(arrays), "", np.random.default_rng(0), gs=case.spot.gs)
    except (Skip, RuleFailed):
        return False
    found = gradient_at(case, arrays)
    given = spot.claimed[case.part].reshape(case.shape)
    return found is not None and bool(found.any()) and same(given, found)


def transposed_unknown(case: Case) -> str | None:
    """The right gradient is A @ P and the claimed one A.T @ P, for an array P of the call and one square matrix A."""
    if not case.real or case.x.ndim != 2:
        return None
    for name, p in _matrices(case):
        for turned in (False, True):  # A @ P, or (A @ P).T with the matrix on the other side
            right, given = (case.right.T, case.given.T) if turned else (case.right, case.given)
            factor = p.T if turned else p
            if factor.shape[1] != right.shape[1] or factor.shape[0] != right.shape[0] or factor.shape[0] < 2:
                continue
            if np.linalg.matrix_rank(factor) < factor.shape[0]:
                continue
            inverse = np.linalg.pinv(factor)
            one, two = right @ inverse, given @ inverse
            if same(one @ factor, right) and same(two @ factor, given) and same(one.T, two) and not same(one, two):
                return f"a matrix that {name} is multiplied with is not transposed in the rule (A @ {name} for A.T @ {name})"
    return None


def _matrices(case: Case) -> Iterator[tuple[str, Any]]:
    for name, a in itertools.chain(zip(case.spot.subject.names, case.spot.arrays, strict=True), [("the result", r) for r in case.spot.results]):
        if a.ndim == 2:
            yield name, a
