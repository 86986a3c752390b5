"""Which values hyperparameters may have: one table for all rules, since a name means the same nearly everywhere. And how they are saved."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import numpy as np

from optim.at_once import Changes

__all__ = [
    "DOMAINS",
    "Domain",
    "at_step",
    "check",
    "hyperparameters_of",
    "is_changeable",
    "loaded",
    "loaded_entry",
    "plain_array",
    "refuse_unknown",
    "resuming",
    "saved",
]

# torch's arguments that say how a rule is run, not what it computes: there is one way here. Its states carry them along.
EXECUTION = frozenset({"foreach", "fused", "capturable", "differentiable"})

# Parts of torch's states that are one number, which torch keeps in tensors.
NUMBERS = frozenset({"step", "eta", "mu", "mu_product"})

Domain = tuple[str, Callable[[Any], bool]]  # what is wanted, in words; whether a value is it


def is_number(value: Any) -> bool:
    """Whether `value` is a real number, nan included."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def at_least(low: float) -> Domain:
    """Finite numbers from `low` on."""
    return f"a finite number >= {low:g}", lambda value: is_number(value) and low <= value < math.inf


def between(low: float, high: float) -> Domain:
    """Numbers in the closed interval."""
    return f"in [{low:g}, {high:g}]", lambda value: is_number(value) and low <= value <= high


def pair(wanted: str, holds: Callable[[float, float], bool]) -> Domain:
    """Two numbers that are right together."""
    return wanted, lambda value: isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value)) and bool(holds(*value))


FLAG: Domain = ("True or False", lambda value: isinstance(value, bool))
COUNT: Domain = ("an integer >= 1", lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1)
FINITE: Domain = ("a finite number", lambda value: is_number(value) and math.isfinite(value))

DOMAINS: dict[str, Domain] = {
    "lr": at_least(0),
    "weight_decay": at_least(0),
    "momentum": at_least(0),
    "dampening": FINITE,
    "eps": at_least(0),
    "betas": pair("two numbers in [0, 1)", lambda b1, b2: 0 <= b1 < 1 and 0 <= b2 < 1),
    "nesterov": FLAG,
    "maximize": FLAG,
    "amsgrad": FLAG,
    "centered": FLAG,
    "decoupled_weight_decay": FLAG,
    "alpha": between(0, 1),
    "rho": between(0, 1),
    "lambd": at_least(0),
    "t0": at_least(0),
    "lr_decay": at_least(0),
    "initial_accumulator_value": at_least(0),
    "momentum_decay": at_least(0),
    "etas": pair("two numbers with 0 < etas[0] < 1 < etas[1]", lambda down, up: 0 < down < 1 < up < math.inf),
    "step_sizes": pair("two numbers with 0 <= step_sizes[0] <= step_sizes[1]", lambda low, high: 0 <= low <= high),
    "beta2_decay": ("a finite number <= 0", lambda value: is_number(value) and -math.inf < value <= 0),
    "d": at_least(1),
    "trust_coefficient": at_least(0),
    "ns_steps": ("an integer in [1, 100)", lambda value: isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 100),
    "ns_coefficients": ("three finite numbers", lambda value: isinstance(value, tuple) and len(value) == 3 and all(FINITE[1](v) for v in value)),
    "adjust_lr_fn": ('None, "original" or "match_rms_adamw"', lambda value: value in (None, "original", "match_rms_adamw")),
    "max_norm": at_least(0),
    "max_delta": at_least(0),
    "clip_factor": at_least(0),
    "decay": between(0, 1),
    "update_every": COUNT,
    "max_size": COUNT,
    "factor": FINITE,
    "threshold": at_least(0),
    "eta": at_least(0),
    "gamma": FINITE,
    "grafting": ('None, "sgd" or "adagrad"', lambda value: value in (None, "sgd", "adagrad")),
}


