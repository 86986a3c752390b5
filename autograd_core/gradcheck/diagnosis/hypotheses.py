"""Suppose that a rule went wrong in a certain way: what gradient would it give? Each function here tests one such supposition.

A test returns a sentence if the claimed gradient of the case is just that.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import SAME, Case, same
from autograd_core.gradcheck.numeric.differences import central_derivatives
from autograd_core.gradcheck.numeric.directions import is_symmetric
from autograd_core.gradcheck.numeric.spots import Spot

__all__ = [
    "axis_sums", "blocked", "coupling_missing", "flat_results", "mask_missing",
    "missing_gradient", "only_where_flat", "permutation", "reduced_gradient",
    "swapped_inputs", "transpose", "unused_output",
]  # fmt: skip


def missing_gradient(case: Case) -> str | None:
    """Zeros or None."""
    return "the gradient is zero everywhere" if not case.given.any() and case.right.any() else None


def swapped_inputs(case: Case) -> str | None:
    """The gradient of another argument."""
    for k, (name, part) in enumerate(zip(case.spot.subject.names, case.spot.inputs.parts, strict=True)):
        if k == case.argument or case.spot.arrays[k].shape != case.x.shape:
            continue
        other = (case.g @ case.all[:, part]).reshape(case.shape)
        if case.is_given(other):
            return f"the gradient of {case.name} is that of {name}"
        back = (case.g @ case.all[:, case.part]).reshape(case.shape)
        theirs = case.spot.claimed[part].reshape(case.shape)
        if case.given.size > 1 and case.is_given(-other) and (same(theirs, back) or same(theirs, -back)):
            return f"the gradient of {case.name} is that of {name} with the sign reversed, and the other way round"
    return None


def transpose(case: Case) -> str | None:
    """The claimed gradient, a factor in it, or the incoming gradient is transposed."""
    if not case.real:
        return None
    if case.x.ndim >= 2:
        turned = np.swapaxes(case.right, -1, -2)
        if case.is_given(turned):
            return "it is the transpose of the right gradient"
        if case.is_given(np.ascontiguousarray(turned).reshape(case.shape)):
            return "it is the right gradient transposed and then reshaped"
    reordered = same(np.sort(case.given, axis=None), np.sort(case.right, axis=None))
    if case.jacobian.shape[0] == case.jacobian.shape[1] and not reordered and case.is_given((case.jacobian @ case.g).reshape(case.shape)):
        return "a matrix in the rule is not transposed (the Jacobian is used, not its transpose)"
    if len(case.spot.results) == 1 and case.spot.results[0].ndim >= 2:
        g = case.spot.gs[0]
        if g.shape[-1] == g.shape[-2] and case.is_given(case.from_g(np.swapaxes(g, -1, -2))):
            return "the incoming gradient is transposed"
    return _not_symmetrised(case) or _transposed_factor(case)


def _not_symmetrised(case: Case) -> str | None:
    """Of a symmetric result: right for symmetric incoming gradients only."""
    if len(case.spot.results) != 1 or not is_symmetric(case.spot.results[0]) or case.spot.results[0].ndim != 2:
        return None
    n = case.spot.results[0].shape[0]
    claimed, right = (jacobian.reshape(n, n, -1) for jacobian in (case.claimed_jacobian, case.jacobian))
    both, expected = claimed + np.swapaxes(claimed, 0, 1), right + np.swapaxes(right, 0, 1)
    return "it is right for a symmetric incoming gradient only; g + g.T is needed" if same(both, expected) and not same(claimed, right) else None


def _transposed_factor(case: Case) -> str | None:
    """One of the other square matrices enters transposed: then the rule is right where that matrix is symmetric."""
    square = [k for k, a in enumerate(case.spot.arrays) if a.ndim >= 2 and a.shape[-1] == a.shape[-2] and a.shape[-1] > 1]
    for k in square:
        arrays = case.spot.copies()
        arrays[k] = np.swapaxes(arrays[k], -1, -2).copy()
        try:
            turned = Spot(case.spot.subject.at(arrays), "", np.random.default_rng(0), gs=case.spot.gs)
        except Exception:  # noqa: BLE001  not defined there
            continue
        if turned.y.size != case.g.size:
            continue
        found = central_derivatives(turned.function, turned.x, np.diag(turned.scale), None, turned.y, turned.eps)
        gradient = case.g @ (found.estimate / turned.scale[:, None]).T[:, case.part]
        for supposed in (gradient.reshape(case.shape), np.swapaxes(gradient.reshape(case.shape), -1, -2) if k == case.argument else None):
            if supposed is not None and case.is_given(supposed):
                return f"{case.spot.subject.names[k]} enters the rule transposed"
    return None


def permutation(case: Case) -> str | None:
    """The right numbers at other places, or an incoming gradient whose elements were permuted."""
    if not case.real or case.given.size < 2:
        return None
    for change, text in _rearrangements(case.right):
        if case.is_given(change):
            return f"it is the right gradient {text}"
    for k, g in enumerate(case.spot.gs):
        for change, text in _rearrangements(g):
            gs = [change if j == k else other for j, other in enumerate(case.spot.gs)]
            if case.is_given(case.from_g(case.spot.outputs.join(gs))):
                return f"the incoming gradient is used {text}"
    if same(np.sort(case.given, axis=None), np.sort(case.right, axis=None)) and not same(case.given, case.right):
        return "it has the right numbers at wrong places"
    claimed, jacobian = case.claimed_jacobian, case.jacobian
    if np.isfinite(claimed).all() and claimed.shape == jacobian.shape and len(jacobian) > 1 and not same(claimed, jacobian):
        if same(_sorted_rows(claimed), _sorted_rows(jacobian)):
            return "the elements of the incoming gradient are taken in a wrong order"
        if same(_sorted_rows(claimed.T), _sorted_rows(jacobian.T)):
            return "its elements are at wrong places"
    return None


def _sorted_rows(matrix: Any) -> Any:
    rounded = np.round(matrix / max(float(np.abs(matrix).max(initial=0.0)), 1e-300), 6)
    return matrix[np.lexsort(rounded.T[::-1])]


def _rearrangements(a: Any) -> Iterator[tuple[Any, str]]:
    for axis in range(a.ndim):
        if a.shape[axis] > 1:
            yield np.flip(a, axis), f"reversed along axis {axis}"
            for shift in range(1, min(a.shape[axis], 5)):
                yield np.roll(a, shift, axis), f"rolled along axis {axis} by {shift}"
                yield np.roll(a, -shift, axis), f"rolled along axis {axis} by {-shift}"
    if a.ndim > 1:
        yield np.flip(a), "reversed along all axes"
        for axes in itertools.permutations(range(a.ndim)):
            if list(axes) != list(range(a.ndim)):
                yield np.ascontiguousarray(np.transpose(a, axes)).reshape(a.shape), f"with its axes in the order {axes}"
        yield np.ravel(a, order="F").reshape(a.shape), "read in Fortran order"


def unused_output(case: Case) -> str | None:
    """One of several results contributes nothing, or wrongly."""
    results = case.spot.results
    if len(results) < 2:
        return None
    for k, part in enumerate(case.spot.outputs.parts):
        without = case.g.copy()
        without[part] = 0.0
        if case.is_given(case.from_g(without)):
            return f"the incoming gradient of result {k} is not used"
    claimed = case.claimed_jacobian
    wrong = [k for k, part in enumerate(case.spot.outputs.parts) if not same(claimed[part], case.jacobian[part])]
    silent = [k for k in wrong if not claimed[case.spot.outputs.parts[k]].any()]
    if silent:
        return f"the incoming gradient of result {silent[0]} is not used"
    return None


def reduced_gradient(case: Case) -> str | None:
    """The incoming gradient enters as its sum, mean or one element, or not at all."""
    size = case.g.size
    variants = {
        "the incoming gradient is ignored (taken to be 1)": np.ones(size),
        "the incoming gradient is summed before it is used": np.full(size, case.g.sum()),
        "the incoming gradient is averaged before it is used": np.full(size, case.g.mean() if size else 0.0),
        "only the first element of the incoming gradient is used": np.full(size, case.g[0] if size else 0.0),
        "only the absolute value of the incoming gradient is used": np.abs(case.g),
        "only the sign of the incoming gradient is used": np.sign(case.g),
        "the square of the incoming gradient is used": case.g**2,
    }
    return next((text for text, g in variants.items() if size > 1 and case.is_given(case.from_g(g))), None)


def coupling_missing(case: Case) -> str | None:
    """Only the diagonal of the Jacobian: each element taken by itself."""
    if case.jacobian.shape[0] == case.jacobian.shape[1] and case.is_given((np.diag(case.jacobian) * case.g).reshape(case.shape)):
        rows, columns = np.nonzero(np.abs(case.jacobian) > 1e-9 * np.abs(case.jacobian).max())
        if case.x.ndim == 1 and (rows >= columns).all():
            return "each element is taken by itself; that each result depends on the earlier elements too is left out (cut off after one step)"
        return "each element is taken by itself; that each result depends on the other elements too is left out"
    return None


def _wrong_elements(case: Case) -> tuple[Any, float]:
    largest = max(float(np.max(np.abs(case.right), initial=0.0)), float(np.max(np.abs(case.given), initial=0.0)))
    return np.abs(case.given - case.right) > SAME * largest, largest


def only_where_flat(case: Case) -> bool:
    """Whether what is wrong, if anything, is wrong where the right gradient is zero."""
    wrong, largest = _wrong_elements(case)
    return bool((np.abs(case.right) <= 1e-9 * largest)[wrong].all())


def mask_missing(case: Case) -> str | None:
    """Wrong just where the right gradient is zero."""
    wrong, largest = _wrong_elements(case)
    flat = np.abs(case.right) <= 1e-9 * largest
    if wrong.any() and flat[wrong].all() and (case.right.any() and not wrong.all() and (~flat).any()):
        return "it is not zero where the value does not depend on the argument, and right elsewhere"
    return None


def flat_results(case: Case) -> tuple[str, str] | None:
    """Right for the elements of the result that move, not zero for those that do not: the mask of a relu after a product."""
    if not case.real or case.spot.y.size < 2:
        return None
    largest = float(np.max(np.abs(case.jacobian), initial=0.0))
    flat = ~(np.abs(case.jacobian) > 1e-9 * largest).any(axis=1)
    claimed = case.claimed_jacobian
    through = (np.abs(claimed[flat]) > 1e-6 * largest).any(axis=1)
    if largest and through.any() and not flat.all() and same(case.jacobian[~flat], claimed[~flat]):
        return "mask", f"{int(through.sum())} of {flat.size} elements of the result do not change with it, and pass their gradient on all the same"
    return None


def blocked(case: Case) -> str | None:
    """Wrong just where the claimed gradient is zero."""
    wrong, _ = _wrong_elements(case)
    if wrong.any() and not wrong.all() and not case.given[wrong].any():
        return "it is zero where the value does depend on the argument, and right elsewhere"
    return None


def axis_sums(case: Case) -> str | None:
    """The difference is the same along an axis: a sum, mean or norm over it was taken for constant."""
    if not case.real or case.given.size < 3:
        return None
    difference = case.given - case.right
    for axis in range(difference.ndim):
        if difference.shape[axis] > 1 and same(difference, np.broadcast_to(np.take(difference, [0], axis), difference.shape)) and difference.any():
            along = "all elements" if same(difference, np.full_like(difference, difference.flat[0])) else f"each line along axis {axis}"
            return f"what is missing is the same for {along}: the term of a sum or a mean"
    return None
