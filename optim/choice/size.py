"""Step sizes from the model's size."""

from __future__ import annotations

import math

__all__ = ["lr_from_size", "lr_from_width"]


def lr_from_size(parameters: int) -> float:
    """A learning rate for Adam on a transformer of so many parameters: 0.003239 - 0.0001395 ln(parameters).

    Kaplan et al. 2020, "Scaling laws for neural language models", eq. D.1, fitted on models up to 10^9 parameters.

    raises  ValueError outside [1, 10^10], where the formula would give nothing of use

    >>> round(lr_from_size(10**6), 5)
    0.00131
    """
    if not 1 <= parameters <= 1e10:
        raise ValueError(f"lr_from_size: the formula was fitted on models of up to 1e9 parameters and ends at 1e10, not {parameters!r}")
    return 0.003239 - 0.0001395 * math.log(parameters)


def lr_from_width(lr: float, width: int, tuned_width: int) -> float:
    """The learning rate of Adam for hidden matrices of a model `width` wide, from one tuned on `tuned_width`: lr tuned_width / width.

    Yang et al. 2021, "Tensor programs V: tuning large neural networks via zero-shot hyperparameter transfer", table 3.

    >>> lr_from_width(1e-3, width=1024, tuned_width=256)
    0.00025
    """
    if width < 1 or tuned_width < 1:
        raise ValueError(f"lr_from_width: widths must be at least 1, not {width} and {tuned_width}")
    return lr * tuned_width / width
