"""A spot: a subject at one place, with an incoming gradient and the gradient that its rules claim there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd_core.gradcheck.numeric.differences import evaluated
from autograd_core.gradcheck.numeric.vectors import Vectors, as_kind, typical_size
from autograd_core.gradcheck.subjects.raised import Raised, where_raised
from autograd_core.gradcheck.subjects.subjects import Subject

__all__ = ["RuleFailed", "Skip", "Spot", "incoming_gradient"]


MANY_RESULTS = 1024  # elements; of more, only those that change are looked at
LARGE = 20_000


class Skip(Exception):
    """This place cannot be checked; the message says why."""


class RuleFailed(Exception):
    """The value was computed but the gradient raised, or has no usable form; `cause` is what a finding says of it."""

    def __init__(self, cause: str, text: str, argument: str = "", *, refusal: bool = False) -> None:
        super().__init__(text)
        self.cause = cause
        self.argument = argument
        self.refusal = refusal  # the rule's own code refused: it raised by `raise` or `assert`


def incoming_gradient(random: np.random.Generator, like: Any) -> Any:
    """A random gradient for a result, away from zero so that no error hides behind a small factor."""
    g = random.uniform(0.5, 1.5, like.shape) * random.choice([-1.0, 1.0], like.shape)
    if like.dtype.kind == "c":
        g = g + 1j * random.uniform(0.5, 1.5, like.shape)
    return np.asarray(g, dtype=like.dtype)


class View(NamedTuple):
    """What is looked at of the results: some of their elements, or all contracted with the incoming gradient.

    function, y   from the vector of arguments to what is looked at, and its value at the place itself
    g, noise      the incoming gradient of each, and how far each is off by rounding
    """

    function: Callable[[Any], Any]
    y: Any
    g: Any
    noise: Any


class Spot:
    """What is known of a subject at one place.

    arrays, x      the differentiable arguments, as arrays and as one real vector;  scale: what a step is small against
    results, y     the results, likewise;  gs, g: the incoming gradients
    claimed        the gradient by the rules, as one real vector
    whole          False where some results are infinite or nan: their elements are left out (`usable`)
    raises         Skip if the value cannot be computed here, RuleFailed if the gradient cannot
    """

    def __init__(
        self, subject: Subject, label: str, random: np.random.Generator, *, eps: float = 0.0, elementwise: bool = False, gs: Any = None
    ) -> None:
        self.subject = subject
        self.label = label
        self.arrays = subject.arrays
        self.inputs = Vectors(self.arrays)
        self.x = self.inputs.join(self.arrays)
        try:
            self.results = subject.value(self.copies())
        except Exception as error:  # an unknown function may raise anything where it is not defined
            raise Skip(f"the function raised {type(error).__name__}: {first_line(error)}") from error
        if not self.results:
            raise Skip("it returned no floating-point array")
        self.outputs = Vectors(self.results)
        self.y = self.outputs.join(self.results)
        self.eps = max(eps, *(float(np.finfo(r.dtype).eps) for r in self.results))
        if _computed_in_single_precision(self.x, self.y):
            self.eps = max(self.eps, float(np.finfo(np.float32).eps))
        self.gs = [incoming_gradient(random, r) for r in self.results] if gs is None else gs
        self.usable = np.isfinite(self.y)
        if not np.isfinite(self.x).all():
            raise Skip("an argument is not finite")
        if not self.usable.all():
            alone = elementwise and all(size == self.y.size for size in self.inputs.sizes)
            if not (alone and self.usable.any()):
                raise Skip("the value is not finite")
            self.gs = [np.where(np.isfinite(r), g, 0.0).astype(g.dtype) for g, r in zip(self.gs, self.results, strict=True)]
        self.g = self.outputs.join(self.gs)
        self.scale = np.concatenate([self._scale_of(a, part) for a, part in zip(self.arrays, self.inputs.parts, strict=True)])
        self.claimed = self.gradient(self.copies(), self.gs)
        self._noise: Any = None
        self._all_rounding: bool | None = None
        self._value_noise: Any = None
        self.known_wrong: frozenset[int] = frozenset()  # arguments that were found wrong elsewhere
        self.degenerate = False  # a place of zeros and ties that the checker has made
        self.elementwise = elementwise
        self.directions: Any = None  # those of the comparison that is being made here
        self.jacobian: Any = None  # of the value, once a diagnosis has asked for it
        self.nearby: Any = None  # gradients at places next to this one

    def _scale_of(self, array: Any, part: slice) -> Any:
        return np.maximum(np.abs(self.x[part]), 0.05 * typical_size(array))

    def copies(self) -> list[Any]:
        """Copies of the arguments with their memory layout, so that a function that changes them cannot spoil the check.

        One array that is passed for two arguments stays one: a rule may ask whether `a is b`.
        """
        copies = {id(a): a.copy(order="K") for a in self.arrays}
        return [copies[id(a)] for a in self.arrays]

    def function(self, vector: Any) -> Any:
        """The subject as a function from a real vector to a real vector."""
        values = self.subject.value(self.inputs.split(vector))
        if not self.outputs.single_real:
            values = [as_kind(v, r) for v, r in zip(values, self.results, strict=True)]
        return self.outputs.join(values)

    def view(self, outputs: Any) -> View:
        """Only some elements of the results, given by an index."""
        return View(lambda vector: self.function(vector)[outputs], self.y[outputs], self.g[outputs], self.value_noise()[outputs])

    def view_along(self, direction: Any) -> View:
        """Those elements of the results that change along a direction, where there are many."""
        if self.y.size <= MANY_RESULTS:
            return View(self.function, self.y, self.g, self.value_noise())
        changes = [evaluated(self.function, self.x + step * direction, self.y.size) != self.y for step in (0.03, -0.03)]
        changed = np.flatnonzero(changes[0] | changes[1])
        if changed.size <= MANY_RESULTS:
            return self.view(changed)
        noise = np.linalg.norm(self.g * np.maximum(self.value_noise(), self.eps * np.abs(self.y)))
        return View(lambda vector: np.array([self.g @ self.function(vector)]), np.array([self.g @ self.y]), np.ones(1), np.array([noise]))

    @property
    def is_large(self) -> bool:
        """Whether each evaluation takes so long that few have to do."""
        return bool(self.x.size + self.y.size > LARGE)

    def gradient(self, arrays: Sequence[Any], gs: Sequence[Any]) -> Any:
        """The gradient by the rules, as one real vector."""
        try:
            found = self.subject.vjp(arrays, [g.copy() for g in gs])
        except RuleFailed:
            raise
        except Exception as error:
            if "no derivative rule" in str(error):
                raise Skip(first_line(error)) from error  # refused loudly, as it should be
            raise rule_failed(error, self.subject) from error
        for name, a, d in zip(self.subject.names, arrays, found, strict=True):
            check_form(name, a, d)
        return self.inputs.join(found).copy()  # it may be a buffer that the next call overwrites

    def claimed_noise(self) -> Any:
        """How far the claimed gradient is off by rounding inside of the rules: as the same rules with more digits show near here.

        Where they do not compute with more digits, differences of high order at places next to this one tell it.
        """
        if self._noise is None:
            noise = self._noise_by_digits()
            if noise is None:
                noise = self._noise_by_differences()
            elif np.any(noise > 1e-4 * np.abs(self.claimed)):
                # So much rounding shows from one place to the next, too; if not, the rule is another one for such numbers.
                bends = np.abs(np.diff(self._claimed_near(3e-8), 2, axis=0)).max(axis=0)
                noise = np.minimum(noise, 16 * bends + 1e-4 * np.abs(self.claimed))
            self._noise = np.where(np.isfinite(noise), noise, 0.0)
        return self._noise

    def _noise_by_digits(self) -> Any:
        if np.finfo(np.longdouble).eps > 1e-18:
            return None
        errors = []
        for k in range(1 if self.is_large else 4):
            arrays = self.inputs.split(self.x * (1 + k * 1e-7))
            wide, wide_gs = in_long_double(arrays), in_long_double(self.gs)
            try:
                more = self.subject.vjp(wide, wide_gs)
                if not any(d is not None and d.dtype.itemsize > a.dtype.itemsize for d, a in zip(more, arrays, strict=True)):
                    return None
                plain = self.subject.vjp(arrays, [g.copy() for g in self.gs])
                errors.append(np.abs(self.inputs.join(plain) - self.inputs.join(in_double(more))))
            except Exception:  # noqa: BLE001  not made for so many digits
                return None
        return 4 * np.max(errors, axis=0)

    def _noise_by_differences(self) -> Any:
        close, wide = self._claimed_near(3e-8), self._claimed_near(3e-4)
        bends = np.abs(np.diff(close, 2, axis=0)).max(axis=0)
        # A wide look sees coarser steps of the rounding (1 - cos(x) at 1e-6), but also that the gradient is curved.
        curves = np.abs(np.diff(wide, 4, axis=0)).max(axis=0)
        noise = np.maximum(4 * bends, np.minimum(curves, 1e-3 * np.abs(self.claimed)))
        # A rule that computes in single precision is noisy too, but less than terms in double precision that cancel, and
        # relative to its own size: that is no excuse.
        finite = np.abs(self.claimed[np.isfinite(self.claimed)])
        sizes = [float(np.max(v, initial=1.0)) for v in (np.abs(self.x), np.abs(self.y[self.usable]), finite)]
        limit = 1e3 * self.eps * max(sizes) * max(1.0, float(np.max(np.abs(self.g), initial=0.0)))
        single = (noise > 5e-9 * np.abs(self.claimed)) & (noise <= 1e-6 * np.abs(self.claimed))
        return np.where(single, np.minimum(noise, limit), noise)

    def all_rounding(self) -> bool:
        """Whether the value changes as a whole when the arguments change in their last digits: the deviation of a constant, the
        inverse of a singular matrix. At a place of zeros and ties one such element of the result is enough."""
        if self._all_rounding is None:
            random = np.random.default_rng(0)
            self._all_rounding = False
            for _ in range(3):
                moved = self.x * (1 + np.finfo(np.float64).eps * random.integers(-4, 5, self.x.size))
                change = evaluated(self.function, moved, self.y.size) - self.y
                with np.errstate(all="ignore"):
                    changed = np.linalg.norm(change[self.usable]) > 1e-3 * np.linalg.norm(self.y[self.usable])
                    tiny = (np.abs(self.y) < 1e-10 * np.abs(self.y).max(initial=0.0)) & (self.y != 0)
                    one = self.degenerate and bool(np.any(np.abs(change[tiny]) > 1e-2 * np.abs(self.y[tiny])))
                self._all_rounding |= bool(changed) or one
            used = self.usable & (self.g != 0)
            self._all_rounding |= bool(np.linalg.norm(self.value_noise()[used]) > 1e-6 * np.linalg.norm(self.y[used]))
        return self._all_rounding

    def value_noise(self) -> Any:
        """How far the elements of the result are off, as a computation with more digits shows near here (0 where it shows nothing)."""
        if self._value_noise is None:
            self._value_noise = np.zeros(self.y.size)
            if np.finfo(np.longdouble).eps < 1e-18:
                for k in range(1 if self.is_large else 4):
                    found = self._error_of_value(self.x * (1 + k * 1e-7))
                    self._value_noise = np.maximum(self._value_noise, np.where(np.isfinite(found), found, 0.0))
        return self._value_noise

    def _error_of_value(self, x: Any) -> Any:
        arrays = self.inputs.split(x)
        try:
            values, more = self.subject.value(arrays), self.subject.value(in_long_double(arrays))
            if not any(v.dtype.itemsize > r.dtype.itemsize for v, r in zip(more, self.results, strict=True)):
                return np.zeros(self.y.size)
            joined = [self.outputs.join([as_kind(v, r).astype(r.dtype) for v, r in zip(vs, self.results, strict=True)]) for vs in (values, more)]
        except Exception:  # noqa: BLE001  not made for them
            return np.zeros(self.y.size)
        return np.abs(joined[1] - joined[0])

    def rounding_at_most(self) -> float:
        """How large a gradient may be that consists of rounding alone: of terms as large as all arguments multiplied, that cancel.

        The softmax of large values is flat, and g - sum(g * out) the last digit of g; attention multiplies that by keys and values.
        """
        largest = [max(1.0, float(np.max(np.abs(a), initial=0.0))) for a in self.arrays]
        incoming = max(1.0, float(np.max(np.abs(self.g), initial=0.0)))
        return 4 * self.eps * incoming * float(np.prod(largest))

    def _claimed_near(self, distance: float) -> Any:
        try:
            return np.array([self.gradient(self.inputs.split(self.x * (1 + k * distance)), self.gs) for k in range(1, 6)])
        except RuleFailed:
            return np.zeros((5, self.x.size))


def _computed_in_single_precision(x: Any, y: Any) -> bool:
    """Whether results in double precision have the digits of single precision only, down to the last ones, while the arguments
    have more: the function computes in float32, and so may its rule."""
    if not y.size or not np.isfinite(y).all() or not np.isfinite(x).all():
        return False
    with np.errstate(all="ignore"):
        short = np.array_equal(y.astype(np.float32), y)
        digits = np.frexp(y[y != 0])[0] * 2.0**22
    return short and bool(digits.size and np.mean(digits != np.round(digits)) > 0.5) and not np.array_equal(x.astype(np.float32), x)


def in_long_double(arrays: Sequence[Any]) -> list[Any]:
    """The arrays with as many digits as NumPy has on this machine."""
    return [a.astype(np.clongdouble if a.dtype.kind == "c" else np.longdouble) for a in arrays]


def in_double(arrays: Sequence[Any]) -> list[Any]:
    """The arrays in double precision; None stays None."""
    return [None if a is None else a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in arrays]


def check_form(name: str, argument: Any, gradient: Any) -> None:
    """Raise RuleFailed unless `gradient` has the shape and dtype that a gradient of `argument` must have."""
    if gradient is None:
        return
    if gradient.shape != argument.shape:
        text = f"the gradient has shape {gradient.shape}, the argument {argument.shape}"
        raise RuleFailed("shape", text, name)
    if gradient.dtype.kind == "c" and argument.dtype.kind != "c":
        raise RuleFailed("dtype", f"the gradient is {gradient.dtype} and the argument {argument.dtype}; take the real part", name)
    if gradient.dtype.kind not in "fc":
        raise RuleFailed("dtype", f"the gradient is {gradient.dtype}, the argument {argument.dtype}", name)


def rule_failed(error: Exception, subject: Subject) -> RuleFailed:
    """What an exception in a rule means: the engine's own messages tell which argument's rule it was."""
    text = first_line(error)
    argument = next((n for n in subject.names if f"rule for {n} " in text or f"rule for {n}[" in text), "")
    cause = "shape" if "returned shape" in text else "dtype" if "returned dtype" in text else "raises"
    if cause != "raises":
        return RuleFailed(cause, text, argument)
    place = where_raised(error)
    where = f"; {place.text}" if place.text else ""
    said = f"the gradient raised {type(error).__name__}: {text}{where}"
    return RuleFailed(cause, said, argument or _argument_of(place, subject), refusal=place.refusal)


def _argument_of(place: Raised, subject: Subject) -> str:
    """Whose gradient was being computed where a hand-written backward pass raised."""
    operation = getattr(subject, "operation", None)
    if operation is not None and place.code is not None:
        return next((n for n, rule in operation.rules.items() if getattr(rule, "__code__", None) is place.code), "")
    if getattr(subject, "form", None) is None:
        return ""
    plain = place.name.removeprefix("d_").removeprefix("grad_").removesuffix("_grad")
    by_name = next((n for n in subject.names if n in (plain, place.name.removeprefix("d"))), "")
    by_number = next((p.name for p in subject.places if p.path[0] == place.element), "")
    return by_name or (by_number if len(subject.args) > 1 else "")


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, not too long."""
    lines = str(error).splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]
