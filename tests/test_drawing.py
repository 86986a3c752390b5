"""`ag.draw`: what a picture shows, and how it is saved."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import time
import weakref
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import drawing_programs
import numpy as np
import pytest

import autograd_core as ag
from autograd_core.drawing import dot

ROOT = Path(__file__).parent.parent
SMALL = """
import numpy as np, autograd_core as ag
w = ag.tensor(np.ones((3, 2)), requires_grad=True)
drawing = ag.draw(np.tanh(w * np.ones((3, 2))).sum(), params={"w": w})
"""


def small() -> tuple[ag.Tensor, dict[str, ag.Tensor]]:
    w = ag.tensor(np.ones((3, 2)), requires_grad=True)
    b = ag.tensor(np.zeros(2), requires_grad=True)
    return np.tanh(w * np.ones((3, 2)) + b).sum(), {"w": w, "b": b}


def test_text_is_the_program_with_the_names_of_its_leaves() -> None:
    y, params = small()
    assert str(ag.draw({"loss": y}, params=params)).splitlines() == [
        "%2 multiply  w, <float64 (3, 2)>  (3, 2) float64  48 B, keeps 48 B",
        "%3 add       %2, b                (3, 2) float64  48 B",
        "%4 tanh      %3                   (3, 2) float64  48 B, keeps 48 B",
        "%5 sum       %4                   () float64      8 B  → loss",
        "4 operations, 2 leaves, 96 B saved for backward",
    ]


def test_svg_is_well_formed_and_shows_every_operation_leaf_and_shape() -> None:
    y, params = small()
    svg = ag.draw(y, params=params)._repr_svg_()
    texts = ["".join(element.itertext()).strip() for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    for shown in (
        "multiply (3, 2)",
        "add (3, 2)",
        "tanh (3, 2)",
        "sum ()",
        "w",
        "b",
        "constant",
        "(3, 2) float64",
        "float64, 48 B, keeps 48 B",
        "output",
    ):
        assert shown in texts


def test_two_drawings_of_one_tape_are_equal_to_the_byte() -> None:
    y, params = small()
    first, second = ag.draw(y, params=params), ag.draw(y, params=params)
    assert first.svg() == second.svg()
    assert first.json() == second.json()
    assert first.html() == second.html()


@pytest.mark.parametrize(
    ("suffix", "start"), [(".svg", b"<svg"), (".html", b"<!DOCTYPE html>"), (".json", b"{"), (".txt", b"%2 multiply"), (".SVG", b"<svg")]
)
def test_saving_by_suffix_writes_that_format(tmp_path, suffix, start) -> None:
    y, params = small()
    path = tmp_path / f"graph{suffix}"
    ag.draw(y, params=params).save(path)
    assert path.read_bytes().startswith(start)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_unknown_suffix_lists_the_known_ones(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"'\.bmp'; known are \.svg, \.html, \.png, \.pdf, \.dot, \.json, \.txt"):
        ag.draw(small()[0]).save(tmp_path / "graph.bmp")


def test_unwritable_path_is_an_error_that_leaves_nothing_behind(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        ag.draw(small()[0]).save(tmp_path / "missing" / "graph.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(OSError):
        ag.draw(small()[0]).save(tmp_path / "folder.svg")
    assert [p.name for p in tmp_path.iterdir()] == ["folder.svg"]


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a Python of its own."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-c", SMALL + program], capture_output=True, text=True, env=variables, check=False)


def test_text_svg_html_and_json_need_numpy_alone_and_no_path(tmp_path) -> None:
    block = "import sys\nfor name in ('graphviz', 'pygraphviz', 'matplotlib', 'scipy'): sys.modules[name] = None\n"
    save = f"for suffix in ('svg', 'html', 'json', 'txt'): drawing.save(r'{tmp_path}/graph.' + suffix)\nprint(drawing)"
    done = run(block + save, PATH="")
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["graph.html", "graph.json", "graph.svg", "graph.txt"]


def test_output_is_the_same_in_every_process_to_the_byte(tmp_path) -> None:
    for number in "12":
        done = run(f"for s in ('svg', 'html', 'json', 'txt'): drawing.save(r'{tmp_path}/{number}.' + s)", PYTHONHASHSEED=number)
        assert done.returncode == 0, done.stderr
    for suffix in ("svg", "html", "json", "txt"):
        assert (tmp_path / f"1.{suffix}").read_bytes() == (tmp_path / f"2.{suffix}").read_bytes()


def test_drawing_code_is_not_imported_before_it_is_used() -> None:
    done = run("", PYTHONPATH=str(ROOT))
    assert done.returncode == 0
    check = (
        "import sys, autograd_core; print([m for m in sys.modules if m.startswith(('autograd_core.drawing', 'autograd_core.instruments.listing'))])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    assert done.stdout.strip() == "[]"


def test_dot_is_a_digraph_that_can_be_edited() -> None:
    graphviz = pytest.importorskip("graphviz")
    y, params = small()
    digraph = ag.draw(y, params=params).digraph()
    assert isinstance(digraph, graphviz.Digraph)
    digraph.node("mine", label="my own")
    source = digraph.source
    assert "my own" in source
    assert "n2 -> n3" in source
    assert 'label="matmul' not in source


def test_dot_shows_heat_problems_and_the_backward_pass_too() -> None:
    pytest.importorskip("graphviz")
    program = drawing_programs.run_with_a_nan()
    source = ag.draw(program.outputs, params=program.params, heat="memory").digraph().source
    assert "#fde725" in source
    assert 'color="#c22032"' in source
    assert "makes the first NaN" in source
    backward = ag.draw(program.outputs, params=program.params, backward=True).digraph().source
    assert "w.grad" in backward
    assert "n7 -> n6" in backward


def test_dot_without_the_package_says_how_to_get_it() -> None:
    done = run("import sys; sys.modules['graphviz'] = None\ntry: drawing.digraph()\nexcept ImportError as error: print(error)")
    assert "pip install 'autograd-core[viz]'" in done.stdout


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
@pytest.mark.parametrize("name", ["mlp", "lstm 20", "markup", "gradient of a gradient"])
def test_png_and_pdf_are_rendered_without_a_system_dot(tmp_path, name, suffix, start, monkeypatch) -> None:
    pytest.importorskip("pygraphviz")
    pytest.importorskip("graphviz")
    monkeypatch.setenv("PATH", "")
    program = drawing_programs.PROGRAMS[name]()
    path = tmp_path / f"graph{suffix}"
    ag.draw(program.outputs, params=program.params).save(path)
    assert path.read_bytes().startswith(start)
    assert path.stat().st_size > 3000


def test_png_without_graphviz_names_both_ways_to_get_it(tmp_path, monkeypatch) -> None:
    pytest.importorskip("graphviz")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(dot, "_PYGRAPHVIZ", "import a_package_that_is_not_there")
    with pytest.raises(RuntimeError, match=r"(?s)no `dot` program on PATH.*install Graphviz.*pip install pygraphviz"):
        ag.draw(small()[0]).save(tmp_path / "graph.png")
    assert list(tmp_path.iterdir()) == []


def test_png_of_a_very_large_view_is_refused_with_advice(tmp_path) -> None:
    x = ag.tensor(np.ones(2), requires_grad=True)
    for _ in range(1000):
        x = np.tanh(x * 1.5)
    with pytest.raises(ValueError, match=r"boxes are in view, .* save \.html or \.svg, or show less with depth="):
        ag.draw(x, fold=False, depth=99).save(tmp_path / "graph.png")


def test_json_holds_vertices_edges_groups_rules_and_facts() -> None:
    program = drawing_programs.run_with_a_nan()
    content = json.loads(ag.draw(program.outputs, params=program.params).json())
    log = next(v for v in content["vertices"] if v["op"] == "log")
    assert log["shape"] == [3]
    assert log["facts"]["value"]["nans"] == 1
    assert log["facts"]["line"].startswith(("tests/drawing_programs.py:", "drawing_programs.py:"))
    assert {"source": 0, "target": 1, "argument": "x1", "place": 0} in content["edges"]
    assert content["rules"]["log"] == {"x": "g, x -> g / x"}
    assert next(finding["kind"] for finding in content["health"]) == "not finite"


# --- awkward programs --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".svg", ".html", ".json", ".txt", ".dot"])
def test_constant_is_drawn_with_a_sentence(tmp_path, suffix) -> None:
    drawing = ag.draw(ag.tensor([1.0]) * 2)
    drawing.save(tmp_path / f"graph{suffix}")
    assert "Nothing was recorded" in str(drawing)
    assert "Nothing was recorded" in drawing.svg()


def test_freed_graph_is_drawn_and_says_what_was_freed() -> None:
    y, params = small()
    y.backward()
    drawing = ag.draw(y, params=params)
    assert "A backward pass has freed what 4 operations had saved." in drawing.svg()
    assert "48 B, freed" in drawing.svg()
    assert "multiply" in str(drawing)


def test_disconnected_outputs_are_drawn_side_by_side() -> None:
    (first, one), (second, two) = small(), small()
    drawing = ag.draw({"first": first, "second": second, "constant": ag.tensor(1.0)}, params={"one": one["w"], "two": two["w"]})
    assert drawing.svg().count('class="n op out"') == 2
    assert "An output is a constant" in drawing.svg()


@pytest.mark.parametrize("name", ['"', "'", "<b>", "a\nb", "&amp;", "\\", "\x00\x1b", "层 α ע", "]]>", "</script>", "{}", "x" * 500])
def test_any_name_is_escaped_in_every_format(tmp_path, name) -> None:
    w = ag.tensor(np.ones(3), requires_grad=True)
    drawing = ag.draw({name: np.tanh(w).sum()}, params={name: w})
    ElementTree.fromstring(drawing.svg())
    assert json.loads(drawing.json())["vertices"][0]["name"] == name
    assert drawing.html().count("</script>") == 2
    assert "tanh" in str(drawing)
    drawing.save(tmp_path / "graph.dot")
    if not any(c in name for c in "\x00\x1b"):
        pytest.importorskip("pygraphviz")
        drawing.save(tmp_path / "graph.png")


def test_drawing_neither_keeps_the_tape_alive_nor_changes_it() -> None:
    constant = np.ones(1000)
    alive = weakref.ref(constant)
    w = ag.tensor(np.ones(1000), requires_grad=True)
    gc.disable()
    try:
        y = np.sum(w * constant)
        del constant
        drawing = ag.draw(y, params={"w": w})
        drawing.svg(), drawing.html(), drawing.json(), str(drawing)
        y.backward(retain_graph=True)
        assert w.grad.tolist() == [1.0] * 1000
        del y
        assert alive() is None
    finally:
        gc.enable()
    assert "multiply" in drawing.svg()


def test_ten_thousand_operations_are_written_in_two_seconds_and_a_hundred_thousand_without_fail(rng) -> None:
    def program(n: int) -> ag.Tensor:
        values = [ag.tensor(np.ones(2) * 0.1, requires_grad=True) for _ in range(3)]
        for left, right, which in rng.integers(1, 4, size=(n, 3)).tolist():
            values.append(np.tanh(values[-left]) if which == 1 else values[-left] * values[-right])
        return np.sum(values[-1] + values[-2] + values[-3])

    y = program(12_000)
    started = time.process_time()
    drawing = ag.draw(y)
    drawing.svg(), drawing.html()
    assert drawing.document.operations > 8_000
    assert time.process_time() - started < 2 * 2  # twice the goal of 2 s: machines that run tests are slow and shared
    assert len(drawing.scene.items) <= 60
    assert "operations" in str(ag.draw(program(100_000)))


def test_long_chain_is_drawn_without_recursion() -> None:
    x = ag.tensor(np.ones(2), requires_grad=True)
    for _ in range(8_000):
        x = np.tanh(x * 1.5)
    drawing = ag.draw(x)
    assert "×8000" in drawing.svg() or "×7999" in drawing.svg()
    assert len(ag.draw(x, fold=False, depth=99).scene.items) > 16_000


def test_wrong_options_are_refused_by_name() -> None:
    y, _ = small()
    with pytest.raises(ValueError, match="direction must be 'down' or 'right', not 'left'"):
        ag.draw(y, direction="left")
    with pytest.raises(ValueError, match="depth must be a number of levels, 0 or more, not -1"):
        ag.draw(y, depth=-1)
    with pytest.raises(TypeError, match="an output must be a Tensor"):
        ag.draw(3.0)


def test_notebook_gets_a_page_in_a_frame_and_a_still_picture() -> None:
    y, params = small()
    drawing = ag.draw(y, params=params)
    assert drawing._repr_html_().startswith('<iframe title="Computation graph" srcdoc="&lt;!DOCTYPE html&gt;')
    assert drawing._repr_svg_() == drawing.svg()
    assert repr(drawing).startswith("<drawing of 4 operations")
