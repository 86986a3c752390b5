"""NumPy's functions of batches: the table with all of its lines."""

from autograd_core.arrays.batching import elementwise, products, rearranging, reductions
from autograd_core.arrays.batching.table import FUNCTIONS

__all__ = ["FUNCTIONS", "elementwise", "products", "rearranging", "reductions"]
