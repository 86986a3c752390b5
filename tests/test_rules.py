"""Tests generated over the table of operations: every rule, on every sample that stands beside it.

Nothing here knows a single operation. An operation or composition that is added to the table is tested from then on; one
without samples fails. What a sample is good for: the value must be NumPy's own; the rules must agree with numeric
derivatives at first and second order; and the gradient must not depend on how it is computed (recorded or not), on which
other arguments are tracked, or on how the arguments lie in memory.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import autograd_core.rules
import nn  # noqa: F401  (its operations stand in the table too, whichever tests run)
from autograd_core.define.samples import Call, calls_of
from autograd_core.gradcheck.check.calls import check_subject
from autograd_core.gradcheck.numeric.directions import is_symmetric
from autograd_core.gradcheck.numeric.spots import incoming_gradient
from autograd_core.gradcheck.subjects.arguments import replaced
from autograd_core.gradcheck.subjects.subjects import Traced, float_results, leaf, traced
from autograd_core.tape.loading import load_more
from autograd_core.tape.table import COMPOSITIONS, CONSTANTS, TABLE
from autograd_core.tensor.apply import apply
from autograd_core.tensor.protocols import full_name
from autograd_core.tensor.tensor import Tensor

for _module in pkgutil.iter_modules(autograd_core.rules.__path__, "autograd_core.rules."):
    importlib.import_module(_module.name)

FEW_ULP = 64  # how far two ways of computing one number may be apart, in units of the largest one's last place


def _ours(function: Any) -> bool:
    """Operations that other test modules define for themselves are not in the library's table."""
    module = getattr(function, "__module__", None) or "numpy"
    return isinstance(function, tuple) or module.split(".")[0] in ("numpy", "scipy", "autograd_core", "nn", "operator", "_operator")


def _internal(function: Any) -> bool:
    """Functions that stand in the table but are not themselves called on tensors, such as the copying form of item assignment."""
    return (getattr(function, "__module__", None) or "").startswith("autograd_core") and not hasattr(function, "op")


load_more()
OPS = {full_name(f): f for f, row in TABLE.items() if row.rules and _ours(f)}
COMPOSED = {full_name(f): f for f in COMPOSITIONS if _ours(f)}
ALL = OPS | COMPOSED

every_op = pytest.mark.parametrize("name", OPS)
every_row = pytest.mark.parametrize("name", ALL)

pytestmark = pytest.mark.filterwarnings("ignore")


def row_of(function: Any) -> Any:
    return COMPOSITIONS[function] if function in COMPOSITIONS and not (function in TABLE and TABLE[function].rules) else TABLE[function]


def compute_of(function: Any) -> Callable[..., Any]:
    """NumPy's own function for a key of the table, which may be (np.add, "reduce")."""
    return getattr(*function) if isinstance(function, tuple) else function


@functools.cache
def samples(name: str) -> list[Call]:
    return calls_of(row_of(ALL[name]))


def subject_of(name: str, call: Call) -> Traced | None:
    """The sample as a subject with all the arguments that can be tracked; None if it has no floating-point argument."""
    function = ALL[name]
    try:
        subject = traced(TABLE[function] if function in TABLE else compute_of(function), call.args, call.kwargs)
    except TypeError as error:
        if "no floating-point array" in str(error):
            return None
        raise
    if function in COMPOSED.values():
        for place in list(subject.places):
            try:
                subject.only([place]).call([leaf(place.array)])
            except TypeError as error:
                if "no derivative rule for its argument" not in str(error):
                    raise
                subject = subject.only([p for p in subject.places if p is not place])
    return subject


def subjects(name: str) -> Iterator[tuple[str, Call, Traced]]:
    """What to call a sample, the sample, and its subject."""
    for i, call in enumerate(samples(name)):
        subject = subject_of(name, call)
        if subject is not None:
            yield f"sample {i}, {name}({brief(call)})", call, subject


def brief(call: Call) -> str:
    def one(value: Any) -> str:
        if isinstance(value, np.ndarray):
            return f"{value.dtype}{list(value.shape)}"
        if isinstance(value, tuple | list):
            return "[" + ", ".join(map(one, value)) + "]"
        return repr(value)

    return ", ".join([*map(one, call.args), *(f"{k}={one(v)}" for k, v in call.kwargs.items())])


