"""The gradient checker given what it cannot check, or not wholly: it says so, and what to do."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

import autograd_core as ag

X = np.array([0.5, 1.5, 2.5])


def test_a_variation_at_which_the_function_raises_is_skipped_and_named():
    def only_positive(x):
        if np.any(x < 0):
            raise ValueError("negative values are not for me")
        return x * x

    report = ag.gradcheck((only_positive, lambda g, x: 2 * g * x), X)
    note = next(note for note in report.notes if note.startswith("skipped"))
    assert "negative values are not for me" in note
    assert "all elements negative" in note
    assert report.variations > 10


def test_what_the_function_raises_as_given_is_raised():
    with pytest.raises(ValueError, match="mismatch in its core dimension"):
        ag.gradcheck(lambda x: x @ np.ones(7), X)


@pytest.mark.parametrize(
    "function", [lambda x: None, lambda x: "text", lambda x: np.argmax(x), lambda x: []], ids=["None", "text", "integer", "nothing"]
)
def test_a_function_that_returns_no_array_is_refused(function):
    with pytest.raises(TypeError, match="returned no floating-point array"):
        ag.gradcheck((function, lambda g, x: g), X)


def test_several_results_in_any_packing_are_checked_together():
    def several(x, y):
        return x * y, {"sum": x.sum()}, [y + 1]

    assert ag.gradcheck(several, X, X[::-1].copy())
    report = ag.gradcheck((lambda x: (np.sin(x), np.cos(x)), lambda g, x: g[0] * np.cos(x) + g[1] * np.sin(x)), X, raise_on_failure=False)
    assert report.findings[0].argument == "x"


def test_a_random_function_is_named_as_such():
    random = np.random.default_rng(0)
    report = ag.gradcheck((lambda x: x * random.normal(size=x.shape), lambda g, x: g), X, raise_on_failure=False)
    assert report.findings[0].cause == "random"
    assert len(report.findings) == 1
    report = ag.gradcheck((np.sin, lambda g, x: g * np.cos(x) + 1e-3 * random.normal(size=x.shape)), X, raise_on_failure=False)
    assert (report.findings[0].cause, report.findings[0].argument) == ("random", "x")


def test_integer_and_boolean_arguments_stay_what_they_are():
    seen = []

    def gather(x, index, mask):
        seen.append((index.dtype, mask.dtype))
        return np.where(mask, x[index], 0.0)

    def backward(g, x, index, mask):
        d = np.zeros_like(x)
        np.add.at(d, index, np.where(mask, g, 0.0))
        return d, None, None

    report = ag.gradcheck((gather, backward), X, np.array([2, 0, 2, 1]), np.array([True, False, True, True]))
    assert report.arguments == ["x"]
    assert {(index.kind, mask.kind) for index, mask in seen} == {("i", "b")}


@pytest.mark.parametrize("arguments", [(np.array([1, 2]),), (True,), ("text",)], ids=["integers", "flag", "text"])
def test_without_an_array_to_differentiate_there_is_a_type_error_that_says_what_to_pass(arguments):
    with pytest.raises(TypeError, match=r"no floating-point array to differentiate; pass arrays such as np.array\(\[1.0, 2.0\]\)"):
        ag.gradcheck(np.sin, *arguments)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="is no function; pass one, or a pair"):
        ag.gradcheck(3, X)
    with pytest.raises(TypeError, match="is no form of a backward pass"):
        ag.gradcheck((lambda x: x, lambda a, b, c, d, e: a), X)


def test_without_arguments_that_a_function_accepts_it_asks_for_some():
    def particular(x):
        raise ValueError("never")

    with pytest.raises(TypeError, match="found no arguments that particular accepts; give some"):
        ag.gradcheck((particular, lambda g, x: g))


def test_a_value_that_is_not_finite_as_given_is_checked_elsewhere_and_said():
    report = ag.gradcheck(np.log, np.array([0.0, 1.0]))
    assert report.compared > 20
    assert any(note.startswith("skipped, the value is not finite: as given") for note in report.notes)
    report = ag.gradcheck(np.nansum, np.array([np.nan, 1.0, 2.0]))
    assert report.compared > 20
    assert any(note.startswith("skipped, an argument is not finite: as given") for note in report.notes)
    with pytest.raises(ValueError, match="the value is not finite; give arguments for which it is"):
        ag.gradcheck(lambda x: x / 0.0, X)


def test_arrays_without_elements_are_accepted_and_the_report_says_that_nothing_was_compared():
    assert "nothing to compare" in str(ag.gradcheck(np.sin, np.zeros((0, 3))))


def slow(x):
    time.sleep(0.01)
    return np.sin(x)


def test_a_slow_function_is_checked_within_its_budget_and_what_is_left_is_said():
    started = time.perf_counter()
    report = ag.gradcheck((slow, lambda g, x: g * np.cos(x)), X, budget=0.8)
    assert time.perf_counter() - started < 8
    assert any("out of time after 0.8 s: left unchecked from" in note for note in report.notes)


def test_a_slow_check_shows_its_progress_on_a_terminal_only(monkeypatch, capsys):
    pytest.importorskip("tqdm")
    ag.gradcheck((slow, lambda g, x: g * np.cos(x)), X, budget=0.8)
    assert not capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    ag.gradcheck((slow, lambda g, x: g * np.cos(x)), X, budget=1.5)
    assert "gradcheck of slow" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("backward", "words"),
    [
        (lambda g, x: g[:2], "shape"),
        (lambda g, x: (g * 2 * x).astype(complex), "complex128"),
        (lambda g, x: (g * 2 * x).astype(int), "int64"),
        (lambda g, x: [g, g], "2 gradients for 1 argument"),
        (lambda g, x: 1 / 0, "ZeroDivisionError"),
    ],
    ids=["shape", "complex", "integer", "number", "raises"],
)
def test_a_gradient_of_the_wrong_form_is_a_finding_that_says_which(backward, words):
    report = ag.gradcheck((lambda x: x * x, backward), X, raise_on_failure=False)
    assert not report
    assert words in str(report)
