"""Full collections wait while a long tape grows, and the program's own thresholds come back."""

from __future__ import annotations

import gc
import subprocess
import sys

import numpy as np
import pytest

import autograd_core as ag


@pytest.fixture
def collections():
    """The generation of each collection while the test runs; the collector and its thresholds are as usual."""
    seen = []

    def note(phase, info):
        if phase == "stop":
            seen.append(info["generation"])

    before = gc.get_threshold()
    gc.collect()
    gc.callbacks.append(note)
    yield seen
    gc.callbacks.remove(note)
    assert gc.get_threshold() == before


def chain(length):
    y = ag.tensor(np.float64(1.0), requires_grad=True)
    for _ in range(length):
        y = y * 1.0
    return y


def objects_without_nodes():
    kept = [[i] for i in range(100_000)]
    del kept


def test_full_collections_are_few_while_a_long_tape_grows_and_thresholds_come_back_with_its_backward_pass(collections):
    before = gc.get_threshold()
    y = chain(400_000)
    raised = gc.get_threshold()
    assert raised[:2] == before[:2]
    assert raised[2] > before[2]
    assert collections.count(2) <= 4
    y.backward()
    assert gc.get_threshold() == before


def test_thresholds_come_back_when_a_program_goes_on_with_short_tapes(collections):
    before = gc.get_threshold()
    chain(400_000)
    assert gc.get_threshold() != before
    for _ in range(10):
        objects_without_nodes()
        chain(2_000)
    assert gc.get_threshold() == before


def test_short_tapes_leave_the_collector_alone(collections):
    before = gc.get_threshold()
    for _ in range(40):
        chain(5_000)
    gc.collect()
    assert gc.get_threshold() == before


def test_thresholds_that_the_program_sets_meanwhile_stay(collections):
    before = gc.get_threshold()
    y = chain(400_000)
    try:
        gc.set_threshold(1000, 11, 12)
        y.backward()
        assert gc.get_threshold() == (1000, 11, 12)
    finally:
        gc.set_threshold(*before)


def test_no_code_of_the_engine_runs_inside_a_collection():
    # A KeyboardInterrupt raised in a callback of the collector's is printed and forgotten: the program runs on.
    own = [callback for callback in gc.callbacks if "autograd_core" in str(getattr(callback, "__module__", ""))]
    assert not own
    code = "import gc; before = list(gc.callbacks); import autograd_core; assert gc.callbacks == before"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("loop", ["tapes", "lists", "trees"])
def test_no_interrupt_is_lost(loop):
    """Ctrl-C at 40 random moments in a loop that allocates: each ends the loop."""
    code = f"""
import random, signal, sys
import numpy as np
import autograd_core as ag
random.seed(1)
print("seed 1")
x = ag.tensor(1.0, requires_grad=True)
def tapes():
    y = x
    for _ in range(3000): y = y * 1.0
    y.backward()
def lists():
    kept = [[i] for i in range(20000)]
def trees():
    ag.grad(lambda p: np.tanh(p["a"] * p["b"][0]).sum())({{"a": np.ones(3), "b": [np.ones(3)]}})
signal.signal(signal.SIGALRM, signal.default_int_handler)
ended = 0
for _ in range(40):
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0005, 0.02))
    try:
        for _ in range(100000):
            {loop}()
    except KeyboardInterrupt:
        ended += 1
assert ended == 40, ended
assert ag.is_grad_enabled()
x.grad = None; (x * 2.0).backward(); assert x.grad.item() == 2.0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "ignored" not in done.stderr