def gradients(subject: Traced, arrays: list[Any], seed: int = 0, create_graph: bool = False) -> list[Any]:
    random = np.random.default_rng(seed)
    gs = [incoming_gradient(random, y) for y in subject.value(arrays)]
    with np.errstate(all="ignore"):
        return [np.zeros_like(a) if g is None else g for g, a in zip(subject.vjp(arrays, gs, create_graph=create_graph), arrays, strict=True)]


def differences(label: str, names: list[str], found: list[Any], expected: list[Any], ulps: float) -> list[str]:
    """What is not equal to within `ulps` of the largest number in the array; shapes, dtypes, infinities and nans must be alike."""
    wrong = []
    for name, a, b in zip(names, found, expected, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            wrong.append(f"{label}: {name} has shape {a.shape}, {a.dtype}; expected {b.shape}, {b.dtype}")
            continue
        finite = np.isfinite(b)
        largest = float(np.abs(b[finite]).max(initial=0.0))
        with np.errstate(all="ignore"):
            close = (np.abs(a - b) <= ulps * np.finfo(b.dtype).eps * largest) | (a == b) | (np.isnan(a) & np.isnan(b))
        if not close.all():
            where = tuple(int(k) for k in np.argwhere(~close)[0]) if b.ndim else ()
            wrong.append(f"{label}: {name}{list(where)} is {a[where]!r}, expected {b[where]!r}")
    return wrong


def report(wrong: list[str]) -> None:
    assert not wrong, "\n" + "\n".join(wrong)


def with_arrays(call: Call, change: Callable[[Any], Any]) -> Call:
    """The call with every floating-point array changed."""

    def one(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fc":
            return change(np.asarray(value))
        if isinstance(value, tuple | list):
            return type(value)(*map(one, value)) if hasattr(value, "_fields") else type(value)(map(one, value))
        return value

    return Call(tuple(map(one, call.args)), {k: one(v) for k, v in call.kwargs.items()})


@every_row
def test_every_operation_and_composition_has_samples(name: str) -> None:
    assert samples(name), f"{name} has no samples; give defvjp or composed samples=lambda a: [call(a(2, 3)), ...]"
    assert any(subject_of(name, call) is not None for call in samples(name)), f"no sample of {name} has an argument to differentiate"


@every_op
def test_every_rule_is_exercised_by_a_sample(name: str) -> None:
    row = TABLE[ALL[name]]
    exercised = {place.name.split("[")[0] for _, _, subject in subjects(name) for place in subject.places}
    assert set(row.rules) <= exercised, f"no sample of {name} passes an array for {sorted(set(row.rules) - exercised)}"


@every_row
def test_the_value_is_numpys_own(name: str) -> None:
    """To the bit for operations, to rounding for compositions; with the same structure, shapes and dtypes."""
    function = compute_of(ALL[name])
    composed = name in COMPOSED and name not in OPS
    wrong = []
    for label, call, subject in subjects(name):
        expected = function(*call.args, **call.kwargs)
        args, kwargs = replaced(call.args, call.kwargs, subject.places, [leaf(a) for a in subject.arrays])
        found = function(*args, **kwargs) if not _internal(function) else apply(TABLE[function], tuple(args), kwargs)
        wrong += [f"{label}: {line}" for line in structure_differences(found, expected)]
        names = [f"result {i}" for i in range(len(float_results(expected)))]
        arrays = [np.asarray(t._array if isinstance(t, Tensor) else t) for t in float_results(found)]
        wrong += differences(label, names, arrays, [np.asarray(a) for a in float_results(expected)], FEW_ULP if composed else 0)
    report(wrong)


def structure_differences(found: Any, expected: Any) -> list[str]:
    if isinstance(expected, tuple | list):
        if type(found) is not type(expected) or len(found) != len(expected):
            return [f"returned {type(found).__name__} of {len(found)}, NumPy returns {type(expected).__name__} of {len(expected)}"]
        return [line for f, e in zip(found, expected, strict=True) for line in structure_differences(f, e)]
    if isinstance(expected, np.ndarray | np.generic) and isinstance(found, Tensor | np.ndarray | np.generic):
        data = found._array if isinstance(found, Tensor) else found
        same = data.shape == expected.shape and data.dtype == expected.dtype and (data.dtype.kind in "fc" or bool(np.all(data == expected)))
        return [] if same else [f"returned {data.dtype}{list(data.shape)}, NumPy returns {expected.dtype}{list(expected.shape)}"]
    return [] if isinstance(found, Tensor) or type(found) is type(expected) else [f"returned {type(found).__name__}, NumPy {type(expected).__name__}"]


@every_row
def test_rules_agree_with_numeric_derivatives_at_first_and_second_order(name: str) -> None:
    """With respect to the arguments and to the incoming gradient."""
    report([f"{label}\n{found}" for label, _, subject in subjects(name) if not (found := check_subject(subject, order=2, seed=0))])


@every_row
def test_the_gradient_is_the_same_where_hooks_keep_what_is_saved(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        names = [place.name for place in subject.places]
        for create_graph in (False, True):
            expected = gradients(subject, subject.arrays, create_graph=create_graph)
            with ag.saved_tensors_hooks(np.copy, np.copy):
                found = gradients(subject, subject.arrays, create_graph=create_graph)
            wrong += differences(label, names, found, expected, FEW_ULP)
    report(wrong)


@every_row
def test_complex_rules_agree_with_numeric_derivatives_where_numpy_takes_complex(name: str) -> None:
    function = compute_of(ALL[name])
    random = np.random.default_rng(1)
    wrong = []
    for call in samples(name):
        as_complex = with_arrays(call, lambda a: with_imaginary_part(a, random) if a.dtype.kind == "f" else a)
        try:
            value = function(*as_complex.args, **as_complex.kwargs)
        except (TypeError, ValueError):
            continue
        results = float_results(value)
        if not any(r.dtype.kind == "c" for r in results) and not all(np.isfinite(r).all() for r in results):
            continue
        if getattr(row_of(ALL[name]), "real_only", False):
            tracked = with_arrays(as_complex, lambda a: leaf(a) if a.dtype.kind == "c" else a)
            with pytest.raises(TypeError, match="no derivative for complex"):
                apply(row_of(ALL[name]), tracked.args, tracked.kwargs)
            continue
        try:
            subject = subject_of(name, as_complex)
            found = subject is None or check_subject(subject, order=2, seed=0)
        except TypeError as error:
            if "no derivative for complex" not in str(error):
                wrong.append(f"complex {name}({brief(as_complex)}): {error}")
            continue
        if not found:
            wrong.append(f"complex {name}({brief(as_complex)})\n{found}")
    report(wrong)


@every_row
def test_the_recorded_backward_pass_gives_the_same_gradients(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        plain, recorded = (gradients(subject, subject.arrays, create_graph=c) for c in (False, True))
        wrong += differences(f"{label}: create_graph=True", subject.names, recorded, plain, 8)
    report(wrong)


@every_row
def test_each_argument_tracked_alone_gets_the_same_gradient(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        together = gradients(subject, subject.arrays)
        for i, place in enumerate(subject.places):
            alone = subject.only([place])
            wrong += differences(f"{label}: tracked alone", alone.names, gradients(alone, alone.arrays), together[i : i + 1], 8)
    report(wrong)


@every_op
def test_the_rule_of_an_untracked_argument_is_not_run(name: str, spied: Callable[[Any], list[tuple[str, Any]]]) -> None:
    row = TABLE[ALL[name]]
    ran = spied(row)
    for label, _, subject in subjects(name):
        for place in subject.places:
            ran.clear()
            alone = subject.only([place])
            gradients(alone, alone.arrays)
            names = {rule for rule, _ in ran}
            assert names <= {place.name.split("[")[0]}, f"{label}: only {place.name} is tracked, but the rules of {sorted(names)} ran"


@every_op
def test_rules_on_float32_compute_in_float32(name: str, spied: Callable[[Any], list[tuple[str, Any]]]) -> None:
    """The sweep would cast a float64 contribution back, so the rules' own results are looked at."""
    ran = spied(TABLE[ALL[name]])
    wrong = []
    for label, call, _ in subjects(name):
        subject = subject_of(name, with_arrays(call, single))
        if subject is None or any(r.dtype.name not in ("float32", "complex64") for r in subject.value(subject.arrays)):
            continue
        ran.clear()
        gradients(subject, subject.arrays)
        for rule, contribution in ran:
            made = [c.dtype.name for c in (contribution if isinstance(contribution, tuple | list) else [contribution]) if c is not None]
            wrong += [f"{label}: the rule for {rule} made {dtype} of float32" for dtype in made if dtype not in ("float32", "complex64", "float16")]
    report(wrong)


@every_row
def test_float32_gives_float32_values_and_gradients_close_to_those_of_float64(name: str) -> None:
    function = compute_of(ALL[name])
    wrong = []
    for label, call, _ in subjects(name):
        narrow = with_arrays(call, single)
        subject = subject_of(name, narrow)
        wide = subject_of(name, with_arrays(narrow, double))
        assert subject is not None
        assert wide is not None
        expected = [np.asarray(r).dtype for r in float_results(function(*narrow.args, **narrow.kwargs))]
        with np.errstate(all="ignore"):
            found = [t.dtype for t in subject.call([leaf(a) for a in subject.arrays])]
        if found != expected:
            wrong.append(f"{label}: float32 gives {found}, NumPy {expected}")
        reference = [g.astype(a.dtype) for g, a in zip(gradients(wide, wide.arrays), subject.arrays, strict=True)]
        wrong += differences(f"{label}: float32", subject.names, gradients(subject, subject.arrays), reference, 4096)
    report(wrong)


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran order": lambda a: np.array(a, order="F"),
    "every second element": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "negative strides": lambda a: np.flip(np.flip(a).copy()),
    "read-only": lambda a: _read_only(a.copy()),
}


def _read_only(a: Any) -> Any:
    a.flags.writeable = False
    return a


@every_row
def test_gradients_do_not_depend_on_how_arguments_lie_in_memory_and_leave_them_unchanged(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        expected = gradients(subject, [np.ascontiguousarray(a).reshape(a.shape) for a in subject.arrays])
        for layout, lay in LAYOUTS.items():
            arrays = [lay(a) for a in subject.arrays]
            before = [a.tobytes() for a in arrays]
            wrong += differences(f"{label}: {layout}", subject.names, gradients(subject, arrays), expected, FEW_ULP)
            if [a.tobytes() for a in arrays] != before:
                wrong.append(f"{label}: {layout}: an argument was changed")
    report(wrong)


@pytest.mark.parametrize("name", [n for n, f in OPS.items() if TABLE[f].elementwise])
def test_elementwise_gradients_of_broadcast_arguments_with_stride_0(name: str) -> None:
    wrong = []
    for label, _, subject in subjects(name):
        if any(a.ndim == 0 or 0 in a.shape for a in subject.arrays):
            continue
        arrays = [np.broadcast_to(a[:1], a.shape) for a in subject.arrays]
        wrong += differences(label, subject.names, gradients(subject, arrays), gradients(subject, [a.copy() for a in arrays]), 8)
    report(wrong)


@pytest.mark.parametrize("function", sorted((f for f in CONSTANTS if _ours(f)), key=full_name), ids=full_name)
def test_functions_without_derivative_have_no_rules(function: Any) -> None:
    assert function not in COMPOSITIONS
    assert function not in TABLE or not TABLE[function].rules


def with_imaginary_part(a: Any, random: np.random.Generator) -> Any:
    """A complex array with the real part `a`; Hermitian if `a` is symmetric."""
    imaginary = 0.5 * random.uniform(0.5, 1.5, a.shape)
    return a + 1j * (imaginary - np.swapaxes(imaginary, -1, -2) if is_symmetric(a) else imaginary)


def single(a: Any) -> Any:
    return a.astype(np.complex64 if a.dtype.kind == "c" else np.float32)


def double(a: Any) -> Any:
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)


@pytest.fixture
def spied() -> Iterator[Callable[[Any], list[tuple[str, Any]]]]:
    """Replace the rules of an operation by ones that note their name and result; put back after the test."""
    spied_on: list[tuple[Any, dict[str, Any]]] = []

    def spy(row: Any) -> list[tuple[str, Any]]:
        ran: list[tuple[str, Any]] = []

        def noting(name: str, rule: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(rule)
            def noted(*args: Any) -> Any:
                result = rule(*args)
                ran.append((name, result))
                return result

            return noted

        spied_on.append((row, dict(row.rules)))
        row.define({name: noting(name, rule) for name, rule in row.rules.items()})
        return ran

    yield spy
    for row, rules in spied_on:
        row.define(rules)
