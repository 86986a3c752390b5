"""Activations as modules, for use in `Sequential`: the functions of `nn.functional` with their options remembered.

`inplace` is accepted, shown and changes nothing: a tensor on the tape is a value that other operations may have saved.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nn import functional
from nn.casting import dtype_of_new
from nn.functional.arguments import axis_or_dim
from nn.module import Module
from nn.parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Maxout",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Activation(Module):
    """A function of one array, with options that are the attributes named in `options`."""

    options: tuple[str, ...] = ()
    inplace: bool = False

    def extra_repr(self) -> str:
        shown = [f"{name}={getattr(self, name)}" for name in self.options]
        return ", ".join([*shown, "inplace=True"] if self.inplace else shown)


class _InPlace(_Activation):
    """An activation whose only option is torch's `inplace`."""

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


# --- with kinks ---------------------------------------------------------------------------------------------------------


class ReLU(_InPlace):
    """max(x, 0), elementwise; the derivative at 0 is 0."""

    def forward(self, input: Any) -> Any:
        return functional.relu(input)


class ReLU6(_InPlace):
    """min(max(x, 0), 6), elementwise; the derivative at both kinks is 0."""

    def forward(self, input: Any) -> Any:
        return functional.relu6(input)


class LeakyReLU(_Activation):
    """max(x, 0) + negative_slope * min(x, 0), elementwise."""

    options = ("negative_slope",)

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return functional.leaky_relu(input, self.negative_slope)


class PReLU(_Activation):
    """max(x, 0) + weight * min(x, 0), elementwise, with slopes that are trained.

    num_parameters  1, or the number of channels (the second axis)
    init            the slopes at the beginning
    weight          (num_parameters,)
    """

    options = ("num_parameters",)

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(np.full(num_parameters, init, dtype_of_new("PReLU", device, dtype)))

    def reset_parameters(self) -> None:
        """Set the slopes to their first value."""
        self.weight.data[...] = self.init

    def forward(self, input: Any) -> Any:
        return functional.prelu(input, self.weight)


class RReLU(_Activation):
    """Leaky relu with a slope for each element, drawn from [lower, upper) while training, their mean in evaluation."""

    options = ("lower", "upper")

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        if not lower <= upper:
            raise ValueError(f"RReLU: lower={lower} must not be above upper={upper}")
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return functional.rrelu(input, self.lower, self.upper, self.training)


class Hardtanh(_Activation):
    """min(max(x, min_val), max_val), elementwise. `min_value` and `max_value` are older names of the two."""

    options = ("min_val", "max_val")

    def __init__(
        self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False, min_value: float | None = None, max_value: float | None = None
    ) -> None:
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.min_val < self.max_val:
            raise ValueError(f"Hardtanh: min_val={self.min_val} must be below max_val={self.max_val}")

    def forward(self, input: Any) -> Any:
        return functional.hardtanh(input, self.min_val, self.max_val)


class Hardsigmoid(_InPlace):
    """min(max(x + 3, 0), 6) / 6, elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.hardsigmoid(input)


class Hardswish(_InPlace):
    """X * hardsigmoid(x), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.hardswish(input)


class Hardshrink(_Activation):
    """X where |x| > lambd, else 0, elementwise."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        return functional.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Softshrink(_Activation):
    """X moved towards 0 by `lambd`, and 0 where |x| <= lambd, elementwise."""

    def __init__(self, lambd: float = 0.5) -> None:
        if not lambd >= 0:
            raise ValueError(f"Softshrink: lambd must be >= 0, not {lambd!r}")
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        return functional.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Threshold(_Activation):
    """X where x > threshold, else `value`, elementwise."""

    options = ("threshold", "value")

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return functional.threshold(input, self.threshold, self.value)


# --- smooth -------------------------------------------------------------------------------------------------------------


class Sigmoid(_Activation):
    """1 / (1 + exp(-x)), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.sigmoid(input)


