"""States of optimizers, between torch's and ours. Names and meanings are torch's; what differs is what numbers and arrays are kept in.

    theirs.load_state_dict(optim.to_torch(ours.state_dict()))
    ours.load_state_dict(optim.from_torch(theirs.state_dict()))     # or their state_dict itself

`from_torch` is for states that are kept: what it gives can be saved with `nn.save_checkpoint`, and read where there is no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optim.hyperparameters import EXECUTION, NUMBERS, plain_array

__all__ = ["from_torch", "to_torch"]


def from_torch(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The state of an optimizer of torch's as arrays and numbers, which the optimizer of the same name here loads."""
    groups = [{key: _plain(value) for key, value in group.items() if key not in EXECUTION} for group in state_dict["param_groups"]]
    state = {place: {name: _number(name, _plain(value)) for name, value in entry.items()} for place, entry in state_dict["state"].items()}
    return {"state": state, "param_groups": groups}


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_plain, value))
    if not hasattr(value, "detach"):
        return value
    array = plain_array(value)
    return array if array.shape else array.item()


def _number(name: str, value: Any) -> Any:
    return int(value) if name == "step" else float(value) if name in NUMBERS else value


def to_torch(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The state of an optimizer as torch's optimizer of the same name loads it: with tensors of torch's.

    raises  ValueError for a schedule among the hyperparameters, which torch does not have: its schedulers stand beside the optimizer
    """
    import torch

    def tensors(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(map(tensors, value))
        return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value

    for i, group in enumerate(state_dict["param_groups"]):
        for name, value in group.items():
            if isinstance(value, dict) and "schedule" in value:
                raise ValueError(f"to_torch: {name} of group {i} is a schedule, {value['schedule']}, which torch does not have; assign a number")
    state = {
        place: {
            # torch counts in tensors of its default dtype, whatever the parameter's is
            name: torch.tensor(float(value)) if name in NUMBERS and not isinstance(value, np.ndarray) else tensors(value)
            for name, value in entry.items()
        }
        for place, entry in state_dict["state"].items()
    }
    return {"state": state, "param_groups": [dict(group) for group in state_dict["param_groups"]]}
