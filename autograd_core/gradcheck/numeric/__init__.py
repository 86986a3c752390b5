"""Numeric derivatives, how far they can be trusted, and how they are compared with what a rule says."""
