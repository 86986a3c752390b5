"""Benchmarks: ratios against hand-written code in the same process, beside other libraries where they are installed."""
