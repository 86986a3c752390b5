"""More suppositions about a wrong gradient: those that need the function itself at other places or of other shapes.

A wrong axis is found by computing along the other axis; a missing sum over a broadcast axis by broadcasting the argument
beforehand; a forgotten mask by making everything active; the gradient of another loss by knowing the usual losses.
"""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.cases import Case, same
from autograd_core.gradcheck.numeric.differences import central_derivatives
from autograd_core.gradcheck.numeric.spots import RuleFailed, Skip, Spot
from autograd_core.gradcheck.numeric.vectors import typical_size

__all__ = ["activity", "missing_sum", "other_loss", "wrong_axis", "wrong_reduction"]


def numeric_gradient(function: Callable[[Any], Any], x: Any, g: Any) -> Any:
    """The gradient of sum(g * function(x)), of the shape of x; nan where the function cannot be computed."""
    flat = np.asarray(x, dtype=float).reshape(-1)

    def value(vector: Any) -> Any:
        result = np.asarray(function(vector.reshape(x.shape)), dtype=float)
        if result.size != g.size:
            raise ValueError("another shape")
        return result.reshape(-1)

    try:
        centre = value(flat)
    except Exception:  # noqa: BLE001  a supposed variant of an unknown function may raise anything
        return np.full(x.shape, np.nan)
    scale = np.maximum(np.abs(flat), 0.05 * typical_size(flat))
    found = central_derivatives(value, flat, np.diag(scale), g.reshape(-1), centre, np.finfo(float).eps)
    return (found.estimate / scale).reshape(x.shape)


def wrong_axis(case: Case) -> str | None:
    """The claimed gradient is that of the same function along another axis, or couples elements along another axis."""
    results = case.spot.results
    if not case.real or len(results) != 1 or case.x.size > 64 or case.x.ndim < 2:
        return None
    for text, gradient in _along_other_axes(case, results[0]):
        if np.isfinite(gradient).all() and case.is_given(gradient):
            return text
    claimed = case.claimed_jacobian
    if results[0].ndim not in (case.x.ndim, case.x.ndim - 1) or not np.isfinite(claimed).all():
        return None
    right, given = (_coupled_axes(jacobian, results[0].shape, case.x.shape) for jacobian in (case.jacobian, claimed))
    if right and given and not given <= right:
        return f"the value couples elements along {_axes(right)}, the gradient along {_axes(given)}"
    return None


def wrong_reduction(case: Case) -> str | None:
    """`wrong_axis`, of a function whose result has fewer axes: asked before transposes, which look alike there."""
    return wrong_axis(case) if len(case.spot.results) == 1 and 0 < case.spot.results[0].ndim < case.x.ndim and case.g.size < case.x.size else None


def _axes(axes: frozenset[int]) -> str:
    return "axis " + " and ".join(map(str, sorted(axes)))


def _coupled_axes(jacobian: Any, out: tuple[int, ...], x: tuple[int, ...]) -> frozenset[int]:
    """The axes of x along which elements of the result depend on elements elsewhere; empty if that is not clear."""
    rows, columns = np.nonzero(np.abs(jacobian) > 1e-7 * np.abs(jacobian).max(initial=0.0))
    to = np.array(np.unravel_index(columns, x)).reshape(len(x), -1)
    if len(out) == len(x):
        apart = np.array(np.unravel_index(rows, out)).reshape(len(x), -1) != to
        kept = [axis for axis in range(len(x)) if out[axis] == x[axis]]
        reduced = [axis for axis in range(len(x)) if out[axis] != x[axis]]
        return frozenset([axis for axis in kept if apart[axis].any()] + reduced)
    at = np.array(np.unravel_index(rows, out)).reshape(len(out), -1)
    for axis in range(len(x)):
        rest = [k for k in range(len(x)) if k != axis]
        if tuple(x[k] for k in rest) == out and not np.any(at != to[rest]):
            return frozenset([axis])
    return frozenset()


def _along_other_axes(case: Case, result: Any) -> Iterator[tuple[str, Any]]:
    subject, x, i = case.spot.subject, case.x, case.argument

    def value(a: Any, other: Any = subject) -> Any:
        arrays = case.spot.copies()
        arrays[i] = a
        return other.value(arrays)[0]

    try:
        names = inspect.signature(subject.signature_source()).parameters
    except (TypeError, ValueError):
        names = {}  # type: ignore[assignment]
    if "axis" in names:
        for axis in (*range(x.ndim), None):
            other = subject.with_call(subject.args, {**subject.kwargs, "axis": axis})
            yield f"it is the gradient for axis={axis}", numeric_gradient(functools.partial(_swapped_call, value, other), x, case.g)
    for one, two in itertools.combinations(range(x.ndim), 2):

        def turned(a: Any, one: int = one, two: int = two) -> Any:
            return value(np.swapaxes(a, one, two).copy())

        def turned_back(a: Any, one: int = one, two: int = two) -> Any:
            return np.swapaxes(value(np.swapaxes(a, one, two).copy()), one, two)

        yield f"it is the gradient along axis {one} instead of axis {two} (or the other way round)", numeric_gradient(turned, x, case.g)
        if result.ndim == x.ndim:
            yield f"it is the gradient along axis {one} instead of axis {two} (or the other way round)", numeric_gradient(turned_back, x, case.g)
    if x.ndim > 1:
        for axis in range(x.ndim):
            shape = tuple(x.size if k == axis else 1 for k in range(x.ndim))
            yield "it is the gradient over all axes together", numeric_gradient(functools.partial(_reshaped_call, value, shape), x, case.g)


