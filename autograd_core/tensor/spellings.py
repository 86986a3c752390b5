"""Names of other libraries, where ours are others: each is refused with what to write here.

Torch's are attributes of the class that raise, not a `__getattr__`, which would make every attribute that there is slower to find.
`hasattr(t, "view")` stays false, and `dir(t)` does not list them.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import FrameType
from typing import Any

import numpy as np

from autograd_core.tensor.handles import Handle

__all__ = ["DIFFERENTIABLE", "Spellings", "instead_of_function", "instead_of_scipys"]

_ON_CPU = "tensors live in main memory, there is nothing to move; leave it out"
_INSTEAD = {
    "view": "write t.reshape(...)",
    "view_as": "write t.reshape(other.shape)",
    "reshape_as": "write t.reshape(other.shape)",
    "unsqueeze": "write np.expand_dims(t, axis), or t[:, None]",
    "permute": "write t.transpose(0, 2, 1, ...)",
    "t": "write t.T",
    "mH": "write t.mT.conj()",
    "clone": "write t.copy()",
    "pow": "write t ** p",
    "abs": "write np.abs(t), or abs(t)",
    "absolute": "write np.abs(t), or abs(t)",
    "neg": "write -t",
    "square": "write t ** 2",
    "add": "write t + other",
    "sub": "write t - other",
    "mul": "write t * other",
    "div": "write t / other",
    "matmul": "write t @ other",
    "mm": "write t @ other",
    "bmm": "write t @ other",
    "mv": "write t @ vector",
    "norm": "write np.linalg.norm(t)",
    "relu": "write np.maximum(t, 0), or nn.functional.relu(t)",
    "sigmoid": "write 1 / (1 + np.exp(-t)), or nn.functional.sigmoid(t)",
    "softmax": "write ag.special.softmax(t, axis=-1)",
    "log_softmax": "write ag.special.log_softmax(t, axis=-1)",
    "logsumexp": "write ag.special.logsumexp(t, axis=-1)",
    "amax": "write t.max(axis=...)",
    "amin": "write t.min(axis=...)",
    "clamp": "write t.clip(low, high)",
    "where": "write np.where(condition, t, other)",
    "masked_fill": "write np.where(mask, value, t)",
    "gather": "write np.take_along_axis(t, indices, axis)",
    "index_select": "write np.take(t, indices, axis)",
    "chunk": "write np.array_split(t, n, axis)",
    "split": "write np.split(t, indices, axis)",
    "unbind": "write list(t), or np.unstack(t, axis=axis)",
    "flip": "write np.flip(t, axis)",
    "roll": "write np.roll(t, shift, axis)",
    "expand": "write np.broadcast_to(t, shape)",
    "expand_as": "write np.broadcast_to(t, other.shape)",
    "tril": "write np.tril(t)",
    "triu": "write np.triu(t)",
    "topk": "write np.sort(t) or np.argsort(t), and take the last k",
    "dim": "write t.ndim",
    "numel": "write t.size",
    "element_size": "write t.itemsize",
    "cpu": _ON_CPU,
    "cuda": _ON_CPU,
    "device": _ON_CPU,
    "is_cuda": _ON_CPU,
    "to": f"write t.astype(dtype); {_ON_CPU}",
    "type": "write t.astype(dtype)",
    "float": "write t.astype(np.float32)",
    "double": "write t.astype(np.float64)",
    "half": "write t.astype(np.float16)",
    "long": "write t.astype(np.int64)",
    "int": "write t.astype(np.int32)",
    "bool": "write t.astype(bool)",
    "contiguous": "every result is as NumPy has it; leave it out",
    "is_contiguous": "write t.data.flags.c_contiguous",
    "grad_fn": "t.node is its place on the tape, print(ag.tape(t)) lists the program",
    "detach_": "write t = t.detach()",
    "zero_grad": "write t.grad = None",
    "zero_": "write t[...] = 0 inside ag.no_grad()",
    "fill_": "write t[...] = value inside ag.no_grad()",
    "copy_": "write t[...] = other inside ag.no_grad()",
    "add_": "write t += other inside ag.no_grad()",
    "sub_": "write t -= other inside ag.no_grad()",
    "mul_": "write t *= other inside ag.no_grad()",
    "div_": "write t /= other inside ag.no_grad()",
    "normal_": "write t[...] = generator.normal(size=t.shape) inside ag.no_grad(), or nn.init.normal_(t)",
    "uniform_": "write t[...] = generator.uniform(size=t.shape) inside ag.no_grad(), or nn.init.uniform_(t)",
}


class _Spelling:
    """An attribute that is not there, and says what is."""

    def __init__(self, name: str, instead: str) -> None:
        self.name, self.instead = name, instead

    def __get__(self, tensor: Any, kind: type) -> Any:
        raise AttributeError(f"{kind.__name__} has no {self.name!r}, it is called as NumPy does: {self.instead}", name=self.name, obj=tensor)


class Spellings(Handle):
    """What torch's tensors have under names of their own."""

    __slots__ = ()

    def __dir__(self) -> Iterable[str]:
        return [name for name in super().__dir__() if name not in _INSTEAD]


