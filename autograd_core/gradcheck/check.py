"""The whole check of one call: contract, values as given, own variations, second order; then the diagnosis."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from autograd_core.gradcheck.contract import Breach, check_contract, check_single_precision
from autograd_core.gradcheck.diagnosis import Diagnosis, Outcome, diagnose
from autograd_core.gradcheck.directions import Directions, is_symmetric
from autograd_core.gradcheck.guessing import guessed_calls
from autograd_core.gradcheck.pairs import pair
from autograd_core.gradcheck.report import Finding, Report
from autograd_core.gradcheck.reproducer import reproducer
from autograd_core.gradcheck.shapes import shape_variations, smaller
from autograd_core.gradcheck.spots import RuleFailed, Skip, Spot, incoming_gradient
from autograd_core.gradcheck.structure import kind_of
from autograd_core.gradcheck.subjects import Subject, name_of, traced
from autograd_core.gradcheck.values import Comparison, Disagreement, compare
from autograd_core.gradcheck.variations import Variation, keyword_variations, value_variations

__all__ = ["check_call", "check_subject", "incoming_gradient"]

MANY = 400  # elements; the variations of larger calls are tried on smaller arrays
LEAST_SECONDS = 0.25  # after so long a progress bar appears, on a terminal


def subject_of(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Subject:
    """What is checked: a pair (forward, backward) of plain functions, or anything that this library differentiates."""
    if isinstance(function, tuple) and len(function) == 2 and all(map(callable, function)):
        return pair(*function, args, kwargs)
    if not callable(function) and not hasattr(function, "function"):
        raise TypeError(f"gradcheck: {function!r} is no function; pass one, or a pair (forward, backward)")
    return traced(function, args, kwargs)


def check_call(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any], *, order: int, seed: int, vary: bool, budget: float) -> Report:
    """Check `function(*args, **kwargs)`, or calls of the checker's own making if no argument is given; see `gradcheck`."""
    with undisturbed():
        if args or kwargs:
            return Check(subject_of(function, args, kwargs), order=order, seed=seed, vary=vary, budget=budget).run()
        calls = guessed_calls(function, lambda a, k: subject_of(function, a, k), seed)
        reports: list[Report] = []
        started = time.perf_counter()
        for call in calls:
            left = budget - (time.perf_counter() - started)
            if left <= 0:
                reports[-1].notes.append(f"out of time: {len(calls) - len(reports)} of {len(calls)} sample calls were not checked")
                break
            reports.append(Check(subject_of(function, call.args, call.kwargs), order=order, seed=seed, vary=vary, budget=left).run())
            if not reports[-1]:
                break
        return merged(reports)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever happens inside: no warnings, and NumPy's error and random state as they were."""
    state = np.random.get_state()  # noqa: NPY002  the global state that the function under test may use
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002


