"""`Chain`: an optimizer composed of transformations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np

from optim.optimizer import Optimizer, Options, Work, is_finite
from optim.parallel import Task
from optim.rules.common import State, Step
from optim.transformations import Link

__all__ = ["Chain"]


class Chain(Optimizer):
    """Gives the gradient to the first link, its update to the next one, and so on; adds the last update to the parameter.

    links  see `optim.transformations`; their hyperparameters appear in the groups as "name.hyperparameter"

    A chain whose links all treat every element alone, but for a first one that may look at all gradients, is one rule: it runs
    as quickly as the optimizers that have a name.

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
            same = sum(other.name == link.name for other in links[: len(self.links)])
            self.links[f"{link.name}{same + 1}" if same else link.name] = link
        defaults = {f"{name}.{key}": value for name, link in self.links.items() for key, value in link.hyperparameters.items()}
        one_rule = all(link.per_element and (link.survey is None or k == 0) for k, link in enumerate(links))
        super().__init__(params, _OneRule(self.links) if one_rule else None, defaults, **options)

    def _prepare(self, work: list[Work]) -> tuple[list[Task], list[Task]]:
        if self.rule is None:
            checks: list[Task] = [(g.size, lambda _, g=g: is_finite(g)) for _, _, gradients, _ in work for g in gradients]  # type: ignore[misc]
            return checks, [(0, lambda _: self._run(work))]
        name, first = next(iter(self.links.items()))
        if first.survey is not None:
            surveyed = first.survey([g for _, _, gradients, _ in work for g in gradients])
            more = {f"{name}.{key}": value for key, value in surveyed.items()}
            work = [(i, parameters, gradients, hyperparameters | more) for i, parameters, gradients, hyperparameters in work]
        return super()._prepare(work)

    def _run(self, work: list[Work]) -> None:
        """All links for all parameters: link by link, because some have to see all updates."""
        rows = [(p, hyperparameters) for _, parameters, _, hyperparameters in work for p in parameters]
        updates = [g for _, _, gradients, _ in work for g in gradients]
        changed: list[State] = [{} for _ in rows]
        for name, link in self.links.items():
            surveyed = link.survey(updates) if link.survey is not None else {}
            for k, (p, hyperparameters) in enumerate(rows):
                updates[k], new = link.rule(updates[k], p.data, _own(self.state[p], name), **_own(hyperparameters, name), **surveyed)
                changed[k] |= {f"{name}.{key}": np.asarray(value) if isinstance(value, np.generic) else value for key, value in new.items()}
        for (p, _), update, new in zip(rows, updates, changed, strict=True):
            p.data[...] += update
            self.state[p].update(new)


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
