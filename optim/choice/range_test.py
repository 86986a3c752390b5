"""The learning-rate range test: train a little with ever larger steps, and look where the loss falls fastest."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["RangeTest", "range_test"]


@dataclass(frozen=True)
class RangeTest:
    """What a range test saw.

    rates     learning rates, in order
    losses    the loss at each, smoothed
    """

    rates: list[float]
    losses: list[float]

    @property
    def steepest(self) -> float:
        """The learning rate at which the loss fell fastest: a good first guess."""
        slopes = np.gradient(self.losses, np.log(self.rates))
        return self.rates[int(np.argmin(slopes))]

    @property
    def largest(self) -> float:
        """The learning rate of the lowest loss, from which on it rose: an upper end for cycles."""
        return self.rates[int(np.argmin(self.losses))]

    def plot(self, axes: Any = None) -> Any:
        """Draw the losses over the rates, with both marks, and return the axes."""
        try:
            from matplotlib import pyplot
        except ModuleNotFoundError:
            raise ModuleNotFoundError('plotting a range test needs matplotlib: pip install "autograd-core[viz]"', name="matplotlib") from None
        axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")[1] if axes is None else axes
        axes.plot(self.rates, self.losses)
        axes.axvline(self.steepest, color="C2", linestyle="--", label=f"steepest fall: {self.steepest:.2g}")
        axes.axvline(self.largest, color="C3", linestyle=":", label=f"lowest loss: {self.largest:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss (smoothed)", title="Learning-rate range test")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
        return axes


def range_test(
    closure: Callable[[], Any], optimizer: Any, low: float = 1e-6, high: float = 10.0, steps: int = 100, smoothing: float = 0.9, stop_at: float = 4.0
) -> RangeTest:
    """Do `steps` steps with learning rates from `low` to `high`, in equal ratios; afterwards parameters and optimizer are as before.

    closure    clears the gradients, computes the loss of the next batch with its gradients, and returns it
    smoothing  of the losses: weight of the running mean, freed of its bias to 0
    stop_at    stop when the loss is so many times the lowest one, or not finite

    Smith 2017, "Cyclical learning rates for training neural networks", section 3.3.
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"range_test: low and high must be finite with 0 < low < high, not {low} and {high}")
    if steps < 3:
        raise ValueError(f"range_test: needs 3 steps or more, not {steps}")
    for i, group in enumerate(optimizer.param_groups):
        if "lr" not in group:
            known = ", ".join(getattr(optimizer, "defaults", {}))
            raise TypeError(f"range_test: group {i} of {type(optimizer).__name__} has no lr to try; there is {known}")
    own = [group["lr"] for group in optimizer.param_groups]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    before = [(p.data.copy(), p.grad) for p in parameters]
    state = copy.deepcopy(optimizer.state_dict())
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    try:
        for k in range(steps):
            rate = low * (high / low) ** (k / (steps - 1))
            _set_rates(optimizer, [rate] * len(own))
            try:
                loss = float(optimizer.step(closure).item())
            except FloatingPointError:
                break
            mean = smoothing * mean + (1 - smoothing) * loss
            smoothed = mean / (1 - smoothing ** (k + 1))
            if not math.isfinite(smoothed) or (losses and smoothed > stop_at * min(losses)):
                break
            rates.append(rate)
            losses.append(smoothed)
    finally:
        for p, (data, grad) in zip(parameters, before, strict=True):
            p.data[...] = data
            p.grad = grad
        _set_rates(optimizer, own)  # a schedule has to be there before its state is loaded
        optimizer.load_state_dict(state)
        _set_rates(optimizer, own)
    if len(rates) < 3:
        raise ValueError(f"range_test: the loss was not finite or grew {stop_at:g}-fold within 3 steps from lr {low}; begin lower")
    return RangeTest(rates, losses)


def _set_rates(optimizer: Any, rates: list[Any]) -> None:
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
