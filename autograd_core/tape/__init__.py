"""The tape: operations, what is kept of each call, and the sweep that carries gradients back.

Read in this order: `op.py` (one row of the table: a function and its rules), `plan.py` (what the tape keeps of a call),
`node.py` (one recorded call), `sweep.py` (the backward pass as one would write it on a board), `fitting.py` (a gradient has
its argument's shape and dtype). `quick.py` is the measured fast loop, `batched.py` the sweep over batches. This room must not
know `Tensor`.
"""
