"""Many arrays of one shape as one: what `ag.vmap` and Jacobians compute with (array.py tells how).

Read `array.py` first, then `interpreter.py`. This room must not know tapes and tensors.
"""

from autograd_core.arrays.batching.array import Batched, BatchingError

__all__ = ["Batched", "BatchingError"]
