"""What a tape keeps, and how to keep less: checkpoints, chains of them, saved values on disk, and a ledger of it all."""
