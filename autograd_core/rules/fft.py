"""Fourier transforms: each the adjoint of another, so any order of derivative follows.

The adjoint of a transform that is not normalised is the inverse transform that is not normalised: `norm` is swapped. Padding with zeros and
cropping, by which `n` and `s` make the lengths fit, are each other's adjoints. The half spectrum of a real signal stands for a
whole one: its inner elements count twice, the first and (for an even length) the last, Nyquist's, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograd_core.define.door import constant, defvjp, op
from autograd_core.define.samples import Arrays, Call, call

constant(np.fft.fftfreq, np.fft.rfftfreq)

_SWAPPED: dict[Any, Any] = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


@op(
    inert=("length",),
    structural=True,
    linear=True,
    samples=lambda a: [call(a(3), 2, 0), call(a(2, 3), 5, -1), call(a(2, 3), 1, 0), call(a(2), 2, 0), call(a.complex(2), 3, 0)],
)
def fit(x: Any, length: int, axis: int) -> Any:
    """`x` with `axis` cropped at the end, or padded there with zeros, to `length`."""
    present = x.shape[axis]
    if length <= present:
        return x if length == present else x[(*[slice(None)] * (axis % x.ndim), slice(length))]
    shape = list(x.shape)
    shape[axis] = length - present
    return np.concatenate((x, np.zeros_like(x, shape=tuple(shape))), axis=axis)


defvjp(fit, x=lambda g, like, axis: fit(g, like.shape[axis], axis))


def _weights(like: Any, n: int, axis: int, inner: float) -> Any:
    """1 for the first (and Nyquist's) element of the half spectrum of n real numbers, `inner` for the others, along `axis`."""
    half = n // 2 + 1
    dtype = np.finfo(like.dtype).dtype
    shape = [1] * like.ndim
    shape[axis] = half
    alone = (np.arange(half) == 0) | (2 * np.arange(half) == n)
    return np.where(alone, np.ones((), dtype), np.full((), inner, dtype)).reshape(shape)


# Adjoints of the one-dimensional transforms: of a result's gradient, the argument's length along `axis`, and `norm`.


def _fft_adjoint(g: Any, length: int, axis: int, norm: Any) -> Any:
    return fit(np.fft.ifft(g, axis=axis, norm=_SWAPPED[norm]), length, axis)


def _ifft_adjoint(g: Any, length: int, axis: int, norm: Any) -> Any:
    return fit(np.fft.fft(g, axis=axis, norm=_SWAPPED[norm]), length, axis)


def _rfft_adjoint(g: Any, length: int, axis: int, norm: Any, n: Any = None) -> Any:
    n = length if n is None else n
    return fit(np.fft.irfft(g * _weights(g, n, axis, 0.5), n, axis, _SWAPPED[norm]), length, axis)


def _irfft_adjoint(g: Any, length: int, axis: int, norm: Any) -> Any:
    n = g.shape[axis]
    return fit(np.fft.rfft(g, n, axis, _SWAPPED[norm]) * _weights(g, n, axis, 2.0), length, axis)


def _line_samples(a: Arrays, real: bool = False) -> list[Call]:
    """Calls of a one-dimensional transform: lengths even and odd, cropped, padded; each `norm`."""
    make = a if real else a.complex
    return [
        *[call(make(4)), call(make(5)), call(make(2, 3)), call(make(3, 2), axis=0), call(make(1))],
        *[call(make(4), n) for n in (2, 3, 5, 6)],
        *[call(make(4), norm=norm) for norm in ("backward", "ortho", "forward")],
        *[call(make(2, 3, 2), n=4, axis=-2, norm="ortho"), call(make(0, 3)), call(a(4)), call(a(3), 5)],
    ]


def _half_samples(a: Arrays) -> list[Call]:
    """Calls of a transform from a half spectrum, of which the first element alone cannot be transformed without a length."""
    return [c if c.args[0].shape != (1,) else call(*c.args, n=1) for c in _line_samples(a)]


defvjp(
    np.fft.fft,
    signature="a, n=None, axis=-1, norm=None, out=None",
    a=lambda g, like, axis, norm: _fft_adjoint(g, like.shape[axis], axis, norm),
    inert=("n",),
    linear=True,
    samples=_line_samples,
)
defvjp(
    np.fft.ifft,
    signature="a, n=None, axis=-1, norm=None, out=None",
    a=lambda g, like, axis, norm: _ifft_adjoint(g, like.shape[axis], axis, norm),
    inert=("n",),
    linear=True,
    samples=_line_samples,
)
defvjp(
    np.fft.rfft,
    signature="a, n=None, axis=-1, norm=None, out=None",
    a=lambda g, like, n, axis, norm: _rfft_adjoint(g, like.shape[axis], axis, norm, n),
    linear=True,
    samples=lambda a: _line_samples(a, real=True),
)
defvjp(
    np.fft.irfft,
    signature="a, n=None, axis=-1, norm=None, out=None",
    a=lambda g, like, axis, norm: _irfft_adjoint(g, like.shape[axis], axis, norm),
    inert=("n",),
    linear=True,
    samples=_half_samples,
)
# hfft(a) is irfft(conj(a)), and ihfft(a) conj(rfft(a)), with `norm` swapped.
defvjp(
    np.fft.hfft,
    signature="a, n=None, axis=-1, norm=None, out=None",
    a=lambda g, like, axis, norm: _irfft_adjoint(g, like.shape[axis], axis, _SWAPPED[norm]).conjugate(),
    inert=("n",),
    linear=True,
    samples=_half_samples,
)
defvjp(
    np.fft.ihfft,
    signature="a, n=None, axis=-1, norm=None, out=None",
    a=lambda g, like, n, axis, norm: _rfft_adjoint(g.conjugate(), like.shape[axis], axis, _SWAPPED[norm], n),
    linear=True,
    samples=lambda a: _line_samples(a, real=True),
)

# --- several axes --------------------------------------------------------------------------------------------------------------

Adjoint = Callable[[Any, int, int, Any], Any]


def _axes_and_lengths(shape: Sequence[int], s: Any, axes: Any) -> tuple[list[int], list[int]]:
    """The axes that a transform works on, and to which lengths it first brings them; as NumPy reads `s` and `axes`."""
    if axes is None:
        axes = range(-len(s), 0) if s is not None else range(-len(shape), 0)
    axes = [int(axis) for axis in axes]
    lengths = [shape[axis] for axis in axes]
    return axes, lengths if s is None else [present if n in (None, -1) else int(n) for n, present in zip(s, lengths, strict=True)]


def _lines_adjoint(g: Any, shape: Sequence[int], axes: list[int], lengths: list[int], norm: Any, adjoint: Adjoint) -> Any:
    """The adjoint of a one-dimensional transform along each of `axes`, the last first. An axis may occur twice."""
    present = list(shape)
    before = []
    for axis, n in zip(reversed(axes), reversed(lengths), strict=True):
        before.append(present[axis])
        present[axis] = n
    for axis in axes:
        g = adjoint(g, before.pop(), axis, norm)
    return g


def _fftn_adjoint(g: Any, like: Any, s: Any, axes: Any, norm: Any) -> Any:
    return _lines_adjoint(g, like.shape, *_axes_and_lengths(like.shape, s, axes), norm, _fft_adjoint)


def _ifftn_adjoint(g: Any, like: Any, s: Any, axes: Any, norm: Any) -> Any:
    return _lines_adjoint(g, like.shape, *_axes_and_lengths(like.shape, s, axes), norm, _ifft_adjoint)


def _rfftn_adjoint(g: Any, like: Any, s: Any, axes: Any, norm: Any) -> Any:
    """`rfftn` is rfft along the last axis, then fft along the others."""
    (*others, last), lengths = _axes_and_lengths(like.shape, s, axes)
    between = list(like.shape)
    between[last] = lengths[-1] // 2 + 1
    g = _lines_adjoint(g, between, others, lengths[:-1], norm, _fft_adjoint)
    return _rfft_adjoint(g, like.shape[last], last, norm, lengths[-1])


def _irfftn_adjoint(g: Any, like: Any, s: Any, axes: Any, norm: Any) -> Any:
    """`irfftn` is ifft along all axes but the last, the first first, then irfft along the last."""
    (*others, last), lengths = _axes_and_lengths(like.shape, s, axes)
    between = list(like.shape)
    for axis, n in zip(others, lengths, strict=False):
        between[axis] = n
    g = _irfft_adjoint(g, between[last], last, norm)
    return _lines_adjoint(g, like.shape, others[::-1], lengths[-2::-1], norm, _ifft_adjoint)


def _plane_samples(a: Arrays, real: bool = False) -> list[Call]:
    make = a if real else a.complex
    return [
        *[call(make(2, 3)), call(make(3, 4)), call(make(2, 3, 2)), call(make(3, 2, 2), axes=(0, 1))],
        *[call(make(3, 4), s, (0, 1)) for s in ((2, 5), (4, 3), (3, -1), (4, 6))],
        *[call(make(2, 3), norm=norm) for norm in ("backward", "ortho", "forward")],
        *[call(make(3, 2, 4), s=(5, 2), axes=(-1, 0), norm="ortho"), call(a(2, 3))],
    ]


def _solid_samples(a: Arrays, real: bool = False) -> list[Call]:
    make = a if real else a.complex
    return [*_plane_samples(a, real), call(make(4)), call(make(2, 2, 3), axes=(1,)), call(make(2, 3), axes=(0, 0)), call(make(3, 2), (4, 2), (0, 0))]


_PLANE = "a, s=None, axes=(-2, -1), norm=None, out=None"
_SOLID = "a, s=None, axes=None, norm=None, out=None"
_real_plane_samples = lambda a: _plane_samples(a, real=True)
_real_solid_samples = lambda a: _solid_samples(a, real=True)

defvjp(np.fft.fft2, signature=_PLANE, a=_fftn_adjoint, linear=True, samples=_plane_samples)
defvjp(np.fft.ifft2, signature=_PLANE, a=_ifftn_adjoint, linear=True, samples=_plane_samples)
defvjp(np.fft.rfft2, signature=_PLANE, a=_rfftn_adjoint, linear=True, samples=_real_plane_samples)
defvjp(np.fft.irfft2, signature=_PLANE, a=_irfftn_adjoint, linear=True, samples=_plane_samples)
defvjp(np.fft.fftn, signature=_SOLID, a=_fftn_adjoint, linear=True, samples=_solid_samples)
defvjp(np.fft.ifftn, signature=_SOLID, a=_ifftn_adjoint, linear=True, samples=_solid_samples)
defvjp(np.fft.rfftn, signature=_SOLID, a=_rfftn_adjoint, linear=True, samples=_real_solid_samples)
defvjp(np.fft.irfftn, signature=_SOLID, a=_irfftn_adjoint, linear=True, samples=_solid_samples)

# --- order of frequencies --------------------------------------------------------------------------------------------------------

_shift_samples = lambda a: [
    call(a(4)),
    call(a(3)),
    call(a(2, 3)),
    call(a(2, 3), axes=1),
    call(a(3, 2, 2), axes=(0, -1)),
    call(a.complex(3)),
    call(a(0)),
]

defvjp(np.fft.fftshift, x=lambda g, axes: np.fft.ifftshift(g, axes), structural=True, linear=True, samples=_shift_samples)
defvjp(np.fft.ifftshift, x=lambda g, axes: np.fft.fftshift(g, axes), structural=True, linear=True, samples=_shift_samples)
