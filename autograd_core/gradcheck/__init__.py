"""The gradient checker compares the derivative that a function claims with the function itself.

`gradcheck` is the one verb. It differentiates the function numerically, with an error bound for every number, and compares;
what it finds comes back as a `Report`, or as a `GradcheckError` that names the argument and the element.

This file is imported with the engine, so it imports nothing heavy itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograd_core.gradcheck.report import Report

__all__ = ["GradcheckError", "gradcheck"]


class GradcheckError(AssertionError):
    """A derivative is wrong. `report` is the whole report."""

    def __init__(self, report: Any) -> None:
        super().__init__(str(report))
        self.report = report


def gradcheck(function: Callable[..., Any], *inputs: Any, order: int = 2, seed: int = 0, raise_on_failure: bool = True, **keywords: Any) -> Report:
    """Compare the derivatives of `function` at `inputs` with numeric ones, to the given order.

    function          an operation, a NumPy function with a rule, or a function of tensors
    inputs, keywords  its arguments; derivatives are checked for the floating-point and complex arrays among them
    order             1: the gradients; 2: also the gradients' own derivatives
    seed              for the random directions; the same seed gives the same report
    raise_on_failure  raise GradcheckError if something is wrong; otherwise return the report, which is false then
    raises            GradcheckError, TypeError if there is nothing to check

    >>> import numpy as np, autograd_core as ag
    >>> bool(ag.gradcheck(np.multiply, np.array([1.0, 2.0]), np.array([3.0, -4.0])))
    True
    """
    from autograd_core.gradcheck.check import check_call

    report = check_call(function, inputs, keywords, order=order, seed=seed)
    if raise_on_failure and not report:
        raise GradcheckError(report)
    return report
