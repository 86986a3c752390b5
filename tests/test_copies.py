"""What copying, deep-copying and pickling a tensor mean, for leaves and for computed tensors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import autograd_core as ag


def test_a_shallow_copy_of_a_leaf_is_a_leaf_around_the_same_array():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    y = copy.copy(x)
    assert y.is_leaf
    assert y.requires_grad
    assert np.shares_memory(x.data, y.data)
    (y * 3).sum().backward()
    assert x.grad is None
    assert y.grad.tolist() == [3.0, 3.0]


def test_a_shallow_copy_of_a_computed_tensor_has_the_same_history():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    y = copy.copy(x * 3)
    assert not y.is_leaf
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_item_assignment_to_a_copy_leaves_the_original():
    x = ag.tensor([1.0, 2.0])
    for duplicate in (copy.copy(x), copy.deepcopy(x), x.copy()):
        duplicate[0] = 100.0
        assert x.tolist() == [1.0, 2.0]


def test_a_deep_copy_of_a_leaf_is_independent_with_its_gradient():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).sum().backward()
    y = copy.deepcopy(x)
    assert y.is_leaf
    assert y.requires_grad
    assert y.grad.tolist() == [3.0, 3.0]
    y.data[0] = 100
    y.grad.data[0] = 100
    assert x.tolist() == [1.0, 2.0]
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_deep_copy_of_a_computed_tensor_still_reaches_the_leaves():
    x = ag.tensor([1.0, 2.0], requires_grad=True)
    y = copy.deepcopy(x * 3)
    y.data[0] = 100
    assert not np.shares_memory(y.data, x.data)
    y.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_deep_copy_of_a_container_keeps_shared_tensors_shared():
    x = ag.tensor([1.0], requires_grad=True)
    a, b = copy.deepcopy([x, x])
    assert a is b
    assert a is not x


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_leaf_comes_back_with_its_gradient(protocol):
    x = ag.tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    (x * 3).sum().backward()
    y = pickle.loads(pickle.dumps(x, protocol))
    assert (y.dtype, y.requires_grad, y.is_leaf, y.tolist(), y.grad.tolist()) == (np.float32, True, True, [1.0, 2.0], [3.0, 3.0])
    (y * 2).sum().backward()
    assert y.grad.tolist() == [5.0, 5.0]


def test_a_pickled_computed_tensor_comes_back_as_a_leaf():
    y = pickle.loads(pickle.dumps(ag.tensor(2.0, requires_grad=True) * 3))
    assert y.item() == 6.0
    assert y.is_leaf
    assert y.requires_grad
    assert not pickle.loads(pickle.dumps(ag.tensor([1, 2]))).requires_grad


def test_a_node_cannot_be_pickled():
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps((ag.tensor(1.0, requires_grad=True) * 2).node)
