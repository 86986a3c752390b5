"""The demo: reaches its accuracy, writes whole files only, and says in one line what is wrong with an option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
pytest.importorskip("tqdm")

from tools import demo

FILES = {"curves.png", "graph.svg", "graph.dot", "gradient-check.txt"}


def test_the_demo_recognises_97_percent_and_writes_its_four_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.main(["--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    accuracy = float(printed.split("test:  loss ")[1].split("accuracy ")[1].split(" %")[0])
    assert accuracy >= 97
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert (tmp_path / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "out" / "graph.svg").read_text()
    assert "digraph" in (tmp_path / "out" / "graph.dot").read_text()
    assert ": ok" in (tmp_path / "out" / "gradient-check.txt").read_text()


def test_a_seed_gives_the_same_numbers_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def lines() -> list[str]:
        assert demo.main(["--output", str(tmp_path), "--epochs", "2", "--hidden", "8", "--optimizer", "sgd", "--seed", "7"]) == 0
        return [line for line in capsys.readouterr().out.splitlines() if line.startswith(("train", "test"))]

    assert lines() == lines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "argument --epochs: 0 is not an integer >= 1"),
        (["--epochs", "many"], "argument --epochs: 'many' is not an integer >= 1"),
        (["--hidden", "-3"], "--hidden"),
        (["--lr", "nan"], "argument --lr: nan is not a number > 0"),
        (["--lr", "-1"], "argument --lr: -1 is not a number > 0"),
        (["--optimizer", "magic"], "argument --optimizer: invalid choice: 'magic'"),
        (["--batch-size", "2.5"], "argument --batch-size: '2.5' is not an integer >= 1"),
        (["--seed", "-1"], "--seed"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_a_bad_option_is_one_line_and_status_2(arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--output", str(tmp_path), *arguments])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


def test_an_output_that_cannot_be_written_is_one_line_and_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--output", str(tmp_path / "file")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("stage", ["train", "plot"])
def test_an_interrupted_run_leaves_older_files_whole(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--output", str(tmp_path), "--epochs", "1", "--hidden", "8"]
    demo.main(options)
    before = (tmp_path / "curves.png").read_bytes()

    def interrupted(*arguments: Any) -> None:
        if stage == "plot":
            Path(arguments[-1]).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, stage, interrupted)
    assert demo.main([*options, "--seed", "1"]) == 130
    assert "interrupted" in capsys.readouterr().err
    assert (tmp_path / "curves.png").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_it_runs_as_a_program(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.demo", "--epochs", "x", "--output", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "demo: argument --epochs: 'x' is not an integer >= 1\n"
