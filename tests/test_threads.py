"""Threads that build and differentiate graphs at the same time get the same results as one alone."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_core as ag

THREADS = 8


@pytest.fixture(autouse=True)
def switching_threads_as_often_as_can_be():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(function):
    """The results of `function(0)`, ..., `function(THREADS - 1)`, started together; an exception of any is raised here."""
    together = threading.Barrier(THREADS)

    def started(i):
        together.wait(10)
        return function(i)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(started, range(THREADS)))


def work(x, w):
    """A loss with shared nodes, broadcasting, indexing and a reduction."""
    y = x
    for _ in range(20):
        y = np.tanh(y * w + x) - y[::-1] * 0.5 + y.sum() * 0.01
    return (y * y).mean()


def test_threads_with_graphs_of_their_own():
    values = np.linspace(-1, 1, 8)

    def run(i):
        gradients = []
        for repeat in range(10):
            x = ag.tensor(values + i, requires_grad=True)
            w = ag.tensor(values - repeat, requires_grad=True)
            work(x, w).backward()
            gradients.append((x.grad.data, w.grad.data))
        return gradients

    alone = [run(i) for i in range(THREADS)]
    np.testing.assert_array_equal(in_threads(run), alone)


def test_threads_with_graphs_of_their_own_over_shared_leaves():
    x = ag.tensor(np.linspace(-1, 1, 8), requires_grad=True)
    w = ag.tensor(np.linspace(0.5, 1.5, 8), requires_grad=True)
    one_x, one_w = ag.gradient(work(x, w), [x, w])

    def run(i):
        for _ in range(20):
            work(x, w).backward()

    in_threads(run)
    np.testing.assert_allclose(x.grad.data, THREADS * 20 * one_x.data, rtol=1e-12)
    np.testing.assert_allclose(w.grad.data, THREADS * 20 * one_w.data, rtol=1e-12)


def test_no_contribution_to_a_shared_leaf_is_lost():
    x = ag.tensor(np.ones(4), requires_grad=True)

    def run(i):
        for _ in range(500):
            (x * 1.0).sum().backward()

    in_threads(run)
    assert x.grad.tolist() == [500.0 * THREADS] * 4


def test_threads_that_differentiate_over_a_shared_graph():
    x = ag.tensor(np.linspace(-1, 1, 8), requires_grad=True)
    w = ag.tensor(np.linspace(0.5, 1.5, 8), requires_grad=True)
    common = np.tanh(x * w)

    def loss(i):
        return (common * common * (i + 1.0)).sum()

    expected = sum(ag.gradient(loss(i), x, retain_graph=True).data for i in range(THREADS))

    def run(i):
        for _ in range(20):
            loss(i).backward(retain_graph=True)

    in_threads(run)
    np.testing.assert_allclose(x.grad.data, 20 * expected, rtol=1e-12)


def test_threads_that_use_gradient_with_and_without_a_graph():
    x = ag.tensor(np.linspace(-1, 1, 8), requires_grad=True)

    def run(i):
        results = []
        for _ in range(10):
            first = ag.gradient((x**3).sum() * (i + 1.0), x, create_graph=True)
            results.append(ag.gradient(first.sum(), x).data)
            work(x, x).backward()
        return results

    for i, results in enumerate(in_threads(run)):
        for second in results:
            np.testing.assert_allclose(second, 6 * x.data * (i + 1), rtol=1e-12)


def test_one_threads_no_grad_and_errors_do_not_reach_the_others():
    def run(i):
        outcomes = []
        for _ in range(50):
            x = ag.tensor(np.ones(3), requires_grad=True)
            if i % 3 == 0:
                with ag.no_grad():
                    outcomes.append((x * 2).requires_grad)
            elif i % 3 == 1:
                try:
                    (x * 2).backward()
                except ValueError:
                    outcomes.append((x * 2).requires_grad)
            else:
                (x * 2).sum().backward()
                outcomes.append(x.grad.tolist() == [2.0] * 3)
        return outcomes

    for i, outcomes in enumerate(in_threads(run)):
        assert outcomes == [i % 3 != 0] * 50


def test_numbers_of_nodes_made_in_threads_still_order_parents_before_children():
    x = ag.tensor(1.0, requires_grad=True)

    def run(i):
        y = x
        for _ in range(1000):
            y = y + 1.0
        return y

    total = sum(in_threads(run))
    total.backward()
    assert x.grad.item() == THREADS


def test_hooks_of_a_shared_leaf_run_once_per_pass():
    x = ag.tensor(np.ones(2), requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))

    def run(i):
        for _ in range(20):
            (x * float(i)).sum().backward()

    in_threads(run)
    assert sorted(seen) == sorted([[float(i)] * 2 for i in range(THREADS)] * 20)


def test_tensors_made_in_one_thread_can_be_differentiated_in_another():
    x = ag.tensor(np.ones(2), requires_grad=True)
    y = (x * x).sum()
    thread = threading.Thread(target=y.backward)
    thread.start()
    thread.join(10)
    assert x.grad.tolist() == [2.0, 2.0]
