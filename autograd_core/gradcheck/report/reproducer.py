"""A finding as a program of a few lines, with the smallest arrays that still show it."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.gradcheck.numeric.directions import Directions
from autograd_core.gradcheck.numeric.spots import RuleFailed, Skip, Spot
from autograd_core.gradcheck.numeric.values import compare
from autograd_core.gradcheck.subjects.subjects import Subject

__all__ = ["as_call", "reproducer"]

LARGEST_PRINTED = 24  # elements of an array that are written out


def reproducer(subject: Subject, argument: int, symmetric: set[int], *, order: int, seed: int, call: str) -> str:
    """Python code that shows the finding again.

    argument : the number of the argument that is wrong;  call : how the function is named in `ag.gradcheck(...)`
    """
    small = _shrunk(subject, argument, symmetric) if order == 1 else subject
    if sum(a.size for a in small.arrays) > 4 * LARGEST_PRINTED:
        return ""
    small = _rounded(small, argument, symmetric) if order == 1 else small
    return as_call(small, seed=seed, call=call, order=order)


def as_call(subject: Subject, *, seed: int, call: str, order: int = 1) -> str:
    """`ag.gradcheck(...)` with the arguments of the subject written out; "" if they are too large."""
    if sum(np.size(a) for a in _all_arrays(subject)) > 4 * LARGEST_PRINTED or any("parameters" in place.path for place in subject.places):
        return ""
    args, kwargs = subject.filled(subject.arrays)
    given = [*(_literal(a) for a in args), *(f"{name}={_literal(value)}" for name, value in kwargs.items())]
    more = "" if order <= 2 else f", order={order}"
    text = f"ag.gradcheck({call}, {', '.join(given)}{more}, seed={seed})"
    if len(text) <= 90 and "\n" not in text:
        return text
    lines = [f"ag.gradcheck(\n    {call},", *(f"    {value}," for value in given), f"    seed={seed}{more},\n)"]
    return "\n".join(lines)


def _literal(value: Any) -> str:
    """An argument as Python code."""
    if isinstance(value, np.ndarray | np.generic):
        a = np.asarray(value)
        if a.size == 0:
            return f"np.zeros({a.shape})"
        text = np.array2string(a, separator=", ", max_line_width=84, floatmode="unique", threshold=10**6, prefix="    np.array(")
        kind = "" if a.dtype in (np.dtype(float), np.dtype(int), np.dtype(bool), np.dtype(complex)) else f", dtype=np.{a.dtype}"
        return f"np.array({text}{kind})"
    if isinstance(value, list | tuple):
        inside = ", ".join(_literal(v) for v in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside},)" if len(value) == 1 else f"({inside})"
    if hasattr(value, "data") and hasattr(value, "requires_grad"):
        return _literal(np.asarray(value.data))
    return repr(value)


def still_wrong(subject: Subject, argument: int, symmetric: set[int]) -> bool:
    """Whether the gradient of the argument is wrong at the subject's own place."""
    random = np.random.default_rng(0)
    try:
        spot = Spot(subject.only([subject.places[argument]]), "", random)
        directions = Directions(spot.inputs, spot.scale.copy(), {0} if argument in symmetric else set())
        found = compare(spot, directions, random, elementwise=False, every=True, kinks=True, known={0})
    except (Skip, RuleFailed):
        return False
    return any(d.component is not None for d in found.disagreements)


def _shrunk(subject: Subject, argument: int, symmetric: set[int]) -> Subject:
    """The call with axes cut to length 2, then 1, as long as it stays wrong."""
    for length in (2, 1):
        for n in sorted({n for a in _all_arrays(subject) for n in a.shape if n > length}, reverse=True)[:4]:
            for start in (0, 1):
                smaller = _cut(subject, n, length, start)
                if smaller is not None and still_wrong(smaller, argument, symmetric):
                    subject = smaller
                    break
    return subject


def _all_arrays(subject: Subject) -> list[Any]:
    return [*subject.arrays, *(a for a in subject.args if isinstance(a, np.ndarray))]


def _cut(subject: Subject, n: int, length: int, start: int) -> Subject | None:
    """All axes of size n cut to `length` elements from `start` on."""
    if any("parameters" in place.path for place in subject.places):
        return None

    def cut(a: Any) -> Any:
        if isinstance(a, np.ndarray):
            return a[tuple(slice(start, start + length) if m == n else slice(None) for m in a.shape)].copy()
        return type(a)(map(cut, a)) if type(a) in (list, tuple) else a

    args = [cut(a) for a in subject.args]
    kwargs = {name: cut(a) for name, a in subject.kwargs.items()}
    places = [place._replace(array=cut(place.array)) for place in subject.places]
    return subject.with_call(args, kwargs, places)


def _rounded(subject: Subject, argument: int, symmetric: set[int]) -> Subject:
    """The call with its numbers rounded to few digits, as long as it stays wrong."""
    for digits in (1, 2, 4):
        arrays = [_to_digits(a, digits) for a in subject.arrays]
        smaller = subject.at(arrays)
        if all(np.isfinite(a).all() for a in arrays) and still_wrong(smaller, argument, symmetric):
            return smaller
    return subject


def _to_digits(a: Any, digits: int) -> Any:
    if a.dtype.kind == "c":
        return _to_digits(a.real, digits) + 1j * _to_digits(a.imag, digits)
    with np.errstate(all="ignore"):
        power = np.where(a == 0, 1.0, 10.0 ** np.floor(np.log10(np.abs(np.where(a == 0, 1.0, a)))))
    return np.array([float(f"{v:.{digits}g}") for v in np.ravel(a)]).reshape(a.shape) if a.size <= 1000 else np.round(a / power, digits) * power
