"""The checker's own inputs: every argument varied in ways in which rules go wrong.

A checker that takes only the inputs it is given never meets the bugs that wait for a negative number, a tie, a zero, an
unequal shape or a broadcast. Each `Variation` is the same call at another place, with a label for the report. Places where the
function is not defined (it raises, or is not finite) are skipped by whoever uses them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograd_core.gradcheck.inputs.structure import kind_of, redrawn
from autograd_core.gradcheck.numeric.vectors import typical_size
from autograd_core.gradcheck.subjects.subjects import Subject

__all__ = ["Variation", "companion_variations", "keyword_variations", "name_of_argument", "value_variations"]


@dataclass
class Variation:
    """The subject at another place.

    label   what was done, for messages: "one element zero"
    topic   what it is to reveal: "value", "negative", "zero", "tie", "large", "small", "shape", "broadcast", "keyword", "index"
    kinks   arguments may be tied or at a kink: move groups of elements together too
    firm    an exception in the rule counts as wrong here (where False, only a warning)
    """

    label: str
    topic: str
    subject: Subject
    kinks: bool = False
    firm: bool = True


class _Maker:
    """Makes variations of one subject that keep the kind of each array."""

    def __init__(self, subject: Subject, random: np.random.Generator) -> None:
        self.subject = subject
        self.random = random
        self.arrays = subject.arrays
        several = len(self.arrays) > 1
        self.kinds = ["symmetric" if i in subject.symmetric else kind_of(a, several=several) for i, a in enumerate(self.arrays)]

    def each(self, change: Callable[[Any], Any], only: int | None = None) -> Subject:
        """The subject with `change` applied to the arrays that may change freely (or to one of them)."""
        changed = []
        for i, (a, kind) in enumerate(zip(self.arrays, self.kinds, strict=True)):
            skip = (only is not None and i != only) or kind in ("categories", "one-hot", "shares") or a.size == 0
            new = a if skip else np.asarray(change(a), dtype=a.dtype)
            if not skip and kind == "symmetric":
                new = (new + np.swapaxes(new, -1, -2).conj()) / 2
            elif not skip and kind == "sorted":
                new = np.sort(new)
            elif not skip and kind == "triangular":
                new = np.where(a == 0, 0.0, new).astype(a.dtype)
            changed.append(new)
        return self.subject.at(changed)

    def redraw(self, sign: str) -> Subject:
        return self.subject.at([redrawn(a, kind, self.random, sign=sign) for a, kind in zip(self.arrays, self.kinds, strict=True)])

    def with_elements(self, count: int, value: Any, only: int | None = None) -> Subject:
        """The subject with some elements of the arrays set to a value (a number, or a function of the array)."""

        def change(a: Any) -> Any:
            new = a.copy()
            places = self.random.permutation(a.size)[: max(1, min(count, a.size))]
            new.reshape(-1)[places] = value(a) if callable(value) else value
            return new

        return self.each(lambda a: change(np.ascontiguousarray(a).reshape(a.shape)), only)


def value_variations(subject: Subject, random: np.random.Generator, *, elementwise: bool) -> Iterator[Variation]:
    """Other values of the same shapes."""
    make = _Maker(subject, random)
    arrays = subject.arrays
    several = len(arrays) > 1
    yield Variation("other values", "value", make.redraw("as given"))
    yield Variation("all elements positive", "positive", make.redraw("positive"))
    yield Variation("all elements negative", "negative", make.redraw("negative"))
    yield Variation(
        "elements of both signs", "negative", make.each(lambda a: a * random.permutation(np.resize([-1.0, 1.0], a.size)).reshape(a.shape))
    )
    for factor in (5.0, 30.0, 1000.0, 1e5):
        yield Variation(f"scaled up by {factor:g}", "large", make.each(functools.partial(np.multiply, factor)))
    for factor in (1e-3, 1e-6):
        yield Variation(f"scaled down by {1 / factor:g}", "small", make.each(functools.partial(np.multiply, factor)))
    for sign, word in ((1.0, "up"), (-1.0, "down")):
        yield Variation(f"shifted {word}", "value", make.each(functools.partial(_shifted, sign)))
    if elementwise:
        yield Variation("elements of widely different sizes", "size", make.each(lambda a: _sizes(a, random)))
    yield Variation("one element zero", "zero", make.with_elements(1, 0.0), kinks=True)
    yield Variation("several elements zero", "zero", make.with_elements(2, 0.0), kinks=True)
    for i in range(len(arrays) if several else 0):
        yield Variation(f"{subject.names[i]} all zero", "zero", make.each(np.zeros_like, i), kinks=True)
    yield Variation("all elements zero", "zero", make.each(np.zeros_like), kinks=True)
    yield Variation("some elements equal", "tie", make.with_elements(2, lambda a: a.flat[0] if a.size else 0.0), kinks=True)
    yield Variation("two largest elements equal", "tie", make.each(lambda a: _top_tied(a, 1)), kinks=True)
    yield Variation("two smallest elements equal", "tie", make.each(lambda a: _top_tied(a, -1)), kinks=True)
    yield Variation("all elements equal", "tie", make.each(lambda a: np.full_like(a, a.flat[0])), kinks=True)
    yield Variation("round numbers", "round", make.each(lambda a: _round(a, random)), kinks=True)
    if several and arrays[0].shape == arrays[1].shape and make.kinds[0] == make.kinds[1]:
        same = arrays[0].astype(arrays[1].dtype) if arrays[1].dtype.kind == "f" else arrays[0]
        yield Variation("the same array passed twice", "same", subject.at([same, same, *arrays[2:]]), kinks=True)


def _sizes(a: Any, random: np.random.Generator) -> Any:
    """Sizes from 1e-6 to 1e4, each with both signs as far as the elements go."""
    exponents = np.linspace(4.0, -6.0, max(2, (a.size + 1) // 2))
    values = np.stack([10.0**exponents, -(10.0**exponents)], axis=1).reshape(-1)
    return random.permutation(np.resize(values, a.size)).reshape(a.shape)


def _top_tied(a: Any, sign: int) -> Any:
    """`a` with its second largest (smallest) element made equal to the largest; in the last axis, if it has several."""
    if a.size < 2 or a.dtype.kind == "c":
        return a
    rows = np.array(a).reshape(-1, a.shape[-1]) if a.shape[-1] > 1 else np.array(a).reshape(1, -1)
    order = np.argsort(sign * rows, axis=-1, kind="stable")
    lines = np.arange(len(rows))
    rows[lines, order[:, -2]] = rows[lines, order[:, -1]]
    whole = rows.reshape(-1)
    top = np.argsort(sign * whole, kind="stable")
    whole[top[-2]] = whole[top[-1]]
    return whole.reshape(a.shape)


def _round(a: Any, random: np.random.Generator) -> Any:
    """Whole and half numbers of both signs, with ones among them: where clips, floors and domains end."""
    choice = [-1.0, 1.0, 0.5, 2.0, -0.5, -2.0, 3.0, 0.0]
    return random.permutation(np.resize(choice, a.size)).reshape(a.shape)


def keyword_variations(subject: Subject, random: np.random.Generator) -> Iterator[Variation]:
    """Other values of the arguments that are no arrays: axes, flags, coefficients."""
    ndim = max((a.ndim for a in subject.arrays), default=0)
    for name, value in _options(subject).items():
        for other in _other_values(name, value, ndim):
            changed = _with_option(subject, name, other)
            if changed is not None:
                label = f"{name}={other:g}" if isinstance(other, float) else f"{name}={other}"
                yield Variation(label, "keyword", changed)


def companion_variations(subject: Subject, random: np.random.Generator) -> Iterator[Variation]:
    """Other values of the arrays that are not differentiated: indices and labels repeated, in another order, negative; masks of
    nothing and of everything. Whatever the function does not take is skipped."""
    for i, value in enumerate(subject.args):
        if not isinstance(value, np.ndarray) or _is_place(subject, i) or not value.size:
            continue
        changes = _other_integers(value, random) if value.dtype.kind in "iu" else _other_masks(value, random) if value.dtype.kind == "b" else ()
        name = name_of_argument(subject, i)
        for label, topic, other in changes:
            if not np.array_equal(other, value):
                args = [*subject.args[:i], other, *subject.args[i + 1 :]]
                yield Variation(label.format(name), topic, subject.with_call(args, subject.kwargs))


def _other_integers(value: Any, random: np.random.Generator) -> Iterator[tuple[str, str, Any]]:
    if value.size > 1:
        repeated = value.copy()
        repeated.reshape(-1)[-1] = repeated.flat[0]
        in_order = np.sort(repeated.reshape(-1)).reshape(value.shape)
        was_sorted = value.ndim == 1 and np.all(np.diff(value) >= 0)
        yield "repeated indices in {}", "index", in_order if was_sorted else repeated
        yield "{} in another order", "order of indices", random.permutation(value.reshape(-1)).reshape(value.shape)
        yield "{} in descending order", "order of indices", np.sort(value.reshape(-1))[::-1].reshape(value.shape).copy()
        yield "all of {} equal", "index", np.full_like(value, value.flat[0])
    if value.dtype.kind == "i" and value.min() >= 0:
        negative = value.copy()
        negative.reshape(-1)[-1] = -1
        yield "a negative index in {}", "negative index", negative


def _other_masks(value: Any, random: np.random.Generator) -> Iterator[tuple[str, str, Any]]:
    yield "{} inverted", "mask", ~value
    yield "another {}", "mask", random.permutation(np.arange(value.size) % 3 > 0).reshape(value.shape)
    if value.ndim > 1:
        for flag, word in ((False, "nothing"), (True, "everything")):
            row = value.copy()
            row.reshape(-1, value.shape[-1])[0] = flag
            yield f"a row of {{}} with {word}", "mask", row
    yield "{} all True", "mask", np.ones_like(value)
    yield "{} all False", "mask", np.zeros_like(value)


def name_of_argument(subject: Subject, position: int) -> str:
    """What the argument at a position of the call is called."""
    try:
        names = list(inspect.signature(subject.signature_source()).parameters)
    except (TypeError, ValueError):
        names = []
    return names[position] if position < len(names) else f"argument {position}"


def _is_place(subject: Subject, position: int) -> bool:
    return any(place.path[0] == position for place in subject.places)


def _options(subject: Subject) -> dict[str, Any]:
    """The arguments that are numbers, flags or None, by name, with their values or defaults."""
    function = subject.signature_source()
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        parameters = {}  # type: ignore[assignment]
    options: dict[str, Any] = {}
    for position, (name, parameter) in enumerate(parameters.items()):
        if name in subject.kwargs:
            options[name] = subject.kwargs[name]
        elif position < len(subject.args) and parameter.kind is not parameter.VAR_POSITIONAL:
            options[name] = subject.args[position]
        elif parameter.default is not parameter.empty:
            options[name] = parameter.default
    return {name: v for name, v in options.items() if v is None or (isinstance(v, bool | int | float) and not isinstance(v, np.generic))}


def _other_values(name: str, value: Any, ndim: int) -> list[Any]:
    if name in ("axis", "dim", "axes"):
        return [a for a in (0, -1, 1, None) if a != value and (a is None or -ndim <= a < ndim) and not (value is None and a is None)][:3]
    if name in ("keepdims", "keepdim"):
        return [not value]
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, float):
        return [value * 1000 if 0 < abs(value) < 1e-2 else value * 0.75 if value else 0.3]
    return [value + 1]


def _with_option(subject: Subject, name: str, value: Any) -> Subject | None:
    function = subject.signature_source()
    names = list(inspect.signature(function).parameters)
    position = names.index(name)
    if name not in subject.kwargs and position < len(subject.args):
        return subject.with_call([*subject.args[:position], value, *subject.args[position + 1 :]], subject.kwargs)
    return subject.with_call(subject.args, {**subject.kwargs, name: value}) if subject.takes_option(name) else None


def _shifted(sign: float, a: Any) -> Any:
    return a + sign * 3 * typical_size(a)
