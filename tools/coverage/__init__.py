"""Which functions of NumPy are differentiated, written as a page: `python -m tools.coverage`."""
