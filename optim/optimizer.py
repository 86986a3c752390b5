"""`Optimizer`: the loop around an update rule. The rule is a formula; everything else is here, once."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, TypedDict, Unpack

import numpy as np

import autograd_core as ag
from optim.at_once import Changes, holds, set_attributes
from optim.groups import checked_group, groups_of, label_of
from optim.hyperparameters import DOMAINS, Domain, at_step, check, is_changeable, loaded, loaded_entry, refuse_unknown, resuming, saved
from optim.packs import Packs, changes_whole
from optim.parallel import Task, changes_of, run_all
from optim.precision import wide_dtype
from optim.program import Workspace
from optim.quiet import quietly
from optim.stepping import Ready, Stepper

__all__ = ["Optimizer", "Options", "Value", "Work", "is_finite"]

Work = tuple[int, list[Any], list[Any], dict[str, Any]]  # a group's number, parameters with gradient, gradients, hyperparameters
Value = Any  # of a hyperparameter: a number, or a schedule, which is a function of the step


class Options(TypedDict, total=False):
    """What every optimizer takes besides its rule's hyperparameters.

    nonfinite  what to do about a gradient that is inf or nan: "raise" (default), "skip" the step and count it in
               `skipped_steps`, or "ignore" and go on with it
    """

    nonfinite: str


class Optimizer(Stepper):
    """Runs an update rule on parameters that have a gradient.

    params    tensors, (name, tensor) pairs, or dicts with "params" and hyperparameters of that group
    rule      see `optim.rules`; None in a subclass that does its steps without one
    defaults  hyperparameters of groups that do not give their own; numbers, or schedules: functions of the step
    raises    ValueError for a hyperparameter outside its domain, for no parameters, and for a parameter given twice

    param_groups   list of dicts, as in torch; assign to change a hyperparameter
    state          parameter -> its state
    steps          how many steps were done: what schedules are functions of
    skipped_steps  how many were left out because of non-finite gradients
    """

    domains: ClassVar[dict[str, Domain]] = {}  # of hyperparameters that mean something else here than in the table

    def __init__(self, params: Any, rule: Callable[..., Any] | None, defaults: dict[str, Any], **options: Unpack[Options]) -> None:
        self.rule: Any = rule
        self.defaults = defaults
        refuse_unknown(type(self).__name__, options.keys() - {"nonfinite"}, defaults)
        self.nonfinite = options.get("nonfinite", "raise")
        if self.nonfinite not in ("raise", "skip", "ignore"):
            raise ValueError(f'{type(self).__name__}: nonfinite must be "raise", "skip" or "ignore", not {self.nonfinite!r}')
        self.hyperparameters = tuple(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.steps = 0
        self.skipped_steps = 0
        self._workspaces: list[Workspace] = []
        self._checked: dict[int, tuple[list[Any] | None, dict[str, Any]]] = {}  # group -> its hyperparameters, and these as numbers
        self._packs: defaultdict[int, Packs] = defaultdict(Packs)
        for group in groups_of(type(self).__name__, params):
            self.add_param_group(group)

    # --- groups -----------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters with hyperparameters of their own; those that are not given have the defaults."""
        others = list(self.parameters())
        group = checked_group(type(self).__name__, param_group, self.defaults, len(self.param_groups), others, self._real_only())
        self._check(self._at_step(group))
        self.param_groups.append(group)

    def _check(self, numbers: dict[str, Any]) -> None:
        """Raise ValueError for a hyperparameter outside its domain."""
        check(type(self).__name__, numbers, self.domains)

    def _at_step(self, group: dict[str, Any]) -> dict[str, Any]:
        """The hyperparameters of a group as numbers."""
        numbers = {}
        for name in self.hyperparameters:
            try:
                numbers[name] = at_step(group[name], self.steps)
            except ValueError as error:  # a schedule was asked outside its domain
                raise ValueError(f"{type(self).__name__}: {name}: {error}") from error
        return numbers

    # --- stepping ---------------------------------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change each parameter that has a gradient by the rule's formula; parameters without are left alone.

        closure  computes the loss anew, with its gradients, and returns it; called before the step
        returns  what the closure returned
        raises   ValueError or TypeError naming a parameter whose gradient has another shape or dtype, FloatingPointError
                 naming one whose gradient is not finite; then nothing has been changed
        """
        return super().step(closure)

    def ready(self) -> Ready:
        """Check the gradients and hyperparameters; what is left does the step, or counts it as skipped."""
        work: list[Work] = [(i, *self._gradients(i, group), self._numbers_of(i, group)) for i, group in enumerate(self.param_groups)]
        checks, tasks = self._prepare(work)
        if self.nonfinite != "ignore" and not self._all_finite(checks):
            if self.nonfinite == "raise":
                raise self._not_finite(work)
            return Ready(False, lambda: [set_attributes(self, skipped_steps=self.skipped_steps + 1)])
        return Ready(True, partial(self._changes, tasks))

    def _changes(self, tasks: list[Task]) -> Changes:
        # From the end: the gradients that were checked last are still in the cache.
        return [*changes_of(tasks[::-1], self._workspaces), set_attributes(self, steps=self.steps + 1)]

    def _all_finite(self, checks: list[Task]) -> bool:
        return all(quietly(run_all, checks, self._workspaces))  # once for all of them: it holds in their threads too

    def _numbers_of(self, i: int, group: dict[str, Any]) -> dict[str, Any]:
        """The hyperparameters of a group at this step, checked; those of the last step if nothing can have changed."""
        values = [group[name] for name in self.hyperparameters]
        known, numbers = self._checked.get(i, (None, {}))
        if values != known:
            numbers = self._at_step(group)
            self._check(numbers)
            self._checked[i] = (None if any(map(is_changeable, values)) else values), numbers
        return numbers

    def _gradients(self, i: int, group: dict[str, Any]) -> tuple[list[Any], list[Any]]:
        """The parameters of a group that have a gradient, and these as arrays."""
        parameters, gradients = [], []
        for place, parameter in enumerate(group["params"]):
            grad = parameter.grad
            if grad is None:
                continue
            array, data = grad.data if isinstance(grad, ag.Tensor) else grad, parameter.data
            if array.shape != data.shape:
                raise ValueError(f"{type(self).__name__}: {label_of(group, place, i)} has shape {data.shape}, but its gradient {array.shape}")
            if array.dtype != data.dtype:
                raise TypeError(f"{type(self).__name__}: {label_of(group, place, i)} has dtype {data.dtype}, but its gradient {array.dtype}")
            if isinstance(data, np.ndarray) and not data.flags.writeable:
                raise ValueError(f"{type(self).__name__}: {label_of(group, place, i)} is a read-only array, which no step can change; copy it first")
            parameters.append(parameter)
            gradients.append(array)
        return parameters, gradients

    def _prepare(self, work: list[Work]) -> tuple[list[Task], list[Task]]:
        """What will tell whether the gradients are finite, and what will do the step. Nothing is changed yet."""
        checks: list[Task] = []
        tasks: list[Task] = []
        for i, parameters, gradients, hyperparameters in work:
            if not getattr(self.rule, "per_element", False) or not all(isinstance(g, np.ndarray) for g in gradients):
                for p, g in zip(parameters, gradients, strict=True):
                    if not p.size:
                        continue  # nothing to step, and norms and means of nothing are no numbers
                    checks.append((g.size, partial(is_finite, g)))
                    tasks.append((g.size, partial(changes_whole, self.rule, p, g, self.state[p], hyperparameters)))
                continue
            packs, places = self._packs[i].of(parameters, [g.dtype for g in gradients], self.state, self._owns)
            for pack, chosen in zip(packs, places, strict=True):
                pack.take_gradients([gradients[k] for k in chosen])
                checks.append((pack.size, pack.is_finite))
                tasks.append((pack.size, partial(pack.changes, self.rule, hyperparameters)))
        return checks, tasks

    def _real_only(self) -> str:
        """The name of the rule that would be wrong for complex parameters, or ""."""
        return str(self.rule.__name__) if getattr(self.rule, "real_only", False) else ""

    def _owns(self, name: str) -> bool:
        """Whether that part of a parameter's state is the rule's; in a chain, some are of links before it."""
        return True

    def _not_finite(self, work: list[Work]) -> FloatingPointError:
        """The error that names the first parameter whose gradient is not finite."""
        i, parameter = next((i, p) for i, parameters, gradients, _ in work for p, g in zip(parameters, gradients, strict=True) if not is_finite(g))
        group = self.param_groups[i]
        place = next(k for k, p in enumerate(group["params"]) if p is parameter)
        return FloatingPointError(
            f"{type(self).__name__}: the gradient of {label_of(group, place, i)} (shape {parameter.shape}) is not finite; nothing was changed. "
            'Clip gradients or lower lr, or pass nonfinite="skip" to leave such steps out'
        )

    # --- state ------------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """The state as plain data, with torch's keys: "state" (place of the parameter -> its state) and "param_groups"."""
        place = {id(p): i for i, p in enumerate(p for g in self.param_groups for p in g["params"])}
        state = {place[id(p)]: copy.deepcopy(entry) for p, entry in self.state.items() if entry}
        groups = [
            {**{name: saved(value) for name, value in group.items() if name != "params"}, "params": [place[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups, "steps": self.steps, "skipped_steps": self.skipped_steps}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a `state_dict`, of this class or of torch's optimizer of the same name.

        raises  KeyError or ValueError naming the group, parameter or state that does not fit; then nothing has been changed
        """
        super().load_state_dict(state_dict)

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        self._check_state(state_dict)
        groups = state_dict["param_groups"]
        state = {}
        for number, (group, other) in enumerate(zip(self.param_groups, groups, strict=True)):
            for i, (parameter, key) in enumerate(zip(group["params"], other["params"], strict=True)):
                if key in state_dict["state"]:
                    state[id(parameter)] = self._loaded_entry(parameter, state_dict["state"][key], label_of(group, i, number))
        hyperparameters = [
            {name: loaded(value, group.get(name), name) for name, value in other.items() if name not in ("params", "param_names")}
            for group, other in zip(self.param_groups, groups, strict=True)
        ]
        for values in hyperparameters:
            self._check({name: at_step(v, self.steps) for name, v in values.items() if name in self.hyperparameters})
        youngest = max((int(entry.get("step", 0)) for entry in state.values()), default=0)
        counts = {"steps": int(state_dict.get("steps", youngest)), "skipped_steps": int(state_dict.get("skipped_steps", 0))}
        schedules = [resuming(other[name], value) for other, values in zip(groups, hyperparameters, strict=True) for name, value in values.items()]
        return [
            *(change for changes in schedules for change in changes),
            *holds(self.state, {p: state[id(p)] for p in self.parameters() if id(p) in state}),
            self._packs.clear,
            *(partial(group.update, values) for group, values in zip(self.param_groups, hyperparameters, strict=True)),
            set_attributes(self, **counts),
        ]

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        """Raise KeyError, ValueError or TypeError unless a state is of an optimizer like this one."""
        name = type(self).__name__
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{name}: a state is a dict, as state_dict() gives it, not a {type(state_dict).__name__}")
        if missing := {"param_groups", "state"} - state_dict.keys():
            raise KeyError(f"{name}: the state lacks {', '.join(sorted(missing))}; it is not of an optimizer")
        groups, entries = state_dict["param_groups"], state_dict["state"]
        if not isinstance(groups, list | tuple) or not all(isinstance(g, Mapping) and isinstance(g.get("params"), list | tuple) for g in groups):
            raise ValueError(f"{name}: the state's param_groups must be a list of dicts with a list of 'params'; it is damaged")
        if not isinstance(entries, Mapping) or not all(isinstance(entry, Mapping) for entry in entries.values()):
            raise ValueError(f"{name}: the state's 'state' must be a dict of dicts; it is damaged")
        lengths, own = [len(g["params"]) for g in groups], [len(g["params"]) for g in self.param_groups]
        if lengths != own:
            raise ValueError(f"{name}: the state is of groups of {lengths} parameters, but this optimizer has groups of {own}")
        for group, other in zip(self.param_groups, groups, strict=True):
            strange = (other.keys() - group.keys()) & DOMAINS.keys()  # other names may be a user's own
            if strange:
                raise ValueError(f"{name}: the state is of another optimizer: it has {', '.join(sorted(strange))}, which is unknown here")

    def _loaded_entry(self, parameter: Any, saved: Mapping[str, Any], label: str) -> dict[str, Any]:
        shape = parameter.shape if getattr(self.rule, "per_element", False) else None
        return loaded_entry(saved, wide_dtype(parameter.dtype), shape, f"{type(self).__name__}: {label}")

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines.extend(f"    {name}: {value}" for name, value in sorted(group.items()) if name not in ("params", "param_names"))
        return "\n".join([*lines, ")"])


def is_finite(array: Any, _: Any = None) -> bool:
    """Whether all elements are finite."""
    return bool(quietly(np.isfinite, array).all())
