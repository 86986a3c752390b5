"""Arrays before any tape: shapes, indices, containers of arrays, and arrays that wrap arrays (layers).

Read `layers.py` first: what a batch (`batching/`) and a dual number (`duals.py`) have in common, and who of several is in
charge of a call. This room must not know the tape.
"""
