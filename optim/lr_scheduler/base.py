"""What torch's schedulers have in common: `step()`, which sets `lr` of each group to a formula of the number of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from optim.optimizer import Optimizer

__all__ = ["Formula", "LRScheduler", "per_group"]

Formula = Callable[[float], float]  # step -> learning rate


class LRScheduler:
    """Sets `lr` of each group, at each `step()`, to a formula of the number of steps.

    formulas    (initial lr of a group) -> its formula; or one formula per group
    last_epoch  the step to resume after; -1 to begin: the first value is set at once
    """

    # Whether it goes on from a learning rate that something else has set, another scheduler above all, in the same proportion as
    # its formula does. These are the classes that do so in torch.
    relative: ClassVar[bool] = False

    def __init__(self, optimizer: Optimizer, formulas: Callable[[float], Formula] | Sequence[Formula], last_epoch: int = -1) -> None:
        if not hasattr(optimizer, "param_groups"):  # an Optimizer, or a wrapper around one
            raise TypeError(f"{type(self).__name__}: optimizer must be an Optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if "lr" not in group:
                raise TypeError(
                    f"{type(self).__name__}: group {i} has no lr to set; give a schedule to one of {', '.join(optimizer.defaults)} instead"
                )
            if callable(group["lr"]):
                raise TypeError(f"{type(self).__name__}: lr of group {i} is a schedule already, {group['lr']!r}; give it a number")
            if last_epoch == -1:
                group["initial_lr"] = group["lr"] if group.get("initial_lr") is None else group["initial_lr"]
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: group {i} has no 'initial_lr', which a scheduler needs that resumes at step {last_epoch}")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.formulas = [formulas(lr) for lr in self.base_lrs] if callable(formulas) else list(formulas)
        self.last_epoch = last_epoch
        self._last_lr: list[float] = [group["lr"] for group in optimizer.param_groups]
        if self.relative and last_epoch != -1:
            self.last_epoch += 1  # the learning rate is there already: that of the run that is resumed
        else:
            self.step()

    def step(self, epoch: float | None = None) -> None:
        """Go to the next step, or to `epoch`, and set the learning rates."""
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

    def get_last_lr(self) -> list[float]:
        """The learning rates that were set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Where the scheduler stands; its formulas are made anew by its constructor."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs), "_last_lr": list(self._last_lr)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`, torch's included; the optimizer's own state holds the learning rate."""
        self.last_epoch = state_dict["last_epoch"]
        self._last_lr = list(state_dict["_last_lr"])


def per_group(value: Any, optimizer: Optimizer, name: str) -> list[Any]:
    """One value for each group of the optimizer; ValueError naming the argument if it is a list of another length."""
    groups = len(optimizer.param_groups)
    values = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{name}: {len(values)} values for {groups} parameter groups")
    return values
