"""Computing without NumPy's warnings, in a context that is thrown away: there is nothing to restore that an interrupt could leave undone."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import numpy as np

__all__ = ["quietly"]


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` without warnings of overflow, division by zero and the like.

    >>> import numpy as np
    >>> quietly(np.log, 0.0)
    np.float64(-inf)
    """
    return copy_context().run(_quiet, function, args)


def _quiet(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    np.seterr(all="ignore")
    return function(*args)
