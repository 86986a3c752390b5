"""The optimizers by their usual names: each a rule from `optim.rules` with its arguments and defaults, torch's where torch has it."""

from optim.optimizers.adam import Adam, Adamax, AdamW, Lion, NAdam, RAdam, SparseAdam
from optim.optimizers.adaptive import Adadelta, Adagrad, RMSprop, Rprop
from optim.optimizers.layerwise import LAMB, LARS, Adafactor
from optim.optimizers.lbfgs import LBFGS
from optim.optimizers.matrices import Muon, Shampoo
from optim.optimizers.sgd import ASGD, SGD

__all__ = [
    "ASGD",
    "LAMB",
    "LARS",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Shampoo",
    "SparseAdam",
]
