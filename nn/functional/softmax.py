"""Softmax and what is made of it or stands where it stands: functions along one axis.

`dim` is torch's name of the axis, `axis` NumPy's; either is taken.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

import autograd_core as ag
from nn import init
from nn.functional.arguments import as_array, axis_or_dim, one_axis
from nn.functional.sums import row_sums

__all__ = ["gumbel_softmax", "log_softmax", "maxout", "safe_powers", "shifted_powers", "softmax", "softmin"]


def _axis_samples(a: Any) -> list[Any]:
    return [
        ag.call(a(2, 3), axis=-1),
        ag.call(a(2, 3), axis=0),
        ag.call(a(3), axis=0),
        ag.call(a(2, 1, 2), axis=1),
        ag.call(a(0, 3), axis=-1),
        ag.call(a(2, 0), axis=-1),
    ]


# Of numbers within these bounds no power of e overflows or loses digits, nor does a sum of them: no maximum has to be taken off.
_BOUNDS = {np.dtype(np.float32): 40.0, np.dtype(np.float64): 300.0}


def safe_powers(x: Any) -> Any:
    """exp(x) as a fresh array in C's order, or None if x is not known to be an array within bounds in which that is exact and safe.

    To look for the smallest and the largest element takes a fifth of the time of finding each row's maximum and taking it off.
    """
    bound = _BOUNDS.get(x.dtype) if type(x) is np.ndarray else None
    if bound is None or not x.size or not (x.item(x.argmax()) <= bound and x.item(x.argmin()) >= -bound):
        return None
    return np.exp(x, np.empty(x.shape, x.dtype))


def shifted_powers(x: Any, axis: int) -> Any:
    """exp(x - maximum along the axis), of which none overflows and one is 1: fresh, and in C's order whatever that of x."""
    if type(x) is np.ndarray and x.dtype.kind == "f":
        z = np.subtract(x, x.max(axis=axis, keepdims=True), order="C")
        return np.exp(z, out=z)
    return np.exp(x - x.max(axis=axis, keepdims=True))


def _sums_along(x: Any, axis: int) -> Any:
    """Sums along an axis, which stays with length 1."""
    if type(x) is np.ndarray and x.ndim == 2 and axis in (-1, 1):
        return row_sums(x)[:, None]
    return x.sum(axis=axis, keepdims=True)


def _softmax_rule(g: Any, out: Any, axis: int) -> Any:
    if type(g) is type(out) is np.ndarray and axis in (-1, out.ndim - 1):
        flow = g - np.vecdot(g, out)[..., None]
        flow *= out
        return flow
    return out * (g - (g * out).sum(axis=axis, keepdims=True))


@ag.op(batches=True, name="softmax", x=_softmax_rule, real_only=True, samples=_axis_samples)
def _softmax(x: Any, axis: int) -> Any:
    if not x.size:
        return x * 1.0  # there is no largest element
    z = safe_powers(x)
    if z is None:
        z = shifted_powers(x, axis)
    z /= _sums_along(z, axis)
    return z


@ag.op(
    batches=True,
    name="log_softmax",
    x=lambda g, out, axis: g - np.exp(out) * g.sum(axis=axis, keepdims=True),
    real_only=True,
    samples=_axis_samples,
)
def _log_softmax(x: Any, axis: int) -> Any:
    if not x.size:
        return x * 1.0
    z = x - x.max(axis=axis, keepdims=True)  # always: it takes off what a probability near 1 would lose digits to
    z -= np.log(_sums_along(np.exp(z), axis))
    return z


