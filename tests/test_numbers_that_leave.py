"""Numbers that leave the graph: a transform never hands back zeros in silence because of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autograd_core as ag


def integral(a):
    integrate = pytest.importorskip("scipy.integrate")
    return integrate.quad(lambda t: np.exp(-a * t), 0, 1)[0]


def solution(a):
    optimize = pytest.importorskip("scipy.optimize")
    return optimize.brentq(lambda x: x * x - a, 0.0, 10.0)


LOSING = {
    "quad": integral,
    "brentq": solution,
    "math.sqrt": lambda a: math.sqrt(a),
    "math.sqrt in a loop": lambda a: sum(math.sqrt(a * i) for i in range(3)),
    "math.fsum": lambda a: math.fsum([a, a * 2.0]),
    "np.fromiter": lambda a: np.fromiter((a * i for i in range(3)), float).sum(),
    "float": lambda a: float(a) * 2.0,
    "float of a computed one": lambda a: 3.0 * float(np.sin(a)),
    "a constant tensor": lambda a: ag.tensor(float(a)) * 2.0,
}
TRANSFORMS = {
    "grad": lambda f: ag.grad(f)(2.0),
    "value_and_grad": lambda f: ag.value_and_grad(f)(2.0),
    "vjp": lambda f: ag.vjp(f, 2.0)[1](1.0),
    "jvp": lambda f: ag.jvp(f, (2.0,), (1.0,)),
    "jacobian": lambda f: ag.jacobian(f)(2.0),
    "hessian": lambda f: ag.hessian(f)(2.0),
    "hvp": lambda f: ag.hvp(f)(2.0, 1.0),
    "linearize": lambda f: ag.linearize(f, 2.0)[1](1.0),
}


@pytest.mark.parametrize("name", LOSING)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_result_that_lost_its_argument_is_an_error_that_names_the_line(name, transform):
    with pytest.raises(TypeError, match=r"left the graph at .*(test_numbers_that_leave|quadpack|_zeros_py|_quadpack_py).*ag.stop_gradient"):
        TRANSFORMS[transform](LOSING[name])


KEPT = {
    "printed": lambda a: (str(float(a)), a * a)[1],
    "a loop's end": lambda a: sum((a for _ in range(int(float(a)))), 0.0 * a) * a,
    "meant, by item": lambda a: a.item() * 2.0,
    "meant, by detach": lambda a: float(a.detach()) * 2.0,
    "meant, by stop_gradient": lambda a: float(ag.stop_gradient(a)) * 2.0,
    "a constant": lambda a: 3.0,
    "a branch": lambda a: 1.0 if a > 1 else 2.0,
}
RIGHT = {"printed": 4.0, "a loop's end": 8.0}


@pytest.mark.parametrize("name", KEPT)
def test_numbers_that_do_not_matter_or_are_meant_may_leave(name):
    assert ag.grad(KEPT[name])(2.0) == RIGHT.get(name, 0.0)


def test_only_the_argument_that_was_lost_is_complained_of():
    def f(a, b):
        return a * math.sqrt(b)

    assert ag.grad(f, 0)(2.0, 9.0) == 3.0
    with pytest.raises(TypeError, match="does not depend on argument 1"):
        ag.grad(f, (0, 1))(2.0, 9.0)


def test_an_evaluation_inside_another_has_numbers_of_its_own():
    inner = ag.grad(lambda x: x * x)
    assert ag.grad(lambda a: inner(a) * (math.sqrt(4.0)))(2.0) == 4.0
    with pytest.raises(TypeError, match="left the graph"):
        ag.grad(lambda a: math.sqrt(inner(a)))(2.0)
