"""The backward pass: what it computes, where it leaves gradients, and what it refuses."""

from __future__ import annotations

import time

import numpy as np
import pytest

import autograd_core as ag


def leaf(value, dtype=None):
    return ag.tensor(value, dtype=dtype, requires_grad=True)


# --- what it computes -----------------------------------------------------------------------------------------------------


def test_gradient_of_a_shared_input_is_the_sum_over_its_uses():
    x = leaf([1.0, 2.0, 3.0])
    (x * 2 + x * x + x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0, 9.0]


def test_one_tensor_as_both_arguments_gets_both_contributions():
    x = leaf(3.0)
    (x * x).backward()
    assert x.grad.item() == 6.0
    y = leaf([[1.0, 2.0], [3.0, 4.0]])
    (y @ y).sum().backward()
    a = y.data
    np.testing.assert_array_equal(y.grad.data, np.ones((2, 2)) @ a.T + a.T @ np.ones((2, 2)))


def test_a_diamond_of_sixty_doublings_is_walked_once_per_node():
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_a_lattice_with_a_path_count_beyond_all_bounds_is_walked_once_per_node():
    x, y = leaf(1.0), leaf(1.0)
    a, b = x, y
    for _ in range(200):  # 2^200 paths
        a, b = (a + b) * 0.5, (a - b) * 0.5 + b * 0.5
    a.backward()
    assert np.isfinite(x.grad.item())


def test_a_chain_of_a_million_operations_is_recorded_differentiated_and_freed():
    x = leaf(1.0)
    y = x
    for _ in range(1_000_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0
    del y


def test_a_long_chain_that_is_never_differentiated_is_freed_without_recursion():
    x = leaf(np.ones(2))
    y = x
    for _ in range(200_000):
        y = y * 1.0
    del y
    assert (x * 2).tolist() == [2.0, 2.0]


def test_a_chain_of_second_order_needs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y * 1.0
    first = ag.gradient(y * y, x, create_graph=True)
    assert ag.gradient(first, x).item() == 2.0


def test_joining_many_tensors_takes_time_in_proportion_to_their_number():
    def seconds(count):
        leaves = [leaf(float(i)) for i in range(count)]
        start = time.process_time()
        np.stack(leaves).sum().backward()
        spent = time.process_time() - start
        assert leaves[-1].grad.item() == 1.0
        return spent

    assert min(seconds(20_000) for _ in range(3)) < 40 * max(min(seconds(2_000) for _ in range(3)), 0.002)


def test_one_tensor_used_by_very_many_operations_is_walked_once():
    x = leaf([1.0, 2.0])
    total = x * 0.0
    for i in range(10_000):
        total = total + x * float(i)
    total.sum().backward()
    assert x.grad.tolist() == [10_000 * 9_999 / 2] * 2


def test_an_operation_is_differentiated_after_all_of_its_users_whatever_order_they_were_made_in():
    x = leaf(2.0)
    early = x * 3
    late = early * early
    later = late * early  # early is used by nodes of different ages
    (later + early).backward()
    assert x.grad.item() == 3 * 27 * 4 + 3  # d(27 x^3 + 3x)


def test_a_deep_and_wide_expression_agrees_with_the_formula(rng):
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))
    x, w = leaf(a), leaf(b)
    loss = ((x @ w).tanh() ** 2).mean()
    loss.backward()
    t = np.tanh(a @ b)
    g = 2 * t / t.size * (1 - t * t)
    np.testing.assert_allclose(x.grad.data, g @ b.T, rtol=1e-13)
    np.testing.assert_allclose(w.grad.data, a.T @ g, rtol=1e-13)


BROADCAST = [
    ((3,), (), (3,)),
    ((2, 3), (3,), (2, 3)),
    ((2, 1), (1, 3), (2, 3)),
    ((1,), (2, 3), (2, 3)),
    ((0, 3), (1, 3), (0, 3)),
    ((1, 1), (), (1, 1)),
]


