"""What wrappers share: they look like the optimizer inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optim.at_once import Changes
from optim.stepping import Ready, Stepper

__all__ = ["Wrapper"]


class Wrapper(Stepper):
    """Passes on to the optimizer inside what a subclass does not do itself."""

    def __init__(self, optimizer: Any) -> None:
        if not isinstance(optimizer, Stepper):
            raise TypeError(f"{type(self).__name__}: optimizer must be an optimizer, not {type(optimizer).__name__}")
        self.optimizer: Any = optimizer

    @property
    def needs_closure(self) -> bool:
        """Whether the optimizer inside does."""
        return bool(self.optimizer.needs_closure)

    @property
    def closure_gives(self) -> str:
        """What the optimizer inside wants."""
        return str(self.optimizer.closure_gives)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the optimizer inside."""
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        return groups

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters to the optimizer inside."""
        self.optimizer.add_param_group(param_group)

    @property
    def steps(self) -> int:
        """How many steps the optimizer inside has done."""
        return int(self.optimizer.steps)

    @property
    def skipped_steps(self) -> int:
        """How many steps the optimizer inside has left out because of non-finite gradients."""
        return int(self.optimizer.skipped_steps)

    @property
    def defaults(self) -> dict[str, Any]:
        """The default hyperparameters of the optimizer inside."""
        defaults: dict[str, Any] = self.optimizer.defaults
        return defaults

    @property
    def state(self) -> Any:
        """The state of the optimizer inside."""
        return self.optimizer.state

    def ready(self) -> Ready:
        """The optimizer inside is."""
        inside: Ready = self.optimizer.ready()
        return inside

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizer inside, and the wrapper's own."""
        return {"optimizer": self.optimizer.state_dict(), **self._own_state()}

    def loading(self, state_dict: Mapping[str, Any]) -> Changes:
        """Check a state of the same kind of wrapper; the changes that are left to be made."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"{type(self).__name__}: a state is a dict, as state_dict() gives it, not a {type(state_dict).__name__}")
        missing = ({"optimizer"} | self._own_state().keys()) - state_dict.keys()
        if missing:
            raise KeyError(f"{type(self).__name__}: the state lacks {', '.join(sorted(missing))}; it is of another kind of optimizer")
        return [*self._loading_own(state_dict), *self.optimizer.loading(state_dict["optimizer"])]

    def _own_state(self) -> dict[str, Any]:
        return {}

    def _loading_own(self, state_dict: Mapping[str, Any]) -> Changes:
        return []

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.optimizer!r})"
