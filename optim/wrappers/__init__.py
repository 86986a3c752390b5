"""Optimizers around optimizers: batches in parts, look ahead, sharpness-aware steps, several optimizers; and means of weights."""

from optim.wrappers.accumulate import Accumulate
from optim.wrappers.averages import WeightAverage
from optim.wrappers.combined import Combined, Switch
from optim.wrappers.lookahead import Lookahead
from optim.wrappers.sam import SAM
from optim.wrappers.swats import SWATS

__all__ = ["SAM", "SWATS", "Accumulate", "Combined", "Lookahead", "Switch", "WeightAverage"]
