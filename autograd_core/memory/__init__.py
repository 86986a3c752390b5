"""What a tape keeps, and how to keep less: checkpoints, chains of them, saved values on disk, and a ledger of it all.

Read `ledger.py` first (who keeps what), then `checkpointing.py` (keep only inputs, compute the rest again). This room must not know any
single operation: it sees saved arrays, and functions that can be run again.
"""
