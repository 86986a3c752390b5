"""The page of covered functions: nothing of NumPy is of unknown state, and the page says what the tables say."""

from collections import Counter

import numpy as np
import pytest

from tools.coverage import states
from tools.coverage.__main__ import main
from tools.coverage.page import PAGE, comparable, is_stale, page, peers_on
from tools.coverage.peers import PEERS, count_peer
from tools.coverage.reasons import METHODS_REFUSED, REFUSED

TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows():
    """All rows, counted once: the tables do not change while the tests run."""
    return states.rows()


@pytest.fixture(autouse=True)
def counted_once(rows, monkeypatch):
    monkeypatch.setattr("tools.coverage.page.rows", lambda: rows)


@pytest.fixture(scope="module")
def table(rows):
    return {row.name: row for row in rows}


def test_every_function_of_numpy_has_a_rule_or_a_reason_for_having_none(table):
    unknown = [name for name, row in table.items() if row.state == states.UNKNOWN]
    assert not unknown, f"give these a rule, or a reason in tools/coverage/reasons.py: {unknown}"


def test_every_method_of_a_ufunc_has_a_rule_or_a_reason_for_having_none():
    unknown = [f"{name}.{method}" for name, row in states.method_states().items() for method, state in row.items() if state == states.UNKNOWN]
    assert not unknown, f"give these a rule, or a reason in tools/coverage/reasons.py: {unknown}"


def test_a_reason_for_refusing_stands_only_where_a_function_is_refused(table):
    needless = [name for name in REFUSED if name in table and table[name].state != states.REFUSED_STATE]
    methods = states.method_states()
    needless += [name for name in METHODS_REFUSED if methods[name.rpartition(".")[0]][name.rpartition(".")[2]] != states.REFUSED_STATE]
    assert not needless, f"these have a rule by now; delete the reason: {needless}"


def test_the_page_is_up_to_date():
    if comparable(TEXT):  # made with this minor version of NumPy; others have other functions
        assert not is_stale(TEXT), "run `python -m tools.coverage` and commit notebooks/numpy-coverage.md"


def test_the_page_of_another_version_of_numpy_is_not_compared(monkeypatch):
    monkeypatch.setattr(np, "__version__", "1.99.0")
    assert not comparable(TEXT)
    assert comparable("")


def test_a_page_that_lacks_a_function_is_stale():
    assert is_stale(page(TEXT, measure_peers=False).replace("| `np.exp` | rule |", "| `np.exp` | constant |"))


@pytest.mark.parametrize("peer", PEERS)
def test_the_counts_of_other_engines_are_those_of_the_installed_version(peer):
    pytest.importorskip(PEERS[peer][0])
    written, counted = peers_on(TEXT)[peer], count_peer(peer)
    assert counted.main > 50
    if counted.version == written.version and comparable(TEXT):
        assert counted == written, "run `python -m tools.coverage` and commit notebooks/numpy-coverage.md"


def test_peers_that_are_not_installed_keep_their_line(monkeypatch):
    monkeypatch.setattr("tools.coverage.page.count_peer", lambda name: None)
    assert peers_on(page("| MyGrad 9.9 | 1 | 2 | 3 |\n"))["MyGrad"] == ("9.9", 1, 2, 3)


def test_what_a_row_says_is_read_from_the_samples(table):
    row = table["np.sum"]
    assert row.state == states.RULE
    assert row.differentiable[0] == "a"
    assert {"axis", "keepdims", "where"} <= set(row.others)
    assert row.second_order
    assert row.is_complex == "yes"
    assert table["np.arctan2"].is_complex == "-"
    assert table["np.argmax"].state == states.CONSTANT
    assert table["np.put"].state == states.UPDATE


def test_more_is_differentiated_than_is_not(table):
    counts = Counter(row.state for row in table.values())
    assert sum(counts[state] for state in states.DIFFERENTIABLE) > counts[states.CONSTANT] + counts[states.REFUSED_STATE]


def test_checking_tells_a_stale_page_by_the_exit_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tools.coverage.__main__.PAGE", tmp_path / "page.md")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / "page.md").write_text("ufunc that NumPy 1.2 lets")
    assert main(["--check"]) == 0
    assert "not compared" in capsys.readouterr().out
