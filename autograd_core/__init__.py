"""NumPy, differentiated: a tape-based, define-by-run, reverse-mode automatic differentiation engine."""

import importlib
from typing import TYPE_CHECKING, Any

from autograd_core import rules
from autograd_core.arrays.batching.array import BatchingError
from autograd_core.arrays.layers import for_all, for_any
from autograd_core.define.door import composed, constant, defvjp, op
from autograd_core.define.samples import call
from autograd_core.gradcheck import GradcheckError, gradcheck
from autograd_core.tape.loading import load_on_miss
from autograd_core.tape.mode import enable_grad, is_grad_enabled, no_grad, observer, scope
from autograd_core.tape.numeric_warnings import warn_at_users_lines
from autograd_core.tensor.backward import gradient
from autograd_core.tensor.tensor import Tensor, tensor

__all__ = [
    "AnomalyError",
    "BatchingError",
    "GradcheckError",
    "Tensor",
    "assert_no_leak",
    "call",
    "checkpoint",
    "checkpoint_chain",
    "compile",
    "composed",
    "constant",
    "custom_vjp",
    "defvjp",
    "detect_anomaly",
    "diff",
    "draw",
    "drawn",
    "elementwise_grad",
    "enable_grad",
    "fixed_point",
    "flatten",
    "for_all",
    "for_any",
    "gauss_newton_vp",
    "grad",
    "gradcheck",
    "gradient",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "linalg",
    "linearize",
    "memory",
    "no_grad",
    "observer",
    "op",
    "profile",
    "record",
    "root",
    "save_as",
    "save_on_disk",
    "saved_tensors_hooks",
    "scope",
    "sparse_hessian",
    "sparse_jacobian",
    "sparsity",
    "special",
    "stop_gradient",
    "tape",
    "tensor",
    "testing",
    "untraced",
    "value_and_grad",
    "vjp",
    "vmap",
]

__version__ = "0.1.0"  # the only place: pyproject.toml reads it here

rules.load(rules.AT_IMPORT)
load_on_miss(rules.load)
warn_at_users_lines()

# Two rooms are called like public functions, `ag.tape` and `ag.memory`. Importing a room binds its name here once, and never again.
for _room in ("memory", "tape"):
    importlib.import_module(f"autograd_core.{_room}")
    del globals()[_room]

# Instruments are imported when first used, so that `import autograd_core` stays quick: module -> its public names.
_ON_FIRST_USE = {
    "compiling.compiled": ("compile",),
    "compiling.untraced": ("drawn", "untraced"),
    "drawing": ("diff", "draw", "record"),
    "drawing.testing": ("testing",),
    "instruments.anomaly": ("AnomalyError", "detect_anomaly"),
    "instruments.listing": ("tape",),
    "instruments.profiling": ("profile",),
    "linalg": ("linalg",),
    "memory.chains": ("checkpoint_chain",),
    "memory.checkpointing": ("checkpoint",),
    "memory.ledger": ("assert_no_leak", "memory"),
    "memory.saved_tensors": ("saved_tensors_hooks",),
    "memory.saving": ("save_as", "save_on_disk"),
    "special": ("special",),
    "transforms.custom_vjp": ("custom_vjp",),
    "transforms.implicit": ("fixed_point", "root"),
    "transforms.sparse": ("sparse_hessian", "sparse_jacobian", "sparsity"),
    "transforms.transforms": (
        "elementwise_grad",
        "gauss_newton_vp",
        "grad",
        "hessian",
        "hvp",
        "jacobian",
        "jvp",
        "linearize",
        "stop_gradient",
        "value_and_grad",
        "vjp",
    ),
    "transforms.vectors": ("flatten",),
    "transforms.vmap": ("vmap",),
}
_MODULE_OF = {name: module for module, names in _ON_FIRST_USE.items() for name in names}

if TYPE_CHECKING:
    from autograd_core import linalg, special
    from autograd_core.compiling.compiled import compile  # noqa: A004
    from autograd_core.compiling.untraced import drawn, untraced
    from autograd_core.drawing import diff, draw, record, testing
    from autograd_core.instruments.anomaly import AnomalyError, detect_anomaly
    from autograd_core.instruments.listing import tape
    from autograd_core.instruments.profiling import profile
    from autograd_core.memory.chains import checkpoint_chain
    from autograd_core.memory.checkpointing import checkpoint
    from autograd_core.memory.ledger import assert_no_leak, memory
    from autograd_core.memory.saved_tensors import saved_tensors_hooks
    from autograd_core.memory.saving import save_as, save_on_disk
    from autograd_core.transforms.custom_vjp import custom_vjp
    from autograd_core.transforms.implicit import fixed_point, root
    from autograd_core.transforms.sparse import sparse_hessian, sparse_jacobian, sparsity
    from autograd_core.transforms.transforms import (
        elementwise_grad,
        gauss_newton_vp,
        grad,
        hessian,
        hvp,
        jacobian,
        jvp,
        linearize,
        stop_gradient,
        value_and_grad,
        vjp,
    )
    from autograd_core.transforms.vectors import flatten
    from autograd_core.transforms.vmap import vmap


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        from autograd_core.tensor.spellings import instead_of_function

        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{instead_of_function(name)}", name=name)
    module = importlib.import_module(f"autograd_core.{_MODULE_OF[name]}")
    value = globals()[name] = getattr(module, name, module)  # ag.testing is the module itself
    return value


def __dir__() -> list[str]:
    """The public names, for tab completion too; what else this file has to import is nobody's business."""
    return sorted([*__all__, *(name for name in globals() if name.startswith("__") and name.endswith("__"))])
