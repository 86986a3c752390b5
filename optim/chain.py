"""`Chain`: an optimizer composed of transformations."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

import numpy as np

from optim.at_once import Changes
from optim.hyperparameters import loaded_entry
from optim.optimizer import Optimizer, Options, Work, is_finite
from optim.parallel import Task, changes_of
from optim.precision import wide, wide_dtype
from optim.rules.common import State, Step
from optim.transformations import Link

__all__ = ["Chain"]


class Chain(Optimizer):
    """Gives the gradient to the first link, its update to the next one, and so on; adds the last update to the parameter.

    links  see `optim.transformations`; their hyperparameters appear in the groups as "name.hyperparameter"

    The last links that treat every element alone (the first of them may look at all updates, as clipping by the global norm
    does) are run as one rule, as quickly as the optimizers that have a name.

    >>> import autograd_core as ag, optim
    >>> from optim.transformations import clip, scale, trace
    >>> x = ag.tensor([4.0], requires_grad=True)
    >>> optimizer = optim.Chain([x], clip(1.0), trace(0.9), scale(-0.5))
    >>> (x * x).sum().backward(); optimizer.step(); x
    tensor([3.5], requires_grad=True)
    """

    def __init__(self, params: Any, *links: Link, **options: Unpack[Options]) -> None:
        if not links:
            raise ValueError("Chain: got no links; the shortest chain that trains is scale(-lr)")
        self.links: dict[str, Link] = {}
        for link in links:
            if not isinstance(link, Link):
                raise TypeError(f"Chain: {link!r} is no link; make one with optim.transformations, link(rule, ...) among them")
            if isinstance(link.rule, partial):  # with its random numbers: another chain with this link gets the same ones
                link = replace(link, rule=copy.deepcopy(link.rule))
            same = sum(other.name == link.name for other in links[: len(self.links)])
            self.links[f"{link.name}{same + 1}" if same else link.name] = link
        defaults = {f"{name}.{key}": value for name, link in self.links.items() for key, value in link.hyperparameters.items()}
        names = list(self.links)
        single = next((k for k in range(len(links)) if _is_one_rule(links[k:])), len(links))
        self.head = {name: self.links[name] for name in names[:single]}
        self.tail = {name: self.links[name] for name in names[single:]}
        super().__init__(params, _OneRule(self.tail), defaults, **options)

    def _check(self, numbers: dict[str, Any]) -> None:
        # What a name means in a user's own rule is not known.
        super()._check({name: value for name, value in numbers.items() if self.links[name.partition(".")[0]].is_ours})

    def _prepare(self, work: list[Work]) -> tuple[list[Task], list[Task]]:
        if not self.head:
            return super()._prepare(self._surveyed(work))
        checks: list[Task] = [(g.size, partial(is_finite, g)) for _, _, gradients, _ in work for g in gradients]
        return checks, [(0, lambda _: self._changes_of(work))]

    def _changes_of(self, work: list[Work]) -> Changes:
        """The head link by link, because some links have to see all updates; then the tail at once."""
        work = [(i, *_not_empty(parameters, gradients), hyperparameters) for i, parameters, gradients, hyperparameters in work]
        changed: dict[Any, State] = {p: {} for _, parameters, _, _ in work for p in parameters}
        for name, link in self.head.items():
            surveyed = link.survey([u for _, _, updates, _ in work for u in updates]) if link.survey is not None else {}
            for _, parameters, updates, hyperparameters in work:
                own = _own(hyperparameters, name) | surveyed
                for k, p in enumerate(parameters):
                    updates[k], new = link.rule(wide(updates[k]), wide(p.data), _own(self.state[p], name), **own)
                    changed[p] |= {f"{name}.{key}": np.asarray(value) if isinstance(value, np.generic) else value for key, value in new.items()}
        _, tasks = super()._prepare(self._surveyed(work))
        return [*(partial(self.state[p].update, new) for p, new in changed.items()), *changes_of(tasks, self._workspaces)]

    def _real_only(self) -> str:
        # Links before the tail are given whole arrays, so that those of per-element rules would be complex ones.
        return next((name for name, link in self.head.items() if _is_for_reals(link.rule)), "")

    def _owns(self, name: str) -> bool:
        return name.partition(".")[0] in self.tail

    def _loaded_entry(self, parameter: Any, saved: Mapping[str, Any], label: str) -> dict[str, Any]:
        entry = super()._loaded_entry(parameter, {name: value for name, value in saved.items() if self._owns(name)}, label)
        others = {name: value for name, value in saved.items() if not self._owns(name)}
        return entry | loaded_entry(others, wide_dtype(parameter.dtype), None, label)

    def _surveyed(self, work: list[Work]) -> list[Work]:
        """The work with what the tail's first link wants to know about all updates."""
        name, first = next(iter(self.tail.items()), ("", None))
        if first is None or first.survey is None:
            return work
        more = {f"{name}.{key}": value for key, value in first.survey([u for _, _, updates, _ in work for u in updates]).items()}
        return [(i, parameters, updates, hyperparameters | more) for i, parameters, updates, hyperparameters in work]


def _is_for_reals(rule: Any) -> bool:
    """Whether a rule, or the one inside `masked`, is wrong for a whole complex array."""
    inner = rule.keywords.get("rule", rule.func) if isinstance(rule, partial) else rule
    return getattr(inner, "per_element", False) or getattr(inner, "real_only", False)


def _is_one_rule(links: Sequence[Link]) -> bool:
    """Whether the links together treat every element alone, but for what the first one wants to know about all updates."""
    return all(link.per_element and (link.survey is None or k == 0) for k, link in enumerate(links))


def _not_empty(parameters: list[Any], gradients: list[Any]) -> tuple[list[Any], list[Any]]:
    """The parameters that have elements, and their gradients, in new lists."""
    places = [k for k, p in enumerate(parameters) if p.size]
    return [parameters[k] for k in places], [gradients[k] for k in places]


def _own(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What in `values` is of the link `name`, by the names that the link itself uses."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in values.items() if key.startswith(prefix)}


class _OneRule:
    """The links as one per-element rule; a class, because a function made here could not be pickled."""

    per_element = True

    def __init__(self, links: Mapping[str, Link]) -> None:
        self.links = links

    def __call__(self, g: Any, p: Any, state: State, **hyperparameters: Any) -> Step:
        new: State = {}
        for name, link in self.links.items():
            g, changed = link.rule(g, p, _own(state, name), **_own(hyperparameters, name))
            new |= {f"{name}.{key}": value for key, value in changed.items()}
        return g, new
