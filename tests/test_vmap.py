"""ag.vmap and batched Jacobians as a user meets them; what they compute for each operation is tested in test_batching.py."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core.arrays.batching import BatchingError
from autograd_core.transforms import jacobians

rng = np.random.default_rng(0)
X, W = rng.normal(size=(5, 3)), rng.normal(size=(3, 4))


def layer(x, w):
    return np.tanh(x @ w)


# --- axes and containers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("in_axes", "x"), [((0, None), X), ((1, None), X.T), ((-1, None), X.T), ([0, None], X)], ids=["first", "second", "last", "as a list"]
)
def test_the_batch_may_be_any_axis(in_axes, x):
    np.testing.assert_allclose(ag.vmap(layer, in_axes)(x, W), [layer(row, W) for row in X], rtol=1e-14)


def test_an_argument_without_a_batch_is_the_same_for_all():
    ws = rng.normal(size=(2, 3, 4))
    np.testing.assert_allclose(ag.vmap(layer, (None, 0))(X, ws), [layer(X, w) for w in ws], rtol=1e-14)
    np.testing.assert_allclose(ag.vmap(layer)(X[:2], ws), [layer(X[0], ws[0]), layer(X[1], ws[1])], rtol=1e-14)


@pytest.mark.parametrize("out", [0, 1, -1])
def test_the_batch_may_stand_anywhere_in_the_result(out):
    outer = np.stack([np.outer(x, x) for x in X], axis=out)
    np.testing.assert_allclose(ag.vmap(lambda x: np.outer(x, x), out_axes=out)(X), outer)


@dataclasses.dataclass
class Pair:
    first: np.ndarray
    second: dict


def test_containers_go_in_and_come_out_with_axes_of_their_own():
    given = Pair(X, {"a": X.T, "b": 2.0})
    found = ag.vmap(
        lambda p: {"sum": p.first + p.second["a"], "scaled": (p.first * p.second["b"], None)},
        in_axes=(Pair(0, {"b": None, "a": 1}),),
        out_axes={"sum": 1, "scaled": (0, None)},
    )(given)
    np.testing.assert_allclose(found["sum"], (2 * X).T)
    np.testing.assert_allclose(found["scaled"][0], 2 * X)
    assert found["scaled"][1] is None


def test_keywords_are_the_same_for_all():
    np.testing.assert_allclose(ag.vmap(lambda x, *, scale: x @ scale)(X, scale=W[:, 0]), X @ W[:, 0])


def test_a_result_that_does_not_depend_on_the_batch_is_repeated():
    assert ag.vmap(lambda x: 3.0)(X).tolist() == [3.0] * 5
    assert ag.vmap(lambda x: np.arange(2))(X).tolist() == [[0, 1]] * 5


def test_maps_nest():
    a, b = np.arange(3.0), np.arange(4.0)
    np.testing.assert_allclose(ag.vmap(ag.vmap(lambda s, t: s * t + 1, (None, 0)), (0, None))(a, b), np.outer(a, b) + 1)
    inner = ag.vmap(lambda x: ag.vmap(lambda y: x @ y)(X))(X)
    np.testing.assert_allclose(inner, X @ X.T)


def test_an_empty_batch_gives_an_empty_result_of_the_right_shape():
    assert ag.vmap(layer, (0, None))(X[:0], W).shape == (0, 4)
    assert ag.vmap(lambda x: np.median(x))(X[:0]).shape == (0,)  # by the loop


def test_dtypes_are_those_of_the_loop():
    x = X.astype(np.float32)
    assert ag.vmap(lambda x: np.exp(x) * 2.0)(x).dtype == np.float32
    assert ag.vmap(lambda x: x + 1)(np.arange(3)).dtype == np.arange(3).dtype
    assert ag.vmap(np.fft.fft)(x).dtype == np.complex64


# --- programs ----------------------------------------------------------------------------------------------------------------------


def polynomial(x):
    t = ag.tensor(np.zeros(3))
    for i in range(3):
        t[i] = x[i] ** 2 + (t[i - 1] if i else 0.0)
    t += x
    return t


@ag.custom_vjp
def tenfold(x):
    return x * x


tenfold.defvjp(lambda x: (x * x, x), lambda x, g: 10 * g * x)


def saved_on_disk(x):
    with ag.save_on_disk():
        return np.tanh(x) ** 2


PROGRAMS = {
    "item assignment": polynomial,
    "indices of their own": lambda x: x[np.argsort(x)] * x[np.argmax(x)],
    "comparisons and where": lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), -x),
    "functions with no line of their own": lambda x: np.convolve(x, np.array([1.0, 2.0])) + np.median(x),
    "a loop over elements": lambda x: sum(t * t for t in x),
    "einsum and linear algebra": lambda x: np.linalg.solve(np.outer(x, x) + np.eye(3), np.einsum("i,i->i", x, x)),
    "a checkpoint": lambda x: ag.checkpoint(lambda t: np.tanh(t) ** 2 * x)(x),
    "a chain of steps": lambda x: ag.checkpoint_chain(lambda t: np.tanh(t) * x, 5, snapshots=2)(x),
    "a custom gradient": lambda x: tenfold(x) * x,
    "values kept on disk": saved_on_disk,
    "methods": lambda x: x.reshape(3, 1).T.sum(axis=0).clip(-1, 1).cumsum(),
    "joins": lambda x: np.concatenate([x, np.stack([x[0], x.sum()])]),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_mapped_program_is_a_loop(program):
    np.testing.assert_allclose(ag.vmap(program)(X), [_array(program(ag.tensor(x))) for x in X], rtol=1e-12)


def _array(value):
    return np.asarray(value._array if isinstance(value, ag.Tensor) else value)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_gradients_of_a_mapped_program_are_those_of_a_loop_inside_and_outside_of_the_map(program):
    def loss(x):
        return (program(x) ** 2).sum()

    each = [ag.grad(loss)(x) for x in X]
    np.testing.assert_allclose(ag.vmap(ag.grad(loss))(X), each, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(ag.grad(lambda x: ag.vmap(loss)(x).sum())(X), each, rtol=1e-11, atol=1e-13)


def test_the_gradient_of_what_the_function_refers_to_is_the_sum_over_the_batch():
    w = ag.tensor(W, requires_grad=True)
    ag.vmap(lambda x: (layer(x, w) ** 2).sum())(X).sum().backward()
    expected = ag.grad(lambda w: sum((layer(x, w) ** 2).sum() for x in X))(W)
    np.testing.assert_allclose(w.grad.data, expected, rtol=1e-12)


def test_gradients_per_example_are_one_map():
    def loss(w, x, t):
        return ((layer(x, w) - t) ** 2).sum()

    targets = rng.normal(size=(5, 4))
    found = ag.vmap(ag.grad(loss), (None, 0, 0))(W, X, targets)
    np.testing.assert_allclose(found, [ag.grad(loss)(W, x, t) for x, t in zip(X, targets, strict=True)], rtol=1e-12)


def test_transforms_compose_in_any_order_and_to_higher_orders():
    def f(x):
        return np.sin(x).prod() + (x**3).sum()

    np.testing.assert_allclose(ag.vmap(ag.hessian(f))(X), [ag.hessian(f)(x) for x in X], rtol=1e-11)
    np.testing.assert_allclose(ag.vmap(ag.jacobian(lambda x: np.outer(x, x)))(X), [ag.jacobian(lambda x: np.outer(x, x))(x) for x in X])
    np.testing.assert_allclose(ag.vmap(lambda x: ag.jvp(f, (x,), (x,))[1])(X), [ag.jvp(f, (x,), (x,))[1] for x in X], rtol=1e-12)
    np.testing.assert_allclose(ag.vmap(ag.hvp(f))(X, X), [ag.hvp(f)(x, x) for x in X], rtol=1e-11)
    whole = ag.hessian(lambda x: (ag.vmap(f)(x) ** 2).sum())(X[:2])
    np.testing.assert_allclose(whole, ag.hessian(lambda x: sum(f(row) ** 2 for row in x))(X[:2]), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ag.jvp(ag.vmap(f), (X,), (X,))[1], [ag.jvp(f, (x,), (x,))[1] for x in X], rtol=1e-12)


def test_inner_variables_are_not_confused_with_the_batch():
    found = ag.vmap(lambda x: ag.grad(lambda y: (y * x).sum())(np.ones(3)))(X)
    np.testing.assert_allclose(found, X)


def test_a_later_change_of_a_mapped_array_does_not_reach_the_gradient():
    x, w = X.copy(), ag.tensor(np.ones(3), requires_grad=True)
    y = ag.vmap(lambda x: x @ w)(x).sum()
    x[:] = 100
    y.backward()
    np.testing.assert_allclose(w.grad.data, X.sum(axis=0))


def test_nothing_is_recorded_without_grad():
    w = ag.tensor(np.ones(3), requires_grad=True)
    with ag.no_grad():
        assert not isinstance(ag.vmap(lambda x: x @ w)(X), ag.Tensor)


def test_a_mapped_call_is_one_node_that_can_be_swept_twice_and_is_freed():
    x = ag.tensor(X, requires_grad=True)
    y = ag.vmap(lambda x: np.sin(x).sum())(x)
    assert [node.op for node in ag.tape(y)][:2] == ["leaf", "vmap"]
    (first,) = ag.gradient(y.sum(), [x], retain_graph=True)
    (second,) = ag.gradient(y.sum(), [x])
    assert (first.data == second.data).all()
    with pytest.raises(RuntimeError, match="freed graph"):
        y.sum().backward()


def test_what_a_mapped_call_keeps_is_in_the_ledger():
    x = ag.tensor(X, requires_grad=True)
    y = ag.vmap(lambda x: np.exp(np.tanh(x)))(x)
    assert ag.memory(y).bytes >= 2 * X.nbytes
    y.sum().backward()
    assert ag.memory(y).bytes == 0


# --- what is refused -----------------------------------------------------------------------------------------------------------------


def test_a_decision_on_a_value_that_differs_over_the_batch_is_refused_with_the_way_out():
    with pytest.raises(BatchingError, match=r"the truth of a batched value.*np\.where"):
        ag.vmap(lambda x: x if x.sum() > 0 else -x)(X)


@pytest.mark.parametrize("convert", [lambda x: float(x[0]), np.asarray, lambda x: x.item(), lambda x: x[int(x[0])], lambda x: x[x > 0]])
def test_what_would_need_one_value_or_one_shape_for_the_whole_batch_is_refused(convert):
    with pytest.raises(BatchingError, match="batch"):
        ag.vmap(convert)(X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ag.vmap(layer)(X, W), r"5 of argument 0 \(axis 0\), 3 of argument 1 \(axis 0\)"),
        (lambda: ag.vmap(layer, (0, None, None))(X, W), "in_axes has 3 entries, but the function was called with 2"),
        (lambda: ag.vmap(layer, (2, None))(X, W), r"argument 0 of shape \(5, 3\) has no axis 2"),
        (lambda: ag.vmap(layer, (None, None))(X, W), "no argument has an axis to map over"),
        (lambda: ag.vmap(lambda x: x, ({"a": 0},))(X), "a number, None, or a container like the value"),
        (lambda: ag.vmap(np.sin)(1.0), r"argument 0 of shape \(\) has no axis 0"),
    ],
)
def test_wrong_axes_are_refused_by_name(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_array_outside_of_the_map_is_not_changed_by_it():
    outside = np.zeros((5, 3))

    def writes(x):
        outside[0] = x
        return x

    with pytest.raises(TypeError):
        ag.vmap(writes)(X)
    assert not outside.any()


# --- Jacobians -------------------------------------------------------------------------------------------------------------------------


def wide(x):
    return np.concatenate([np.sin(x) * x[::-1], np.outer(x, x).ravel(), np.prod(x).reshape(1)])


@pytest.mark.parametrize("f", [wide, lambda x: wide(x)[:2], lambda x: np.sum(x**3)], ids=["columns", "rows", "one row"])
def test_a_jacobian_is_its_columns_one_by_one(f):
    x = X[0]
    columns = [ag.jvp(f, (x,), (unit,))[1] for unit in np.eye(3)]
    np.testing.assert_allclose(ag.jacobian(f)(x), np.stack(columns, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("f", [wide, lambda x: wide(x)[:2]], ids=["columns", "rows"])
def test_a_jacobian_made_in_parts_is_the_same(f, monkeypatch):
    whole = ag.jacobian(f)(X[0])
    monkeypatch.setattr(jacobians, "LARGEST", 1)
    np.testing.assert_array_equal(ag.jacobian(f)(X[0]), whole)


def test_the_rows_of_a_jacobian_are_one_backward_pass():
    passes = []

    @ag.op(x=lambda g, x: passes.append(g.shape) or g * np.cos(x))
    def sine(x):
        return np.sin(x)

    assert ag.jacobian(lambda x: sine(x) * 2.0)(np.zeros(4)).tolist() == (2 * np.eye(4)).tolist()
    assert passes == [(4,)]


def test_a_rule_that_needs_python_values_is_run_for_each_row():
    def f(x):
        return np.linalg.lstsq(np.outer(x, x) + np.eye(3), x)[0]

    rows = [ag.vjp(f, X[0])[1](unit)[0] for unit in np.eye(3)]
    np.testing.assert_allclose(ag.jacobian(f)(X[0]), rows, rtol=1e-10)


def test_jacobians_of_jacobians_and_through_jacobians():
    def f(x):
        return np.sin(x) * x.sum()

    second = ag.jacobian(ag.jacobian(f))(X[0])
    expected = np.stack([(ag.jacobian(f)(X[0] + h) - ag.jacobian(f)(X[0] - h)) / 2e-6 for h in 1e-6 * np.eye(3)], axis=-1)
    np.testing.assert_allclose(second, expected, atol=1e-8)
    through = ag.grad(lambda x: (ag.jacobian(f)(x) ** 2).sum())(X[0])
    np.testing.assert_allclose(through, 2 * np.einsum("ijk,ij->k", second, ag.jacobian(f)(X[0])), rtol=1e-12)


def test_jacobians_of_empty_results_and_of_what_does_not_depend_on_the_argument():
    assert ag.jacobian(lambda x: x[:0])(X[0]).shape == (0, 3)
    assert ag.jacobian(lambda x: np.ones(2))(X[0]).tolist() == np.zeros((2, 3)).tolist()
    assert ag.jacobian(lambda x, y: y * 2.0, argnums=(0, 1))(X[0], 3.0)[0].tolist() == [0.0] * 3


# --- networks ----------------------------------------------------------------------------------------------------------------------------


def test_gradients_per_example_of_a_module():
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2))
    parameters = {name: p.data for name, p in model.named_parameters()}
    labels = np.array([0, 1, 1, 0, 1])

    def loss(parameters, x, label):
        return nn.functional.cross_entropy(nn.functional_call(model, parameters, (x,)), label)

    found = ag.vmap(ag.grad(loss), (None, 0, 0))(parameters, X, labels)
    for i in range(5):
        expected = ag.grad(loss)(parameters, X[i], labels[i])
        for name, g in expected.items():
            np.testing.assert_allclose(found[name][i], g, rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "softmax", "log_softmax"])
def test_activations_can_be_mapped(name):
    function = getattr(nn.functional, name)
    options = {"axis": 0} if "softmax" in name else {}
    np.testing.assert_allclose(ag.vmap(lambda x: function(x, **options))(X), [function(x, **options) for x in X], rtol=1e-14)


def test_a_label_that_does_not_exist_is_refused_in_a_map_too():
    with pytest.raises(ValueError, match=r"classes 0\.\.2"):
        ag.vmap(lambda x, t: nn.functional.cross_entropy(x, t))(X, np.array([0, 1, 2, 3, 0]))


# --- found by a critical reading ------------------------------------------------------------------------------------------------------


ROWS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])


@pytest.mark.parametrize(
    "f",
    [lambda x: np.convolve(x, [1.0, 2.0]), lambda x: np.quantile(x, 0.3), lambda x: np.kron(x, x), lambda x: np.linalg.slogdet(np.diag(x))[1]],
    ids=["convolve", "quantile", "kron", "slogdet"],
)
def test_derivatives_forward_through_a_loop_over_the_batch_are_each_elements(f):
    value, along = ag.jvp(ag.vmap(f), (ROWS,), (ROWS,))
    np.testing.assert_allclose(value, [f(x) for x in ROWS])
    np.testing.assert_allclose(along, [ag.jvp(f, (x,), (x,))[1] for x in ROWS], rtol=1e-12)


@pytest.mark.parametrize("f", [np.linalg.det, lambda a: np.linalg.norm(a, 2), lambda a: np.median(a) ** 2, lambda a: np.quantile(a**2, 0.4)])
def test_second_derivatives_are_mapped_where_a_rule_needs_python_values(f):
    stack = np.random.default_rng(3).normal(size=(3, 2, 2)) + 2 * np.eye(2)
    np.testing.assert_allclose(ag.vmap(ag.hessian(f))(stack), [ag.hessian(f)(a) for a in stack], rtol=1e-9, atol=1e-11)


def test_an_index_that_differs_over_the_batch_has_the_same_gradient_recorded_and_not():
    weights = ag.tensor([2.0, 3.0], requires_grad=True)

    def permuted(x):
        t = ag.tensor(np.zeros(2))
        t[np.argsort(x)] = weights
        return t @ np.array([1.0, 10.0])

    y = ag.vmap(permuted)(np.array([[1.0, 2.0], [2.0, 1.0]])).sum()
    assert ag.gradient(y, weights, retain_graph=True).tolist() == [11.0, 11.0]
    assert ag.gradient(y, weights, create_graph=True).tolist() == [11.0, 11.0]


def test_a_recorded_pass_is_of_what_was_computed_and_not_of_another_evaluation():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    total = sum(ag.vmap(lambda x: x**2 * k)(x) for k in (1.0, 2.0, 3.0)).sum()  # noqa: B023  the point of this test
    assert ag.gradient(total, x, create_graph=True).tolist() == [12.0, 24.0]
    random = np.random.default_rng(0)
    y = ag.vmap(lambda a: a * random.normal())(x)
    np.testing.assert_allclose(ag.gradient(y.sum(), x, create_graph=True).data, y.data / x.data)
    given = ag.tensor([3.0, 4.0])
    y = ag.vmap(lambda a, t: a * a * t)(x, given)
    given.data[:] = 100.0
    assert ag.gradient(y.sum(), x, create_graph=True).tolist() == [6.0, 16.0]


def test_backward_inside_of_a_map_reaches_no_leaf_from_outside():
    w = ag.tensor(np.ones(2), requires_grad=True)
    with pytest.raises(ag.BatchingError, match=r"Use ag\.grad inside"):
        ag.vmap(lambda x: (x * w).sum().backward() or x)(np.ones((3, 2)))

    def own(x):
        leaf = ag.tensor(np.ones(2), requires_grad=True)
        (leaf * x).sum().backward()
        return leaf.grad

    assert ag.vmap(own)(np.eye(2)).tolist() == np.eye(2).tolist()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: ag.tensor(np.arange(20.0).reshape(5, 4))[:, np.argmax(x)],
        lambda x: np.take(x, np.argmax(x)) * x,
        lambda x: np.interp(x, np.arange(3.0), x),
        lambda x: np.piecewise(x, [x < 4, x >= 4], [lambda x: x**2, lambda x: -x]),
        lambda x: np.clip(x, 2, None),
        lambda x: np.sum(x[0], axis=0),
    ],
    ids=["a column of its own", "take", "interp", "piecewise", "one bound", "axis of a number"],
)
def test_what_works_in_a_loop_works_in_a_map(f):
    np.testing.assert_allclose(ag.vmap(f)(ROWS), [_array(f(ag.tensor(x))) for x in ROWS])


def test_an_operation_of_the_users_gets_plain_arrays_unless_it_takes_batches():
    seen = []

    @ag.op(x=lambda g, x: g * 2 * x)
    def square(x):
        seen.append(type(x))
        return x * x if isinstance(x, np.ndarray) else 0 * x

    @ag.op(x=lambda g, x: g * 2 * x, batches=True)
    def square_of_batches(x):
        seen.append(type(x))
        return x * x

    np.testing.assert_allclose(ag.vmap(square)(ROWS), ROWS**2)
    assert set(seen) == {np.ndarray}
    seen.clear()
    np.testing.assert_allclose(ag.vmap(ag.grad(lambda x: square_of_batches(x).sum()))(ROWS), 2 * ROWS)
    assert [kind.__name__ for kind in seen] == ["Batched"]


def test_errors_of_numpy_stay_errors():
    with pytest.raises(ValueError, match="Improper number of dimensions"):
        ag.vmap(lambda x: np.linalg.norm(x, 1))(np.ones((2, 3, 4, 5)))
    with pytest.raises(ValueError, match="shape-mismatch"):
        ag.vmap(lambda x, y: np.tensordot(x, y, axes=([0, 1], [0, 1])))(np.ones((2, 3, 4)), np.ones((2, 4, 3)))


def test_a_result_that_is_the_same_for_all_may_come_without_the_batch():
    values, same = ag.vmap(lambda x: (x.sum(), np.arange(2.0)), out_axes=(0, None))(ROWS)
    assert (values.shape, same.tolist()) == ((2,), [0.0, 1.0])
    with pytest.raises(ValueError, match="differs over the batch"):
        ag.vmap(lambda x: x.sum(), out_axes=None)(ROWS)


def test_results_do_not_share_memory():
    a, b, c = ag.vmap(lambda x: (x, x, x[:1]))(ROWS)
    a[:] = 9
    assert (b == ROWS).all()
    assert (c == ROWS[:, :1]).all()


def test_a_complex_jacobian_does_not_depend_on_how_many_results_there_are():
    z = np.array([1 + 2j, 0.5 - 1j])
    one = ag.jacobian(lambda z: z**2)(z)
    np.testing.assert_allclose(one, np.diag(2 * z))
    np.testing.assert_allclose(ag.jacobian(lambda z: np.concatenate([z**2, z**2]))(z), np.concatenate([one, one]))
    np.testing.assert_allclose(ag.jacobian(lambda x: x * (1 + 2j))(np.ones(2)), (1 + 2j) * np.eye(2))
    np.testing.assert_allclose(ag.jacobian(lambda x: x * (1 + 2j))(np.ones(9)), (1 + 2j) * np.eye(9))
    for many in (1, 3):  # of a real result it is dL/dRe + i dL/dIm, as of grad
        squares = ag.jacobian(lambda z, n=many: np.concatenate([np.abs(z) ** 2] * n))(z)
        np.testing.assert_allclose(squares, np.concatenate([np.diag(2 * z)] * many))
    for f in (np.conj, lambda z: np.concatenate([z * abs(z)] * 2)):
        with pytest.raises(ValueError, match="not complex differentiable"):
            ag.jacobian(f)(z)


@pytest.mark.parametrize(
    "loss",
    [
        lambda x, y, c: np.sum((x + y) * c),
        lambda x, y, c: np.sum((x.reshape(4) + y.reshape(4)) * c.reshape(4)),
        lambda x, y, c: np.sum((x.T + y) * c),
        lambda x, y, c: np.sum((x + c) @ (y + c)),
        lambda x, y, c: np.sum(np.exp(x) * np.exp(y)),
        lambda x, y, c: np.sum(x * c) + np.sum(y * c),
    ],
)
def test_a_gradient_inside_a_map_shares_memory_with_nothing(loss):
    def doubled(x, y, c):
        first, second = ag.grad(loss, argnums=(0, 1))(x, y, c)
        kept, given = second.copy(), c.copy()
        first[:] = 7.0
        return first, second, kept, c, given

    x, y, c = np.random.default_rng(0).normal(size=(3, 5, 2, 2))
    first, second, kept, after, before = ag.vmap(doubled)(x, y, c)
    assert np.array_equal(second, kept)
    assert np.array_equal(after, before)
    assert np.all(first == 7.0)


def test_axes_are_integers_that_the_result_has():
    x = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(ag.vmap(np.sin, in_axes=np.int64(1), out_axes=np.int64(1))(x), np.sin(x))
    with pytest.raises(ValueError, match=r"out_axes=3 for a result of shape \(2, 3\)"):
        ag.vmap(np.sin, out_axes=3)(x)
    with pytest.raises(ValueError, match="got True"):
        ag.vmap(np.sin, in_axes=True)(x)


def test_a_format_needs_one_value():
    with pytest.raises(ag.BatchingError, match="the format"):
        ag.vmap(lambda x: f"{x:.3f}")(np.ones(2))


@pytest.mark.parametrize("wanted", [(), ([0, 2],)])
def test_einsum_with_numbered_axes_takes_a_whole_batch(wanted: tuple[list[int], ...], rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(5, 2, 3)), rng.normal(size=(5, 3, 4))
    found = ag.vmap(lambda x, y: np.einsum(x, [0, 1], y, [1, 2], *wanted))(a, b)
    np.testing.assert_allclose(found, a @ b)


# --- derivatives and solutions under a map --------------------------------------------------------------------------------------


def _linear_maps():
    x = np.array([1.0, 2.0, 3.0])
    f = lambda x: np.stack([x[0] ** 2 * x[1], x[2] ** 3])
    return {
        "vjp": (ag.vjp(f, x)[1], np.eye(2), ag.jacobian(f)(x)),
        "linearize": (ag.linearize(f, x)[1], np.eye(3), ag.jacobian(f)(x).T),
        "hvp": (lambda v: ag.hvp(lambda x: f(x).sum())(x, v), np.eye(3), ag.hessian(lambda x: f(x).sum())(x)),
        "jvp": (lambda v: ag.jvp(f, (x,), (v,))[1], np.eye(3), ag.jacobian(f)(x).T),
    }


@pytest.mark.parametrize("kind", ["vjp", "linearize", "hvp", "jvp"])
def test_a_linear_map_of_derivatives_gives_arrays_under_a_map(kind):
    apply, units, expected = _linear_maps()[kind]
    (found,) = found if isinstance(found := ag.vmap(apply)(units), tuple) else (found,)
    assert type(found) is np.ndarray
    assert np.allclose(found, expected, rtol=1e-13)
    assert ag.vmap(lambda u: apply(u)[0] if kind == "vjp" else apply(u))(ag.tensor(units, requires_grad=True)).requires_grad


def test_a_vjp_under_a_map_can_be_differentiated_by_its_cotangents():
    _, back = ag.vjp(lambda x: x**2, np.array([1.0, 3.0]))
    found = ag.grad(lambda u: (ag.vmap(back)(u)[0] ** 2).sum())(np.eye(2))
    assert np.allclose(found, 2 * np.eye(2) * np.array([2.0, 6.0]) ** 2)


@pytest.mark.parametrize("captured", [False, True], ids=["argument", "captured"])
def test_each_element_has_its_own_root_under_a_map(captured):
    def solve(a):
        return ag.root(lambda x: x**3 + x - a, np.ones(2)) if captured else ag.root(lambda x, a: x**3 + x - a, np.ones(2), a)

    starts = np.array([[1.0, -4.0], [0.0, 2.0], [300.0, 1e-3]])
    expected = np.stack([solve(a) for a in starts])
    assert np.allclose(ag.vmap(solve)(starts), expected, rtol=1e-12)
    slopes = np.stack([ag.jacobian(solve)(a) for a in starts])
    assert np.allclose(ag.vmap(ag.jacobian(solve))(starts), slopes, rtol=1e-10)
    second = np.stack([ag.grad(lambda a: (ag.grad(lambda a: solve(a).sum())(a) ** 2).sum())(a) for a in starts])
    assert np.allclose(ag.vmap(ag.grad(lambda a: (ag.grad(lambda a: solve(a).sum())(a) ** 2).sum()))(starts), second, rtol=1e-8)
    assert np.allclose(ag.grad(lambda a: ag.vmap(solve)(a).sum())(starts), [ag.grad(lambda a: solve(a).sum())(a) for a in starts], rtol=1e-10)


def test_each_element_has_its_own_fixed_point_and_start_under_a_map():
    solve = lambda x0, a: ag.fixed_point(lambda x: np.cos(x) * a, x0)
    starts, factors = np.array([0.5, 1.0, 0.1]), np.array([0.1, 0.9, 0.5])
    assert np.allclose(ag.vmap(solve)(starts, factors), [solve(x, a) for x, a in zip(starts, factors, strict=True)], rtol=1e-12)
    assert np.allclose(ag.vmap(lambda x0, a: ag.root(lambda x: x * x - a, x0))(np.array([1.0, -1.0]), np.array([4.0, 9.0])), [2.0, -3.0])


def test_an_element_without_a_root_is_told_under_a_map():
    with pytest.raises(RuntimeError, match="no solution was found"):
        ag.vmap(lambda a: ag.root(lambda x: x**2 - a, 1.0))(np.array([4.0, -1.0]))


# --- what a mapped function writes to ---------------------------------------------------------------------------------------------


def test_a_value_of_the_outside_cannot_be_written_to_and_keeps_its_value():
    outside = ag.tensor(np.zeros(3))
    w = ag.tensor(np.ones(3), requires_grad=True)
    computed = w * 2.0
    node = computed.node

    def writes(target):
        def f(x):
            target[0] = x
            target[1] = x * 2
            return x * 2

        return f

    for target, value in [(outside, np.zeros(3)), (computed, np.full(3, 2.0))]:
        with pytest.raises(BatchingError, match=r"into a tensor of shape \(3,\) that lives on outside"):
            ag.vmap(writes(target))(np.arange(4.0))
        assert np.array_equal(target.data, value)
    assert computed.node is node
    computed.sum().backward()
    assert np.array_equal(w.grad.data, np.full(3, 2.0))


def test_an_array_of_the_outside_cannot_be_written_to():
    array = np.zeros(3)

    def f(x):
        array[0] = x
        return x

    with pytest.raises((TypeError, ValueError)):
        ag.vmap(f)(np.arange(4.0))
    assert np.array_equal(array, np.zeros(3))


@pytest.mark.parametrize("in_a_cycle", [False, True])
def test_a_tensor_that_the_function_makes_may_be_filled(in_a_cycle):
    def f(x):
        filled, scratch = ag.tensor(np.zeros(2)), ag.tensor(np.zeros(2))
        filled[0] = x
        scratch[1] = x * x
        if in_a_cycle:
            holder = [scratch]
            holder.append(holder)
        return filled, filled * 2.0 + scratch

    first, second = ag.vmap(f)(np.array([1.0, 2.0]))
    assert np.array_equal(first, [[1.0, 0.0], [2.0, 0.0]])
    assert np.array_equal(second, [[2.0, 1.0], [4.0, 4.0]])
    assert np.array_equal(ag.grad(lambda x: ag.vmap(f)(x)[1].sum())(np.array([1.0, 2.0])), [4.0, 6.0])


def test_a_map_within_a_map_cannot_write_into_the_outer_ones_values():
    def outer(x):
        kept = ag.tensor(np.zeros(2))

        def inner(y):
            kept[0] = y
            return y

        return ag.vmap(inner)(x) + kept.sum()

    with pytest.raises(BatchingError, match="lives on outside"):
        ag.vmap(outer)(np.ones((2, 3)))
