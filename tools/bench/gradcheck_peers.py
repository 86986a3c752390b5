"""Other libraries' gradient checkers, put to the same hand-written pairs of plain NumPy functions, with their default settings.

Each is a function of a pair's subject that says whether the checker accepts it; an exception of any kind counts as a
rejection. The libraries' conventions for complex gradients are respected.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["Checker", "peers"]

Checker = Callable[[Any], bool]


def peers() -> dict[str, Checker]:
    """The checkers of the libraries that are installed, by their names in the table."""
    found: dict[str, Checker] = {}
    for make in (_torch, _jax, _autograd):
        try:
            found |= make()
        except ImportError:
            continue
    return found


def value_of(subject: Any, arrays: Sequence[Any]) -> list[Any]:
    """The results; arrays are handed over as copies, as a library would."""
    return subject.value([np.array(a) for a in arrays])


def gradients_of(subject: Any, arrays: Sequence[Any], gs: Sequence[Any]) -> list[Any]:
    """The claimed gradients, None where there is none."""
    return subject.vjp([np.array(a) for a in arrays], [np.array(g) for g in gs])


def _torch() -> dict[str, Checker]:
    import torch

    def check(subject: Any, fast: bool) -> bool:
        class Operation(torch.autograd.Function):  # type: ignore[misc]
            @staticmethod
            def forward(ctx: Any, *tensors: Any) -> Any:
                ctx.arrays = [t.detach().numpy() for t in tensors]
                results = tuple(torch.from_numpy(np.array(r)) for r in value_of(subject, ctx.arrays))
                return results[0] if len(results) == 1 else results

            @staticmethod
            @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
            def backward(ctx: Any, *gs: Any) -> Any:
                found = gradients_of(subject, ctx.arrays, [g.numpy() for g in gs])
                return tuple(None if d is None else torch.from_numpy(np.array(d)) for d in found)

        tensors = [torch.from_numpy(np.array(a)).requires_grad_() for a in subject.arrays]
        return bool(torch.autograd.gradcheck(Operation.apply, tensors, fast_mode=fast))

    return {"torch gradcheck": functools.partial(check, fast=False), "torch, fast mode": functools.partial(check, fast=True)}


def _jax() -> dict[str, Checker]:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    from jax.test_util import check_vjp  # what check_grads calls for each function, of which the gradient is at hand

    def check(subject: Any) -> bool:
        def value(*arrays: Any) -> Any:
            return tuple(value_of(subject, arrays))

        def value_and_pull(*arrays: Any) -> Any:
            def pull(gs: Any) -> Any:
                found = gradients_of(subject, arrays, [np.conj(g) for g in gs])
                return tuple(np.zeros_like(a) if d is None else np.conj(d) for a, d in zip(arrays, found, strict=True))

            return value(*arrays), pull

        check_vjp(value, value_and_pull, tuple(subject.arrays))
        return True

    return {"JAX check_grads": check}


def _autograd() -> dict[str, Checker]:
    from autograd import extend
    from autograd.builtins import tuple as boxed_tuple
    from autograd.test_util import check_grads

    def check(subject: Any) -> bool:
        single = len(subject.results) == 1

        def compute(*arrays: Any) -> Any:
            found = value_of(subject, arrays)
            return found[0] if single else tuple(found)

        operation = extend.primitive(compute)

        def rule(argnum: int) -> Callable[..., Any]:
            def start(out: Any, *arrays: Any) -> Callable[[Any], Any]:
                def pull(g: Any) -> Any:
                    found = gradients_of(subject, arrays, [np.conj(one) for one in ([g] if single else g)])[argnum]
                    return np.zeros_like(arrays[argnum]) if found is None else np.conj(found)

                return pull

            return start

        count = len(subject.arrays)
        extend.defvjp(operation, *(rule(k) for k in range(count)))
        function = operation if single else lambda *arrays: boxed_tuple(operation(*arrays))
        check_grads(function, tuple(range(count)), modes=["rev"], order=1)(*subject.arrays)
        return True

    return {"HIPS check_grads": check}
