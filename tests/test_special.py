"""SciPy's special functions: at edges, for arguments without a derivative, and without importing SciPy unasked."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core import special

sp = pytest.importorskip("scipy.special")

inf, nan = np.inf, np.nan


def derivatives(function: Any, x: float, order: int = 1) -> list[float]:
    """The derivatives of a function of one number, of orders 1 to `order`."""
    t = ag.tensor(float(x), requires_grad=True)
    y, found = function(t), []
    for _ in range(order):
        y = ag.gradient(y, t, create_graph=True)
        found.append(y.item())
    return found


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        # Removable singularities, by the functions' power series.
        (sp.exprel, 0, [1 / 2, 1 / 3, 1 / 4]),
        (sp.ellipk, 0, [np.pi / 8, np.pi * 9 / 64]),
        (sp.ellipe, 0, [-np.pi / 8, -np.pi * 3 / 64]),
        (sp.spence, 1, [-1, 1 / 2]),
        (lambda x: sp.boxcox(np.e, x), 0, [1 / 2, 1 / 3]),
        (lambda x: sp.inv_boxcox(1.0, x), 0, [-np.e / 2]),
        (sp.j1, 0, [0.5, 0]),
        (lambda x: sp.jv(2, x), 0, [0, 0.25]),
        (lambda x: sp.struve(0.0, x), 0, [2 / np.pi]),
        # 1 / gamma at the poles of gamma: (-1)^n n!, and of order 2 by its series z + c z^2 - ... with c Euler's constant.
        (sp.rgamma, 0, [1, 2 * np.euler_gamma]),
        (sp.rgamma, -1, [-1]),
        (sp.rgamma, -2, [2]),
        # Far out, where the obvious formulas lose all digits or overflow.
        (sp.log_ndtr, -100, [100.00999800099926]),
        (sp.log_ndtr, 40, [0]),
        (sp.log_expit, -1000, [1, 0]),
        (sp.ndtri_exp, sp.log_ndtr(-100.0), [1 / 100.00999800099926]),
        # Edges.
        (sp.logit, 0, [inf]),
        (sp.erfinv, 1, [inf]),
        (sp.entr, 0, [inf]),
        (lambda x: sp.xlogy(x, 0.0), 0, [-inf]),
        (lambda y: sp.xlogy(0.0, y), 0, [0]),
        (lambda y: sp.xlog1py(0.0, y), -1, [0]),
        (lambda y: sp.rel_entr(0.0, y), 0, [0]),
        (lambda y: sp.kl_div(0.0, y), 0, [1]),
        (lambda r: sp.huber(1.0, r), 1, [1]),
        (lambda r: sp.huber(1.0, r), -5, [-1]),
        (lambda x: sp.eval_legendre(3, x), 1, [6, 15, 15]),
        (lambda x: sp.eval_hermite(0, x), 0.5, [0, 0]),
        (sp.gammasgn, -0.5, [0]),
    ],
)
def test_derivatives_at_an_edge(function: Any, x: float, expected: list[float]) -> None:
    with np.errstate(all="ignore"):
        assert derivatives(function, x, len(expected)) == pytest.approx(expected, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    "call", [lambda t: sp.gammainc(t, 1.0), lambda t: sp.jv(t, 1.0), lambda t: sp.eval_legendre(t, 0.5), lambda t: sp.betainc(t, 1.0, 0.5)]
)
def test_an_argument_without_a_closed_form_is_refused_by_name(call: Any) -> None:
    with pytest.raises(TypeError, match="no derivative rule for its argument 'x1'"):
        call(ag.tensor(1.5, requires_grad=True))


def test_functions_that_scipy_writes_with_ufuncs_work_as_they_are() -> None:
    assert derivatives(lambda x: sp.zeta(2.0, x), 1.0)[0] == pytest.approx(-2 * sp.zeta(3.0, 1.0))
    assert derivatives(lambda x: sp.jvp(0, x), 1.5)[0] == pytest.approx(sp.jvp(0, 1.5, 2))
    w = ag.tensor(1.0 + 0j, requires_grad=True)
    assert ag.gradient(np.real(sp.lambertw(w)), w).item().real == pytest.approx(sp.lambertw(1).real / (1 + sp.lambertw(1).real))


def test_digamma_of_complex_numbers_has_all_derivatives() -> None:
    """The recurrence digamma(z + 1) = digamma(z) + 1 / z, differentiated twice, also left of the imaginary axis."""
    z = ag.tensor(np.array([0.3 + 0.4j, -3.6 + 0.1j, 20 - 5j]), requires_grad=True)
    first = ag.gradient(np.sum(sp.psi(z + 1) - sp.psi(z)), z, np.array(1 + 0j), create_graph=True)
    assert np.conj(first.data) == pytest.approx(-1 / z.data**2, rel=1e-12)
    assert special.polygamma(2, z.detach() + 1).data - special.polygamma(2, z.detach()).data == pytest.approx(2 / z.data**3, rel=1e-10)


class TestAgSpecial:
    def test_values_are_scipys(self, rng: np.random.Generator) -> None:
        x, b = rng.normal(size=(3, 4)), rng.uniform(0.5, 2, size=(3, 4))
        for axis in (None, 0, -1, (0, 1)):
            assert special.logsumexp(x, axis=axis) == pytest.approx(sp.logsumexp(x, axis=axis))
            assert special.softmax(x, axis=axis) == pytest.approx(sp.softmax(x, axis=axis))
            assert special.log_softmax(x, axis=axis) == pytest.approx(sp.log_softmax(x, axis=axis))
        assert special.logsumexp(x, axis=1, b=b, keepdims=True) == pytest.approx(sp.logsumexp(x, axis=1, b=b, keepdims=True))
        assert special.multigammaln(4.5, 3) == pytest.approx(sp.multigammaln(4.5, 3))
        assert special.polygamma(3, x[0] ** 2) == pytest.approx(sp.polygamma(3, x[0] ** 2))
        assert special.polygamma(0, 2.0) == sp.psi(2.0)
        assert special.factorial(np.array([0, 3])) == pytest.approx([1, 6])

    def test_infinite_elements_of_logsumexp(self) -> None:
        def shares(*x: float) -> list[float]:
            t = ag.tensor(np.array(x, dtype=float), requires_grad=True)
            return ag.gradient(special.logsumexp(t), t).tolist()

        assert shares(-inf, 0, 0) == [0, 0.5, 0.5]
        assert shares(-inf, -inf) == [0.5, 0.5]
        assert shares(inf, 0) == [1, 0]
        assert shares(1000, 1000) == pytest.approx([0.5, 0.5])
        assert special.logsumexp(np.zeros(0)) == -inf

    def test_gradients_of_softmax_do_not_overflow(self) -> None:
        x = ag.tensor([1000.0, 0.0], requires_grad=True)
        assert ag.gradient(special.log_softmax(x)[1], x).tolist() == [-1, 1]

    def test_wrong_arguments_are_refused(self) -> None:
        with pytest.raises(ValueError, match="order"):
            special.polygamma(-1, 1.0)
        with pytest.raises(ValueError, match="above"):
            special.multigammaln(1.0, 3)


def test_scipy_is_not_imported_before_the_program_does() -> None:
    program = """
import sys, numpy as np, autograd_core as ag
x = ag.tensor([1.0, 2.0], requires_grad=True)
np.median(x), np.interp(x, [0.0, 3.0], [0.0, 1.0])
assert not any(name.startswith("scipy") for name in sys.modules), "imported unasked"
import scipy.special
print(ag.gradient(scipy.special.erf(x).sum(), x).shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(2,)\n", "")
