"""Schedules: values that any hyperparameter accepts, and the batch size of `nn.data.batches` too.

    optim.Adam(params, lr=Warmup(Cosine(1e-3, steps=1000), steps=100), weight_decay=Exponential(5e-4, factor=0.999))

A schedule is a function of the step, counted from 0; numbers and schedules can be calculated with, and `.plot()` draws them.
"""

from optim.schedules.base import Constant, Schedule
from optim.schedules.compose import Piecewise, Sequential, Warmup
from optim.schedules.cycles import CosineRestarts, Cyclic, OneCycle
from optim.schedules.decay import Cosine, DivergingInverseTime, Exponential, InverseTime, Linear, MultiStep, Polynomial, Step
from optim.schedules.plateau import Plateau

__all__ = [
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "DivergingInverseTime",
    "Exponential",
    "InverseTime",
    "Linear",
    "MultiStep",
    "OneCycle",
    "Piecewise",
    "Plateau",
    "Polynomial",
    "Schedule",
    "Sequential",
    "Step",
    "Warmup",
]
