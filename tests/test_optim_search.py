"""Searches: what is tried, what comes out best, and what counts as failure."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import nn
import optim
from optim import search


def test_a_grid_tries_every_combination_once() -> None:
    seen = []

    def objective(lr: float, momentum: float, name: str) -> float:
        seen.append((lr, momentum, name))
        return abs(lr - 0.1) + momentum

    found = search.grid(objective, {"lr": [0.01, 0.1, 1.0], "momentum": (0.0, 0.9), "name": "fixed"}, progress=False)
    assert len(seen) == len(set(seen)) == len(found) == 6
    assert found.best.hyperparameters == {"lr": 0.1, "momentum": 0.0, "name": "fixed"}
    assert [trial.score for trial in found] == sorted(trial.score for trial in found)


def test_random_draws_stay_inside_and_repeat_with_the_seed() -> None:
    space = {"lr": search.LogUniform(1e-4, 1.0), "width": search.Integer(3, 5), "decay": search.Uniform(0.0, 0.1), "kind": ["a", "b"]}

    def draws(seed: int) -> list[dict[str, Any]]:
        return [trial.hyperparameters for trial in search.random(lambda **h: h["lr"], space, trials=200, seed=seed, progress=False)]

    first = draws(0)
    assert first == draws(0) != draws(1)
    assert all(1e-4 <= h["lr"] < 1 and h["width"] in (3, 4, 5) and 0 <= h["decay"] < 0.1 and h["kind"] in "ab" for h in first)
    below = sum(h["lr"] < 1e-2 for h in first)
    assert 70 < below < 130  # half of the orders of magnitude


def test_successive_halving_spends_most_on_the_best() -> None:
    spent: dict[float, float] = {}

    def objective(x: float, budget: float) -> float:
        spent[x] = spent.get(x, 0) + budget
        return abs(x - 0.3) + 0.5 / budget

    found = search.successive_halving(objective, {"x": search.Uniform(0, 1)}, trials=27, factor=3, progress=False)
    best = min(spent, key=lambda x: abs(x - 0.3))
    assert found.best.hyperparameters == {"x": best}
    assert found.best.budget == 27
    assert spent[best] == 1 + 3 + 9 + 27
    assert sorted(trial.budget or 0 for trial in found) == [1] * 18 + [3] * 6 + [9] * 2 + [27]


def test_a_diverged_trial_is_worst_and_says_why_and_other_errors_are_not_hidden() -> None:
    def objective(lr: float) -> float:
        if lr > 1:
            raise FloatingPointError("the gradient is not finite")
        return math.nan if lr > 0.5 else lr

    found = search.grid(objective, {"lr": [2.0, 0.7, 0.2]}, progress=False)
    assert found.best.hyperparameters == {"lr": 0.2}
    assert {trial.error for trial in found} == {"", "FloatingPointError: the gradient is not finite"}
    with pytest.raises(ValueError, match="no trial has a finite score"):
        _ = search.grid(objective, {"lr": [2.0]}, progress=False).best
    with pytest.raises(ZeroDivisionError):
        search.grid(lambda lr: 1 / 0, {"lr": [1]}, progress=False)


def test_the_table_has_a_row_per_trial_best_first() -> None:
    table = search.grid(lambda lr: lr, {"lr": [0.5, 0.25]}, progress=False).table().splitlines()
    assert table[0].split() == ["rank", "score", "lr", "seconds"]
    assert [row.split()[:3] for row in table[1:]] == [["1", "0.25", "0.25"], ["2", "0.5", "0.5"]]


def test_folds_test_every_sample_once() -> None:
    cuts = list(search.folds(11, 3, seed=0))
    assert sorted(np.concatenate([test for _, test in cuts]).tolist()) == list(range(11))
    for train, test in cuts:
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(11))
    for count in (1, 12):
        with pytest.raises(ValueError, match="number of folds"):
            list(search.folds(11, count))


def test_cross_validation_finds_the_decay_that_generalises(rng: np.random.Generator) -> None:
    x = rng.normal(size=(30, 20))
    y = x[:, :1] + rng.normal(size=(30, 1))

    def score(train: Any, test: Any, weight_decay: float) -> float:
        model = nn.Linear(20, 1, bias=False, dtype=np.float64, generator=0)
        optimizer = optim.SGD(model.parameters(), lr=0.05, weight_decay=weight_decay)
        for _ in range(150):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(train[0]), train[1]).backward()
            optimizer.step()
        return float(nn.functional.mse_loss(model(test[0]), test[1]).item())

    found = search.grid(search.cross_validated(score, x, y, count=3), {"weight_decay": [0.0, 0.5, 50.0]}, progress=False)
    assert found.best.hyperparameters == {"weight_decay": 0.5}


def test_misuse_is_named() -> None:
    with pytest.raises(TypeError, match=r"grid: lr is LogUniform.* random\(\) draws from distributions"):
        search.grid(lambda lr: lr, {"lr": search.LogUniform(0.1, 1)})
    with pytest.raises(ValueError, match="grid: lr has no values to try"):
        search.grid(lambda lr: lr, {"lr": []})
    with pytest.raises(ValueError, match="must have 0 < low < high"):
        search.LogUniform(0, 1)
    with pytest.raises(ValueError, match="trials must be at least 1"):
        search.random(lambda lr: lr, {"lr": 1}, trials=0)
    with pytest.raises(ValueError, match="factor must be at least 2"):
        search.successive_halving(lambda lr, budget: lr, {"lr": 1}, trials=3, factor=1)
    with pytest.raises(ValueError, match="must have one length"):
        search.cross_validated(lambda train, test: 0.0, np.ones(3), np.ones(4))


def test_the_best_trial_is_of_the_largest_budget_at_which_one_succeeded() -> None:
    def objective(lr: float, budget: float) -> float:
        return float("inf") if budget > 3 else lr

    results = search.successive_halving(objective, {"lr": [0.1, 0.2, 0.3]}, trials=9, progress=False)
    assert (results.best.budget, results.best.score) == (3, min(trial.score for trial in results if trial.budget == 3))
    assert results.trials[0].budget == 9
    with pytest.raises(ValueError, match="no trial has a finite score"):
        _ = search.grid(lambda lr: float("nan"), {"lr": [0.1]}, progress=False).best


def test_ranges_tuples_and_arrays_are_values_to_choose_from_as_lists_are() -> None:
    for values in ([1, 2, 3], (1, 2, 3), range(1, 4), np.array([1, 2, 3])):
        tried = search.grid(lambda n: float(n), {"n": values}, progress=False)
        assert [trial.score for trial in tried] == [1.0, 2.0, 3.0]
        drawn = search.random(lambda n: float(n), {"n": values}, trials=30, progress=False)
        assert {trial.score for trial in drawn} == {1.0, 2.0, 3.0}
    with pytest.raises(ValueError, match="n has no values to try"):
        search.grid(lambda n: 0.0, {"n": range(0)}, progress=False)
    with pytest.raises(ValueError, match="low and high must be integers"):
        search.Integer(1.5, 3.7)  # type: ignore[arg-type]


def test_results_show_themselves_at_a_prompt_and_in_a_notebook() -> None:
    found = search.grid(lambda x: x, {"x": list(range(25))}, progress=False)
    assert repr(found).startswith("rank  score")
    assert repr(found).endswith("... and 5 more: print(results)")
    html = search.Results([search.Trial({"kind": "<b>"}, 1.0)])._repr_html_()
    assert "<th>kind</th>" in html
    assert "&lt;b&gt;" in html
    assert "more" not in html
