"""Many arrays of one shape as one: what `ag.vmap` and Jacobians compute with (array.py tells how)."""

from autograd_core.arrays.batching.array import Batched, BatchingError

__all__ = ["Batched", "BatchingError"]
