"""The door for authors of operations: `defvjp` and `op` (door.py), and the sample calls that tests are made of (samples.py)."""
