"""Fourier transforms: adjoints, round trips, the half spectrum, and agreement with torch."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag


def tracked(values) -> ag.Tensor:
    return ag.tensor(values, requires_grad=True)


def inner(a, b):
    """The real inner product, for which gradients are adjoints."""
    return float(np.real(np.vdot(a, b)))


TRANSFORMS = ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"]


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("lengths", [4, 5, 6, 7, 9])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_gradient_of_a_transform_is_its_adjoint(name, lengths, norm, rng):
    """<F x, g> = <x, F* g>, for shorter, equal and longer lengths, even and odd."""
    several = name[-1] in "2n"
    real = name.startswith(("r", "ih"))
    x = rng.normal(size=(5, 6)) + (0 if real else 1j * rng.normal(size=(5, 6)))
    keywords = {"s": (lengths, lengths + 1), "axes": (1, 0)} if several else {"n": lengths, "axis": 0}
    t = tracked(x)
    y = getattr(np.fft, name)(t, norm=norm, **keywords)
    g = rng.normal(size=y.shape) + (1j * rng.normal(size=y.shape) if y.dtype.kind == "c" else 0)
    y.backward(g)
    assert t.grad.dtype == t.dtype
    assert inner(y.data, g) == pytest.approx(inner(x, t.grad.data))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
def test_a_round_trip_has_the_identity_as_gradient(n, rng):
    for there, back in (
        (np.fft.rfft, lambda y: np.fft.irfft(y, n)),
        (np.fft.ihfft, lambda y: np.fft.hfft(y, n)),
        (np.fft.fft, lambda y: np.real(np.fft.ifft(y))),
        (np.fft.rfftn, lambda y: np.fft.irfftn(y, (n,), (0,))),
    ):
        x, g = tracked(rng.normal(size=n)), rng.normal(size=n)
        back(there(x)).backward(g)
        np.testing.assert_allclose(x.grad.data, g, atol=1e-12)


def test_the_power_spectrum_counts_inner_bins_twice_and_nyquists_once(rng):
    """Parseval: sum |x|^2 = (|y_0|^2 + 2 |y_1|^2 + ... + |y_nyquist|^2) / n, so the gradient of the right side is 2 x."""
    for n in (4, 5):
        x = tracked(rng.normal(size=n))
        y = np.fft.rfft(x)
        counts = np.array([1, 2, 1] if n == 4 else [1, 2, 2])
        power = (np.abs(y) ** 2 * counts).sum() / n
        assert float(power) == pytest.approx(float((x.data**2).sum()))
        power.backward()
        np.testing.assert_allclose(x.grad.data, 2 * x.data)


def test_the_imaginary_parts_that_irfft_ignores_get_no_gradient(rng):
    x = tracked(rng.normal(size=3) + 1j * rng.normal(size=3))
    np.fft.irfft(x, 4).backward(rng.normal(size=4))
    assert x.grad.data.imag[0] == 0
    assert abs(x.grad.data.imag[2]) < 1e-15
    assert x.grad.data.imag[1] != 0


def test_what_is_cropped_gets_zero_and_what_is_padded_is_dropped(rng):
    x = tracked(rng.normal(size=6))
    np.abs(np.fft.fft(x, 4)).sum().backward()
    np.testing.assert_array_equal(x.grad.data[4:], 0)
    assert x.grad.data[:4].all()
    x = tracked(rng.normal(size=3))
    np.real(np.fft.fft(x, 5)).sum().backward()
    np.testing.assert_allclose(x.grad.data, [5, 0, 0], atol=1e-12)


def test_shifts_move_gradients_back(rng):
    for shift, back in ((np.fft.fftshift, np.fft.ifftshift), (np.fft.ifftshift, np.fft.fftshift)):
        x, g = tracked(rng.normal(size=(5, 4))), rng.normal(size=(5, 4))
        shift(x, axes=0).backward(g)
        np.testing.assert_array_equal(x.grad.data, back(g, axes=0))


def test_single_precision_stays_single():
    x = ag.tensor(np.ones((3, 4), np.float32), requires_grad=True)
    y = np.fft.irfft2(np.fft.rfft2(x))
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float32


def test_the_second_derivative_of_a_convolution_by_fft(rng):
    """sum (k * x)^2 is quadratic in x: its second derivative along v is twice the value at v."""
    k, v = rng.normal(size=8), rng.normal(size=8)

    def loss(x):
        return (np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(k), 8) ** 2).sum()

    x = tracked(rng.normal(size=8))
    (first,) = ag.gradient(loss(x), [x], create_graph=True)
    (second,) = ag.gradient((first * v).sum(), [x])
    assert float(second.data @ v) == pytest.approx(2 * float(loss(v)))


def test_bad_lengths_and_norms_are_refused_by_numpy():
    x = tracked(np.ones(4))
    for call, error in (
        (lambda: np.fft.fft(x, 0), ValueError),
        (lambda: np.fft.fft(x, norm="nonsense"), ValueError),
        (lambda: np.fft.fft2(x), IndexError),
        (lambda: np.fft.fftn(x, (2, 2), (0,)), ValueError),
        (lambda: np.fft.rfft(x + 1j), TypeError),
    ):
        with pytest.raises(error):
            call()


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_agree_with_torch(name, norm, rng):
    torch = pytest.importorskip("torch")
    real = name.startswith(("r", "ih"))
    a = rng.normal(size=(4, 5)) + (0 if real else 1j * rng.normal(size=(4, 5)))
    x, t = tracked(a), torch.tensor(a, requires_grad=True)
    y, z = getattr(np.fft, name)(x, norm=norm), getattr(torch.fft, name)(t, norm=norm)
    w = rng.normal(size=y.shape)
    (np.abs(y) ** 2 * w).sum().backward()
    (z.abs() ** 2 * torch.tensor(w)).sum().backward()
    np.testing.assert_allclose(x.grad.data, t.grad.resolve_conj().numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (np.emath.sqrt, [-4.0, 4.0], [0.0, 0.25]),  # the gradient of the real part: sqrt(-4) moves along the imaginary axis
        (np.emath.log, [-2.0, 2.0], [-0.5, 0.5]),
        (np.emath.log2, [-2.0], [-0.5 / np.log(2)]),
        (np.emath.arccos, [0.5, -0.5], [-1 / np.sqrt(0.75)] * 2),
        (np.emath.arcsin, [2.0, 0.5], [0.0, 1 / np.sqrt(0.75)]),
        (np.emath.arctanh, [2.0], [-1 / 3]),
    ],
)
def test_functions_that_go_over_to_complex_numbers_give_real_arguments_real_gradients(function, value, expected):
    x = tracked(np.array(value))
    np.real(function(x)).sum().backward()
    assert x.grad.dtype == float
    np.testing.assert_allclose(x.grad.data, expected, atol=1e-15)


@pytest.mark.parametrize("function", [np.emath.arccos, np.emath.arcsin, np.emath.sqrt, np.emath.log, np.emath.arctanh])
@pytest.mark.parametrize("value", [2.5, -2.5])
def test_derivatives_on_a_branch_cut_are_along_the_real_axis(function, value):
    x = tracked(value)
    for part in (np.real, np.imag):
        numeric = (part(function(value + 1e-6)) - part(function(value - 1e-6))) / 2e-6
        found = ag.gradient(part(function(x) * (1 + 0j)), x)
        assert float(found) == pytest.approx(float(numeric), abs=1e-8)
