"""Checkpointed calls: the same gradients with the inner values computed again."""

from __future__ import annotations

import weakref

import numpy as np
import pytest

import autograd_core as ag

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def gradients(function, *values):
    tensors = [leaf(v) for v in values]
    function(*tensors).sum().backward()
    return [t.grad.data for t in tensors]


@pytest.mark.parametrize(
    "function",
    [lambda x: np.tanh(x) ** 2, lambda x: np.exp(x) @ x.T, lambda x: np.sort(x, axis=0)[0] * x[1]],
    ids=["elementwise", "product", "indexing"],
)
def test_a_checkpointed_function_has_the_same_value_and_gradient(function):
    checked = ag.checkpoint(function)
    assert np.array_equal(checked(leaf(X)).data, function(leaf(X)).data)
    assert np.array_equal(gradients(checked, X)[0], gradients(function, X)[0])


def test_inner_values_are_not_kept():
    inner = []

    def function(x):
        middle = np.exp(x)
        inner.append(weakref.ref(middle.data))
        return np.sin(middle)

    y = ag.checkpoint(function)(leaf(X))
    assert inner[0]() is None
    y.sum().backward()
    assert len(inner) == 2


def test_second_order_goes_through_a_checkpoint():
    x = leaf(X)
    plain = ag.gradient((ag.gradient((np.sin(x) ** 3).sum(), x, create_graph=True) ** 2).sum(), x)
    checked = ag.checkpoint(lambda t: np.sin(t) ** 3)
    twice = ag.gradient((ag.gradient(checked(x).sum(), x, create_graph=True) ** 2).sum(), x)
    assert np.allclose(twice.data, plain.data, rtol=1e-13)


def test_tensors_that_the_function_refers_to_get_their_gradients_too():
    w = leaf(np.full((3, 2), 0.5))
    scale = w * 2.0  # a computed tensor, made before
    x = leaf(X)
    ag.checkpoint(lambda t: np.tanh(t @ w) @ scale.T)(x).sum().backward()
    found = [x.grad.data, w.grad.data]
    x.grad = w.grad = None
    scale = w * 2.0
    (np.tanh(x @ w) @ scale.T).sum().backward()
    assert np.allclose(found[0], x.grad.data, rtol=1e-14)
    assert np.allclose(found[1], w.grad.data, rtol=1e-14)


def test_containers_go_in_and_come_out():
    checked = ag.checkpoint(lambda pair, factor: {"sum": pair["a"] + pair["b"], "product": pair["a"] * pair["b"] * factor})
    a, b = leaf(X), leaf(X + 2)
    out = checked({"a": a, "b": b}, factor=3.0)
    (out["sum"] * out["product"]).sum().backward()
    assert np.allclose(a.grad.data, 3 * X * (X + 2) + 3 * (2 * X + 2) * (X + 2), rtol=1e-14)


def test_an_output_that_is_not_used_has_no_influence():
    first, _ = ag.checkpoint(lambda t: (t * 2, t**3))(x := leaf(X))
    first.sum().backward()
    assert np.array_equal(x.grad.data, np.full_like(X, 2))


def test_random_numbers_are_the_same_in_the_second_run():
    generator = np.random.default_rng(7)
    masks = []

    def dropout(t):
        masks.append(generator.random(X.shape) + np.random.random(X.shape))
        return t * masks[-1]

    x = leaf(X)
    y = ag.checkpoint(dropout, generators=[generator])(x)
    after = generator.random()
    y.sum().backward()
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(x.grad.data, masks[0])
    assert generator.random() != after  # the program's own sequence went on undisturbed


def test_a_chain_of_checkpoints_nests():
    inner = ag.checkpoint(np.sin)
    outer = ag.checkpoint(lambda t: inner(inner(t)) * t)
    assert np.allclose(gradients(outer, X)[0], gradients(lambda t: np.sin(np.sin(t)) * t, X)[0], rtol=1e-14)


def test_without_tracked_inputs_it_just_computes():
    y = ag.checkpoint(np.tanh)(ag.tensor(X))
    assert not y.requires_grad
    with ag.no_grad():
        assert not ag.checkpoint(np.tanh)(leaf(X)).requires_grad


def test_a_function_that_returns_no_tensor_is_refused():
    with pytest.raises(TypeError, match="must return tensors, its value 0 is of type float"):
        ag.checkpoint(lambda t: 1.0)(leaf(X))