def softmax(input: Any, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Any:
    """exp(x) / sum(exp(x)) along an axis, without overflow.

    dim      the axis; without one it is torch's choice: the only one, the classes of (N, C), and with a warning axis 0 of three
             axes and axis 1 of more
    dtype    what to convert `input` to before
    raises   ValueError if `input` does not have the axis

    A slice that is -inf throughout has no softmax: it gives nan, as in torch; mask attention so that a row keeps an entry.

    >>> import numpy as np
    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    input, axis = _prepared("softmax", input, axis, dim, dtype)
    return _softmax(input, axis)


def log_softmax(input: Any, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Any:
    """X - log(sum(exp(x))) along an axis, without overflow; arguments as in `softmax`.

    >>> import numpy as np
    >>> log_softmax(np.array([0.0, 0.0])).round(4)
    array([-0.6931, -0.6931])
    """
    input, axis = _prepared("log_softmax", input, axis, dim, dtype)
    return _log_softmax(input, axis)


def softmin(input: Any, dim: int | None = None, dtype: Any = None, *, axis: int | None = None) -> Any:
    """softmax(-x): the smallest element gets the largest share; arguments as in `softmax`.

    >>> import numpy as np
    >>> softmin(np.array([0.0, np.log(3.0)]))
    array([0.75, 0.25])
    """
    input, axis = _prepared("softmin", input, axis, dim, dtype)
    return _softmax(-input, axis)


def _prepared(name: str, input: Any, axis: int | None, dim: int | None, dtype: Any) -> tuple[Any, int]:
    input = as_array(input)
    chosen = one_axis(name, input, axis, dim, 0 if input.ndim in (0, 1, 3) else 1)
    if axis is None and dim is None and input.ndim > 2:
        warnings.warn(f"{name} of shape {input.shape} without dim: taken along axis {chosen}, as torch does; say which one you mean", stacklevel=3)
    return input if dtype is None else input.astype(dtype), chosen


def gumbel_softmax(
    logits: Any,
    tau: float = 1.0,
    hard: bool = False,
    eps: float = 1e-10,
    dim: int = -1,
    *,
    axis: int | None = None,
    generator: init.Seed = None,
) -> Any:
    """A random draw from the classes that can be differentiated: softmax((logits + Gumbel noise) / tau).

    logits     (..., classes), unnormalised log-probabilities
    tau        the temperature: small ones give nearly one-hot results with steep gradients
    hard       give the one-hot vector of the largest element, with the gradient of the soft result (straight through)
    eps        not used, as in torch
    dim, axis  the axis of the classes
    generator  where the noise comes from: a generator, a seed, or None for the one that `nn.manual_seed` sets
    raises     ValueError unless tau > 0

    Jang et al. 2017, "Categorical reparameterization with Gumbel-softmax", eq. 2; Maddison et al. 2017.

    >>> import numpy as np
    >>> gumbel_softmax(np.log([0.1, 0.9]), hard=True, generator=0)
    array([0., 1.])
    """
    if not tau > 0:
        raise ValueError(f"gumbel_softmax: tau must be > 0, not {tau!r}")
    logits = as_array(logits)
    chosen = one_axis("gumbel_softmax", logits, axis_or_dim("gumbel_softmax", axis, dim, -1), None, -1)
    noise = -np.log(init.drawn(generator, "standard_exponential", logits.shape)).astype(logits.dtype)
    soft = _softmax((logits + noise) / tau, chosen)
    if not hard:
        return soft
    values = soft.detach().numpy() if isinstance(soft, ag.Tensor) else soft
    one_hot = np.zeros_like(values)
    np.put_along_axis(one_hot, np.expand_dims(values.argmax(axis=chosen), chosen), 1.0, axis=chosen)
    return one_hot - values + soft  # the value of one_hot (to rounding, as in torch), the gradient of soft


def maxout(input: Any, pool_size: int, dim: int = 1, *, axis: int | None = None) -> Any:
    """The largest of each `pool_size` consecutive elements along an axis: (..., pool_size * n, ...) -> (..., n, ...).

    dim, axis  the axis, channels by default
    raises   ValueError if `pool_size` does not divide the axis

    Ties share the gradient equally. Goodfellow et al. 2013, "Maxout networks", section 3; the affine maps before it are a
    `Linear` or a convolution with pool_size * n outputs.

    >>> import numpy as np
    >>> maxout(np.array([[1.0, 3.0, 2.0, -1.0]]), 2)
    array([[3., 2.]])
    """
    input = as_array(input)
    chosen = one_axis("maxout", input, axis_or_dim("maxout", axis, dim, 1), None, 1) % input.ndim
    length = input.shape[chosen]
    if not isinstance(pool_size, int | np.integer) or isinstance(pool_size, bool) or pool_size < 1 or length % pool_size:
        raise ValueError(
            f"maxout: pool_size must divide the {length} elements of axis {chosen} of an input of shape {input.shape}, not {pool_size!r}"
        )
    before, after = input.shape[:chosen], input.shape[chosen + 1 :]
    return input.reshape((*before, length // pool_size, pool_size, *after)).max(axis=chosen + 1)
