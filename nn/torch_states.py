"""A model's state for torch: `their_model.load_state_dict(nn.to_torch(our_model))`. The other way needs nothing: `load_state_dict` takes torch's."""

from __future__ import annotations

from typing import Any

import numpy as np

from nn.state import plain_array

__all__ = ["to_torch"]


def to_torch(state: Any) -> dict[str, Any]:
    """A module, or its `state_dict`, as a dict of tensors of torch's; copies, under the same names."""
    import torch

    named = state.state_dict() if hasattr(state, "state_dict") else state
    return {name: torch.from_numpy(np.array(plain_array(value))) for name, value in named.items()}
