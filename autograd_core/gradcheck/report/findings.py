"""From everything that came out to what the report says: the findings, in the order in which they are worth reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_core.gradcheck.diagnosis.breaches import Breach
from autograd_core.gradcheck.diagnosis.diagnosis import diagnose
from autograd_core.gradcheck.diagnosis.outcomes import Diagnosis, Outcome
from autograd_core.gradcheck.numeric.differences import central_derivatives
from autograd_core.gradcheck.numeric.spots import RuleFailed, Spot
from autograd_core.gradcheck.numeric.verdicts import Disagreement
from autograd_core.gradcheck.report.report import Finding, Report
from autograd_core.gradcheck.report.reproducer import as_call, reproducer
from autograd_core.gradcheck.subjects.subjects import Subject, name_of
from autograd_core.tensor.protocols import full_name

__all__ = ["conclude"]

# Causes that a breach of the contract names, and that show in the numbers too.
TOLD_BY_CONTRACT = ("ignores incoming gradient", "not linear")
EXPLAIN_ALL = (
    "random",
    "changes input",
    "changes incoming gradient",
    "stale state",
    "second backward",
    "ignores incoming gradient",
    "not linear",
    "shape",
    "dtype",
)
EXPLAIN_LITTLE = ("needs writeable", "memory layout", "empty", "shape of argument", "raises", "float32")
CAUSES_OF_TOPICS = {
    "broadcast": "missing sum over a broadcast axis", "unequal": "unequal dimensions", "empty": "empty", "shape": "shape of argument",
    "keyword": "keyword", "index": "repeated indices", "longer": "size", "single": "size",
    "negative index": "negative index", "order of indices": "order of indices", "mask": "mask value", "batch": "batch axis",
}  # fmt: skip


def conclude(
    report: Report, given: Subject, outcomes: Sequence[Outcome], breaches: Sequence[Breach], symmetric: set[int], *, elementwise: bool
) -> None:
    """Fill in the findings and warnings of `report`.

    given : the subject as it was given; symmetric: which arguments are; elementwise: it treats each element by itself
    """
    _Conclusions(report, given, outcomes, breaches, symmetric, elementwise).draw()


class _Conclusions:
    def __init__(
        self, report: Report, given: Subject, outcomes: Sequence[Outcome], breaches: Sequence[Breach], symmetric: set[int], elementwise: bool
    ) -> None:
        self.report = report
        self.given = given
        self.outcomes = outcomes
        self.breaches = breaches
        self.symmetric = symmetric
        self.elementwise = elementwise
        self.reproduced = False

    def draw(self) -> None:
        findings: list[Finding] = []
        told = {b.argument: Diagnosis(b.cause, b.text) for b in self.breaches if b.cause in TOLD_BY_CONTRACT}
        with_numbers = set()
        for order in range(1, self.report.order + 1):
            outcomes = [o for o in self.outcomes if o.order == order]
            spots = [o.spot for o in outcomes if o.spot is not None]
            for i, name in enumerate(spots[0].subject.names if spots else []):
                if any(o.disagreements(i) for o in outcomes):
                    findings.append(self._of_values(outcomes, i, order, told.get(name) if order == 1 else None))
                    with_numbers.add((findings[-1].cause, name))
        findings = [self._of_failure(o) for o in self.outcomes if o.failure is not None] + findings
        findings += [self._of_breach(b) for b in self.breaches if (b.cause, b.argument) not in with_numbers]
        if any(f.serious and f.given is not None and f.variation == "as given" for f in findings):
            for f in findings:  # shapes of the checker's own that a rule breaks at say nothing new about one that is wrong as given
                f.serious = f.serious and (f.given is not None or f.variation == "as given")
        seen: set[tuple[str, str]] = set()
        for finding in sorted(findings, key=_rank):
            key = (finding.cause, finding.argument)
            if key not in seen:
                seen.add(key)
                (self.report.findings if finding.serious else self.report.warnings).append(finding)
        if self.report.findings:  # then it is no time for shapes that nobody asked for
            self.report.warnings = [f for f in self.report.warnings if f.given is not None or f.cause != CAUSES_OF_TOPICS["broadcast"]]
        if {f.cause for f in self.report.findings} & {"changes input", "changes incoming gradient"}:
            # Read-only arrays refuse to be changed: the same thing.
            self.report.findings = [f for f in self.report.findings if f.cause != "needs writeable"]

    def _of_breach(self, breach: Breach) -> Finding:
        return Finding(1, breach.argument, (), breach.cause, breach.text, serious=breach.serious)

    def _of_failure(self, outcome: Outcome) -> Finding:
        failure, variation = outcome.failure, outcome.variation
        assert failure is not None
        cause = CAUSES_OF_TOPICS.get(variation.topic, failure.cause)
        if failure.cause == "shape" and variation.topic in ("given", "value"):
            cause = _shape_cause(variation.subject, failure)
        if failure.cause == "raises" and variation.topic == "given" and _weight_for_activation(variation.subject, str(failure)):
            cause = "layers"
        argument = failure.argument or (variation.subject.names[0] if len(variation.subject.names) == 1 else "")
        if variation.topic == "broadcast" and not argument:
            argument = variation.label.split(" ")[0]
        order = "" if outcome.order == 1 else f"order {outcome.order}: "
        where = f"the gradient of {argument}: " if argument else ""
        text = f"{order}{where}{failure}"
        shown = self._failing_call(variation.subject) if outcome.order == 1 and not self.reproduced else ""
        return Finding(outcome.order, argument, (), cause, text, variation=variation.label, serious=_is_firm(outcome), reproducer=shown)

    def _of_values(self, outcomes: Sequence[Outcome], argument: int, order: int, told: Diagnosis | None) -> Finding:
        wrong = [o for o in outcomes if o.disagreements(argument)]
        first = wrong[0]
        spot, comparison = first.spot, first.comparison
        assert spot is not None
        assert comparison is not None
        name = spot.subject.names[argument]
        worst = max(first.disagreements(argument), key=_badness)
        diagnosis = told or (Diagnosis("second order") if order > 1 else _cause_of(outcomes, argument))
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
            reproducer=self._reproducer(spot.subject, argument) if order == 1 and not self.reproduced else "",
            errors=_errors(spot, argument),
        )  # fmt: skip

    def _is_serious(self, wrong: Sequence[Outcome], argument: int) -> bool:
        """Nan at places of the checker's own making is a composition's right (inf * 0 in the chain rule), not a rule's; at a kink
        it is a rule's right too (the norm at 0), but not of an elementwise function of one argument."""
        for outcome in wrong:
            if outcome.variation.topic == "single" and _is_constant(outcome, argument):
                continue
            kinds = {d.kind for d in outcome.disagreements(argument)}
            if outcome.variation.label == "as given" or not kinds <= {"nan", "nan at a kink", "infinite"}:
                return True
            of_one = outcome.variation.topic == "single"  # the quotient of two zeros in an axis of size 1
            at_kink = "nan at a kink" in kinds and "infinite" not in kinds and not (self.elementwise and len(self.given.places) == 1)
            if self.given.own_rule and not of_one and not at_kink:
                return True
        return False

    def _reproducer(self, subject: Subject, argument: int) -> str:
        self.reproduced = True  # one is enough
        return reproducer(subject, argument, self.symmetric, order=1, seed=self.report.seed, call=self._called())

    def _failing_call(self, subject: Subject) -> str:
        self.reproduced = True
        return as_call(subject, seed=self.report.seed, call=self._called())

    def _called(self) -> str:
        """How the function is written in a program: functions without a name get one."""
        backward = getattr(self.given, "backward", None)
        if backward is None:
            return _written(self.given.signature_source(), "function")
        return f"({_written(self.given.forward, 'forward')}, {_written(backward, 'backward')})"  # type: ignore[attr-defined]