def merged(reports: Sequence[Report]) -> Report:
    """One report of several calls of the same function: that of the first wrong one, with everything counted."""
    chosen = next((r for r in reports if not r), reports[0])
    chosen.compared = sum(r.compared for r in reports)
    chosen.variations = sum(r.variations for r in reports)
    chosen.seconds = sum(r.seconds for r in reports)
    if chosen:
        chosen.notes = [note for r in reports for note in r.notes]
        chosen.warnings = [w for r in reports for w in r.warnings]
    return chosen


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
        self.subject = without_labels(in_double(subject))
        self.order = order
        self.vary = vary
        self.random = np.random.default_rng(seed)
        self.report = Report(subject.name, order, seed, arguments=list(subject.names))
        self.symmetric = set(subject.symmetric)
        self.outcomes: list[Outcome] = []
        self.breaches: list[Breach] = []
        self.elementwise = False
        self.started = time.perf_counter()
        self.budget = budget
        self.bar: Any = None

    def run(self) -> Report:
        """Everything, in the order in which it is worth knowing."""
        base = Variation("as given", "given", self.subject, kinks=True)
        try:
            spot = Spot(self.subject, base.label, self.random)
        except Skip as reason:
            cause = reason.__cause__
            if isinstance(cause, Exception):
                raise cause
            self.report.notes.append(f"as given: {reason}")
            return self.finished()
        except RuleFailed as failure:
            self.outcomes.append(Outcome(base, failure=failure))
            self._conclude()
            return self.finished()
        self._contract(spot)
        if not any(b.cause == "random" for b in self.breaches):
            self.elementwise = self.vary and treats_elements_alone(spot)
            self._compare(base, spot, every=True)
            if self.vary and spot.y.size:
                self._variations(spot)
            self._higher_orders(spot)
        self._conclude()
        return self.finished()

    def finished(self) -> Report:
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

    def _compare(self, variation: Variation, spot: Spot, *, every: bool, order: int = 1) -> Comparison:
        """Compare at a spot; where a symmetric argument disagrees, its elements (i, j) and (j, i) are moved together."""

        def once(symmetric: set[int]) -> Comparison:
            directions = Directions(spot.inputs, spot.scale.copy(), symmetric)
            alone = self.elementwise and order == 1 and not symmetric
            return compare(spot, directions, self.random, elementwise=alone and variation.topic != "given", every=every, trials=3 if order == 1 else 2, kinks=variation.kinks and order == 1)

        found = once(self.symmetric)
        if found.disagreements:
            suspects = {spot.inputs.place(d.component)[0] for d in found.disagreements if d.component is not None} or set(range(len(spot.arrays)))
            tied = {i for i in suspects - self.symmetric if is_symmetric(spot.arrays[i])}
            if tied and not (again := once(self.symmetric | tied)).disagreements:
                self.symmetric |= tied
                self.report.notes.append(f"{', '.join(spot.subject.names[i] for i in tied)}: a symmetric argument, checked along symmetric directions")
                found = again
        self.report.compared += found.compared
        self.report.variations += 1
        self.report.notes += [f"{variation.label}: {_place_of(spot, component)}inconclusive, {why}" for component, why in found.undecided]
        self.outcomes.append(Outcome(variation, spot, found, order=order))
        return found

    def _variations(self, spot: Spot) -> None:
        subject = self.subject
        if spot.x.size + spot.y.size > MANY:
            small = smaller(subject, self.random, spot.results)
            if small is not None:
                subject = small
                try:
                    spot = Spot(small, "smaller arrays", self.random)
                    self._compare(Variation("smaller arrays", "value", small), spot, every=True)
                except (Skip, RuleFailed):
                    return
        skipped: list[str] = []
        for variation in self._in_time(_all_variations(subject, self.random, spot, elementwise=self.elementwise)):
            try:
                place = Spot(variation.subject, variation.label, self.random, elementwise=self.elementwise)
                place.degenerate = variation.kinks
                self._compare(variation, place, every=variation.kinks and place.x.size <= 32)
            except Skip as reason:
                skipped.append(f"{variation.label} ({reason})")
            except RuleFailed as failure:
                self.outcomes.append(Outcome(variation, failure=failure))
        if skipped:
            self.report.notes.append("skipped: " + "; ".join(skipped))

    def _in_time(self, variations: Iterator[Variation]) -> Iterator[Variation]:
        """The variations while there is time; a progress bar if it takes long and somebody is looking."""
        for done, variation in enumerate(variations):
            elapsed = time.perf_counter() - self.started
            if elapsed > self.budget:
                self.report.notes.append(f"out of time after {self.budget:g} s: left unchecked from {variation.label!r} on (budget=...)")
                return
            if elapsed > LEAST_SECONDS and self.bar is None and sys.stderr is not None and sys.stderr.isatty():
                self.bar = _progress_bar(self.report.name)
            if self.bar:
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
        """A rule that refuses to be differentiated says so; one that breaks is wrong."""
        refused = isinstance(failure.__cause__, TypeError | RuntimeError | NotImplementedError) and failure.cause == "raises"
        if refused:
            self.report.notes.append(f"order {order} could not be checked: {failure}")
        else:
            self.outcomes.append(Outcome(variation, failure=failure, order=order))

    # --- the conclusions --------------------------------------------------------------------------------------------------

    def _conclude(self) -> None:
        findings = [self._of_breach(b) for b in self.breaches]
        findings += [self._of_failure(o) for o in self.outcomes if o.failure is not None]
        found = {f.argument for f in findings if f.serious and f.cause in ("ignores incoming gradient", "not linear", "stale state", "random")}
        for order in range(1, self.order + 1):
            outcomes = [o for o in self.outcomes if o.order == order]
            spots = [o.spot for o in outcomes if o.spot is not None]
            for i, name in enumerate(spots[0].subject.names if spots else []):
                if name not in found and any(o.disagreements(i) for o in outcomes):
                    findings.append(self._of_values(outcomes, i, order))
        seen: set[tuple[str, str]] = set()
        for finding in sorted(findings, key=_rank):
            key = (finding.cause, finding.argument)
            if key not in seen:
                seen.add(key)
                (self.report.findings if finding.serious else self.report.warnings).append(finding)
        causes = {f.cause for f in self.report.findings}
        if causes & {"changes input", "changes incoming gradient"}:  # read-only arrays refuse to be changed: the same thing
            self.report.findings = [f for f in self.report.findings if f.cause != "needs writeable"]

    def _of_breach(self, breach: Breach) -> Finding:
        return Finding(1, breach.argument, (), breach.cause, breach.text, serious=breach.serious)

    def _of_failure(self, outcome: Outcome) -> Finding:
        failure, variation = outcome.failure, outcome.variation
        assert failure is not None
        topic_causes = {
            "broadcast": "missing sum over a broadcast axis", "unequal": "unequal dimensions", "empty": "empty", "shape": "shape of argument",
            "keyword": "keyword", "index": "repeated indices", "longer": "size", "single": "size",
        }  # fmt: skip
        cause = topic_causes.get(variation.topic, failure.cause)
        if failure.cause == "shape" and variation.topic in ("given", "value"):
            cause = _shape_cause(variation.subject, failure)
        argument = failure.argument or (variation.subject.names[0] if len(variation.subject.names) == 1 else "")
        if variation.topic == "broadcast" and not argument:
            argument = variation.label.split(" ")[0]
        order = "" if outcome.order == 1 else f"order {outcome.order}: "
        where = f"the gradient of {argument}: " if argument else ""
        return Finding(outcome.order, argument, (), cause, f"{order}{where}{failure}", variation=variation.label, serious=self._is_firm(outcome))

    def _is_firm(self, outcome: Outcome) -> bool:
        """A hand-written pair that does not undo a broadcast which nobody asked for is only warned about: it fails loudly."""
        assert outcome.failure is not None
        unasked = outcome.variation.topic == "broadcast" and outcome.failure.cause in ("shape", "raises")
        # Loud, and at a place that nobody asked for: a decomposition refuses equal eigenvalues, a table a parameter.
        loud = outcome.variation.topic in ("zero", "tie", "same", "round", "keyword") and outcome.failure.cause == "raises"
        return outcome.variation.firm and not unasked and not loud

    def _of_values(self, outcomes: Sequence[Outcome], argument: int, order: int) -> Finding:
        wrong = [o for o in outcomes if o.disagreements(argument)]
        first = wrong[0]
        spot, comparison = first.spot, first.comparison
        assert spot is not None
        assert comparison is not None
        name = spot.subject.names[argument]
        worst = max(first.disagreements(argument), key=_badness)
        diagnosis = self._diagnosis(outcomes, argument, order)
        element, part = _element(worst)
        value = spot.arrays[argument][element] if worst.component is not None else None
        what = "gradient" if order == 1 else f"derivative of order {order}"
        place = f" at {name}{list(element)}" if element else ""
        side = f" ({part} part)" if part else ""
        along = "" if worst.component is not None else ", when several elements are moved together"
        text = f"the {what} of {spot.subject.name} with respect to {name} is wrong{place}{side}{along}"
        compared = int(spot.inputs.parts[argument].stop - spot.inputs.parts[argument].start)
        agreed = comparison.agreed[spot.inputs.parts[argument]] if comparison.agreed is not None else None
        count = int((~agreed).sum()) if agreed is not None else len(first.disagreements(argument))
        return Finding(
            order, name, element, diagnosis.cause, text, diagnosis.evidence, worst.given, worst.expected, worst.bound, value,
            first.variation.label, [o.variation.label for o in wrong[1:]], count, compared, serious=self._is_serious(wrong, argument),
            reproducer=reproducer(spot.subject, argument, self.symmetric, order=order, seed=self.report.seed, call=self._called()) if order == 1 else "",
            errors=_errors(spot, argument),
        )  # fmt: skip

    def _is_serious(self, wrong: Sequence[Outcome], argument: int) -> bool:
        """nan at places of the checker's own making is a composition's right (inf * 0 in the chain rule), not a rule's; at a kink
        it is a rule's right too (the norm at 0), but not of an elementwise function of one argument."""
        kinds = {d.kind for o in wrong for d in o.disagreements(argument)}
        if wrong[0].variation.label == "as given" or not kinds <= {"nan", "nan at a kink", "infinite"}:
            return True
        return self.subject.own_rule and (kinds != {"nan at a kink"} or (self.elementwise and len(self.subject.places) == 1))

    def _diagnosis(self, outcomes: Sequence[Outcome], argument: int, order: int) -> Diagnosis:
        if order > 1:
            return Diagnosis("second order", "")
        return diagnose(outcomes, argument)

    def _called(self) -> str:
        backward = getattr(self.given, "backward", None)
        return self.given.name if backward is None else f"({self.given.name}, {name_of(backward)})"


