"""`ag.compile`: a function is recorded twice, call by call of NumPy's, and from then on replayed.

Read `program.py` first: what is recorded, and what it means. This room must not know any single operation: what calls a function
makes, and what they give, is told by NumPy's protocols while it runs.
"""
