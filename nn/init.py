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
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag

__all__ = [
    "Seed",
    "as_generator",
    "calculate_gain",
    "constant_",
    "default_generator",
    "dirac_",
    "drawn",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "manual_seed",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
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


def drawn(generator: Seed, method: str, *args: Any, **kwargs: Any) -> Any:
    """Numbers from a method of the generator meant; under `ag.compile` they are new at each call, as without it."""
    return ag.drawn(partial(as_generator, generator), method, *args, **kwargs)


def _fill(tensor: Any, values: Any) -> Any:
    """Write the values where the tensor's memory is: into a view, or into an optimizer's buffer, of which it may be a part."""
    if isinstance(tensor, ag.Tensor) and tensor.requires_grad and tensor.is_leaf and not tensor.handed_out:
        with ag.no_grad():  # nobody else knows the array, and reading `data` would make the tape watch it from now on
            tensor[...] = values
    else:
        (tensor.data if isinstance(tensor, ag.Tensor) else tensor)[...] = values
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


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Fill a convolution's weight (out, in, *kernel) so that it passes on as many channels as it can: 1 in the kernels' middle.

    groups  each group of output channels passes on the first of its input channels
    raises  ValueError unless the weight has three to five axes and its output channels can be divided into the groups

    >>> import numpy as np
    >>> dirac_(np.empty((2, 2, 3)))[:, 0]
    array([[0., 1., 0.],
           [0., 0., 0.]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"dirac_: needs a weight of shape (out, in, *kernel) with three to five axes, not shape {tensor.shape}")
    if groups < 1 or tensor.shape[0] % groups:
        raise ValueError(f"dirac_: {tensor.shape[0]} output channels cannot be divided into {groups} groups")
    each = tensor.shape[0] // groups
    values = np.zeros(tensor.shape)
    channel = np.arange(min(each, tensor.shape[1]))
    for first in range(0, tensor.shape[0], each or 1):
        values[(first + channel, channel, *(size // 2 for size in tensor.shape[2:]))] = 1
    return _fill(tensor, values)


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Seed = None) -> Any:
    """Fill from the uniform distribution on [a, b)."""
    return _fill(tensor, as_generator(generator).uniform(a, b, tensor.shape))


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Seed = None) -> Any:
    """Fill from the normal distribution."""
    return _fill(tensor, as_generator(generator).normal(mean, std, tensor.shape))


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Seed = None) -> Any:
    """Fill from the normal distribution between `a` and `b`, wherever they lie; ValueError unless a < b and std > 0."""
    if not (a < b and std > 0):
        raise ValueError(f"trunc_normal_: needs a < b and std > 0, not a={a}, b={b}, std={std}")
    random, low, high = as_generator(generator), (a - mean) / std, (b - mean) / std
    propose = _proposals(low, high)
    values, missing = np.empty(tensor.shape), np.ones(tensor.shape, dtype=bool)
    while count := int(missing.sum()):
        values[missing], accepted = propose(random, count)
        missing[missing] = ~(accepted & (low <= values[missing]) & (values[missing] <= high))
    return _fill(tensor, np.clip(mean + std * values, a, b))  # rounding may have gone beyond


def _proposals(low: float, high: float) -> Callable[[np.random.Generator, int], tuple[Any, Any]]:
    """What draws candidates for a standard normal number in [low, high], and says which of them to accept (Robert 1995, section 2)."""
    if math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2)) > 0.2:
        return lambda random, n: (random.normal(size=n), True)
    nearest = min(max(low, 0.0), high) if high > 0 else high
    if abs(nearest) * (high - low) < 2:  # the density hardly varies

        def uniform(random: np.random.Generator, n: int) -> tuple[Any, Any]:
            x = random.uniform(low, high, n)
            return x, random.random(n) <= np.exp((nearest * nearest - x * x) / 2)

        return uniform

    def tail(random: np.random.Generator, n: int) -> tuple[Any, Any]:
        beyond = random.exponential(1 / abs(nearest), n)
        return nearest + math.copysign(1, nearest) * beyond, random.random(n) <= np.exp(-beyond * beyond / 2)

    return tail


def orthogonal_(tensor: Any, gain: float = 1.0, generator: Seed = None) -> Any:
    """Fill, as a matrix of shape (n, rest), with `gain` times orthonormal rows or columns (Saxe et al. 2014)."""
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: needs two axes or more, not shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    matrix = as_generator(generator).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(matrix)
    q = q * np.sign(np.diag(r))  # the signs that make the distribution uniform (Mezzadri 2007)
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(tensor.shape))


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Seed = None) -> Any:
    """Fill a matrix normally, and a fraction `sparsity` of each column, rounded up, with 0 (Martens 2010, section 5).

    >>> import numpy as np
    >>> (sparse_(np.empty((4, 3)), 0.5, generator=0) == 0).sum(axis=0)
    array([2, 2, 2])
    """
    if tensor.ndim != 2:
        raise ValueError(f"sparse_: needs a matrix, not shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity must be in [0, 1], not {sparsity}")
    random = as_generator(generator)
    zero = np.arange(tensor.shape[0])[:, None] < math.ceil(sparsity * tensor.shape[0])
    zero = random.permuted(np.broadcast_to(zero, tensor.shape), axis=0)
    return _fill(tensor, np.where(zero, 0.0, random.normal(0.0, std, tensor.shape)))


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
    mode = mode.lower()
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
