"""Functions of functions: grad, vjp, jvp, vmap, Jacobians, roots, custom gradients.

Read `evaluation.py` first: one evaluation of a function with variables in the places of its inputs, which all begin with.
This room must not know any single operation: what it does, it does to whatever was recorded.
"""
