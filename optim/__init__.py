"""Optimizers: update rules as formulas one can read, and one loop around them, under torch's names."""

from optim import rules
from optim.classes import SGD, Adam
from optim.optimizer import Optimizer

__all__ = ["SGD", "Adam", "Optimizer", "rules"]
