"""`ag.draw`: what a picture shows, and how it is saved."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import autograd_core as ag


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
