"""The gradient checker compares the derivative that a function claims with the function itself.

`gradcheck` is the one verb. It differentiates the function numerically, with an error bound for every number, and compares;
what it finds comes back as a `Report`, or as a `GradcheckError` that names the argument and the element.

The shelves, each resting on those before it: subjects/ (what is checked), numeric/ (derivatives and their error bounds), inputs/ (other
arguments of the same kind), diagnosis/ (from a disagreement to its cause), report/, check/ (every look that is taken, in order). Read
`check/check.py` first. This room must not know the rules that it checks, nor the transforms made of them.

This file is imported with the engine, so it imports nothing heavy itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autograd_core.gradcheck.report.report import Report

__all__ = ["GradcheckError", "gradcheck"]


class GradcheckError(AssertionError):
    """A derivative is wrong. `report` is the whole report."""

    def __init__(self, report: Any) -> None:
        super().__init__(str(report))
        self.report = report


def gradcheck(
    function: Any,
    *inputs: Any,
    order: int = 2,
    seed: int = 0,
    raise_on_failure: bool = True,
    vary: bool = True,
    budget: float = 30.0,
    **keywords: Any,
) -> Report:
    """Check that the gradient which `function` claims is its derivative: |given - numeric| within the numeric one's own error bound.

    function          an operation, a NumPy function with a rule, a function of tensors, a module with its parameters, or a pair
                      (forward, backward) of plain NumPy functions: backward(g, *inputs) gives the gradients of the inputs.
                      Also understood, by the names of the parameters: backward(g, out, *inputs) with the result, any of these by
                      name, backward(*inputs, g), backward(g, cache) or (cache, g) where forward returns (out, cache), backward(g)
                      of an object that keeps its inputs, and backward(out, *inputs) that returns a function of g. It returns one
                      gradient, one per input (None for integers), or a dict by names
    inputs, keywords  its arguments; derivatives are checked for the floating-point and complex arrays among them. Without any,
                      the samples of the operation are used, or arguments that it is found to accept
    order             1: the gradients; 2: also the gradients' own derivatives, and so on
    seed              of everything random; the same seed gives the same report
    raise_on_failure  raise GradcheckError if something is wrong; otherwise return the report, which is false then
    vary              also try the checker's own variations of the inputs: signs, zeros, ties, sizes, shapes, parameters
    budget            seconds after which no further variation is begun; the report says what was left out
    returns           a Report: its truth value, `findings`, `text()`, `to_json()`, `plot(path)`
    raises            GradcheckError; TypeError if there is nothing to differentiate

    There is no tolerance to choose: each numeric derivative carries a bound of its own error. At a kink any slope between the
    one-sided ones is right.

    >>> import numpy as np, autograd_core as ag
    >>> bool(ag.gradcheck(np.multiply, np.array([1.0, 2.0]), np.array([3.0, -4.0])))
    True
    >>> report = ag.gradcheck((np.sin, lambda g, x: -g * np.cos(x)), np.array([1.0, 2.0]), raise_on_failure=False)
    >>> report.findings[0].argument, report.findings[0].title
    ('x', 'the sign is reversed')
    """
    __tracebackhide__ = True  # in pytest's tracebacks the caller's line is what matters
    from autograd_core.gradcheck.check.calls import check_call

    report = check_call(function, inputs, keywords, order=order, seed=seed, vary=vary, budget=budget)
    if raise_on_failure and not report:
        raise GradcheckError(report)
    return report
