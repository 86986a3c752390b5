"""Schedules for reversing a chain of steps when not all of it fits into memory: what to store, where to go back to, and when.

The steps are numbered from 0, and state j is what step j is given. A schedule is a sequence of actions:

    (ADVANCE, j)  compute state j + 1 from the current state j and forget j
    (STORE, j)    keep the current state j as a snapshot, on top of the others
    (RESTORE, j)  make the top snapshot, of state j, the current state; it stays stored
    (DROP, j)     forget the top snapshot
    (TAPE, j)     compute state j + 1 from the current state j, and keep all that the gradient needs of this step
    (PULL, j)     carry the gradient back through the youngest tape, of step j, and forget the tape

The first PULL comes when the last state has been computed, so what is before it is the forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = [
    "ADVANCE",
    "DROP",
    "PULL",
    "RESTORE",
    "STORE",
    "TAPE",
    "Cost",
    "binomial",
    "enough_snapshots",
    "least_bytes",
    "longest_chain",
    "minimal_advances",
    "peak_and_seconds",
    "within_budget",
]

ADVANCE, STORE, RESTORE, DROP, TAPE, PULL = range(6)
Action = tuple[int, int]


# --- equal steps -----------------------------------------------------------------------------------------------------------------


def longest_chain(snapshots: int, repetitions: int) -> int:
    """beta(s, r) = (s + r)! / (s! r!): how many steps can be reversed with s snapshots if none is advanced over more than r times.

    The state at the beginning is one of the s (Griewank & Walther 2000, "Algorithm 799: Revolve", proposition 1).

    >>> longest_chain(3, 2)
    10
    """
    return math.comb(snapshots + repetitions, snapshots) if repetitions >= 0 else 0


def _repetitions(n: int, snapshots: int) -> int:
    """The r with beta(s, r - 1) < n <= beta(s, r)."""
    r = 0
    while longest_chain(snapshots, r) < n:
        r += 1
    return r


def minimal_advances(n: int, snapshots: int) -> int:
    """t(n, s) = r n - beta(s + 1, r - 1), where beta(s, r - 1) < n <= beta(s, r): the fewest ADVANCE actions that reverse n steps.

    The s snapshots include the state at the beginning; to the advances come n TAPE actions, one for each step (Griewank &
    Walther 2000, theorem 1).

    >>> minimal_advances(10, 3), minimal_advances(10, 1), minimal_advances(10, 10)
    (15, 45, 9)
    """
    r = _repetitions(n, snapshots)
    return r * n - longest_chain(snapshots + 1, r - 1)


def enough_snapshots(n: int) -> int:
    """The smallest s with beta(s, s) >= n, about log2(n) / 2 + 1: as many snapshots as each step is repeated at most.

    >>> enough_snapshots(1000), enough_snapshots(10**6)
    (7, 12)
    """
    s = 1
    while longest_chain(s, s) < n:
        s += 1
    return s


def _first_part(n: int, snapshots: int) -> int:
    """How far to advance before the next snapshot, of n > 1 steps, with s > 1 snapshots that include the one behind.

    Left of it s snapshots reverse at most beta(s, r - 1) steps with one repetition less, right of it s - 1 have to do for the rest.
    """
    r = _repetitions(n, snapshots)
    return min(longest_chain(snapshots, r - 1), n - longest_chain(snapshots - 1, r - 1))


def binomial(n: int, snapshots: int) -> Iterator[Action]:
    """A schedule of n equal steps with `minimal_advances(n, snapshots)`, the fewest that there can be.

    >>> sum(kind == ADVANCE for kind, _ in binomial(10, 3))
    15
    """
    stored: list[int] = []
    at = 0
    for end in range(n, 0, -1):  # steps from `end` on are done
        if stored:
            at = stored[-1]
            yield RESTORE, at
        else:
            yield STORE, at
            stored.append(at)
        while end - at > 1 and len(stored) < snapshots:
            for _ in range(_first_part(end - at, snapshots - len(stored) + 1)):
                yield ADVANCE, at
                at += 1
            yield STORE, at
            stored.append(at)
        while at < end - 1:
            yield ADVANCE, at
            at += 1
        yield TAPE, at
        yield PULL, at
        if stored[-1] == at:
            yield DROP, stored.pop()


# --- unequal steps ---------------------------------------------------------------------------------------------------------------


class Cost(NamedTuple):
    """What a step costs.

    seconds  to compute it
    tape     bytes that its tape keeps, without the states before and after it
    before   bytes of the state that it is given;  after  of the one that it gives
    """

    seconds: float
    tape: int
    before: int
    after: int

    @property
    def needs(self) -> int:
        """Bytes that reversing the step takes besides its given state: the tape, the state after it, and the gradients of both."""
        return self.tape + 2 * self.after + self.before


def least_bytes(costs: Sequence[Cost]) -> int:
    """Bytes with which the steps can just be reversed: the largest step's needs, and a state to compute it from."""
    return max(cost.needs + (cost.before if i else 0) for i, cost in enumerate(costs))


