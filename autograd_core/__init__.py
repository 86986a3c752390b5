"""NumPy, differentiated: a tape-based, define-by-run, reverse-mode automatic differentiation engine."""

from autograd_core.backward import gradient
from autograd_core.define import composed, constant, defvjp, op
from autograd_core.gradcheck import GradcheckError, gradcheck
from autograd_core.grad_mode import enable_grad, is_grad_enabled, no_grad
from autograd_core.listing import tape
from autograd_core.tensor import Tensor, tensor
from autograd_core.rules import elementwise, reductions  # noqa: F401
