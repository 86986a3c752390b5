"""torch's learning-rate schedulers: objects beside the optimizer, with `step()`. Each is an adapter of a schedule.

One formula, two spellings: `StepLR(optimizer, 30)` sets `lr` at each `step()` to what `Step(initial_lr, every=30)` says, where
`SGD(params, lr=Step(0.1, every=30))` asks it itself. A scheduler's step is whatever it is called once per: an epoch, or a batch.
"""

from optim.lr_scheduler.base import LRScheduler
from optim.lr_scheduler.cycles import CyclicLR, OneCycleLR
from optim.lr_scheduler.plateau import ReduceLROnPlateau
from optim.lr_scheduler.several import ChainedScheduler, SequentialLR
from optim.lr_scheduler.single import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
