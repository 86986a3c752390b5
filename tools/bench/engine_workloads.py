"""What the engine is measured on: small programs in which the cost per operation, or the memory of a step, is what counts.

Each workload gives its contenders as steps without arguments that return the gradients: first the limit, careful code
without any tape, and then the same program in this library, in the bare tape, and in the peers that are installed.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import random
from collections.abc import Callable
from operator import mul
from typing import Any

import numpy as np

import autograd_core as ag
from tools.bench.bare_tape import Value, backward, tape

__all__ = ["chain_of_scalars", "gradients_agree", "large_elementwise", "scalar_network", "small_arrays", "small_arrays_forward"]

Contenders = dict[str, Callable[[], Any]]
SIZES = (2, 16, 16, 1)


def installed(peer: str) -> bool:
    """Whether the library `peer` can be imported."""
    return importlib.util.find_spec(peer) is not None


def gradients_agree(contenders: Contenders) -> None:
    """Raise AssertionError unless all contenders compute what the first one does."""
    steps = iter(contenders.items())
    _, first = next(steps)
    expected = [np.asarray(g, dtype=float) for g in first()]
    for name, step in steps:
        for got, wanted in zip(step(), expected, strict=True):
            np.testing.assert_allclose(np.asarray(got, dtype=float), wanted, rtol=1e-4, atol=1e-6, err_msg=name)


# --- w0: a network of scalars ------------------------------------------------------------------------------------------------

INPUTS, TARGET = (0.5, -0.25), 0.75


def parameters() -> list[float]:
    """Weights and biases of the network, layer by layer, each unit's weights followed by its bias."""
    rng = random.Random(0)
    return [rng.uniform(-0.5, 0.5) for n, m in itertools.pairwise(SIZES) for _ in range(m * (n + 1))]


def network(values: Any, tanh: Callable[[Any], Any]) -> Any:
    """The squared error of the network on one example, written on scalars of any kind."""
    take = iter(values)
    layer: Any = INPUTS
    for depth, width in enumerate(SIZES[1:]):
        following = []
        for _ in range(width):
            total = next(take) * layer[0]
            for unit in layer[1:]:
                total = total + next(take) * unit
            total = total + next(take)
            following.append(tanh(total) if depth < len(SIZES) - 2 else total)
        layer = following
    error = layer[0] - TARGET
    return error * error


def network_by_hand(layers: list[list[list[float]]], biases: list[list[float]]) -> list[float]:
    """The gradient of `network`, forward and backward written out on Python floats, for the three layers' rows of weights."""
    first, second, third = layers
    tanh = math.tanh
    a = [tanh(sum(map(mul, row, INPUTS)) + bias) for row, bias in zip(first, biases[0], strict=True)]
    b = [tanh(sum(map(mul, row, a)) + bias) for row, bias in zip(second, biases[1], strict=True)]
    g = 2.0 * (sum(map(mul, third[0], b)) + biases[2][0] - TARGET)
    gb = [g * w * (1.0 - t * t) for w, t in zip(third[0], b, strict=True)]
    ga = [sum(map(mul, column, gb)) * (1.0 - t * t) for column, t in zip(zip(*second, strict=True), a, strict=True)]
    gradient = []
    for flow, before in ((ga, INPUTS), (gb, a), ([g], b)):
        for one in flow:
            gradient += [one * x for x in before]
            gradient.append(one)
    return gradient


