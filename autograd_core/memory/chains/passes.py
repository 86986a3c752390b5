"""One call of a chain: forward through its schedule, and back."""

from __future__ import annotations

import functools
import itertools
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from autograd_core.memory.chains.schedules import ADVANCE, DROP, RESTORE, STORE, TAPE
from autograd_core.memory.chains.states import State, state_of
from autograd_core.memory.checkpointing import referred_nodes
from autograd_core.memory.random_states import RandomStates
from autograd_core.memory.second_runs import differs, summary_of
from autograd_core.tape.guard import fingerprint
from autograd_core.tape.mode import enable_grad, no_grad
from autograd_core.tape.node import Node, next_number
from autograd_core.tensor.calls import References, function_op, gradients_through
from autograd_core.tensor.tensor import Tensor

__all__ = ["Pass", "chained"]


class _Tape(NamedTuple):
    """A step's graph: from variables to the tensors of the next state."""

    variables: list[Tensor]
    outputs: list[Tensor]


class Pass:
    """One call of a chain: forward, and as often back as asked.

    steps     runs a range of the steps on a state
    units     ranges of steps that are taped together, in order;  schedule  makes the schedule for them
    places    of the tracked leaves in the state at the beginning
    captured  the nodes of tensors that steps refer to by themselves;  of_unit  the places of each unit's own among them
    tracked   for each state, which of its leaves are tracked
    summaries of the state after each unit, one after the other;  summed  how many numbers come before each unit's
    """

    def __init__(
        self,
        steps: Callable[[range, Any], Any],
        random: RandomStates,
        units: Sequence[range],
        schedule: Callable[[], Iterator[tuple[int, int]]],
        initial: State,
        tracked: Sequence[bool],
    ) -> None:
        self.steps = steps
        self.random = random
        self.units = units
        self.schedule = schedule
        self.initial = initial
        self.places = [i for i, is_tracked in enumerate(tracked) if is_tracked]
        self.captured: list[Node] = []
        self.of_unit: list[tuple[int, ...]] = []
        self.tracked: list[tuple[bool, ...]] = [tuple(tracked)]
        self.summaries = array("d")
        self.summed: Sequence[int] = range(0)
        self.random_states = random.get()
        self.references = References("checkpoint_chain: a step", [])
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

    def taped(self, j: int, state: State, explores: bool) -> tuple[_Tape, State]:
        """Unit j, recorded from new variables on."""
        start = next_number()
        variables = state.variables(self.tracked[j])
        outputs, after = state_of(self.steps(self.units[j], state.rebuild(variables)), f"the state after step {self.units[j][-1]}")
        if explores:
            self._explore(j, start, variables, outputs)
            self._summarise(j, after)
        else:
            self.check_second(j, after)
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
                self.references.add([node])
            places.append(self._place_of[node])
        mine = tuple(places)
        # Mostly all units are alike: one tuple then serves them all.
        self.of_unit.append(self.of_unit[-1] if self.of_unit and self.of_unit[-1] == mine else mine)
        flags = tuple(t.requires_grad for t in outputs)
        self.tracked.append(self.tracked[-1] if self.tracked[-1] == flags else flags)

    def _summarise(self, j: int, after: State) -> None:
        """Note the summary of the state after unit j, in 8 bytes a number: there may be very many units."""
        found = summary_of(after.values)
        begin = len(self.summaries)
        if found and isinstance(self.summed, range) and begin == j * len(found):
            self.summed = range(0, begin + 1, len(found))  # all states alike, so far
        else:
            self.summed = array("q", [*self.summed, begin])
        self.summaries.extend(found)

    def check_second(self, j: int, after: State) -> None:
        """RuntimeError if another run of unit j gave something else than the first."""
        if len(after.values) != len(self.tracked[j + 1]):
            raise self.changed(j, f"{len(after.values)} tensors where the first gave {len(self.tracked[j + 1])}")
        begin = self.summed[j]
        end = self.summed[j + 1] if j + 1 < len(self.summed) else len(self.summaries)
        if differs(self.summaries[begin:end], after.values):
            raise self.changed(j, "other values than the first")

    def changed(self, j: int, what: str) -> RuntimeError:
        return RuntimeError(
            f"checkpoint_chain: the second run of step {self.units[j][-1]} gave {what}, so the gradient would not be that of the value; "
            "a step must depend on its state alone (list random generators that it draws from as generators=[...])"
        )

    # --- backward -------------------------------------------------------------------------------------------------------------

    def pull(self, gs: list[Any], inputs: list[Any]) -> list[Any]:
        """The gradients for the tracked leaves at the beginning, and for the captured nodes."""
        self.references.check()
        if any(isinstance(g, Tensor) for g in gs):
            return self._pull_recorded(gs, inputs)
        totals: list[Any] = [None] * len(self.captured)
        with self.random.kept():
            try:
                machine = self._waiting.pop()
            except IndexError:
                self.random.set(self.random_states)
                machine = _Machine(self, self.initial, self.schedule())
                machine.until_pull(explores=False)
            cotangent = list(gs)
            for j in machine.pulls():
                if any(part is not None for part in cotangent):
                    cotangent = self._pull_unit(j, machine.tapes.pop(), cotangent, totals)
                else:
                    machine.tapes.pop()
        return [cotangent[i] for i in self.places] + totals

    def _pull_unit(self, j: int, tape: _Tape, cotangent: list[Any], totals: list[Any]) -> list[Any]:
        """The gradients of the state before unit j; those of what the unit refers to are added to `totals`."""
        for t, part in zip(tape.outputs, cotangent, strict=True):
            if part is not None and t.shape != part.shape:
                raise self.changed(j, f"shape {t.shape} where the first gave {part.shape}")
        places = self.of_unit[j]
        tracked = [i for i, v in enumerate(tape.variables) if v.node is not None]
        wanted = [*(tape.variables[i].node for i in tracked), *(self.captured[p] for p in places)]
        found = gradients_through(tape.outputs, wanted, cotangent, create_graph=False)
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

    def _pull_recorded(self, gs: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        """The gradients as tensors that can be differentiated: the whole chain is recorded from the chain's own inputs on."""
        with self.random.kept(), enable_grad():
            self.random.set(self.random_states)
            variables = self.initial.variables([False] * len(self.initial.values))
            for place, x in zip(self.places, inputs, strict=True):
                variables[place] = +x  # a variable of its own: two inputs may be one tensor, or one that a step refers to
            outputs, _ = state_of(self.steps(range(self.units[len(self.units) - 1].stop), self.initial.rebuild(variables)), "the last state")
        wanted = [*(variables[place].node for place in self.places), *self.captured]
        return gradients_through(outputs, wanted, gs, create_graph=True)


class _Machine:
    """Does the actions of a schedule: it holds the current state, the snapshots and the tapes."""

    def __init__(self, run: Pass, initial: State, actions: Iterator[tuple[int, int]]) -> None:
        self.run = run
        self.actions = actions
        self.state = initial
        self.snapshots: list[tuple[State, list[Any], list[bytes | None]]] = []
        self.tapes: list[_Tape] = []

    def until_pull(self, explores: bool) -> int | None:
        """Do what comes before the next PULL, and return its unit; None at the end."""
        for kind, j in self.actions:
            if kind == ADVANCE:
                self._advance(j, explores)
            elif kind == TAPE:
                self._tape(j, explores)
            elif kind == STORE:
                self.snapshots.append((self.state, self.run.random.get(), [fingerprint(v) for v in self.state.values]))
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
            tree = self.run.steps(self.run.units[j], self.state.rebuild(variables))
            _, self.state = state_of(tree, f"the state after step {self.run.units[j][-1]}")
        self.run.check_second(j, self.state)

    def _restore(self, j: int) -> None:
        self.state, states, prints = self.snapshots[-1]
        for value, before in zip(self.state.values, prints, strict=True):
            if fingerprint(value) != before:
                raise RuntimeError(
                    f"checkpoint_chain: a state of shape {value.shape}, given to step {self.run.units[j][0]}, was changed in place after the "
                    "forward pass, so the gradient would be wrong; change a copy instead"
                )
        self.run.random.set(states)


chained = function_op("checkpoint_chain")
