"""Which hyperparameters to try, and for how long."""

from __future__ import annotations

import importlib.util
import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from optim.search.distributions import Distribution, as_distribution, as_list
from optim.search.results import Results, Trial

__all__ = ["grid", "random", "successive_halving"]

Objective = Callable[..., Any]


def grid(objective: Objective, space: Mapping[str, Any], progress: bool | None = None) -> Results:
    """Try every combination.

    objective  hyperparameters as keywords -> score; a FloatingPointError or OverflowError counts as inf
    space      name -> list (or tuple, range, array of one axis) of values, or one value
    progress   show a bar; by default if tqdm is installed

    >>> print(grid(lambda lr, momentum: (lr - 0.1) ** 2 + momentum, {"lr": [0.1, 1.0], "momentum": [0.0, 0.5]}, progress=False).best.hyperparameters)
    {'lr': 0.1, 'momentum': 0.0}
    """
    for name, values in space.items():
        if isinstance(values, Distribution):
            raise TypeError(f"grid: {name} is {values!r}; a grid needs a list of values, random() draws from distributions")
        if as_list(values) == []:
            raise ValueError(f"grid: {name} has no values to try")
    lists = [[values] if (several := as_list(values)) is None else several for values in space.values()]
    choices = [dict(zip(space, values, strict=True)) for values in itertools.product(*lists)]
    return Results([_try(objective, choice) for choice in _bar(choices, "grid search", progress)])


def random(objective: Objective, space: Mapping[str, Any], trials: int, seed: int = 0, progress: bool | None = None) -> Results:
    """Try `trials` random draws: with few hyperparameters that matter, better than a grid of as many points.

    space  name -> a distribution, a list (or tuple, range, array of one axis) to choose from, or one value

    Bergstra & Bengio 2012, "Random search for hyper-parameter optimization".
    """
    choices = _draws(space, trials, seed)
    return Results([_try(objective, choice) for choice in _bar(choices, "random search", progress)])


def successive_halving(
    objective: Objective,
    space: Mapping[str, Any],
    trials: int,
    smallest: float = 1,
    factor: int = 3,
    seed: int = 0,
    progress: bool | None = None,
) -> Results:
    """Give many draws a small budget, the best 1/factor of them `factor` times as much, and so on until one is left.

    objective  takes `budget` too, such as a number of epochs
    smallest   budget of the first round

    Jamieson & Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization", figure 3.
    """
    if factor < 2:
        raise ValueError(f"successive_halving: factor must be at least 2, not {factor}")
    choices = _draws(space, trials, seed)
    budget = smallest
    done: list[Trial] = []
    while True:
        label = f"budget {budget:g}, {len(choices)} trials"
        ranked = Results([_try(objective, choice, budget) for choice in _bar(choices, label, progress)])
        survivors = [trial for trial in ranked if math.isfinite(trial.score)][: max(1, len(choices) // factor)]
        if len(choices) == 1 or not survivors:
            return Results([*done, *ranked])
        kept = {id(trial) for trial in survivors}
        done += [trial for trial in ranked if id(trial) not in kept]
        choices = [trial.hyperparameters for trial in survivors]
        budget *= factor


def _draws(space: Mapping[str, Any], trials: int, seed: int) -> list[dict[str, Any]]:
    if trials < 1:
        raise ValueError(f"search: trials must be at least 1, not {trials}")
    generator = np.random.default_rng(seed)
    distributions = {name: as_distribution(value) for name, value in space.items()}
    return [{name: distribution.draw(generator) for name, distribution in distributions.items()} for _ in range(trials)]


def _try(objective: Objective, hyperparameters: dict[str, Any], budget: float | None = None) -> Trial:
    started = time.perf_counter()
    extra = {} if budget is None else {"budget": budget}
    try:
        score, error = float(objective(**hyperparameters, **extra)), ""
    except (FloatingPointError, OverflowError) as failure:  # it diverged: a result, not a mistake in the program
        score, error = math.inf, f"{type(failure).__name__}: {str(failure)[:60]}"
    return Trial(hyperparameters, score, time.perf_counter() - started, budget, error)


def _bar(items: list[Any], label: str, progress: bool | None) -> Iterable[Any]:
    available = importlib.util.find_spec("tqdm") is not None
    if progress and not available:
        raise ModuleNotFoundError('a progress bar needs tqdm: pip install "autograd-core[demo]"', name="tqdm")
    if not available or progress is False:
        return items
    from tqdm import tqdm

    bar: Iterable[Any] = tqdm(items, desc=label, unit="trial")
    return bar
