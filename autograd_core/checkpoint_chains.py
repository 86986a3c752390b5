"""Long chains of steps in little memory: `checkpoint_chain` keeps some states and computes what lies between them again.

The forward pass follows a schedule (schedules.py) up to where the first gradient is needed, so the last step's tape is there
when the backward pass begins; the backward pass follows the rest. Each step's tape is a small graph of its own, from
variables with the values of its state to the next state. Tensors that steps refer to by themselves, such as parameters, are
found in the forward pass, which records each step for that and drops the record, and are parents of the chain's one node.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from autograd_core.backward import partial_gradients
from autograd_core.checkpointing import referred_nodes
from autograd_core.fingerprint import fingerprint, memory_owner
from autograd_core.grad_mode import NOT_RECORDING, current_mode, enable_grad, no_grad
from autograd_core.ledger import arrays_in
from autograd_core.node import Leaf, Node, make_leaf, next_number
from autograd_core.random_states import RandomStates
from autograd_core.recording import record, untracked
from autograd_core.schedules import (
    ADVANCE,
    DROP,
    RESTORE,
    STORE,
    TAPE,
    Cost,
    binomial,
    enough_snapshots,
    least_bytes,
    minimal_advances,
    within_budget,
)
from autograd_core.table import Op
from autograd_core.tensor import Tensor, tensor
from autograd_core.trees import flatten

__all__ = ["checkpoint_chain"]

_UNITS = 100  # into which a sequence of functions is divided at most: the search for the best schedule takes their third power
_UNITS_NAME = {"b": 0, "kb": 1, "mb": 2, "gb": 3, "tb": 4, "kib": 1, "mib": 2, "gib": 3, "tib": 4}
_NODE_BYTES = 200  # of a recorded operation, without what it saved


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
                least. It counts tapes, snapshots and gradients of states, not what a single operation needs while it runs
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


class _State(NamedTuple):
    """The raw values of a state's leaves, and how to build the state around them or around tensors."""

    values: list[Any]
    rebuild: Callable[[list[Any]], Any]

    def variables(self, tracked: Sequence[bool]) -> list[Tensor]:
        """A tensor for each leaf, a new variable where it is tracked. The values are shared, not copied."""
        made = [untracked(value) for value in self.values]
        for t, is_tracked in zip(made, tracked, strict=True):
            if is_tracked:
                t.node = make_leaf(t, t._array)
        return made


def _state_of(tree: Any, where: str) -> tuple[list[Tensor], _State]:
    """The leaves of a state as tensors, and the state without its history."""
    leaves, rebuild = flatten(tree)
    if not leaves:
        raise TypeError(f"checkpoint_chain: {where} holds no tensors")
    tensors = []
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            if not isinstance(leaf, np.ndarray | np.generic | int | float | complex):
                raise TypeError(f"checkpoint_chain: {where} must be made of tensors, it holds a {type(leaf).__name__}")
            leaf = tensor(leaf)
        tensors.append(leaf)
    values = [t._array for t in tensors]
    # `rebuild` refers to the tensors, and so to their tape; this one to the values.
    return tensors, _State(values, rebuild if len(leaves) == 1 and leaves[0] is tree else flatten(rebuild(values))[1])


