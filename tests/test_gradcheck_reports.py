"""What the gradient checker writes: text, JSON by its schema, pictures, reproducers."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from gradcheck_collection import ALL_RIGHT, ALL_WRONG

import autograd_core as ag
from autograd_core.gradcheck.report.causes import CAUSES
from autograd_core.gradcheck.report.schema import SCHEMA


def f(x, y):
    return x * y**2


def wrong(g, x, y):
    return g * y**2, g * x * y


def report_of(seed=0, **options):
    random = np.random.default_rng(1)
    return ag.gradcheck((f, wrong), random.normal(size=(3, 4)), random.normal(size=(3, 4)), seed=seed, raise_on_failure=False, **options)


def test_the_text_names_argument_element_numbers_bound_input_place_cause_mend_and_reproducer():
    text = report_of().text()
    for part in [
        "f: WRONG, 1 finding",
        "with respect to y is wrong at y[",
        "given",
        "expected",
        "+-",
        "input",
        "where",
        "as given",
        "likely cause",
        "mend",
        "reproduce",
        "seed 0",
    ]:
        assert part in text, part
    assert "wrong by a constant factor (given / expected = 0.5)" in text


def test_colours_are_there_on_request_only():
    report = report_of()
    assert "\x1b[" in report.text(color=True)
    assert "\x1b[" not in report.text(color=False)
    assert re.sub(r"\x1b\[[\d;]*m", "", report.text(color=True)) == report.text(color=False)


@pytest.mark.parametrize("entry", [*ALL_WRONG[::9], *ALL_RIGHT[::9]], ids=repr)
def test_the_json_is_as_its_schema_says(entry):
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    report = ag.gradcheck((entry.forward, entry.backward), *entry.inputs(np.random.default_rng(0)), raise_on_failure=False)
    data = json.loads(report.to_json())
    jsonschema.validate(data, SCHEMA)
    assert data["ok"] is bool(report)
    assert all(found["cause"] in CAUSES for found in data["findings"])


def test_numbers_that_json_cannot_hold_are_strings():
    report = ag.gradcheck((np.exp, lambda g, x: g * np.full_like(x, np.nan)), np.array([1.0, 2.0]), raise_on_failure=False)
    data = json.loads(report.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert data["findings"][0]["given"] == "nan"


def test_a_reproducer_runs_is_small_and_shows_the_same_finding():
    report = report_of()
    code = report.findings[0].reproducer
    with pytest.raises(ag.GradcheckError) as caught:
        exec(code, {"ag": ag, "np": np, "f": f, "wrong": wrong})
    again = caught.value.report.findings[0]
    assert (again.argument, again.cause) == ("y", "constant factor")
    assert code.count("np.array") == 2
    assert len(code) < 100


def test_the_heat_map_is_a_picture_with_hatching_where_the_gradient_is_wrong(tmp_path):
    report = report_of()
    report.plot(tmp_path / "errors.svg")
    picture = ElementTree.parse(tmp_path / "errors.svg").getroot()
    rectangles = picture.findall("{http://www.w3.org/2000/svg}rect")
    hatched = [r for r in rectangles if r.get("fill") == "url(#wrong)" and r.get("pointer-events")]
    assert len(hatched) == 12
    assert "http" not in re.sub(r'xmlns="[^"]*"', "", (tmp_path / "errors.svg").read_text())
    assert "<svg" in report._repr_html_()
    with pytest.raises(ValueError, match=r"must end with .svg or .png"):
        report.plot(tmp_path / "errors.pdf")


def test_the_heat_map_is_written_as_png_with_matplotlib(tmp_path):
    pytest.importorskip("matplotlib")
    report_of().plot(tmp_path / "errors.png")
    assert (tmp_path / "errors.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_reasons_why_nothing_can_be_said_are_given_once_each():
    report = ag.gradcheck(np.sqrt, np.array([1.0, 4.0, 9.0]))
    steep = [note for note in report.notes if "grows without limit" in note]
    assert len(steep) == 1
    assert "one element zero" in steep[0]
