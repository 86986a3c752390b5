"""What torch's schedulers have in common: `step()`, which sets `lr` of each group to a formula of the number of steps."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypeVar

import autograd_core as ag
from optim.at_once import Changes, at_once, holds, set_attributes
from optim.optimizer import Optimizer

__all__ = ["Formula", "LRScheduler", "check_keys", "check_rate", "done_or_not", "of_group", "per_group", "rates_in", "rates_of", "with_rates"]

Formula = Callable[[float], float]  # step -> learning rate
Step = TypeVar("Step", bound=Callable[..., None])


def done_or_not(step: Step) -> Step:
    """A scheduler's `step` that leaves everything as it was if it raises, or is interrupted."""

    @functools.wraps(step)
    def whole(self: Any, *args: Any, **kwargs: Any) -> None:
        undo = self._as_now()
        try:
            step(self, *args, **kwargs)
        except BaseException:
            at_once(undo)
            raise

    return whole  # type: ignore[return-value]


class LRScheduler:
    """Sets `lr` of each group, at each `step()`, to a formula of the number of steps. Subclasses define `formula`.

    last_epoch  the step to resume after; -1 to begin: the first value is set at once
    """

    # Whether it goes on from a learning rate that something else has set, another scheduler above all, in the same proportion as
    # its formula does. These are the classes that do so in torch.
    relative: ClassVar[bool] = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not hasattr(optimizer, "param_groups"):  # an Optimizer, or a wrapper around one
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lrs: list[float] = []
        self.formulas: list[Formula] = []
        self.last_epoch = last_epoch
        self._meet_groups()
        self._last_lr: list[float] = [group["lr"] for group in optimizer.param_groups]
        if self.relative and last_epoch != -1:
            self.last_epoch += 1  # the learning rate is there already: that of the run that is resumed
        else:
            self.step()
        self._first = rates_of(optimizer)  # what this constructor has left

    def formula(self, i: int, initial: float) -> Formula:
        """The formula of group `i`, whose learning rate was `initial` at first."""
        raise NotImplementedError(f"{type(self).__name__} defines no formula(self, i, initial)")

    def _meet_groups(self) -> None:
        """Note the initial learning rates of the groups that are new: all of them at first, later those that were added since."""
        resumed = not self.base_lrs and self.last_epoch != -1
        for i, group in list(enumerate(self.optimizer.param_groups))[len(self.base_lrs) :]:
            check_rate(self, i)
            if resumed and "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: group {i} has no 'initial_lr', which one needs that resumes at step {self.last_epoch}")
            if group.get("initial_lr") is None:
                group["initial_lr"] = group["lr"]
            self.formulas = [*self.formulas, self.formula(i, group["initial_lr"])]
            self.base_lrs = [*self.base_lrs, group["initial_lr"]]

    def _as_now(self) -> Changes:
        """The changes that bring all that a step changes back to what it is now."""
        return [change for content in (*self.optimizer.param_groups, vars(self)) for change in holds(content, dict(content))]

    @ag.untraced
    @done_or_not
    def step(self, epoch: float | None = None) -> None:
        """Go to the next step, or to `epoch`, and set the learning rates."""
        self._meet_groups()
        last, self.last_epoch = self.last_epoch, self.last_epoch + 1 if epoch is None else epoch  # type: ignore[assignment]
        for i, (group, formula) in enumerate(zip(self.optimizer.param_groups, self.formulas, strict=True)):
            value = formula(self.last_epoch)
            if self.relative and epoch is None:
                before = self.base_lrs[i] if last == -1 else formula(last)
                value = value if group["lr"] == before else self._gone_on(i, group["lr"], before, value)
            group["lr"] = value
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _gone_on(self, i: int, lr: float, before: float, value: float) -> float:
        """From `lr` as the formula goes from `before` to `value`: in proportion, counted from where it ends."""
        end = self._end(i)
        return lr + value - before if before == end else end + (lr - end) * (value - end) / (before - end)

    def _end(self, i: int) -> float:
        """Where the formula of group `i` ends."""
        return 0.0

    def rewind(self) -> None:
        """Be as before the first step; the next one is the first again. The learning rates are left as they are."""
        self.last_epoch = -1

    def __repr__(self) -> str:
        names = [name for name in inspect.signature(type(self)).parameters if name not in ("optimizer", "last_epoch") and hasattr(self, name)]
        options = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({options}; at step {self.last_epoch}, lr {rates_of(self.optimizer)})"

    def get_last_lr(self) -> list[float]:
        """The learning rates that were set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Where the scheduler stands and where it began, and what the learning rates are; what else its formulas need is given to its constructor."""
        return with_rates({"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_last_lr": list(self._last_lr)}, self.optimizer)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, torch's included. The optimizer's state may be loaded before or after.

        raises  ValueError if it is of something else, or of another number of groups; then nothing has been changed
        """
        at_once(self.loading(state_dict))

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state as `load_state_dict` does; the changes that are left to be made."""
        check_keys(self, state_dict, "base_lrs", "last_epoch", "_last_lr")
        initial = [float(lr) for lr in state_dict["base_lrs"]]
        groups = len(self.optimizer.param_groups)
        if len(initial) != groups:
            raise ValueError(f"{type(self).__name__}: the state is of {len(initial)} parameter groups, but the optimizer has {groups}")
        formulas = [self.formula(i, lr) for i, lr in enumerate(initial)]
        own = {"formulas": formulas, "base_lrs": initial, "last_epoch": state_dict["last_epoch"], "_last_lr": list(state_dict["_last_lr"])}
        starts = [partial(group.__setitem__, "initial_lr", lr) for group, lr in zip(self.optimizer.param_groups, initial, strict=True)]
        return [set_attributes(self, **own), *starts, *self._setting(state_dict)]

    def _setting(self, state_dict: Mapping[str, Any]) -> Changes:
        """The changes that set the learning rates as they were when the state was taken.

        The constructor has set them to those of the first step, also if the optimizer's own state had been loaded by then. A state of
        torch's says what its scheduler has set last, which others may have changed after that: it is taken where nobody else has said more.
        """
        groups = self.optimizer.param_groups
        if (rates := rates_in(state_dict)) is not None:
            return [partial(group.__setitem__, "lr", lr) for group, lr in zip(groups, rates, strict=True)]
        pairs = zip(groups, state_dict["_last_lr"], self._first, strict=True)
        return [partial(group.__setitem__, "lr", lr) for group, lr, first in pairs if group["lr"] == first]


