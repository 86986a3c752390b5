"""What reductions and running totals give at ties, zeros and nan, and for their keywords.

Generic points are covered by the tests that are generated over the table (test_rules.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.rules import reductions

nan, inf = np.nan, np.inf


def gradient(function: Any, x: Any, g: Any = None) -> Any:
    """The gradient of `function` at x, contracted with g, as a nested list."""
    t = ag.tensor(np.asarray(x, dtype=float), requires_grad=True)
    y = function(t)
    return ag.gradient(y, t, None if g is None else np.asarray(g, dtype=float)).tolist()


def hessian(function: Any, x: Any) -> Any:
    """Row i is the gradient of element i of the gradient of a scalar function."""
    t = ag.tensor(np.asarray(x, dtype=float), requires_grad=True)
    first = ag.gradient(function(t), t, create_graph=True)
    return [ag.gradient(first[i], t, retain_graph=True).tolist() for i in range(t.size)]


# --- ties ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        (np.max, [1, 2, 2], [0, 0.5, 0.5]),
        (np.min, [1, 1, 2], [0.5, 0.5, 0]),
        (np.amax, [3, 3, 3], [1 / 3, 1 / 3, 1 / 3]),
        (np.nanmax, [nan, 2, 2], [0, 0.5, 0.5]),
        (np.nanmin, [1, nan, 1], [0.5, 0, 0.5]),
        (np.ptp, [1, 1, 3], [-0.5, -0.5, 1]),
        (np.ptp, [2, 2], [0, 0]),
        (np.maximum.reduce, [1, 2, 2], [0, 0.5, 0.5]),
        (np.max, [1, nan, 2], [0, 1, 0]),
        (np.max, [inf, inf], [0.5, 0.5]),
        (lambda a: np.max(a, initial=2.0), [1, 2, 2], [0, 1 / 3, 1 / 3]),
        (lambda a: np.max(a, initial=5.0), [1, 2, 2], [0, 0, 0]),
        (lambda a: np.max(a, initial=-9.0, where=np.array([True, False, True])), [1, 7, 1], [0.5, 0, 0.5]),
    ],
)
def test_elements_that_tie_share_the_gradient_of_an_extreme(function: Any, x: list[float], expected: list[float]) -> None:
    assert gradient(function, x) == pytest.approx(expected)


def test_the_initial_value_of_a_maximum_takes_part_in_the_tie() -> None:
    start = ag.tensor(2.0, requires_grad=True)
    y = np.max(ag.tensor([[1.0, 2.0], [0.0, 1.0]]), axis=1, initial=start)
    assert ag.gradient(y, start, np.array([1.0, 10.0])).item() == 0.5 + 10


# --- standard deviation --------------------------------------------------------------------------------------------------------------


def test_the_standard_deviation_of_equal_elements_has_slope_zero() -> None:
    assert gradient(np.std, [2, 2, 2]) == [0, 0, 0]
    assert gradient(lambda a: np.std(a, axis=1), [[2, 2], [1, 3]], [1, 1]) == [[0, 0], [-0.5, 0.5]]
    assert gradient(np.nanstd, [2, nan, 2]) == [0, 0, 0]


def test_a_given_mean_is_an_argument_of_its_own() -> None:
    x = ag.tensor([[1.0, 2.0, 6.0]], requires_grad=True)
    mean = np.mean(x, axis=1, keepdims=True)
    with_mean = ag.gradient(np.sum(np.var(x, axis=1, mean=mean)), x)
    assert with_mean[0].tolist() == pytest.approx(ag.gradient(np.sum(np.var(x, axis=1)), x)[0].tolist())
    other = ag.tensor([[0.0]], requires_grad=True)
    by_x, by_mean = ag.gradient(np.sum(np.var(x, axis=1, mean=other)), [x, other])
    assert by_x[0].tolist() == pytest.approx([2 / 3, 4 / 3, 4])
    assert by_mean.item() == pytest.approx(-6)


@pytest.mark.parametrize("keywords", [{"ddof": 1}, {"correction": 1}, {"correction": 0.5}])
def test_degrees_of_freedom_under_both_names(keywords: dict[str, Any]) -> None:
    (correction,) = keywords.values()
    x = np.array([1.0, 2.0, 6.0])
    expected = 2 * (x - 3) / (3 - correction)
    assert gradient(lambda a: np.var(a, **keywords), x) == pytest.approx(expected.tolist())


# --- products with zeros -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "first", "second"),
    [
        ([0, 2, 3], [6, 0, 0], [[0, 3, 2], [3, 0, 0], [2, 0, 0]]),
        ([0, 0, 3], [0, 0, 0], [[0, 3, 0], [3, 0, 0], [0, 0, 0]]),
        ([0, 0, 0], [0, 0, 0], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
        ([1, 2, 3], [6, 3, 2], [[0, 3, 2], [3, 0, 1], [2, 1, 0]]),
        # The product underflows; the products of the others need not.
        ([1e-200, 1e-200, 1e100], [1e-100, 1e-100, 0], None),
        ([1e200, 1e200, 1e-300], [1e-100, 1e-100, inf], None),
    ],
)
@pytest.mark.parametrize("product", [np.prod, lambda a: np.cumprod(a)[-1], np.multiply.reduce, np.nanprod])
def test_products_with_zeros_are_right_at_both_orders(product: Any, x: Any, first: Any, second: Any) -> None:
    with np.errstate(over="ignore"):
        assert gradient(product, x) == pytest.approx(first)
    if second is not None:
        assert hessian(product, x) == second


def test_the_third_derivative_of_a_product_of_three_zeros() -> None:
    t = ag.tensor([0.0, 0.0, 0.0], requires_grad=True)
    first = ag.gradient(np.prod(t), t, create_graph=True)
    second = ag.gradient(first[0], t, create_graph=True)
    assert ag.gradient(second[1], t).tolist() == [0, 0, 1]


def test_a_running_product_with_zeros() -> None:
    """Of [a, ab, abc] weighted 1, 1, 1 at [2, 0, 3]: [1 + b + bc, a + ac, ab]."""
    assert gradient(np.cumprod, [2, 0, 3], [1, 1, 1]) == [1, 8, 0]
    assert hessian(lambda a: np.sum(np.cumprod(a)), [2, 0, 3]) == [[0, 4, 0], [4, 0, 2], [0, 2, 0]]
    assert hessian(lambda a: np.sum(np.cumprod(a)), [2, 0, 0]) == [[0, 1, 0], [1, 0, 2], [0, 2, 0]]


def test_the_cost_of_a_running_product_with_a_zero_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths: list[int] = []
    whole = reductions._recur

    def counted(a: Any, b: Any) -> Any:
        lengths.append(len(b))
        return whole(a, b)

    monkeypatch.setattr(reductions, "_recur", counted)
    gradient(np.cumprod, [2.0] * 500 + [0.0] * 500, np.ones(1000))
    assert lengths[0] == 1000
    assert sum(lengths) <= 2 * 1000


# --- keywords ----------------------------------------------------------------------------------------------------------------------


def test_elements_left_out_by_where_get_no_gradient_even_if_they_are_nan() -> None:
    kept = np.array([True, False, True])
    for function in (np.sum, np.mean, np.var, np.std, np.prod):
        g = gradient(lambda a, f=function: f(a, where=kept), [1, nan, 3])
        assert g[1] == 0
        assert np.isfinite(g).all()


def test_the_initial_value_of_a_sum_and_a_product_is_differentiated() -> None:
    start = ag.tensor(2.0, requires_grad=True)
    x = ag.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert ag.gradient(np.sum(x, axis=0, initial=start), start, np.array([1.0, 10.0])).item() == 11
    assert ag.gradient(np.prod(x, axis=0, initial=start), start, np.array([1.0, 10.0])).item() == 3 + 80


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod, np.var, np.cumsum, np.cumprod])
def test_dtype_is_that_of_the_result_and_the_gradient_has_the_arguments(function: Any) -> None:
    x = ag.tensor(np.ones(3, np.float32), requires_grad=True)
    y = function(x, dtype=np.float64)
    assert y.dtype == np.float64
    assert ag.gradient(np.sum(y), x).dtype == np.float32


def test_an_unknown_or_impossible_keyword_is_refused() -> None:
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="out="):
        np.sum(x, out=np.zeros(()))
    with pytest.raises(np.exceptions.AxisError):
        np.sum(x, axis=1)


@pytest.mark.skipif(not hasattr(np, "cumulative_sum"), reason="NumPy before 2.1 has no cumulative_sum")
def test_cumulative_sums_of_matrices_need_an_axis() -> None:
    x = ag.tensor(np.ones((2, 2)), requires_grad=True)
    with pytest.raises(ValueError, match="axis"):
        np.cumulative_sum(x)
    assert np.cumulative_sum(x, axis=1, include_initial=True).tolist() == [[0, 1, 2], [0, 1, 2]]


# --- methods of ufuncs ---------------------------------------------------------------------------------------------------------------


def test_running_values_of_any_ufunc_in_linear_time() -> None:
    x = np.linspace(0.5, 1.5, 20_000)
    running = gradient(lambda a: np.sum(np.logaddexp.accumulate(a)), x)
    out = np.logaddexp.accumulate(x)
    # d out[k] / d a[i] = exp(a[i] - out[k]) for i <= k.
    assert running == pytest.approx(np.exp(x) * np.cumsum(np.exp(-out)[::-1])[::-1])


def test_logaddexp_reduce_is_softmax_weighted() -> None:
    x = np.array([1.0, 2.0, 4.0])
    assert gradient(np.logaddexp.reduce, x) == pytest.approx(np.exp(x) / np.exp(x).sum())


def test_segments_of_reduceat() -> None:
    assert gradient(lambda a: np.add.reduceat(a, [1, 3]), [1, 2, 3, 4], [1, 10]) == [0, 1, 1, 10]
    # Where the next index is not larger, one element is taken alone.
    assert gradient(lambda a: np.add.reduceat(a, [2, 0]), [1, 2, 3, 4], [1, 10]) == [10, 10, 11, 10]
    assert gradient(lambda a: np.multiply.reduceat(a, [0, 2]), [1, 2, 3, 4], [1, 10]) == [2, 1, 40, 30]


def test_where_in_a_reduction_without_identity_is_refused() -> None:
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(TypeError, match="identity"):
        np.subtract.reduce(x, where=np.array([True, False]))


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod, np.var, np.std], ids=lambda f: f.__name__)
def test_elements_that_where_leaves_out_of_a_reduction_do_not_poison_the_gradient(function):
    x = ag.tensor([0.0, 1.0, 4.0], requires_grad=True)  # sqrt has an infinite slope at 0
    function(np.sqrt(x), where=np.array([False, True, True])).backward()
    assert x.grad.data[0] == 0
    assert np.all(np.isfinite(x.grad.data))