class LogSigmoid(_Activation):
    """log(sigmoid(x)), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.logsigmoid(input)


class Tanh(_Activation):
    """The hyperbolic tangent, elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.tanh(input)


class Tanhshrink(_Activation):
    """X - tanh(x), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.tanhshrink(input)


class Softsign(_Activation):
    """X / (1 + |x|), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.softsign(input)


class Softplus(_Activation):
    """log(1 + exp(beta x)) / beta, elementwise; x itself where beta x > threshold."""

    options = ("beta", "threshold")

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Any) -> Any:
        return functional.softplus(input, self.beta, self.threshold)


class ELU(_Activation):
    """X where x > 0, else alpha (exp(x) - 1), elementwise."""

    options = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return functional.elu(input, self.alpha)


class CELU(_Activation):
    """X where x > 0, else alpha (exp(x / alpha) - 1), elementwise."""

    options = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Any) -> Any:
        return functional.celu(input, self.alpha)


class SELU(_InPlace):
    """Elu scaled so that activations keep mean 0 and variance 1 from layer to layer."""

    def forward(self, input: Any) -> Any:
        return functional.selu(input)


class SiLU(_InPlace):
    """X * sigmoid(x), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.silu(input)


class Mish(_InPlace):
    """X * tanh(softplus(x)), elementwise."""

    def forward(self, input: Any) -> Any:
        return functional.mish(input)


class GELU(_Activation):
    """X * P(z <= x) for a normally distributed z, elementwise; `approximate` is "none" or "tanh"."""

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise ValueError(f'GELU: approximate must be "none" or "tanh", not {approximate!r}')
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        return functional.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


# --- along an axis ------------------------------------------------------------------------------------------------------


class _AlongAxis(_Activation):
    """A function along the axis `dim`, which may be given as `axis` too."""

    options = ("dim",)
    dim: int | None

    def __init__(self, dim: int | None = None, *, axis: int | None = None) -> None:
        if dim is not None and axis is not None:
            raise TypeError(f"{type(self).__name__}: axis and dim are two names of one argument; give one of them")
        self.dim = dim if axis is None else axis


class Softmax(_AlongAxis):
    """exp(x) / sum(exp(x)) along an axis; without one, along the one that `functional.softmax` chooses."""

    def forward(self, input: Any) -> Any:
        return functional.softmax(input, self.dim)


class LogSoftmax(_AlongAxis):
    """log(softmax(x)) along an axis."""

    def forward(self, input: Any) -> Any:
        return functional.log_softmax(input, self.dim)


class Softmin(_AlongAxis):
    """softmax(-x) along an axis."""

    def forward(self, input: Any) -> Any:
        return functional.softmin(input, self.dim)


class Softmax2d(_Activation):
    """Softmax over the channels at each place of images (N, C, H, W) or (C, H, W)."""

    def forward(self, input: Any) -> Any:
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: needs images (N, C, H, W) or (C, H, W), not an input of shape {input.shape}")
        return functional.softmax(input, -3)


class GLU(_AlongAxis):
    """a * sigmoid(b), where a and b are the halves of x along an axis, the last by default."""

    dim: int

    def __init__(self, dim: int = -1, *, axis: int | None = None) -> None:
        super().__init__(axis_or_dim("GLU", axis, dim, -1))

    def forward(self, input: Any) -> Any:
        return functional.glu(input, self.dim)


class Maxout(_Activation):
    """The largest of each `pool_size` consecutive channels: (N, pool_size * C, ...) -> (N, C, ...)."""

    options = ("pool_size", "dim")

    def __init__(self, pool_size: int, dim: int = 1, *, axis: int | None = None) -> None:
        self.pool_size = pool_size
        self.dim = axis_or_dim("Maxout", axis, dim, 1)

    def forward(self, input: Any) -> Any:
        return functional.maxout(input, self.pool_size, self.dim)
