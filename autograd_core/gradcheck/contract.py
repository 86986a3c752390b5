"""What every backward pass must keep to, whatever the numbers: the contract between a rule and those who call it.

Nothing that it is given may be changed; the same call gives the same bits; a second backward call, or another forward pass in
between, changes nothing; the gradient is linear in the incoming one, and takes it in any memory layout, read-only too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_core.gradcheck.spots import RuleFailed, Spot, first_line, incoming_gradient, rule_failed
from autograd_core.gradcheck.subjects import Subject, as_arrays, leaf

__all__ = ["Breach", "check_contract", "check_single_precision", "still_the_same"]


AGAIN = 12  # how often a wrong gradient is computed again


@dataclass
class Breach:
    """Something that is against the contract.

    cause      a word of diagnosis.CAUSES
    argument   its name, or "" if it is none's
    serious    False for what is only worth a warning
    """

    cause: str
    argument: str
    text: str
    serious: bool = True


def bits(arrays: Sequence[Any]) -> list[bytes]:
    """The arrays' contents, to compare to the bit."""
    return [b"" if a is None else np.asarray(a).tobytes() for a in arrays]


def fresh(spot: Spot) -> list[Any]:
    """The incoming gradients as copies, which a rule may spoil."""
    return [g.copy() for g in spot.gs]


def check_contract(spot: Spot, random: np.random.Generator) -> Iterator[Breach]:
    """What is against the contract at `spot`; the values of the gradient are not looked at."""
    subject = spot.subject
    changes = list(_changes(spot))
    yield from changes
    if changes:
        return  # whatever else is unusual follows from that
    random_one = next(_not_repeatable(spot), None)
    if random_one is not None:
        yield random_one
        return
    yield from _stale(spot, random)
    yield from _nonlinear(spot, random)
    yield from _layouts(spot, random)
    if subject.own_rule:
        yield from _shared_memory(spot)


def _changes(spot: Spot) -> Iterator[Breach]:
    """Arguments, incoming gradients and results changed in place."""
    subject, names = spot.subject, spot.subject.names
    arrays = spot.copies()
    before = bits(arrays)
    results, pull = subject.start(arrays)
    for name, a, b in zip(names, bits(arrays), before, strict=True):
        if a != b:
            yield Breach("changes input", name, f"the forward pass changes its argument {name} in place")
    arrays = spot.copies()
    results, pull = subject.start(arrays)
    forward = bits(arrays)
    values = bits(results)
    gs = [g.copy() for g in spot.gs]
    try:
        pull(gs)
    except Exception as error:  # noqa: BLE001  whatever the rule raises is reported
        yield _raised(error, subject, "")
        return
    for name, a, b in zip(names, bits(arrays), forward, strict=True):
        if a != b:
            yield Breach("changes input", name, f"the backward pass changes the argument {name} in place")
    if bits(gs) != bits(spot.gs):
        guilty = _who_changes(spot)
        of = f" for {guilty}" if guilty else ""
        yield Breach("changes incoming gradient", guilty, f"the backward pass{of} changes the incoming gradient in place")
    if bits(results) != values:
        yield Breach("changes result", "", "the backward pass changes the result in place")


def _who_changes(spot: Spot) -> str:
    """The first argument whose rule alone changes the incoming gradient."""
    for place in spot.subject.places:
        gs = fresh(spot)
        try:
            spot.subject.only([place]).vjp([place.array.copy()], gs)
        except Exception:  # noqa: BLE001  alone it may not work
            continue
        if bits(gs) != bits(spot.gs):
            return place.name
    return ""


def _not_repeatable(spot: Spot) -> Iterator[Breach]:
    """The same forward and backward pass again, bit for bit."""
    subject = spot.subject
    first, pull = subject.start(spot.copies())
    values, gradients = bits(first), pull(fresh(spot))
    again, pull_again = subject.start(spot.copies())
    if bits(again) != values:
        yield Breach("random", "", "two forward passes at the same place give different values: the function is random or keeps state")
        return
    for name, a, b in zip(subject.names, bits(gradients), bits(pull_again(spot.gs)), strict=True):
        if a != b:
            yield Breach("random", name, f"two backward passes at the same place give different gradients of {name}: it is random or keeps state")


