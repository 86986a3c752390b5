"""Update rules, each a pure function of a few lines: (gradient, parameter, state, hyperparameters) -> (change, state).

    gradient g, parameter p   arrays, which the rule does not change
    state                     what it returned at the last step: named arrays and numbers; empty at the first
    hyperparameters           keywords, plain numbers
    change                    what the optimizer adds to the parameter

Names of states and hyperparameters are torch's, so that a `state_dict` can go from one to the other. A rule marked
`@per_element` treats every element alike and alone; the optimizer may then cut arrays into blocks, or join them. Such a rule
calls ufuncs and `np.where` only, and does not ask for the values in its arrays.
"""

from optim.rules.adam import adam, adamax, lion, nadam, radam, sparse_adam
from optim.rules.adaptive import adadelta, adagrad, rmsprop, rprop
from optim.rules.common import per_element
from optim.rules.layerwise import adafactor, lamb, lars
from optim.rules.matrices import muon, shampoo
from optim.rules.sgd import asgd, sgd

__all__ = [
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "asgd",
    "lamb",
    "lars",
    "lion",
    "muon",
    "nadam",
    "per_element",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "shampoo",
    "sparse_adam",
]