def scalar_network() -> Contenders:
    """w0: a 2-16-16-1 network of scalars, 642 operations; the limit is Python floats."""
    values = parameters()
    layers, biases, at = [], [], 0
    for n, m in itertools.pairwise(SIZES):
        rows = [values[at + unit * (n + 1) : at + (unit + 1) * (n + 1)] for unit in range(m)]
        layers.append([row[:-1] for row in rows])
        biases.append([row[-1] for row in rows])
        at += m * (n + 1)
    leaves: list[Any] = [ag.tensor(v, requires_grad=True) for v in values]

    def ours() -> Any:
        for leaf in leaves:
            leaf.grad = None
        network(leaves, np.tanh).backward()
        return [leaf.grad.item() for leaf in leaves]

    def bare() -> Any:
        made = [Value(v) for v in values]
        backward(network(made, _scalar_tanh))
        return [v.grad for v in made]

    contenders: Contenders = {"limit": lambda: network_by_hand(layers, biases), "autograd_core": ours, "bare tape": bare}
    if installed("torch"):
        import torch

        theirs: list[Any] = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]

        def by_torch() -> Any:
            for leaf in theirs:
                leaf.grad = None
            network(theirs, torch.tanh).backward()
            return [leaf.grad.item() for leaf in theirs]

        contenders["torch"] = by_torch
    if installed("autograd"):
        import autograd
        import autograd.numpy as anp

        contenders["autograd"] = lambda: autograd.grad(lambda p: network(p, anp.tanh))(values)
    if installed("mygrad"):
        import mygrad

        def by_mygrad() -> Any:
            made = [mygrad.tensor(v) for v in values]
            network(made, mygrad.tanh).backward()
            return [t.grad for t in made]

        contenders["mygrad"] = by_mygrad
    if installed("micrograd"):
        from micrograd.engine import Value as MicrogradValue

        def by_micrograd() -> Any:
            made = [MicrogradValue(v) for v in values]
            network(made, _tanh_of_micrograd).backward()
            return [v.grad for v in made]

        contenders["micrograd"] = by_micrograd
    return contenders


def _tanh_of_micrograd(value: Any) -> Any:
    """An operation of one's own, as micrograd's lecture writes it: the package has relu only."""
    t = math.tanh(value.data)
    out = type(value)(t, (value,), "tanh")

    def pull() -> None:
        value.grad += (1 - t * t) * out.grad

    out._backward = pull
    return out


def _scalar_tanh(value: Value) -> Value:
    out = Value(math.tanh(value.data))
    tape.append((_pull_scalar_tanh, out, value, None))
    return out


def _pull_scalar_tanh(g: float, out: Value, a: Value, _: None) -> None:
    a.grad = g * (1.0 - out.data * out.data)


# --- w1: a thousand operations on eight floats ---------------------------------------------------------------------------------

A = np.linspace(-1, 1, 8, dtype=np.float32)
W = np.linspace(0.5, 1.5, 8, dtype=np.float32)
STEPS = 250  # of four operations


def chain(x: Any, w: Any, tanh: Callable[[Any], Any]) -> Any:
    """A thousand operations: products, sums and hyperbolic tangents."""
    for _ in range(STEPS):
        x = tanh(x * w + w) * w
    return x


def small_arrays_forward() -> Contenders:
    """w1f: the forward pass of 1000 operations on 8 floats, recorded; the limit is NumPy with a kept buffer."""
    y = np.empty_like(A)
    multiply, add, tanh = np.multiply, np.add, np.tanh

    def limit() -> Any:
        y[:] = A
        for _ in range(STEPS):
            multiply(y, W, y)
            add(y, W, y)
            tanh(y, y)
            multiply(y, W, y)
        return [y]

    def bare() -> Any:
        tape.clear()
        return [chain(Value(A), Value(W), Value.tanh).data]

    x, w = ag.tensor(A, requires_grad=True), ag.tensor(W, requires_grad=True)
    contenders: Contenders = {
        "limit": limit,
        "plain NumPy": lambda: [chain(A, W, np.tanh)],
        "autograd_core": lambda: [chain(x, w, np.tanh).data],
        "bare tape": bare,
    }
    if installed("torch"):
        import torch

        a, v = (torch.from_numpy(array.copy()).requires_grad_() for array in (A, W))
        contenders["torch"] = lambda: [chain(a, v, torch.tanh).detach().numpy()]
    if installed("autograd"):
        import autograd
        import autograd.numpy as anp

        def by_autograd() -> Any:
            _, value = autograd.make_vjp(lambda a, b: chain(a, b, anp.tanh), (0, 1))(A, W)
            return [value]

        contenders["autograd"] = by_autograd
    if installed("mygrad"):
        import mygrad

        contenders["mygrad"] = lambda: [chain(mygrad.tensor(A), mygrad.tensor(W), mygrad.tanh).data]
    return contenders


