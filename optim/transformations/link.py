"""What a link is, and how any rule becomes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from optim.rules.common import State, Step

__all__ = ["Link", "link", "masked"]


@dataclass(frozen=True)
class Link:
    """A rule with its hyperparameters.

    survey  for a rule that has to know the updates of all parameters: updates -> further hyperparameters
    label   what it is called among the hyperparameters, if not by the rule's name
    """

    rule: Callable[..., Step]
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    survey: Callable[[Sequence[Any]], dict[str, Any]] | None = None
    label: str = ""

    @property
    def name(self) -> str:
        """The label, or the rule's name without a leading underscore."""
        return self.label or getattr(self.rule, "__name__", "link").strip("_")

    @property
    def is_ours(self) -> bool:
        """Whether the rule is of this package, so that it is known what its hyperparameters may be."""
        rule = self.rule.keywords.get("rule", self.rule.func) if isinstance(self.rule, partial) else self.rule
        return str(getattr(rule, "__module__", "")).startswith("optim.")

    @property
    def per_element(self) -> bool:
        """Whether the rule treats every element alike and alone."""
        return bool(getattr(self.rule, "per_element", False))


def link(rule: Callable[..., Step], **hyperparameters: Any) -> Link:
    """Any rule of `optim.rules`, or one of your own, as a link. A rule that has a step size gives an update ready to be added.

    Marked with `optim.rules.per_element`, it is run on many parameters at once, and without temporary arrays.
    """
    return Link(rule, hyperparameters)


def masked(inner: Link, chosen: Callable[[Any], bool]) -> Link:
    """`inner` for the parameters that are chosen; the updates of the others stay as they are.

    chosen  the parameter's array -> whether it is; `lambda p: p.ndim > 1` leaves out biases and scales of normalisations

    >>> import autograd_core as ag, optim
    >>> from optim.transformations import add_decayed_weights, masked, scale
    >>> w, b = ag.tensor([[1.0]], requires_grad=True), ag.tensor([1.0], requires_grad=True)
    >>> optimizer = optim.Chain([w, b], masked(add_decayed_weights(0.5), lambda p: p.ndim > 1), scale(-1.0))
    >>> (0 * w.sum() + 0 * b.sum()).backward(); optimizer.step(); w.item(), b.item()
    (0.5, 1.0)
    """
    if inner.survey is not None:
        raise ValueError(f"masked: {inner.name} looks at the updates of all parameters; it cannot leave some out")

    return Link(partial(_masked, rule=inner.rule, chosen=chosen), inner.hyperparameters, label=f"masked_{inner.name}")


def _masked(u: Any, p: Any, state: State, *, rule: Callable[..., Step], chosen: Callable[[Any], bool], **hyperparameters: Any) -> Step:
    return rule(u, p, state, **hyperparameters) if chosen(p) else (u, {})
