"""What instruments show in a notebook, and what they say where there is nothing to show."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

import autograd_core as ag


def loss(n: int = 1):
    x = ag.tensor(np.ones((4, 3)), requires_grad=True)
    y = x
    for _ in range(n):
        y = np.exp(-y) * x
    return y.sum()


def profiled():
    with ag.profile() as measured:
        loss().backward()
    return measured


class Cells(HTMLParser):
    """The texts of a table's cells; every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


@pytest.mark.parametrize(
    ("shown", "texts"),
    [
        (lambda: ag.tape(loss()), ["%2", "exp", "(4, 3)", "float64"]),
        (lambda: ag.memory(loss()), ["unique", "float64 (4, 3)"]),
        (profiled, ["exp", "multiply"]),
    ],
    ids=["tape", "memory", "profile"],
)
def test_instruments_show_themselves_as_tables(shown, texts):
    html = shown()._repr_html_()
    rows = Cells(html).rows
    assert len({len(row) for row in rows}) == 1
    cells = {cell for row in rows for cell in row}
    assert all(text in cells for text in texts)


def test_a_long_tape_is_shown_in_part_and_says_so():
    html = ag.tape(loss(3000))._repr_html_()
    assert "rows more" in html
    assert len(Cells(html).rows) < 2010


def test_names_are_text_and_no_markup():
    w = ag.tensor(1.0, requires_grad=True)
    html = ag.tape(w * 2.0, params={"<b>w</b>": w})._repr_html_()
    assert "<b>" not in html
    assert "<b>w</b>" in {cell for row in Cells(html).rows for cell in row}


@pytest.mark.parametrize("recorded", [False, True], ids=["no_grad", "constants"])
def test_a_profile_of_nothing_recorded_says_so(recorded):
    x = ag.tensor(np.ones(3), requires_grad=not recorded)
    with ag.profile() as measured:
        if recorded:
            np.exp(x)
        else:
            with ag.no_grad():
                np.exp(x)
    for text in (str(measured), repr(measured), measured.table(), measured._repr_html_()):
        assert "nothing was recorded inside" in text
        assert "no_grad" in text
    assert "nothing was recorded" not in str(profiled())


def test_a_tape_of_a_constant_says_so():
    assert "nothing recorded" in ag.tape(ag.tensor(1.0))._repr_html_()
