"""`Tensor`: how calls on it become nodes, and how a user asks for the backward pass.

Read `recording.py` first (how a call becomes a node), then `tensor.py`, `protocols.py` (how NumPy's functions find us) and
`backward.py`. This room must not know any single operation.
"""
