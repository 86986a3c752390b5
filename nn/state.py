"""A state, a flat mapping of names to arrays, put into tensors: first all checks, then all changes at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag
from nn.parameter import Parameter
from nn.uninitialized import UninitializedBuffer, UninitializedParameter

__all__ = ["EXTRA_STATE", "loading", "plain_array"]

EXTRA_STATE = "_extra_state"


def plain_array(value: Any) -> Any:
    """The NumPy array in a tensor of ours or of another library."""
    if isinstance(value, ag.Tensor):
        return value.detach().numpy()
    if hasattr(value, "detach"):  # torch's, which refuses conversion while it requires grad
        value = value.detach()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":  # which NumPy does not have; every value of it is one of float32 too
            value = value.float()
    return np.asarray(value)


def loading(
    owner: str,
    own: Mapping[str, Any],
    state: Mapping[str, Any],
    strict: bool,
    assign: bool = False,
    setters: Mapping[str, Callable[[Any], Any]] | None = None,
) -> tuple[list[Callable[[], Any]], list[str], list[str]]:
    """The calls that will copy the arrays of `state` into the tensors in `own`; names that are missing; names that are not known.

    owner    the module's class, for errors
    assign   the tensors get the arrays themselves
    setters  what to call for the extra states in `own`, which are no tensors
    raises  as `Module.load_state_dict`; nothing is changed yet in any case
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: expected a mapping of names to arrays, not {type(state).__name__}")
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    if strict and (missing or unexpected):
        raise KeyError(_mismatch(owner, missing, unexpected))
    extra = [name for name in own if name in (setters or {})]
    arrays = {name: plain_array(state[name]) for name in own if name in state and name not in extra}
    first: dict[ag.Tensor, str] = {}
    for name, array in arrays.items():
        target = own[name]
        unknown = isinstance(target, UninitializedParameter | UninitializedBuffer)
        if not unknown and array.shape != target.shape:
            raise ValueError(f"load_state_dict: {name} has shape {array.shape}, but the module's has shape {target.shape}")
        if array.dtype.kind not in "biufc" or (array.dtype.kind == "c" and target.dtype.kind != "c"):
            raise TypeError(f"load_state_dict: {name} has dtype {array.dtype}, which the module's {target.dtype} cannot hold")
        other = first.setdefault(target, name)
        if other != name and not np.array_equal(arrays[other], array, equal_nan=array.dtype.kind in "fc"):
            raise ValueError(f"load_state_dict: {other} and {name} are one parameter of the module's, but the state has different values for them")
        if not assign and not target.data.flags.writeable:
            raise ValueError(f"load_state_dict: the module's {name} is a read-only array, which cannot be loaded into; copy it first")
    # Copied now: an array of the state may be a view of one that is changed, and a conversion may warn, or fail.
    calls: list[Callable[[], Any]] = [partial(setter, state[name]) for name, setter in (setters or {}).items() if name in extra and name in state]
    for name in first.values():
        target, array = own[name], arrays[name]
        if assign and not isinstance(target, UninitializedParameter | UninitializedBuffer):
            calls += _replacing(target, array if array.dtype.kind in "fc" or not isinstance(target, Parameter) else array.astype(target.dtype))
        else:
            calls.append(_setting(target, np.array(array, target.dtype)))
    return calls, missing, unexpected


def _replacing(target: ag.Tensor, array: Any) -> list[Callable[[], Any]]:
    """The tensor, which is the same object as before, gets this array; its gradient, of the old dtype perhaps, is forgotten."""
    requires_grad = target.requires_grad  # a tracked tensor keeps its dtype, so it leaves the tape for a moment
    values = {"grad": None, "requires_grad": False, "data": array}
    return [partial(setattr, target, name, value) for name, value in [*values.items(), ("requires_grad", requires_grad)]]


def _setting(target: ag.Tensor, values: Any) -> Callable[[], Any]:
    if isinstance(target, UninitializedParameter | UninitializedBuffer):
        # Of a lazy layer that has seen no input either, the state has nothing to give.
        return partial(target.become, values) if values.shape != (0,) else partial(bool)
    return partial(target.data.__setitem__, ..., values)


def _mismatch(owner: str, missing: list[str], unexpected: list[str]) -> str:
    parts = [f"load_state_dict: the state does not fit {owner}"]
    if missing:
        parts.append(f"missing {', '.join(missing)}")
    if unexpected:
        parts.append(f"unexpected {', '.join(unexpected)}")
        near = [(name, difflib.get_close_matches(name, missing, n=1)) for name in unexpected]
        parts.extend(f"(did you mean {match[0]} by {name}?)" for name, match in near if match)
    return "; ".join(parts) + "; strict=False loads what fits"
