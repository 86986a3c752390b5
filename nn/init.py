"""Initial values for parameters, under torch's names: each function fills a parameter (or an array) in place and returns it.

Signals and gradients keep their size from layer to layer if the weights' variance fits the fans: 2 / (fan_in + fan_out)
balances both directions for symmetric activations (Glorot & Bengio 2010, "Understanding the difficulty of training deep
feedforward neural networks", eq. 12 and 16); 2 / fan_in keeps the forward variance through relu, which halves it (He et al.
2015, "Delving deep into rectifiers", eq. 10).

`generator` is a `np.random.Generator`, a seed, or None for this module's own, which `nn.manual_seed` sets. Values are drawn in
float64 and rounded, so float32 and float64 models from one seed agree.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = [
    "Seed",
    "as_generator",
    "calculate_gain",
    "constant_",
    "default_generator",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "manual_seed",
    "normal_",
    "ones_",
    "orthogonal_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Seed = np.random.Generator | int | None

default_generator = np.random.default_rng()


def manual_seed(seed: int) -> np.random.Generator:
    """Seed the generator that is used where none is given, and return it."""
    default_generator.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return default_generator


def as_generator(generator: Seed) -> np.random.Generator:
    """The generator meant by a generator, a seed, or None."""
    if generator is None:
        return default_generator
    return generator if isinstance(generator, np.random.Generator) else np.random.default_rng(generator)


def _fill(tensor: Any, values: Any) -> Any:
    target = tensor.data if isinstance(tensor, ag.Tensor) else tensor
    target[...] = values
    return tensor


def constant_(tensor: Any, val: float) -> Any:
    """Fill with `val`."""
    return _fill(tensor, val)


def zeros_(tensor: Any) -> Any:
    """Fill with 0."""
    return _fill(tensor, 0.0)


def ones_(tensor: Any) -> Any:
    """Fill with 1."""
    return _fill(tensor, 1.0)


def eye_(tensor: Any) -> Any:
    """Fill a matrix with the identity's rows and columns."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: needs a matrix, not shape {tensor.shape}")
    return _fill(tensor, np.eye(*tensor.shape))


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Seed = None) -> Any:
    """Fill from the uniform distribution on [a, b)."""
    return _fill(tensor, as_generator(generator).uniform(a, b, tensor.shape))


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Seed = None) -> Any:
    """Fill from the normal distribution."""
    return _fill(tensor, as_generator(generator).normal(mean, std, tensor.shape))


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Seed = None) -> Any:
    """Fill from the normal distribution, drawing again what falls outside [a, b]."""
    probability = (math.erf((b - mean) / (std * math.sqrt(2))) - math.erf((a - mean) / (std * math.sqrt(2)))) / 2
    if not probability > 1e-3:
        raise ValueError(f"trunc_normal_: [{a}, {b}] holds {probability:.1e} of a normal distribution around {mean} with std {std}; widen it")
    random = as_generator(generator)
    values = random.normal(mean, std, tensor.shape)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = random.normal(mean, std, int(outside.sum()))
    return _fill(tensor, values)


def orthogonal_(tensor: Any, gain: float = 1.0, generator: Seed = None) -> Any:
    """Fill, as a matrix of shape (n, rest), with `gain` times orthonormal rows or columns (Saxe et al. 2014)."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: needs two axes or more, not shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    matrix = as_generator(generator).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(matrix)
    q = q * np.sign(np.diag(r))  # the signs that make the distribution uniform (Mezzadri 2007)
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
_GAINS |= {f"conv{transposed}{n}d": 1.0 for n in (1, 2, 3) for transposed in ("", "_transpose")}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """How much larger the weights' standard deviation has to be before this nonlinearity, as torch has it.

    >>> round(calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are leaky_relu, {', '.join(_GAINS)}")
    return _GAINS[nonlinearity]


def _fans(tensor: Any, name: str) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError(f"{name}: a weight of shape {tensor.shape} has no fan-in and fan-out; it needs two axes or more (use zeros_ for biases)")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str, name: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f'{name}: mode must be "fan_in" or "fan_out", not {mode!r}')
    fan_in, fan_out = _fans(tensor, name)
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan_in if mode == "fan_in" else fan_out, 1))


def _xavier_std(tensor: Any, gain: float, name: str) -> float:
    return gain * math.sqrt(2 / max(sum(_fans(tensor, name)), 1))


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Seed = None) -> Any:
    """Fill uniformly with variance gain^2 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 16)."""
    bound = math.sqrt(3) * _xavier_std(tensor, gain, "xavier_uniform_")
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Seed = None) -> Any:
    """Fill normally with variance gain^2 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12)."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain, "xavier_normal_"), generator)


def kaiming_uniform_(tensor: Any, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Seed = None) -> Any:
    """Fill uniformly with variance gain^2 / fan, where `a` is the leaky relu's slope (He et al. 2015, eq. 10 and 15)."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Any, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Seed = None) -> Any:
    """Fill normally with variance gain^2 / fan, where `a` is the leaky relu's slope (He et al. 2015, eq. 10 and 15)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_"), generator)
