"""Full collections wait while a long tape grows, and the program's own thresholds come back."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import autograd_core as ag
from autograd_core.tape import collector


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


def test_full_collections_are_few_while_a_long_tape_grows_and_thresholds_come_back(collections):
    before = gc.get_threshold()
    y = chain(400_000)
    raised = gc.get_threshold()
    assert raised[:2] == before[:2]
    assert raised[2] > before[2]
    assert collections.count(2) <= 4
    del y
    objects_without_nodes()
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
        del y
        objects_without_nodes()
        assert gc.get_threshold() == (1000, 11, 12)
    finally:
        gc.set_threshold(*before)


def test_it_is_watched_once():
    assert sum(isinstance(callback, collector._Watch) for callback in gc.callbacks) == 1
