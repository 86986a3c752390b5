"""Several optimizers: at once on different parameters, or one after the other on the same."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

import autograd_core as ag
from optim.at_once import Changes, at_once, followed, set_attributes
from optim.stepping import Ready, Stepper

__all__ = ["Combined", "Switch"]


class _Several(Stepper):
    def __init__(self, optimizers: Sequence[Any]) -> None:
        if not optimizers:
            raise ValueError(f"{type(self).__name__}: got no optimizers")
        for k, optimizer in enumerate(optimizers):
            if not isinstance(optimizer, Stepper):
                raise TypeError(f"{type(self).__name__}: optimizer {k} must be an optimizer, not {type(optimizer).__name__}")
        self.optimizers: list[Any] = list(optimizers)

    @property
    def defaults(self) -> dict[str, Any]:
        """The default hyperparameters of all."""
        return {name: value for optimizer in self.optimizers for name, value in optimizer.defaults.items()}

    @property
    def skipped_steps(self) -> int:
        """How many steps were left out because of non-finite gradients, by the optimizer that left out most."""
        return max(int(optimizer.skipped_steps) for optimizer in self.optimizers)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """TypeError: it has to be said to which optimizer the group belongs."""
        raise TypeError(f"{type(self).__name__}: call add_param_group of the one of `optimizers` that the group is for, or of each of them")

    def state_dict(self) -> dict[str, Any]:
        """The states of all."""
        return {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        if not isinstance(state_dict, Mapping) or "optimizers" not in state_dict:
            raise KeyError(f"{type(self).__name__}: the state lacks optimizers; it is of another kind of optimizer")
        states = state_dict["optimizers"]
        if len(states) != len(self.optimizers):
            raise ValueError(f"{type(self).__name__}: the state is of {len(states)} optimizers, but there are {len(self.optimizers)}")
        return [change for optimizer, state in zip(self.optimizers, states, strict=True) for change in optimizer.loading(state)]


class Combined(_Several):
    """Different optimizers for different parameters, stepped together: Muon for the matrices, AdamW for the rest.

    raises  ValueError if a parameter belongs to two of them
    """

    def __init__(self, *optimizers: Any) -> None:
        super().__init__(optimizers)
        seen: set[int] = set()
        for p in (p for group in self.param_groups for p in group["params"]):
            if id(p) in seen:
                raise ValueError(f"Combined: a parameter of shape {p.shape} belongs to two optimizers; each parameter has to have one")
            seen.add(id(p))
        for optimizer in optimizers:
            if optimizer.needs_closure:
                raise TypeError(f"Combined: {type(optimizer).__name__} evaluates the loss by itself; it cannot step together with another optimizer")

    @property
    def steps(self) -> int:
        """How many steps were done."""
        return max(int(optimizer.steps) for optimizer in self.optimizers)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of all."""
        return [group for optimizer in self.optimizers for group in optimizer.param_groups]

    def ready(self) -> Ready:
        """Each optimizer is: only then does the first of them step."""
        inside = [optimizer.ready() for optimizer in self.optimizers]
        return Ready(any(ready.taken for ready in inside), lambda: [change for ready in inside for change in ready.changes()])


class Switch(_Several):
    """One optimizer after the other on the same parameters: fast with Adam at first, then SGD, which often ends lower.

    optimizers  in order
    at          the steps at which the next one takes over; None if `advance` is called when it is time

    Keskar & Socher 2017, "Improving generalization performance by switching from Adam to SGD".

    >>> import autograd_core as ag, optim
    >>> x = ag.tensor(0.0, requires_grad=True)
    >>> optimizer = optim.Switch(optim.Adam([x]), optim.SGD([x]), at=1000)
    >>> type(optimizer.current).__name__, optimizer.advance(), type(optimizer.current).__name__
    ('Adam', None, 'SGD')
    """

    def __init__(self, *optimizers: Any, at: int | Sequence[int] | None = None) -> None:
        super().__init__(optimizers)
        first, *others = [{id(p) for p in optimizer.parameters()} for optimizer in self.optimizers]
        for k, other in enumerate(others, 1):
            if other != first:
                raise ValueError(f"Switch: optimizer {k} has other parameters than the first one; all have to be of the same (see Combined)")
        self.at: list[float] = [math.inf] * (len(optimizers) - 1) if at is None else [int(at)] if isinstance(at, int | np.integer) else list(at)
        if len(self.at) != len(optimizers) - 1 or self.at != sorted(self.at):
            raise ValueError(f"Switch: {len(optimizers)} optimizers need {len(optimizers) - 1} steps in order at which to switch, not {self.at}")
        self.steps = 0

    def advance(self) -> None:
        """Let the next optimizer take over now, because the loss has stalled, say; later ones do so when their steps have come."""
        at_once([self._advancing()])

    def _advancing(self) -> Callable[[], Any]:
        turn = bisect_right(self.at, self.steps)
        if turn == len(self.at):
            raise ValueError(f"Switch: {type(self.current).__name__} is the last optimizer; there is none to go on to")
        return partial(self.at.__setitem__, turn, self.steps)

    @property
    def current(self) -> Any:
        """The optimizer whose turn it is."""
        return self.optimizers[bisect_right(self.at, self.steps)]

    @property
    def needs_closure(self) -> bool:
        """Whether one of the optimizers does."""
        return any(optimizer.needs_closure for optimizer in self.optimizers)

    @property
    def closure_gives(self) -> str:
        """What the optimizer whose turn it is wants."""
        return str(self.current.closure_gives)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the current optimizer."""
        groups: list[dict[str, Any]] = self.current.param_groups
        return groups

    @ag.untraced
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the optimizer whose turn it is."""
        if not self.current.needs_closure:
            return super().step(closure)
        current, before, done = self.current, self.current.steps, self.steps
        return followed(lambda: current.step(closure), lambda: [set_attributes(self, steps=done + current.steps - before)])

    def ready(self) -> Ready:
        """The optimizer is whose turn it is."""
        inside = self.current.ready()
        return Ready(inside.taken, lambda: [*inside.changes(), set_attributes(self, steps=self.steps + inside.taken)])

    def state_dict(self) -> dict[str, Any]:
        """The states of all, and how far the run is."""
        return {**super().state_dict(), "steps": self.steps, "at": list(self.at)}

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        changes = super().loading(state_dict)
        return [*changes, set_attributes(self, steps=int(state_dict["steps"]), at=list(state_dict["at"]))]