def hyperparameters_of(rule: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the rule takes, which are its keyword-only parameters: of a constructor's `locals()`, all hyperparameters.

    >>> hyperparameters_of(lambda g, p, state, *, lr, eps: ..., {"self": None, "params": [], "lr": 0.1, "eps": 1e-8})
    {'lr': 0.1, 'eps': 1e-08}
    """
    code = rule.__code__
    names = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return {name: value for name, value in values.items() if name in names}


def at_step(value: Any, step: int) -> Any:
    """A hyperparameter's value at a step: schedules are called, also inside tuples, and NumPy's numbers become Python's.

    Python's, because a NumPy number would promote float32 parameters to float64 (NEP 50).
    """
    if callable(value):
        value = value(step)
    if isinstance(value, tuple | list):
        return tuple(at_step(v, step) for v in value)
    return value.item() if hasattr(value, "item") else value


def is_changeable(value: Any) -> bool:
    """Whether a hyperparameter may have another value next time though it is the same object: a schedule, an array, a list."""
    if isinstance(value, tuple):
        return any(map(is_changeable, value))
    return not (value is None or isinstance(value, int | float | str | np.generic))


def check(owner: str, hyperparameters: Mapping[str, Any], own: Mapping[str, Domain]) -> None:
    """Raise ValueError naming the first hyperparameter outside its domain; `own` has the domains that differ from the table."""
    for name, value in hyperparameters.items():
        wanted, holds = own.get(name) or DOMAINS.get(name.rpartition(".")[2], ("", lambda _: True))
        if not holds(value):
            raise ValueError(f"{owner}: {name} must be {wanted}, not {value!r}")


def refuse_unknown(owner: str, names: Collection[str], known: Collection[str]) -> None:
    """Raise TypeError for the first of the names, which `owner` does not know, with the one that may have been meant."""
    for name in sorted(names):
        if name in EXECUTION:
            raise TypeError(f"{owner}: {name} says how torch runs a rule; leave it out, results are the same for all its values")
        if name in known:
            raise TypeError(f"{owner}: {name} is no argument of {owner}, which sets it itself; use the optimizer that has it")
        near = difflib.get_close_matches(name, [*known, "nonfinite"], n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"
        raise TypeError(f"{owner}: unknown hyperparameter {name!r}{hint}")


def saved(value: Any) -> Any:
    """A hyperparameter as plain data. A schedule is described, with its state if it has one; it is not rebuilt from that."""
    if callable(value):
        return {"schedule": repr(value), "state": value.state_dict() if hasattr(value, "state_dict") else None}
    if isinstance(value, tuple | list):
        parts = [saved(v) for v in value]
        return tuple(parts) if isinstance(value, tuple) else parts
    return value.item() if getattr(value, "ndim", None) == 0 else value  # an array could be changed later


def loaded(value: Any, own: Any, name: str) -> Any:
    """What `saved` made of a hyperparameter, taken back: a schedule must be there already. Nothing is changed: see `resume`."""
    if isinstance(value, tuple | list):
        owns = own if isinstance(own, tuple | list) and len(own) == len(value) else [None] * len(value)
        if callable(own):
            owns = [own] * len(value)
        return tuple(loaded(v, o, name) for v, o in zip(value, owns, strict=True))
    if not isinstance(value, dict) or "schedule" not in value:
        if callable(own):
            raise ValueError(f"{name} is the schedule {own!r} here, but in the state it is {value!r}; assign a number to it before loading the state")
        return value
    if not callable(own):
        raise ValueError(f"{name} was saved as the schedule {value['schedule']}; make the optimizer with it before loading the state")
    return own


def resuming(value: Any, own: Any) -> Changes:
    """What lets the schedules in `own`, which `loaded` has returned, take over the states that were saved of them."""
    if isinstance(value, tuple | list):
        return [change for part, owns in zip(value, own, strict=True) for change in resuming(part, owns)]
    if isinstance(value, dict) and "schedule" in value and value["state"] is not None:
        loading = getattr(own, "loading", None)  # a schedule of the user's own may have load_state_dict only
        return [partial(own.load_state_dict, value["state"])] if loading is None else list(loading(value["state"]))
    return []


def plain_array(value: Any) -> Any:
    """A copy of what is in a tensor of torch's, or in anything that NumPy takes for an array."""
    if hasattr(value, "detach"):
        value = value.detach()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()  # NumPy has no bfloat16
    return np.array(value)


def loaded_entry(saved: Mapping[str, Any], dtype: Any, shape: tuple[int, ...] | None, label: str) -> dict[str, Any]:
    """A parameter's state from a saved one, torch's included: arrays of `dtype`, and Python's numbers.

    shape   that its arrays must have; None if they may have any
    label   of the parameter, for the error
    raises  ValueError for an array of another shape
    """
    entry: dict[str, Any] = {}
    for name, value in saved.items():
        if value is None:
            continue  # torch's momentum_buffer before the first step
        array = plain_array(value)
        if name.rpartition(".")[2] in NUMBERS or not hasattr(value, "shape"):
            entry[name] = int(array) if name.endswith("step") else array.item()
            continue
        if shape is not None and array.shape != shape:
            raise ValueError(f"{label}: its state {name} has shape {array.shape}, but the parameter {shape}")
        entry[name] = array.astype(dtype) if array.dtype.kind in "fc" else array
    return entry
