"""The door for authors of operations, ours and users': one statement makes a function differentiable.

Read `door.py` first (`defvjp`, `op`, `composed`, `constant`), then `samples.py`: the sample calls that tests and the gradient checker are
made of. This room must not know what is defined through it.
"""
