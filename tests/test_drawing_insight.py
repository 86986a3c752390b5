"""What a picture tells besides the program: heat, health, the backward pass, differences, and graphs kept in files."""

from __future__ import annotations

import drawing_programs
import numpy as np
import pytest

import autograd_core as ag
from autograd_core.drawing.document.rule_text import rule_text
from autograd_core.drawing.heat import HEATS, colour_of
from autograd_core.tape.table import TABLE


def leaf(*shape: int) -> ag.Tensor:
    return ag.tensor(np.ones(shape), requires_grad=True)


def drawing(name: str, **options):
    program = drawing_programs.PROGRAMS[name]()
    return ag.draw(program.outputs, params=program.params, **options)


def texts(shown) -> list[str]:
    return ["".join(run.text for run in line) for entry in shown.figure.placed for line in entry.lines]


# --- heat ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("heat", list(HEATS))
def test_each_heat_colours_boxes_and_writes_its_number_in_them(heat) -> None:
    svg = drawing("mlp", heat=heat).svg()
    assert HEATS[heat].title in svg
    assert svg.count('class="n op heat"') + svg.count('class="n leaf heat"') > 2


def test_heat_of_memory_is_the_bytes_of_the_result_and_of_a_closed_module_their_sum() -> None:
    x = leaf(100)
    with ag.record(), ag.scope("part"):
        y = np.tanh(x * 2.0)
    shown = ag.draw(y.sum(), depth=0, heat="memory")
    assert "1.6 KiB" in texts(shown)
    assert shown.look.heat.values == {1: 800, 2: 800, 3: 8, 0: 800}


def test_unknown_heat_lists_the_known_and_unrecorded_heat_says_how_to_record() -> None:
    y = leaf(2).sum()
    with pytest.raises(ValueError, match="unknown heat 'warm'; known are memory, saved, time"):
        ag.draw(y, heat="warm")
    with pytest.raises(ValueError, match=r"inside `with ag.record\(\):`"):
        ag.draw(y, heat="time")
    with pytest.raises(ValueError, match="backward pass too"):
        ag.draw(y, heat="gradient")


def test_colours_grow_lighter_evenly_and_text_on_them_is_readable() -> None:
    def light(colour: str) -> float:
        rgb = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
        return float(np.dot((0.2126, 0.7152, 0.0722), linear))

    grounds = [light(colour_of(i / 50)[0]) for i in range(51)]
    assert grounds == sorted(grounds)
    for i in range(51):
        ground, ink = (light(colour) for colour in colour_of(i / 50))
        assert (max(ground, ink) + 0.05) / (min(ground, ink) + 0.05) >= 4.5


# --- health ----------------------------------------------------------------------------------------------------------------------


def test_first_operation_that_makes_a_nan_is_named_with_its_line_and_the_way_to_the_loss() -> None:
    shown = drawing("run with a nan")
    (finding,) = [f for f in shown.look.findings if f.kind == "not finite" and f.path]
    document = shown.document
    assert document.vertices[finding.vertices[0]].op == "log"
    assert [document.vertices[v].op for v in finding.path] == ["multiply", "mean", "add"]
    assert "drawing_programs.py:" in finding.text
    assert "NaN: 1 of 3 values" in finding.text
    assert shown.svg().count('class="w b"') == 3


def test_text_marks_what_is_wrong_and_says_it() -> None:
    lines = str(drawing("run with a nan")).splitlines()
    assert [line.split()[1:3] for line in lines if line.startswith("⚠ %") and "values." not in line] == [["%2", "log"]]
    assert lines[-1].startswith("⚠ %2 log at ")


def test_parameters_that_the_backward_pass_never_reaches_are_shown_and_named() -> None:
    shown = drawing("disconnected parameter")
    assert [f.text for f in shown.look.findings] == ["Never reached by the backward pass: fc3.weight, fc3.bias."]
    assert "⚠ unreached" in texts(shown)


def test_zero_vanishing_and_exploding_gradients_are_told_apart() -> None:
    names = {name: leaf(3) for name in ("usual", "other", "third", "dead", "faint", "huge")}
    scales = {"dead": 0.0, "faint": 1e-9, "huge": 1e6}
    y = sum(np.sum(w) * scales.get(name, 1.0) for name, w in names.items())
    y.backward(retain_graph=True)
    findings = {f.kind: f.text for f in ag.draw(y, params=names).look.findings}
    assert findings["zero"] == "Gradient of dead all zero."
    assert "faint" in findings["vanishing"]
    assert findings["exploding"] == "Gradient of huge over 10000 times the median."


def test_healthy_program_has_no_findings() -> None:
    assert drawing("mlp").look.findings == []


# --- the backward pass -------------------------------------------------------------------------------------------------------------