for _name, _instead in _INSTEAD.items():
    setattr(Spellings, _name, _Spelling(_name, _instead))


# SciPy's functions that convert their arguments to arrays, by module: under which names they are differentiable.
DIFFERENTIABLE: dict[str, dict[str, tuple[str, ...]]] = {
    "scipy.linalg": {
        "ag.linalg": ("block_diag", "cho_solve", "expm", "logm", "solve_sylvester", "solve_triangular", "sqrtm", "toeplitz"),
        "np.linalg": ("cholesky", "det", "eig", "eigh", "eigvals", "eigvalsh", "inv", "norm", "pinv", "qr", "solve", "svd", "svdvals", "lstsq"),
    },
    "scipy.special": {"ag.special": ("factorial", "log_softmax", "logsumexp", "multigammaln", "polygamma", "softmax")},
    "scipy.fft": {
        "np.fft": ("fft", "fft2", "fftn", "fftshift", "ifft", "ifft2", "ifftn", "ifftshift", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftn")
    },
}


def instead_of_scipys(frame: FrameType | None) -> str:
    """`scipy.linalg.expm cannot take tensors, ag.linalg.expm does the same; ` if one of them is what runs in `frame`; else nothing."""
    found = ""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("scipy."):
            called = {frame.f_code.co_name, *(getattr(value, "__name__", "") for value in frame.f_locals.values() if callable(value))}
            for theirs, places in DIFFERENTIABLE.items():
                for ours, names in places.items():
                    for name in called.intersection(names) if module.startswith((theirs, "scipy._lib")) else ():
                        found = f"{theirs}.{name} cannot take tensors, {ours}.{name} does the same; "
        frame = frame.f_back
    return found


_FUNCTIONS_INSTEAD = {
    "Variable": "write ag.tensor(x, requires_grad=True)",
    "as_tensor": "write ag.tensor(x)",
    "autograd": "write ag.grad(f) for a function, ag.gradient(loss, w) for a tensor",
    "backward": "write loss.backward(), or ag.gradient(loss, w)",
    "cat": "write np.concatenate",
    "from_numpy": "write ag.tensor(x)",
    "functional": "the layers' functions are nn.functional",
    "func": "write ag.grad, ag.vmap, ag.jacobian, ...",
    "gradients": "write ag.gradient",
    "jacfwd": "write ag.jacobian",
    "jacrev": "write ag.jacobian",
    "jit": "there is nothing to compile; leave it out",
    "nn": "write import nn",
    "numpy": "write import numpy as np; its functions take tensors",
    "optim": "write import optim",
    "rand": "write ag.tensor(np.random.default_rng(seed).random(shape))",
    "randn": "write ag.tensor(np.random.default_rng(seed).standard_normal(shape))",
    "relu": "write np.maximum(x, 0), or nn.functional.relu",
    "sigmoid": "write nn.functional.sigmoid",
    "softmax": "write ag.special.softmax",
}


def instead_of_function(name: str) -> str:
    """`; write np.exp, which takes tensors` for a name that `autograd_core` does not have, or nothing."""
    if name in _FUNCTIONS_INSTEAD:
        return f"; {_FUNCTIONS_INSTEAD[name]}"
    return f"; write np.{name}, which takes tensors" if not name.startswith("_") and callable(getattr(np, name, None)) else ""
