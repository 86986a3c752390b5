"""The profiler: what it counts, where it books it, and the trace that it writes."""

from __future__ import annotations

import contextvars
import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core.instruments import profiling

X = np.linspace(-1.0, 1.0, 12).reshape(3, 4)


def leaf(value):
    return ag.tensor(value, requires_grad=True)


def by_name(measured, by="op"):
    return {total.name: total for total in measured.totals(by)}


@pytest.fixture
def slow(monkeypatch):
    """An operation that takes 20 s forward and 40 s backward, by a clock that stands still besides."""
    now = [0.0]
    monkeypatch.setattr(profiling, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def rule(g):
        now[0] += 40.0
        return 2.0 * g

    @ag.op(x=rule, name="slow")
    def slow(x):
        now[0] += 20.0
        return 2.0 * x

    return slow


def test_times_of_both_passes_are_booked_on_the_operation(slow):
    x = leaf(X)
    with ag.profile() as measured:
        np.tanh(slow(x)).sum().backward()
    totals = by_name(measured)
    assert (totals["slow"].forward, totals["slow"].backward) == (20.0, 40.0)
    assert totals["tanh"].seconds == 0.0
    assert next(iter(totals)) == "slow"
    assert measured.seconds == 60.0


def test_lines_are_those_of_the_forward_pass(slow):
    x = leaf(X)
    with ag.profile() as measured:
        y = slow(x)
        y.sum().backward()
    first, second = measured.totals("line")
    assert first.name.startswith("tests/test_profiling.py:")
    assert (first.forward, first.backward) == (20.0, 40.0)
    assert second.seconds == 0.0


def test_modules_are_named_by_path():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    with ag.profile() as measured:
        model(leaf(X.astype(np.float32))).sum().backward()
    names = set(by_name(measured, "module"))
    assert {"Sequential.0", "Sequential.1", "Sequential.2", "(no module)"} <= names
    assert "module\n" not in str(measured)
    assert "Sequential.1" in str(measured)


def test_memory_is_that_of_new_arrays():
    x = leaf(np.ones((100, 100)))
    with ag.profile() as measured:
        (np.exp(x.T) * 2.0).sum().backward()
    totals = by_name(measured)
    assert totals["exp"].forward_bytes == totals["multiply"].forward_bytes == 80_000
    assert totals["exp"].backward_bytes == 80_000
    assert sum(total.forward_bytes for total in measured.totals()) == 160_008


@pytest.mark.parametrize("create_graph", [False, True])
def test_what_a_recorded_backward_pass_computes_is_not_counted_twice(slow, create_graph):
    x = leaf(X)
    with ag.profile() as measured:
        (slow(x) ** 2).sum().backward(create_graph=create_graph)
    totals = by_name(measured)
    assert set(totals) == {"slow", "power", "sum"}
    assert totals["slow"].calls == 1
    assert totals["slow"].backward == 40.0
    assert any(event.nested for event in measured.events) == create_graph


def test_a_backward_pass_within_a_rule_is_part_of_the_step(slow):
    x = leaf(X)
    with ag.profile() as measured:
        ag.checkpoint(slow)(x).sum().backward()
    totals = by_name(measured)
    assert totals["checkpoint"].backward == 60.0
    assert totals["slow"].backward == 0.0
    assert sum(total.seconds for total in measured.totals()) == measured.seconds == 80.0


def test_the_trace_is_in_chromes_format_and_well_nested(tmp_path, slow):
    model = nn.Linear(4, 2)
    with ag.profile() as measured, ag.scope("step"):
        slow(model(leaf(X.astype(np.float32)))).sum().backward(create_graph=True)
    path = tmp_path / "trace.json"
    measured.save(path)
    trace = json.loads(path.read_text())
    events = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert {event["cat"] for event in events} == {"forward", "backward", "module"}
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in events)
    open_until = []
    for event in events:
        while open_until and open_until[-1] <= event["ts"]:
            open_until.pop()
        assert not open_until or event["ts"] + event["dur"] <= open_until[-1] + 1e-3, "an event that outlasts the one around it"
        open_until.append(event["ts"] + event["dur"])
    assert any(event["args"].get("line", "").startswith("tests/test_profiling.py") for event in events)


def test_threads_do_not_mix():
    x = leaf(X)
    with ag.profile() as measured:
        threads = [threading.Thread(target=contextvars.copy_context().run, args=(lambda: np.sin(x * 2.0).sum().backward(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert by_name(measured)["sin"].calls == 3
    assert len([e for e in measured.events if e.phase == "backward"]) >= 6


def test_gradients_are_the_same_and_other_instruments_still_see_everything():
    x, y = leaf(X), leaf(X)
    np.tanh(x @ x.T).sum().backward()
    with ag.record() as recording, ag.profile():
        np.tanh(y @ y.T).sum().backward()
    assert np.array_equal(x.grad.data, y.grad.data)
    assert len(recording.facts) == 4
    assert ag.observer() is None


def test_an_operation_that_raises_leaves_the_profile_usable():
    x = leaf(X)

    def wrong():
        np.sin(x)
        x @ x

    with ag.profile() as measured:
        with pytest.raises(ValueError, match="matmul"):
            wrong()
        np.cos(x)
    assert set(by_name(measured)) == {"sin", "cos"}


def test_an_unknown_grouping_is_refused():
    with ag.profile() as measured:
        pass
    with pytest.raises(ValueError, match="'op', 'line', 'module'"):
        measured.totals("file")
    assert "nothing was recorded inside" in str(measured)