def test_backward_picture_numbers_the_steps_and_shows_their_rules() -> None:
    w = leaf(3)
    shown = ag.draw(np.tanh(w * 2.0).sum(), params={"w": w}, backward=True)
    assert sorted(t for t in texts(shown) if t[:2] in ("1.", "2.", "3.")) == ["1. sum ()", "2. tanh (3,)", "3. multiply 2.0 (3,)"]
    assert "w.grad" in texts(shown)
    assert any(t.startswith("x: g") for t in texts(shown))
    heights = {entry.item.vertex.op: entry.box.y for entry in shown.figure.placed if entry.item.vertex}
    assert heights["sum"] < heights["tanh"] < heights["multiply"] < heights["leaf"]


def test_recorded_order_of_the_backward_pass_is_the_one_that_is_shown() -> None:
    a, b = leaf(2), leaf(2)
    with ag.record():
        y = (np.tanh(a) * np.exp(b)).sum()
        y.backward(retain_graph=True)
    assert sorted(ag.draw(y).look.order.values()) == [1, 2, 3, 4]


def test_rules_are_shown_as_they_were_written() -> None:
    @ag.op(x=lambda g, x, scale: g * 3 * scale * x * x)
    def cube(x, scale):
        return scale * x**3

    def rule_of_its_own(g, out):
        return g * out

    shown = ag.draw(cube(leaf(2), 2.0))
    assert shown.document.rules["cube"] == {"x": "g, x, scale -> g * 3 * scale * x * x"}
    assert rule_text(rule_of_its_own) == "g, out -> rule_of_its_own(g, out)"
    assert all(rule_text(rule) for op in TABLE.values() for rule in op.rules.values())


# --- differences -------------------------------------------------------------------------------------------------------------------


def test_equal_programs_have_no_difference() -> None:
    x = leaf(3)
    assert not ag.diff(np.tanh(x).sum(), np.tanh(x).sum())
    assert str(ag.diff(np.tanh(x), np.tanh(x))) == "no difference"


def test_difference_tells_added_removed_and_changed_operations() -> None:
    x = leaf(3, 2)
    before = np.sum(np.tanh(np.exp(x)), axis=0)
    after = np.sum(np.sin(np.exp(x)) * 2.0, axis=1)
    difference = ag.diff(before, after)
    assert str(difference).splitlines() == [
        "- %2 tanh  %1  (3, 2) float64",
        "+ %2 sin  %1  (3, 2) float64",
        "+ %3 multiply  %2, 2.0  (3, 2) float64",
        "~ %3 sum  %2, axis=0  (2,) float64  ->  %4 sum  %3, axis=1  (3,) float64: shape, options, arguments",
        "2 added, 1 removed, 1 changed",
    ]
    shown = difference.draw()
    assert {"+ added", "− removed", "≠ was (2,)"} <= set(texts(shown))
    for mark in ("change-added", "change-removed", "change-changed"):
        assert mark in shown.svg()


def test_change_of_dtype_and_of_wiring_is_a_difference() -> None:
    x, y = leaf(3), leaf(3)
    single = ag.tensor(np.ones(3, np.float32), requires_grad=True)
    assert "dtype" in str(ag.diff(np.tanh(x), np.tanh(single)))
    named = {"x": x, "y": y}
    swapped = ag.diff(ag.tape(x - y, named), ag.tape(y - x, named))
    assert [change.what for change in swapped.changes] == ["arguments"]


def test_difference_of_long_programs_is_quick() -> None:
    def program(odd: int) -> ag.Tensor:
        x = leaf(2)
        for i in range(3000):
            x = np.exp(x) if i == odd else np.tanh(x) * 0.5
        return x

    difference = ag.diff(program(-1), program(1500))
    assert [change.kind for change in difference.changes].count("added") == 1
    assert len(difference.changes) <= 4


# --- golden files ------------------------------------------------------------------------------------------------------------------


def test_graph_in_a_file_passes_when_equal_and_fails_with_the_lines_that_differ(tmp_path, monkeypatch) -> None:
    path = tmp_path / "graph.txt"
    x = leaf(2)
    with pytest.raises(AssertionError, match=r"there is no graph in .* yet; to write it, run the test with AUTOGRAD_UPDATE_GRAPHS=1"):
        ag.testing.assert_same_graph(np.tanh(x), path)
    monkeypatch.setenv("AUTOGRAD_UPDATE_GRAPHS", "1")
    ag.testing.assert_same_graph(np.tanh(x), path, params={"x": x})
    monkeypatch.setenv("AUTOGRAD_UPDATE_GRAPHS", "0")
    ag.testing.assert_same_graph(np.tanh(x), path, params={"x": x})
    with pytest.raises(AssertionError, match=r"(?s)-%1 tanh  %0  \(2,\) float64.*\+%1 sin  %0  \(2,\) float64"):
        ag.testing.assert_same_graph(np.sin(x), path, params={"x": x})
    assert path.read_text() == "%0 x = leaf  (2,) float64\n%1 tanh  %0  (2,) float64\n"
