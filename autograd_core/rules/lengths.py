"""The gradient g x / |x| of a length, and what becomes of it where the length is 0.

|x| has a kink at 0, and its gradient there is 0 by convention. |x|^2 has none, nor has any smooth even function f(|x|):
cos |x|, exp(-|x|^2), sinc |x|. Their gradient f'(r) x / r is k(r) x, and k(0) = f''(0) is the limit of g / r, that is the slope of g
as a function of r. So where r is 0, a pass that is recorded asks the graph of g for that slope, and records the gradient as k x: 0
in value, and with the right derivative. The slope is found by a pass from g to r, for all elements at once. That is right if
each g depends on its own length only; a second pass with other weights tells whether it does.

Where there is no limit, the gradient is 0 still and its derivative nan, not a wrong number: for |x| itself if x has several parts (its
second derivative is infinite), |x| |y| at 0, (|a| + |b|)^2 at 0. One real number's |x| has the second derivative 0 at its kink.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_core.arrays.duals import ForwardModeError, has_tangents
from autograd_core.arrays.layers import for_any
from autograd_core.define.door import defvjp, op
from autograd_core.define.samples import call
from autograd_core.tape.node import Node, program_order
from autograd_core.tape.plan import OUT
from autograd_core.tensor.backward import partial_gradients
from autograd_core.tensor.handles import plain
from autograd_core.tensor.tensor import Tensor

__all__ = ["LENGTHS", "along", "limit", "proportional"]

LENGTHS: set[Any] = set()  # the functions whose rules ask for the limit


def along(g: Any, out: Any, x: Any) -> Any:
    """The product g x / out for a length `out` of several parts, `x` being one of them; all of one shape, or broadcasting."""
    slope = limit(g, out)
    unit = x / np.where(plain(out) == 0, math.inf, out)
    return g * unit if slope is None else g * unit + proportional(slope, x)


def limit(g: Any, out: Any, single: bool = False) -> Any:
    """The limit of g / out where the length `out` is 0, and 0 elsewhere: a factor for `proportional`. None where none is needed.

    g, out : as the rule was given them (not reshaped: what matters is how the graph of one depends on the other)
    single : the length is that of one real number
    """
    if type(out) is np.ndarray or isinstance(out, np.generic):
        return None  # the pass is not recorded, and carries no derivative of the length forward
    zero = plain(out) == 0
    if not for_any(zero):
        return None
    flat = plain(g) == 0
    if not isinstance(out, Tensor):
        if (has_tangents(g) or has_tangents(out)) and for_any(zero & flat if single else zero):
            raise ForwardModeError("the derivative of a length at 0 is found by backward passes")
        return None
    slope, known = _slope(g, out, zero)
    without = np.where(flat, math.nan, 0.0) if single else math.nan
    return np.where(zero & (known if single else known & flat), slope, np.where(zero, without, 0.0).astype(out.dtype))


def _slope(g: Any, out: Any, zero: Any) -> tuple[Any, Any]:
    """The derivative of each element of `g` for its own one of `out` where that is `zero`, and where there is such a thing."""
    if getattr(g, "node", None) is None:
        return np.zeros(out.shape, out.dtype), True
    twins, others = _lengths_before(g.node, out.node)
    weights = np.random.default_rng(0).uniform(1, 2, out.shape).astype(out.dtype)
    found = _pulled(g, [out.node, *twins], np.where(zero, weights, 0.0), create_graph=True)
    slope = sum(found[1:], found[0]) / weights
    known: Any = True
    if out.size > 1:
        unweighted = _pulled(g, [out.node, *twins], np.where(zero, 1.0, 0.0).astype(out.dtype), create_graph=False)
        total = sum(unweighted[1:], unweighted[0])
        known = np.abs(plain(slope) - total) <= float(np.finfo(out.dtype).eps) ** 0.5 * np.abs(total)
    for node, value in others:
        (part,) = _pulled(g, [node], np.where(zero, weights, 0.0), create_graph=False)
        mixed = (part != 0) & (value == 0)
        known = known & ~(mixed if value.shape == out.shape else for_any(mixed))
    return slope, known


def _pulled(g: Any, nodes: list[Node], seed: Any, *, create_graph: bool) -> list[Any]:
    """What a pass from `seed` at `g` brings to each of `nodes`; 0 where `g` does not depend on it."""
    found = partial_gradients([g], nodes, [seed], create_graph=create_graph)
    return [0.0 if part is None else part for part in found]


def _lengths_before(root: Node, own: Node) -> tuple[list[Node], list[tuple[Node, Any]]]:
    """The lengths in the history of `root`, but for `own`: those computed of the same arguments, and others with their values."""
    twins: list[Node] = []
    others: list[tuple[Node, Any]] = []
    mine = _value_and_settings(own)[1]
    for node in program_order([root])[0]:
        if node is own or node.op.function not in LENGTHS or node.plan.is_freed:
            continue
        value, settings = _value_and_settings(node)
        if node.op is own.op and node.parents == own.parents and settings == mine:
            twins.append(node)
        elif for_any(plain(value) == 0):
            others.append((node, plain(value)))
    return twins, others


def _value_and_settings(node: Node) -> tuple[Any, list[Any]]:
    """The result of a node, and what else than arrays it keeps: axis and so on."""
    pairs = list(zip(node.plan.saves, node.saved, strict=False))
    return next(value for save, value in pairs if save == OUT), [(save, value) for save, value in pairs if not hasattr(value, "dtype")]


@op
def proportional(slope: Any, x: Any) -> Any:
    """The product, and 0 where x is 0 though the slope be infinite or nan; the derivative there is the slope."""
    return np.where(x == 0, 0.0, slope * x).astype(x.dtype)


defvjp(
    proportional,
    slope=lambda g, x: g * x.conjugate(),
    x=lambda g, slope: proportional(slope.conjugate(), g),
    elementwise=True,
    samples=lambda a: [call(a(2, 3), a(2, 3)), call(a(2, 1), a(2, 3)), call(a(), a()), call(a(3), a.complex(3))],
)
