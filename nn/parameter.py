"""`Parameter`: a tensor that a module trains."""

from __future__ import annotations

from typing import Any

import autograd_core as ag

__all__ = ["Parameter"]


class Parameter(ag.Tensor):
    """A leaf tensor that requires grad. Assigned to an attribute of a `Module`, it is found by `parameters()`.

    data           an array (copied), a number or a list, of a floating-point or complex dtype, which is kept
    requires_grad  False for a parameter that is frozen for now
    raises         TypeError for integers and booleans: they have no gradients

    >>> import numpy as np, nn
    >>> nn.Parameter(np.zeros(2, dtype=np.float32))
    Parameter([0., 0.], dtype=float32, requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True, dtype: Any = None) -> None:
        super().__init__(data.detach() if isinstance(data, ag.Tensor) else data, dtype=dtype)
        if self.dtype.kind not in "fc":
            raise TypeError(f"Parameter: {self.dtype} values have no gradients; give floating-point ones, or use register_buffer for constants")
        self.requires_grad = requires_grad
