"""NumPy, differentiated: a tape-based, define-by-run, reverse-mode automatic differentiation engine."""

import importlib
from typing import TYPE_CHECKING, Any

from autograd_core import rules, table
from autograd_core.backward import gradient
from autograd_core.batching.array import BatchingError
from autograd_core.collector import watch_collections
from autograd_core.define import composed, constant, defvjp, op
from autograd_core.grad_mode import enable_grad, is_grad_enabled, no_grad, observer, scope
from autograd_core.gradcheck import GradcheckError, gradcheck
from autograd_core.layers import for_all, for_any
from autograd_core.samples import call
from autograd_core.tensor import Tensor, tensor

__all__ = [
    "AnomalyError",
    "BatchingError",
    "GradcheckError",
    "Tensor",
    "assert_no_leak",
    "call",
    "checkpoint",
    "checkpoint_chain",
    "composed",
    "constant",
    "custom_vjp",
    "defvjp",
    "detect_anomaly",
    "diff",
    "draw",
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
    "value_and_grad",
    "vjp",
    "vmap",
]

rules.load(rules.AT_IMPORT)
watch_collections()
table.load_on_miss(rules.load)

# Instruments are imported when first used, so that `import autograd_core` stays quick: module -> its public names.
_ON_FIRST_USE = {
    "anomaly": ("AnomalyError", "detect_anomaly"),
    "chains": ("checkpoint_chain",),
    "checkpointing": ("checkpoint",),
    "custom_gradients": ("custom_vjp",),
    "drawing": ("diff", "draw", "record"),
    "implicit": ("fixed_point", "root"),
    "ledger": ("assert_no_leak", "memory"),
    "linalg": ("linalg",),
    "listing": ("tape",),
    "profiling": ("profile",),
    "saved_tensors": ("saved_tensors_hooks",),
    "saving": ("save_as", "save_on_disk"),
    "sparse": ("sparse_hessian", "sparse_jacobian", "sparsity"),
    "special": ("special",),
    "testing": ("testing",),
    "mapping": ("vmap",),
    "transforms": (
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
    "vectors": ("flatten",),
}
_MODULE_OF = {name: module for module, names in _ON_FIRST_USE.items() for name in names}

if TYPE_CHECKING:
    from autograd_core import linalg, special, testing
    from autograd_core.anomaly import AnomalyError, detect_anomaly
    from autograd_core.chains import checkpoint_chain
    from autograd_core.checkpointing import checkpoint
    from autograd_core.custom_gradients import custom_vjp
    from autograd_core.drawing import diff, draw, record
    from autograd_core.implicit import fixed_point, root
    from autograd_core.ledger import assert_no_leak, memory
    from autograd_core.listing import tape
    from autograd_core.mapping import vmap
    from autograd_core.profiling import profile
    from autograd_core.saved_tensors import saved_tensors_hooks
    from autograd_core.saving import save_as, save_on_disk
    from autograd_core.sparse import sparse_hessian, sparse_jacobian, sparsity
    from autograd_core.transforms import (
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
    from autograd_core.vectors import flatten


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"autograd_core.{_MODULE_OF[name]}")
    value = globals()[name] = getattr(module, name, module)  # ag.testing is the module itself
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
