"""Anomaly detection: which operation made the first NaN or infinity, where, why, and what to write instead."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import autograd_core as ag
import nn


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def anomaly(function, value, **options):
    """The error of a forward and a backward pass."""
    x = leaf(np.asarray(value, dtype=float))
    with pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly(**options):
        np.sum(function(x)).backward()
    return caught.value


FORWARD = {
    "log of zero": (lambda x: np.log(x), [1.0, 0.0], "log", -np.inf, "logarithm of 0", "log_softmax"),
    "log of a negative number": (lambda x: np.log(x), [1.0, -2.0], "log", np.nan, "negative number", "np.where"),
    "root of a negative number": (lambda x: np.sqrt(x), [1.0, -2.0], "sqrt", np.nan, "square root of a negative", "np.maximum"),
    "overflow of exp": (lambda x: np.exp(x), [1.0, 710.0], "exp", np.inf, "overflow: the exponential of 710", "logsumexp"),
    "division by zero": (lambda x: 3.0 / x, [1.0, 0.0], "divide", np.inf, "division by 0", "np.where(x2 == 0, 1, x2)"),
    "zero by zero": (lambda x: x / x, [1.0, 0.0], "divide", np.nan, "0 / 0", "np.where(x2 == 0, 1, x2)"),
    "a constant of inf times zero": (lambda x: x * np.array([1.0, np.inf]), [1.0, 0.0], "multiply", np.nan, "0 * inf", "np.where(mask, x, 0)"),
    "a fraction of a negative number": (lambda x: x**0.5, [1.0, -1.0], "power", np.nan, "no integer", "np.abs(x)"),
    "arcsin beyond one": (lambda x: np.arcsin(x), [0.0, 1.0 + 1e-9], "arcsin", np.nan, "between -1 and 1", "np.clip"),
    "overflow of a square": (lambda x: x * x, [1.0, 1e200], "multiply", np.inf, "overflow", "scale"),
    "overflow of a sum": (lambda x: np.sum(x), [1e308, 1e308], "sum", np.inf, "overflow", "scale"),
    "overflow of a product": (lambda x: x @ x, [1e200, 1.0], "matmul", np.inf, "overflow", "scale"),
}


@pytest.mark.parametrize(("function", "value", "op", "made", "cause", "mend"), FORWARD.values(), ids=FORWARD)
def test_the_forward_pass_stops_at_the_operation_that_made_it_and_explains_the_trap(function, value, op, made, cause, mend):
    error = anomaly(function, value)
    assert (error.op, error.phase) == (op, "forward")
    assert np.array_equal(error.value, made, equal_nan=True)
    assert cause in error.cause
    assert mend in error.mend
    assert f"{op}: the forward pass made the first {'nan' if np.isnan(made) else 'inf'}" in str(error)
    if np.ndim(function(np.ones(2))):
        assert error.index == (1,)


def test_a_softmax_row_that_is_all_masked_is_named():
    mask = np.array([[0.0, -np.inf], [-np.inf, -np.inf]])
    error = anomaly(lambda x: ag.special.softmax(x + mask, axis=1), np.ones((2, 2)))
    assert error.op == "softmax"
    assert error.index == (1, 0)
    assert "row [1]" in error.cause
    assert "-1e30" in error.mend


def test_subtracting_the_maximum_of_a_masked_row_is_explained():
    error = anomaly(lambda x: np.exp(x - 0 * x - np.inf - np.max(x - np.inf)), [1.0, 2.0])
    assert error.op == "subtract"
    assert "all -inf" in error.cause


def test_an_infinity_that_the_program_is_given_is_no_anomaly():
    x = leaf(np.array([1.0, 2.0, 3.0]))
    with ag.detect_anomaly():
        scores = np.where(np.array([True, True, False]), x, -np.inf)
        ag.special.softmax(scores + 0.0)[0].backward()
        (x + np.array([0.0, -np.inf, np.inf]))[0].backward()
    assert np.isfinite(x.grad.data).all()


def test_a_nan_in_the_data_is_told_from_one_that_was_made():
    data = np.array([1.0, np.nan])
    error = anomaly(lambda x: x * data, [1.0, 2.0])
    assert "its argument x2 holds nan" in str(error)
    assert "in the data" in error.cause


BACKWARD = {
    "sqrt at zero": (lambda x: np.sqrt(x), [1.0, 0.0], "sqrt", np.inf, "square root at 0 is infinite", "np.linalg.norm"),
    "length by hand at zero": (lambda x: np.sqrt(np.sum(x**2)), [0.0, 0.0], "sqrt", np.inf, "square root at 0", "np.linalg.norm"),
    "a mask multiplied in": (lambda x: np.array([1.0, 0.0]) * np.sqrt(x), [1.0, 0.0], "sqrt", np.nan, "0 * inf", "np.where(mask, f(x), 0)"),
    "a root as a power": (lambda x: x**0.5, [1.0, 0.0], "power", np.inf, "power at 0", "1e-12"),
    "arccos at one": (lambda x: np.arccos(x), [0.0, 1.0], "arccos", -np.inf, "arccos at -1 and 1", "np.clip"),
    "overflow of the slope": (lambda x: 1e200 * np.sqrt(x), [1.0, 1e-300], "sqrt", np.inf, "overflow", "scale"),
}


@pytest.mark.parametrize(("function", "value", "op", "made", "cause", "mend"), BACKWARD.values(), ids=BACKWARD)
def test_the_backward_pass_stops_at_the_rule_that_made_it_and_explains_the_trap(function, value, op, made, cause, mend):
    error = anomaly(function, value)
    assert (error.op, error.phase) == (op, "backward")
    assert np.array_equal(error.value, made, equal_nan=True)
    assert cause in error.cause
    assert mend in error.mend


def test_the_message_shows_the_line_the_element_and_the_values():
    x = leaf(np.array([[1.0, 0.0], [4.0, 9.0]]))

    def step():
        y = np.sqrt(x)  # the guilty line
        (5.0 * y).sum().backward()

    with pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly():
        step()
    text = str(caught.value)
    assert "element [0, 1] of shape (2, 2), float64: inf" in text
    assert "g = 5.0, out = 0.0" in text
    assert "y = np.sqrt(x)  # the guilty line" in text
    assert "(5.0 * y).sum().backward()" in text
    assert caught.value.place[0] == __file__


def test_a_masked_branch_that_the_engine_mends_is_no_anomaly():
    x = leaf(np.array([4.0, 0.0]))
    with ag.detect_anomaly():
        np.where(x > 0, np.sqrt(x), 0.0).sum().backward()
    assert x.grad.tolist() == [0.25, 0.0]


def test_forward_false_lets_a_mask_discard_what_was_computed():
    x = leaf(np.array([np.e, 0.0]))
    with ag.detect_anomaly(forward=False):
        np.where(x > 0, np.log(x), 0.0).sum().backward()
    assert np.allclose(x.grad.data, [1 / np.e, 0.0])


def test_backward_false_lets_infinite_slopes_through():
    x = leaf(0.0)
    with ag.detect_anomaly(backward=False):
        np.sqrt(x).backward()
    assert x.grad.item() == np.inf


def test_the_second_backward_pass_is_explained_by_the_line_of_the_forward_pass():
    x = leaf(np.array([1.0, 0.0]))

    def twice():
        y = (x**1.5).sum()  # its second derivative at 0 is infinite
        first = ag.gradient(y, x, create_graph=True)
        ag.gradient(first.sum(), x)

    with pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly():
        twice()
    assert caught.value.phase == "backward"
    assert "recorded backward pass" in str(caught.value)
    assert "y = (x**1.5).sum()  # its second" in str(caught.value)


def test_a_pass_with_create_graph_is_judged_rule_by_rule():
    x = leaf(np.array([1.0, 0.0]))
    with pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly():
        np.sqrt(x).sum().backward(create_graph=True)
    assert (caught.value.op, caught.value.phase) == ("sqrt", "backward")
    with ag.detect_anomaly():  # mended below np.where, on the recorded path too
        (g,) = ag.gradient(np.where(x > 0, np.sqrt(x), 0.0).sum(), [x], create_graph=True)
    assert g.tolist() == [0.5, 0.0]


def test_a_gradient_that_is_passed_in_broken_is_told_from_a_wrong_rule():
    x = leaf(np.ones(2))
    with pytest.raises(ag.AnomalyError, match=r"gradient of its result is nan before any rule"), ag.detect_anomaly():
        (x * 2.0).backward(np.array([1.0, np.nan]))


def test_a_sum_of_gradients_that_overflows_by_indexing_is_found():
    y = leaf(np.zeros(3)) * 1.0
    with pytest.raises(ag.AnomalyError, match="finite contributions were added") as caught, ag.detect_anomaly():
        (y[0] * 1e308 + y[0] * 1e308).backward()
    assert caught.value.op == "getitem"


def test_a_broadcast_argument_is_blamed_at_the_element_that_spoils_it():
    scale = leaf(np.array([1.0, 0.0, 4.0]))
    with pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly():
        (np.ones((2, 3)) * np.sqrt(scale)).sum().backward()
    assert caught.value.index == (1,)
    x = leaf(2.0)
    with pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly(forward=False):
        np.power(np.array([1.0, 2.0, 1e300]), x * 2.0).sum().backward()
    assert caught.value.index == (2,)


def test_the_module_is_named():
    class Shaky(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(2, 2), Log())

        def forward(self, x):
            return self.inner(x)

    class Log(nn.Module):
        def forward(self, x):
            return np.log(0.0 * x)

    with pytest.raises(ag.AnomalyError, match=r"in Shaky\.inner\.1\)"), ag.detect_anomaly():
        Shaky()(leaf(np.ones((1, 2))))


def test_numpys_own_warnings_do_not_come_first():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "division by 0" in anomaly(lambda x: 1.0 / x, [0.0]).cause


def test_it_works_as_a_decorator_and_leaves_the_mode_as_it_was():
    @ag.detect_anomaly()
    def step(x):
        return np.log(x)

    for _ in range(2):
        with pytest.raises(ag.AnomalyError):
            step(leaf(0.0))
        assert ag.observer() is None


def test_a_recording_around_it_sees_everything_too():
    x = leaf(np.ones(3))
    with ag.record() as recording, ag.detect_anomaly():
        (np.tanh(x) * 2.0).sum().backward()
    assert len(recording.facts) >= 3


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.complex128])
def test_other_dtypes_are_judged_too(dtype):
    x = leaf(np.array([1.0, 0.0], dtype=dtype))
    with pytest.raises(ag.AnomalyError), ag.detect_anomaly():
        np.log(x)


def test_several_results_are_judged_each():
    _, vectors = np.linalg.eigh(leaf(np.eye(2)))
    with pytest.warns(RuntimeWarning, match="eigenvalues are equal"), pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly():
        vectors[0, 1].backward()
    assert caught.value.op == "eigh"
    assert "two of them are equal" in caught.value.cause
    assert "outside of detect_anomaly" in str(caught.value)


def test_inside_of_a_map_the_element_of_the_batch_is_told():
    x = np.array([[1.0, 2.0], [4.0, 0.0], [1.0, 1.0]])
    with pytest.raises(ag.AnomalyError) as caught, ag.detect_anomaly():
        ag.vmap(ag.grad(lambda x: np.sqrt(x).sum()))(x)
    assert "sqrt: the backward pass made the first inf, in the gradient for its argument x" in str(caught.value)
    assert "in a mapped call (vmap), for element 1 of the batch" in str(caught.value)
    assert "element [1] of shape (2,)" in str(caught.value)
    with pytest.raises(ag.AnomalyError, match="for element 1, 0 of the batch") as caught, ag.detect_anomaly():
        ag.vmap(ag.vmap(lambda t: np.log(t - 1.0)))(ag.tensor(np.array([[2.0, 3.0], [1.0, 2.0]]), requires_grad=True))
    assert "log: the forward pass made the first inf" in str(caught.value)
