"""The table of benchmarks: what it refuses, what it says, and that its workloads compute the same everywhere."""

import json

import numpy as np
import pytest

from tools.bench import __main__ as bench


@pytest.fixture(autouse=True)
def any_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own process stays where it is."""
    monkeypatch.setattr(bench, "one_core", lambda: None)


def made(step):
    return lambda name: {"limit": lambda: [np.ones(2)], "autograd_core": lambda: [np.ones(2)], "mygrad": step}


def test_a_contender_with_another_gradient_is_an_error_and_is_never_timed(monkeypatch):
    monkeypatch.setattr(bench, "contenders_of", made(lambda: [np.array([1.0, 1.001])]))
    monkeypatch.setattr(bench, "interleaved", lambda *_: pytest.fail("timed"))
    with pytest.raises(AssertionError, match="mygrad"):
        bench.main(["w1", "--peers", "mygrad"])


def test_a_peer_that_is_not_installed_is_said_and_its_column_left_out(monkeypatch, capsys):
    from tools.bench import engine_workloads

    monkeypatch.setattr(bench, "contenders_of", made(lambda: [np.ones(2)]))
    monkeypatch.setattr(engine_workloads, "installed", lambda peer: False)
    assert bench.main(["w1", "--rounds", "1", "--peers", "jax jit"]) == 0
    printed = capsys.readouterr()
    assert "jax jit: skipped, jax is not installed" in printed.err
    assert "jax" not in printed.out
    assert "w1 1000 operations on 8 floats" in printed.out


def test_figures_are_kept_drawn_and_compared(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "contenders_of", made(lambda: [np.ones(2)]))
    for name, factor in (("before", 1.0), ("now", 2.0)):
        seconds = {"limit": 1.0, "autograd_core": 3.0 * factor, "mygrad": 40.0}
        monkeypatch.setattr(bench, "interleaved", lambda contenders, rounds, seconds=seconds: seconds)
        paths = [str(tmp_path / f"{name}.{end}") for end in ("json", "svg", "md")]
        bench.main(["w1", "--peers", "mygrad", "--json", paths[0], "--plot", paths[1], "--write", paths[2]])
    kept = json.loads((tmp_path / "now.json").read_text())
    assert kept["figures"] == {"w1": {"autograd_core": 6.0, "mygrad": 40.0}}
    assert kept["machine"]["NumPy"] == np.__version__
    assert "w1" in (tmp_path / "now.svg").read_text()
    assert "Not installed, so not measured: torch," in (tmp_path / "now.md").read_text()
    capsys.readouterr()
    bench.main(["--compare", str(tmp_path / "before.json"), str(tmp_path / "now.json")])
    assert [cell.strip() for cell in capsys.readouterr().out.splitlines()[-1].split("|")[1:-1]] == ["w1", "3", "6", "2", "1"]


def test_unknown_workloads_and_peers_are_refused_by_name(capsys):
    for arguments, words in ((["w99"], "unknown workloads w99; there are w0, w1"), (["--peers", "spam"], "invalid choice: 'spam'")):
        with pytest.raises(SystemExit):
            bench.main(arguments)
        assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["w2b", "w8"])
def test_workloads_compute_the_same_by_hand_and_here(name):
    from tools.bench.transformer_workloads import agree

    contenders = bench.contenders_of(name)
    agree({"limit": contenders["limit"], "autograd_core": contenders["autograd_core"]})
