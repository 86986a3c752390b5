"""Choosing hyperparameters from what is there: the curvature, the data, the gradients' noise, the model's size, a test run."""

from optim.choice.curvature import largest_eigenvalue, lipschitz_step
from optim.choice.data import feature_scales, relevance, step_from_data
from optim.choice.noise import GradientNoise
from optim.choice.range_test import RangeTest, range_test
from optim.choice.size import lr_from_size, lr_from_width

__all__ = [
    "GradientNoise",
    "RangeTest",
    "feature_scales",
    "largest_eigenvalue",
    "lipschitz_step",
    "lr_from_size",
    "lr_from_width",
    "range_test",
    "relevance",
    "step_from_data",
]
