"""The page in a real browser: no errors, no requests, mouse and keyboard, and the same geometry as the still picture."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import drawing_programs
import numpy as np
import pytest
from browser import CHROMIUM, Browser, browser
from drawing_geometry import JAVASCRIPT, geometry_of, problems

import autograd_core as ag

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian's package chromium)")


@functools.cache
def program(name: str) -> drawing_programs.Program:
    return drawing_programs.PROGRAMS[name]()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser(1000, 800) as opened:
        yield opened


@pytest.fixture
def page(chromium: Browser, tmp_path: Path):
    """Open the page of a program (or drawing) in the browser; afterwards nothing may have gone wrong in it."""

    def opened(name: str | object, **options: object) -> Browser:
        shown = ag.draw(program(name).outputs, params=program(name).params, **options) if isinstance(name, str) else name
        shown.save(tmp_path / "graph.html")
        chromium.open(tmp_path / "graph.html")
        return chromium

    yield opened
    assert chromium.errors == []
    assert [address for address in chromium.requests if not address.startswith(("file:", "data:"))] == []


def texts(chromium: Browser, selector: str) -> list[str]:
    return chromium.evaluate(f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)")


@needs_browser
@pytest.mark.parametrize("name", list(drawing_programs.PROGRAMS))
def test_first_view_is_good_and_quick_and_everything_opens(page, name) -> None:
    chromium = page(name)
    assert chromium.evaluate("Number(document.documentElement.dataset.drawn)") < 1000
    assert chromium.evaluate("page.scene.items.size") <= 45
    assert problems(chromium.evaluate(JAVASCRIPT)) == []
    if name != "lstm 1000":
        chromium.click("#expand")
        assert problems(chromium.evaluate(JAVASCRIPT)) == []
    chromium.click("#collapse")
    assert problems(chromium.evaluate(JAVASCRIPT)) == []


@needs_browser
@pytest.mark.parametrize("name", ["mlp", "residual network", "lstm 20", "shared weights", "gradient of a gradient", "two losses"])
def test_page_shows_the_same_boxes_in_the_same_order_as_the_still_picture(page, name) -> None:
    chromium = page(name)
    still = ag.draw(program(name).outputs, params=program(name).params)
    shown = chromium.evaluate(JAVASCRIPT)
    ours = geometry_of(still.figure)
    assert {b["key"]: (b["parent"], b["frame"]) for b in shown["boxes"]} == {b["key"]: (b["parent"], b["frame"]) for b in ours["boxes"]}
    assert sorted((w["frame"], w["source"] or "", w["target"] or "") for w in shown["wires"]) == sorted(
        (w["frame"], w["source"] or "", w["target"] or "") for w in ours["wires"]
    )
    sizes = {b["key"]: b["w"] for b in ours["boxes"] if not b["frame"]}
    assert {b["key"]: b["w"] for b in shown["boxes"] if not b["frame"]} == pytest.approx(sizes, abs=0.15)


@needs_browser
def test_click_opens_a_module_and_its_button_closes_it(page) -> None:
    chromium = page("transformer", depth=1)
    assert "norm1: Norm" not in " ".join(texts(chromium, ".n.op"))
    before = chromium.evaluate("page.scene.items.size")
    chromium.click('.n.group[aria-label^="blocks.0: Block"]')
    assert chromium.evaluate("page.scene.items.size") > before
    assert any(text.startswith("norm1: Norm") for text in texts(chromium, ".n.group"))
    chromium.click('[aria-label="close blocks.0: Block"]')
    assert chromium.evaluate("page.scene.items.size") == before


@needs_browser
def test_every_member_of_a_repeat_can_be_opened(page) -> None:
    chromium = page("lstm 1000")
    chromium.click('[data-plate][aria-label="show all 1000"]')
    assert chromium.evaluate("page.scene.items.size") < 150
    chromium.click('.n.group[aria-label^="961 to 1000"]')
    assert len([label for label in texts(chromium, ".n.group title") if label.startswith("cell: Cell")]) == 40
    chromium.evaluate("document.querySelectorAll('.n.group[aria-label^=\"cell: Cell\"]')[39].dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert "tanh" in " ".join(texts(chromium, ".n.op"))
    assert problems(chromium.evaluate(JAVASCRIPT)) == []


@needs_browser
def test_details_show_line_rule_value_and_gradient_of_what_is_clicked(page) -> None:
    chromium = page("run with a nan")
    chromium.click(".n.bad")
    details = " ".join(texts(chromium, "#details"))
    assert "drawing_programs.py:" in details
    assert "loss = np.mean(np.log(w * 3.0) * 2.0) + np.sum(w * w)" in details
    assert "g, x -> g / x" in details
    assert "1 NaN" in details
    assert "step " in details
    chromium.press("Escape")
    assert chromium.evaluate("document.getElementById('details').hidden")


@needs_browser
def test_keyboard_alone_walks_selects_opens_and_closes(page) -> None:
    chromium = page("transformer", depth=1)
    focused = "document.activeElement.getAttribute('aria-label')"
    chromium.press("ArrowDown")
    first = chromium.evaluate(focused)
    seen = [first]
    for _ in range(6):
        chromium.press("ArrowDown")
        seen.append(chromium.evaluate(focused))
        if "closed; press Enter" in seen[-1]:
            break
    assert "closed; press Enter" in seen[-1]
    before = chromium.evaluate("page.scene.items.size")
    chromium.press("Enter")
    assert chromium.evaluate("page.scene.items.size") > before
    chromium.press("Backspace")
    assert chromium.evaluate("page.scene.items.size") == before
    chromium.press("ArrowUp")
    chromium.press("Enter")
    assert not chromium.evaluate("document.getElementById('details').hidden")


@needs_browser
def test_search_counts_and_goes_to_what_is_inside_closed_modules(page) -> None:
    chromium = page("transformer", depth=0)
    chromium.press("/")
    chromium.type("attention.query.weight")
    assert texts(chromium, "#status") == ["1 found"]
    chromium.press("Enter")
    assert chromium.evaluate("page.scene.items.get(page.selected).vertex.name") == "blocks.0.attention.query.weight"
    assert problems(chromium.evaluate(JAVASCRIPT)) == []


@needs_browser
def test_filters_dim_everything_but_ancestors_or_descendants(page) -> None:
    chromium = page("two losses")
    chromium.click('.n.op[aria-label^="absolute"]')
    chromium.click('[data-filter="ancestors"]')
    dimmed = " ".join(texts(chromium, ".n.dim title"))
    assert "fc3" in dimmed
    assert "fc1" not in dimmed
    chromium.click('[data-filter="descendants"]')
    assert "fc1.weight" in " ".join(texts(chromium, ".n.dim title"))


@needs_browser
def test_heat_is_switched_with_a_legend_of_numbers(page) -> None:
    chromium = page("mlp")
    assert texts(chromium, "#heat option") == ["no heat", "memory", "saved", "time", "backward time", "gradient", "value", "update"]
    chromium.evaluate("(() => {const h = document.getElementById('heat'); h.value = 'memory'; h.dispatchEvent(new Event('change'))})()")
    assert "bytes of the result" in texts(chromium, "#legend")[0]
    assert chromium.evaluate("document.querySelectorAll('.n.heat').length") == 16
    assert problems(chromium.evaluate(JAVASCRIPT)) == []


@needs_browser
def test_backward_view_and_direction_are_switched_in_place(page) -> None:
    chromium = page("mlp")
    chromium.click("#backward")
    assert any(re.match(r"1\. mean", text) for text in texts(chromium, ".n.op text"))
    assert "fc1.weight.grad" in " ".join(texts(chromium, ".n.leaf text")) or "weight.grad" in texts(chromium, ".n.leaf text")
    assert problems(chromium.evaluate(JAVASCRIPT)) == []
    chromium.click("#backward")
    chromium.click("#turn")
    assert chromium.evaluate("page.figure.width > page.figure.height")
    assert problems(chromium.evaluate(JAVASCRIPT)) == []


@needs_browser
def test_pages_of_the_backward_pass_of_a_difference_and_of_a_failed_program_are_good(page) -> None:
    x = ag.tensor(np.ones(3), requires_grad=True)
    with pytest.raises(ValueError, match="broadcast"), ag.record() as recording:
        np.tanh(x) + np.ones(4)
    difference = ag.diff(np.tanh(x).sum(), np.exp(x * 2).sum(axis=0))
    first = {"backward": "1. mean", "heat": "tanh", "diff": "+ added", "failed": "⚠ raised"}
    shown = {
        "backward": ag.draw(program("mlp").outputs, params=program("mlp").params, backward=True, direction="right"),
        "heat": ag.draw(np.tanh(x), heat="memory"),
        "diff": difference.draw(),
        "failed": recording.draw(),
    }
    for name, drawing in shown.items():
        chromium = page(drawing)
        assert any(first[name] in text for text in texts(chromium, ".n text")), name
        assert problems(chromium.evaluate(JAVASCRIPT)) == []
        assert chromium.errors == []


@needs_browser
def test_problems_are_listed_and_lead_to_the_box(page) -> None:
    chromium = page("disconnected parameter")
    assert texts(chromium, "#health li") == ["⚠ Never reached by the backward pass: fc3.weight, fc3.bias."]
    chromium.click("#health a")
    assert chromium.evaluate("page.scene.items.get(page.selected).vertex.name") == "fc3.weight"


@needs_browser
def test_markup_in_names_stays_text(page) -> None:
    chromium = page("markup")
    assert chromium.evaluate("document.querySelectorAll('#picture b').length") == 0
    assert any('<b>"bold"</b>' in text for text in texts(chromium, "#picture text"))


@needs_browser
def test_labels_tell_a_screen_reader_what_each_box_is(page) -> None:
    chromium = page("mlp")
    labels = chromium.evaluate("[...document.querySelectorAll('.n')].map((e) => e.getAttribute('aria-label'))")
    assert "leaf fc1.weight, (64, 32) float64, requires grad" in labels
    assert any(label.startswith("maximum 0, of %") for label in labels)
    assert chromium.evaluate("[...document.querySelectorAll('button,input,select')].every((e) => e.textContent || e.ariaLabel)")


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
def test_page_follows_the_systems_light_or_dark(tmp_path, dark) -> None:
    shown = ag.draw(program("mlp").outputs, params=program("mlp").params)
    shown.save(tmp_path / "graph.html")
    with browser(600, 500, dark=dark) as chromium:
        chromium.open(tmp_path / "graph.html")
        colour = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", colour))) < 150) == dark
        chromium.click("#theme")
        colour = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", colour))) < 150) != dark
        assert chromium.errors == []


@needs_browser
def test_ten_thousand_operations_are_interactive_within_a_second_and_a_thousand_open_within_one_and_a_half(page) -> None:
    rng = np.random.default_rng(0)
    values = [ag.tensor(np.ones(3), requires_grad=True) for _ in range(5)]
    for _ in range(10_000):
        a, b = (values[-int(i)] for i in rng.integers(1, 6, 2))
        values.append(np.tanh(a * b) if rng.integers(2) else a + b)
    chromium = page(ag.draw(values[-1]))
    assert chromium.evaluate("page.graph.vertices.length") > 8000
    assert chromium.evaluate("Number(document.documentElement.dataset.drawn)") < 1000
    chromium = page(ag.draw(values[800], fold=False))
    chromium.click("#expand")
    assert chromium.evaluate("page.scene.items.size") > 900
    assert chromium.evaluate("Number(document.documentElement.dataset.drawn)") < 1500


def test_page_is_one_file_without_addresses_and_small() -> None:
    for name in ("mlp", "lstm 20", "transformer 12", "lstm 1000"):
        shown = ag.draw(program(name).outputs, params=program(name).params)
        text = shown.html()
        addresses = set(re.findall(r"https?://[^\s\"'<>)]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}  # the name of a language, not a place
        assert len(text.encode()) <= 150_000 + 200 * len(shown.document.vertices)


@needs_browser
def test_errors_and_requests_of_a_page_are_seen_by_these_tests(chromium, tmp_path) -> None:
    script = "setTimeout(() => { throw new Error('deliberate') }); new Image().src = 'file:///missing.png'; console.error('said')"
    (tmp_path / "bad.html").write_text(f"<script>{script}</script>")
    chromium.open(tmp_path / "bad.html")
    chromium.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert any("deliberate" in error for error in chromium.errors)
    assert any("said" in error for error in chromium.errors)
    assert any("missing.png" in address for address in chromium.requests)
