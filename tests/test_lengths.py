"""Second derivatives where a length is 0: |x|^2 and other smooth functions of |x| have their curvature there; others have nan."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag


def backwards_twice(f: Any, x: Any) -> Any:
    """The Hessian by rows, each by a backward pass of a recorded backward pass."""
    leaf = ag.tensor(np.asarray(x, float), requires_grad=True)
    first = ag.gradient(f(leaf), leaf, create_graph=True)
    units = np.eye(leaf.size).reshape((leaf.size, *leaf.shape))
    rows = [ag.gradient(first, leaf, unit, retain_graph=True, allow_unused=True) for unit in units]
    return np.stack([np.zeros(leaf.shape) if row is None else row.data for row in rows]).reshape((leaf.size, leaf.size))


def forwards(f: Any, x: Any) -> Any:
    x = np.asarray(x, float)
    return np.stack([ag.hvp(f)(x, unit.reshape(x.shape)).ravel() for unit in np.eye(x.size)])


def by_hessian(f: Any, x: Any) -> Any:
    x = np.asarray(x, float)
    return np.asarray(ag.hessian(f)(x)).reshape((x.size, x.size))


def by_jvp_of_grad(f: Any, x: Any) -> Any:
    x = np.asarray(x, float)
    return np.stack([ag.jvp(ag.grad(f), (x,), (unit.reshape(x.shape),))[1].ravel() for unit in np.eye(x.size)])


def mapped(f: Any, x: Any) -> Any:
    x = np.asarray(x, float)
    return np.asarray(ag.vmap(ag.hessian(f))(np.stack([x, x])))[1].reshape((x.size, x.size))


WAYS = [backwards_twice, forwards, by_hessian, by_jvp_of_grad, mapped]

norm = np.linalg.norm


def complex_abs_squared(p: Any) -> Any:
    return np.sum(np.abs(p[:2] + 1j * p[2:]) ** 2)


def rotated(w: Any) -> Any:
    """Rodrigues' rotation of (1, 2, 3) about w, by functions of its length."""
    angle = norm(w)
    v = np.array([1.0, 2.0, 3.0])
    a, b = np.sinc(angle / np.pi), 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    turned = np.cos(angle) * v + a * np.cross(w, v) + b * w * np.sum(w * v)
    return np.sum(turned * np.array([0.3, -1.0, 2.0]))


