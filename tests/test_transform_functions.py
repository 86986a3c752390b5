"""What kinds of functions may be transformed: with side effects, of containers with tensors in them, with outputs that do not depend on inputs."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest

import autograd_core as ag

X = np.linspace(0.4, 1.6, 4)

TRANSFORMS = {
    "grad": lambda f: ag.grad(f)(X),
    "value_and_grad": lambda f: ag.value_and_grad(f)(X),
    "vjp": lambda f: ag.vjp(f, X)[1](np.float64(1.0)),
    "jacobian": lambda f: ag.jacobian(f)(X),
    "hvp": lambda f: ag.hvp(f)(X, X),
    "linearize": lambda f: ag.linearize(f, X)[1](X),
    "hessian": lambda f: ag.hessian(f)(X),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_transform_calls_the_function_once_so_side_effects_happen_once(name):
    calls = []

    def function(x):
        calls.append(x)
        return np.sum(x**3)

    TRANSFORMS[name](function)
    assert len(calls) == 1


def test_a_tensor_that_a_function_leaks_has_its_value_and_no_way_back():
    kept = []

    def function(x):
        kept.append(np.exp(x))
        return np.sum(kept[-1])

    ag.grad(function)(X)
    assert np.array_equal(kept[0].data, np.exp(X))
    with pytest.raises(RuntimeError, match="freed graph"):
        kept[0].sum().backward()


def test_a_function_that_draws_random_numbers_draws_the_same_as_without_a_transform():
    def function(x, generator):
        return np.sum(x * generator.normal(size=4))

    generator = np.random.default_rng(3)
    expected = generator.normal(size=4), generator.normal()
    generator = np.random.default_rng(3)
    assert np.array_equal(ag.grad(function)(X, generator), expected[0])
    assert generator.normal() == expected[1]


def test_a_function_that_changes_the_container_it_is_given_changes_its_own():
    def function(p):
        p["w"] = p["w"] ** 2
        p["list"].append(1.0)
        return np.sum(p["w"])

    params = {"w": X, "list": [2.0]}
    g = ag.grad(function)(params)
    assert np.array_equal(g["w"], 2 * X)
    assert params["w"] is X
    assert params["list"] == [2.0]


def test_a_function_that_raises_leaves_recording_as_it_was():
    def function(x):
        with ag.no_grad():
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ag.grad(function)(X)
    assert ag.is_grad_enabled()
    assert np.array_equal(ag.grad(lambda x: np.sum(x * x))(X), 2 * X)


# --- containers -------------------------------------------------------------------------------------------------------------------


def test_tracked_tensors_inside_containers_are_differentiated_through():
    w = ag.tensor(X, requires_grad=True)
    g = ag.grad(lambda p: np.sum(p["w"] ** 3) * p["rest"][0])({"w": w, "rest": [2.0, None]})
    assert isinstance(g["w"], ag.Tensor)
    assert g["rest"][1] is None
    g["w"].sum().backward()
    assert np.allclose(w.grad.data, 12 * X)


@pytest.mark.parametrize("transform", [ag.grad, ag.jacobian], ids=["grad", "jacobian"])
def test_a_leaf_of_a_container_that_the_output_does_not_depend_on_gets_zeros_in_its_shape_and_dtype(transform):
    g = transform(lambda p: np.sum(p[0]["a"]))(({"a": X, "b": np.ones((2, 3), np.float32)}, 1.5))
    assert np.array_equal(g[0]["a"], np.ones(4))
    assert g[0]["b"].shape == (2, 3)
    assert g[0]["b"].dtype == np.float32
    assert not g[0]["b"].any()
    assert g[1] == 0.0


def test_an_output_that_is_the_input_itself_or_a_constant_stands_beside_others():
    y, back = ag.vjp(lambda x: (x, {"constant": np.ones(2), "square": x * x}), X)
    assert np.array_equal(y[0], X)
    (g,) = back((np.ones(4), {"constant": np.full(2, 100.0), "square": np.ones(4)}))
    assert np.allclose(g, 1 + 2 * X, rtol=1e-15)
    _, pushed = ag.jvp(lambda x: (x, {"constant": np.ones(2), "square": x * x}), (X,), (np.ones(4),))
    assert np.array_equal(pushed[0], np.ones(4))
    assert np.array_equal(pushed[1]["constant"], np.zeros(2))
    assert np.array_equal(pushed[1]["square"], 2 * X)


def test_the_same_array_in_two_places_is_two_arguments():
    g = ag.grad(lambda p: np.sum(p["a"] ** 2 * p["b"]))({"a": X, "b": X})
    assert np.array_equal(g["a"], 2 * X * X)
    assert np.array_equal(g["b"], X**2)
    w = ag.tensor(X, requires_grad=True)
    first, second = ag.grad(lambda a, b: np.sum(a * a * b), (0, 1))(w, w)
    (first.sum() + second.sum()).backward()
    assert np.allclose(w.grad.data, 6 * X)  # first = 2 w^2, second = w^2, as functions of w: 4 w + 2 w


# --- gradient: allow_unused -------------------------------------------------------------------------------------------------------


def test_allow_unused_gives_none_in_the_places_of_inputs_without_influence():
    x, y, z = (ag.tensor(X, requires_grad=True) for _ in range(3))
    loss = np.sum(x * z)
    gx, gy, gz = ag.gradient(loss, (x, y, z), allow_unused=True)
    assert gy is None
    assert np.array_equal(gx.data, X)
    assert np.array_equal(gz.data, X)


def test_allow_unused_lets_an_untracked_output_stand_beside_tracked_ones():
    x, y = ag.tensor(X, requires_grad=True), ag.tensor(X, requires_grad=True)
    found = ag.gradient([np.sum(x * x), ag.tensor(3.0)], [x, y], allow_unused=True)
    assert np.array_equal(found[0].data, 2 * X)
    assert found[1] is None
    with pytest.raises(RuntimeError, match="does not require grad"):
        ag.gradient([np.sum(x * x), ag.tensor(3.0)], [x])


def test_a_way_that_stop_gradient_cuts_is_no_way():
    x, y = ag.tensor(X, requires_grad=True), ag.tensor(X, requires_grad=True)
    loss = np.sum(x * ag.stop_gradient(y))
    assert ag.gradient(loss, [x, y], allow_unused=True)[1] is None
    loss = np.sum(x * ag.stop_gradient({"y": y})["y"])
    with pytest.raises(RuntimeError, match="no output depends on input 1"):
        ag.gradient(loss, [x, y])


def test_a_function_that_does_not_depend_on_an_argument_is_refused_on_request():
    def f(params, y):
        return np.sum(params["a"] ** 2) * 2.0

    params = {"a": np.ones(2), "b": np.ones(3)}
    assert ag.grad(f)(params, 1.0)["b"].tolist() == [0.0] * 3
    with pytest.raises(RuntimeError, match=r"the value does not depend on argument 0\['b'\]"):
        ag.grad(f, allow_unused=False)(params, 1.0)
    with pytest.raises(RuntimeError, match="does not depend on argument 1"):
        ag.value_and_grad(f, argnums=1, allow_unused=False)(params, 1.0)
    assert ag.grad(lambda x: np.sum(x), allow_unused=False)(np.ones(2)).tolist() == [1.0, 1.0]


# --- containers -------------------------------------------------------------------------------------------------------------------


def turned(tree):
    return dict(reversed(tree.items()))


def test_dicts_are_matched_by_key_not_by_order():
    def f(d):
        return d["x"] ** 2 * 10 + d["y"]

    x, v = {"x": 1.0, "y": 2.0}, {"x": 1.0, "y": 0.5}
    assert ag.jvp(f, (x,), (turned(v),)) == ag.jvp(f, (x,), (v,)) == (12.0, 20.5)
    assert ag.linearize(f, x)[1](turned(v)) == 20.5
    assert ag.jvp(f, ({key: ag.tensor(value) for key, value in x.items()},), (turned(v),))[1].item() == 20.5  # backwards twice
    assert ag.hvp(f)(x, turned(v)) == {"x": 20.0, "y": 0.0}
    assert ag.gauss_newton_vp(f)(x, turned(v)) == {"x": 410.0, "y": 20.5}
    assert ag.vjp(lambda z: {"a": z, "b": 10 * z}, 1.0)[1]({"b": 1.0, "a": 0.0}) == (10.0,)

    def step(s, a):
        return {"v": 0.2 * np.cos(s["p"]) * a, "p": 0.5 * s["v"] + a}

    one, other = (ag.fixed_point(step, start, 0.7) for start in ({"p": 0.0, "v": 0.0}, {"v": 0.0, "p": 0.0}))
    assert all(np.isclose(one[key], other[key], rtol=1e-12) for key in "pv")


@pytest.mark.parametrize(
    ("args", "tangents"),
    [
        (({"x": 1.0, "y": 2.0},), ({"x": 1.0, "z": 2.0},)),
        (((1.0, 2.0), 3.0), (1.0, (2.0, 3.0))),
        ((1.0, 2.0), (1.0,)),
        ((1.0,), ([1.0],)),
    ],
)
def test_a_tangent_of_another_structure_is_refused(args, tangents):
    with pytest.raises(ValueError, match=r"jvp: tangents: .* in the place of"):
        ag.jvp(lambda *_: 1.0, args, tangents)
    with pytest.raises(ValueError, match=r"linearize: tangents: .* in the place of"):
        ag.linearize(lambda *_: 1.0, *args)[1](*tangents)


def test_what_a_dataclass_does_when_it_is_made_is_not_done_again():
    @dataclasses.dataclass
    class Doubled:
        a: object
        size: int = dataclasses.field(init=False, default=0)

        def __post_init__(self):
            self.a = self.a * 2
            self.size = 1.0

    x = Doubled(np.array([0.1, 0.2]))
    value, gradient = ag.value_and_grad(lambda d: d.a.sum())(x)
    assert value == x.a.sum()
    assert type(gradient) is Doubled
    assert np.array_equal(gradient.a, [1.0, 1.0])
    assert np.array_equal(x.a, [0.2, 0.4])


def test_frozen_slotted_dataclasses_and_kinds_of_dicts_are_containers():
    @dataclasses.dataclass(frozen=True, slots=True)
    class Point:
        a: object

    assert ag.grad(lambda p: p.a**2)(Point(3.0)) == Point(6.0)
    for container in (collections.defaultdict(float, a=3.0), collections.Counter(a=3.0), collections.OrderedDict(a=3.0)):
        gradient = ag.grad(lambda d: d["a"] ** 2)(container)
        assert type(gradient) is type(container)
        assert gradient == {"a": 6.0}
        assert container == {"a": 3.0}


# --- what is handed out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [np.exp, np.sqrt, lambda x: np.exp(x).reshape(2, 1)[:, 0]])
def test_changing_a_value_in_place_changes_no_derivative(f):
    x = np.array([0.1, 0.2])
    want = ag.vjp(f, x)[1](np.ones(2))[0]
    value, back = ag.vjp(f, x)
    value[:] = 9.0
    assert np.array_equal(back(np.ones(2))[0], want)
    value, push = ag.linearize(f, x)
    value[:] = 9.0
    assert np.allclose(push(np.ones(2)), want, rtol=1e-15)


def test_results_of_jvp_share_memory_with_nothing():
    x, v = np.array([0.1, 0.2]), np.ones(2)
    for f in (lambda a: a + 1, lambda a: a, lambda a: (a, a), lambda a: (a.reshape(2, 1), a[::-1])):
        (value, slope), leaves = ag.jvp(f, (x,), (v,)), []
        for tree in (value, slope):
            leaves += tree if isinstance(tree, tuple) else [tree]
        for i, leaf in enumerate(leaves):
            assert not any(np.shares_memory(leaf, other) for other in (x, v, *leaves[:i]))


# --- positions, tangents, has_aux -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", [ag.grad, ag.jacobian, ag.hessian, ag.elementwise_grad])
def test_an_argument_named_twice_is_refused(transform):
    for argnums in ((0, 0), (0, -2)):
        with pytest.raises(ValueError, match="names an argument twice"):
            transform(lambda a, b: a * b, argnums)(2.0, 3.0)


def test_integers_of_numpy_are_positions_and_truth_values_are_not():
    assert ag.grad(lambda a, b: a * b, np.int64(1))(2.0, 3.0) == 2.0
    assert ag.grad(lambda a, b: a * b, np.array([1, 0]))(2.0, 3.0) == (2.0, 3.0)
    with pytest.raises(TypeError, match="argnums=True"):
        ag.grad(lambda a, b: a * b, True)(2.0, 3.0)


def test_a_complex_tangent_of_a_real_argument_is_refused():
    for attempt in (
        lambda: ag.jvp(lambda x: x * 2, (1.0,), (1.0 + 1j,)),
        lambda: ag.hvp(lambda x: x**2)(1.0, 1j),
        lambda: ag.linearize(lambda x: x * 2, 1.0)[1](1j),
        lambda: ag.gauss_newton_vp(lambda x: x * 2)(1.0, 1j),
    ):
        with pytest.raises(TypeError, match="a complex tangent for an argument of dtype float64"):
            attempt()


def test_integer_tangents_are_taken_in_a_map_too():
    for function in (
        lambda v: ag.jvp(np.sin, (1.0,), (v,))[1],
        lambda v: ag.vjp(np.sin, 1.0)[1](v)[0],
        lambda v: ag.hvp(lambda x: -np.cos(x) + x)(np.pi / 2 + 1.0, v) * (np.cos(1.0) / np.cos(np.pi / 2 + 1.0)),
    ):
        assert np.allclose(ag.vmap(function)(np.arange(3)), np.cos(1.0) * np.arange(3))


def test_has_aux_wants_a_pair():
    with pytest.raises(TypeError, match="must return"):
        ag.grad(lambda x: x**2, has_aux=True)(1.0)


def test_integer_results_are_constants():
    def f(x):
        return x * 2, np.argmax(x)

    x, v = np.array([1.0, 3.0]), np.ones(2)
    assert ag.linearize(f, x)[1](v)[1] == ag.jvp(f, (x,), (v,))[1][1] == 0
    assert np.array_equal(ag.linearize(f, x)[1](v)[0], 2 * v)
    assert np.array_equal(ag.jvp(f, (ag.tensor(x),), (v,))[1][0], 2 * v)
    assert np.array_equal(ag.gauss_newton_vp(f)(x, v), 4 * v)
