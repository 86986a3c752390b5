"""`Bilinear`: a layer that is linear in each of two inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nn import functional, init
from nn.casting import dtype_of_new
from nn.module import Module
from nn.parameter import Parameter

__all__ = ["Bilinear"]


class Bilinear(Module):
    """y[k] = x1 @ weight[k] @ x2 + bias[k].

    in1_features, in2_features, out_features  sizes of the last axes of x1, x2 and y
    bias       whether there is a bias
    device, dtype  of the parameters: the CPU; float32 if none is given
    generator  where the initial values come from: a generator, a seed, or None
    weight     (out_features, in1_features, in2_features), uniform in +-1/sqrt(in1_features)
    bias       (out_features,), likewise

    >>> import numpy as np, nn
    >>> nn.Bilinear(3, 4, 2)(np.ones((5, 3), dtype=np.float32), np.ones((5, 4), dtype=np.float32)).shape
    (5, 2)
    """

    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: init.Seed = None,
    ) -> None:
        for name, size in (("in1_features", in1_features), ("in2_features", in2_features), ("out_features", out_features)):
            if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
                raise ValueError(f"Bilinear: {name} must be an integer >= 1, not {size!r}")
        dtype = dtype_of_new("Bilinear", device, dtype)
        self.in1_features = int(in1_features)
        self.in2_features = int(in2_features)
        self.out_features = int(out_features)
        self.weight = Parameter(np.empty((out_features, in1_features, in2_features), dtype=dtype))
        self.bias = Parameter(np.empty(out_features, dtype=dtype)) if bias else None
        self.reset_parameters(generator)

    def reset_parameters(self, generator: init.Seed = None) -> None:
        """Draw the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        generator = init.as_generator(generator)
        for parameter in (self.weight, self.bias):
            if parameter is not None:
                init.uniform_(parameter, -bound, bound, generator)

    def forward(self, input1: Any, input2: Any) -> Any:
        return functional.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, bias={self.bias is not None}"
