"""Tests of `python -m tools.gradcheck`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.gradcheck import main, resolve

MODULE = """
import numpy as np

def forward(x):
    return x ** 3

def backward(g, x):
    return 3 * g * x * abs(x)

def right(g, x):
    return 3 * g * x * x
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"cubes_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def test_a_right_operation_of_numpy_exits_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["np.tanh", "--shape", "3,4"]) == 0
    assert "gradcheck of tanh: ok" in capsys.readouterr().out


def test_a_wrong_pair_exits_with_1_and_writes_what_was_asked_for(module: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main([f"{module}:forward,backward", "--shape", "6", "--low", "0.5", "--json", "report.json", "--plot", "errors.svg"])
    assert status == 1
    assert "wrong only for negative elements" in capsys.readouterr().out
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["ok"] is False
    assert data["findings"][0]["argument"] == "x"
    assert "<svg" in (tmp_path / "errors.svg").read_text()


def test_a_right_pair_with_inputs_of_the_checkers_own(module: str) -> None:
    assert main([f"{module}:forward,right"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no_such_module_at_all:f"], "no module 'no_such_module_at_all'"),
        (["np.no_such_function"], "has no 'no_such_function'"),
        (["nothing"], "not of the form"),
        (["np.sin", "--shape", "3", "--plot", "errors.txt"], ".svg or .png"),
        (["np.pi"], "names no function"),
    ],
)
def test_bad_values_get_one_line_and_status_2(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_bad_shape_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["np.sin", "--shape", "three"])
    assert stopped.value.code == 2
    assert "is no shape" in capsys.readouterr().err


def test_names_inside_of_modules_are_found() -> None:
    import numpy as np

    assert resolve("np.linalg.inv") is np.linalg.inv
    assert resolve("numpy:linalg.inv") is np.linalg.inv
