"""A module's state as a flat mapping of names to arrays: taking it, and putting it back after checking all of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

import autograd_core as ag
from nn.parameter import Parameter

if TYPE_CHECKING:
    from nn.module import Module

__all__ = ["load_into", "plain_array", "snapshot"]


def snapshot(module: Module) -> Iterator[tuple[str, ag.Tensor]]:
    """(dotted name, tensor) of all parameters and persistent buffers; shared ones under each of their names."""
    for path, owner in module.named_modules(remove_duplicate=False):
        for name, value in owner.__dict__.items():
            if value is not None and (isinstance(value, Parameter) or owner._buffers.get(name, False)):
                yield f"{path}.{name}" if path else name, value


def plain_array(value: Any) -> Any:
    """The NumPy array in a tensor of ours or of another library."""
    if isinstance(value, ag.Tensor):
        return value.detach().numpy()
    if hasattr(value, "detach"):  # torch's, which refuses conversion while it requires grad
        value = value.detach()
    return np.asarray(value)


def load_into(module: Module, state: Mapping[str, Any], strict: bool) -> tuple[list[str], list[str]]:
    """Copy the arrays of `state` into the module's parameters and buffers; all checks come before the first change."""
    if not isinstance(state, Mapping):
        raise TypeError(f"load_state_dict: expected a mapping of names to arrays, not {type(state).__name__}")
    own = dict(snapshot(module))
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    if strict and (missing or unexpected):
        raise KeyError(_mismatch(module, missing, unexpected))
    arrays = {name: plain_array(state[name]) for name in own if name in state}
    for name, array in arrays.items():
        target = own[name]
        if array.shape != target.shape:
            raise ValueError(f"load_state_dict: {name} has shape {array.shape}, but the module's has shape {target.shape}")
        if array.dtype.kind not in "biufc" or (array.dtype.kind == "c" and target.dtype.kind != "c"):
            raise TypeError(f"load_state_dict: {name} has dtype {array.dtype}, which the module's {target.dtype} cannot hold")
    for name, array in arrays.items():
        own[name].data[...] = array
    return missing, unexpected


def _mismatch(module: Module, missing: list[str], unexpected: list[str]) -> str:
    parts = [f"load_state_dict: the state does not fit {type(module).__name__}"]
    if missing:
        parts.append(f"missing {', '.join(missing)}")
    if unexpected:
        parts.append(f"unexpected {', '.join(unexpected)}")
        near = [(name, difflib.get_close_matches(name, missing, n=1)) for name in unexpected]
        parts.extend(f"(did you mean {match[0]} by {name}?)" for name, match in near if match)
    return "; ".join(parts) + "; strict=False loads what fits"