def _all_variations(subject: Subject, random: np.random.Generator, spot: Spot, *, elementwise: bool) -> Iterator[Variation]:
    yield from value_variations(subject, random, elementwise=elementwise)
    if subject.own_rule:
        yield from keyword_variations(subject, random)
        yield from shape_variations(subject, random, spot.results, elementwise=elementwise)


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


def check_subject(subject: Subject, *, order: int, seed: int) -> Report:
    """Check the derivatives of `subject` at its own arrays, and nowhere else."""
    with undisturbed():
        return Check(subject, order=order, seed=seed, vary=False, budget=60.0).run()


def _rank(finding: Finding) -> tuple[int, int, int]:
    """Findings in the order in which they are worth reading: what explains others first."""
    first = ("random", "changes input", "changes incoming gradient", "stale state", "second backward", "ignores incoming gradient", "not linear", "shape", "dtype")
    last = ("needs writeable", "memory layout", "empty", "shape of argument", "raises", "float32")
    place = first.index(finding.cause) - len(first) if finding.cause in first else 1 + last.index(finding.cause) if finding.cause in last else 0
    if finding.cause in ("unequal dimensions", "missing sum over a broadcast axis") and finding.given is None and finding.variation != "as given":
        place = 1  # an exception at a shape tells less than numbers do
    return finding.order, place, 0 if finding.variation == "as given" else 1


