"""Random programs against numeric derivatives, at first order and, for half of them, at second.

A program is passed over where its numeric derivative is no measure: at kinks, jumps and values too steep for differences.
PROGRAMS=20000 pytest -s tests/test_random_programs.py makes a long run, and prints what was tried.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import hypothesis
import numpy as np
import pytest
from random_programs import Program, Step, leaves, programs, sample_step, subjects

import autograd_core as ag
from autograd_core.tape.table import TABLE

COUNT = int(os.environ.get("PROGRAMS", "400"))
STEP = 2.0**-14
tried: Counter[str] = Counter()
exercised: Counter[str] = Counter()


def slope(f: Callable[[float], float]) -> tuple[float, float] | None:
    """The derivative of f at 0 by differences of two steps, and how far off it may be; None where they do not agree."""
    with np.errstate(all="ignore"):
        here = f(0.0)
        values = {k: f(k * STEP) for k in (-2, -1, 1, 2)}
    if not np.isfinite([here, *values.values()]).all():
        return None
    one, two = (values[1] - values[-1]) / (2 * STEP), (values[2] - values[-2]) / (4 * STEP)
    bend, bend_of_two = (values[1] + values[-1] - 2 * here) / STEP, (values[2] + values[-2] - 2 * here) / (2 * STEP)
    size = max(map(abs, (here, *values.values())))
    error = abs(one - two) + 1e-13 * size / STEP
    scale = abs(one) + size + 1.0
    # In a smooth function the bend doubles with the step; at a kink it stays as it is.
    if error > 1e-4 * scale or abs(bend_of_two - 2 * bend) > 1e-4 * scale:
        return None
    return (4 * one - two) / 3, error


def inner(gradients: Any, directions: list[Any]) -> Any:
    """The derivative along `directions` that `gradients` tell."""
    return sum(np.sum(np.real(np.conjugate(g) * v)) for g, v in zip(gradients, directions, strict=True) if g is not None)


def agree(found: float, expected: tuple[float, float], terms: float) -> bool:
    number, error = expected
    return abs(found - number) <= 2 * error + 1e-7 * (1.0 + abs(number) + terms)


def gradients(program: Program, arrays: list[Any], create_graph: bool = False) -> tuple[list[Any], Any, list[Any]]:
    xs = leaves(arrays)
    loss = program(*xs)
    if not isinstance(loss, ag.Tensor) or loss.node is None:
        return xs, loss, [None] * len(xs)
    return xs, loss, list(ag.gradient(loss, xs, create_graph=create_graph, allow_unused=True))


def raw(values: list[Any]) -> list[Any]:
    return [None if v is None else np.asarray(v.data) for v in values]


def random_directions(program: Program, seed: int) -> list[Any]:
    random = np.random.default_rng(seed)
    return [random.normal(size=a.shape) + (1j * random.normal(size=a.shape) if a.dtype.kind == "c" else 0.0) for a in program.inputs]


def moved(program: Program, directions: list[Any], t: float) -> list[Any]:
    return [np.asarray(a + t * v) for a, v in zip(program.inputs, directions, strict=True)]


def check(program: Program, second_order: bool) -> None:
    tried["programs"] += 1
    v, w = random_directions(program, 1), random_directions(program, 2)
    expected = slope(lambda t: float(program(*moved(program, v, t))))
    if expected is None:
        tried["passed over"] += 1
        return
    tried["first order"] += 1
    exercised.update(step.name for step in program.steps)
    xs, loss, firsts = gradients(program, program.inputs, create_graph=second_order)
    assert np.isclose(float(loss), float(program(*program.inputs)), rtol=1e-9, atol=1e-9), "the value of the loss is not NumPy's"
    for x, g in zip(xs, firsts, strict=True):
        assert g is None or (g.shape == x.shape and g.dtype == x.dtype)
    found = float(inner(raw(firsts), v))
    terms = sum(float(np.abs(g * d).sum()) for g, d in zip(raw(firsts), v, strict=True) if g is not None)
    assert agree(found, expected, terms), f"first order: {found}, expected {expected}"
    if not second_order:
        return
    expected = slope(lambda t: float(inner(raw(gradients(program, moved(program, w, t))[2]), v)))
    if expected is None:
        tried["passed over at second order"] += 1
        return
    tried["second order"] += 1
    along = inner(firsts, v)
    tracked = isinstance(along, ag.Tensor) and along.node is not None
    seconds = raw(list(ag.gradient(along, xs, allow_unused=True))) if tracked else [None] * len(xs)
    terms = sum(float(np.abs(g * d).sum()) for g, d in zip(seconds, w, strict=True) if g is not None)
    found = float(inner(seconds, w))
    assert agree(found, expected, terms), f"second order: {found}, expected {expected}"


@pytest.mark.filterwarnings("ignore")
def test_random_programs_have_the_derivatives_that_differences_show():
    tried.clear()
    exercised.clear()

    @hypothesis.settings(max_examples=COUNT, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(program=programs(hypothesis.strategies.integers(1, 10)), second_order=hypothesis.strategies.booleans())
    def run(program, second_order):
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            check(program, second_order)

    run()
    print(dict(tried), f"{len(exercised - Counter(['']))} of {len(subjects())} operations")
    assert tried["first order"] > 0.9 * tried["programs"], "too many programs were passed over: nothing is said of them"
    assert tried["second order"] > 0.3 * tried["programs"]
    assert len(exercised) > 0.6 * len(subjects())


WITH_NAN = [(name, i) for name, samples in subjects().items() for i, (_, s) in enumerate(samples) if any(not np.isfinite(a).all() for a in s.arrays)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "index"), WITH_NAN)
def test_the_derivatives_of_samples_with_nan_agree_with_differences(name, index):
    """Element by element the gradient checker can say nothing of these; along a direction that leaves nan as it is, one can."""
    random = np.random.default_rng(0)
    subject = subjects()[name][index][1]
    inputs = [random.normal(size=a.shape) for a in subject.arrays]
    for result in range(len(subject.value(subject.arrays))):
        step = sample_step(name, index, tuple(range(len(inputs))), [0.05] * len(inputs), result)
        value = np.asarray(step.compute(*inputs))
        if np.isfinite(value).all():
            weights = [np.zeros(a.shape) for a in inputs] + [random.normal(size=value.shape)]
            before = tried["second order"]
            check(Program(inputs, [step], weights), second_order=True)
            assert tried["second order"] > before, "passed over"


def test_a_wrong_rule_would_be_found(monkeypatch):
    """The measure itself: with a rule that is 0.1 % off, and one that is right at first order only."""
    program = Program([np.array([0.5, 0.7])], [Step("np.sin", "sin({})", (0,), np.sin)], [np.ones(2)] * 2)
    check(program, True)
    row = TABLE[np.sin]
    right = dict(row.rules)
    try:
        row.define({"x": lambda g, x: g * np.cos(x) * 1.001})
        with pytest.raises(AssertionError, match="first order"):
            check(program, False)
        row.define({"x": lambda g, x: g * np.cos(x.data if isinstance(x, ag.Tensor) else x)})
        with pytest.raises(AssertionError, match="second order"):
            check(program, True)
    finally:
        row.define(right)
    check(program, True)