@pytest.mark.parametrize("create_graph", [False, True])
def test_tensors_that_the_function_refers_to_may_depend_on_one_another(create_graph):
    def gradient(wrapped):
        h, x = leaf(2.0), leaf(1.5)
        a = h * 3.0
        b = a * a
        y = wrapped(lambda t: t * a + b)(x) + 5.0 * b
        g = ag.gradient(y, [h, x], create_graph=create_graph)
        return [part.item() for part in (g if not create_graph else ag.gradient(g[0] ** 2 + g[1] ** 2, [h, x]))]

    assert gradient(ag.checkpoint) == gradient(lambda f: f)


def test_the_whole_graph_outlives_a_backward_pass_that_retains_it():
    h, x = leaf(2.0), leaf(1.0)
    b = h * h
    y = ag.checkpoint(lambda t: t * b)(x)
    y.backward(retain_graph=True)
    y.backward()
    assert (h.grad.item(), x.grad.item()) == (8.0, 8.0)


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_input_that_is_given_twice_or_referred_to_as_well_is_counted_once_for_each_use(create_graph):
    x = leaf(3.0)
    for y in (ag.checkpoint(lambda a, b: a * b)(x, x), ag.checkpoint(lambda a: a * x)(x)):
        g = ag.gradient(y, x, create_graph=create_graph)
        assert g.item() == 6.0
        if create_graph:
            assert ag.gradient(g, x).item() == 2.0


# --- a second run that computes something else ----------------------------------------------------------------------------------


def _drawing(kind, generator):
    """A function whose value depends on a generator of its own."""
    return {
        "dropout": lambda t: t * (generator.random(t.shape) < 0.5),
        "noise": lambda t: np.sin(t) + 1e-6 * generator.standard_normal(t.shape),
        "order": lambda t: t[..., generator.permutation(t.shape[-1])],
        "one element": lambda t: np.where(np.arange(t.size).reshape(t.shape) == generator.integers(t.size), 2 * t, t),
        "second of two": lambda t: (t * 2, t * generator.random()),
    }[kind]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("kind", ["dropout", "noise", "order", "one element", "second of two"])
def test_numbers_that_differ_in_the_second_run_are_an_error_and_listed_generators_mend_it(kind, dtype, create_graph):
    start = np.random.default_rng(1).standard_normal((20, 30)).astype(dtype)

    def run(**options):
        generator = np.random.default_rng(5)
        x = leaf(start)
        y = ag.checkpoint(_drawing(kind, generator), **({"generators": [generator]} if options else {}))(x)
        first = y[0] if isinstance(y, tuple) else y
        np.real(first).sum().backward(create_graph=create_graph)

    with pytest.raises(RuntimeError, match=r"the second run gave other values than the first.*generators=\[generator\]"):
        run()
    run(listed=True)


@pytest.mark.parametrize("changing", ["counter", "file"])
def test_what_is_not_random_but_changes_is_an_error_too(changing, tmp_path):
    count = [1.0]
    (tmp_path / "scale").write_text("1.0")
    y = ag.checkpoint(lambda t: t * (count[0] if changing == "counter" else float((tmp_path / "scale").read_text())))(leaf(X))
    count[0] = 2.0
    (tmp_path / "scale").write_text("2.0")
    with pytest.raises(RuntimeError, match="the second run gave other values"):
        y.sum().backward()


@pytest.mark.parametrize(
    "function",
    [np.log, lambda t: t * np.inf, lambda t: t / 0.0 * 0.0, lambda t: t * 1e200, lambda t: np.argsort(t) * t, lambda t: t[:0]],
    ids=["nan", "inf", "all nan", "overflow of squares", "integers", "empty"],
)
def test_values_that_are_not_finite_compare_equal_to_themselves(function):
    x = leaf(X)
    with np.errstate(all="ignore"):
        ag.checkpoint(function)(x).sum().backward()
    assert x.grad is not None


def test_plain_arrays_give_what_the_function_gives_as_with_every_other_transform():
    doubled = ag.checkpoint(lambda x: x * 2)(np.ones(3))
    assert type(doubled) is np.ndarray
    assert np.array_equal(doubled, np.full(3, 2.0))
    assert type(ag.checkpoint(lambda x: (x, {"a": x.sum()}))(np.ones(3))[1]["a"]) is np.float64
    assert ag.checkpoint(lambda x: x * 2)(1.5) == 3.0
    w = leaf(np.ones(3))
    assert ag.checkpoint(lambda x: x * w)(np.ones(3)).requires_grad, "what it refers to makes it a tensor"
    assert np.array_equal(ag.grad(lambda x: ag.checkpoint(lambda t: t * t)(x).sum())(np.ones(2)), np.full(2, 2.0))