def small_arrays() -> Contenders:
    """w1: the same with the backward pass; the limit is NumPy, forward and backward written out with kept buffers."""
    # Rows made once: indexing an array makes a new view each time.
    inputs, products, tanhs = ([np.empty_like(A) for _ in range(STEPS + 1)] for _ in range(3))
    inputs[0] = A
    g, gw, part = np.empty_like(A), np.empty_like(A), np.empty_like(A)
    forward = list(zip(inputs, products, tanhs, inputs[1:], strict=False))
    back = list(zip(tanhs[:STEPS], inputs[:STEPS], strict=True))[::-1]
    multiply, add, subtract, tanh = np.multiply, np.add, np.subtract, np.tanh
    one = np.ones_like(A)

    def limit() -> Any:
        for x, product, out, following in forward:
            multiply(x, W, product)
            add(product, W, product)
            tanh(product, out)
            multiply(out, W, following)
        g.fill(1.0)
        gw.fill(0.0)
        for out, x in back:
            multiply(g, out, part)
            add(gw, part, gw)
            multiply(out, out, part)
            subtract(one, part, part)
            multiply(part, W, part)
            multiply(g, part, g)
            add(gw, g, gw)
            multiply(g, x, part)
            add(gw, part, gw)
            multiply(g, W, g)
        return [g, gw]

    def ours() -> Any:
        x, w = ag.tensor(A, requires_grad=True), ag.tensor(W, requires_grad=True)
        chain(x, w, np.tanh).sum().backward()
        return [x.grad.data, w.grad.data]

    def bare() -> Any:
        x, w = Value(A), Value(W)
        backward(chain(x, w, Value.tanh).sum())
        return [x.grad, w.grad]

    contenders: Contenders = {"limit": limit, "autograd_core": ours, "bare tape": bare}
    if installed("torch"):
        import torch

        def by_torch() -> Any:
            leaves: list[Any] = [torch.from_numpy(array.copy()).requires_grad_() for array in (A, W)]
            chain(leaves[0], leaves[1], torch.tanh).sum().backward()
            return [leaf.grad.numpy() for leaf in leaves]

        contenders["torch"] = by_torch
    if installed("autograd"):
        import autograd
        import autograd.numpy as anp

        gradient = autograd.grad(lambda x, w: anp.sum(chain(x, w, anp.tanh)), (0, 1))
        contenders["autograd"] = lambda: gradient(A, W)
    if installed("mygrad"):
        import mygrad

        def by_mygrad() -> Any:
            x, w = mygrad.tensor(A), mygrad.tensor(W)
            chain(x, w, mygrad.tanh).sum().backward()
            return [x.grad, w.grad]

        contenders["mygrad"] = by_mygrad
    return contenders


# --- w6: one large elementwise expression ------------------------------------------------------------------------------------------


def expression(x: Any, y: Any, numpy: Any) -> Any:
    """sum(tanh(x y) + exp(-x^2) sin y), with the functions of `numpy`."""
    return (numpy.tanh(x * y) + numpy.exp(-x * x) * numpy.sin(y)).sum()


def large_arrays(size: int = 1_000_000) -> tuple[Any, Any]:
    """The numbers of w6."""
    rng = np.random.default_rng(0)
    return rng.normal(size=size), rng.normal(size=size)


