"""Elementwise functions, reductions and special functions against PyTorch's, at generic points and at edges, at both orders.

Where we differ on purpose (docs/semantics.md: hypot(0, 0), nan in maximum, the median of an even number) the tests of that function
say what holds instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd_core as ag

torch = pytest.importorskip("torch")
sp = pytest.importorskip("scipy.special")

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, at edges

ANY = [-1.7, -0.6, 0.4, 1.3, 2.2]
POSITIVE = [0.3, 0.8, 1.4, 2.6]
UNIT = [-0.8, -0.3, 0.2, 0.7]
OPEN = [0.1, 0.4, 0.6, 0.9]

ELEMENTWISE = [
    # ours, theirs, generic points, edges
    (np.exp, "exp", ANY, [0.0, 800.0, -800.0]),
    (np.exp2, "exp2", ANY, [0.0]),
    (np.expm1, "expm1", ANY, [0.0, 1e-12]),
    (np.log, "log", POSITIVE, [0.0]),
    (np.log2, "log2", POSITIVE, [0.0]),
    (np.log10, "log10", POSITIVE, [0.0]),
    (np.log1p, "log1p", POSITIVE, [0.0, 1e-12]),
    (np.sqrt, "sqrt", POSITIVE, [0.0]),
    (np.square, "square", ANY, [0.0]),
    (np.reciprocal, "reciprocal", POSITIVE, []),
    (np.sin, "sin", ANY, [0.0]),
    (np.cos, "cos", ANY, [0.0]),
    (np.tan, "tan", UNIT, [0.0]),
    (np.arcsin, "arcsin", UNIT, [0.0]),
    (np.arccos, "arccos", UNIT, [0.0]),
    (np.arctan, "arctan", ANY, [0.0]),
    (np.sinh, "sinh", ANY, [0.0]),
    (np.cosh, "cosh", ANY, [0.0]),
    (np.tanh, "tanh", ANY, [0.0, 50.0]),
    (np.arcsinh, "arcsinh", ANY, [0.0]),
    (np.arccosh, "arccosh", [1.2, 2.0, 5.0], []),
    (np.arctanh, "arctanh", UNIT, [0.0]),
    (np.absolute, "abs", ANY, [0.0, -0.0]),
    (np.sign, "sign", ANY, [0.0]),
    (np.floor, "floor", ANY, [1.0]),
    (np.rint, "round", ANY, [0.5]),
    (np.trunc, "trunc", ANY, [1.0]),
    (np.deg2rad, "deg2rad", ANY, []),
    (np.rad2deg, "rad2deg", ANY, []),
    (np.nan_to_num, "nan_to_num", ANY, [np.nan, np.inf, -np.inf]),
    (np.i0, "i0", ANY, [0.0]),
    (np.sinc, "sinc", [*ANY, 3.0], []),
    (sp.erf, "erf", ANY, [0.0]),
    (sp.erfc, "erfc", ANY, [0.0, 20.0]),
    (sp.erfinv, "erfinv", UNIT, [0.0]),
    (sp.expit, "sigmoid", ANY, [0.0, 800.0, -800.0]),
    (sp.logit, "logit", OPEN, []),
    (sp.gammaln, "lgamma", POSITIVE, [1.0, 2.0]),
    (sp.psi, "digamma", POSITIVE, []),
    (sp.ndtr, "special.ndtr", ANY, [0.0]),
    (sp.ndtri, "special.ndtri", OPEN, []),
    (sp.log_ndtr, "special.log_ndtr", ANY, [0.0]),
    (sp.entr, "special.entr", POSITIVE, []),
    (sp.i0e, "special.i0e", ANY, []),
    (sp.i1, "special.i1", ANY, []),
    (sp.i1e, "special.i1e", ANY, []),
    (sp.erfcx, "special.erfcx", ANY, []),
]

TWO = [
    (np.add, "add", ANY, ANY),
    (np.multiply, "mul", ANY, ANY),
    (np.divide, "div", ANY, POSITIVE),
    (np.power, "pow", POSITIVE, UNIT),
    (np.power, "pow", [0.0], [0.0, 2.0, 0.5]),
    (np.float_power, "float_power", POSITIVE, UNIT),
    (np.arctan2, "arctan2", ANY, ANY),
    (np.hypot, "hypot", ANY, POSITIVE),
    (np.maximum, "maximum", ANY, ANY),
    (np.minimum, "minimum", ANY, ANY),
    (np.fmax, "fmax", ANY, UNIT),  # torch gives a tie to the first, here it is shared as in maximum
    (np.logaddexp, "logaddexp", ANY, ANY),
    (np.logaddexp2, "logaddexp2", ANY, ANY),
    (np.copysign, "copysign", ANY, UNIT),
    (np.remainder, "remainder", ANY, POSITIVE),
    (np.remainder, "remainder", [5.0, -5.0], [3.0, 5.0]),
    (np.fmod, "fmod", ANY, POSITIVE),
    (sp.xlogy, "xlogy", [*ANY, 0.0], POSITIVE),
    (sp.xlog1py, "special.xlog1py", [*ANY, 0.0], POSITIVE),
]

REDUCTIONS = [
    (lambda a: np.sum(a, axis=0), lambda a: a.sum(0)),
    (lambda a: np.mean(a, axis=(0, 1)), lambda a: a.mean((0, 1))),
    (lambda a: np.prod(a, axis=1), lambda a: a.prod(1)),
    (lambda a: np.var(a, axis=1), lambda a: a.var(1, unbiased=False)),
    (lambda a: np.std(a, axis=0, ddof=1), lambda a: a.std(0)),
    (lambda a: np.max(a, axis=1), lambda a: a.amax(1)),
    (lambda a: np.min(a, axis=(0, 1), keepdims=True), lambda a: a.amin((0, 1), keepdim=True)),
    (lambda a: np.cumsum(a, axis=1), lambda a: a.cumsum(1)),
    (lambda a: np.cumprod(a, axis=0), lambda a: a.cumprod(0)),
    (lambda a: np.nansum(a, axis=1), lambda a: a.nansum(1)),
    (lambda a: np.nanmean(a, axis=1), lambda a: a.nanmean(1)),
    (lambda a: np.quantile(a, 0.3, axis=1), lambda a: a.quantile(0.3, 1)),
    (lambda a: np.nanquantile(a, 0.6, axis=0), lambda a: a.nanquantile(0.6, 0)),
    (lambda a: np.diff(a, n=2, axis=1), lambda a: a.diff(n=2, dim=1)),
    (lambda a: np.trapezoid(a, axis=1), lambda a: torch.trapezoid(a, dim=1)),
    (np.cov, torch.cov),
    (np.corrcoef, torch.corrcoef),
    (lambda a: ag.special.logsumexp(a, axis=1), lambda a: a.logsumexp(1)),
    (lambda a: ag.special.softmax(a, axis=0), lambda a: a.softmax(0)),
    (lambda a: ag.special.log_softmax(a, axis=1), lambda a: a.log_softmax(1)),
]


def both_orders(function: Any, arrays: list[Any], make: Any, gradient: Any) -> list[Any]:
    """The first and second derivatives, contracted with fixed weights, as NumPy arrays."""
    inputs = [make(a) for a in arrays]
    y = function(*inputs)
    weights = np.linspace(0.5, 1.5, max(int(np.prod(y.shape)), 1)).reshape(tuple(y.shape))
    first = gradient(y, inputs, weights)
    total = sum((g * (i + 1.5)).sum() for i, g in enumerate(first))
    second = gradient(total, inputs, None) if total.requires_grad else [None] * len(inputs)
    return [np.zeros(a.shape) if g is None else np.asarray((0.0 + g).tolist()) for g, a in zip([*first, *second], arrays * 2, strict=True)]


def ours(function: Any, *arrays: Any) -> list[Any]:
    def gradient(y: Any, inputs: Any, g: Any) -> Any:
        return ag.gradient(y, inputs, None if g is None else [g], create_graph=True, allow_unused=True)

    return both_orders(function, list(arrays), lambda a: ag.tensor(a, requires_grad=True), gradient)


def theirs(function: Any, *arrays: Any) -> list[Any]:
    def gradient(y: Any, inputs: Any, g: Any) -> Any:
        return torch.autograd.grad(y, inputs, None if g is None else torch.tensor(g), create_graph=True, allow_unused=True)

    return both_orders(function, list(arrays), lambda a: torch.tensor(a, requires_grad=True), gradient)


def torch_function(name: str) -> Any:
    part = torch
    for step in name.split("."):
        part = getattr(part, step)
    return part


def agree(found: list[Any], expected: list[Any]) -> None:
    for f, e in zip(found, expected, strict=True):
        assert f == pytest.approx(e, rel=1e-8, abs=1e-12, nan_ok=True)  # torch's polygamma has 9 digits


@pytest.mark.parametrize(("function", "name", "generic", "edges"), ELEMENTWISE, ids=[name for _, name, _, _ in ELEMENTWISE])
def test_functions_of_one_argument(function: Any, name: str, generic: list[float], edges: list[float]) -> None:
    agree(ours(function, np.array(generic)), theirs(torch_function(name), np.array(generic)))
    if edges:
        agree(ours(function, np.array(edges))[:1], theirs(torch_function(name), np.array(edges))[:1])


@pytest.mark.parametrize(("function", "name", "x1", "x2"), TWO, ids=[name for _, name, _, _ in TWO])
def test_functions_of_two_arguments_broadcast_against_each_other(function: Any, name: str, x1: list[float], x2: list[float]) -> None:
    """Every x1 with every x2, equal ones included: ties are shared alike."""
    arrays = [np.array(x1)[:, None], np.array(x2)]
    agree(ours(function, *arrays)[: 2 if 0.0 in x1 else 4], theirs(torch_function(name), *arrays)[: 2 if 0.0 in x1 else 4])


@pytest.mark.parametrize(("function", "peer"), REDUCTIONS, ids=range(len(REDUCTIONS)))
def test_reductions_and_statistics(function: Any, peer: Any, rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 5))
    agree(ours(function, x), theirs(peer, x))


@pytest.mark.parametrize("mode", ["full", "valid"])
def test_convolution(mode: Any, rng: np.random.Generator) -> None:
    a, v = rng.normal(size=7), rng.normal(size=3)

    def peer(a: Any, v: Any) -> Any:
        return torch.nn.functional.conv1d(a[None, None], v.flip(0)[None, None], padding=2 if mode == "full" else 0)[0, 0]

    agree(ours(lambda a, v: np.convolve(a, v, mode), a, v), theirs(peer, a, v))
