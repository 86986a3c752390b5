"""Pictures of the reference programs, judged by their geometry: no overlaps, no edge through a box, nothing missing."""

from __future__ import annotations

import functools
import itertools
import re

import drawing_programs
import hypothesis
import numpy as np
import pytest
from drawing_geometry import geometry_of, problems
from hypothesis import strategies as st

import autograd_core as ag
from autograd_core.drawing.boxes import Box, Wire
from autograd_core.drawing.drawing import Drawing
from autograd_core.drawing.layout import arrange
from autograd_core.drawing.measure import text_width
from autograd_core.drawing.slots import inversions, isotonic

PROGRAMS = [name for name in drawing_programs.PROGRAMS if name != "lstm 1000"]


@functools.cache
def program(name: str) -> drawing_programs.Program:
    return drawing_programs.PROGRAMS[name]()


def drawing(name: str, **options: object) -> Drawing:
    return ag.draw(program(name).outputs, params=program(name).params, **options)


VIEWS: list[dict[str, object]] = [{}, {"direction": "right"}, {"depth": 99}, {"depth": 0}, {"fold": False, "depth": 99}, {"backward": True}]


@pytest.mark.parametrize("options", VIEWS, ids=str)
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_box_overlaps_another_and_no_edge_passes_through_a_box(name, options) -> None:
    if options.get("fold") is False and name.startswith(("lstm", "flat", "transformer 12")):
        options = {"fold": False}  # all 500 operations open are checked once, below
    assert problems(geometry_of(drawing(name, **options).figure)) == []


def test_five_hundred_operations_all_open_are_laid_out_without_overlaps() -> None:
    figure = drawing("flat lstm 20", fold=False, depth=99).figure
    assert sum(entry.item.kind == "op" for entry in figure.placed) == program_size("flat lstm 20")
    assert problems(geometry_of(figure)) == []


def program_size(name: str) -> int:
    return sum(not row.leaf for row in ag.tape(program(name).outputs))


@pytest.mark.parametrize("name", ["mlp", "residual network", "transformer", "two losses", "gradient of a gradient", "run with a nan"])
def test_fully_open_picture_has_a_box_for_every_operation_and_an_edge_for_every_argument(name) -> None:
    shown = drawing(name, depth=99, fold=False)
    boxes = {entry.item.vertex.index for entry in shown.figure.placed if entry.item.kind == "op"}
    rows = ag.tape(program(name).outputs)
    assert boxes == {row.index for row in rows if not row.leaf}
    entered: set[tuple[int, int]] = set()
    for entry in shown.figure.placed:
        for net in entry.item.nets.values():
            entered |= {(net.vertex.index, target.vertex.index) for target in net.targets if target is not None and target.vertex is not None}
    assert entered >= {(source, row.index) for row in rows for source in row.sources}


def test_first_view_of_a_thousand_steps_has_at_most_forty_boxes() -> None:
    long = drawing_programs.lstm(1000)
    shown = ag.draw(long.outputs, params=long.params)
    assert len(shown.scene.items) <= 40
    assert "cell: Cell ×1000" in shown.svg()
    assert problems(geometry_of(shown.figure)) == []


@pytest.mark.parametrize("name", PROGRAMS)
def test_flow_goes_down_every_edge_of_a_program(name) -> None:
    for wire in geometry_of(drawing(name).figure)["wires"]:
        heights = [round(y, 3) for _, y in wire["path"]]
        assert heights == sorted(heights)


@st.composite
def nested_graphs(draw: st.DrawFn) -> Box:
    """A root box with up to two levels of frames, and wires between boxes in the order of their making."""
    root = Box("", children=[])
    frames = [root]
    for i in range(draw(st.integers(0, 3))):
        frame = Box(f"f{i}", children=[], title_width=draw(st.sampled_from([0.0, 60.0])))
        parent = frames[draw(st.integers(0, len(frames) - 1))]
        assert parent.children is not None
        parent.children.append(frame)
        frames.append(frame)
    for frame in frames:
        assert frame.children is not None
        for i in range(draw(st.integers(1, 7))):
            width, height = draw(st.integers(20, 220)), draw(st.integers(12, 70))
            frame.children.append(Box(f"{frame.key}/{i}", float(width), float(height), light=draw(st.booleans()), free=draw(st.booleans())))
        if not frame.key:
            continue
    for frame in frames:
        plain = [child for child in frame.children or () if child.children is None]
        for i, source in enumerate(plain):
            targets = [t for t in plain[i + 1 :] if draw(st.integers(0, 3)) == 0]
            if targets:
                value = f"v{source.key}"
                source.outputs.append(value)
                for target in targets:
                    target.inputs.append(value)
                frame.wires.append(Wire(value, source, list(targets)))
    return root


