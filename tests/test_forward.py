"""Forward mode over the whole table of operations: it cannot disagree with the backward pass, at first and second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_rules import FEW_ULP, differences, every_row, report, subjects

import autograd_core as ag
from autograd_core.arrays.duals import Dual, ForwardModeError
from autograd_core.arrays.layers import new_level
from autograd_core.gradcheck.numeric.spots import incoming_gradient
from autograd_core.tape.sweep import Sweep
from autograd_core.tensor.backward import gradients_of
from autograd_core.tensor.handles import untracked
from autograd_core.transforms.evaluation import DualCall

pytestmark = pytest.mark.filterwarnings("ignore")


def tangents_for(subject: Any, random: np.random.Generator) -> list[Any]:
    tangents = [incoming_gradient(random, a) for a in subject.arrays]
    return [(t + np.swapaxes(t, -1, -2).conj()) / 2 if i in subject.symmetric else t for i, t in enumerate(tangents)]


def dual_leaves(subject: Any, tangents: list[Any]) -> list[Any]:
    level = new_level()
    leaves = [untracked(Dual(a, t, level)) for a, t in zip(subject.arrays, tangents, strict=True)]
    for t in leaves:
        t.requires_grad = True
    return leaves


def tangent(data: Any) -> Any:
    return data.tangent if isinstance(data, Dual) else np.zeros_like(data)


@every_row
def test_forward_and_backward_mode_agree_in_the_dot_product(name: str) -> None:
    """<g, J t> = <J^T g, t>, in real numbers: of complex ones, real and imaginary parts are numbers of their own."""
    wrong = []
    for label, _, subject in subjects(name):
        random = np.random.default_rng(0)
        tangents = tangents_for(subject, random)
        with np.errstate(all="ignore"):
            outputs = [y._array if hasattr(y, "_array") else y for y in subject.call(dual_leaves(subject, tangents))]
            values = subject.value(subject.arrays)
            gs = [incoming_gradient(random, y) for y in values]
            gradients = subject.vjp(subject.arrays, gs)
        primals = [np.asarray(y.primal if isinstance(y, Dual) else y) for y in outputs]
        wrong += differences(label, ["value"] * len(values), primals, values, FEW_ULP)
        forward = [float(np.vdot(g, tangent(y)).real) for g, y in zip(gs, outputs, strict=True)]
        backward = [float(np.vdot(g, t).real) for g, t in zip(gradients, tangents, strict=True) if g is not None]
        size = sum(np.abs(np.vdot(np.abs(g), np.abs(t))) for g, t in zip(gradients, tangents, strict=True) if g is not None)
        if not abs(sum(forward) - sum(backward)) <= 1e-11 * max(float(size), 1.0):
            wrong.append(f"{label}: <g, J t> = {sum(forward)}, <J^T g, t> = {sum(backward)}")
    report(wrong)


def duals_of_gradients(subject: Any, leaves: list[Any], gs: list[Any]) -> Any:
    pairs = [(y, g) for y, g in zip(subject.call(leaves), gs, strict=True) if isinstance(y, ag.Tensor) and y.node is not None]
    if not pairs:
        return [None] * len(leaves)
    outputs, given = [y for y, _ in pairs], [g for _, g in pairs]
    return gradients_of(outputs, leaves, given, create_graph=False, allow_unused=True, retain_graph=None)


@every_row
def test_the_derivative_of_a_gradient_in_forward_mode_is_that_of_two_backward_passes(name: str) -> None:
    """H v for the loss <g, f(x)>: a backward pass on duals, against the gradient of <v, gradient>."""
    wrong = []
    for label, _, subject in subjects(name):
        random = np.random.default_rng(0)
        tangents = tangents_for(subject, random)
        with np.errstate(all="ignore"):
            gs = [incoming_gradient(random, y) for y in subject.value(subject.arrays)]
            try:
                found = duals_of_gradients(subject, dual_leaves(subject, tangents), gs)
            except ForwardModeError as error:
                assert "found by backward passes" in str(error)  # noqa: PT017 - at a length of 0, or equal values, hvp goes that way
                continue
            gradient_of = subject.derivative(gs)
            whole = [np.zeros_like(a) if t is None else t for a, t in zip(subject.arrays, tangents, strict=True)]
            expected = gradient_of.vjp([*subject.arrays, *gs], whole)
        for place, f, e, a in zip(subject.names, found, expected, subject.arrays, strict=False):
            zeros = np.zeros_like(a)
            f, e = zeros if f is None else np.asarray(tangent(f._array)), zeros if e is None else e
            if subject.symmetric:
                f, e = f + np.swapaxes(f, -1, -2).conj(), e + np.swapaxes(e, -1, -2).conj()
            # Both of them may be rounding errors of a derivative that is 0.
            if not np.allclose(f, e, rtol=1e-10, atol=1e-13 * max(1.0, float(np.abs(a).max(initial=0.0))), equal_nan=True):
                wrong.append(f"{label}: {place}: {f}, expected {e}")
    report(wrong)


# --- jvp and hvp of programs -------------------------------------------------------------------------------------------------------


def constant_part(x: Any) -> Any:
    with ag.no_grad():
        y = x**2
    return np.sum(x**3 * y)


def unrecorded(compute: Callable[[], Any]) -> Any:
    with ag.no_grad():
        return compute()


def assigned_without_grad(x: Any) -> Any:
    with ag.no_grad():
        t = ag.tensor(np.zeros(2))
        t[0] = x[1]
    return np.sum(t[0] * x)


def gradient_as_a_constant(x: Any) -> Any:
    inner = ag.grad(lambda y: np.sum(y**3))(x)
    with ag.no_grad():
        constant = inner * 2
    return np.sum(x * constant) + np.sum(inner.detach() * x)


def filled(x: Any) -> Any:
    t = ag.tensor(np.zeros(3))
    for i in range(3):
        t[i] = x[i] ** 2 + (t[i - 1] if i else 0.0)
    return (t**2).sum()


def rebound(x: Any) -> Any:
    y = x * 2
    y += x
    y[0] += x[1] ** 2
    return (y**2).sum()


@ag.op(x=lambda g: g)
def rounded_straight_through(x: Any) -> Any:
    return np.round(x)


@ag.custom_vjp
def tenfold(x: Any) -> Any:
    return x * x


tenfold.defvjp(lambda x: (x * x, x), lambda x, g: 10 * g * x)


def saved_on_disk(x: Any) -> Any:
    with ag.save_on_disk():
        return np.sum(np.tanh(x) ** 2)


POINT, DIRECTION = np.array([0.0, 1.0, 4.0]), np.array([1.0, 2.0, 3.0])

PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "a masked square root": lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)),
    "an index that leaves a pole out": lambda x: np.sqrt(x)[1:].sum(),
    "a clipped square root": lambda x: np.sum(np.sqrt(np.clip(x, 0, 2))),
    "ties": lambda x: np.max(x**2) + np.sum(np.maximum(x, 1.0) ** 2),
    "the norm of zero": lambda x: np.linalg.norm(x - x) + np.sum(np.abs(x) ** 1.5),
    "products with a zero": lambda x: np.prod(x) + np.sum(np.cumprod(x) * DIRECTION),
    "a part that is not recorded": constant_part,
    "an element that is not recorded": lambda x: np.sum(x * unrecorded(lambda: x[1])),
    "elements that are not recorded": lambda x: np.sum(x * unrecorded(lambda: list(x)[2])),
    "an assignment that is not recorded": assigned_without_grad,
    "a map that is not recorded": lambda x: np.sum(x * unrecorded(lambda: ag.vmap(lambda a: a * 2)(x))),
    "a stopped gradient in a map": lambda x: ag.vmap(lambda a: a * ag.stop_gradient(a))(x).sum(),
    "the data of a tensor in a map": lambda x: ag.vmap(lambda a: a * a.detach() ** 2)(x).sum(),
    "a gradient that is not recorded": lambda x: np.sum(x * ag.gradient((x**2).sum(), x)),
    "a stopped gradient": lambda x: np.sum(x * ag.stop_gradient(x) ** 2),
    "the data of a tensor": lambda x: np.sum(x * x.data + x**3 * x.detach()),
    "a Python number": lambda x: np.sum(x) * np.sum(x).item(),
    "item assignment": filled,
    "in-place operators": rebound,
    "a straight-through estimator": lambda x: np.sum(rounded_straight_through(x * 1.3) ** 2),
    "a checkpoint": lambda x: ag.checkpoint(lambda t: np.tanh(t) ** 2)(x).sum(),
    "a root": lambda x: ag.root(lambda y, a: y**3 + y - a, np.zeros(3), x).sum(),
    "a fixed point": lambda x: ag.fixed_point(lambda y, a: np.cos(y) * a / 5, np.zeros(3), x).sum(),
    "a chain of steps": lambda x: ag.checkpoint_chain(lambda t: np.tanh(t) * x, 5, snapshots=2)(x).sum(),
    "a custom gradient": lambda x: np.sum(tenfold(x) ** 2),
    "values kept on disk": saved_on_disk,
    "a map": lambda x: ag.vmap(lambda t: np.sin(t) * t)(x).sum(),
    "an inner gradient": lambda x: ag.grad(lambda y: np.sum(y**3 * x))(x).sum(),
    "an inner gradient of constants": lambda x: (ag.grad(lambda y: np.sum(y**3 * x))(np.ones(3)) * x).sum(),
    "an inner gradient that is used as a constant": gradient_as_a_constant,
    "an inner value and gradient": lambda x: sum(np.sum(part) for part in ag.value_and_grad(lambda y: np.sum(y**3 * x))(x)),
    "an inner vjp": lambda x: ag.vjp(lambda y: y**2 * x, x)[1](x)[0].sum(),
    "an inner jacobian": lambda x: (ag.jacobian(lambda y: y**2 * x)(x) ** 2).sum(),
    "an inner gradient of an inner gradient": lambda x: ag.grad(lambda y: ag.grad(lambda z: np.sum(z**3 * y * x))(y).sum())(x).sum(),
    "an inner jvp": lambda x: ag.jvp(lambda y: np.sum(y**3 * x), (x,), (x,))[1],
    "an inner Hessian": lambda x: ag.hessian(lambda y: np.sum(y**3 * x))(x).sum(),
    "a recorded gradient": lambda x: ag.gradient((x**3).sum(), x, create_graph=True).sum(),
    "a branch": lambda x: np.sum(x**2) if x.sum() > 0 else x.sum(),
    "sorting": lambda x: np.sum(np.sort(-x) ** 3 * DIRECTION) + np.median(x) ** 2,
    "complex numbers": lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2),
    "a constant": lambda x: 3.0,
    "an untracked tensor": lambda x: ag.tensor(3.0),
    "a conversion that only arrays without derivative allow": lambda x: np.sum(np.asarray(x.detach()) * x**2),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_jvp_and_hvp_are_those_of_backward_passes(program: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    value, along = ag.jvp(program, (POINT,), (DIRECTION,))
    product = ag.hvp(program)(POINT, DIRECTION)
    monkeypatch.setattr(DualCall, "applies", staticmethod(lambda args, tangents: False))
    np.testing.assert_equal(value, ag.jvp(program, (POINT,), (DIRECTION,))[0])
    np.testing.assert_allclose(along, ag.jvp(program, (POINT,), (DIRECTION,))[1], rtol=1e-12)
    np.testing.assert_allclose(product, ag.hvp(program)(POINT, DIRECTION), rtol=1e-12, atol=1e-14)


def test_second_derivatives_of_masked_infinities_are_zero() -> None:
    assert ag.hvp(lambda x: np.sum(np.where(x > 0, x**1.5, 0.0)))(np.array([0.0, 1.0]), np.ones(2)).tolist() == [0.0, 0.75]


def test_jvp_of_a_straight_through_estimator_is_by_its_rule_and_not_by_its_lines() -> None:
    assert ag.jvp(rounded_straight_through, (POINT,), (DIRECTION,))[1].tolist() == DIRECTION.tolist()


def test_an_elementwise_operation_without_a_rule_for_an_argument_is_refused_in_forward_mode_too() -> None:
    @ag.op(x=lambda g, y: g * y, elementwise=True)
    def scaled(x: Any, y: Any) -> Any:
        return x * y

    assert ag.jvp(lambda x: scaled(x, 2.0), (1.0,), (1.0,))[1] == 2.0
    with pytest.raises(TypeError, match="no derivative rule for its argument 'y'"):
        ag.jvp(lambda x: scaled(2.0, x), (1.0,), (1.0,))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_tangents_and_products_have_the_dtype_of_the_argument(dtype: Any) -> None:
    x = np.ones(3, dtype)
    value, along = ag.jvp(lambda x: np.tanh(x) * 2.0, (x,), (np.ones(3),))
    assert (value.dtype, along.dtype) == (x.dtype, x.dtype)
    if x.dtype.kind == "f":
        assert ag.hvp(lambda x: np.sum(np.tanh(x) ** 2))(x, np.ones(3)).dtype == x.dtype


def test_jvp_evaluates_the_function_once_and_makes_no_backward_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return np.tanh(x @ np.ones((3, 2)))

    monkeypatch.setattr(Sweep, "run", lambda self: pytest.fail("a backward pass"))
    ag.jvp(f, (POINT,), (DIRECTION,))
    assert len(calls) == 1


def test_forward_mode_under_anomaly_detection_leaves_the_detector_its_passes() -> None:
    with ag.detect_anomaly():
        assert ag.jvp(np.sin, (0.0,), (2.0,))[1] == 2.0
        with pytest.raises(ag.AnomalyError):
            ag.jvp(np.sqrt, (0.0,), (1.0,))


def test_an_exception_in_the_function_leaves_no_dual_behind() -> None:
    kept = []

    def fails(x: Any) -> Any:
        kept.append(x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ag.hvp(fails)(POINT, DIRECTION)
    assert ag.hvp(lambda x: np.sum(x**2))(POINT, DIRECTION).tolist() == (2 * DIRECTION).tolist()