def _badness(d: Disagreement) -> float:
    gap = abs(d.given - d.expected)
    return float("inf") if not np.isfinite(gap) else gap / (d.bound + 1e-9 * max(abs(d.given), abs(d.expected)) + 1e-300) * max(abs(d.given), abs(d.expected), 1e-300)


def _element(d: Disagreement) -> tuple[tuple[int, ...], str]:
    if d.component is None:
        return (), ""
    _, element, part = d.spot.inputs.place(d.component)
    return element, part


def _place_of(spot: Spot, component: int | None) -> str:
    if component is None:
        return ""
    i, element, _ = spot.inputs.place(component)
    return f"{spot.subject.names[i]}{list(element)} "


def _shape_cause(subject: Subject, failure: RuleFailed) -> str:
    """A gradient of the wrong shape: (n, n) from (n,) and (n, 1)? Not summed over a broadcast axis? Transposed?"""
    shapes = [a.shape for a in _arrays_of(subject)]
    flat = {s[0] for s in shapes if len(s) == 1 and s[0] > 1}
    columns = {s[0] for s in shapes if len(s) == 2 and s[1] == 1 and s[0] > 1}
    text = str(failure)
    if any(f"({n}, {n})" in text for n in flat & columns):
        return "accidental broadcast"
    place = next((a for name, a in zip(subject.names, subject.arrays, strict=True) if name == failure.argument), None)
    if place is not None and place.ndim >= 2 and str(place.shape[::-1]) in text and place.shape != place.shape[::-1]:
        return "transpose"
    results = {r.shape for r in subject.value([a.copy() for a in subject.arrays])}
    if place is not None and any(str(r) in text and len(r) >= place.ndim and r != place.shape and _broadcasts(place.shape, r) for r in results):
        return "missing sum over a broadcast axis"
    return "shape"


def _broadcasts(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    return len(small) <= len(large) and all(n in (1, m) for n, m in zip(small[::-1], large[::-1], strict=False))


def _arrays_of(subject: Subject) -> list[Any]:
    return [*subject.arrays, *(a for a in [*subject.args, *subject.kwargs.values()] if isinstance(a, np.ndarray))]


def _errors(spot: Spot, argument: int) -> Any:
    """|given - expected| per element of a small argument, for the heat map."""
    part = spot.inputs.parts[argument]
    if part.stop - part.start > 4096 or spot.arrays[argument].dtype.kind == "c":
        return None
    from autograd_core.gradcheck.differences import central_derivatives

    rows = np.zeros((part.stop - part.start, spot.x.size))
    rows[:, part] = np.diag(spot.scale[part])
    found = central_derivatives(spot.function, spot.x, rows, spot.g, spot.y, spot.eps)
    return np.abs(spot.claimed[part] - found.estimate / spot.scale[part]).reshape(spot.arrays[argument].shape)


def _progress_bar(name: str) -> Any:
    try:
        from tqdm import tqdm
    except ImportError:
        return False
    return tqdm(desc=f"gradcheck of {name}", unit=" places", leave=False)


