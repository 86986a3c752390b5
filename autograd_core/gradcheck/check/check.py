"""The whole check of one call: contract, values as given, own variations, second order; then the diagnosis."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_core.gradcheck.check.contract import check_contract, still_the_same
from autograd_core.gradcheck.check.layouts import check_single_precision
from autograd_core.gradcheck.diagnosis.breaches import Breach
from autograd_core.gradcheck.diagnosis.outcomes import Outcome
from autograd_core.gradcheck.inputs.shapes import shape_variations, smaller
from autograd_core.gradcheck.inputs.structure import kind_of, redrawn
from autograd_core.gradcheck.inputs.variations import (
    Variation,
    companion_variations,
    keyword_variations,
    name_of_argument,
    value_variations,
)
from autograd_core.gradcheck.numeric.directions import Directions, is_symmetric
from autograd_core.gradcheck.numeric.spots import RuleFailed, Skip, Spot
from autograd_core.gradcheck.numeric.values import Comparison, compare
from autograd_core.gradcheck.report.findings import conclude
from autograd_core.gradcheck.report.notes import Notes
from autograd_core.gradcheck.report.report import Report
from autograd_core.gradcheck.subjects.subjects import Subject

__all__ = ["Check"]

MANY = 400  # elements; the variations of larger calls are tried on smaller arrays
SAY_LITTLE = ("zero", "tie", "round", "same")  # topics that say nothing new of a gradient that is wrong at ordinary places
MOST_SECONDS = 2.5  # after which no further variation of a large call is begun that cannot be made small
LEAST_SECONDS = 0.25  # after so long a progress bar appears, on a terminal


def in_double(subject: Subject) -> Subject:
    """The same call in double precision."""
    return subject.at([a.astype(np.complex128 if a.dtype.kind == "c" else np.float64, order="K") for a in subject.arrays])


def without_labels(subject: Subject) -> Subject:
    """Of a hand-written pair, leave out zeros and ones (labels, masks) for which it says that there is no gradient."""
    if getattr(subject, "form", None) is None:
        return subject
    try:
        results, pull = subject.start([a.copy() for a in subject.arrays])
        gradients = pull([np.ones_like(r) for r in results])
    except Exception:  # noqa: BLE001  reported where it is looked for
        return subject
    labels = [d is None and kind_of(p.array, several=True) in ("categories", "one-hot") for p, d in zip(subject.places, gradients, strict=True)]
    return subject if all(labels) else subject.only([p for p, label in zip(subject.places, labels, strict=True) if not label])


class Check:
    """One call and everything that is found out about it."""

    def __init__(self, subject: Subject, *, order: int, seed: int, vary: bool, budget: float) -> None:
        self.given = subject
        self.companions = {i: a.copy() for i, a in enumerate(subject.args) if isinstance(a, np.ndarray) and a.dtype.kind not in "fc"}
        # Copies: a function that changes its labels in place changes none of the caller's.
        subject = subject.with_call([self.companions[i].copy() if i in self.companions else a for i, a in enumerate(subject.args)], subject.kwargs)
        self.subject = without_labels(in_double(subject))
        self.order = order
        self.vary = vary
        self.random = np.random.default_rng(seed)
        self.report = Report(subject.name, order, seed, arguments=list(subject.names))
        self.symmetric = set(subject.symmetric)
        self.outcomes: list[Outcome] = []
        self.breaches: list[Breach] = []
        self.notes = Notes()
        self.known_wrong: set[int] = set()
        self.elementwise = False
        self.started = time.perf_counter()
        self.budget = budget
        self.bar: Any = None
        self.bar_wanted = False

    def run(self, *, strict: bool = True) -> Report:
        """Everything, in the order in which it is worth knowing.

        strict : where nothing can be checked, raise instead of only noting it
        """
        base, spot = self._base(strict)
        if spot is None:
            return self.finished()
        self.breaches += self._changed_companions()
        small = self._smaller(spot) if spot.x.size + spot.y.size > MANY else None
        self._contract(small if small is not None and spot.is_large else spot)
        if not any(b.cause == "random" for b in self.breaches):
            self.elementwise = self.vary and treats_elements_alone(spot)
            self._compare(base, spot, every=True)
            if self.vary and spot.y.size:
                if small is not None:
                    self._compare(Variation("smaller arrays", "value", small.subject), small, every=True)
                self._variations(spot if small is None else small)
            self._higher_orders(spot)
            wrong = next((o for o in self.outcomes if o.order == 1 and o.spot is not None and o.comparison and o.comparison.disagreements), None)
            self.breaches += [] if any(b.serious for b in self.breaches) or wrong is None or wrong.spot is None else still_the_same(wrong.spot)
        return self.finished()

    def _base(self, strict: bool) -> tuple[Variation, Spot | None]:
        """The place as given; if the value is not finite there, one of other values. None if the gradient fails there.

        raises : what the function raises as given; TypeError if it returns no array, ValueError if it is finite nowhere
        """
        places = [Variation("as given", "given", self.subject, kinks=True)]
        if self.vary:
            if all(np.isfinite(a).all() for a in self.subject.arrays):
                places += itertools.islice(value_variations(self.subject, self.random, elementwise=False), 3)
            free = [redrawn(a, "free", self.random, sign="positive") for a in self.subject.arrays]
            places.append(Variation("positive values", "value", self.subject.at(free)))
        reasons: list[str] = []
        for base in places:
            try:
                return base, Spot(base.subject, base.label, self.random)
            except Skip as reason:
                if isinstance(reason.__cause__, Exception):
                    raise reason.__cause__ from None
                if strict and "returned no" in str(reason):
                    raise TypeError(f"gradcheck: {self.given.name}: {reason}, so there is nothing to differentiate") from None
                reasons.append(str(reason))
                self.notes.skip(base.label, str(reason))
            except RuleFailed as failure:
                self.outcomes.append(Outcome(base, failure=failure))
                return base, None
        if not strict:
            return places[0], None
        raise ValueError(f"gradcheck: {self.given.name} cannot be checked: {reasons[0]}; give arguments for which it is")

    def finished(self) -> Report:
        """The report, with the conclusions drawn."""
        if self.outcomes or self.breaches:
            conclude(self.report, self.given, self.outcomes, self.breaches, self.symmetric, elementwise=self.elementwise)
        if note := getattr(self.subject, "note", ""):
            self.report.notes.append(note)
        if any(a.dtype.itemsize < b.dtype.itemsize for a, b in zip(self.given.arrays, in_double(self.given).arrays, strict=True)):
            self.report.notes.append("single-precision arguments were checked in double precision, and the rule in single precision against that")
        self.report.notes += self.notes.lines()
        self.report.seconds = time.perf_counter() - self.started
        if self.bar is not None:
            self.bar.close()
        return self.report

    # --- the parts --------------------------------------------------------------------------------------------------------

    def _contract(self, spot: Spot) -> None:
        try:
            self.breaches += check_contract(spot, self.random)
        except Exception as error:  # noqa: BLE001  whatever a rule raises when it is called in an unusual way
            self.breaches.append(Breach("raises", "", f"the backward pass raised {type(error).__name__} when called again: {error}"))
        asked = any(a.dtype.itemsize < b.dtype.itemsize for a, b in zip(self.given.arrays, in_double(self.given).arrays, strict=True))
        self.breaches += check_single_precision(self.subject, spot, asked=asked)

    def _changed_companions(self) -> Iterator[Breach]:
        """Integer and boolean arguments that one forward or backward pass has changed in place."""
        for i, before in self.companions.items():
            if not np.array_equal(before, self.subject.args[i]):
                name = name_of_argument(self.subject, i)
                yield Breach(
                    "changes input", name, f"the argument {name} is changed in place (from {before.flat[0]}... to {self.subject.args[i].flat[0]}...)"
                )
                self.subject.args[i][...] = before

    def _compare(self, variation: Variation, spot: Spot, *, every: bool, order: int = 1) -> Comparison:
        """Compare at a spot; where a symmetric argument disagrees, its elements (i, j) and (j, i) are moved together."""

        def once(symmetric: set[int]) -> Comparison:
            directions = Directions(spot.inputs, spot.scale.copy(), symmetric)
            alone = self.elementwise and order == 1 and not symmetric and (variation.topic != "given" or spot.is_large)
            kinks, trials = variation.kinks and order == 1, 3 if order == 1 and not spot.is_large else 2
            return compare(spot, directions, self.random, elementwise=alone, every=every, trials=trials, kinks=kinks, known=self.known_wrong)

        found = once(self.symmetric)
        if found.disagreements:
            suspects = {spot.inputs.place(d.component)[0] for d in found.disagreements if d.component is not None} or set(range(len(spot.arrays)))
            tied = {i for i in suspects - self.symmetric if is_symmetric(spot.arrays[i])}
            if tied and not (again := once(self.symmetric | tied)).disagreements:
                self.symmetric |= tied
                names = ", ".join(spot.subject.names[i] for i in tied)
                self.report.notes.append(f"{names}: a symmetric argument, checked along symmetric directions")
                found = again
        if order == 1:
            # Not where it is nan or at a kink: that says nothing of other places.
            certain = [d.component for d in found.disagreements if d.component is not None and d.kind == "smooth"]
            self.known_wrong |= {spot.inputs.place(component)[0] for component in certain}
        self.report.compared += found.compared
        self.report.variations += 1
        for component, why in found.undecided:
            self.notes.undecided(variation.label, _place_of(spot, component), why)
        self.outcomes.append(Outcome(variation, spot, found, order=order))
        return found

    def _smaller(self, spot: Spot) -> Spot | None:
        """The call with few elements, or None if it does not take them."""
        small = smaller(spot.subject, self.random, spot.results)
        try:
            return None if small is None else Spot(small, "smaller arrays", self.random)
        except (Skip, RuleFailed):
            return None

    def _variations(self, spot: Spot) -> None:
        limit = min(self.budget, MOST_SECONDS) if spot.is_large else self.budget
        everything = set(range(len(spot.subject.names)))
        for variation in self._in_time(_all_variations(spot.subject, self.random, spot, elementwise=self.elementwise), limit):
            if variation.kinks and variation.topic in SAY_LITTLE and self.known_wrong >= everything:
                continue
            try:
                place = Spot(variation.subject, variation.label, self.random, eps=spot.eps, elementwise=self.elementwise)
                place.degenerate = variation.kinks
                self._compare(variation, place, every=variation.kinks and place.x.size <= 32)
            except Skip as reason:
                self.notes.skip(variation.label, str(reason))
            except RuleFailed as failure:
                if variation.topic == "batch" and failure.cause in ("raises", "shape"):
                    self.notes.skip(variation.label, "the gradient takes no such array")
                else:
                    self.outcomes.append(Outcome(variation, failure=failure))

    def _in_time(self, variations: Iterator[Variation], limit: float) -> Iterator[Variation]:
        """The variations while there is time; a progress bar if it takes long and somebody is looking."""
        for done, variation in enumerate(variations):
            elapsed = time.perf_counter() - self.started
            if elapsed > limit:
                self.report.notes.append(f"out of time after {limit:g} s: left unchecked from {variation.label!r} on (budget=...)")
                return
            if elapsed > LEAST_SECONDS and not self.bar_wanted and sys.stderr is not None and sys.stderr.isatty():
                self.bar_wanted = True
                self.bar = _progress_bar(self.report.name)
            if self.bar is not None:
                self.bar.n = done
                self.bar.refresh()
            yield variation

    def _higher_orders(self, spot: Spot) -> None:
        """The gradient's gradient, as given and at two variations; only where the first order is right."""
        if self.order < 2 or any(o.comparison is not None and o.comparison.disagreements for o in self.outcomes):
            return
        if not hasattr(spot.subject, "gradients"):
            self.report.notes.append("the second order of a hand-written pair cannot be checked: its gradient is plain NumPy")
            return
        wanted = ("as given", "smaller arrays", "one element zero")
        spots = {o.variation.label: o.spot for o in reversed(self.outcomes) if o.spot is not None and o.variation.label in wanted}
        for label in wanted:
            place = spots.get(label)
            if place is None or (place.x.size > 20 * MANY and "smaller arrays" in spots):
                continue
            if time.perf_counter() - self.started > self.budget:
                self.report.notes.append(f"out of time after {self.budget:g} s: the second order was left unchecked for {label}")
                return
            level: Subject | None = place.subject
            gs, eps = place.gs, place.eps
            for order in range(2, self.order + 1):
                level = level.derivative(gs) if level is not None else None
                if level is None:
                    break
                variation = Variation(label, "given" if label == "as given" else "value", level)
                try:
                    above = Spot(level, label, self.random, eps=eps)
                    found = self._compare(variation, above, every=False, order=order)
                except Skip as reason:
                    self.report.notes.append(f"order {order}, {label}: {reason}")
                    break
                except RuleFailed as failure:
                    self._failed_above(variation, failure, order)
                    return
                if found.disagreements:
                    return
                gs, eps = above.gs, max(eps, above.eps)

    def _failed_above(self, variation: Variation, failure: RuleFailed, order: int) -> None:
        """A rule that cannot be differentiated says so, loudly; one that gives something of the wrong form is wrong."""
        if failure.cause == "raises":
            self.report.notes.append(f"order {order} could not be checked: {failure}")
        else:
            self.outcomes.append(Outcome(variation, failure=failure, order=order))


