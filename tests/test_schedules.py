"""Schedules that reverse a chain: they do what they say, with the fewest computations that there can be."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from autograd_core.memory.chains.schedules import (
    ADVANCE,
    DROP,
    PULL,
    RESTORE,
    STORE,
    TAPE,
    Cost,
    binomial,
    enough_snapshots,
    least_bytes,
    longest_chain,
    minimal_advances,
    peak_and_seconds,
    within_budget,
)


@functools.cache
def fewest_advances(n, s):
    """By trying all places for the first snapshot: the definition that the closed form solves."""
    if n <= 1:
        return 0
    if s == 1:
        return n * (n - 1) // 2
    return min(k + fewest_advances(k, s) + fewest_advances(n - k, s - 1) for k in range(1, n))


def follow(actions, n):
    """Do a schedule with numbers for states; returns (advances, tapes, most snapshots), and asserts that each action makes sense."""
    at, snapshots, tapes, pulled = 0, [], [], []
    advances = taped = most = 0
    for kind, j in actions:
        if kind == ADVANCE:
            assert j == at
            at, advances = at + 1, advances + 1
        elif kind == STORE:
            assert j == at
            snapshots.append(j)
        elif kind == RESTORE:
            assert snapshots[-1] == j
            at = j
        elif kind == DROP:
            assert snapshots.pop() == j
        elif kind == TAPE:
            assert j == at
            tapes.append(j)
            at, taped = at + 1, taped + 1
        elif kind == PULL:
            assert tapes.pop() == j
            pulled.append(j)
        most = max(most, len(snapshots))
    assert pulled == list(range(n))[::-1]
    return advances, taped, most


@pytest.mark.parametrize("snapshots", [1, 2, 3, 4, 7, 12, 50])
def test_a_binomial_schedule_advances_as_little_as_griewank_and_walther_prove(snapshots):
    for n in [*range(1, 60), 100, 333]:
        advances, tapes, most = follow(binomial(n, snapshots), n)
        assert advances == minimal_advances(n, snapshots)
        assert tapes == n
        assert most <= snapshots


@pytest.mark.parametrize("snapshots", range(1, 9))
def test_the_closed_form_is_the_minimum_over_all_schedules(snapshots):
    assert all(minimal_advances(n, snapshots) == fewest_advances(n, snapshots) for n in range(1, 50))


def test_the_longest_chain_repeats_no_advance_more_often_than_said():
    for s, r in itertools.product(range(1, 6), range(1, 5)):
        n = longest_chain(s, r)
        times = [0] * n
        for kind, j in binomial(n, s):
            times[j] += kind == ADVANCE
        assert max(times) == r
        assert minimal_advances(n + 1, s) - minimal_advances(n, s) == r + 1


def test_a_thousand_steps_need_seven_snapshots_to_be_repeated_seven_times():
    assert [enough_snapshots(n) for n in (1, 2, 6, 7, 1000, 10**4, 10**6)] == [1, 1, 2, 3, 7, 8, 12]


# --- unequal steps ----------------------------------------------------------------------------------------------------------------


def random_costs(rng, n):
    sizes = rng.integers(5, 60, n + 1)
    return [Cost(float(rng.integers(1, 10)), int(rng.integers(0, 200)), int(a), int(b)) for a, b in itertools.pairwise(sizes)]


@pytest.mark.parametrize("seed", range(6))
def test_a_schedule_for_a_budget_keeps_it_and_computes_less_the_more_there_is(seed):
    rng = np.random.default_rng(seed)
    costs = random_costs(rng, 9)
    least, whole = least_bytes(costs), sum(c.tape + c.after for c in costs) + 200
    before = np.inf
    for budget in np.linspace(least, 2 * whole, 12).astype(int):
        actions = within_budget(costs, int(budget))
        follow(actions, 9)
        peak, seconds = peak_and_seconds(actions, costs)
        assert peak <= budget
        assert seconds <= before * 1.0001
        before = min(before, seconds)
    assert before == sum(c.seconds for c in costs)  # with enough, nothing is computed twice


def all_schedules(first, last):
    """All ways to reverse these steps from a snapshot of the first: as trees of actions."""
    if first == last:
        yield [(TAPE, first), (PULL, first)]
        return
    for inner in all_schedules(first + 1, last):
        yield [(TAPE, first), (STORE, first + 1), *inner, (DROP, first + 1), (PULL, first)]
    for at in range(first + 1, last + 1):
        for right in all_schedules(at, last):
            for left in all_schedules(first, at - 1):
                yield [*((ADVANCE, j) for j in range(first, at)), (STORE, at), *right, (DROP, at), (RESTORE, first), *left]


@pytest.mark.parametrize("seed", range(4))
def test_no_schedule_of_the_family_beats_the_one_that_is_found(seed):
    rng = np.random.default_rng(seed)
    costs = random_costs(rng, 5)
    known = [peak_and_seconds([(STORE, 0), *s], costs) for s in all_schedules(0, 4)]
    for budget in np.linspace(least_bytes(costs), 900, 7).astype(int):
        _, seconds = peak_and_seconds(within_budget(costs, int(budget)), costs)
        # Those that fit with room for the rounding to slots must not be better.
        assert seconds <= min([t for peak, t in known if peak <= 0.97 * budget], default=np.inf)


def test_a_budget_below_the_least_is_refused_with_the_least():
    costs = [Cost(1.0, 100, 10, 20), Cost(1.0, 50, 20, 30)]
    assert least_bytes(costs) == 150
    with pytest.raises(ValueError, match="at least 150"):
        within_budget(costs, 149)
    follow(within_budget(costs, 150), 2)
