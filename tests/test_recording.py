"""`ag.record`: what is noted while a program runs, and that noting changes nothing."""

from __future__ import annotations

import gc
import threading
import weakref

import drawing_programs
import numpy as np
import pytest
from drawing_programs import Linear, Perceptron, random

import autograd_core as ag


def leaf(*shape: int) -> ag.Tensor:
    return ag.tensor(np.ones(shape), requires_grad=True)


def test_facts_hold_line_time_value_and_gradient_of_every_operation() -> None:
    x = leaf(3)
    with ag.record() as recording:
        y = (x * 2).sum()  # the line that is noted
        y.backward()
    multiply, add = (recording.facts[row.number] for row in ag.tape(y)[1:])
    assert multiply.place is not None
    assert multiply.place[0] == __file__
    assert multiply.place[1] == add.place[1]
    assert multiply.seconds > 0
    assert (multiply.value.mean, add.value.mean) == (2.0, 6.0)
    assert (add.backward_order, multiply.backward_order) == (1, 2)
    assert (add.gradient.mean, multiply.gradient.mean) == (1.0, 1.0)
    assert multiply.backward_seconds > 0


def test_line_is_the_users_not_the_modules() -> None:
    nn = pytest.importorskip("nn")
    model = nn.Linear(3, 2)
    with ag.record() as recording:
        model(np.ones((1, 3)))
    assert {facts.place[0] for facts in recording.facts.values()} == {__file__}


def test_modules_of_nn_name_what_is_computed_in_them() -> None:
    nn = pytest.importorskip("nn")
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Sequential(nn.Linear(4, 4), nn.Tanh()))
    with ag.record() as recording:
        y = model(np.ones((2, 3))).sum()
    assert [(call.path, call.detail) for call in recording.calls] == [
        ("", "Sequential"),
        ("0", "Linear"),
        ("1", "ReLU"),
        ("2", "Sequential"),
        ("2.0", "Linear"),
        ("2.1", "Tanh"),
    ]
    titles = [line.strip("│├└─ ") for line in str(ag.draw(y, params=model, depth=9)).splitlines() if "%" not in line]
    assert titles[:6] == ["Sequential", "0: Linear", "1: ReLU", "2: Sequential", "0: Linear", "1: Tanh"]


def test_scope_names_a_part_of_a_function() -> None:
    x = leaf(3)
    with ag.record():
        with ag.scope("outer"):
            y = x * 2
            with ag.scope("inner"):
                y = np.tanh(y)
        y = y.sum()
    assert "outer\n├─ %1 multiply" in str(ag.draw(y))
    assert "└─ inner\n   └─ %2 tanh" in str(ag.draw(y))


def test_scope_costs_nothing_that_is_left_when_nobody_records() -> None:
    x = leaf(2)
    with ag.scope("unseen"):
        y = x * 2
    assert ag.observer() is None
    assert "unseen" not in str(ag.draw(y))


def test_gradients_and_graph_are_the_same_with_and_without_a_recording() -> None:
    module = Perceptron()
    loss = np.mean(module(random(5, 64)) ** 2)
    loss.backward()
    expected = [parameter.grad.data.copy() for parameter in module.parameters()]
    for parameter in module.parameters():
        parameter.grad = None
    with ag.record():
        recorded = np.mean(module(random(5, 64)) ** 2)
        recorded.backward()
    for parameter, before in zip(module.parameters(), expected, strict=True):
        np.testing.assert_array_equal(parameter.grad.data, before)
    assert not ag.diff(ag.tape(loss), ag.tape(recorded))


def test_recording_keeps_no_array_and_no_tape_alive() -> None:
    constant = np.ones(1000)
    alive = weakref.ref(constant)
    x = leaf(1000)
    gc.disable()
    try:
        with ag.record() as recording:
            y = (x * constant).sum()
        drawing = recording.draw()
        node = weakref.ref(y)
        del constant, y
        assert node() is None
        assert alive() is None
    finally:
        gc.enable()
    assert "multiply" in str(drawing)
    assert len(recording.facts) == 2


def test_recording_ends_with_its_block_also_when_that_raises() -> None:
    with pytest.raises(ZeroDivisionError), ag.record() as recording:
        raise ZeroDivisionError("mine")
    assert ag.observer() is None
    assert recording.error == "ZeroDivisionError: mine"


def test_program_that_raises_is_drawn_as_far_as_it_ran_with_the_failing_operation_marked() -> None:
    module = Perceptron()
    with pytest.raises(ValueError, match="mismatch"), ag.record() as recording:
        module.fc3(np.maximum(module.fc1(random(5, 64)), 0))
    drawing = recording.draw(params=module)
    text = str(drawing)
    assert "maximum" in text
    assert "raised ValueError: matmul" in text
    assert "fc3.weight" in text
    assert "⚠ raised" in drawing.svg()
    assert drawing.json().count('"error"') == 1
    failing = drawing.document.vertices[[bool(v.error) for v in drawing.document.vertices].index(True)]
    sources = {drawing.document.vertices[edge.source].label: edge.argument for edge in drawing.document.edges if edge.target == failing.index}
    assert sources == {"maximum 0": "x1", "fc3.weight": "x2"}


def test_program_whose_first_operation_fails_is_drawn_too() -> None:
    x = leaf(3)
    with pytest.raises(ValueError, match="broadcast"), ag.record() as recording:
        x + np.ones(4)
    text = str(recording.draw(params={"x": x}))
    assert "add" in text
    assert "(4,)" in text


def test_nested_recordings_both_see_what_runs_in_the_inner_one() -> None:
    x = leaf(2)
    with ag.record() as outer:
        y = x * 2
        with ag.record() as inner:
            y = np.tanh(y)
        y = y.sum()
    assert (len(outer.facts), len(inner.facts)) == (3, 1)


def test_threads_record_under_their_own_modules() -> None:
    module = Linear(3, 2)
    results = {}

    def work(name: str) -> None:
        with ag.record() as recording, ag.scope(name):
            for _ in range(20):
                module(np.ones((1, 3)))
        results[name] = recording

    threads = [threading.Thread(target=work, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, recording in results.items():
        assert len(recording.facts) == 40
        assert {call.path for call in recording.calls} == {name}


def test_operations_of_a_backward_pass_stand_in_a_group_of_their_own() -> None:
    program = drawing_programs.gradient_of_a_gradient()
    text = str(ag.draw(program.outputs, params=program.params))
    inside = text[text.index("backward pass") :]
    assert "subtract" in inside
    assert text.index("tanh") < text.index("backward pass")


def test_recording_without_values_notes_lines_and_times_only() -> None:
    x = leaf(3)
    with ag.record(values=False) as recording:
        (x * 2).sum().backward()
    assert all(facts.value is None and facts.gradient is None and facts.place is not None for facts in recording.facts.values())


def test_lazy_arrays_are_not_computed_by_a_recording() -> None:
    dask = pytest.importorskip("dask.array")
    computed = []
    x = ag.tensor(dask.ones((4, 4), chunks=2).map_blocks(lambda block: (computed.append(1), block)[1], dtype=float), requires_grad=True)
    computed.clear()
    with ag.record() as recording:
        (x * 2).sum()
    assert computed == []
    assert [facts.value for facts in recording.facts.values()] == [None, None]