def _cause_of(outcomes: Sequence[Outcome], argument: int) -> Diagnosis:
    """The diagnosis; a supposition that numbers of extreme size break says nothing, and must not hide what was found."""
    try:
        return diagnose(outcomes, argument)
    except (ArithmeticError, np.linalg.LinAlgError) as error:
        return Diagnosis("formula", f"the search for a cause ended in {type(error).__name__}")


def _is_constant(outcome: Outcome, argument: int) -> bool:
    """Whether the value does not depend on the argument there: on the one element of a difference, a trapezoid or a deviation."""
    return all(abs(d.expected) <= d.bound for d in outcome.disagreements(argument))


def _written(function: Any, otherwise: str) -> str:
    name = full_name(function) if (getattr(function, "__module__", "") or "").startswith("numpy") or hasattr(function, "nin") else name_of(function)
    return otherwise if "<" in name else name


def _is_firm(outcome: Outcome) -> bool:
    """A hand-written pair that does not undo a broadcast which nobody asked for is only warned about: it fails loudly."""
    assert outcome.failure is not None
    unasked = outcome.variation.topic == "broadcast" and outcome.failure.cause in ("shape", "raises")
    # Loud, and at a place that nobody asked for: a decomposition refuses equal eigenvalues, a table a parameter.
    topic, label = outcome.variation.topic, outcome.variation.label
    if outcome.failure.refusal and topic != "given":
        return False  # the rule's own code says that it was not made for this
    refusal = isinstance(outcome.failure.__cause__, RuntimeError | NotImplementedError | np.linalg.LinAlgError)
    loud = outcome.failure.cause == "raises" and (refusal or topic in ("zero", "tie", "same", "round"))
    loud = loud or (topic == "keyword" and (not label.startswith(("axis", "dim", "keepdim")) or label.endswith("=None")))
    loud = loud or (topic in ("negative index", "batch") and outcome.failure.cause in ("raises", "shape"))
    return topic == "given" or (outcome.variation.firm and not unasked and not loud)


