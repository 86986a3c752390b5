"""Rules by family, one file each.

The families of the operators are imported with the package. The others are imported when a function is met that has no rule
yet, all at once: they would be most of the time of `import autograd_core`. Those for SciPy's functions (scipy_special.py) wait
until the program itself has imported that part of SciPy, which takes four times as long as NumPy.

Read `elementwise.py` first. This room must not know transforms and instruments: a rule is arithmetic.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Iterable

__all__ = ["AT_IMPORT", "due", "load"]

AT_IMPORT = ("constants", "elementwise", "reductions")


@functools.cache
def _families() -> tuple[str, ...]:
    import pkgutil  # likewise only when a function is met that has no rule yet

    return tuple(module.name for module in pkgutil.iter_modules(__path__))


def due() -> list[str]:
    """The families that are not imported yet and whose functions the program can have met."""
    waiting = [name for name in _families() if f"autograd_core.rules.{name}" not in sys.modules]
    return [name for name in waiting if not name.startswith("scipy_") or ".".join(name.split("_")[:2]) in sys.modules]


def load(families: Iterable[str] | None = None) -> bool:
    """Import the rules of `families`, by default of all that are due; whether there were any."""
    families = due() if families is None else list(families)
    for family in families:
        importlib.import_module(f"autograd_core.rules.{family}")
    return bool(families)