def missing_sum(case: Case) -> str | None:
    """The argument was broadcast: its gradient was not summed over the copies."""
    if not case.real or len(case.spot.results) != 1 or case.spot.results[0].size > 256:
        return None
    shape = case.spot.results[0].shape
    try:
        full = np.broadcast_to(case.x, shape).copy()
    except ValueError:
        return None
    if full.shape == case.x.shape:
        return None

    def value(a: Any) -> Any:
        arrays = case.spot.copies()
        arrays[case.argument] = a
        return case.spot.subject.value(arrays)[0]

    gradient = numeric_gradient(value, full, case.g)
    if not np.isfinite(gradient).all():
        return None
    lead = len(shape) - case.x.ndim
    copied = (*range(lead), *(axis for axis in range(lead, len(shape)) if case.x.shape[axis - lead] == 1 and shape[axis] > 1))
    for name, reduce in (("averaged", np.mean), ("cut to the largest", np.max), ("cut to the first", _first), ("cut to the last", _last)):
        if case.is_given(np.asarray(reduce(gradient, axis=copied)).reshape(case.shape)):
            return f"over the broadcast axes {copied} it is {name} instead of summed"
    for axes in itertools.combinations(range(len(shape)), len(copied)):
        summed = gradient.sum(axis=axes)
        if axes != copied and summed.size == case.given.size and case.is_given(summed.reshape(case.shape)):
            return f"it is summed over axes {axes} instead of the broadcast axes {copied}"
    for axes in itertools.chain.from_iterable(itertools.combinations(copied, k) for k in range(1, len(copied))):
        kept = [axis for axis in copied if axis not in axes]
        if case.is_given(_first(gradient.sum(axis=axes, keepdims=True), axis=tuple(kept)).reshape(case.shape)):
            return f"it is not summed over the broadcast axes {tuple(kept)}"
    return None


def _first(a: Any, axis: tuple[int, ...]) -> Any:
    return a[tuple(0 if k in axis else slice(None) for k in range(a.ndim))]


def _last(a: Any, axis: tuple[int, ...]) -> Any:
    return a[tuple(-1 if k in axis else slice(None) for k in range(a.ndim))]


def activity(case: Case) -> tuple[str, str] | None:
    """Right where everything is active, wrong where something is flat: the mask of a relu inside is forgotten."""
    agreeing, flat = [], []
    for k, name in enumerate(case.spot.subject.names):
        for sign in (30.0, -30.0):
            arrays = case.spot.copies()
            arrays[k] = arrays[k] + sign * max(1.0, typical_size(arrays[k]))
            try:
                spot = Spot(case.spot.subject.at(arrays), "", np.random.default_rng(0), gs=case.spot.gs)
            except (Skip, RuleFailed):
                continue
            if spot.y.size != case.g.size:
                continue
            rows = np.diag(spot.scale)[case.part]
            found = central_derivatives(spot.function, spot.x, rows, spot.g, spot.y, spot.eps)
            right, given = found.estimate / spot.scale[case.part], spot.claimed[case.part]
            if not right.any() and given.any():
                flat.append(name)
            elif right.any() and same(right, given):
                agreeing.append(f"{name} {'+' if sign > 0 else '-'} {abs(sign):g}")
    if agreeing and flat:
        return "mask", f"it is right with {agreeing[0]}, where everything is active, and not zero where the value is flat"
    return None


def other_loss(case: Case) -> str | None:
    """The claimed gradient is that of a well-known loss which is not the one computed."""
    if not case.real or case.x.ndim == 0 or case.x.size < 2:
        return None
    with np.errstate(all="ignore"):
        for labels in _labels(case):
            for name, gradient in _known_losses(case.x, labels):
                for text, sign in ((name, 1.0), (f"{name}, with the sign reversed", -1.0)):
                    largest = float(np.max(np.abs(gradient), initial=0.0))
                    if not np.isfinite(largest) or largest == 0:
                        continue
                    for n in {1, case.x.shape[0], case.x.size}:
                        total = float(case.g.reshape(-1)[0])
                        if case.g.size == 1 and case.is_given(sign * total * gradient / n):
                            return f"it is the gradient of {text}{f' divided by {n}' if n > 1 else ''}, which is not what is computed"
    return None


def _labels(case: Case) -> Iterator[Any]:
    """What may be the labels: another array of the same shape, or class indices as one-hot rows."""
    x = case.x
    for k, a in enumerate(case.spot.arrays):
        if k != case.argument and a.shape == x.shape:
            yield a
    for value in [*case.spot.subject.args, *case.spot.subject.kwargs.values()]:
        if isinstance(value, np.ndarray) and value.shape == x.shape and value is not x:
            yield value
        if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.shape == x.shape[:-1] and value.size and value.max() < x.shape[-1]:
            yield np.eye(x.shape[-1])[value]


def _known_losses(z: Any, y: Any) -> Iterator[tuple[str, Any]]:
    exponentials = np.exp(z - z.max(axis=-1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=-1, keepdims=True)
    sigmoid = 1 / (1 + np.exp(-z))
    yield "the categorical cross-entropy of softmax outputs (p - y)", softmax - y
    yield "the binary cross-entropy of sigmoid outputs (p - y)", sigmoid - y
    yield "the squared error", 2 * (z - y)
    yield "half the squared error (z - y)", z - y
    yield "the binary cross-entropy of probabilities", (z - y) / (z * (1 - z))
    yield "the categorical cross-entropy of probabilities", -y / z
    yield "the binary cross-entropy with softmax taken for a sigmoid", (softmax - y) / (softmax * (1 - softmax))
    yield "the absolute error", np.sign(z - y)


def _swapped_call(value: Callable[..., Any], other: Any, a: Any) -> Any:
    return value(a, other)


def _reshaped_call(value: Callable[..., Any], shape: tuple[int, ...], a: Any) -> Any:
    return value(a.reshape(shape))
