"""What each of NumPy's functions is to the engine, read from the engine's own tables and samples.

The functions are those that NumPy lets other array types override. What a function takes is told by the samples that the
generated tests (tests/test_rules.py) run: an argument that no sample passes is not claimed.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.char
import numpy.lib.recfunctions
import numpy.polynomial
import numpy.strings
from numpy.testing import overrides

from autograd_core.define.samples import Call, calls_of
from autograd_core.gradcheck.subjects.subjects import Traced, float_results, leaf, traced
from autograd_core.tape.loading import load_more
from autograd_core.tape.signatures import signature_of
from autograd_core.tape.table import COMPOSITIONS, CONSTANTS, TABLE, UPDATES
from autograd_core.tensor.backward import gradient
from autograd_core.tensor.protocols import full_name
from autograd_core.tensor.tensor import Tensor
from tools.coverage.mapped import mapped_state
from tools.coverage.reasons import METHODS_REFUSED, REFUSED

__all__ = [
    "COMPOSITION",
    "CONSTANT",
    "DIFFERENTIABLE",
    "METHODS",
    "REFUSED_STATE",
    "RULE",
    "UNKNOWN",
    "UPDATE",
    "Row",
    "all_functions",
    "differentiable_subject",
    "method_states",
    "name_of",
    "rows",
    "state_of",
]

RULE, COMPOSITION, UPDATE, CONSTANT, REFUSED_STATE, UNKNOWN = "rule", "composition", "recorded update", "constant", "refused", "unknown"
DIFFERENTIABLE = (RULE, COMPOSITION, UPDATE)
METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")


class Row(NamedTuple):
    """One function on the page.

    state           one of the words above
    reason          why it is refused
    differentiable  arguments with respect to which its samples are differentiated
    others          further arguments that its samples pass
    second_order    whether the generated tests differentiate it twice
    mapped          under `ag.vmap`: "at once", "loop" (over the batch), or "refused"
    is_complex      "yes"; "real only" (NumPy takes complex numbers, the engine refuses); "-" (NumPy takes none)
    """

    name: str
    state: str
    reason: str = ""
    differentiable: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    second_order: bool = False
    mapped: str = ""
    is_complex: str = "-"


def name_of(function: Any) -> str:
    """`np.linalg.inv`; a ufunc's name, also of one that is not public; `np.add.reduce` for a method."""
    if isinstance(function, tuple):
        return f"{name_of(function[0])}.{function[1]}"
    return f"np.{function.__name__}" if isinstance(function, np.ufunc) else full_name(function)


def all_functions() -> dict[str, Any]:
    """NumPy's overridable functions and ufuncs by name; of several objects with one name, one that the engine knows."""
    load_more()
    found: dict[str, Any] = {}
    for function in (*overrides.get_overridable_numpy_array_functions(), *overrides.get_overridable_numpy_ufuncs()):
        name = name_of(function)
        if name not in found or state_of(found[name]) not in (*DIFFERENTIABLE, CONSTANT):
            found[name] = function
    return dict(sorted(found.items(), key=lambda item: (item[0].count("."), item[0].lower())))


def state_of(function: Any) -> str:
    """The state of a function, ufunc or (ufunc, method), as the engine's dispatch finds it."""
    if function in TABLE and TABLE[function].rules:
        return RULE
    if function in COMPOSITIONS:
        return COMPOSITION
    if function in UPDATES:
        return UPDATE
    if function in CONSTANTS:
        return CONSTANT
    name = name_of(function)
    return REFUSED_STATE if name in REFUSED or name in METHODS_REFUSED else UNKNOWN


