"""Optimizers around optimizers: look ahead, sharpness-aware steps, several at once, one after the other; and means of weights."""

from optim.wrappers.averages import WeightAverage
from optim.wrappers.combined import Combined, Switch
from optim.wrappers.lookahead import Lookahead
from optim.wrappers.sam import SAM

__all__ = ["SAM", "Combined", "Lookahead", "Switch", "WeightAverage"]
