"""The contract on memory: any layout of an array is accepted, gradients share no memory, float32 gives float32."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.breaches import Breach, fresh, raised, vectors
from autograd_core.gradcheck.numeric.spots import Spot, first_line, rule_failed
from autograd_core.gradcheck.subjects.subjects import Subject

__all__ = ["check_single_precision", "layouts", "shared_memory"]


def _negative(a: Any) -> Any:
    return np.flip(np.flip(a).copy())


def _strided(a: Any) -> Any:
    return np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a


def _read_only(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "read-only": _read_only,
    "in Fortran order": lambda a: np.array(a, order="F"),
    "with negative strides": _negative,
    "with a stride of two elements": _strided,
}


def layouts(spot: Spot, random: np.random.Generator) -> Iterator[Breach]:
    """The same values in other memory layouts give the same gradients: of the incoming gradient, then of the arguments."""
    subject = spot.subject
    plain = [np.ascontiguousarray(a).reshape(a.shape) for a in spot.copies()]
    _, pull = subject.start(plain)
    expected = vectors(spot, pull(fresh(spot)))
    ones = [np.broadcast_to(g.flat[0] if g.size else g, g.shape) for g in spot.gs]
    for label, gs in [*((label, [lay(g) for g in spot.gs]) for label, lay in LAYOUTS.items()), ("with strides of zero", ones)]:
        zero_stride = label == "with strides of zero"
        reference = vectors(spot, pull([np.array(g) for g in ones])) if zero_stride else expected
        yield from _same(spot, functools.partial(pull, gs), reference, f"for an incoming gradient {label}", zero_stride or label == "read-only")
    for label, lay in LAYOUTS.items():
        yield from _same(spot, functools.partial(_with_layout, lay, plain, spot), expected, f"for arguments {label}", label == "read-only")


def _same(spot: Spot, gradients: Callable[[], Sequence[Any]], expected: Any, when: str, read_only: bool) -> Iterator[Breach]:
    try:
        found = vectors(spot, gradients())
    except Exception as error:  # noqa: BLE001  whatever the rule raises is reported
        text = f"the gradient raises {when}: {first_line(error)}"
        yield Breach("needs writeable" if read_only else "memory layout", rule_failed(error, spot.subject).argument, text)
        return
    for name, part in zip(spot.subject.names, spot.inputs.parts, strict=True):
        a, b = found[part], expected[part]
        size = float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0))
        slack = 1e-8 * size + 8 * float(np.max(spot.claimed_noise()[part], initial=0.0))
        with np.errstate(all="ignore"):
            wrong = ~((np.abs(a - b) <= slack) | (a == b) | (np.isnan(a) & np.isnan(b)))
        if wrong.any():
            element = spot.inputs.place(part.start + int(np.flatnonzero(wrong)[0]))[1]
            yield Breach("memory layout", name, f"{when}, of the same values, the gradient of {name}{list(element)} is another one")


def _with_layout(lay: Callable[[Any], Any], plain: list[Any], spot: Spot) -> Any:
    return spot.subject.vjp([lay(a) for a in plain], fresh(spot))


def shared_memory(spot: Spot) -> Iterator[Breach]:
    """Gradients that are views of the arguments or of each other: changing one in place changes the other."""
    if getattr(spot.subject, "form", None) is None:
        return  # the engine itself takes care of it
    arrays, gs = spot.copies(), [g.copy() for g in spot.gs]
    results, pull = spot.subject.start(arrays)
    for name, a in zip(spot.subject.names, arrays, strict=True):
        if any(r.size and np.shares_memory(r, a) for r in results):
            yield Breach(
                "result shares memory", name, f"the result shares memory with {name}: changing one in place changes the other", serious=False
            )
    gradients = pull(gs)
    for i, (name, d) in enumerate(zip(spot.subject.names, gradients, strict=True)):
        for other, a in [*zip(spot.subject.names, arrays, strict=True), *((n, e) for n, e in zip(spot.subject.names[:i], gradients, strict=False))]:
            if d is not None and a is not None and d.size and np.shares_memory(d, a):
                yield Breach("shares memory", name, f"the gradient of {name} shares memory with {other} or its gradient", serious=False)
                break


def check_single_precision(subject: Subject, spot: Spot, *, asked: bool) -> Iterator[Breach]:
    """float32 in: float32 out, and gradients near those of float64.

    asked : the caller's own inputs are float32
    """
    narrow = [a.astype(np.complex64 if a.dtype.kind == "c" else np.float32) for a in spot.arrays]
    wide = [a.astype(b.dtype) for a, b in zip(narrow, spot.arrays, strict=True)]
    try:
        results, pull = subject.start(narrow)
        reference, pull_wide = subject.start(wide)
        if not all(np.isfinite(r).all() for r in results) or [r.shape for r in results] != [r.shape for r in reference]:
            return
        found = pull([g.astype(r.dtype) for g, r in zip(spot.gs, results, strict=True)])
        expected = vectors(spot, pull_wide([g.astype(r.dtype) for g, r in zip(spot.gs, reference, strict=True)]))
    except Exception as error:  # noqa: BLE001  float32 may be refused
        if asked:
            yield raised(error, subject, " for float32 arguments")
        return
    for name, a, d in zip(subject.names, narrow, found, strict=True):
        if asked and d is not None and d.dtype != a.dtype and d.dtype.kind in "fc":
            wider = d.dtype.itemsize > a.dtype.itemsize
            yield Breach("dtype", name, f"the gradient of {name} is {d.dtype} for an argument of dtype {a.dtype}", serious=not wider)
    if asked and any(r.dtype.itemsize > s.dtype.itemsize // 2 for r, s in zip(results, reference, strict=True) if s.dtype.itemsize >= 8):
        yield Breach("dtype", "", f"the value is {results[0].dtype} for float32 arguments", serious=False)
    given = vectors(spot, found)
    for name, part in zip(subject.names, spot.inputs.parts, strict=True):
        a, b = given[part], expected[part]
        usual = float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0))
        noise = float(np.max(spot.claimed_noise()[part], initial=0.0)) * 1e9
        with np.errstate(all="ignore"):
            gross = ~(np.abs(a - b) <= 0.02 * np.abs(b) + 0.002 * usual + noise) & np.isfinite(b) & (np.abs(b) < 1e37)
        if gross.any() and asked:
            element = spot.inputs.place(part.start + int(np.flatnonzero(gross)[0]))[1]
            yield Breach("float32", name, f"in float32 the gradient of {name}{list(element)} is far from that of float64")
