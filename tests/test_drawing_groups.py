"""Modules, repeats and parts: what is folded into what, and what is open at first."""

from __future__ import annotations

import drawing_programs
import numpy as np
import pytest

import autograd_core as ag
import nn
from autograd_core.drawing.document.document import Document, Group
from autograd_core.drawing.scene import scene_of


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


# --- folds and plates that do not lie -------------------------------------------------------------------------------------------


def polynomial(factors):
    w = leaf(3)
    h = w
    with ag.record():
        for factor in factors:
            h = h * factor + w
    return h


def test_steps_that_differ_in_a_number_are_not_equal() -> None:
    assert groups(ag.draw(polynomial([float(c) for c in range(1, 13)])).document, "repeat") == []
    (found,) = groups(ag.draw(polynomial([2.0] * 12)).document, "repeat")
    assert (found.name, found.count) == ("multiply, add", 12)


def test_steps_that_differ_are_folded_on_request_which_says_in_what() -> None:
    shown = ag.draw(polynomial([float(c) for c in range(1, 13)]), fold="all")
    (found,) = groups(shown.document, "repeat")
    assert found.name == "multiply, add (multiply 1.0 … 12.0)"
    assert "multiply 1.0 … 12.0" in shown.svg()
    assert "multiply 1.0 … 12.0" in str(shown)
    (found,) = groups(ag.draw(polynomial([1.0, 2.0] * 5 + [1.0]), fold="all").document, "repeat")
    assert found.name == "multiply, add (multiply of 2 kinds)"


def test_indices_may_differ_and_are_said_to() -> None:
    x, h = leaf(12, 3), leaf(3)
    for i in range(12):
        h = np.tanh(h + x[i])
    (found,) = groups(ag.draw(h).document, "repeat")
    assert "getitem" in found.name
    assert "0 … 11" in found.name


def edges_close_a_cycle(frame) -> bool:
    """Whether the boxes of a frame, or of a frame within, cannot be put in an order."""
    frames = [frame]
    while frames:
        inside = frames.pop()
        frames += [child for child in inside.children or () if child.children is not None]
        before = {child: set() for child in inside.children or ()}
        for net in inside.nets.values():
            for target in net.targets:
                if net.source is not None and target is not None:
                    before[target].add(net.source)
        while before:
            free = [child for child, sources in before.items() if not sources & before.keys()]
            if not free:
                return True
            for child in free:
                del before[child]
    return False


def nested_loops(inner: int, outer: int, carried_beside: bool):
    w = leaf(3)
    h, c = w, w
    for _ in range(outer):
        for _ in range(inner):
            h = np.tanh(h * w) * 0.5 + (c if carried_beside else 1.0)
        c = np.sin(h) / 3.0
        h = h + c
    return h


@pytest.mark.parametrize("carried_beside", [False, True])
@pytest.mark.parametrize(("inner", "outer"), [(10, 6), (4, 5), (12, 3)])
@pytest.mark.parametrize("opening", ["all", "outer", "first"])
def test_no_edge_of_nested_repeats_closes_a_cycle(inner, outer, carried_beside, opening) -> None:
    document = ag.draw(nested_loops(inner, outer, carried_beside)).document
    repeats = groups(document, "repeat")
    assert len(repeats) > 1
    keys = {group.key for group in document.root.groups()}
    if opening == "outer":
        keys = {"", *(child.key for child in document.root.children if not isinstance(child, int))}
    plates = {group.key for group in repeats} & keys
    if opening == "first":
        shown = ag.draw(nested_loops(inner, outer, carried_beside))
        keys, plates = shown.opened, shown.plates
    assert not edges_close_a_cycle(scene_of(document, keys, plates).root)


def test_an_output_is_marked_in_a_fold_and_in_a_closed_module() -> None:
    h = leaf(3)
    for _ in range(12):
        h = np.tanh(h)
    shown = ag.draw(h)
    for text in (str(shown), shown.svg(), str(ag.draw({"loss": h})).replace("loss", "output")):
        assert "tanh ×12" in text
        assert "→ output" in text.replace("  ", " ")
    with ag.record(), ag.scope("block"):
        y = np.exp(leaf(3)) * 2.0
    closed = ag.draw(y, depth=0)
    assert "→ output" in str(closed)
    assert ' out"' in closed.svg() or " out " in closed.svg()


def test_modules_are_titled_by_their_names_in_params() -> None:
    layers = {name: nn.Linear(3, 3) for name in ("query", "key", "value", "output")}
    x = ag.tensor(np.ones((2, 3)))
    with ag.record():
        y = sum((layer(x) for layer in layers.values()), 0.0)
    text = str(ag.draw(y, params=layers))
    assert all(f"{name}: Linear" in text for name in layers)
    assert "Linear ×4" not in text


def test_internals_of_calls_that_are_one_node_are_not_shown() -> None:
    x = leaf(2, 3)
    with ag.record():
        y = ag.checkpoint_chain(np.sin, 10)(ag.vmap(np.sin)(ag.checkpoint(np.tanh)(x)))
        y = ag.root(lambda t: t - y, np.zeros((2, 3)))
    for text in (str(ag.tape(y)), str(ag.draw(y)), ag.draw(y).svg(), ag.draw(y).json()):
        assert not any(name in text for name in ("_Run", "Pass>", "References", "residual"))


def test_a_recording_is_drawn_as_its_outputs_are() -> None:
    with ag.record() as recording:
        y = np.tanh(leaf(3)).sum()
    assert str(ag.draw(recording)).splitlines()[:2] == str(ag.draw(y)).splitlines()[:2]
    assert str(ag.draw(recording, direction="right")) == str(recording.draw())


# --- infinities that were given --------------------------------------------------------------------------------------------------


def causal_mask():
    return np.where(np.tril(np.ones((4, 4))) > 0, 0.0, -np.inf)


@pytest.mark.parametrize(
    "masked",
    [
        lambda x: x + causal_mask(),
        lambda x: np.where(causal_mask() == 0, x, -np.inf),
        lambda x: (x + causal_mask()) * 2.0,
        lambda x: np.concatenate([x, np.full((1, 4), -np.inf)]),
    ],
    ids=["added", "chosen", "handed on", "joined"],
)
def test_a_mask_of_infinities_is_no_finding(masked) -> None:
    with ag.record():
        y = np.exp(masked(leaf(4, 4))).sum()
    assert "not finite" not in str(ag.draw(y))


@pytest.mark.parametrize("made", [lambda x: np.log(x * 0.0), lambda x: x / 0.0 + causal_mask(), lambda x: (x + causal_mask()) * 0.0])
def test_infinities_and_nans_that_are_made_still_are(made) -> None:
    with np.errstate(all="ignore"), ag.record():
        y = made(leaf(4, 4) + 1.0).sum()
    assert "not finite" in str(ag.draw(y))


def test_a_heat_map_for_graphviz_has_its_legend() -> None:
    with ag.record():
        y = np.exp(leaf(40, 40) @ leaf(40, 40)).sum()
    source = ag.draw(y, heat="memory").digraph().source
    assert "bytes of the result" in source
    assert "12.5 KiB" in source
    assert "bytes of the result" not in ag.draw(y).digraph().source
