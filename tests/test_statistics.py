"""What statistics, differences and interpolation give at ties, knots and edges, and where NumPy refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag

nan = np.nan


def gradient(function: Any, x: Any, g: Any = None) -> Any:
    t = ag.tensor(np.asarray(x, dtype=float), requires_grad=True)
    y = function(t)
    return ag.gradient(y, t, None if g is None else np.asarray(g, dtype=float)).tolist()


METHODS = [
    *("inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull", "linear"),
    *("median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest"),
]


class TestQuantiles:
    @pytest.mark.parametrize(
        ("x", "expected"),
        [([1, 2, 3, 4], [0, 0.5, 0.5, 0]), ([3, 1, 2], [0, 0, 1]), ([5], [1]), ([1, nan, 2], [0, 0, 0])],
    )
    def test_the_median_averages_as_numpys_does(self, x: list[float], expected: list[float]) -> None:
        assert gradient(np.median, x) == expected
        assert gradient(lambda a: np.quantile(a, 0.5), x) == expected

    def test_nan_is_ignored_where_numpy_ignores_it(self) -> None:
        assert gradient(np.nanmedian, [1, nan, 2, 3, 4]) == [0, 0, 0.5, 0.5, 0]
        assert gradient(lambda a: np.nanquantile(a, 1.0, axis=1), [[1, nan, 2], [5, 4, 3]], [1, 1]) == [[0, 0, 1], [1, 0, 0]]

    @pytest.mark.parametrize("method", METHODS)
    def test_the_shares_of_the_elements_sum_to_one(self, method: str, rng: np.random.Generator) -> None:
        x = rng.normal(size=9)
        for q in np.linspace(0, 1, 23):
            g = np.array(gradient(lambda a, q=q: np.quantile(a, q, method=method), x))
            assert g.sum() == pytest.approx(1)
            assert (g >= 0).all()
            assert (g @ x) == pytest.approx(np.quantile(x, q, method=method))  # a quantile is linear between its two elements

    def test_equal_elements_get_the_gradient_of_one(self) -> None:
        assert sorted(gradient(np.median, [2, 2, 2])) == [0, 0, 1]

    def test_a_quantile_is_differentiable_in_its_probability(self) -> None:
        assert gradient(lambda q: np.quantile(ag.tensor([0.0, 1.0, 10.0]), q), 0.75) == 18
        assert gradient(lambda q: np.percentile(ag.tensor([0.0, 1.0, 10.0]), q), 75) == pytest.approx(0.18)
        assert gradient(lambda q: np.quantile(ag.tensor([0.0, 1.0, 10.0]), q, method="lower"), 0.75) == 0

    def test_what_numpy_refuses_is_refused(self) -> None:
        x = ag.tensor([1.0, 2.0], requires_grad=True)
        with pytest.raises(ValueError, match="range"):
            np.quantile(x, 1.5)
        with pytest.raises(TypeError, match="overwrite_input"):
            np.median(x, overwrite_input=True)


class TestAveragesAndCovariances:
    def test_weights_are_differentiated(self) -> None:
        x = np.array([1.0, 2.0, 6.0])
        g = gradient(lambda w: np.average(ag.tensor(x), weights=w), [1, 1, 2])
        assert g == pytest.approx(((x - 3.75) / 4).tolist())

    def test_weights_that_sum_to_zero_are_refused_as_numpy_does(self) -> None:
        x = ag.tensor([1.0, 2.0], requires_grad=True)
        with pytest.raises(ZeroDivisionError):
            np.average(x, weights=[1.0, -1.0])
        with pytest.raises(TypeError, match="Axis must be specified"):
            np.average(ag.tensor(np.ones((2, 3)), requires_grad=True), weights=[1.0, 1.0, 1.0])

    def test_the_variance_is_the_covariance_of_one_variable(self) -> None:
        x = [1.0, 2.0, 6.0]
        assert gradient(np.cov, x) == pytest.approx(gradient(lambda a: np.var(a, ddof=1), x))

    @pytest.mark.parametrize("weights", [{"fweights": [1, 2]}, {"fweights": [1.5, 2, 2]}, {"aweights": [-1.0, 1, 1]}])
    def test_wrong_weights_are_refused(self, weights: dict[str, Any]) -> None:
        with pytest.raises((RuntimeError, TypeError, ValueError), match="weights"):
            np.cov(ag.tensor([1.0, 2.0, 3.0], requires_grad=True), **weights)


class TestHistograms:
    def test_weights_get_the_gradient_of_their_bin(self) -> None:
        data = ag.tensor([0.1, 0.9, 0.5, 2.0])
        g = gradient(lambda w: np.histogram(data, bins=[0.0, 0.5, 1.0], weights=w)[0], [1, 1, 1, 1], [1, 10])
        assert g == [1, 10, 10, 0]

    def test_the_last_bin_has_its_right_edge(self) -> None:
        g = gradient(lambda w: np.histogram(ag.tensor([0.0, 1.0]), bins=2, weights=w)[0], [1, 1], [1, 10])
        assert g == [1, 10]

    def test_edges_follow_the_outermost_data(self) -> None:
        g = gradient(lambda a: np.histogram(a, bins=4)[1], [3, 1, 5], [0, 1, 0, 0, 0])
        assert g == [0, 0.75, 0.25]
        assert gradient(lambda a: np.histogram_bin_edges(a, bins=2), [3, 3], [1, 0, 0]) == [0.5, 0.5]

    def test_counts_have_no_gradient_in_the_data(self) -> None:
        counts, _ = np.histogram(ag.tensor([1.0, 2.0], requires_grad=True), bins=[0.0, 1.5, 3.0])
        assert isinstance(counts, np.ndarray)

    def test_repeated_places_of_bincount_share_one_gradient(self) -> None:
        assert gradient(lambda w: np.bincount(np.array([0, 2, 2]), w), [1, 1, 1], [1, 10, 100]) == [1, 100, 100]


class TestInterpolation:
    def test_at_a_knot_the_slope_is_that_to_the_right_and_at_the_last_that_to_the_left(self) -> None:
        xp, fp = np.array([0.0, 1.0, 3.0]), np.array([0.0, 2.0, 3.0])
        assert gradient(lambda x: np.interp(x, xp, fp), [0, 1, 3], [1, 1, 1]) == [2, 0.5, 0.5]

    def test_outside_the_ends_are_constant(self) -> None:
        xp, fp = np.array([0.0, 1.0]), np.array([5.0, 7.0])
        assert gradient(lambda x: np.interp(x, xp, fp), [-1, 2], [1, 1]) == [0, 0]
        left = ag.tensor(3.0, requires_grad=True)
        assert ag.gradient(np.interp(ag.tensor([-1.0, -2.0, 0.5]), xp, fp, left=left), left, np.ones(3)).item() == 2

    def test_ordinates_and_knots_are_differentiated(self) -> None:
        assert gradient(lambda fp: np.interp(ag.tensor(0.25), np.array([0.0, 1.0]), fp), [1, 2]) == [0.75, 0.25]
        # f = (x - a) / (b - a) moves by -(1 - f) / (b - a) with a and by -f / (b - a) with b.
        assert gradient(lambda xp: np.interp(ag.tensor(0.5), xp, np.array([0.0, 1.0])), [0, 2]) == [-0.375, -0.125]

    def test_lengths_that_differ_are_refused(self) -> None:
        with pytest.raises(ValueError, match="same length"):
            np.interp(ag.tensor(0.5, requires_grad=True), [0.0, 1.0], [1.0, 2.0, 3.0])


def test_unwrap_has_slope_one_also_at_a_jump() -> None:
    assert gradient(np.unwrap, [0, 4, np.pi, 0], [1, 2, 3, 4]) == [1, 2, 3, 4]


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("n", "m"), [(40, 3), (3, 40), (20, 20)])
def test_convolution_gradients_cost_what_the_convolution_costs(n: int, m: int, mode: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in multiplications: a valid convolution of long arrays is cheap, a full one is not."""
    cost: list[int] = []

    def counting(function: Any) -> Any:
        def counted(a: Any, v: Any, mode: Any = "full" if function is np.convolve else "valid") -> Any:
            result = function(a, v, mode)
            cost.append(result.size * min(a.size, v.size))
            return result

        return counted

    from autograd_core.rules import differences

    a, v = ag.tensor(np.ones(n), requires_grad=True), ag.tensor(np.ones(m), requires_grad=True)
    y = np.convolve(a, v, mode)
    forward = y.size * min(n, m)
    replaced = {name: counting(getattr(np, name)) for name in ("convolve", "correlate")}
    monkeypatch.setattr(differences, "np", type("np", (), {"__getattr__": lambda _, name: replaced.get(name) or getattr(np, name)})())
    y.backward(np.ones(y.size))
    assert len(cost) == 2
    assert max(cost) <= 2 * forward


def test_slopes_of_numpys_gradient_need_enough_places() -> None:
    with pytest.raises(ValueError, match="too small"):
        np.gradient(ag.tensor([1.0], requires_grad=True))
    with pytest.raises(TypeError, match="number of arguments"):
        np.gradient(ag.tensor(np.ones((2, 2)), requires_grad=True), 1.0, 1.0, 1.0)


def test_a_weighted_quantile_of_tied_elements_goes_to_one_that_takes_over_when_the_tie_is_broken():
    """Of the two 3s the first has too little weight to reach 0.7: however the tie is broken, the quantile is the second."""
    x = ag.tensor([1.0, 3.0, 3.0], requires_grad=True)
    np.quantile(x, 0.7, weights=np.array([1.0, 0.1, 5.0]), method="inverted_cdf").backward()
    assert x.grad.tolist() == [0.0, 0.0, 1.0]


def test_the_slope_of_a_linear_quantile_at_probability_zero_is_that_to_the_right():
    q = ag.tensor(0.0, requires_grad=True)
    np.quantile(np.array([5.0, 1.0, 2.0]), q).backward()
    assert q.grad.item() == 2 * (2.0 - 1.0)