def _rank(finding: Finding) -> tuple[int, int, int]:
    """Findings in the order in which they are worth reading: what explains others first."""
    place = 0
    if finding.cause in EXPLAIN_ALL:
        place = EXPLAIN_ALL.index(finding.cause) - len(EXPLAIN_ALL)
    elif finding.cause in EXPLAIN_LITTLE:
        place = 1 + EXPLAIN_LITTLE.index(finding.cause)
    if finding.cause in ("unequal dimensions", "missing sum over a broadcast axis") and finding.given is None and finding.variation != "as given":
        place = 1  # an exception at a shape tells less than numbers do
    return finding.order, place, 0 if finding.variation == "as given" else 1


def _badness(d: Disagreement) -> float:
    gap, size = abs(d.given - d.expected), max(abs(d.given), abs(d.expected), 1e-300)
    return gap / (d.bound + 1e-9 * size) * size if np.isfinite(gap) else float("inf")


def _element(d: Disagreement) -> tuple[tuple[int, ...], str]:
    if d.component is None:
        return (), ""
    _, element, part = d.spot.inputs.place(d.component)
    return element, part


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


def _weight_for_activation(subject: Subject, text: str) -> bool:
    """Whether a complaint about shapes is that of (k, k) for (n, k): the product of a weight's gradient with the weight again,
    where that of the error (n, m) with the weight was meant."""
    shapes = [tuple(int(n) for n in found.split(",") if n.strip()) for found in re.findall(r"\(([\d, ]+)\)", text)]
    rows = {a.shape[0] for a in _arrays_of(subject) if a.ndim == 2}
    square = [s for s in shapes if len(s) == 2 and s[0] == s[1]]
    return len(subject.places) > 2 and any(s[1] == k[1] and s[0] != k[0] and s[0] in rows for k in square for s in shapes if len(s) == 2)


def _broadcasts(small: tuple[int, ...], large: tuple[int, ...]) -> bool:
    return len(small) <= len(large) and all(n in (1, m) for n, m in zip(small[::-1], large[::-1], strict=False))


def _arrays_of(subject: Subject) -> list[Any]:
    return [*subject.arrays, *(a for a in [*subject.args, *subject.kwargs.values()] if isinstance(a, np.ndarray))]


def _errors(spot: Spot, argument: int) -> Any:
    """|given - expected| per element of a small argument, for the heat map."""
    part = spot.inputs.parts[argument]
    if part.stop - part.start > 4096 or spot.arrays[argument].dtype.kind == "c":
        return None
    rows = np.zeros((part.stop - part.start, spot.x.size))
    rows[:, part] = np.diag(spot.scale[part])
    found = central_derivatives(spot.function, spot.x, rows, spot.g, spot.y, spot.eps)
    return np.abs(spot.claimed[part] - found.estimate / spot.scale[part]).reshape(spot.arrays[argument].shape)
