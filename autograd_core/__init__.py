"""NumPy, differentiated: a tape-based, define-by-run, reverse-mode automatic differentiation engine."""

import importlib
from typing import TYPE_CHECKING, Any

from autograd_core.backward import gradient
from autograd_core.define import composed, constant, defvjp, op, trust_elementwise
from autograd_core.gradcheck import GradcheckError, gradcheck
from autograd_core.grad_mode import enable_grad, is_grad_enabled, no_grad, observer, scope
from autograd_core.samples import call
from autograd_core.tensor import Tensor, tensor
from autograd_core.rules import (  # noqa: F401
    constants,
    decompositions,
    differences,
    einsum,
    elementwise,
    indexing,
    joining,
    linalg,
    nan_reductions,
    norms,
    padding,
    products,
    ranges,
    rearranging,
    reductions,
    series,
    shapes,
    sorting,
    taking,
    updates,
    windows,
)

trust_elementwise()

# Instruments are imported when first used, so that `import autograd_core` stays quick: public name -> module.
_ON_FIRST_USE = {"draw": "drawing", "record": "drawing", "tape": "listing"}
if TYPE_CHECKING:
    from autograd_core.drawing import draw, record
    from autograd_core.listing import tape


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"autograd_core.{_ON_FIRST_USE[name]}"), name)
    return value
