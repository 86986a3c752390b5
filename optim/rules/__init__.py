"""Update rules, each a pure function of a few lines: (gradient, parameter, state, hyperparameters) -> (change, state).

    gradient, parameter   arrays, which the rule does not change
    state                 what it returned at the last step: named arrays and numbers; empty at the first
    hyperparameters       keywords, plain numbers
    change                what the optimizer adds to the parameter

Names of states and hyperparameters are torch's, so that a `state_dict` can go from one to the other. A rule marked
`@per_element` treats every element alike and alone; the optimizer may then cut arrays into blocks, or join them.
"""

from optim.rules.adam import adam
from optim.rules.common import per_element
from optim.rules.sgd import sgd

__all__ = ["adam", "per_element", "sgd"]
