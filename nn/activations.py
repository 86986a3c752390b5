"""Activations as modules, for use in `Sequential`."""

from __future__ import annotations

from typing import Any

from nn import functional
from nn.module import Module

__all__ = ["LogSoftmax", "ReLU", "Sigmoid", "Softmax", "Tanh"]


class ReLU(Module):
    """max(x, 0), elementwise; the derivative at 0 is 0."""

    def forward(self, input: Any) -> Any:
        return functional.relu(input)


class Tanh(Module):
    """The hyperbolic tangent, elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.tanh(input)


class Sigmoid(Module):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.sigmoid(input)


class _AlongAxis(Module):
    def __init__(self, axis: int = -1, *, dim: int | None = None) -> None:
        self.axis = axis if dim is None else dim

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class Softmax(_AlongAxis):
    """exp(x) / sum(exp(x)) along an axis."""

    def forward(self, input: Any) -> Any:
        return functional.softmax(input, self.axis)


class LogSoftmax(_AlongAxis):
    """log(softmax(x)) along an axis."""

    def forward(self, input: Any) -> Any:
        return functional.log_softmax(input, self.axis)
