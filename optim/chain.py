"""`Chain`: an optimizer composed of transformations."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from optim.optimizer import Optimizer, Options, Work, is_finite
from optim.parallel import Task
from optim.transformations import Link

__all__ = ["Chain"]


class Chain(Optimizer):
    """Gives the gradient to the first link, its update to the next one, and so on; adds the last update to the parameter.

    links  see `optim.transformations`; their hyperparameters appear in the groups as "name.hyperparameter"

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
            same = sum(other.name == link.name for other in self.links.values())
            self.links[f"{link.name}{same + 1}" if same else link.name] = link
        defaults = {f"{name}.{key}": value for name, link in self.links.items() for key, value in link.hyperparameters.items()}
        super().__init__(params, None, defaults, **options)

    def _prepare(self, work: list[Work]) -> tuple[list[Task], list[Task]]:
        checks: list[Task] = [(g.size, lambda _, g=g: is_finite(g)) for _, _, gradients, _ in work for g in gradients]  # type: ignore[misc]
        return checks, [(0, lambda _: self._run(work))]

    def _run(self, work: list[Work]) -> None:
        """All links for all parameters: link by link, because some have to see all updates."""
        rows = [(p, hyperparameters) for _, parameters, _, hyperparameters in work for p in parameters]
        updates = [g for _, _, gradients, _ in work for g in gradients]
        changed: list[dict[str, Any]] = [{} for _ in rows]
        for name, link in self.links.items():
            prefix = f"{name}."
            surveyed = link.survey(updates) if link.survey is not None else {}
            for k, (p, hyperparameters) in enumerate(rows):
                own = {key.removeprefix(prefix): value for key, value in hyperparameters.items() if key.startswith(prefix)}
                state = {key.removeprefix(prefix): value for key, value in self.state[p].items() if key.startswith(prefix)}
                updates[k], new = link.rule(updates[k], p.data, state, **own, **surveyed)
                changed[k] |= {prefix + key: np.asarray(value) if isinstance(value, np.generic) else value for key, value in new.items()}
        for (p, _), update, new in zip(rows, updates, changed, strict=True):
            p.data[...] += update
            self.state[p].update(new)
