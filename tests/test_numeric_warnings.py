"""NumPy's warnings of overflow and invalid values tell the user's line, each line once. In processes with Python's own filters."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import warnings
import numpy as np
import autograd_core as ag
import nn
x = ag.tensor(np.array([1000.0, 2.0]), requires_grad=True)
for _ in range(3):
    y = np.exp(x)
    z = x / 0.0
w = np.exp(x)
v = x.exp()
u = np.mean(np.log(x * 0 - 1))
ag.vmap(np.exp)(np.array([1e4]))
ag.grad(lambda t: np.exp(t))(1e4)
np.exp(np.array([1e4]))
"""


def run(tmp_path, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, *options, str(tmp_path / "program.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(Path(__file__).parents[1])})


def shown(done) -> list[tuple[int, str]]:
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^(.*):(\d+): RuntimeWarning: (.*)$", done.stderr, re.MULTILINE)
    assert {Path(file).name for file, _, _ in found} <= {"program.py"}, done.stderr
    return [(int(line), text.split(" encountered")[0]) for _, line, text in found]


def lines(*texts: str) -> list[int]:
    rows = PROGRAM.splitlines()
    return [rows.index(next(row for row in rows if row.strip().startswith(text))) + 1 for text in texts]


def test_each_line_of_the_users_warns_once(tmp_path):
    found = shown(run(tmp_path, PROGRAM))
    assert [line for line, _ in found] == lines("y =", "z =", "w =", "v =", "u =", "ag.vmap", "ag.grad", "np.exp(np")
    assert {text for _, text in found} == {"overflow", "divide by zero", "invalid value"}


def test_the_users_filters_are_asked(tmp_path):
    assert shown(run(tmp_path, PROGRAM, "-W", "ignore")) == []
    failed = run(tmp_path, PROGRAM, "-W", "error::RuntimeWarning")
    assert failed.returncode != 0
    assert "RuntimeWarning: overflow encountered in exp" in failed.stderr
    assert len(shown(run(tmp_path, PROGRAM, "-W", "always"))) == len(shown(run(tmp_path, PROGRAM))) + 4
    quiet = PROGRAM.replace("import nn\n", "import nn\nwarnings.simplefilter('ignore')\n")
    assert shown(run(tmp_path, quiet)) == []


@pytest.mark.parametrize("text", ["something else", "overflow encountered in my own code"])
def test_other_warnings_are_left_alone(tmp_path, text):
    program = f"import autograd_core, warnings\nwarnings.warn({text!r}, RuntimeWarning)\nwarnings.warn({text!r}, UserWarning)\n"
    found = run(tmp_path, program).stderr
    assert f"program.py:2: RuntimeWarning: {text}" in found
    assert f"program.py:3: UserWarning: {text}" in found
