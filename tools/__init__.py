"""Programs that are run from a checkout: `python -m tools.demo`."""
