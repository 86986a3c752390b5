"""What wrappers share: they look like the optimizer inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optim.stepping import Stepper

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

    def ready(self) -> Callable[[], None]:
        """The optimizer inside is."""
        run: Callable[[], None] = self.optimizer.ready()
        return run

    def state_dict(self) -> dict[str, Any]:
        """The state of the optimizer inside, and the wrapper's own."""
        return {"optimizer": self.optimizer.state_dict(), **self._own_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a `state_dict` of the same kind of wrapper."""
        missing = ({"optimizer"} | self._own_state().keys()) - state_dict.keys()
        if missing:
            raise KeyError(f"{type(self).__name__}: the state lacks {', '.join(sorted(missing))}; it is of another kind of optimizer")
        self._load_own_state(state_dict)
        self.optimizer.load_state_dict(state_dict["optimizer"])

    def _own_state(self) -> dict[str, Any]:
        return {}

    def _load_own_state(self, state_dict: Mapping[str, Any]) -> None:
        pass

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.optimizer!r})"
