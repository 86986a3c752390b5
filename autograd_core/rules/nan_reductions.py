"""Derivatives of the reductions that ignore nan: as their plain namesakes, on the elements that are numbers.

Each rule is reductions.py's with `where=` narrowed to those elements. An ignored element has gradient 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_core.define.door import defvjp
from autograd_core.define.samples import Arrays, Call, call
from autograd_core.rules.lengths import LENGTHS
from autograd_core.rules.reductions import (
    cumprod_rule,
    deviation_rule,
    everywhere,
    extreme_rules,
    mean_rule,
    product_initial_rule,
    product_rule,
    reduction_calls,
    running_calls,
    running_from_the_end,
    spread,
    variance_rule,
    where_calls,
)

__all__: list[str] = []


def _numbers(a: Any, where: Any = True) -> Any:
    """Where `a` is a number and wanted."""
    return ~np.isnan(a) if everywhere(where) else ~np.isnan(a) & where


def _without_nan(calls: Any, *more: Any) -> Any:
    """Sample calls with a nan, where there is room for one."""

    def make(a: Arrays) -> list[Call]:
        made = [c for group in (calls, *more) for c in group(a)]
        for c in made:
            array = c.args[0]
            if array.size > 2 and array.ndim > 0 and array.shape[-1] > 2:
                array[(0,) * array.ndim] = np.nan
        return made

    return make


def _reductions(a: Arrays) -> list[Call]:
    return reduction_calls(a)[:4] + reduction_calls(a)[5:]


defvjp(
    np.nansum,
    a=lambda g, a, axis, where: spread(g, a.shape, axis, _numbers(a, where)),
    initial=lambda g: g,
    inert=("dtype", "keepdims"),
    selects=True,
    samples=_without_nan(_reductions, lambda a: where_calls(a, initial=a())),
)
defvjp(
    np.nanmean,
    a=lambda g, a, axis, where: mean_rule(g, a, axis, _numbers(a, where)),
    inert=("dtype", "keepdims"),
    selects=True,
    samples=_without_nan(_reductions, where_calls),
)


def _nan_variance_rule(g: Any, a: Any, axis: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, correction: Any) -> Any:
    numbers = _numbers(a, where)
    return variance_rule(g, np.where(numbers, a, 0.0), axis, ddof, keepdims, numbers, mean, correction)


def _nan_deviation_rule(g: Any, out: Any, a: Any, axis: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, correction: Any) -> Any:
    numbers = _numbers(a, where)
    return deviation_rule(g, out, np.where(numbers, a, 0.0), axis, ddof, keepdims, numbers, mean, correction)


def _variances(a: Arrays) -> list[Call]:
    plain = [c for c in _reductions(a) if c.args[0].ndim > 1 and c.args[0].shape[-1] > 2]
    return (
        plain
        + where_calls(a)[:1]
        + [c._replace(kwargs=c.kwargs | {"ddof": 1}) for c in plain[:1]]
        + [call(a(4, 3), axis=0, correction=2), call(a(2, 3), axis=1, mean=a(2, 1))]
    )


defvjp(
    np.nanvar,
    a=_nan_variance_rule,
    mean=lambda g, a, axis, ddof, keepdims, where, mean, correction: -_nan_variance_rule(g, a, axis, ddof, keepdims, where, mean, correction),
    inert=("dtype",),
    selects=True,
    samples=_without_nan(_variances),
)
LENGTHS.add(np.nanstd)
defvjp(
    np.nanstd,
    a=_nan_deviation_rule,
    mean=lambda g, out, a, axis, ddof, keepdims, where, mean, correction: (
        -_nan_deviation_rule(g, out, a, axis, ddof, keepdims, where, mean, correction)
    ),
    inert=("dtype",),
    selects=True,
    samples=_without_nan(_variances),
)

for _extreme in (np.nanmax, np.nanmin):
    defvjp(_extreme, **extreme_rules(nan_wins=False), selects=True, samples=_without_nan(_reductions, lambda a: where_calls(a, initial=a())))

defvjp(
    np.nanprod,
    a=lambda g, out, a, axis, keepdims, initial, where: product_rule(g, out, a, axis, keepdims, initial, _numbers(a, where)),
    initial=lambda g, a, axis, keepdims, where: product_initial_rule(g, a, axis, keepdims, _numbers(a, where)),
    inert=("dtype",),
    selects=True,
    samples=_without_nan(_reductions, lambda a: where_calls(a, initial=a())),
)
defvjp(
    np.nancumsum,
    a=lambda g, a, axis: np.where(np.isnan(a), 0.0, running_from_the_end(g, 0).reshape(a.shape) if axis is None else running_from_the_end(g, axis)),
    inert=("dtype",),
    selects=True,
    samples=_without_nan(running_calls),
)
defvjp(
    np.nancumprod,
    a=lambda g, out, a, axis: np.where(np.isnan(a), 0.0, cumprod_rule(g, out, np.where(np.isnan(a), 1.0, a), axis)),
    inert=("dtype",),
    selects=True,
    samples=_without_nan(running_calls),
)
