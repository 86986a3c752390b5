"""torch's older way to normalise a weight: it is computed before each call of the module, from parameters beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.at_once import done_or_not
from nn.functional.arguments import axis_or_dim
from nn.hooks import HookHandle
from nn.module import Module
from nn.parameter import Parameter
from nn.utils.parametrizations import as_matrix, default_dim, norm_except_dim, random_unit, unit

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _Recomputed:
    """A hook that computes the attribute `name` of a module before each call."""

    what: str
    handle: HookHandle

    def __init__(self, name: str) -> None:
        self.name = name

    def weight_of(self, module: Any) -> Any:
        """The weight, from the module's parameters."""
        raise NotImplementedError

    def __call__(self, module: Any, args: Any) -> None:
        module.__dict__[self.name] = self.weight_of(module)  # no parameter any more, so not by assignment

    @classmethod
    def of(cls, module: Any, name: str) -> _Recomputed | None:
        """The hook of this kind that the module has for that name."""
        for hook in module._hooks.get("forward_pre", {}).values():
            if isinstance(hook.function, cls) and hook.function.name == name:
                return hook.function
        return None

    def attach(self, module: Module) -> Module:
        """Compute the weight from now on."""
        self.handle = module.register_forward_pre_hook(self)
        return module

    @classmethod
    def detach(cls, module: Module, name: str, *parts: str) -> Module:
        """Make the weight a parameter again, of its present value."""
        hook = cls.of(module, name)
        if hook is None:
            raise ValueError(f"remove_{cls.what}: {type(module).__name__} has no {cls.what} on {name!r}")
        with ag.no_grad():
            value = np.array(hook.weight_of(module).detach().numpy())
        hook.handle.remove()
        for part in ("", *parts):
            delattr(module, name + part)
        module.register_parameter(name, Parameter(value))
        return module


def _taken(cls: type[_Recomputed], module: Module, name: str) -> Parameter:
    """The parameter that is to be computed, taken off the module."""
    if cls.of(module, name) is not None:
        raise RuntimeError(f"{cls.what}: {type(module).__name__} has it on {name!r} already")
    weight = module.__dict__.get(name)
    if not isinstance(weight, Parameter):
        raise ValueError(f"{cls.what}: {type(module).__name__} has no parameter {name!r}")
    return weight


class _WeightNorm(_Recomputed):
    what = "weight_norm"

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = -1 if dim is None else dim

    def weight_of(self, module: Any) -> Any:
        g, v = (getattr(module, self.name + part) for part in ("_g", "_v"))
        return v * (g / norm_except_dim(v, self.dim))


@done_or_not
def weight_norm(module: Module, name: str = "weight", dim: int | None = 0, *, axis: int | None = None) -> Module:
    """Weight = g v / |v|, computed before each call (Salimans & Kingma 2016); return the module.

    name       of the parameter, which `<name>_g` and `<name>_v` take the place of
    dim, axis  for each index of this axis there is a length of its own; None for one length in all

    `nn.utils.parametrizations.weight_norm` is the newer way.

    >>> import nn
    >>> {name: value.shape for name, value in weight_norm(nn.Linear(2, 3)).state_dict().items()}
    {'bias': (3,), 'weight_g': (3, 1), 'weight_v': (3, 2)}
    """
    weight = _taken(_WeightNorm, module, name)
    hook = _WeightNorm(name, axis_or_dim("weight_norm", axis, dim, 0))
    length = norm_except_dim(weight.detach().numpy(), hook.dim)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(np.asarray(length)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    hook(module, ())
    return hook.attach(module)


@done_or_not
def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again; ValueError if it has no `weight_norm`."""
    return _WeightNorm.detach(module, name, "_g", "_v")


class _SpectralNorm(_Recomputed):
    what = "spectral_norm"

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__(name)
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, not {n_power_iterations}")
        self.n_power_iterations, self.dim, self.eps = n_power_iterations, dim, eps

    def __call__(self, module: Any, args: Any) -> None:
        if module.training:
            matrix = as_matrix(getattr(module, f"{self.name}_orig").detach().numpy(), self.dim)
            u, v = (getattr(module, self.name + part).data for part in ("_u", "_v"))
            for _ in range(self.n_power_iterations):
                v[...] = unit(matrix.T @ u, self.eps)
                u[...] = unit(matrix @ v, self.eps)
        super().__call__(module, args)

    def weight_of(self, module: Any) -> Any:
        weight = getattr(module, f"{self.name}_orig")
        # Copies: another call changes the buffers, and may come before the backward pass of this one.
        u, v = (getattr(module, self.name + part).numpy().copy() for part in ("_u", "_v"))
        return weight / (u @ (as_matrix(weight, self.dim) @ v))


@done_or_not
def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    *,
    axis: int | None = None,
    generator: init.Seed = None,
) -> Module:
    """Weight / (its spectral norm), computed before each call (Miyato et al. 2018, algorithm 1); return the module.

    name                of the parameter, which `<name>_orig` takes the place of; `<name>_u` and `_v` are the singular vectors
    n_power_iterations  of the power method for each call in training
    eps                 least length that is divided by
    dim, axis           the outputs' axis: 0 by default, 1 for transposed convolutions
    generator           where the first vectors come from: a generator, a seed, or None

    `nn.utils.parametrizations.spectral_norm` is the newer way.

    >>> import nn
    >>> {name: value.shape for name, value in spectral_norm(nn.Linear(2, 3)).state_dict().items()}
    {'bias': (3,), 'weight_orig': (3, 2), 'weight_u': (3,), 'weight_v': (2,)}
    """
    weight = _taken(_SpectralNorm, module, name)
    chosen = axis_or_dim("spectral_norm", axis, dim, None)
    hook = _SpectralNorm(name, n_power_iterations, default_dim(module) if chosen is None else chosen, eps)
    matrix = as_matrix(weight.detach().numpy(), hook.dim)
    random = init.as_generator(generator)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    module.__dict__[name] = weight.detach()
    module.register_buffer(f"{name}_u", random_unit(matrix.shape[0], matrix.dtype, eps, random))
    module.register_buffer(f"{name}_v", random_unit(matrix.shape[1], matrix.dtype, eps, random))
    return hook.attach(module)


@done_or_not
def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again, of its present value; ValueError if it has no `spectral_norm`."""
    return _SpectralNorm.detach(module, name, "_orig", "_u", "_v")
