"""NumPy's functions of batches: the table with all of its lines."""

from autograd_core.batching import elementwise, products, rearranging, reductions
from autograd_core.batching.table import FUNCTIONS

__all__ = ["FUNCTIONS", "elementwise", "products", "rearranging", "reductions"]
