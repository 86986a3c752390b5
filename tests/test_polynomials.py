"""Polynomials: roots, fits, and the evaluation functions of numpy.polynomial, which run on tensors as they are."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag


def tracked(values) -> ag.Tensor:
    return ag.tensor(np.asarray(values) * 1.0, requires_grad=True)


@pytest.mark.parametrize(
    "basis", ["polynomial.polyval", "chebyshev.chebval", "legendre.legval", "hermite.hermval", "hermite_e.hermeval", "laguerre.lagval"]
)
@pytest.mark.parametrize("degree", [0, 1, 2, 5])
def test_numpys_evaluation_functions_run_on_tensors(basis, degree, rng):
    module, function = (getattr(np.polynomial, basis.split(".")[0]), basis.split(".")[1])
    evaluate = getattr(module, function)
    derivative = getattr(module, function.replace("val", "der"))
    c, x = rng.normal(size=degree + 1), tracked(rng.normal(size=4))
    y = evaluate(x, c)
    np.testing.assert_array_equal(y.data, evaluate(x.data, c))
    (first,) = ag.gradient(y.sum(), [x], create_graph=True, allow_unused=True)
    if degree:
        np.testing.assert_allclose(first.data, evaluate(x.data, derivative(c)), atol=1e-12)
    if degree > 1:
        np.testing.assert_allclose(ag.gradient(first.sum(), x).data, evaluate(x.data, derivative(c, 2)), atol=1e-12)


def test_tracked_coefficients_of_numpy_polynomial_are_refused_and_those_of_polyval_are_not(rng):
    c, x = tracked(rng.normal(size=3)), rng.normal(size=4)
    with pytest.raises(TypeError, match="lose the gradient"):
        np.polynomial.polynomial.polyval(x, c)
    np.polyval(c, x).sum().backward()
    np.testing.assert_allclose(c.grad.data, np.vander(x, 3).sum(axis=0))


def test_poly1d_holds_tensors_and_evaluates_at_them(rng):
    c, x = tracked(rng.normal(size=3)), tracked(rng.normal(size=2))
    np.poly1d(c)(x).sum().backward()
    np.testing.assert_allclose(c.grad.data, np.vander(x.data, 3).sum(axis=0))
    np.testing.assert_allclose(x.grad.data, 2 * c.data[0] * x.data + c.data[1])


def test_roots_and_poly_invert_one_another(rng):
    """poly(roots(p)) is p / p[0]; its gradient for the other coefficients is the identity."""
    p = tracked([1.0, -2.0, -5.0, 6.3])
    np.real(np.poly(np.roots(p))).backward(np.array([0.0, 1.0, 2.0, 3.0]))
    np.testing.assert_allclose(p.grad.data[1:], [1, 2, 3], atol=1e-9)


def test_roots_with_leading_and_trailing_zeros():
    """A leading zero is a root at infinity, which the finite ones feel; a trailing one is a root at 0."""
    p = tracked([0.0, 1.0, -3.0, 2.0, 0.0])
    roots = np.roots(p)
    np.testing.assert_allclose(np.sort(roots.data), [0, 1, 2], atol=1e-12)
    w = np.array([1.0, 2.0, 3.0])
    (roots * w).sum().backward()
    slope = np.polyval(np.polyder(p.data), roots.data)
    np.testing.assert_allclose(p.grad.data, -(np.vander(roots.data, 5) * (w / slope)[:, None]).sum(axis=0), atol=1e-9)
    step = 1e-6
    for k, unit in enumerate(np.eye(5)):
        if k == 0:
            continue  # numeric: a leading coefficient that is not zero makes one root more
        up, down = (np.sort(np.real(np.roots(p.data + s * step * unit))) for s in (1, -1))
        numeric = ((up - down) / (2 * step)) @ w[np.argsort(roots.data)]
        assert p.grad.data[k] == pytest.approx(numeric, abs=1e-6)


def test_a_double_root_has_no_finite_gradient():
    p = tracked([1.0, -2.0, 1.0])
    np.real(np.roots(p)).sum().backward()
    assert not np.isfinite(p.grad.data).all()


def test_polyfit_through_its_own_points_gives_the_coefficients_back(rng):
    c, x = tracked(rng.normal(size=3)), np.linspace(-1, 1, 7)
    np.polyfit(x, np.polyval(c, x), 2).backward(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(c.grad.data, [1, 2, 3], atol=1e-10)


def test_polyfit_warns_of_a_poor_condition_as_numpy_does():
    with pytest.warns(np.exceptions.RankWarning):
        np.polyfit(np.ones(4), tracked([1.0, 2.0, 3.0, 4.0]), 2)


def test_division_undoes_multiplication(rng):
    a, b = tracked(rng.normal(size=4)), tracked([2.0, 0.3, -0.5])
    quotient, remainder = np.polydiv(np.polymul(a, b), b)
    assert remainder.shape == (2,) or np.allclose(remainder.data, 0)
    g = rng.normal(size=4)
    (quotient * g).sum().backward()
    np.testing.assert_allclose(a.grad.data, g, atol=1e-10)
    np.testing.assert_allclose(b.grad.data, 0, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: np.polyder(x, -1), ValueError),
        (lambda x: np.polyint(x, -1), ValueError),
        (lambda x: np.polyint(x, 3, [1, 2]), ValueError),
        (lambda x: np.polyfit(x, x, -1), ValueError),
        (lambda x: np.polyfit(x, x[:2], 1), TypeError),
        (lambda x: np.polyfit(x[:, None], x, 1), TypeError),
        (lambda x: np.polyfit(x, x, 1, w=x[:2]), TypeError),
        (lambda x: np.vander(x[:, None]), ValueError),
        (lambda x: np.roots(x[:, None]), ValueError),
        (lambda x: np.poly(x[:, None]), ValueError),
    ],
)
def test_what_numpy_refuses_is_refused(call, error):
    with pytest.raises(error):
        call(tracked([1.0, 2.0, 3.0]))
