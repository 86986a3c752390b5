"""Early stopping: end a run when it gets no better, and give back the best weights.

Prechelt 1998, "Early stopping - but when?", section 2.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

from nn.module import Module
from nn.training.callbacks import Callback

__all__ = ["EarlyStopping"]


class EarlyStopping(Callback):
    """Stop after `patience` epochs without a better value of what is watched, and put the weights of the best epoch back.

    patience      epochs to wait for something better
    monitor       what is watched, by its name in the history; None for the validation loss, or the loss if nothing is validated
    mode          "min" or "max": what is better; None for "max" if the name says accuracy, else "min"
    min_delta     by how much a value must be better to count
    restore_best  give the model the state of its best epoch at the end

    In a loop of one's own: `if stopping.update(value, model): break`, and `stopping.restore(model)` after it.

    >>> import nn
    >>> stopping = nn.training.EarlyStopping(patience=2)
    >>> [stopping.update(value) for value in (3.0, 2.0, 2.5, 2.1)], stopping.best
    ([False, False, False, True], 2.0)
    """

    def __init__(
        self, patience: int = 10, monitor: str | None = None, mode: str | None = None, min_delta: float = 0.0, restore_best: bool = True
    ) -> None:
        if not isinstance(patience, int) or patience < 1:
            raise ValueError(f"EarlyStopping: patience must be an integer >= 1, not {patience!r}")
        if mode not in (None, "min", "max"):
            raise ValueError(f'EarlyStopping: mode must be "min", "max" or None, not {mode!r}')
        if not min_delta >= 0:
            raise ValueError(f"EarlyStopping: min_delta must be a number >= 0, not {min_delta!r}")
        self.patience = patience
        self.monitor = monitor
        self.mode = mode or ("max" if "accuracy" in (monitor or "") else "min")
        self.min_delta = min_delta
        self.restore_best = restore_best
        self.best: float | None = None
        self.best_epoch = 0  # counted from 1
        self.epochs = 0
        self.weights: dict[str, Any] | None = None

    def update(self, value: float, model: Module | None = None) -> bool:
        """Take one more value, and keep the model's state if it is the best one; whether it is time to stop."""
        self.epochs += 1
        if self._is_better(value):
            self.best, self.best_epoch = value, self.epochs
            if model is not None and self.restore_best:
                self.weights = model.state_dict()
        return self.epochs - self.best_epoch >= self.patience

    def _is_better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        return self.best is None or (value < self.best - self.min_delta if self.mode == "min" else value > self.best + self.min_delta)

    def restore(self, model: Module) -> None:
        """Give the model the state of its best epoch."""
        if self.weights is not None:
            model.load_state_dict(self.weights)

    def epoch(self, run: Any) -> None:
        numbers = run.history.last
        name = self.monitor or ("validation_loss" if "validation_loss" in numbers else "loss")
        if name not in numbers:
            raise KeyError(f"EarlyStopping: monitor={name!r} is no number of the history; there are {', '.join(numbers)}")
        # What was validated is the average, if there is one: then that is what has to be kept.
        with contextlib.nullcontext() if run.average is None else run.average.applied():
            run.stop |= self.update(numbers[name], run.model)

    def end(self, run: Any) -> None:
        if self.restore_best and not run.failed:
            self.restore(run.model)

    def state_dict(self) -> dict[str, Any]:
        """What was best, when, and the weights of then."""
        return {"best": self.best, "best_epoch": self.best_epoch, "epochs": self.epochs, "weights": self.weights}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.__dict__.update({name: state[name] for name in ("best", "best_epoch", "epochs", "weights")})