@hypothesis.given(nested_graphs(), st.sampled_from(["down", "right", "up"]))
@hypothesis.settings(max_examples=60)
def test_any_graph_is_laid_out_without_overlaps(root, direction) -> None:
    arrange(root, direction)
    boxes, wires, stack = [], [], [(root, None)]
    while stack:
        box, parent = stack.pop()
        boxes.append({"key": box.key, "parent": parent, "frame": box.children is not None, "x": box.x, "y": box.y, "w": box.w, "h": box.h})
        stack += [(child, box.key) for child in box.children or ()]
        for wire in box.wires:
            for target, path in zip(wire.targets, wire.paths, strict=True):
                wires.append({"frame": box.key, "source": wire.source.key, "target": target.key, "path": path})
    assert problems({"boxes": boxes, "wires": wires, "right": direction == "right"}) == []


@hypothesis.given(st.lists(st.integers(0, 30), max_size=40))
def test_crossings_are_counted_like_pairs_in_the_wrong_order(values) -> None:
    expected = sum(a > b for a, b in itertools.combinations(values, 2))
    assert inversions([float(v) for v in values]) == expected


def test_isotonic_places_minimise_the_weighted_squares_under_the_distances(rng) -> None:
    scipy_optimize = pytest.importorskip("scipy.optimize")
    for _ in range(5):
        n = 6
        wanted, weights, apart = rng.normal(size=n) * 5, rng.uniform(0.1, 3, n), rng.uniform(0, 4, n - 1)
        found = isotonic(wanted.tolist(), weights.tolist(), apart.tolist())
        best = scipy_optimize.minimize(
            lambda x, wanted=wanted, weights=weights: np.sum(weights * (x - wanted) ** 2),
            np.cumsum([0, *apart]),
            constraints=[{"type": "ineq", "fun": lambda x, i=i, gap=gap: x[i + 1] - x[i] - gap} for i, gap in enumerate(apart)],
        )
        assert found == pytest.approx(best.x, abs=1e-3)


def test_geometry_check_finds_overlaps_and_edges_through_boxes() -> None:
    frame = {"key": "", "parent": None, "frame": True, "x": 0, "y": 0, "w": 200, "h": 200}
    box = {"key": "a", "parent": "", "frame": False, "x": 10, "y": 10, "w": 50, "h": 30}
    over = {**box, "key": "b", "x": 40}
    through = {"frame": "", "source": None, "target": None, "path": [[30, 0], [30, 200]]}
    assert problems({"boxes": [frame, box, over], "wires": [], "right": False}) == ["a overlaps b"]
    assert problems({"boxes": [frame, box], "wires": [through], "right": False}) == ["edge None -> None in frame '' passes through a"]
    assert problems({"boxes": [frame, {**box, "x": 180}], "wires": [], "right": False}) == ["a sticks out of "]


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("streams", [0, 1, 2, 3])
@pytest.mark.parametrize("small", [["gamma", "beta"], ["running_mean", "running_var", "weight", "bias"], ["a", "momentum", "b", "threshold", "c"]])
def test_names_of_arguments_do_not_run_into_one_another(small, streams, direction) -> None:
    names = [f"stream_{i}" for i in range(streams)] + small
    place = {}
    exec(f"def fused({', '.join(names)}): return {' + '.join(names)}", place)
    fused = ag.op(**dict.fromkeys(names, lambda g: g))(place["fused"])
    x = ag.tensor(np.ones((2, 3)), requires_grad=True)
    values = [np.exp(x) for _ in range(streams)] + [ag.tensor(1.0, requires_grad=True) for _ in small]
    for order in (1, -1):
        inputs = dict(zip(names[::order], values[::order], strict=True))
        svg = ag.draw(fused(**inputs), direction=direction).svg()
        found = re.findall(r'<text class="arg" x="([-.\d]+)" y="([-.\d]+)"[^>]*>([^<]*)<', svg)
        texts = sorted((float(y), float(x), text) for x, y, text in found)
        assert {text for *_, text in texts} == set(names)
        for (y, x_, text), (below, after, _) in itertools.pairwise(texts):
            apart = after - x_ - text_width(text, 9) if y == below and direction == "down" else abs(below - y) - 9
            assert apart > 0, f"{text} runs into the next name"
