"""Schedules: closed formulas, domains, arithmetic, and use as hyperparameters."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import autograd_core as ag
import nn
import optim

FORMULAS = [
    (optim.Constant(0.3), lambda t: 0.3),
    (optim.Step(0.5, every=7, factor=0.3), lambda t: 0.5 * 0.3 ** (t // 7)),
    (optim.MultiStep(0.5, milestones=(20, 3, 20)), lambda t: 0.5 * 0.1 ** ((t >= 3) + 2 * (t >= 20))),
    (optim.Exponential(0.5, factor=0.9, every=4), lambda t: 0.5 * 0.9 ** (t / 4)),
    (optim.Exponential(0.5, factor=math.exp(-0.1)), lambda t: 0.5 * math.exp(-0.1 * t)),
    (optim.InverseTime(0.5, alpha=0.1, beta=0.7), lambda t: 0.5 * (1 + 0.1 * t) ** -0.7),
    (optim.DivergingInverseTime(0.5, alpha=0.001, beta=0.7), lambda t: 0.5 * (1 - 0.001 * t) ** -0.7),
    (optim.Polynomial(0.5, steps=60, power=2), lambda t: 0.5 * (1 - min(t, 60) / 60) ** 2),
    (optim.Linear(0.1, 0.5, steps=10), lambda t: 0.1 + 0.4 * min(t, 10) / 10),
    (optim.Cosine(0.5, steps=60, final=0.1), lambda t: 0.1 + 0.2 * (1 + math.cos(math.pi * min(t, 60) / 60))),
    (optim.Cyclic(0.1, 0.5, up=5, down=15), lambda t: 0.1 + 0.4 * (t % 20 / 5 if t % 20 <= 5 else (20 - t % 20) / 15)),
    (optim.Warmup(0.5, steps=8, start=0.25), lambda t: 0.5 * (0.25 + 0.75 * min(t, 8) / 8)),
    (optim.Warmup(optim.Exponential(0.5, 0.9), steps=8), lambda t: 0.5 * t / 8 if t < 8 else 0.5 * 0.9 ** (t - 8)),
    (optim.Piecewise({0: 1.0, 10: 0.5, 30: 0.1}), lambda t: 1.0 if t < 10 else 0.5 if t < 30 else 0.1),
    (optim.Sequential([0.3, optim.Step(1.0, 2, 0.5)], [9]), lambda t: 0.3 if t < 9 else 0.5 ** ((t - 9) // 2)),
    (2 * optim.Exponential(0.5, 0.9) + 1, lambda t: 2 * 0.5 * 0.9**t + 1),
    (1 - optim.Linear(0, 1, 10) / 2, lambda t: 1 - min(t, 10) / 20),
    (2 ** optim.Linear(0, 3, 10), lambda t: 2 ** (3 * min(t, 10) / 10)),
    (optim.Exponential(0.5, 0.9).clipped(low=0.01, high=0.4), lambda t: min(max(0.5 * 0.9**t, 0.01), 0.4)),
    (-(optim.Linear(1, 2, 10) ** 2 * optim.Step(1.0, 3)), lambda t: -((1 + min(t, 10) / 10) ** 2) * 0.1 ** (t // 3)),
]


@pytest.mark.parametrize(("schedule", "formula"), FORMULAS, ids=lambda value: repr(value) if isinstance(value, optim.Schedule) else "")
def test_a_schedule_is_its_formula(schedule: optim.Schedule, formula: Any) -> None:
    for step in range(90):
        assert schedule(step) == pytest.approx(formula(step), rel=1e-13, abs=1e-16)


@pytest.mark.parametrize(("schedule", "_"), FORMULAS, ids=lambda value: "")
def test_values_are_python_numbers_and_steps_begin_at_0(schedule: optim.Schedule, _: Any) -> None:
    assert type(schedule(np.float32(3))) is float  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="schedules begin at step 0"):
        schedule(-1)


def test_the_growing_form_diverges_and_says_so() -> None:
    schedule = optim.DivergingInverseTime(0.1, alpha=0.01)
    assert schedule(50) == pytest.approx(0.2)
    assert schedule(99) == pytest.approx(10.0)
    with pytest.raises(ValueError, match=r"goes to infinity at step 1/alpha = 100; the form that decays is InverseTime\(0.1, 0.01, 1.0\)"):
        schedule(100)
    with pytest.raises(ValueError, match="DivergingInverseTime"):
        optim.InverseTime(0.1, alpha=-0.01)


def test_one_cycle_reaches_its_peak_and_ends() -> None:
    schedule = optim.OneCycle(1.0, steps=100)
    values = [schedule(t) for t in range(100)]
    assert values[0] == pytest.approx(1 / 25)
    assert max(values) == values[29] == pytest.approx(1.0)
    assert values[99] == pytest.approx(1 / 25e4)
    with pytest.raises(ValueError, match="it is over after 100 steps"):
        schedule(101)


def test_restarts_begin_anew_in_growing_periods() -> None:
    schedule = optim.CosineRestarts(1.0, steps=3, factor=2)
    assert [t for t in range(46) if schedule(t) == 1.0] == [0, 3, 9, 21, 45]


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_a_plateau_lowers_the_value_when_the_metric_stalls(mode: str, threshold_mode: str) -> None:
    plateau = optim.Plateau(1.0, factor=0.5, patience=1, cooldown=1, minimum=0.2, mode=mode, threshold_mode=threshold_mode)
    sign = 1 if mode == "min" else -1
    metrics = [5, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 3]
    values = [plateau.report(10 + sign * metric) for metric in metrics]
    assert values == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2]
    assert plateau(1000) == 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.Step(0.1, every=0), "every must be at least 1"),
        (lambda: optim.Exponential(0.1, factor=-1), "factor must not be negative"),
        (lambda: optim.Polynomial(0.1, steps=0), "steps must be positive"),
        (lambda: optim.Polynomial(0.1, steps=5, power=-1), "power must not be negative"),
        (lambda: optim.Cyclic(0, 1, up=2, mode="wave"), "no such mode"),
        (lambda: optim.OneCycle(1, 10, warm=2), "warm must be in"),
        (lambda: optim.OneCycle(1, 10, curve="exp"), "curve must be"),
        (lambda: optim.Sequential([1, 2], []), "one milestone between each two"),
        (lambda: optim.Sequential([1, 2, 3], [5, 2]), "in order"),
        (lambda: optim.Piecewise({1: 2.0}), "from step 0 on"),
        (lambda: optim.Plateau(1.0, factor=2.0), "factor must be in"),
        (lambda: optim.Plateau(1.0, mode="low"), "mode must be"),
        (lambda: optim.Constant(1.0).clipped(2.0, 1.0), "needs low <= high"),
        (lambda: optim.CosineRestarts(1.0, 3, factor=1.5), "factor must be an integer"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (1 / optim.Linear(0, 1, 10), "has no value at step 0: float division by zero"),
        (optim.Linear(-1, 1, 10) ** 0.5, "has no value at step 0: its formula gives .*j"),
        (optim.Constant(math.nan), "has no value at step 0: its formula gives nan"),
        (1e300 ** optim.Constant(2.0), "has no value at step 0"),
    ],
)
def test_a_formula_without_a_real_value_names_the_schedule_and_the_step(schedule: optim.Schedule, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schedule(0)


def trajectory(optimizer: optim.Optimizer, p: ag.Tensor, steps: int) -> list[float]:
    values = []
    for _ in range(steps):
        p.grad = ag.tensor(1.0)
        optimizer.step()
        values.append(p.item())
    return values


def test_any_hyperparameter_takes_a_schedule() -> None:
    p, q = ag.tensor(1.0, requires_grad=True), ag.tensor(1.0, requires_grad=True)
    scheduled = optim.SGD([p], lr=optim.Exponential(0.1, 0.5), momentum=optim.Linear(0.5, 0.9, 4), weight_decay=optim.Step(0.1, 2))
    by_hand = optim.SGD([q], momentum=0.5)
    for step in range(6):
        group = by_hand.param_groups[0]
        group["lr"], group["momentum"], group["weight_decay"] = 0.1 * 0.5**step, 0.5 + 0.1 * min(step, 4), 0.1 * 0.1 ** (step // 2)
        assert trajectory(scheduled, p, 1) == pytest.approx(trajectory(by_hand, q, 1), rel=1e-15)


def test_a_schedule_outside_its_domain_names_optimizer_and_hyperparameter() -> None:
    p = ag.tensor(1.0, requires_grad=True)
    optimizer = optim.SGD([p], lr=optim.DivergingInverseTime(0.1, alpha=0.5))
    trajectory(optimizer, p, 2)
    with pytest.raises(ValueError, match=r"SGD: lr: DivergingInverseTime.* has no value at step 2"):
        trajectory(optimizer, p, 1)


def test_the_batch_size_takes_a_schedule() -> None:
    loader = nn.batches(np.arange(20), batch_size=optim.Polynomial(2, steps=5, power=2, final=6))
    assert [len(part) for part in loader] == [2, 3, 5, 5, 5]


def test_a_saved_optimizer_with_schedules_goes_on(tmp_path: Path) -> None:

    def make() -> tuple[Any, Any, Any]:
        p, plateau = ag.tensor(1.0, requires_grad=True), optim.Plateau(0.1, factor=0.5, patience=0)
        return p, plateau, optim.Adam([p], lr=plateau * optim.Exponential(1.0, 0.9), betas=(optim.Linear(0.8, 0.9, 9), 0.99), weight_decay=plateau)

    p, plateau, optimizer = make()
    trajectory(optimizer, p, 3)
    plateau.report(1.0)
    plateau.report(1.0)
    nn.save_checkpoint(tmp_path / "x", optimizer=optimizer, p=p)
    expected = trajectory(optimizer, p, 3)
    q, other, resumed = make()
    q.data[...] = nn.load_checkpoint(tmp_path / "x", optimizer=resumed)["p"]
    assert other.value == 0.05
    assert trajectory(resumed, q, 3) == expected
    with pytest.raises(ValueError, match="lr was saved as the schedule"):
        optim.Adam([q]).load_state_dict(optimizer.state_dict())


def test_plot_draws_the_whole_schedule() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    axes = optim.Polynomial(1.0, steps=20).plot()
    (line,) = axes.get_lines()
    assert line.get_ydata()[:3].tolist() == [1.0, 0.95, 0.9]
    assert len(line.get_ydata()) == 23
    assert axes.get_xlabel() == "step"
    for schedule, _ in FORMULAS:
        matplotlib.pyplot.close(schedule.plot(50).figure)
    optim.DivergingInverseTime(1.0, 0.1).plot()
    optim.OneCycle(1.0, 50).plot()
    matplotlib.pyplot.close("all")


def test_one_cycle_rises_to_the_end_if_all_of_it_is_warm_up_and_begins_on_the_way_down_if_less_than_a_step_is() -> None:
    rising = [optim.OneCycle(1.0, 10, warm=1.0)(t) for t in range(10)]
    assert rising == sorted(rising)
    assert (rising[0], rising[-1]) == (pytest.approx(1 / 25), 1.0)
    np.testing.assert_allclose([optim.OneCycle(1.0, 3)(t) for t in range(3)], [0.994415, 0.462637, 4e-6], rtol=1e-5)


@pytest.mark.parametrize(("mode", "best", "near", "far"), [("min", -1.0, -0.95, -1.2), ("max", -1.0, -0.95, -0.5), ("min", 1.0, 0.95, 0.5)])
def test_a_plateaus_threshold_is_a_fraction_of_the_best_metrics_size(mode: str, best: float, near: float, far: float) -> None:
    plateau = optim.Plateau(1.0, factor=0.5, patience=0, mode=mode, threshold=0.1)
    assert [plateau.report(metric) for metric in (best, near)] == [1.0, 0.5]
    assert plateau.report(far) == 0.5
