"""What every backward pass must keep to, whatever the numbers: the contract between a rule and those who call it.

Nothing that it is given may be changed; the same call gives the same bits; a second backward call, or another forward pass in
between, changes nothing; the gradient is linear in the incoming one, and takes it in any memory layout, read-only too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.check.layouts import layouts, shared_memory
from autograd_core.gradcheck.diagnosis.breaches import Breach, bits, fresh, raised, vectors
from autograd_core.gradcheck.numeric.spots import RuleFailed, Spot, incoming_gradient
from autograd_core.gradcheck.subjects.subjects import as_arrays, leaf

__all__ = ["check_contract", "still_the_same"]


AGAIN = 12  # how often a wrong gradient is computed again


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
    yield from layouts(spot, random)
    if subject.own_rule:
        yield from shared_memory(spot)


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
        yield raised(error, subject, "")
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
        slack = 4 * digit * size + float(np.max(spot.claimed_noise()[part], initial=0.0)) * 8 + 4 * spot.rounding_at_most()
        slack += 1e-12 * float(np.max(np.abs(spot.g), initial=0.0)) * float(np.max(np.abs(spot.y), initial=0.0)) / float(np.max(spot.scale))
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
