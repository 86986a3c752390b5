"""Modules, repeats and parts: what is folded into what, and what is open at first."""

from __future__ import annotations

import drawing_programs
import numpy as np
import pytest

import autograd_core as ag
from autograd_core.drawing.document.document import Document, Group


def leaf(*shape: int) -> ag.Tensor:
    return ag.tensor(np.ones(shape), requires_grad=True)


def groups(document: Document, kind: str) -> list[Group]:
    return [group for group in document.root.groups() if group.kind == kind]


def drawing(name: str, **options):
    program = drawing_programs.PROGRAMS[name]()
    return ag.draw(program.outputs, params=program.params, **options)


def test_every_operation_is_in_exactly_one_group_in_the_order_of_the_program() -> None:
    for name in ("mlp", "lstm 20", "transformer 12", "gradient of a gradient"):
        document = drawing(name).document
        assert list(document.root.vertices()) == [v.index for v in document.vertices if v.kind == "op"]


def test_time_steps_of_a_loop_without_modules_are_folded() -> None:
    document = drawing("flat lstm 20").document
    assert max(group.count for group in groups(document, "repeat")) == 20


def test_equal_blocks_are_folded_under_a_joint_name_and_each_can_be_opened() -> None:
    document = drawing("transformer 12").document
    (blocks,) = [group for group in groups(document, "repeat") if group.count == 12]
    assert (blocks.name, blocks.detail) == ("blocks.0–11", "Block")
    assert [member.name for member in blocks.members()] == [f"blocks.{i}" for i in range(12)]


def test_fold_false_keeps_every_step() -> None:
    assert groups(drawing("lstm 20", fold=False).document, "repeat") == []


@pytest.mark.parametrize("change", ["shape", "operation", "wiring", "option"])
def test_what_is_not_equal_is_not_folded(change) -> None:
    x = leaf(4, 4)
    for i in range(12):
        odd = i == 6
        y = np.tanh(x[:2] if odd and change == "shape" else x)
        y = np.exp(y) if odd and change == "operation" else np.sin(y)
        x = y * y if odd and change == "wiring" else y * x[: y.shape[0]]
        x = np.sum(x, axis=1 if odd and change == "option" else 0, keepdims=True) + leaf(4, 4)
    counts = [group.count for group in groups(ag.draw(x).document, "repeat")]
    assert sum(counts) <= 11
    assert counts


def test_a_few_equal_operations_are_not_folded() -> None:
    x = leaf(3)
    for _ in range(4):
        x = x + leaf(3)
    assert groups(ag.draw(x).document, "repeat") == []


def test_loop_in_a_loop_is_folded_twice() -> None:
    x = leaf(3)
    for _ in range(6):
        for _ in range(10):
            x = np.tanh(x) * 0.5 + 1.0
        x = np.exp(x) / 3.0
    repeats = groups(ag.draw(x).document, "repeat")
    assert sorted({group.count for group in repeats}) == [6, 10]
    assert len([group for group in repeats if group.count == 6]) == 1


def test_plate_shows_what_one_step_hands_to_the_next() -> None:
    shown = drawing("lstm 20")
    labels = [entry.lines[0][0].text for entry in shown.figure.placed if entry.item.kind == "previous"]
    assert labels
    assert all(label.startswith("↻") for label in labels)
    assert any(entry.item.carried for entry in shown.figure.placed)


def test_depth_opens_that_many_levels() -> None:
    names = []
    for depth in range(4):
        shown = drawing("transformer", depth=depth)
        names.append({entry.item.group.name for entry in shown.figure.placed if entry.item.group is not None and entry.item.children is not None})
    assert names[0] == {""}
    assert names[2] - names[1] == {"blocks.0", "head"}
    assert "attention" in names[3]


def test_expand_opens_matching_modules_and_what_is_around_them() -> None:
    shown = drawing("transformer 12", depth=0, expand="*.attention")
    opened = {entry.item.group.name for entry in shown.figure.placed if entry.item.group is not None and entry.item.children is not None}
    assert opened >= {"blocks.0–11", "attention"}
    assert "norm1" not in opened


def test_shared_weight_is_drawn_once_per_use_where_it_is_used_often() -> None:
    w, x = leaf(3, 3), leaf(3)
    for _ in range(6):
        x = np.tanh(np.matmul(w, x))
    shown = ag.draw(x, params={"w": w}, fold=False)
    ghosts = [entry.item for entry in shown.figure.placed if entry.item.kind == "leaf" and entry.item.vertex.name == "w"]
    assert len(ghosts) == 6
    assert all(item.ghost for item in ghosts)
    few = ag.draw(np.matmul(w, w).sum(), params={"w": w})
    assert len([entry for entry in few.figure.placed if entry.item.kind == "leaf"]) == 1


def test_input_of_a_module_enters_from_outside_and_its_parameters_stay_inside() -> None:
    shown = drawing("mlp")
    beside = [entry.item for entry in shown.figure.placed if entry.item.kind in ("leaf", "constant")]
    frames = {item.vertex.label: item.parent.group.name for item in beside}
    assert frames["input"] == ""
    assert frames["fc1.weight"] == "fc1"


def test_parameters_are_called_by_their_local_name_inside_their_module() -> None:
    texts = ["".join(run.text for run in line) for entry in drawing("transformer").figure.placed for line in entry.lines]
    assert "weight" in texts
    assert "blocks.0.up.weight" not in texts


def test_long_flat_program_is_cut_into_parts_of_a_few_dozen() -> None:
    rng = np.random.default_rng(1)
    values = [leaf(2)]
    for _ in range(1000):
        values.append(np.tanh(values[-1]) if rng.integers(2) else values[-1] * values[-int(rng.integers(1, min(4, len(values)) + 1))])
    document = ag.draw(values[-1], fold=False).document
    assert all(len(group.children) <= 60 for group in document.root.groups())
    assert len(ag.draw(values[-1]).scene.items) <= 60


def test_recording_of_interleaved_threads_still_gives_contiguous_groups() -> None:
    x = leaf(2)
    with ag.record() as recording:
        first, second = recording.scope("first"), recording.scope("second")
        with first:
            y = x * 2
        with second:
            z = y * 3
        y = z + y
    for facts, key in zip(recording.facts.values(), (0, 1, 0), strict=True):
        facts.call = key
    document = ag.draw(y).document
    assert [group.name for group in groups(document, "module")] == ["first", "second", "first"]