def still_the_same(spot: Spot) -> Iterator[Breach]:
    """Of a gradient that is wrong at a spot: whether it is so each time, or came out by chance or by a hidden count."""
    for _ in range(AGAIN):
        try:
            again = spot.gradient(spot.copies(), spot.gs)
        except RuleFailed:
            return
        for name, part in zip(spot.subject.names, spot.inputs.parts, strict=True):
            if again[part].tobytes() != spot.claimed[part].tobytes():
                yield Breach("random", name, f"the gradient of {name} at the same place is another one later: it is random or keeps state")
                return


def _stale(spot: Spot, random: np.random.Generator) -> Iterator[Breach]:
    """State left behind: a second backward call, and another forward pass before the backward pass."""
    subject = spot.subject
    results, pull = subject.start(spot.copies())
    first = pull(fresh(spot))
    values, expected = bits(results), bits(first)
    for name, a, b in zip(subject.names, bits(pull(fresh(spot))), expected, strict=True):
        if a != b:
            yield Breach("second backward", name, f"a second backward call after one forward pass gives another gradient of {name}")
            return
    other_gs = [incoming_gradient(random, r) for r in spot.results]
    pull(other_gs)
    for name, a, b in zip(subject.names, bits(first), expected, strict=True):
        if a != b:
            yield Breach("stale state", name, f"the gradient of {name} is changed by the next backward call: both are one buffer")
    yield from _used_twice(spot, first)
    if getattr(subject, "form", None) == ["g"]:
        return  # an object that keeps its inputs: one forward pass, then its backward pass, is how it is used
    results, pull = subject.start(spot.copies())
    try:
        subject.start([a * 1.25 + 0.125 if a.size else a for a in spot.copies()])
    except Exception:  # noqa: BLE001  not defined there: then nothing was computed in between
        return
    if bits(results) != values:
        yield Breach("stale state", "", "the result is overwritten by the next forward pass: both are one buffer")
    for name, a, b in zip(subject.names, bits(pull(fresh(spot))), expected, strict=True):
        if a != b:
            yield Breach("stale state", name, f"another forward pass before the backward pass changes the gradient of {name}: state is left behind")


def _used_twice(spot: Spot, first: Sequence[Any]) -> Iterator[Breach]:
    """Two calls in one graph, whose gradients are added up: a rule that returns a buffer of its own overwrites the first."""
    subject = spot.subject
    if getattr(subject, "operation", None) is None or all(d is None for d in first):
        return
    leaves = [leaf(a) for a in spot.copies()]
    outputs = [*subject.call(leaves), *subject.call(leaves)]  # type: ignore[attr-defined]
    both = as_arrays(subject.gradients(leaves, [*fresh(spot), *(2 * g for g in spot.gs)], outputs=outputs))  # type: ignore[attr-defined]
    apart = subject.vjp(spot.copies(), [2 * g for g in spot.gs])
    for name, once, other, twice in zip(subject.names, first, apart, both, strict=True):
        if once is None or other is None or twice is None or not np.isfinite(once).all():
            continue
        if np.any(np.abs(twice - once - other) > 1e-6 * np.abs(once).max(initial=0.0) + 16 * float(spot.claimed_noise().max(initial=0.0))):
            yield Breach("stale state", name, f"two calls in one graph give a wrong sum of their gradients of {name}: both are one buffer")
            return