def rates_of(optimizer: Any) -> list[Any]:
    """The learning rates of an optimizer's groups."""
    return [group["lr"] for group in optimizer.param_groups]


def with_rates(state: dict[str, Any], optimizer: Any) -> dict[str, Any]:
    """A state with the optimizer's learning rates, and the age at which they were these."""
    return {**state, "lr": rates_of(optimizer), "lr_at": _age(state)}


def rates_in(state: Mapping[str, Any]) -> list[Any] | None:
    """The learning rates that `with_rates` has put into a state; None if there are none, or torch has carried them along and stepped since."""
    return list(state["lr"]) if "lr" in state and state.get("lr_at") == _age(state) else None


def _age(state: Mapping[str, Any]) -> list[Any]:
    return [state.get("last_epoch"), *(_age(inner) for inner in state.get("_schedulers", ()))]


def check_keys(scheduler: Any, state_dict: Mapping[str, Any], *keys: str) -> None:
    """Raise ValueError unless a state has what the scheduler needs."""
    missing = [key for key in keys if key not in state_dict]
    if missing:
        has = ", ".join(map(repr, state_dict)) or "nothing"
        raise ValueError(f"{type(scheduler).__name__}: the state of something else: it has no {', '.join(map(repr, missing))}, only {has}")


def check_rate(scheduler: Any, i: int) -> None:
    """Raise TypeError unless group `i` of the scheduler's optimizer has a learning rate that can be set."""
    optimizer, owner = scheduler.optimizer, type(scheduler).__name__
    group = optimizer.param_groups[i]
    if "lr" not in group:
        raise TypeError(f"{owner}: group {i} has no lr to set; give a schedule to one of {', '.join(optimizer.defaults)} instead")
    if callable(group["lr"]):
        raise TypeError(f"{owner}: lr of group {i} is a schedule already, {group['lr']!r}; give it a number")


def per_group(value: Any, optimizer: Optimizer, name: str) -> list[Any]:
    """One value for each group of the optimizer; ValueError naming the argument if it is a list of another length."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name}: {len(values)} values for {groups} parameter groups")
    return values


def of_group(value: Any, i: int, name: str) -> Any:
    """What `value`, one for all groups or a list, is for group `i`; ValueError if the list is too short, since a group was added."""
    if not isinstance(value, list | tuple):
        return value
    if i >= len(value):
        raise ValueError(f"{name}: {len(value)} values, but there is a group {i} now; make the scheduler anew, with a value for each group")
    return value[i]