@pytest.mark.parametrize(("left", "right", "result"), BROADCAST)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64])
def test_a_broadcast_argument_gets_a_gradient_of_its_own_shape_and_dtype(left, right, result, dtype):
    x, y = (leaf(np.full(shape, 2, dtype)) for shape in (left, right))
    z = x * y
    z.backward(np.ones(result, dtype))
    for one in (x, y):
        assert (one.grad.shape, one.grad.dtype) == (one.shape, dtype)
        np.testing.assert_array_equal(one.grad.data, np.full(one.shape, 2 * (z.size / one.size if one.size else 0)))


def test_a_gradient_is_zero_not_none_where_a_used_argument_has_no_influence():
    x = leaf([1.5, 2.5])
    np.floor(x).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]


def test_a_tensor_that_the_output_does_not_depend_on_gets_no_gradient():
    x, y = leaf(1.0), leaf(2.0)
    (x * 2).backward()
    assert y.grad is None


# --- where it leaves gradients ---------------------------------------------------------------------------------------------


def test_gradients_accumulate_over_passes():
    x = leaf([1.0, 2.0])
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]
    assert first.tolist() == [2.0, 2.0], "a gradient that the user took away was changed"


def test_only_leaves_keep_a_gradient():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    z.backward()
    assert x.grad.item() == 36.0
    assert y.grad is None
    assert z.grad is None


def test_a_computed_tensor_that_retains_its_gradient_gets_it():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    y.retain_grad()
    x.retain_grad()
    (y * y).backward(retain_graph=True)
    assert (y.grad.item(), x.grad.item()) == (12.0, 36.0)
    (y * 2).backward()
    assert y.grad.item() == 14.0


def test_a_retained_gradient_is_forgotten_with_its_tensor():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    z = y * y
    del y
    z.backward()
    assert x.grad.item() == 36.0


SHARING = {
    "add of two leaves": lambda x, y: x + y,
    "sum": lambda x, y: (x + y).sum() + np.zeros(3),
    "reshape": lambda x, y: (x.reshape(3, 1) + y.reshape(3, 1)).reshape(3),
    "positive": lambda x, y: +x + +y,
    "transpose": lambda x, y: x.T + y.T,
    "used twice": lambda x, y: x + x + y,
}


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("create_graph", [False, True])
def test_every_leaf_owns_its_gradient_and_can_write_to_it(name, create_graph):
    x, y, g = leaf(np.ones(3)), leaf(np.ones(3)), np.ones(3)
    SHARING[name](x, y).backward(g, create_graph=create_graph)
    for one in (x, y):
        assert one.grad.data.flags.writeable
    assert not np.shares_memory(x.grad.data, y.grad.data)
    assert not np.shares_memory(x.grad.data, g)
    y_before = y.grad.tolist()
    x.grad.data[:] = 100
    assert y.grad.tolist() == y_before
    assert g.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("create_graph", [False, True])
def test_results_of_gradient_share_no_memory(name, create_graph):
    x, y, g = leaf(np.ones(3)), leaf(np.ones(3)), ag.tensor(np.ones(3), requires_grad=create_graph)
    results = ag.gradient(SHARING[name](x, y), [x, y, x], g, create_graph=create_graph)
    arrays = [r.data for r in results] + [g.data]
    assert all(a.flags.writeable for a in arrays)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    np.testing.assert_array_equal(results[0].data, results[2].data)


def test_the_seed_is_not_used_up_by_rules_that_work_in_place():
    x, v, g = leaf([1.0, 2.0, 3.0]), leaf(5.0), np.array([1.0, 2.0, 3.0])
    for use in (lambda y: y.backward(g), lambda y: ag.gradient(y, [x, v], g), lambda y: ag.gradient(y, [x, v], g, create_graph=True)):
        y = x * 1.0
        y[0] = v
        y[1:] += y[:-1]
        use(y)
        assert g.tolist() == [1.0, 2.0, 3.0]


def test_the_leafs_own_backward_copies_the_seed():
    x, g = leaf([1.0, 2.0]), np.array([3.0, 4.0])
    x.backward(g)
    g[:] = 0
    assert x.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize("kind", ["fortran order", "negative strides", "read-only", "broadcast", "0-d", "empty"])
