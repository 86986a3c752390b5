"""Dtype and device, as a layer's constructor takes them for new parameters and `Module.to` for those that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = ["convert", "dtype_asked_for", "dtype_of_new"]


def dtype_asked_for(owner: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> np.dtype[Any] | None:
    """The dtype in arguments such as torch's `to` takes; None if there is none, but a device only.

    raises  TypeError for what is no floating-point dtype, ValueError for a device other than the CPU
    """
    if unknown := kwargs.keys() - {"device", "dtype", "tensor", "other", "non_blocking", "copy"}:
        raise TypeError(f"{owner}: unknown argument {min(unknown)!r}; give a dtype, such as {owner}('float32')")
    asked = [*args, *(kwargs[name] for name in ("device", "dtype", "tensor", "other") if name in kwargs)]
    found = None
    for value in asked:
        if value is None or isinstance(value, bool) or _is_cpu(owner, value):
            continue
        found = _dtype_of(owner, value)
    return found


def dtype_of_new(owner: str, device: Any, dtype: Any) -> np.dtype[Any]:
    """The dtype of new parameters: float32 unless one is given; errors as of `dtype_asked_for`."""
    if device is not None and not _is_cpu(owner, device):
        raise ValueError(f"{owner}: device must be None or 'cpu', not {device!r}; dtypes are given as dtype=")
    return np.dtype(np.float32) if dtype is None else _dtype_of(owner, dtype)


def _is_cpu(owner: str, value: Any) -> bool:
    """Whether `value` names the one device that there is; ValueError if it names another one."""
    name = str(getattr(value, "type", "") or value) if isinstance(value, str) or type(value).__name__ == "device" else ""
    device = name.partition(":")[0]
    if device in ("cuda", "gpu", "mps", "xpu", "tpu", "meta", "hip"):
        raise ValueError(f"{owner}: there is no device {name!r}; arrays are NumPy's, on the CPU. Leave it out, or write 'cpu'")
    return device == "cpu"


def _dtype_of(owner: str, value: Any) -> np.dtype[Any]:
    value = getattr(value, "dtype", value) if isinstance(value, ag.Tensor | np.ndarray | np.generic) else value
    try:
        dtype = np.dtype(str(value).removeprefix("torch.") if type(value).__module__ == "torch" else value)
    except TypeError:
        raise TypeError(f"{owner}: {value!r} is neither a dtype of NumPy's nor a tensor; write 'float32' or 'float64'") from None
    if dtype.kind not in "fc":
        raise TypeError(f"{owner}: parameters have gradients, so their dtype must be a floating-point or complex one, not {dtype}")
    return dtype


def convert(tensors: Sequence[ag.Tensor], dtype: np.dtype[Any]) -> None:
    """Give all the tensors the dtype, in place; their gradients, which have the old one, are forgotten."""
    changes = [(tensor, tensor.data.astype(dtype), tensor.requires_grad) for tensor in tensors if tensor.dtype != dtype]
    try:
        _set(changes)
    except BaseException:
        # What was begun is done, from the start since that does no harm: an interrupt must not leave a module of two dtypes.
        _set(changes)
        raise


def _set(changes: Sequence[tuple[ag.Tensor, Any, bool]]) -> None:
    for tensor, array, requires_grad in changes:
        tensor.requires_grad = False  # a tracked tensor keeps its dtype, so it leaves the tape for a moment
        tensor.data = array
        tensor.requires_grad = requires_grad
        tensor.grad = None