def peak_and_seconds(actions: Iterable[Action], costs: Sequence[Cost]) -> tuple[int, float]:
    """What a schedule takes: bytes at the worst moment, besides the state at the beginning, and seconds."""
    # What is held, by what it is: a tape holds the state after its step, whether that is a snapshot or the current state too.
    held: dict[tuple[str, int], int] = {}
    peak, seconds = 0, 0.0
    for kind, j in actions:
        cost = costs[j]
        if kind in (ADVANCE, TAPE):
            seconds += cost.seconds
            given = held.pop(("current", j), 0)
            if kind == ADVANCE:
                held["current", j + 1] = cost.after
            else:
                held["tape", j] = given + cost.tape + cost.after
        elif kind == STORE:
            held["snapshot", j] = held.pop(("current", j), 0)
        elif kind == DROP:
            del held["snapshot", j]
        elif kind == PULL:
            peak = max(peak, sum(held.values()) + cost.before + cost.after)  # the gradients of both states
            del held["tape", j]
        peak = max(peak, sum(held.values()))
    return peak, seconds


_SLOTS = 256  # into which the memory is divided


def within_budget(costs: Sequence[Cost], budget: int) -> list[Action]:
    """The schedule that computes least in `budget` bytes, besides the state at the beginning.

    A part of the chain, from a stored state on, is reversed in the best of two ways: either the tape of its first step is kept
    while the others are reversed, or a later state is stored, and all before it is reversed after it, again from the start. The
    best for each part and each amount of memory is found from those of the shorter parts (Beaumont, Eyraud-Dubois, Herrmann,
    Joly & Shilova 2019, "Optimal checkpointing for heterogeneous chains", theorem 1). Memory is counted in slots; what is
    found with sizes rounded down to slots is taken if it fits all the same, else they are rounded up.

    raises  ValueError if `budget` is below `least_bytes(costs)`
    """
    n = len(costs)
    if budget < least_bytes(costs):
        raise ValueError(f"{budget} bytes are not enough for this chain, which takes at least {least_bytes(costs)}")
    for rounded in (math.floor, round, math.ceil):
        slots = [_InSlots(*(rounded(size * _SLOTS / budget) for size in (c.needs, c.tape + c.after, c.before))) for c in costs]
        choices = _choices([cost.seconds for cost in costs], slots)
        if choices is not None:
            actions = list(_chosen(choices, slots))
            if peak_and_seconds(actions, costs)[0] <= budget:
                return actions
    return list(binomial(n, 1))  # it fits, but not in slots


class _InSlots(NamedTuple):
    """What a step takes, in slots: to be reversed, as a tape with the state after it, and the state before it."""

    needs: int
    tape: int
    before: int


_KEEP_TAPE = -1  # a choice; any other is the place of the next snapshot


def _choices(seconds_of: Sequence[float], slots: Sequence[_InSlots]) -> Any:
    """[first, last, free slots] -> what to do first with these steps; None if nothing fits."""
    n = len(slots)
    best = np.full((n, n, _SLOTS + 1), np.inf)  # [first, last, free slots] -> seconds
    best_stored = np.full((n, n, _SLOTS + 1), np.inf)  # [last, first, ...]: the same, the state at the beginning to be stored too
    choices = np.full((n, n, _SLOTS + 1), _KEEP_TAPE)
    upto = np.cumsum([0.0, *seconds_of])
    free = np.arange(_SLOTS + 1)
    for length in range(1, n + 1):
        for first in range(n - length + 1):
            last, takes = first + length - 1, slots[first]
            rest = _with_less(best[first + 1, last], takes.tape) if length > 1 else 0.0
            seconds = np.where(free >= takes.needs, seconds_of[first] + rest, np.inf)
            if length > 1:
                snapshots = slice(first + 1, last + 1)
                others = (upto[snapshots] - upto[first])[:, None] + best_stored[last, snapshots] + best[first, first:last]
                place = np.argmin(others, axis=0)
                other = others[place, free]
                choices[first, last] = np.where(other < seconds, first + 1 + place, _KEEP_TAPE)
                seconds = np.minimum(seconds, other)
            best[first, last] = seconds
            best_stored[last, first] = _with_less(seconds, takes.before)
    return choices if np.isfinite(best[0, n - 1, -1]) else None


def _with_less(seconds: Any, slots: int) -> Any:
    """What a part takes, by free slots of which `slots` are in use."""
    shifted = np.full(_SLOTS + 1, np.inf)
    if slots <= _SLOTS:
        shifted[slots:] = seconds[: _SLOTS + 1 - slots]
    return shifted


def _chosen(choices: Any, slots: Sequence[_InSlots]) -> Iterator[Action]:
    """The actions of the best schedule. A stack of what is to be done takes the place of recursion."""
    yield STORE, 0
    todo: list[tuple[Any, ...]] = [("reverse", 0, len(slots) - 1, _SLOTS)]
    while todo:
        what, *where = todo.pop()
        if what == "action":
            yield where[0], where[1]
            continue
        first, last, free = where
        choice = int(choices[first, last, free])
        if choice == _KEEP_TAPE:
            yield TAPE, first
            todo.append(("action", PULL, first))
            if last > first:
                inner = free - slots[first].tape
                # The tape holds the state, but a part is reversed from a snapshot.
                yield STORE, first + 1
                todo += [("action", DROP, first + 1), ("reverse", first + 1, last, inner)]
            continue
        for at in range(first, choice):
            yield ADVANCE, at
        yield STORE, choice
        todo += [("reverse", first, choice - 1, free), ("action", RESTORE, first), ("action", DROP, choice)]
        todo.append(("reverse", choice, last, free - slots[choice].before))
