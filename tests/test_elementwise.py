"""What the elementwise functions give at kinks, ties, edges and for unusual arguments.

Generic points are covered by the tests that are generated over the table (test_rules.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import autograd_core as ag

nan, inf = np.nan, np.inf


def gradients(function: Callable[..., Any], *inputs: Any) -> list[Any]:
    """The gradients of the sum of `function(*inputs)` as nested lists."""
    tensors = [ag.tensor(np.asarray(x, dtype=None if isinstance(x, complex) else float), requires_grad=True) for x in inputs]
    loss = np.sum(function(*tensors))
    return [g.tolist() for g in ag.gradient(loss, tensors)]


def second(function: Callable[[Any], Any], x: Any) -> Any:
    """The second derivative of an elementwise function."""
    t = ag.tensor(np.asarray(x, dtype=float), requires_grad=True)
    first = ag.gradient(np.sum(function(t)), t, create_graph=True)
    if not first.requires_grad:  # a constant
        return np.zeros_like(x).tolist()
    return ag.gradient(np.sum(first), t).tolist()


AT_A_POINT = [
    # function, inputs, gradients
    (np.maximum, (1, 1), [0.5, 0.5]),
    (np.minimum, (1, 1), [0.5, 0.5]),
    (np.fmax, (1, 1), [0.5, 0.5]),
    (np.fmin, (1, 1), [0.5, 0.5]),
    # To the operand that the value came from: maximum hands on a nan, fmax avoids it.
    (np.maximum, (1, nan), [0, 1]),
    (np.maximum, (nan, 1), [1, 0]),
    (np.minimum, (1, nan), [0, 1]),
    (np.minimum, (nan, nan), [1, 0]),
    (np.fmax, (1, nan), [1, 0]),
    (np.fmin, (nan, 1), [0, 1]),
    (np.fmax, (nan, nan), [1, 0]),
    (np.maximum, (inf, inf), [0.5, 0.5]),
    (np.absolute, (0,), [0]),
    (np.absolute, (-0.0,), [0]),
    (np.fabs, (0,), [0]),
    (np.hypot, (0, 0), [0, 0]),
    (np.hypot, (3, 4), [0.6, 0.8]),
    (np.arctan2, (0, 0), [0, 0]),
    (np.arctan2, (1e200, 1e200), [0.5e-200, -0.5e-200]),
    (np.arctan2, (1e-200, 1e-200), [0.5e200, -0.5e200]),
    (np.copysign, (0, -1), [0, 0]),
    (np.copysign, (-2, 3), [-1, 0]),
    (np.copysign, (2, -0.0), [-1, 0]),
    (np.power, (0, 0), [0, 0]),
    (np.power, (0, 0.5), [inf, 0]),
    (np.power, (0, 2), [0, 0]),
    (np.power, (0, -1), [-inf, -inf]),
    (np.float_power, (0, 0), [0, 0]),
    (np.sqrt, (0,), [inf]),
    (np.log, (0,), [inf]),
    (np.log1p, (-1,), [inf]),
    (np.arcsin, (1,), [inf]),
    (np.arccos, (1,), [-inf]),
    (np.arccosh, (1,), [inf]),
    (np.arctanh, (1,), [inf]),
    (np.sinc, (0,), [0]),
    (np.remainder, (5, 5), [1, -1]),
    (np.remainder, (-5, 3), [1, 2]),
    (np.fmod, (-5, 3), [1, 1]),
    # The quotient is that of fmod itself: 1 / 0.1 rounds to 10, but fmod(1, 0.1) took away 9 times 0.1.
    (np.fmod, (1, 0.1), [1, -9]),
    (np.floor_divide, (5, 2), [0, 0]),
    (np.heaviside, (0, 0.5), [0, 1]),
    (np.heaviside, (2, 0.5), [0, 0]),
    (np.nextafter, (1, 2), [1, 0]),
    (np.logaddexp, (-inf, 1), [0, 1]),
    (np.logaddexp, (-inf, -inf), [0.5, 0.5]),
    (np.logaddexp, (inf, 1), [1, 0]),
    (np.logaddexp, (1000, 1000), [0.5, 0.5]),
    (np.logaddexp2, (1, 1), [0.5, 0.5]),
]


@pytest.mark.parametrize(("function", "inputs", "expected"), AT_A_POINT, ids=lambda v: getattr(v, "__name__", str(v)))
def test_gradient_at_a_kink_a_tie_or_an_edge(function: Any, inputs: tuple[float, ...], expected: list[float]) -> None:
    with np.errstate(all="ignore"):
        assert gradients(function, *inputs) == pytest.approx(expected, rel=1e-15, nan_ok=True)


@pytest.mark.parametrize("function", [np.floor, np.ceil, np.trunc, np.rint, np.fix, np.round, np.around, np.sign, np.spacing])
def test_steps_stay_on_the_tape_with_slope_zero(function: Any) -> None:
    x = ag.tensor([-1.5, 0.0, 0.5, 2.0], requires_grad=True)
    y = function(x)
    assert y.requires_grad
    y.backward(np.ones(4))
    assert x.grad.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (np.absolute, 0, 0),
        (np.sinc, 0, -(np.pi**2) / 3),
        (np.sinc, 1e-9, -(np.pi**2) / 3),
        (np.i0, 0, 0.5),
        (np.tanh, 0, 0),
        (lambda x: x**2, 0, 2),
        (lambda x: x**1, 3, 0),
        (lambda x: x**0, 0, 0),
        (lambda x: x**3, 0, 0),
        (lambda x: np.power(x, np.array(2.0)), 0, 2),
        (lambda x: 2.0**x, 0, np.log(2) ** 2),
        (lambda x: np.logaddexp(x, 0.0), 0, 0.25),
    ],
)
def test_second_derivative_at_an_edge(function: Any, x: float, expected: float) -> None:
    assert second(function, x) == pytest.approx(expected, rel=1e-14)


def test_power_with_a_negative_base_is_nan_in_the_exponent_only_if_that_is_tracked() -> None:
    base, exponent = ag.tensor(-2.0, requires_grad=True), ag.tensor(3.0, requires_grad=True)
    assert ag.gradient(base**3.0, base).item() == 12
    by_base, by_exponent = ag.gradient(base**exponent, [base, exponent])
    assert by_base.item() == 12
    assert np.isnan(by_exponent.item())


def test_mixed_second_derivative_of_power_at_exponent_zero() -> None:
    """d/dy d/dx x^y = x^(y - 1) (1 + y log x), which is 1 / x at y = 0; a guard for 0^0 must not hide it."""
    x, y = ag.tensor(2.0, requires_grad=True), ag.tensor(0.0, requires_grad=True)
    by_x = ag.gradient(x**y, x, create_graph=True)
    assert ag.gradient(by_x, y).item() == 0.5


class TestClip:
    def test_the_array_gets_the_gradient_on_the_closed_interval(self) -> None:
        assert gradients(lambda x: np.clip(x, 0.0, 1.0), [-1, 0, 0.5, 1, 2]) == [[0, 1, 1, 1, 0]]

    def test_bounds_get_the_gradient_where_they_were_used_and_all_shares_sum_to_one(self) -> None:
        x, low, high = gradients(np.clip, [-1, 0, 0.5, 1, 2], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1])
        assert (x, low, high) == ([0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1])

    def test_bounds_in_the_wrong_order_give_the_upper_one(self) -> None:
        x, low, high = gradients(np.clip, [-1, 0.5, 2], 1, 0)
        assert (x, low, high) == ([0, 0, 0], 0, 3)

    @pytest.mark.parametrize("names", [{"a_min": 0.0, "a_max": None}, {"a_min": None, "a_max": 1.0}])
    def test_a_bound_may_be_none(self, names: dict[str, Any]) -> None:
        low, high = names["a_min"], names["a_max"]
        assert gradients(lambda x: np.clip(x, **names), [-1, 0.5, 2]) == [[float(low is None), 1, float(high is None)]]

    @pytest.mark.skipif("min" not in inspect.signature(np.clip).parameters, reason="NumPy before 2.1 has no such names")
    def test_min_and_max_are_taken_as_newer_numpy_spells_them(self) -> None:
        assert gradients(lambda x: np.clip(x, min=0.0), [-1, 0.5]) == [[0, 1]]
        assert gradients(lambda x: x.clip(max=0.0), [-1, 0.5]) == [[1, 0]]

    def test_ndarray_clip_with_a_tensor_bound(self) -> None:
        assert gradients(lambda high: np.array([0.0, 2.0, 3.0]).clip(-1.0, high), 1) == [2]

    @pytest.mark.parametrize("bounds", [{}, {"a_min": 0.0}, {"a_min": 0.0, "a_max": 1.0, "max": 2.0}, {"minimum": 0.0}])
    def test_other_ways_to_give_bounds_are_refused(self, bounds: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match="clip"):
            np.clip(ag.tensor(1.0, requires_grad=True), **bounds)

    def test_a_nan_keeps_its_gradient(self) -> None:
        assert gradients(lambda x: np.clip(x, 0.0, 1.0), [nan]) == [[1]]


class TestMaskedWhere:
    @pytest.mark.parametrize("function", [np.sqrt, np.log, lambda x: 1 / x, lambda x: x**-0.5, lambda x: np.sqrt(np.log(x))])
    def test_an_infinite_slope_in_the_branch_not_taken_does_no_harm(self, function: Any) -> None:
        with np.errstate(all="ignore"):
            (g,) = gradients(lambda x: np.where(x > 0, function(x), 0.0), [0.0, -1.0])
        assert g == [0, 0]

    def test_at_second_order_too(self) -> None:
        with np.errstate(all="ignore"):
            assert second(lambda x: np.where(x > 0, np.sqrt(x), 0.0), [0.0, 4.0]) == [0, -0.03125]

    def test_a_python_number_in_the_other_branch_keeps_float32(self) -> None:
        x = ag.tensor(np.ones(2, np.float32), requires_grad=True)
        assert np.where(x.data > 0, x, 0.0).dtype == np.float32

    def test_both_branches_share_the_gradient_by_the_mask(self) -> None:
        mask = np.array([True, False, True])
        assert gradients(lambda x, y: np.where(mask, x, y), [1, 2, 3], 0) == [[1, 0, 1], 1]

    def test_a_tracked_condition_is_a_constant(self) -> None:
        x = ag.tensor([1.0, 0.0], requires_grad=True)
        (g,) = ag.gradient(np.sum(np.where(x, 2 * x, 5 * x)), [x])
        assert g.tolist() == [2, 5]
        assert [i.tolist() for i in np.where(x)] == [[0]]


class TestNanToNum:
    def test_replaced_elements_get_no_gradient(self) -> None:
        assert gradients(np.nan_to_num, [nan, inf, -inf, 1]) == [[0, 0, 0, 1]]

    def test_of_complex_numbers_each_part_counts_for_itself(self) -> None:
        x = ag.tensor(np.array([complex(nan, 1), complex(1, inf)]), requires_grad=True)
        (g,) = ag.gradient(np.nan_to_num(x, posinf=3.0), [x], [np.array([1 + 2j, 1 + 2j])])
        assert g.tolist() == [2j, 1]

    def test_in_place_is_refused(self) -> None:
        with pytest.raises(TypeError, match="copy=False"):
            np.nan_to_num(ag.tensor([1.0], requires_grad=True), copy=False)


class TestComplex:
    def test_the_squared_modulus_follows_pytorchs_convention(self) -> None:
        (g,) = gradients(lambda z: np.real(z * np.conjugate(z)), 1 + 2j)
        assert g == 2 + 4j

    def test_the_modulus_has_slope_zero_at_zero(self) -> None:
        assert gradients(np.absolute, 0j) == [0]

    def test_the_sign_turns_with_its_argument(self) -> None:
        """x / |x| at 3 + 4j moves across its own direction only, at a rate of 1 / |x|."""
        z = ag.tensor(3 + 4j, requires_grad=True)
        (along,) = ag.gradient(np.sign(z), [z], [0.6 + 0.8j])
        assert along.item() == pytest.approx(0)
        (across,) = ag.gradient(np.sign(z), [z], [-0.8 + 0.6j])
        assert across.item() == pytest.approx((-0.8 + 0.6j) / 5)

    def test_real_if_close_returns_what_numpy_returns(self) -> None:
        close, far = ag.tensor(np.array([1 + 1e-16j]), requires_grad=True), ag.tensor(np.array([1 + 1e-3j]), requires_grad=True)
        assert np.real_if_close(close).dtype == np.float64
        assert np.real_if_close(far).dtype == np.complex128
        assert ag.gradient(np.real_if_close(close).sum(), close).tolist() == [1]

    def test_angle_in_degrees(self) -> None:
        (g,) = gradients(lambda z: np.angle(z, deg=True), 2j)
        assert g == pytest.approx(-90 / np.pi)


class TestSeveralResults:
    def test_divmod_with_one_result_used(self) -> None:
        assert gradients(lambda x, y: np.divmod(x, y)[1], 7, 3) == [1, -2]
        assert gradients(lambda x, y: np.divmod(x, y)[0], 7, 3) == [0, 0]
        assert gradients(lambda x, y: divmod(x, y)[1], 7, 3) == [1, -2]

    def test_modf_with_one_result_used(self) -> None:
        assert gradients(lambda x: np.modf(x)[0], 2.5) == [1]
        assert gradients(lambda x: np.modf(x)[1], 2.5) == [0]

    def test_frexp_and_ldexp_undo_each_other(self) -> None:
        assert gradients(lambda x: np.ldexp(*np.frexp(x)), [12.5, -0.3]) == [[1, 1]]
        assert gradients(lambda x: np.frexp(x)[0], 12.5) == [1 / 16]


class TestFilledArrays:
    def test_full_like_differentiates_its_value(self) -> None:
        assert gradients(lambda v: np.full_like(ag.tensor(np.zeros((2, 3))), v), 2) == [6]

    def test_the_prototype_is_no_input(self) -> None:
        x = ag.tensor([1.0, 2.0], requires_grad=True)
        likes: list[Any] = [np.zeros_like(x), np.ones_like(x), np.empty_like(x), np.full_like(x, 3.0)]
        for like in likes:
            assert isinstance(like, ag.Tensor)
            assert not like.requires_grad

    def test_keywords(self) -> None:
        x = ag.tensor([1.0, 2.0], requires_grad=True)
        assert np.zeros_like(x, dtype=np.float32, shape=(3,)).dtype == np.float32
        assert np.full_like(x, ag.tensor(2.0, requires_grad=True), shape=(3,)).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "function",
    [
        np.isfinite,
        np.signbit,
        np.argmax,
        np.nonzero,
        np.shape,
        np.count_nonzero,
        lambda x: np.greater(x, 0),
        lambda x: np.isclose(x, 1.0),
        np.argsort,
    ],
)
def test_functions_without_derivative_return_plain_results(function: Any) -> None:
    result = function(ag.tensor([1.0, -2.0], requires_grad=True))
    assert not isinstance(result, ag.Tensor)
    assert np.array_equal(result, function(np.array([1.0, -2.0])))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    "function", [np.exp2, np.log2, np.log10, np.deg2rad, np.rad2deg, np.sinc, np.i0, np.cbrt, lambda x: x**2.5, lambda x: 2.0**x]
)
def test_constants_of_the_formulas_do_not_promote(function: Any, dtype: Any) -> None:
    x = ag.tensor(np.ones(2, dtype), requires_grad=True)
    y = function(x)
    y.sum().backward()
    assert (y.dtype, x.grad.dtype) == (dtype, dtype)
