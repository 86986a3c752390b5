"""`Parameter`, a tensor that a module trains, and `Buffer`, one that it keeps."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["Buffer", "Parameter"]


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

    def __init__(self, data: Any = None, requires_grad: bool = True, *, dtype: Any = None) -> None:
        data = np.empty(0, np.float32) if data is None else data
        super().__init__(data.detach() if isinstance(data, ag.Tensor) else data, dtype=dtype)
        if self.dtype.kind not in "fc":
            raise TypeError(f"Parameter: {self.dtype} values have no gradients; give floating-point ones, or use register_buffer for constants")
        self.requires_grad = requires_grad


class Buffer(ag.Tensor):
    """A tensor that is not trained but belongs to a module, such as a running mean: assigned to an attribute, it is a registered buffer.

    data        an array, a number or a list
    persistent  whether it is part of the `state_dict`

    >>> import numpy as np, nn
    >>> module = nn.Identity()
    >>> module.mean = nn.Buffer(np.zeros(2))
    >>> list(module.state_dict())
    ['mean']
    """

    __slots__ = ("persistent",)

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        super().__init__(np.empty(0, np.float32) if data is None else data.detach() if isinstance(data, ag.Tensor) else data)
        self.persistent = persistent
