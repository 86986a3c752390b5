"""The table of common calls: each computes in both libraries the same, and what does not is an error."""

from __future__ import annotations

import pytest

from tools.bench import calls


@pytest.mark.parametrize("data_read", [False, True])
def test_every_call_has_torchs_value_and_gradients(data_read: bool) -> None:
    pytest.importorskip("torch")
    ours, theirs = calls.names_of_ours(data_read), calls.names_of_torch()
    for text in (*calls.CALLS, *calls.PASSES):
        calls.compare(text, ours, theirs)


@pytest.mark.parametrize(("text", "other"), [("x * y", "x + y"), ("x.sum().backward()", "(2 * x).sum().backward()")])
def test_a_call_with_other_values_or_gradients_is_an_error(monkeypatch: pytest.MonkeyPatch, text: str, other: str) -> None:
    pytest.importorskip("torch")
    monkeypatch.setitem(calls.CALLS, text, other)
    with pytest.raises(AssertionError, match="is not torch's"):
        calls.compare(text, calls.names_of_ours(), calls.names_of_torch())


def test_the_table_names_calls_times_and_ratios(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(calls, "one_core", lambda: None)
    monkeypatch.setattr(calls, "interleaved", lambda steps, rounds: dict(zip(steps, (1e-6, 2e-6), strict=False)))
    pytest.importorskip("torch")
    assert calls.main(["-k", "np.where(mask, x, y)"]) == 0
    assert "| np.where(mask, x, y) | 1.00 |      2.00 |  0.50 |    1 |" in capsys.readouterr().out
