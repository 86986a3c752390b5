"""Rules by family, one file each.

The families of the operators are imported with the package. The others are imported when a function is met that has no rule
yet, all at once: they would be most of the time of `import autograd_core`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from autograd_core.define import trust_elementwise

__all__ = ["AT_IMPORT", "load", "on_first_use"]

AT_IMPORT = ("constants", "elementwise", "reductions")


def on_first_use() -> list[str]:
    """The other families: every other file of this folder but SciPy's, which are imported when SciPy is (scipy_*.py)."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    return [name for name in names if name not in AT_IMPORT and not name.startswith("scipy_")]


def load(families: Iterable[str] | None = None) -> None:
    """Import the rules of `families`, by default of all that are imported on first use."""
    for family in on_first_use() if families is None else families:
        importlib.import_module(f"autograd_core.rules.{family}")
    trust_elementwise()
