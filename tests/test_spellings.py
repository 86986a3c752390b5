"""Other libraries' names: each refusal says what to write here."""

from __future__ import annotations

import importlib
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.tensor.spellings import DIFFERENTIABLE

X = np.array([[1.0, 2.0], [3.0, 5.0]])


def leaf():
    return ag.tensor(X, requires_grad=True)


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("view", "reshape"),
        ("unsqueeze", "expand_dims"),
        ("permute", "transpose"),
        ("clone", r"copy\(\)"),
        ("pow", r"\*\*"),
        ("abs", r"np\.abs"),
        ("cpu", "nothing to move"),
        ("cuda", "nothing to move"),
        ("to", "astype"),
        ("grad_fn", "node"),
        ("zero_", "no_grad"),
        ("matmul", "@"),
    ],
)
def test_torchs_names_of_tensors_are_refused_with_numpys(name, instead):
    t = leaf()
    with pytest.raises(AttributeError, match=instead) as caught:
        getattr(t, name)
    assert caught.value.name == name
    assert not hasattr(t, name)
    assert name not in dir(t)


def test_a_name_that_nobody_knows_is_refused_as_python_does():
    with pytest.raises(AttributeError, match="object has no attribute 'nonsense'"):
        leaf().nonsense


def test_no_look_up_goes_through_a_function_in_python():
    assert not hasattr(ag.Tensor, "__getattr__")
    assert ag.Tensor.__getattribute__ is object.__getattribute__


def test_size_is_pythons_own_number():
    # To NumPy an int of a class of its own is an array of int64, with which float32 becomes float64.
    t = ag.tensor(np.float32(2.0))
    assert type(t.size) is int
    assert (t.data[()] / t.size).dtype == np.float32


@pytest.mark.parametrize("method", ["sum", "mean", "max", "min", "prod", "std", "var", "cumsum", "squeeze", "argmax", "all", "any"])
@pytest.mark.parametrize(("keyword", "ours"), [("dim", "axis"), ("keepdim", "keepdims")])
def test_torchs_keywords_are_refused_in_one_sentence(method, keyword, ours):
    with pytest.raises(TypeError, match=f"^{method}: {keyword}= is called {ours}= here, as in NumPy$"):
        getattr(leaf(), method)(**{keyword: 0})


def test_a_scipy_function_that_cannot_take_tensors_names_ours():
    for module in DIFFERENTIABLE:
        pytest.importorskip(module)
    square = {name for places in DIFFERENTIABLE["scipy.linalg"].values() for name in places} - {"cho_solve", "solve_sylvester", "block_diag", "eig"}
    for module, names in [("scipy.linalg", square), ("scipy.special", ["softmax", "log_softmax", "logsumexp"]), ("scipy.fft", ["fft", "irfft"])]:
        for name in sorted(names):
            arguments = (leaf(), leaf()) if name in ("solve", "lstsq", "solve_triangular") else (leaf(),)
            with pytest.raises(TypeError, match=rf"{module}\.{name} cannot take tensors, (ag|np)\.\w+\.{name} does the same"):
                getattr(importlib.import_module(module), name)(*arguments)


def test_what_is_named_in_scipys_place_exists():
    for module, places in DIFFERENTIABLE.items():
        theirs = pytest.importorskip(module)
        for place, names in places.items():
            first, second = place.split(".")
            ours = getattr({"ag": ag, "np": np}[first], second)
            assert all(hasattr(ours, name) and hasattr(theirs, name) for name in names)
    ours = {name for places in DIFFERENTIABLE.values() for place, names in places.items() if place.startswith("ag") for name in names}
    assert ours == {*ag.linalg.__all__, *ag.special.__all__} - {"sparse_matmul"}


@pytest.mark.parametrize(
    ("attempt", "error", "message"),
    [
        (lambda: ag.grad(leaf().sum(), leaf()), TypeError, r"grad takes a function, not a tensor.*ag\.gradient\(loss, w\)"),
        (lambda: ag.vmap(leaf()), TypeError, "vmap takes a function"),
        (lambda: ag.jacobian(X), TypeError, "jacobian takes a function, not a ndarray"),
        (lambda: ag.grad(np.sin, argnum=1), TypeError, r"argnum= is called argnums= here: ag.grad\(f, argnums=1\)"),
        (lambda: ag.backward(leaf()), AttributeError, r"write loss\.backward\(\)"),
        (lambda: ag.Variable(X), AttributeError, "requires_grad=True"),
        (lambda: ag.exp(X), AttributeError, r"write np\.exp, which takes tensors"),
        (lambda: ag.nonsense, AttributeError, "no attribute 'nonsense'$"),
        (lambda: ag.op(lambda x: x * 2)(leaf()), TypeError, r"has no derivative rule; give it a rule: ag\.defvjp\(<lambda>, x="),
        (
            lambda: ag.op(lambda x, y: x * y, x=lambda g, y: g * y)(X, leaf()),
            TypeError,
            "no derivative rule for its argument 'y'; register one with ag.defvjp",
        ),
    ],
)
def test_other_libraries_calls_are_refused_with_ours(attempt, error, message):
    with pytest.raises(error, match=message):
        attempt()


# --- functions that can be sent to other processes --------------------------------------------------------------------------------


def cubes(x):
    return np.sum(x**3)


@ag.grad
def slope(x):
    return np.sum(x**3)


class Model:
    factor = 3.0

    @ag.checkpoint
    def scaled(self, x):
        return x * self.factor


TRANSFORMS = ["grad", "value_and_grad", "jacobian", "hessian", "elementwise_grad", "vmap", "checkpoint"]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_of_a_modules_function_are_pickled(name):
    made = getattr(ag, name)(cubes)
    again = pickle.loads(pickle.dumps(made))
    found, expected = again(X[0]), made(X[0])
    assert np.allclose(found[1] if isinstance(found, tuple) else found, expected[1] if isinstance(expected, tuple) else expected)
    assert again.__name__ == "cubes"


def test_nested_and_decorated_transforms_are_pickled():
    assert np.allclose(pickle.loads(pickle.dumps(ag.vmap(ag.grad(cubes), in_axes=0)))(X), 3 * X**2)
    assert pickle.loads(pickle.dumps(slope)) is slope
    assert np.allclose(pickle.loads(pickle.dumps(ag.hvp(cubes)))(X[0], np.ones(2)), 6 * X[0])
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(ag.grad(lambda x: x))


def test_a_decorated_method_is_bound_to_its_object():
    assert np.array_equal(Model().scaled(X), 3 * X)


def test_process_pools_take_gradients():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert [g.tolist() for g in pool.map(ag.grad(cubes), [X[0], X[1]])] == [(3 * X[0] ** 2).tolist(), (3 * X[1] ** 2).tolist()]
