"""Many arrays of one shape as one: what `ag.vmap` and Jacobians compute with (array.py tells how)."""

from autograd_core.batching.array import Batched, BatchingError, new_level

__all__ = ["Batched", "BatchingError", "new_level"]
