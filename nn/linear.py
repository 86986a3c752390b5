"""`Linear`: the affine layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nn import functional, init
from nn.casting import dtype_of_new
from nn.module import Module
from nn.parameter import Parameter

__all__ = ["Linear"]


class Linear(Module):
    """y = x @ weight.T + bias, with torch's layout and initial distribution.

    in_features, out_features  sizes of the last axis of x and y
    bias       whether there is a bias
    device, dtype  of the parameters: the CPU; float32 if none is given
    generator  where the initial values come from: a `np.random.Generator`, a seed, or None for `nn.init`'s own
    weight     (out_features, in_features), uniform in +-1/sqrt(in_features)
    bias       (out_features,), likewise

    >>> import numpy as np, nn
    >>> nn.Linear(3, 2)(np.ones((4, 3), dtype=np.float32)).shape
    (4, 2)
    """

    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None, *, generator: init.Seed = None
    ) -> None:
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 0:
                raise ValueError(f"Linear: {name} must be an integer >= 0, not {size!r}")
        dtype = dtype_of_new("Linear", device, dtype)
        self.in_features = int(in_features)
        self.out_features = int(out_features)
        self.weight = Parameter(np.empty((out_features, in_features), dtype=dtype))
        self.bias = Parameter(np.empty(out_features, dtype=dtype)) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0.0
        generator = init.as_generator(generator)
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                init.uniform_(parameter, -bound, bound, generator)

    def forward(self, input: Any) -> Any:
        if not hasattr(input, "shape"):
            advice = "take one of what the layer before returned" if isinstance(input, tuple) else "np.asarray(...) makes one of a list"
            raise TypeError(f"Linear: input must be a tensor or an array, not {type(input).__name__}; {advice}")
        return functional.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
