"""`python -m tools.draw module:function`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.draw import main

ROOT = Path(__file__).parent.parent

PROGRAM = """
import numpy as np, autograd_core as ag

w = ag.tensor(np.ones((3, 2)), requires_grad=True)
number = 3

def loss():
    return np.tanh(np.matmul(np.ones((4, 3)), w)).sum()

def named():
    return {"loss": loss()}, {"w": w}

def nothing():
    return 3

def broken():
    np.matmul(np.tanh(w), np.ones((3, 3)))
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "program_to_draw.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("program_to_draw", None)


def test_command_writes_the_page_of_what_the_function_returns(here, capsys) -> None:
    assert main(["program_to_draw:named"]) == 0
    assert capsys.readouterr().out == "graph.html: 3 operations\n"
    page = (here / "graph.html").read_text()
    assert '"w"' in page
    assert '"loss"' in page
    assert "program_to_draw.py:8" in page


@pytest.mark.parametrize("suffix", ["svg", "txt", "json"])
def test_format_follows_the_suffix(here, suffix) -> None:
    assert main(["program_to_draw:loss", "--out", f"picture.{suffix}", "--direction", "right", "--heat", "memory"]) == 0
    assert "tanh" in (here / f"picture.{suffix}").read_text()


def test_text_goes_to_the_terminal(here, capsys) -> None:
    assert main(["program_to_draw:named", "--text"]) == 0
    assert "%1 matmul  <float64 (4, 3)>, w" in capsys.readouterr().out
    assert [p.name for p in here.iterdir() if p.suffix != ".py"] in ([], ["__pycache__"])


def test_function_that_raises_is_drawn_as_far_as_it_ran(here, capsys) -> None:
    assert main(["program_to_draw:broken", "--out", "broken.svg"]) == 1
    assert "program_to_draw:broken raised ValueError" in capsys.readouterr().err
    assert "⚠ raised" in (here / "broken.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["loss"], "'loss' must be module:function"),
        (["not_there:loss"], "there is no module 'not_there'"),
        (["program_to_draw:missing"], "module 'program_to_draw' has no function 'missing'"),
        (["program_to_draw:number"], "module 'program_to_draw' has no function 'number'"),
        (["program_to_draw:nothing"], "an output must be a Tensor"),
        (["program_to_draw:loss", "--out", "graph.bmp"], "known are .svg, .html"),
        (["program_to_draw:loss", "--out", "missing/graph.svg"], "missing"),
        (["program_to_draw:loss", "--heat", "time of day"], "invalid choice"),
        (["program_to_draw:loss", "--heat", "gradient"], "run the backward pass too"),
        (["program_to_draw:loss", "--depth", "-1"], "0 or more"),
    ],
)
def test_bad_options_are_one_line_and_status_two(here, capsys, arguments, message) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_command_runs_from_a_checkout(here) -> None:
    command = [sys.executable, "-m", "tools.draw", "program_to_draw:named", "--text"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": f"{ROOT}:{here}", "PATH": ""}, cwd=here)
    assert "3 operations" in done.stdout
