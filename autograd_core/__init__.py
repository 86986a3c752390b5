"""NumPy, differentiated: a tape-based, define-by-run, reverse-mode automatic differentiation engine."""

import importlib
from typing import TYPE_CHECKING, Any

from autograd_core.backward import gradient
from autograd_core.define import composed, constant, defvjp, op
from autograd_core.grad_mode import enable_grad, is_grad_enabled, no_grad, observer, scope
from autograd_core.samples import call
from autograd_core.tensor import Tensor, tensor
from autograd_core import rules, table

rules.load(rules.AT_IMPORT)
table.load_on_miss(rules.load)

# Instruments are imported when first used, so that `import autograd_core` stays quick: public name -> module.
_ON_FIRST_USE = {**dict.fromkeys(("elementwise_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "stop_gradient", "value_and_grad", "vjp"), "transforms"), "GradcheckError": "gradcheck", "detect_anomaly": "anomaly", "gradcheck": "gradcheck", "draw": "drawing", "record": "drawing", "tape": "listing"}
if TYPE_CHECKING:
    from autograd_core.anomaly import detect_anomaly
    from autograd_core.gradcheck import GradcheckError, gradcheck
    from autograd_core.drawing import draw, record
    from autograd_core.listing import tape
    from autograd_core.transforms import elementwise_grad, grad, hessian, hvp, jacobian, jvp, stop_gradient, value_and_grad, vjp


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f"autograd_core.{_ON_FIRST_USE[name]}"), name)
    return value