SMOOTH: dict[str, tuple[Any, Any, Any]] = {
    "|x|**2": (lambda x: np.sum(np.abs(x) ** 2), [0.0, 1.0, 0.0], 2 * np.eye(3)),
    "square(|x|)": (lambda x: np.sum(np.square(np.abs(x))), [0.0, 1.0], 2 * np.eye(2)),
    "|x| * |x|, once": (lambda x: (lambda r: np.sum(r * r))(np.abs(x)), [0.0, 1.0], 2 * np.eye(2)),
    "|x| * |x|, twice": (lambda x: np.sum(np.abs(x) * np.abs(x)), [0.0, 1.0], 2 * np.eye(2)),
    "fabs(x)**2": (lambda x: np.sum(np.fabs(x) ** 2), [0.0, 1.0], 2 * np.eye(2)),
    "copysign(x, -1)**2": (lambda x: np.sum(np.copysign(x, -1.0) ** 2), [0.0, 1.0], 2 * np.eye(2)),
    "cos|x|": (lambda x: np.sum(np.cos(np.abs(x))), [0.0, 1.0], -np.diag([1.0, np.cos(1.0)])),
    "|z|**2": (complex_abs_squared, [0.0, 1.0, 0.0, 2.0], 2 * np.eye(4)),
    "|z| |z|": (lambda p: (lambda z: np.abs(z) * np.abs(z))(p[0] + 1j * p[1]), [0.0, 0.0], 2 * np.eye(2)),
    "norm(x)**2": (lambda x: norm(x) ** 2, np.zeros(3), 2 * np.eye(3)),
    "norm(x)**2.0": (lambda x: norm(x) ** 2.0, np.zeros(3), 2 * np.eye(3)),
    "power(norm(x), array(2))": (lambda x: np.power(norm(x), np.array(2.0)), np.zeros(3), 2 * np.eye(3)),
    "norm(x) norm(x)": (lambda x: norm(x) * norm(x), np.zeros(3), 2 * np.eye(3)),
    "norm(x)**4": (lambda x: norm(x) ** 4, np.zeros(3), np.zeros((3, 3))),
    "norm(x)**3": (lambda x: norm(x) ** 3, np.zeros(2), np.zeros((2, 2))),
    "exp(-norm(x)**2)": (lambda x: np.exp(-(norm(x) ** 2)), np.zeros(3), -2 * np.eye(3)),
    "1/(1 + norm(x)**2)": (lambda x: 1 / (1 + norm(x) ** 2), np.zeros(3), -2 * np.eye(3)),
    "norms of rows": (lambda x: np.sum(norm(x, axis=1) ** 2), [[0.0, 0.0], [1.0, 2.0]], 2 * np.eye(4)),
    "norms of columns, kept": (lambda x: np.sum(norm(x, axis=0, keepdims=True) ** 2 * x.sum()), [[0.0, 1.0], [0.0, 2.0]], None),
    "vector_norm": (lambda x: np.linalg.vector_norm(x) ** 2, np.zeros((2, 2)), 2 * np.eye(4)),
    "matrix_norm": (lambda x: np.linalg.matrix_norm(x) ** 2, np.zeros((2, 2)), 2 * np.eye(4)),
    "norm, fro": (lambda x: norm(x, "fro") ** 2, np.zeros((2, 2)), 2 * np.eye(4)),
    "norm, 1, of one": (lambda x: norm(x, 1) ** 2, np.zeros(1), 2 * np.eye(1)),
    "norm, inf, of one": (lambda x: norm(x, np.inf) ** 2, np.zeros(1), 2 * np.eye(1)),
    "norm, -inf": (lambda x: norm(x, -np.inf) ** 2, [0.0, 2.0], np.diag([2.0, 0.0])),
    "norm, 4, to the 4th": (lambda x: norm(x, 4) ** 4, np.zeros(2), np.zeros((2, 2))),
    "smallest singular value": (lambda x: norm(x, -2) ** 2, np.diag([3.0, 0.0]), np.diag([0.0, 0.0, 0.0, 2.0])),
    "hypot": (lambda x: np.hypot(x[0], x[1]) ** 2, np.zeros(2), 2 * np.eye(2)),
    "hypot, broadcast": (lambda x: np.sum(np.hypot(x[:2], x[2]) ** 2), np.zeros(3), np.diag([2.0, 2.0, 4.0])),
    "std**2": (lambda x: np.std(x) ** 2, np.ones(3), 2 / 3 * (np.eye(3) - 1 / 3)),
    "std**2, ddof": (lambda x: x.std(ddof=1) ** 2, np.ones(3), np.eye(3) - 1 / 3),
    "std of rows": (lambda x: np.sum(np.std(x, axis=1) ** 2), np.ones((2, 2)), np.kron(np.eye(2), np.eye(2) - 0.5)),
    "nanstd": (lambda x: np.nanstd(x) ** 2, np.ones(3), 2 / 3 * (np.eye(3) - 1 / 3)),
    "abs of a norm": (lambda x: np.abs(norm(x)) ** 2, np.zeros(2), 2 * np.eye(2)),
    "norm of a norm": (lambda x: norm(norm(x, axis=1)) ** 2, np.zeros((2, 2)), 2 * np.eye(4)),
    "sinc of a norm": (lambda x: np.sinc(norm(x) / np.pi), np.zeros(3), -np.eye(3) / 3),
    "rotation": (rotated, np.zeros(3), None),
    "all pairs": (lambda x: np.sum(np.exp(-(norm(x[:, None] - x[None], axis=-1) ** 2))), [[0.0, 1.0], [0.5, 0.3], [0.0, 1.0]], None),
}
# The same functions with no root in them.
ROOTLESS: dict[str, Any] = {
    "norms of columns, kept": lambda x: np.sum(np.sum(x * x, axis=0, keepdims=True) * x.sum()),
    "all pairs": lambda x: np.sum(np.exp(-np.sum((x[:, None] - x[None]) ** 2, axis=-1))),
}


def numeric(f: Any, x: Any, step: float = 1e-3) -> Any:
    """The Hessian by fourth-order differences of the values."""
    x = np.asarray(x, float)
    units = step * np.eye(x.size).reshape((x.size, *x.shape))
    rows = [[(f(x + u + v) - f(x + u - v) - f(x - u + v) + f(x - u - v)) / (4 * step * step) for v in units] for u in units]
    return np.array(rows)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SMOOTH)
