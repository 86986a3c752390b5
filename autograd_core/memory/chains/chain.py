"""Long chains of steps in little memory: `checkpoint_chain` keeps some states and computes what lies between them again.

The forward pass follows a schedule (schedules.py) up to where the first gradient is needed, so the last step's tape is there
when the backward pass begins; the backward pass follows the rest. Each step's tape is a small graph of its own, from
variables with the values of its state to the next state. Tensors that steps refer to by themselves, such as parameters, are
found in the forward pass, which records each step for that and drops the record, and are parents of the chain's one node.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from autograd_core.arrays.duals import refuse_tangents
from autograd_core.arrays.trees import flatten
from autograd_core.memory.chains.costs import measured
from autograd_core.memory.chains.passes import Pass, chained
from autograd_core.memory.chains.schedules import Cost, binomial, enough_snapshots, least_bytes, minimal_advances, within_budget
from autograd_core.memory.chains.states import State, state_of
from autograd_core.memory.random_states import RandomStates
from autograd_core.tape.mode import NOT_RECORDING, current_mode
from autograd_core.tensor.calls import record_call
from autograd_core.tensor.handles import Handle, untracked

__all__ = ["checkpoint_chain"]

_UNITS = 100  # into which a sequence of functions is divided at most: the search for the best schedule takes their third power
_UNITS_NAME = {"b": 0, "kb": 1, "mb": 2, "gb": 3, "tb": 4, "kib": 1, "mib": 2, "gib": 3, "tib": 4}


def checkpoint_chain(
    steps: Callable[..., Any] | Iterable[Callable[[Any], Any]],
    n: int | None = None,
    *,
    snapshots: int | None = None,
    budget: int | str | None = None,
    numbered: bool = False,
    generators: Iterable[np.random.Generator] = (),
) -> Callable[[Any], Any]:
    """The function state -> steps[n-1](... steps[1](steps[0](state))), differentiable in the memory of a few of its states.

    steps       one function `state -> state`, which is called `n` times, or a sequence of functions or layers, called in turn.
                A state is a tensor, or a tuple, list, dict or dataclass of tensors. Tensors that a step refers to by itself
                (parameters, one of a series of inputs) get their gradients too
    numbered    the function is called as `step(i, state)`
    snapshots   how many states to keep, that at the beginning included. The number of calls is then the least that there can be
                (Griewank & Walther 2000): r n - C(s + r, s + 1) + n, where r is the smallest number with C(s + r, s) >= n.
                By default s = r: about log2(n) / 2 snapshots, and no step is called more than about log2(n) / 2 times again
    budget      bytes instead, as a number or as in "64 MiB": the chain measures its steps and takes the schedule that computes
                least (Beaumont et al. 2019 for a sequence; all calls of one function are taken to cost what the first does).
                It counts tapes, snapshots and gradients of states, not what a single operation needs while it runs
    generators  random generators that steps draw from: a step that is called again gets the numbers of the first time. NumPy's
                global one is always taken care of
    raises      ValueError if the budget is too small, with the least that is enough; TypeError for a state that is not made of
                numbers; RuntimeError for a step that uses tensors of another step, other than by the state

    The memory is that of the snapshots and of one step's tape. Derivatives of higher order (`create_graph`) are exact too, but
    they record the whole chain.

    >>> import numpy as np, autograd_core as ag
    >>> calls = []
    >>> def step(x):
    ...     calls.append(1)
    ...     return x + 0.01 * np.sin(x)
    >>> x = ag.tensor([1.0, 2.0], requires_grad=True)
    >>> ag.checkpoint_chain(step, 100, snapshots=5)(x).sum().backward()  # 100 steps, with 316 advanced over on the way
    >>> x.grad, len(calls)
    (tensor([1.10643316, 0.4917122 ]), 416)
    """
    if snapshots is not None and budget is not None:
        raise ValueError("checkpoint_chain: give snapshots or a budget, not both")
    if snapshots is not None and snapshots < 1:
        raise ValueError(f"checkpoint_chain: snapshots={snapshots}; the state at the beginning is one of them, so there is at least 1")
    size = None if budget is None else _bytes(budget)
    if n is None:
        if not isinstance(steps, Iterable):
            raise TypeError("checkpoint_chain: give the number of steps, checkpoint_chain(step, n), or a sequence of functions")
        functions: Sequence[Callable[[Any], Any]] = list(steps)
        if numbered:
            functions = [functools.partial(function, i) for i, function in enumerate(functions)]
        return _Chain(functions, None, snapshots, size, RandomStates(generators))
    if not callable(steps):
        raise TypeError(f"checkpoint_chain: n={n} is for one function that is called n times, not for a {type(steps).__name__}")
    if n < 0:
        raise ValueError(f"checkpoint_chain: n={n} steps")
    return _Chain(steps if numbered else lambda _, state: steps(state), n, snapshots, size, RandomStates(generators))


def _bytes(budget: int | str) -> int:
    """A number of bytes, of a text such as "64 MiB"."""
    if not isinstance(budget, str):
        return int(budget)
    text = budget.strip().lower()
    number = text.rstrip("kmgtib ")
    power = _UNITS_NAME.get(text[len(number) :].strip() or "b")
    try:
        return int(float(number) * (1024 if "i" in text else 1000) ** power)  # type: ignore[operator]
    except (TypeError, ValueError):
        raise ValueError(f"checkpoint_chain: budget={budget!r}; give bytes, or a text such as '64 MiB' or '1.5 GB'") from None


# How a chain is divided, and what makes the schedule of its units.
_Plan = tuple["_Units", Callable[[], Iterator[tuple[int, int]]]]


class _Chain:
    """What `checkpoint_chain` returns.

    steps   a function of (number, state) for `n` steps, or a sequence of functions of the state
    plans   for the shapes and dtypes of states it was called with: the units, and what makes a schedule of them
    """

    def __init__(self, steps: Any, n: int | None, snapshots: int | None, budget: int | None, random: RandomStates) -> None:
        self.steps = steps
        self.is_uniform = n is not None
        self.n = len(steps) if n is None else n
        self.snapshots = snapshots
        self.budget = budget
        self.random = random
        self.plans: dict[Any, _Plan] = {}

    def step(self, i: int, state: Any) -> Any:
        return self.steps(i, state) if self.is_uniform else self.steps[i](state)

    def run(self, unit: range, state: Any) -> Any:
        for i in unit:
            state = self.step(i, state)
        return state

    def __call__(self, state: Any) -> Any:
        if current_mode() is NOT_RECORDING or self.n == 0:
            return self.run(range(self.n), state)
        refuse_tangents("checkpoint_chain")
        inputs, initial = state_of(state, "the state at the beginning")
        units, schedule = self._plan(initial, [t.requires_grad for t in inputs])
        if len(units) == 1:
            return self.run(range(self.n), state)  # all of it fits
        run = Pass(self.run, self.random, units, schedule, initial, [t.requires_grad for t in inputs])
        outputs, build = run.forward()
        if not any(t.requires_grad for t in outputs):
            is_plain = not any(isinstance(leaf, Handle) for leaf in flatten(state)[0])
            return build([t._array if is_plain else untracked(t._array) for t in outputs])
        return build(record_call(chained, [inputs[i] for i in run.places], [t._array for t in outputs], run, run.captured))

    # --- which schedule -----------------------------------------------------------------------------------------------------------

    def _plan(self, initial: State, tracked: list[bool]) -> _Plan:
        if self.budget is None:
            snapshots = self.snapshots or enough_snapshots(self.n)
            return _Units(self.n, 1), lambda: binomial(self.n, snapshots)
        key = tuple((np.shape(v), getattr(v, "dtype", None), t) for v, t in zip(initial.values, tracked, strict=True))
        plan = self.plans.get(key)
        if plan is None:
            if len(self.plans) >= 16:
                self.plans.clear()
            with self.random.kept():
                plan = self.plans[key] = (self._uniform_plan if self.is_uniform else self._sequence_plan)(initial, tracked)
        return plan

    def _uniform_plan(self, initial: State, tracked: list[bool]) -> _Plan:
        """Few steps are planned like those of a sequence. Of many, several make a unit, if that leaves fewer calls than more snapshots do."""
        cost, *_ = measured(lambda state: self.run(range(1), state), "the state after step 0", initial, tracked)
        state, budget = cost.after, self.budget or 0
        if self.n <= _UNITS:
            following = Cost(1.0, cost.tape, state, state)
            return self._best_plan([following._replace(before=cost.before), *[following] * (self.n - 1)], _Units(self.n, 1))
        best: tuple[int, int, int] | None = None
        together = 1
        while together <= self.n:
            snapshots = 1 + (budget - cost.needs - state - (together - 1) * (cost.tape + state)) // max(state, 1)
            if snapshots < 1:
                break
            number = -(-self.n // together)
            calls = together * minimal_advances(number, min(snapshots, number))
            if best is None or calls < best[0]:
                best = calls, together, snapshots
            together = max(together + 1, -(-self.n // max(number - 1, 1)))  # the next that makes fewer units
        if best is None:
            raise ValueError(f"checkpoint_chain: a budget of {budget} bytes is not enough, this chain takes at least {cost.needs + state}")
        _, together, snapshots = best
        units = _Units(self.n, together)
        return units, lambda: binomial(len(units), snapshots)

    def _sequence_plan(self, initial: State, tracked: list[bool]) -> _Plan:
        units = _Units(self.n, -(-self.n // _UNITS))
        costs = []
        state = initial
        for unit in units:
            cost, state, tracked = measured(functools.partial(self.run, unit), f"the state after step {unit[-1]}", state, tracked)
            costs.append(cost)
        return self._best_plan(costs, units)

    def _best_plan(self, costs: list[Cost], units: _Units) -> _Plan:
        budget = self.budget or 0
        if sum(cost.tape + cost.after for cost in costs) + max(cost.before + cost.after for cost in costs) <= budget:
            return _Units(self.n, self.n), lambda: iter(())
        least = least_bytes(costs)
        if least > budget:
            raise ValueError(f"checkpoint_chain: a budget of {budget} bytes is not enough, this chain takes at least {least}")
        actions = within_budget(costs, budget)
        return units, lambda: iter(actions)


class _Units(Sequence[range]):
    """n steps in parts of `together`, the first of which may be shorter: its tape is made last, when there is room."""

    def __init__(self, n: int, together: int) -> None:
        self.n = n
        self.together = together

    def __len__(self) -> int:
        return -(-self.n // self.together)

    def __getitem__(self, j: Any) -> Any:
        if not 0 <= j < len(self):
            raise IndexError(j)
        end = self.n - (len(self) - 1 - j) * self.together
        return range(max(0, end - self.together), end)