def large_elementwise(size: int = 1_000_000) -> Contenders:
    """w6: sum(tanh(x y) + exp(-x^2) sin y) of a million float64, with its gradient; the limit is NumPy with kept buffers."""
    x, y = large_arrays(size)
    t, e, s, gx, gy = (np.empty(size) for _ in range(5))

    def limit() -> Any:
        np.multiply(x, y, t)
        np.tanh(t, t)
        np.multiply(x, x, e)
        np.negative(e, e)
        np.exp(e, e)
        np.sin(y, s)
        t.sum() + e @ s  # the value
        np.multiply(e, np.cos(y, gy), gy)
        np.multiply(t, t, t)
        np.subtract(1.0, t, t)
        np.multiply(e, s, e)
        np.multiply(e, x, e)
        np.multiply(t, y, gx)
        np.subtract(gx, e, gx)
        np.subtract(gx, e, gx)
        np.multiply(t, x, t)
        np.add(gy, t, gy)
        return [gx, gy]

    def plain() -> Any:
        t, e, s = np.tanh(x * y), np.exp(-x * x), np.sin(y)
        (t + e * s).sum()
        d = 1 - t * t
        return [d * y - 2 * x * e * s, d * x + e * np.cos(y)]

    def ours() -> Any:
        a, b = ag.tensor(x, requires_grad=True), ag.tensor(y, requires_grad=True)
        expression(a, b, np).backward()
        return [a.grad.data, b.grad.data]

    contenders: Contenders = {"limit": limit, "plain NumPy": plain, "autograd_core": ours}
    if installed("torch"):
        import torch

        def by_torch() -> Any:
            leaves: list[Any] = [torch.from_numpy(array).requires_grad_() for array in (x, y)]
            expression(leaves[0], leaves[1], torch).backward()
            return [leaf.grad.numpy() for leaf in leaves]

        contenders["torch"] = by_torch
    if installed("autograd"):
        import autograd
        import autograd.numpy as anp

        gradient = autograd.grad(lambda a, b: expression(a, b, anp), (0, 1))
        contenders["autograd"] = lambda: gradient(x, y)
    if installed("mygrad"):
        import mygrad

        def by_mygrad() -> Any:
            a, b = mygrad.tensor(x), mygrad.tensor(y)
            expression(a, b, mygrad).backward()
            return [a.grad, b.grad]

        contenders["mygrad"] = by_mygrad
    return contenders


# --- w7: a long chain ----------------------------------------------------------------------------------------------------------------

FACTOR = 1.000001


def scaled_often(x: Any, length: int) -> Any:
    """`length` products with a number."""
    for _ in range(length):
        x = x * FACTOR
    return x


def chain_of_scalars(length: int = 100_000) -> tuple[Contenders, dict[str, Callable[[], Any]]]:
    """w7: a chain of products of scalars, forward and backward; the limit is Python floats. And what builds the chain alone."""

    def limit() -> Any:
        value = 1.0
        for _ in range(length):
            value = value * FACTOR
        g = 1.0
        for _ in range(length):
            g = g * FACTOR
        return [g]

    def ours() -> Any:
        x = ag.tensor(1.0, requires_grad=True)
        scaled_often(x, length).backward()
        return [x.grad.item()]

    def bare() -> Any:
        x = Value(1.0)
        backward(scaled_often(x, length))
        return [x.grad]

    def bare_chain() -> Any:
        tape.clear()
        scaled_often(Value(1.0), length)
        return tape.copy()

    contenders: Contenders = {"limit": limit, "autograd_core": ours, "bare tape": bare}
    chains: dict[str, Callable[[], Any]] = {
        "autograd_core": lambda: scaled_often(ag.tensor(1.0, requires_grad=True), length),
        "bare tape": bare_chain,
    }
    if installed("torch"):
        import torch

        def by_torch() -> Any:
            x: Any = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
            scaled_often(x, length).backward()
            return [x.grad.item()]

        contenders["torch"] = by_torch
    if installed("autograd"):
        import autograd

        contenders["autograd"] = lambda: [autograd.grad(lambda x: scaled_often(x, length))(1.0)]
        chains["autograd"] = lambda: autograd.make_vjp(lambda x: scaled_often(x, length), 0)(1.0)
    return contenders, chains