def _nonlinear(spot: Spot, random: np.random.Generator) -> Iterator[Breach]:
    """Gradients are linear in the incoming one: g -> a g1 + b g2, zero, and large ones."""
    subject = spot.subject
    gs = spot.gs
    others = [incoming_gradient(random, r) for r in spot.results]
    _, pull = subject.start(spot.copies())
    one, two = vectors(spot, pull(gs)), vectors(spot, pull(others))
    zero = vectors(spot, pull([0 * g for g in gs]))
    mixed = vectors(spot, pull([3 * a - 0.5 * b for a, b in zip(gs, others, strict=True)]))
    large = vectors(spot, pull([-1e4 * g for g in gs]))
    for name, part in zip(subject.names, spot.inputs.parts, strict=True):
        a, b, z, m, big = one[part], two[part], zero[part], mixed[part], large[part]
        finite = np.isfinite(a) & np.isfinite(b)
        digit = _last_digit(a[finite])
        big = np.where(np.isfinite(big) | (digit < 1e-3), big, -1e4 * a)  # half precision ends at 65504
        if not finite.any():
            continue
        size = float(np.max((3 * np.abs(a) + np.abs(b))[finite], initial=0.0))
        # What rounding can do, by how much the gradient answers to the last digits of its own incoming gradient.
        slack = 4 * digit * size + float(np.max(spot.claimed_noise()[part], initial=0.0)) * 8
        if np.array_equal(a, b) and a.any():
            yield Breach("ignores incoming gradient", name, f"the gradient of {name} is the same for every incoming gradient")
        elif np.any(np.abs(z)[finite] > slack):
            yield Breach("not linear", name, f"an incoming gradient of zero gives a gradient of {name} that is not zero")
        elif np.any(~(np.abs(m - 3 * a + 0.5 * b) <= slack)[finite]) or np.any(~(np.abs(big + 1e4 * a) <= 1e4 * slack)[finite]):
            yield Breach("not linear", name, f"the gradient of {name} is not linear in the incoming gradient{_shape_of_it(a, big, finite)}")


def _last_digit(a: Any) -> float:
    """How coarse the numbers are: those of a rule that computes in half or single precision are linear only so far."""
    if np.array_equal(a.astype(np.float16).astype(a.dtype), a):
        return 1e-3
    return 1e-7 if np.array_equal(a.astype(np.float32).astype(a.dtype), a) else 2.5e-8


def _shape_of_it(a: Any, big: Any, finite: Any) -> str:
    with np.errstate(all="ignore"):
        ratio = np.abs(big[finite]) / np.abs(a[finite])
    middle = float(np.median(ratio[np.isfinite(ratio)])) if np.isfinite(ratio).any() else 0.0
    if 0.9e8 < middle < 1.1e8:
        return ": it grows like its square"
    if middle < 5e3:
        return ": large ones are clipped, or only their sign counts"
    return ": its absolute value is taken" if np.allclose(big[finite], 1e4 * a[finite]) else ""


def vectors(spot: Spot, gradients: Sequence[Any]) -> Any:
    """Gradients as one real vector; what has the wrong shape counts as nan."""
    try:
        return spot.inputs.join(gradients)
    except ValueError:
        return np.full(spot.x.size, np.nan)


def _raised(error: Exception, subject: Subject, when: str) -> Breach:
    failure = error if isinstance(error, RuleFailed) else rule_failed(error, subject)
    cause = "changes input" if "changed in place" in str(error) else failure.cause
    return Breach(cause, failure.argument, f"{failure}{when}")


# --- memory layouts --------------------------------------------------------------------------------------------------------


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


def _layouts(spot: Spot, random: np.random.Generator) -> Iterator[Breach]:
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


def _shared_memory(spot: Spot) -> Iterator[Breach]:
    """Gradients that are views of the arguments or of each other: changing one in place changes the other."""
    if getattr(spot.subject, "form", None) is None:
        return  # the engine itself takes care of it
    arrays, gs = spot.copies(), [g.copy() for g in spot.gs]
    _, pull = spot.subject.start(arrays)
    gradients = pull(gs)
    for i, (name, d) in enumerate(zip(spot.subject.names, gradients, strict=True)):
        for other, a in [*zip(spot.subject.names, arrays, strict=True), *((n, e) for n, e in zip(spot.subject.names[:i], gradients, strict=False))]:
            if d is not None and a is not None and d.size and np.shares_memory(d, a):
                yield Breach("shares memory", name, f"the gradient of {name} shares memory with {other} or its gradient", serious=False)
                break


# --- single precision ------------------------------------------------------------------------------------------------------


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
            yield _raised(error, subject, " for float32 arguments")
        return
    for name, a, d in zip(subject.names, narrow, found, strict=True):
        if asked and d is not None and d.dtype != a.dtype and d.dtype.kind in "fc":
            yield Breach("dtype", name, f"the gradient of {name} is {d.dtype} for an argument of dtype {a.dtype}")
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


def _with_layout(lay: Callable[[Any], Any], plain: list[Any], spot: Spot) -> Any:
    return spot.subject.vjp([lay(a) for a in plain], fresh(spot))