def _all_variations(subject: Subject, random: np.random.Generator, spot: Spot, *, elementwise: bool) -> Iterator[Variation]:
    yield from value_variations(subject, random, elementwise=elementwise)
    if subject.own_rule:
        yield from companion_variations(subject, random)
        yield from keyword_variations(subject, random)
        yield from shape_variations(subject, random, spot.results, elementwise=elementwise)


def _place_of(spot: Spot, component: int | None) -> str:
    if component is None:
        return ""
    i, element, _ = spot.inputs.place(component)
    return f"{spot.subject.names[i]}{list(element)}" if element else spot.subject.names[i]


def treats_elements_alone(spot: Spot) -> bool:
    """Whether, as far as a few trials show, each element of the result depends on the elements at its own place only."""
    if len(spot.results) != 1 or any(a.shape != spot.results[0].shape or a.dtype.kind == "c" for a in [*spot.arrays, *spot.results]):
        return False
    for part in spot.inputs.parts:
        for component in np.random.default_rng(0).permutation(np.arange(part.start, part.stop))[:6]:
            moved = spot.x.copy()
            moved[component] += 0.01 * spot.scale[component]
            try:
                changed = np.flatnonzero(spot.function(moved) != spot.y)
            except Exception:  # noqa: BLE001  outside of the domain
                return False
            if not set(changed.tolist()) <= {int(component) - part.start}:
                return False
    return spot.x.size > 0


def _progress_bar(name: str) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(desc=f"gradcheck of {name}", unit=" places", leave=False)