def rows() -> list[Row]:
    """A row for each function, in order of their names."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return [_row(name, function) for name, function in all_functions().items()]


def _row(name: str, function: Any) -> Row:
    state = state_of(function)
    if state == UPDATE:
        named = tuple(inspect.signature(UPDATES[function]).parameters)
        return Row(name, state, others=named, is_complex="yes")
    if state not in DIFFERENTIABLE:
        return Row(name, state, REFUSED.get(name, ""))
    calls = calls_of(TABLE[function] if state == RULE else COMPOSITIONS[function])
    subjects = [subject for subject in (differentiable_subject(function, call) for call in calls) if subject is not None]
    differentiable = _unique(place.split("[")[0] for subject in subjects for place in subject.names)
    passed = _unique(argument for call in calls for argument in _arguments(function, state, call))
    others = tuple(argument for argument in passed if argument not in differentiable)
    return Row(name, state, "", differentiable, others, bool(subjects), mapped_state(subjects), _complex_state(function, calls))


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def differentiable_subject(function: Any, call: Call) -> Traced | None:
    """The call with the arguments that can be tracked; None if there are none."""
    try:
        subject = traced(function, call.args, call.kwargs)
    except TypeError as error:
        if "no floating-point array" in str(error):
            return None
        raise
    places = [place for place in subject.places if function in TABLE or _follows(subject.only([place]))]
    return subject.only(places) if places else None


def _follows(subject: Traced) -> bool:
    """Whether the gradient with respect to the only tracked argument can be had."""
    try:
        return any(isinstance(t, Tensor) for t in subject.call([leaf(a) for a in subject.arrays]))
    except TypeError as error:
        if "no derivative" not in str(error):
            raise
        return False


def _arguments(function: Any, state: str, call: Call) -> list[str]:
    """Names of the arguments in a call."""
    if state == RULE:
        names: list[str] = list(TABLE[function].parameters)
        variadic = TABLE[function].variadic
    else:
        parameters = signature_of(name_of(function), COMPOSITIONS[function].compute, None).values()
        names = [p.name for p in parameters]
        variadic = next((i for i, p in enumerate(parameters) if p.kind is p.VAR_POSITIONAL), None)
    count = len(call.args) if variadic is None else min(len(call.args), variadic + 1)
    return [*names[:count], *call.kwargs]


# --- complex numbers ---------------------------------------------------------------------------------------------------------------


def _complex_state(function: Any, calls: list[Call]) -> str:
    """Whether some sample, made complex, is taken by NumPy and differentiated by the engine."""
    state = "-"
    for call in calls:
        as_complex = _as_complex(call)
        try:
            value = function(*as_complex.args, **as_complex.kwargs)
        except (TypeError, ValueError):
            continue
        if not float_results(value) or not _finite(value):
            continue
        if _differentiates_complex(function, as_complex):
            return "yes"
        state = "real only"
    return state


def _finite(value: Any) -> bool:
    return all(bool(np.isfinite(result).all()) for result in float_results(value))


def _as_complex(call: Call) -> Call:
    def one(value: Any) -> Any:
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f":
            array = np.asarray(value)
            skew = 0.5 * np.linspace(0.5, 1.5, array.size).reshape(array.shape)
            return array + 1j * (skew - np.swapaxes(skew, -1, -2) if _symmetric(array) else skew)
        return type(value)(map(one, value)) if type(value) in (tuple, list) else value

    return Call(tuple(map(one, call.args)), {keyword: one(value) for keyword, value in call.kwargs.items()})


def _symmetric(a: Any) -> bool:
    return a.ndim >= 2 and a.shape[-1] == a.shape[-2] and bool(np.all(a == np.swapaxes(a, -1, -2)))


def _differentiates_complex(function: Any, call: Call) -> bool:
    """Whether the gradient with respect to some complex argument can be had."""
    subject = traced(function, call.args, call.kwargs)
    for place in subject.places:
        alone = subject.only([place])
        if place.array.dtype.kind != "c" or not _follows(alone):
            continue
        tensor = leaf(place.array)
        results = [t for t in alone.call([tensor]) if isinstance(t, Tensor) and t.node is not None]
        if results:  # none, where the values do not matter: np.zeros_like
            gradient(results[0], tensor, np.ones_like(results[0].data), allow_unused=True)
        return True
    return False


# --- methods of ufuncs ---------------------------------------------------------------------------------------------------------------


def method_states() -> dict[str, dict[str, str]]:
    """For each ufunc of numbers that has methods: method -> state, or "-" where NumPy has none."""
    found: dict[str, dict[str, str]] = {}
    for name, function in all_functions().items():
        if isinstance(function, np.ufunc) and state_of(function) in (*DIFFERENTIABLE, CONSTANT) and function.signature is None and function.nin <= 2:
            found[name] = {method: _method_state(function, method) for method in METHODS}
    return found


def _method_state(ufunc: Any, method: str) -> str:
    exists = ufunc.nin == 2 if method == "outer" else ufunc.nout == 1 if method == "at" else ufunc.nin == 2 and ufunc.nout == 1
    if not exists:
        return "-"
    state = state_of((ufunc, method))
    return REFUSED_STATE if state == UNKNOWN and state_of(ufunc) == CONSTANT else state
