"""`quietly`: a call during which NumPy warns of nothing."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["quietly"]


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)` with all of NumPy's floating-point warnings off.

    In a context of its own: the setting is forgotten with it, also if an interrupt comes in the last moment, where `with np.errstate(...)`
    would leave it on.
    """
    return contextvars.copy_context().run(_run, function, args)


def _run(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    np.seterr(all="ignore")
    return function(*args)
