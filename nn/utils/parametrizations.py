"""Parametrizations that are often wanted: weight normalisation, spectral normalisation, orthogonal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.convolution import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from nn.functional.arguments import axis_or_dim
from nn.module import Module
from nn.utils.parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _weight_of(function: str, module: Module, name: str) -> Any:
    weight = getattr(module, name, None)
    if not isinstance(weight, ag.Tensor):
        raise ValueError(f"{function}: {type(module).__name__} has no parameter or buffer {name!r}")
    return weight


# --- weight normalisation ----------------------------------------------------------------------------------------------------------


def norm_except_dim(v: Any, dim: int) -> Any:
    """The Euclidean norms over all axes but `dim`, which stay as axes of size 1; the norm of all for -1.

    >>> import numpy as np
    >>> norm_except_dim(np.array([[3.0, 4.0], [0.0, 2.0]]), 0)
    array([[5.],
           [2.]])
    """
    if dim == -1:
        return np.sqrt((v * v).sum())
    if not 0 <= dim < v.ndim:
        raise ValueError(f"weight_norm: dim={dim} for a weight of shape {v.shape}; it must be one of its axes, or None for all")
    return np.sqrt((v * v).sum(axis=tuple(axis for axis in range(v.ndim) if axis != dim), keepdims=True))


class WeightNorm(Module):
    """weight = g v / |v|, with a norm for each index of the axis `dim` (Salimans & Kingma 2016, eq. 2)."""

    def __init__(self, dim: int | None = 0) -> None:
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """(g, v) that give `weight`."""
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0, *, axis: int | None = None) -> Module:
    """Train a weight's length and direction apart: weight = g v / |v| (Salimans & Kingma 2016); return the module.

    name       of the parameter
    dim, axis  for each index of this axis there is a length of its own; None for one length in all

    The state has `parametrizations.<name>.original0` (g) and `original1` (v).

    >>> import nn
    >>> layer = weight_norm(nn.Linear(2, 3))
    >>> {name: value.shape for name, value in layer.state_dict().items()}
    {'bias': (3,), 'parametrizations.weight.original0': (3, 1), 'parametrizations.weight.original1': (3, 2)}
    """
    return register_parametrization(module, name, WeightNorm(axis_or_dim("weight_norm", axis, dim, 0)), unsafe=True)


# --- spectral normalisation --------------------------------------------------------------------------------------------------------


def default_dim(module: Module) -> int:
    """The axis of a weight that is for the outputs."""
    return 1 if isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d) else 0


def as_matrix(weight: Any, dim: int) -> Any:
    """A weight as a matrix with the axis `dim` first."""
    moved = np.moveaxis(weight, dim, 0) if dim else weight
    return moved.reshape((moved.shape[0], -1))


def unit(vector: Any, eps: float) -> Any:
    """The vector divided by its length, or by eps if that is more."""
    return vector / np.maximum(np.sqrt((vector * vector).sum()), eps)


def random_unit(size: int, dtype: Any, eps: float, generator: init.Seed) -> Any:
    """A unit vector of random direction."""
    return unit(init.as_generator(generator).normal(size=size), eps).astype(dtype)


class SpectralNorm(Module):
    """weight / sigma, with sigma = u^T weight v near the largest singular value (Miyato et al. 2018, algorithm 1)."""

    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12, generator: init.Seed = None) -> None:
        if not -weight.ndim <= dim < weight.ndim:
            raise IndexError(f"spectral_norm: dim={dim} for a weight of shape {weight.shape}")
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations must be positive, not {n_power_iterations}")
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach().numpy(), self.dim)
            random = init.as_generator(generator)
            self.register_buffer("_u", random_unit(matrix.shape[0], matrix.dtype, eps, random))
            self.register_buffer("_v", random_unit(matrix.shape[1], matrix.dtype, eps, random))
            self._iterate(matrix, 15)

    _u: Any
    _v: Any

    def _iterate(self, matrix: Any, times: int) -> None:
        """Bring u and v nearer to the first singular vectors, by the power method."""
        for _ in range(times):
            self._u.data[...] = unit(matrix @ self._v.data, self.eps)
            self._v.data[...] = unit(matrix.T @ self._u.data, self.eps)

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return unit(weight, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._iterate(matrix.detach().numpy() if isinstance(matrix, ag.Tensor) else matrix, self.n_power_iterations)
        # Copies: another forward pass changes the buffers, and may come before the backward pass of this one.
        return weight / (self._u.numpy().copy() @ (matrix @ self._v.numpy().copy()))

    def right_inverse(self, value: Any) -> Any:
        """The value itself, which is to have the norm already."""
        return value


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
    """Divide a weight by its spectral norm (Miyato et al. 2018); return the module.

    name                of the parameter; with more than two axes it counts as a matrix, (size of dim, all else)
    n_power_iterations  of the power method each time that the weight is read in training
    eps                 least length that is divided by
    dim, axis           the outputs' axis: 0 by default, 1 for transposed convolutions
    generator           where the first vectors come from: a generator, a seed, or None

    The state has `parametrizations.<name>.original`, and the vectors `parametrizations.<name>.0._u` and `_v`.

    >>> import numpy as np, nn
    >>> layer = spectral_norm(nn.Linear(4, 4), generator=0)
    >>> for _ in range(50): _ = layer.weight
    >>> float(np.linalg.norm(layer.weight.detach().numpy(), 2).round(2))
    1.0
    """
    weight = _weight_of("spectral_norm", module, name)
    chosen = axis_or_dim("spectral_norm", axis, dim, None)
    chosen = default_dim(module) if chosen is None else chosen
    return register_parametrization(module, name, SpectralNorm(weight, n_power_iterations, chosen, eps, generator))


# --- orthogonal matrices -----------------------------------------------------------------------------------------------------------

MAPS = ("matrix_exp", "cayley", "householder")


def _adjoint(a: Any) -> Any:
    return a.swapaxes(-1, -2).conjugate()


def _is_orthogonal(q: Any) -> bool:
    rows, columns = q.shape[-2:]
    return bool(np.allclose(_adjoint(q) @ q, np.eye(columns), atol=10 * rows * np.finfo(q.dtype).eps))


def _made_orthogonal(a: Any) -> Any:
    """The Q of a = Q R with a positive diagonal of R, for tall matrices."""
    q, r = np.linalg.qr(a)
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    return q * np.where(diagonal == 0, 0, diagonal / np.where(diagonal == 0, 1, np.abs(diagonal)))[..., None, :]


def _householder_product(a: Any, tau: Any) -> Any:
    """The first columns of H_1 H_2 ... with H_i = 1 - tau_i v_i v_i^T, where v_i is column i of `a` below a 1 on the diagonal."""
    rows, columns = a.shape[-2:]
    q: Any = np.broadcast_to(np.eye(rows, columns, dtype=a.dtype), a.shape)
    for i in reversed(range(columns)):
        v = a[..., i : i + 1] + np.eye(rows, columns, dtype=a.dtype)[:, i : i + 1]
        q = q - tau[..., i, None, None] * v * (v.swapaxes(-1, -2) @ q)
    return q


class Orthogonal(Module):
    """An orthogonal matrix from one without constraint, by the exponential or Cayley map of a skew matrix, or by reflections."""

    base: Any

    def __init__(self, weight: Any, orthogonal_map: str, *, use_trivialization: bool = True, generator: init.Seed = None) -> None:
        if weight.dtype.kind == "c" and orthogonal_map == "householder":
            raise ValueError("orthogonal: the householder map does not take complex matrices")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        self._generator = init.as_generator(generator)
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Any) -> Any:
        transposed = x.shape[-2] < x.shape[-1]
        x = x.swapaxes(-1, -2) if transposed else x
        rows, columns = x.shape[-2:]
        if self.orthogonal_map == "householder":
            below = np.tril(x, -1)
            q = _householder_product(below, 2.0 / (1.0 + (below * below).sum(axis=-2)))
            raw = x.detach().numpy() if isinstance(x, ag.Tensor) else x
            signs = np.diagonal(raw, axis1=-2, axis2=-1).astype(int)  # 1 or -1; not trained
            q = q * signs[..., None, :].astype(raw.dtype)
        else:
            lower = np.tril(x)
            if rows != columns:
                lower = np.concatenate([lower, np.zeros((*x.shape[:-1], rows - columns), x.dtype)], axis=-1)
            skew = lower - _adjoint(lower)
            if self.orthogonal_map == "matrix_exp":
                q = ag.linalg.expm(skew)
            else:
                one = np.eye(rows, dtype=x.dtype)
                q = np.linalg.solve(one - 0.5 * skew, one + 0.5 * skew)
            q = q[..., :columns] if rows != columns else q
        if self.use_trivialization:
            q = self.base.numpy() @ q
        return q.swapaxes(-1, -2) if transposed else q

    def right_inverse(self, value: Any) -> Any:
        """What gives the matrix `value`, made orthogonal; it becomes the base that other matrices are reached from."""
        if value.shape != self.shape:
            raise ValueError(f"orthogonal: a value of shape {value.shape} for a parameter of shape {self.shape}")
        array = value.detach().numpy() if isinstance(value, ag.Tensor) else np.asarray(value)
        transposed = array.shape[-2] < array.shape[-1]
        q = array.swapaxes(-1, -2) if transposed else array
        rows, columns = q.shape[-2:]
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(f"orthogonal: without trivialization, the {self.orthogonal_map} map cannot be assigned to")
            reflections, tau = np.linalg.qr(q, mode="raw")
            found = reflections.swapaxes(-1, -2).copy()
            index = np.arange(columns)
            diagonal = np.sign(found[..., index, index])
            found[..., index, index] = np.where(tau == 0, -diagonal, diagonal)  # a reflection that is not there
            return found.swapaxes(-1, -2) if transposed else found
        if rows == columns:
            base = q.copy() if _is_orthogonal(q) else _made_orthogonal(q)
        else:
            more = self._generator.normal(size=(*q.shape[:-1], rows - columns)).astype(q.dtype)
            base = _made_orthogonal(np.concatenate([q, more], axis=-1))
        self.base = base
        # Of this every map makes the first columns of the unit matrix.
        return -np.broadcast_to(np.eye(*array.shape[-2:], dtype=array.dtype), array.shape)


def orthogonal(
    module: Module,
    name: str = "weight",
    orthogonal_map: str | None = None,
    *,
    use_trivialization: bool = True,
    generator: init.Seed = None,
) -> Module:
    """Keep a matrix orthogonal: its columns, or its rows if there are less of them, are orthonormal; return the module.

    name                of the parameter, a matrix or a stack of them
    orthogonal_map      "matrix_exp" (by default for square and complex matrices; needs SciPy), "cayley", or "householder"
    use_trivialization  train what moves a base matrix, which is saved as `parametrizations.<name>.0.base` (Lezcano-Casado 2019)
    generator           where the columns come from that complete a base: a generator, a seed, or None
    raises              ValueError for a parameter that is no matrix, or another map

    >>> import numpy as np, nn
    >>> q = orthogonal(nn.Linear(2, 4), generator=0).weight.detach().numpy()
    >>> np.allclose(q.T @ q, np.eye(2), atol=1e-6)
    True
    """
    weight = _weight_of("orthogonal", module, name)
    if weight.ndim < 2:
        raise ValueError(f"orthogonal: {name!r} must be a matrix or a stack of them, but has shape {weight.shape}")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] or weight.dtype.kind == "c" else "householder"
    if orthogonal_map not in MAPS:
        raise ValueError(f"orthogonal: orthogonal_map must be one of {', '.join(MAPS)}, not {orthogonal_map!r}")
    made = Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization, generator=generator)
    return register_parametrization(module, name, made, unsafe=True)