class _Tape(NamedTuple):
    """A step's graph: from variables to the tensors of the next state."""

    variables: list[Tensor]
    outputs: list[Tensor]


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
        inputs, initial = _state_of(state, "the state at the beginning")
        units, schedule = self._plan(initial, [t.requires_grad for t in inputs])
        if len(units) == 1:
            return self.run(range(self.n), state)  # all of it fits
        run = _Run(self, units, schedule, initial, [t.requires_grad for t in inputs])
        outputs, build = run.forward()
        places = run.places
        if not any(t.requires_grad for t in outputs):
            return build([untracked(t._array) for t in outputs])
        parents = [*(inputs[i].node for i in places), *run.captured]
        plan = _chained.plan(tuple((0, i) for i in range(len(parents))))
        values = tuple(inputs[i]._array for i in places) + (None,) * len(run.captured)
        results = record(plan, parents, (values, run), {}, tuple(t._array for t in outputs), bool(places), current_mode())
        return build(list(results))

    # --- which schedule -----------------------------------------------------------------------------------------------------------

    def _plan(self, initial: _State, tracked: list[bool]) -> _Plan:
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

    def _uniform_plan(self, initial: _State, tracked: list[bool]) -> _Plan:
        """Several steps make a unit, whose tape is made at once, where that leaves fewer calls than more snapshots do."""
        cost, *_ = _measured(self, range(1), initial, tracked)
        state, budget = cost.after, self.budget or 0
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

    def _sequence_plan(self, initial: _State, tracked: list[bool]) -> _Plan:
        units = _Units(self.n, -(-self.n // _UNITS))
        costs = []
        state = initial
        for unit in units:
            cost, state, tracked = _measured(self, unit, state, tracked)
            costs.append(cost)
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


# --- what a step costs -------------------------------------------------------------------------------------------------------------


def _measured(chain: _Chain, unit: range, state: _State, tracked: Sequence[bool]) -> tuple[Cost, _State, list[bool]]:
    """What a unit costs, and the state after it. It is run twice: what both tapes keep is not theirs, but a constant's."""
    runs = []
    for _ in range(2):
        start = next_number()
        began = time.perf_counter()
        variables = state.variables(tracked)
        outputs, after = _state_of(chain.run(unit, state.rebuild(variables)), f"the state after step {unit[-1]}")
        seconds = time.perf_counter() - began
        runs.append((seconds, _kept(outputs, start), outputs, after))
    (first, kept, outputs, after), (second, kept_again, _, _) = runs
    own = {id(memory_owner(v)) for v in (*state.values, *after.values) if isinstance(v, np.ndarray)}
    tape = sum(size for key, size in kept.items() if key is None or (key not in kept_again and key not in own))
    sizes = [sum(int(v.nbytes) for v in s.values if hasattr(v, "nbytes")) for s in (state, after)]
    return Cost(min(first, second), tape, *sizes), after, [t.requires_grad for t in outputs]


def _kept(outputs: Sequence[Tensor], start: int) -> dict[int | None, int]:
    """The bytes that nodes younger than `start` keep: by the memory's owner, and under None those of the nodes themselves."""
    kept: dict[int | None, int] = {None: 0}
    stack = [t.node for t in outputs if t.node is not None and t.node.number > start]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if isinstance(node, Leaf):
            continue
        kept[None] += _NODE_BYTES
        for value in node.saved:
            for array in arrays_in(value):
                owner = memory_owner(array)
                kept[id(owner)] = int(owner.nbytes)
        for parent in node.parents:
            if parent not in seen and parent.number > start:
                seen.add(parent)
                stack.append(parent)
    # A parameter's own array is there with or without the tape.
    for leaf in {parent for node in seen for parent in node.parents if isinstance(parent, Leaf)}:
        t = leaf.tensor()
        if t is not None and isinstance(t._array, np.ndarray):
            kept.pop(id(memory_owner(t._array)), None)
    return kept


# --- one pass ------------------------------------------------------------------------------------------------------------------------


class _Run:
    """One call of a chain: forward, and as often back as asked.

    places    of the tracked leaves in the state at the beginning
    captured  the nodes of tensors that steps refer to by themselves;  of_unit  the places of each unit's own among them
    tracked   for each state, which of its leaves are tracked
    """

    def __init__(self, chain: _Chain, units: _Units, schedule: Callable[[], Iterator[tuple[int, int]]], initial: _State, tracked: list[bool]):
        self.chain = chain
        self.units = units
        self.schedule = schedule
        self.initial = initial
        self.places = [i for i, is_tracked in enumerate(tracked) if is_tracked]
        self.captured: list[Node] = []
        self.of_unit: list[tuple[int, ...]] = []
        self.tracked: list[tuple[bool, ...]] = [tuple(tracked)]
        self.random_states = chain.random.get()
        self._place_of: dict[Node, int] = {}
        self._begun = next_number()
        # The machine that stands where the forward pass ended. The first backward pass takes it and uses its snapshots up;
        # another one (retain_graph) begins anew. In a list, because `pop` is done by one thread only.
        self._waiting: list[_Machine] = []

    def forward(self) -> tuple[list[Tensor], Callable[[list[Any]], Any]]:
        machine = _Machine(self, self.initial, self.schedule())
        machine.until_pull(explores=True)
        self._waiting.append(machine)
        return machine.tapes[-1].outputs, machine.state.rebuild

    def taped(self, j: int, state: _State, explores: bool) -> tuple[_Tape, _State]:
        """Unit j, recorded from new variables on."""
        start = next_number()
        variables = state.variables(self.tracked[j])
        outputs, after = _state_of(self.chain.run(self.units[j], state.rebuild(variables)), f"the state after step {self.units[j][-1]}")
        if explores:
            self._explore(j, start, variables, outputs)
        elif len(outputs) != len(self.tracked[j + 1]):
            raise self.changed(j, f"{len(outputs)} tensors where the first gave {len(self.tracked[j + 1])}")
        return _Tape(variables, outputs), after

    def _explore(self, j: int, start: int, variables: list[Tensor], outputs: list[Tensor]) -> None:
        """Note which tensors unit j refers to, and which of its results are tracked."""
        own = {v.node for v in variables if v.node is not None}
        found = referred_nodes(f"checkpoint_chain: step {self.units[j][0]}", start, outputs, own)
        for node in found:
            if node.number > self._begun:
                raise RuntimeError(
                    f"checkpoint_chain: step {self.units[j][0]} uses a tensor of shape {node.shape} that an earlier step computed and that "
                    "is not part of the state, so its gradient would be lost; let the earlier step return it in the state"
                )
        places = []
        for node in found:
            if node not in self._place_of:
                self._place_of[node] = len(self.captured)
                self.captured.append(node)
            places.append(self._place_of[node])
        mine = tuple(places)
        # Mostly all units are alike: one tuple then serves them all.
        self.of_unit.append(self.of_unit[-1] if self.of_unit and self.of_unit[-1] == mine else mine)
        flags = tuple(t.requires_grad for t in outputs)
        self.tracked.append(self.tracked[-1] if self.tracked[-1] == flags else flags)

    def changed(self, j: int, what: str) -> RuntimeError:
        return RuntimeError(
            f"checkpoint_chain: the second run of step {self.units[j][-1]} gave {what}; a step must depend on its state alone "
            "(list random generators that it draws from as generators=[...])"
        )

    # --- backward -------------------------------------------------------------------------------------------------------------

    def backward(self, g: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        if any(isinstance(part, Tensor) for part in g):
            return self._recorded_backward(g, inputs)
        totals: list[Any] = [None] * len(self.captured)
        with self.chain.random.kept():
            try:
                machine = self._waiting.pop()
            except IndexError:
                self.chain.random.set(self.random_states)
                machine = _Machine(self, self.initial, self.schedule())
                machine.until_pull(explores=False)
            cotangent = list(g)
            for j in machine.pulls():
                if any(part is not None for part in cotangent):
                    cotangent = self._pull(j, machine.tapes.pop(), cotangent, totals)
                else:
                    machine.tapes.pop()
        return [cotangent[i] for i in self.places] + totals

    def _pull(self, j: int, tape: _Tape, cotangent: list[Any], totals: list[Any]) -> list[Any]:
        """The gradients of the state before unit j; those of what the unit refers to are added to `totals`."""
        for t, part in zip(tape.outputs, cotangent, strict=True):
            if part is not None and t.shape != part.shape:
                raise self.changed(j, f"shape {t.shape} where the first gave {part.shape}")
        places = self.of_unit[j]
        tracked = [i for i, v in enumerate(tape.variables) if v.node is not None]
        wanted = [*(tape.variables[i].node for i in tracked), *(self.captured[p] for p in places)]
        pairs = [(t, part) for t, part in zip(tape.outputs, cotangent, strict=True) if part is not None and t.requires_grad]
        found = partial_gradients([t for t, _ in pairs], wanted, [part for _, part in pairs], create_graph=False) if pairs else [None] * len(wanted)
        before: list[Any] = [None] * len(tape.variables)
        for i, part in zip(tracked, found, strict=False):
            before[i] = part
        for place, part in zip(places, found[len(tracked) :], strict=True):
            if part is None:
                continue
            if totals[place] is None:
                totals[place] = part
            else:
                totals[place] += part
        return before

    def _recorded_backward(self, g: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The gradients as tensors that can be differentiated: the whole chain is recorded from the chain's own inputs on."""
        with self.chain.random.kept(), enable_grad():
            self.chain.random.set(self.random_states)
            variables = self.initial.variables([False] * len(self.initial.values))
            for place, x in zip(self.places, inputs, strict=True):
                variables[place] = +x  # a variable of its own: two inputs may be one tensor, or one that a step refers to
            outputs, _ = _state_of(self.chain.run(range(self.chain.n), self.initial.rebuild(variables)), "the last state")
        wanted = [*(variables[place].node for place in self.places), *self.captured]
        pairs = [(t, part) for t, part in zip(outputs, g, strict=True) if part is not None and t.requires_grad]
        if not pairs:
            return [None] * len(wanted)
        return partial_gradients([t for t, _ in pairs], wanted, [part for _, part in pairs], create_graph=True)


class _Machine:
    """Does the actions of a schedule: it holds the current state, the snapshots and the tapes."""

    def __init__(self, run: _Run, initial: _State, actions: Iterator[tuple[int, int]]) -> None:
        self.run = run
        self.actions = actions
        self.state = initial
        self.snapshots: list[tuple[_State, list[Any], list[bytes | None]]] = []
        self.tapes: list[_Tape] = []

    def until_pull(self, explores: bool) -> int | None:
        """Do what comes before the next PULL, and return its unit; None at the end."""
        for kind, j in self.actions:
            if kind == ADVANCE:
                self._advance(j, explores)
            elif kind == TAPE:
                self._tape(j, explores)
            elif kind == STORE:
                self.snapshots.append((self.state, self.run.chain.random.get(), [fingerprint(v) for v in self.state.values]))
            elif kind == RESTORE:
                self._restore(j)
            elif kind == DROP:
                self.snapshots.pop()
            else:
                return j
        return None

    def _tape(self, j: int, explores: bool) -> None:
        with enable_grad():
            tape, self.state = self.run.taped(j, self.state, explores)
        self.tapes.append(tape)

    def pulls(self) -> Iterator[int]:
        """The units whose tape, the youngest, is to be pulled, one after the other; the forward pass has stopped before the first."""
        return itertools.chain([len(self.run.units) - 1], iter(functools.partial(self.until_pull, False), None))

    def _advance(self, j: int, explores: bool) -> None:
        if explores:
            # Recorded, to see what the unit refers to; the record is dropped.
            _, self.state = self.run.taped(j, self.state, explores)
            return
        with no_grad():
            variables = self.state.variables([False] * len(self.state.values))
            tree = self.run.chain.run(self.run.units[j], self.state.rebuild(variables))
            _, self.state = _state_of(tree, f"the state after step {self.run.units[j][-1]}")
        if len(self.state.values) != len(self.run.tracked[j + 1]):
            raise self.run.changed(j, f"{len(self.state.values)} tensors where the first gave {len(self.run.tracked[j + 1])}")

    def _restore(self, j: int) -> None:
        self.state, states, prints = self.snapshots[-1]
        for value, before in zip(self.state.values, prints, strict=True):
            if fingerprint(value) != before:
                raise RuntimeError(
                    f"checkpoint_chain: a state of shape {value.shape}, given to step {self.run.units[j][0]}, was changed in place after the "
                    "forward pass, so the gradient would be wrong; change a copy instead"
                )
        self.run.chain.random.set(states)


def _rule(g: Any, inputs: Any, run: Any) -> Any:
    return run.backward(g, inputs[: len(run.places)])


# What a chain's call is recorded under. It stands in no table: nobody calls it, `_Run.forward` computes before.
_chained = Op(lambda inputs, run: None, name="checkpoint_chain")
_chained.define({"inputs": _rule})
