"""Hooks on tensors: what they see, what they may replace, and how they are taken off."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def test_a_hook_sees_the_whole_gradient_once():
    x = leaf([1.0, 2.0])
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.tolist()))
    (y + y * y).sum().backward()
    assert seen == [[1 + 6.0, 1 + 12.0]]
    assert x.grad.tolist() == [21.0, 39.0]


def test_a_hook_gets_a_tensor_of_the_gradients_shape_and_dtype():
    x = ag.tensor(np.ones((2, 1), np.float32), requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append((type(g), g.shape, g.dtype, g.requires_grad)))
    (x * np.ones((2, 3))).sum().backward()
    assert seen == [(ag.Tensor, (2, 1), np.float32, False)]


@pytest.mark.parametrize("where", ["leaf", "computed"])
def test_what_a_hook_returns_takes_the_gradients_place(where):
    x = leaf([1.0, 2.0])
    y = x * 3
    (x if where == "leaf" else y).register_hook(lambda g: g * 10)
    y.sum().backward()
    assert x.grad.tolist() == [30.0, 30.0]


def test_a_hook_may_return_an_array():
    x = leaf([1.0, 2.0])
    x.register_hook(lambda g: np.array([7.0, 8.0]))
    (x * 3).sum().backward()
    assert x.grad.tolist() == [7.0, 8.0]
    assert isinstance(x.grad, ag.Tensor)


def test_hooks_run_in_the_order_of_their_registration_each_on_the_others_result():
    x = leaf(1.0)
    x.register_hook(lambda g: g + 1)
    x.register_hook(lambda g: g * 10)
    (x * 3).backward()
    assert x.grad.item() == 40.0


def test_a_removed_hook_runs_no_more():
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 10)
    other = x.register_hook(lambda g: g + 1)
    handle.remove()
    handle.remove()
    (x * 3).backward()
    assert x.grad.item() == 4.0
    other.remove()
    x.grad = None
    (x * 3).backward()
    assert x.grad.item() == 3.0


def test_a_hook_ends_with_its_with_block():
    x = leaf(1.0)
    with pytest.raises(KeyError), x.register_hook(lambda g: g * 10):
        raise KeyError
    (x * 3).backward()
    assert x.grad.item() == 3.0


def test_a_hook_may_remove_itself_while_it_runs():
    x = leaf(1.0)
    handles = []
    handles.append(x.register_hook(lambda g: (handles[0].remove(), g * 10)[1]))
    for expected in (30.0, 3.0):
        x.grad = None
        (x * 3).backward()
        assert x.grad.item() == expected


def test_a_hook_on_a_computed_tensor_outlives_the_handle_on_it():
    x = leaf(1.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    z = y * 1
    del y
    z.backward()
    assert x.grad.item() == 30.0


def test_a_hook_serves_every_pass_over_a_retained_graph():
    x = leaf(1.0)
    y = x * 3
    seen = []
    y.register_hook(lambda g: seen.append(g.item()))
    z = y * 1
    z.backward(retain_graph=True)
    z.backward(2.0)
    assert seen == [1.0, 2.0]


def test_hooks_run_for_gradient_too():
    x = leaf(2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    assert ag.gradient(y * 1, x).item() == 30.0


def test_under_create_graph_a_hook_is_part_of_the_derivative():
    x = leaf(2.0)
    y = x * x
    y.register_hook(lambda g: g * x)
    first = ag.gradient(y * 1, x, create_graph=True)
    assert first.item() == 2 * 4.0  # x * 2x
    assert ag.gradient(first, x).item() == 8.0


def test_a_hook_keeps_the_dtype_of_the_gradient():
    x = ag.tensor(np.ones(2, np.float32), requires_grad=True)
    x.register_hook(lambda g: g.data.astype(np.float64) * 2)
    (x * 3).sum().backward()
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [6.0, 6.0]


def test_a_hook_cannot_write_into_arrays_on_their_way_to_others():
    a, b = leaf(np.ones(3)), leaf(np.ones(3))
    left, right = a * 1.0, b * 1.0

    def write(g):
        g.data[:] = 100

    right.register_hook(write)
    with pytest.raises(ValueError, match="read-only"):
        (left + right).sum().backward()
    assert a.grad is None
    assert b.grad is None


def test_a_gradient_that_a_hook_keeps_stays_as_it_was_seen():
    x = leaf([1.0, 2.0])
    kept = []
    x.register_hook(kept.append)
    for _ in range(3):
        (x * 3).sum().backward()
    assert [g.tolist() for g in kept] == [[3.0, 3.0]] * 3
    x.grad.data[:] = 0
    assert kept[0].tolist() == [3.0, 3.0]


def test_what_a_hook_returns_is_not_taken_over_by_the_leaf():
    x, mine = leaf([1.0, 2.0]), ag.tensor([5.0, 6.0])
    x.register_hook(lambda g: mine)
    (x * 3).sum().backward()
    x.grad.data[:] = 0
    assert mine.tolist() == [5.0, 6.0]


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (np.zeros(3), ValueError, r"hook on multiply: returned a gradient of shape \(3,\), expected \(2,\)"),
        (2.0, TypeError, r"hook on multiply: returned float, expected None or a gradient of shape \(2,\)"),
        (np.zeros(2, complex), TypeError, r"hook on multiply: returned a gradient of dtype complex128, expected float64"),
    ],
)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_that_returns_what_is_no_gradient_is_refused(returned, error, message, create_graph):
    x = leaf([1.0, 2.0])
    y = x * 3
    y.register_hook(lambda g: returned)
    with pytest.raises(error, match=message):
        (y * y).sum().backward(create_graph=create_graph)
    assert x.grad is None


def test_a_hook_on_an_untracked_tensor_is_refused():
    with pytest.raises(RuntimeError, match="register_hook needs a tensor that requires grad"):
        ag.tensor(1.0).register_hook(lambda g: g)
    with pytest.raises(RuntimeError, match="retain_grad needs a tensor that requires grad"):
        ag.tensor(1.0).retain_grad()


def test_an_exception_in_a_hook_leaves_nothing_behind():
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    y = x * w
    y.retain_grad()
    handle = y.register_hook(lambda g: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        y.sum().backward(retain_graph=True)
    assert x.grad is w.grad is y.grad is None
    assert (x * 2).requires_grad
    handle.remove()
    (x * w).sum().backward()
    assert x.grad.tolist() == [3.0, 4.0]


def test_a_hook_may_run_a_backward_pass_of_its_own():
    x = leaf(2.0)
    y = x * x
    inner = []

    def hook(g):
        assert not ag.is_grad_enabled()  # the pass itself is not recorded
        with ag.enable_grad():
            z = leaf(3.0)
            (z * z * x.detach()).backward()
            inner.append(z.grad.item())
            inner.append(ag.gradient(x * x * x, x).item())

    y.register_hook(hook)
    (y * 5).backward()
    assert inner == [12.0, 12.0]
    assert x.grad.item() == 20.0


# --- after accumulation ---------------------------------------------------------------------------------------------------


def test_a_hook_after_accumulation_sees_the_whole_gradient_of_a_leaf():
    x = ag.tensor(np.array([1.0, 2.0]), requires_grad=True)
    seen = []
    x.register_hook(lambda g: 10 * g)
    handle = x.register_post_accumulate_grad_hook(lambda t: seen.append((t is x, t.grad.tolist())))
    (x * x + x).sum().backward()
    x.sum().backward()
    assert seen == [(True, [30.0, 50.0]), (True, [40.0, 60.0])]
    handle.remove()
    x.sum().backward()
    assert len(seen) == 2


def test_a_hook_after_accumulation_may_step_and_drop_the_gradient():
    x = ag.tensor(np.ones(2), requires_grad=True)

    def step(t):
        t.data[...] -= 0.1 * t.grad.data
        t.grad = None

    x.register_post_accumulate_grad_hook(step)
    (x * 3.0).sum().backward()
    assert x.grad is None
    assert np.allclose(x.data, 0.7)


def test_hooks_after_accumulation_are_not_called_where_nothing_accumulates():
    x = ag.tensor(np.ones(2), requires_grad=True)
    seen = []
    x.register_post_accumulate_grad_hook(seen.append)
    ag.gradient((x * x).sum(), x)
    ag.tensor(2.0, requires_grad=True).backward()
    assert not seen
    (x * x).sum().backward(create_graph=True)
    assert len(seen) == 1
    assert seen[0].grad.requires_grad


def test_computed_and_untracked_tensors_have_no_hook_after_accumulation():
    x = ag.tensor(np.ones(2), requires_grad=True)
    with pytest.raises(RuntimeError, match="register_hook"):
        (x * 2).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="requires grad"):
        x.detach().register_post_accumulate_grad_hook(print)


def test_a_hook_shows_its_function_and_whether_it_is_on():
    hook = ag.tensor([1.0], requires_grad=True).register_hook(np.negative)
    assert repr(hook) == "Hook(negative)"
    hook.remove()
    assert repr(hook) == "Hook(removed)"