def test_the_hessian_of_a_smooth_function_of_a_length_that_is_zero(name: str, way: Any) -> None:
    f, x, expected = SMOOTH[name]
    if expected is None:
        expected = backwards_twice(ROOTLESS[name], x) if name in ROOTLESS else numeric(f, x)
        np.testing.assert_allclose(way(f, x), expected, atol=1e-5 if name not in ROOTLESS else 1e-12)
    else:
        np.testing.assert_allclose(way(f, x), expected, atol=1e-12)


UNDETERMINED: dict[str, tuple[Any, Any]] = {
    "norm(x)": (norm, np.zeros(2)),
    "|z|": (lambda p: np.abs(p[0] + 1j * p[1]), np.zeros(2)),
    "hypot": (lambda x: np.hypot(x[0], x[1]), np.zeros(2)),
    "std": (np.std, np.ones(3)),
    "|x| |y|": (lambda x: np.abs(x[0]) * np.abs(x[1]), np.zeros(2)),
    "(|x| + |y|)**2": (lambda x: np.sum(np.abs(x)) ** 2, np.zeros(2)),
    "norm(x) norm(Ax)": (lambda x: norm(x) * norm(x * np.array([1.0, 3.0])), np.zeros(2)),
    "norm, 1": (lambda x: norm(x, 1) ** 2, np.zeros(2)),
    "norm, inf": (lambda x: norm(x, np.inf) ** 2, np.zeros(2)),
    "norm, 3": (lambda x: norm(x, 3) ** 2, np.zeros(2)),
    "norm, -inf": (lambda x: norm(x, -np.inf) ** 2, np.zeros(2)),
    "spectral": (lambda x: norm(x, 2) ** 2, np.zeros((2, 2))),
    "nuclear": (lambda x: norm(x, "nuc") ** 2, np.zeros((2, 2))),
    "matrix norm, 1": (lambda x: norm(x, 1) ** 2, np.zeros((2, 2))),
}


@pytest.mark.filterwarnings("ignore:svd")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", UNDETERMINED)
def test_where_there_is_no_second_derivative_it_is_nan_and_the_first_is_zero(name: str, way: Any) -> None:
    f, x = UNDETERMINED[name]
    np.testing.assert_array_equal(ag.grad(f)(x), np.zeros(np.shape(x)))
    assert np.isnan(np.diagonal(way(f, x))).all()


def test_the_kink_of_one_real_number_has_no_curvature_and_hides_none() -> None:
    for way in WAYS:
        assert way(lambda x: np.sum(np.abs(x)), [0.0]) == 0
        assert way(lambda x: np.sum(np.abs(x) + x * x), [0.0]) == 2
        assert way(lambda x: np.sum(np.abs(x) + np.abs(x) ** 2), [0.0]) == 2


def test_rotating_a_qubit_by_amplitudes_that_vanish() -> None:
    def expectation(t: Any) -> Any:
        return np.abs(np.cos(t / 2) + 0j) ** 2 - np.abs(np.sin(t / 2) + 0j) ** 2

    for t in (0.0, np.pi, 0.7):
        assert ag.grad(ag.grad(expectation))(t) == pytest.approx(-np.cos(t), abs=1e-12)
        assert ag.hvp(expectation)(t, 1.0) == pytest.approx(-np.cos(t), abs=1e-12)


def test_second_derivatives_mixed_with_a_parameter() -> None:
    def kernel(x: Any, scale: Any) -> Any:
        return np.exp(-((norm(x) / scale) ** 2))

    hessian_of_scale = ag.jacobian(lambda s: ag.hessian(lambda x: kernel(x, s))(np.zeros(2)))(2.0)
    np.testing.assert_allclose(hessian_of_scale, 4 / 2.0**3 * np.eye(2), rtol=1e-12)


def test_third_derivatives_of_even_functions_vanish() -> None:
    third = ag.jacobian(ag.hessian(lambda x: np.exp(-(norm(x) ** 2))))(np.zeros(2))
    np.testing.assert_array_equal(third, np.zeros((2, 2, 2)))


def test_float32_stays_float32() -> None:
    x = np.zeros(3, np.float32)
    for f in (lambda x: norm(x) ** 2, lambda x: np.std(x) ** 2, lambda x: np.sum(np.abs(x) ** 2)):
        assert ag.hessian(f)(x).dtype == np.float32
