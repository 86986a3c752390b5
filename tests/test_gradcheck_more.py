"""What the gradient checker tries by itself, and what its reports tell: lengths, labels, masks, huge rules, rules that raise."""

from __future__ import annotations

import numpy as np
import pytest
from gradcheck_collection.fresh_wrong import FRESH_WRONG

import autograd_core as ag

X = np.array([0.5, -1.5, 2.5])


def findings(function, *inputs, **options):
    return ag.gradcheck(function, *inputs, raise_on_failure=False, **options).findings


@pytest.mark.parametrize("vary", [True, False])
@pytest.mark.parametrize("factor", [1e16, 1e30, 1e300, np.inf, np.nan])
def test_a_rule_of_any_size_is_wrong_and_not_inconclusive(factor, vary):
    assert findings((lambda x: 2 * x, lambda g, x: g * factor), X, vary=vary)


def test_labels_that_the_forward_pass_changes_are_named_and_the_callers_stay_as_they_were():
    entry = next(e for e in FRESH_WRONG if e.name == "labels shifted in place")
    z, labels = entry.inputs(np.random.default_rng(0))
    before = labels.copy()
    first = findings((entry.forward, entry.backward), z, labels)[0]
    assert (first.argument, first.cause) == ("labels", "changes input")
    assert np.array_equal(labels, before)


@pytest.mark.parametrize("name", ["power spectrum: even lengths only", "same correlation: odd kernels only", "strided correlation: rest forgotten"])
def test_lengths_of_both_parities_are_tried_where_results_do_not_follow_one_to_one(name):
    entry = next(e for e in FRESH_WRONG if e.name == name)
    assert findings((entry.forward, entry.backward), *entry.inputs(np.random.default_rng(0)))


def test_a_rule_that_asks_whether_two_arguments_are_one_array_meets_that_case():
    pair = (lambda a, b: a * b, lambda g, a, b: (2 * g * a, 2 * g * a) if a is b else (g * b, g * a))
    assert findings(pair, X, X[::-1].copy())[0].cause == "same array"


def test_a_rule_that_raises_is_told_with_its_argument_line_expression_and_shapes():
    pair = (lambda x, w: x @ w, lambda g, x, w: (g @ w.T, x @ g))
    first = findings(pair, np.ones((4, 3)), np.ones((3, 2)))[0]
    assert (first.argument, first.cause) == ("w", "raises")
    assert "x @ g, where x has shape (4, 3), g has shape (4, 2)" in first.message
    assert "test_gradcheck_more.py" in first.message
    assert first.reproducer.startswith("ag.gradcheck(")


def test_of_an_operation_the_rule_that_raises_tells_the_argument():
    product = ag.op(lambda x, w: x @ w, x=lambda g, w: g @ w, w=lambda g, x: x.T @ g)
    assert findings(product, np.ones((4, 3)), np.ones((3, 2)))[0].argument == "x"


def test_a_size_that_the_rule_refuses_itself_is_a_warning():
    def backward(g, x):
        assert g.shape == (3,), "written for three"
        return 2 * g * x

    report = ag.gradcheck((lambda x: x * x, backward), X)
    assert any("written for three" in warning.message for warning in report.warnings)


def test_a_gradient_that_is_wider_than_its_argument_and_a_result_that_is_a_view_are_warnings():
    report = ag.gradcheck((lambda x: 2 * x, lambda g, x: 2.0 * g.astype(float)), X.astype(np.float32))
    assert "dtype" in {warning.cause for warning in report.warnings}
    report = ag.gradcheck((lambda x: x[::-1], lambda g, x: g[::-1].copy()), X)
    assert "result shares memory" in {warning.cause for warning in report.warnings}


@pytest.mark.parametrize(
    "backward",
    [
        lambda g, x: g * np.cos(x),
        lambda g, z: g * np.cos(z),
        lambda x, g: g * np.cos(x),
        lambda dout, x: dout * np.cos(x),
        lambda x, dy: dy * np.cos(x),
        lambda g, out, x: g * np.cos(x),
        lambda out, x: lambda g: g * np.cos(x),
    ],
    ids=["g first", "z for x", "g last", "dout first", "dy last", "with the result", "makes a function"],
)
def test_a_pair_is_understood_in_each_spelling(backward):
    assert ag.gradcheck((lambda x: np.sin(x), backward), X)


@pytest.mark.parametrize("backward", [lambda g, cache: g * cache, lambda cache, g: g * cache], ids=["g first", "saved first"])
def test_a_pair_with_a_cache_is_understood_in_each_order(backward):
    assert ag.gradcheck((lambda x: (np.sin(x), np.cos(x)), backward), X)


def test_of_an_ambiguous_spelling_a_note_says_how_it_was_read():
    report = ag.gradcheck((lambda x: np.exp(x), lambda g, y: g * y), X)
    assert any("can be read in two ways: y was taken for the result" in note for note in report.notes)
    report = ag.gradcheck((lambda x: np.sin(x), lambda g, z: g * np.cos(z)), X)
    assert any("z was taken for the argument" in note for note in report.notes)
