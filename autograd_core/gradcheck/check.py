"""The check of one call: the gradients against numeric derivatives, then the gradients' gradients, and so on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric import as_complex_array, as_kind, as_real, derivative_along, precision, step_scale
from autograd_core.gradcheck.report import Finding, Report
from autograd_core.gradcheck.subjects import GradientOf, Traced, traced

__all__ = ["check_call", "check_subject"]

WHOLE = 24  # up to so many real inputs, each is differenced; above, random directions


def check_call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, order: int, seed: int) -> Report:
    """Check `function(*args, **kwargs)`; see `gradcheck`."""
    subject = traced(function, args, kwargs)
    subject.arrays = [np.array(a, dtype=np.complex128 if a.dtype.kind == "c" else np.float64) for a in subject.arrays]
    return check_subject(subject, order=order, seed=seed)


def check_subject(subject: Traced, *, order: int, seed: int, whole: int = WHOLE) -> Report:
    """Check the derivatives of `subject` at its own arrays."""
    random = np.random.default_rng(seed)
    report = Report(subject.name, order, seed)
    level = subject
    eps = 0.0
    with np.errstate(all="ignore"):
        for k in range(1, order + 1):
            results = level.value(level.arrays)
            if not results:
                raise TypeError(f"gradcheck: {subject.name} returned no floating-point array, so there is nothing to differentiate")
            gs = [incoming_gradient(random, y) for y in results]
            eps = max(eps, precision(gs))  # a gradient is no more precise than the value
            _compare(level, gs, k, random, report, whole, eps)
            if report.findings:
                break
            level = GradientOf(level, gs)
    return report


def incoming_gradient(random: np.random.Generator, like: Any) -> Any:
    """A random gradient for a result, away from zero so that no error hides behind a small factor."""
    g = random.uniform(0.5, 1.5, like.shape) * random.choice([-1.0, 1.0], like.shape)
    if like.dtype.kind == "c":
        g = g + 1j * random.uniform(0.5, 1.5, like.shape)
    return np.asarray(g, dtype=like.dtype)


def _compare(subject: Traced, gs: Sequence[Any], order: int, random: np.random.Generator, report: Report, whole: int, eps: float) -> None:
    found = subject.vjp(subject.arrays, gs)
    g = as_real(gs)
    for i, (name, x) in enumerate(zip(subject.names, subject.arrays, strict=True)):
        given = as_real([np.zeros(x.shape, x.dtype) if found[i] is None else found[i]])
        if given.size != as_real([x]).size:
            report.findings.append(
                _wrong(order, name, (), found[i].shape, x.shape, 0.0, f"order {order}, {name}: gradient of shape {found[i].shape} for {x.shape}")
            )
            continue
        vector = as_real([x])
        scale = step_scale(vector)
        if vector.size <= whole:
            directions = np.eye(vector.size)
        else:
            directions = random.normal(size=(4, vector.size))
        for n, direction in enumerate(directions):
            unit = direction * scale

            def along(step: float, i: int = i, x: Any = x, vector: Any = vector, unit: Any = unit) -> Any:
                arrays = list(subject.arrays)
                arrays[i] = as_complex_array(vector + step * unit, x)
                return as_real([as_kind(y, like) for y, like in zip(subject.value(arrays), gs, strict=True)])

            estimate, error = derivative_along(along, 1.0, eps)
            expected = float(g @ estimate)
            claimed = float(given @ unit)
            bound = float(np.abs(g) @ error) + 1e-10 * float(np.abs(g) @ np.abs(estimate)) + (1e-12 + 8 * eps) * float(np.abs(given) @ np.abs(unit))
            report.compared += 1
            if abs(claimed - expected) <= bound:
                continue
            if vector.size <= whole:
                element = _element(n, x)
                factor = scale[n]
                claimed, expected, bound = claimed / factor, expected / factor, bound / factor
                text = f"order {order}, {name}{list(element)}: the rule gives {claimed:.8g}, numeric {expected:.8g} +- {bound:.1g}"
                report.findings.append(_wrong(order, name, element, claimed, expected, bound, text))
            else:
                text = f"order {order}, {name}: along a random direction the rule gives {claimed:.8g}, numeric {expected:.8g} +- {bound:.1g}"
                report.findings.append(_wrong(order, name, (), claimed, expected, bound, text))


def _wrong(order: int, name: str, element: tuple[int, ...], given: Any, expected: Any, bound: float, message: str) -> Finding:
    return Finding(order, name, element, given, expected, bound, message)


def _element(n: int, x: Any) -> tuple[int, ...]:
    place = n // 2 if x.dtype.kind == "c" else n
    return tuple(int(k) for k in np.unravel_index(place, x.shape)) if x.shape else ()