def test_gradients_have_their_arguments_shape_whatever_its_layout(kind):
    a = {
        "fortran order": np.asfortranarray(np.ones((2, 3))),
        "negative strides": np.ones((2, 3))[::-1, ::-1],
        "read-only": np.ones(3),
        "broadcast": np.broadcast_to(1.0, (2, 3)),
        "0-d": np.array(1.0),
        "empty": np.ones((0, 2)),
    }[kind]
    a.flags.writeable = a.flags.writeable and kind != "read-only"
    x = leaf(1.0)
    (x * a).sum().backward()
    assert (x.grad.shape, x.grad.item()) == ((), a.size)
    y = leaf(a)
    (y * a).sum().backward()
    np.testing.assert_array_equal(y.grad.data, a)
    assert y.grad.data.flags.writeable


# --- seeds --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_an_output_of_one_element_needs_no_gradient(shape):
    x = leaf(np.full(shape, 3.0))
    (x * x).backward()
    assert x.grad.tolist() == np.full(shape, 6.0).tolist()


@pytest.mark.parametrize("g", [[1.0, 10.0], (1.0, 10.0), np.array([1.0, 10.0]), np.array([1.0, 10.0], np.float32), ag.tensor([1.0, 10.0])])
def test_the_gradient_of_the_output_may_be_an_array_a_tensor_or_a_list(g):
    x = leaf([2.0, 3.0])
    (x * x).backward(g)
    assert x.grad.tolist() == [4.0, 60.0]
    assert x.grad.dtype == np.float64


def test_a_number_is_a_gradient_for_a_0d_output():
    x = leaf(3.0)
    (x * x).backward(10)
    assert x.grad.item() == 60.0


# --- several passes ------------------------------------------------------------------------------------------------------------


def test_a_retained_graph_can_be_swept_again():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 18.0
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


@pytest.mark.parametrize("make", [lambda x: x * x, lambda x: x + 1, lambda x: x.tanh().exp(), lambda x: (x + 1).sum()])
@pytest.mark.parametrize("again", [lambda y, x: y.backward(), lambda y, x: ag.gradient(y, x), lambda y, x: ag.gradient(y, x, create_graph=True)])
def test_a_second_pass_through_a_freed_graph_says_what_to_do(make, again):
    x = leaf(3.0)
    y = make(x)
    y.backward()
    before = x.grad.item()
    with pytest.raises(RuntimeError, match=r"backward a second time through a freed graph \(at \w+, shape \(\)\).*retain_graph=True"):
        again(y, x)
    assert x.grad.item() == before


def test_a_pass_that_meets_a_freed_part_leaves_the_rest_alone():
    x, w = leaf(3.0), leaf(5.0)
    shared = x * x
    shared.backward(retain_graph=False)
    fresh = w * w
    with pytest.raises(RuntimeError, match="freed"):
        (shared + fresh).backward()
    assert w.grad is None
    fresh.backward()
    assert w.grad.item() == 10.0


def test_a_backward_pass_may_be_split_at_a_computed_tensor():
    x = leaf([1.0, 2.0])
    middle = x * x
    end = (middle * middle).sum()
    g = ag.gradient(end, middle)
    middle.backward(g)  # the part before `middle` was not touched by the first pass
    assert x.grad.tolist() == [4.0, 32.0]


def test_two_losses_over_a_common_part_need_retaining_once():
    x = leaf([1.0, 2.0])
    common = x * x
    first, second = common.sum(), (common * common).sum()
    first.backward(retain_graph=True)
    second.backward()
    assert x.grad.tolist() == [2 + 4.0, 4 + 32.0]


# --- gradient() -----------------------------------------------------------------------------------------------------------------


def test_gradient_returns_a_tensor_for_a_tensor_and_a_tuple_for_a_sequence():
    x, y = leaf(2.0), leaf(3.0)
    assert ag.gradient(x * y, x).item() == 3.0
    for inputs in ([x, y], (x, y)):
        result = ag.gradient(x * y, inputs)
        assert type(result) is tuple
        assert [g.item() for g in result] == [3.0, 2.0]


