"""What a parameter group is made of, and what may be a parameter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import autograd_core as ag
from optim.hyperparameters import refuse_unknown

__all__ = ["checked_group", "groups_of", "label_of"]

# What a group may hold besides hyperparameters: the first by its user, the others by schedulers.
GROUP_KEYS = frozenset({"params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum", "swa_lr"})


def groups_of(owner: str, params: Any) -> list[Any]:
    """The groups that `params` stand for: tensors, (name, tensor) pairs, or groups already; TypeError for a mixture."""
    if isinstance(params, ag.Tensor):
        raise TypeError(f"{owner}: params must be an iterable of tensors, such as model.parameters(); put the tensor into a list")
    if hasattr(params, "parameters") and callable(params.parameters):
        raise TypeError(f"{owner}: params must be tensors, not the module {type(params).__name__} itself; write {owner}(model.parameters(), ...)")
    if not isinstance(params, Iterable):
        raise TypeError(f"{owner}: params must be an iterable of tensors, such as model.parameters(), not {type(params).__name__}")
    given = list(params)
    if not given:
        raise ValueError(f"{owner}: got no parameters; an iterator that was used up already gives none")
    dicts = [isinstance(group, dict) for group in given]
    if any(dicts) and not all(dicts):
        stranger = given[dicts.index(False)]
        raise TypeError(f"{owner}: params has both groups and a {type(stranger).__name__}; put it into a group, a dict with 'params'")
    return given if all(dicts) else [{"params": given}]


def checked_group(
    owner: str, group: Mapping[str, Any], defaults: Mapping[str, Any], number: int, others: Iterable[Any], real_only: str
) -> dict[str, Any]:
    """A group with all hyperparameters and a list of parameters.

    number     of the group, for errors
    others     parameters of the other groups
    real_only  name of the rule that cannot have complex parameters, or ""
    raises     TypeError or ValueError naming a hyperparameter that is unknown, or a parameter that cannot be optimised
    """
    refuse_unknown(owner, group.keys() - defaults.keys() - GROUP_KEYS, defaults)
    if "params" not in group:
        raise ValueError(f"{owner}: group {number} has no 'params', only {', '.join(map(repr, group))}")
    group = {**defaults, **group}
    params = [group["params"]] if isinstance(group["params"], ag.Tensor) else list(group["params"])
    if params and isinstance(params[0], tuple):
        group["param_names"] = [name for name, _ in params]
        params = [parameter for _, parameter in params]
    taken = {id(p) for p in others}
    for place, parameter in enumerate(params):
        label = f"{owner}: {label_of(group, place, number)}"
        _check_parameter(label, parameter, real_only)
        if id(parameter) in taken:
            raise ValueError(f"{label} was given before; each parameter belongs to one group")
        taken.add(id(parameter))
    return {**group, "params": params}


def _check_parameter(label: str, parameter: Any, real_only: str) -> None:
    if not isinstance(parameter, ag.Tensor):
        raise TypeError(f"{label} is a {type(parameter).__name__}; only tensors can be optimised")
    if parameter.dtype.kind not in "fc":
        raise TypeError(f"{label} has dtype {parameter.dtype}; only floating-point tensors can be optimised")
    if parameter.dtype.kind == "c" and real_only:
        raise TypeError(f"{label} is complex, but {real_only} is for real numbers only; give it two real parameters, or choose Adam")
    if not parameter.is_leaf:
        raise ValueError(f"{label} was computed (by {parameter!r:.60}); only leaves can be optimised")


def label_of(group: Mapping[str, Any], place: int, number: int) -> str:
    """What errors call the parameter at `place` of group `number`."""
    names = group.get("param_names")
    return f"parameter {names[place]!r}" if names else f"parameter {place} of group {number}"
