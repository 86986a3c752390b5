"""What wrappers share: they look like the optimizer inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from optim.optimizer import Optimizer

__all__ = ["Wrapper"]


class Wrapper:
    """Passes on to the optimizer inside what a subclass does not do itself."""

    def __init__(self, optimizer: Optimizer | Wrapper) -> None:
        if not isinstance(optimizer, Optimizer | Wrapper):
            raise TypeError(f"{type(self).__name__}: optimizer must be an optimizer, not {type(optimizer).__name__}")
        self.optimizer = optimizer

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of the optimizer inside."""
        return self.optimizer.param_groups

    @property
    def defaults(self) -> dict[str, Any]:
        """The default hyperparameters of the optimizer inside."""
        return self.optimizer.defaults

    @property
    def state(self) -> Any:
        """The state of the optimizer inside."""
        return self.optimizer.state

    def parameters(self) -> Iterator[Any]:
        """All parameters."""
        return (p for group in self.param_groups for p in group["params"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients."""
        self.optimizer.zero_grad(set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the optimizer inside."""
        return self.optimizer.step(closure)

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
