"""Search for hyperparameters: grids, random draws, successive halving, scored on a hold-out set or by cross-validation.

An objective is a function of the hyperparameters, given as keywords, that returns a score; lower is better.
"""

from optim.search.distributions import Choice, Distribution, Integer, LogUniform, Uniform
from optim.search.results import Results, Trial
from optim.search.strategies import grid, random, successive_halving
from optim.search.validation import cross_validated, folds

__all__ = [
    "Choice",
    "Distribution",
    "Integer",
    "LogUniform",
    "Results",
    "Trial",
    "Uniform",
    "cross_validated",
    "folds",
    "grid",
    "random",
    "successive_halving",
]
