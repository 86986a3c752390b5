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
