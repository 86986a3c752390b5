"""What looks on while a model is trained, and may stop it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Callback", "as_callback"]


class Callback:
    """Does nothing at each place; a subclass overrides what it needs. `run` is the `nn.training.Run`; `run.stop = True` ends it.

    A callback that has `state_dict` and `load_state_dict` is saved in checkpoints.
    """

    def begin(self, run: Any) -> None:
        """Before the first step, and after a checkpoint was loaded."""

    def gradients(self, run: Any) -> None:
        """The gradients of a step are complete, and not clipped yet."""

    def step(self, run: Any) -> None:
        """The parameters have been changed."""

    def epoch(self, run: Any) -> None:
        """An epoch is complete: its numbers are `run.history.last`."""

    def end(self, run: Any) -> None:
        """Nothing comes after this."""


class _EachEpoch(Callback):
    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def epoch(self, run: Any) -> None:
        self.function(run)


def as_callback(callback: Any) -> Any:
    """A callback as it is; a function as one that is called with the run after each epoch."""
    if isinstance(callback, Callback):
        return callback
    if isinstance(callback, type) or not callable(callback):
        raise TypeError(f"callbacks: expected nn.training.Callback objects or functions of the run, not {callback!r}")
    return _EachEpoch(callback)