def test_gradient_leaves_every_grad_alone():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    ag.gradient(y * y, x)
    assert x.grad is None
    assert y.grad is None


def test_gradient_of_several_outputs_is_the_sum():
    x = leaf([1.0, 2.0])
    outputs = [x * 2, (x * x).sum()]
    g = ag.gradient(outputs, x, [np.array([10.0, 100.0]), None])
    assert g.tolist() == [20 + 2.0, 200 + 4.0]
    same = x * 3
    assert ag.gradient([same, same], x, [np.ones(2), np.ones(2)]).tolist() == [6.0, 6.0]


def test_gradient_with_respect_to_a_computed_tensor_and_the_output_itself():
    x = leaf(2.0)
    y = x * 3
    z = y * y
    gz, gy, gx = ag.gradient(z, [z, y, x])
    assert (gz.item(), gy.item(), gx.item()) == (1.0, 12.0, 36.0)


def test_gradient_runs_no_rule_that_leads_nowhere():
    ran = []

    @ag.op(x=lambda g: ran.append("x") or g)
    def watched(x):
        return x + 0.0

    x, y = leaf(2.0), leaf(3.0)
    out = watched(x) * y
    ag.gradient(out, y)
    assert ran == []


def test_an_unused_input_is_an_error_unless_allowed():
    x, y = leaf(2.0), leaf([3.0, 4.0])
    with pytest.raises(RuntimeError, match=r"input 1 \(shape \(2,\)\).*allow_unused=True"):
        ag.gradient(x * 2, [x, y])
    gx, gy = ag.gradient(x * 2, [x, y], allow_unused=True)
    assert gx.item() == 2.0
    assert gy is None


# --- higher orders ----------------------------------------------------------------------------------------------------------------


def test_each_order_is_the_derivative_of_the_one_before():
    x = leaf(2.0)
    g = x**5
    for expected in (80.0, 160.0, 240.0, 240.0, 120.0):
        g = ag.gradient(g, x, create_graph=True)
        assert g.item() == pytest.approx(expected, rel=1e-14)


def test_after_create_graph_the_leafs_grad_is_tracked_and_the_graph_survives():
    x = leaf(2.0)
    y = x**3
    y.backward(create_graph=True)
    assert x.grad.requires_grad
    g, x.grad = x.grad, None
    g.backward()
    assert x.grad.item() == 12.0
    x.grad = None
    y.backward()
    assert x.grad.item() == 12.0


def test_a_gradient_without_a_graph_is_untracked():
    x = leaf(2.0)
    assert not ag.gradient(x**3, x).requires_grad
    (x**3).backward()
    assert not x.grad.requires_grad


def test_accumulating_onto_a_tracked_grad_keeps_its_history():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    (x**2).backward(create_graph=True)
    assert x.grad.item() == 12 + 4
    g, x.grad = x.grad, None
    g.backward()
    assert x.grad.item() == 12 + 2


def test_a_gradient_penalty_trains():
    x, w = ag.tensor([[1.0, 2.0]], requires_grad=True), leaf([[3.0], [4.0]])
    out = (x @ w).tanh().sum()
    penalty = (ag.gradient(out, x, create_graph=True) ** 2).sum()
    penalty.backward()
    step, numeric = 1e-6, np.zeros((2, 1))
    for i in range(2):
        values = []
        for sign in (1, -1):
            v = w.data.copy()
            v[i] += sign * step
            s = 1 - np.tanh(x.data @ v) ** 2
            values.append(float(((s @ v.T) ** 2).sum()))
        numeric[i] = (values[0] - values[1]) / (2 * step)
    np.testing.assert_allclose(w.grad.data, numeric, rtol=1e-6, atol=1e-12)


def test_the_seed_may_be_differentiated_too():
    x, v = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    g = ag.gradient(x * x, x, v, create_graph=True)
    assert ag.gradient(g, v, np.ones(2)).tolist() == [2.0, 4.0]
