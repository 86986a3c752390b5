"""The gradient checker rejects what is wrong, names the argument and the cause, and accepts what is right but tricky."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from gradcheck_collection import ALL_RIGHT, ALL_WRONG, sampled

import autograd_core as ag
import nn
from autograd_core.gradcheck.report.causes import CAUSES


def check(entry, seed=0, **options):
    inputs = entry.inputs(np.random.default_rng(seed))
    return ag.gradcheck((entry.forward, entry.backward), *inputs, seed=seed, raise_on_failure=False, **options)


def told(finding):
    """What a reader is told of the cause."""
    return f"{finding.title}; {finding.evidence}" + (f"; {finding.message}" if finding.given is None else "")


@pytest.mark.parametrize("entry", sampled(ALL_WRONG), ids=repr)
def test_a_wrong_gradient_is_rejected_with_its_argument_and_its_cause(entry):
    report = check(entry)
    assert not report, "accepted"
    first = report.findings[0]
    assert first.argument in entry.arguments
    if entry.words:
        assert re.search(entry.words, told(first))
    else:
        assert first.cause in entry.causes, f"{first.cause}: {first.evidence}"
    assert max(map(len, report.text().splitlines())) <= 100


@pytest.mark.parametrize("entry", sampled(ALL_RIGHT), ids=repr)
def test_a_right_gradient_is_accepted_at_kinks_and_edges_and_all_magnitudes(entry):
    report = check(entry)
    assert report, str(report)
    assert report.compared
    assert max(map(len, report.text().splitlines())) <= 100


def test_the_collection_is_large_and_its_causes_exist():
    assert len(ALL_WRONG) >= 60
    assert len(ALL_RIGHT) >= 40
    assert {cause for entry in ALL_WRONG for cause in entry.causes} <= set(CAUSES)
    names = [entry.name for entry in [*ALL_WRONG, *ALL_RIGHT]]
    assert all(entry.arguments and (entry.causes or entry.words) for entry in ALL_WRONG)
    assert not any(entry.arguments or entry.causes or entry.words for entry in ALL_RIGHT)
    assert len(set(names)) >= len(names) - 60, "some right versions have the name of the wrong one, no others"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("activation", "size"), [(lambda z: np.maximum(z, 0.0), 4), (lambda z: np.clip(z, -0.3, 0.3), 3), (lambda z: np.where(z > 0.2, z, 0.0), 5)]
)
def test_a_mask_that_is_forgotten_after_a_product_is_named(activation, size, seed):
    random = np.random.default_rng(seed)
    weights = random.normal(size=(size, 6))
    report = ag.gradcheck((lambda x: activation(x @ weights), lambda g, x: g @ weights.T), random.normal(size=(2, size)), raise_on_failure=False)
    assert [(f.argument, f.cause) for f in report.findings] == [("x", "mask")]


# --- what is checked ---------------------------------------------------------------------------------------------------------


def square(x):
    return x * x


@ag.op(x=lambda g, x: 3 * g * x)
def wrong_square(x):
    return x * x


def wrong_layer(x):
    return np.tanh(wrong_square(x)).sum()


def test_a_failure_is_an_assertion_error_that_carries_the_report():
    with pytest.raises(ag.GradcheckError, match="wrong by a constant factor") as caught:
        ag.gradcheck(wrong_square, np.array([1.0, 2.0]))
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report.findings[0].argument == "x"


@pytest.mark.parametrize(
    "function", [square, np.tanh, ag.op(x=lambda g, x: 2 * g * x)(square), (square, lambda g, x: 2 * g * x)], ids=["function", "numpy", "op", "pair"]
)
def test_any_callable_of_arrays_is_checked_with_given_inputs_and_with_its_own(function):
    assert ag.gradcheck(function, np.array([[1.0, -2.0, 0.5]])).compared > 20
    assert ag.gradcheck(function).compared > 20


def test_a_wrong_rule_inside_of_a_function_or_without_inputs_is_found():
    assert not ag.gradcheck(wrong_layer, np.array([0.3, -0.2]), raise_on_failure=False)
    assert not ag.gradcheck(wrong_square, raise_on_failure=False)
    assert not ag.gradcheck((square, lambda g, x: g * x), raise_on_failure=False)


class WrongScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 2, generator=0)
        self.scale = nn.Parameter(np.ones(2))

    def forward(self, x):
        return scaled(self.inner(x), self.scale)


@ag.op(x=lambda g, s: g * s, s=lambda g, x, s: -g * x)
def scaled(x, s):
    return x * s


def test_a_module_is_checked_with_its_parameters_and_keeps_them():
    module = WrongScale()
    before = {name: parameter.data.copy() for name, parameter in module.named_parameters()}
    report = ag.gradcheck(module, np.random.default_rng(0).normal(size=(4, 3)), raise_on_failure=False)
    assert [(f.argument, f.cause) for f in report.findings] == [("scale", "sign")]
    assert {"x", "inner.weight", "inner.bias", "scale"} <= set(report.arguments)
    assert all(np.array_equal(parameter.data, before[name]) for name, parameter in module.named_parameters())
    assert ag.gradcheck(nn.Linear(3, 2, generator=0), np.random.default_rng(0).normal(size=(4, 3)))


def test_every_argument_is_checked_not_only_the_first():
    report = ag.gradcheck(
        (lambda a, b, c: a + b * c, lambda g, a, b, c: (g, g * c, g * c)), *np.random.default_rng(0).normal(size=(3, 4)), raise_on_failure=False
    )
    assert [f.argument for f in report.findings] == ["c"]


# --- second order ------------------------------------------------------------------------------------------------------------


@ag.op(x=lambda g, x: g * np.cos(np.asarray(x.data if isinstance(x, ag.Tensor) else x)))
def sine_with_constant_slope(x):
    return np.sin(x)


@ag.op(x=lambda g, x: g * half_right(x))
def cube_with_wrong_second_derivative(x):
    return x**3


@ag.op(x=lambda g, x: g * x)  # of 3 x**2: 6 x
def half_right(x):
    return 3 * x**2


def test_a_rule_that_is_right_but_whose_own_derivative_is_wrong_is_caught_at_order_two():
    x = np.array([0.5, -1.5, 2.0])
    assert ag.gradcheck(cube_with_wrong_second_derivative, x, order=1)
    report = ag.gradcheck(cube_with_wrong_second_derivative, x, raise_on_failure=False)
    assert [(f.order, f.argument, f.cause) for f in report.findings] == [(2, "x", "second order")]


def test_a_rule_that_takes_its_argument_for_a_constant_is_caught_at_order_two():
    x = np.array([0.5, -1.5, 2.0])
    assert ag.gradcheck(sine_with_constant_slope, x, order=1)
    report = ag.gradcheck(sine_with_constant_slope, x, raise_on_failure=False)
    assert [(f.order, f.argument) for f in report.findings] == [(2, "x")]


def test_the_third_order_is_checked_on_request():
    assert ag.gradcheck(np.sin, np.array([0.3, -1.0]), order=3).order == 3
    with pytest.raises(ag.GradcheckError, match="order 3"):
        ag.gradcheck(fourth_power, np.array([0.3, -1.0]), order=3)
    assert ag.gradcheck(fourth_power, np.array([0.3, -1.0]), order=2)


@ag.op(x=lambda g, x: g * 12 * x * x)
def four_cubes(x):
    return 4 * x**3


@ag.op(x=lambda g, x: g * four_cubes_once(x))
def fourth_power(x):
    return x**4


@ag.op(x=lambda g, x: g * twelve_squares(x))
def four_cubes_once(x):
    return 4 * x**3


@ag.op(x=lambda g, x: g * 12 * x)  # of 12 x**2: 24 x
def twelve_squares(x):
    return 12 * x**2


def test_of_a_hand_written_pair_the_report_says_that_the_second_order_is_not_checked():
    report = ag.gradcheck((square, lambda g, x: 2 * g * x), np.array([1.0, 2.0]))
    assert any("second order of a hand-written pair" in note for note in report.notes)


# --- leaving things as they were -----------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_report_and_the_seed_is_printed():
    for entry in [ALL_WRONG[0], ALL_WRONG[-1], ALL_RIGHT[0]]:
        one, two = (json.loads(check(entry, seed=3).to_json()) for _ in range(2))
        del one["seconds"], two["seconds"]
        assert one == two
    assert "seed 3" in str(check(ALL_WRONG[0], seed=3))


def test_numpys_random_state_and_error_state_and_the_inputs_stay_as_they_were():
    x = np.array([-1.0, 0.0, 2.0])
    given = x.copy()
    np.random.seed(7)
    before = np.random.get_state()
    with np.errstate(divide="raise", over="ignore", invalid="print"):
        errors = np.geterr()
        ag.gradcheck((lambda x: np.log(x**2 + 1) + 0 * np.random.rand(), lambda g, x: 2 * g * x / (x**2 + 1)), x)  # draws inside
        ag.gradcheck((lambda x: 1 / x, lambda g, x: g / x), x[[0, 2]], raise_on_failure=False)
        assert np.geterr() == errors
    after = np.random.get_state()
    assert before[2] == after[2]
    assert np.array_equal(before[1], after[1])
    assert np.array_equal(x, given)


def test_no_warning_of_numpy_gets_out(recwarn):
    ag.gradcheck(np.sqrt, np.array([0.0, 1.0]))
    ag.gradcheck((lambda x: np.log(x) / x, lambda g, x: g / x), np.array([0.5, 1.0]), raise_on_failure=False)
    assert not recwarn.list


# --- size ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong_at", [None, (173, 17)])
def test_one_wrong_element_of_many_is_found_and_located(wrong_at):
    def backward(g, x):
        d = g[:, None] * (1 - np.tanh(x) ** 2)
        if wrong_at is not None and x.shape[0] > 173:
            d[wrong_at] *= 1.02
        return d

    report = ag.gradcheck((lambda x: np.tanh(x).sum(axis=1), backward), np.random.default_rng(0).normal(size=(200, 150)), raise_on_failure=False)
    assert bool(report) is (wrong_at is None)
    if wrong_at is not None:
        assert report.findings[0].element == wrong_at


def test_many_sorted_and_tied_elements_raise_no_alarm():
    random = np.random.default_rng(0)
    assert ag.gradcheck(np.sort, random.normal(size=(60, 400)))
    assert ag.gradcheck(np.sort, random.integers(0, 5, size=40).astype(float))
    assert ag.gradcheck(np.max, random.integers(0, 3, size=(5, 8)).astype(float))
