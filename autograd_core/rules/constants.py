"""Functions without derivative: on tensors they give plain arrays, to be used as masks, indices, shapes and texts.

Comparisons and predicates could have been step functions with slope 0; plain arrays say more clearly that no gradient passes.
Float-valued steps (floor, sign, round) are in elementwise.py: they stay on the tape.
"""

from __future__ import annotations

import numpy as np

from autograd_core.define.door import constant

# --- comparisons, predicates and bits: ufuncs ----------------------------------------------------------------------------------

constant(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal)
constant(np.logical_and, np.logical_or, np.logical_xor, np.logical_not)
constant(np.isfinite, np.isinf, np.isnan, np.isnat, np.signbit)
constant(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.bitwise_count, np.invert, np.left_shift, np.right_shift, np.gcd, np.lcm)

for _predicate in (np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal):
    constant((_predicate, "outer"))
for _logical in (np.logical_and, np.logical_or, np.logical_xor):
    constant((_logical, "outer"), (_logical, "reduce"), (_logical, "accumulate"), (_logical, "reduceat"))

# --- questions about values ------------------------------------------------------------------------------------------------------

constant(np.all, np.any, np.allclose, np.isclose, np.array_equal, np.array_equiv, np.isin)
constant(np.isreal, np.iscomplex, np.isrealobj, np.iscomplexobj, np.isneginf, np.isposinf)

# --- places: indices, counts, bins -----------------------------------------------------------------------------------------------

constant(np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.lexsort)
constant(np.nonzero, np.flatnonzero, np.argwhere, np.count_nonzero, np.searchsorted, np.digitize)
constant(np.unravel_index, np.ravel_multi_index, np.tril_indices_from, np.triu_indices_from, np.diag_indices_from)
constant(np.packbits, np.unpackbits)

# --- shapes, dtypes, memory --------------------------------------------------------------------------------------------------------

constant(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.common_type, np.min_scalar_type)
constant(np.may_share_memory, np.shares_memory)

# --- texts and files -----------------------------------------------------------------------------------------------------------------

constant(np.array2string, np.array_repr, np.array_str, np.save, np.savez, np.savez_compressed, np.savetxt)
