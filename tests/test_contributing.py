"""CONTRIBUTING.md and docs/design.md tell the truth: code runs, files and commands exist, and the story stays short."""

from __future__ import annotations

import ast
import importlib.util
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "CONTRIBUTING.md").read_text()
DESIGN = (ROOT / "docs/design.md").read_text()
STORY = re.findall(r"^\d+\. `(autograd_core/\S+\.py)`", GUIDE, re.MULTILINE)


def lines_of_code(path: Path) -> int:
    """Lines that hold more than comments, docstrings and nothing."""
    source = path.read_text()
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = {
        line
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in blank
        for line in range(token.start[0], token.end[0] + 1)
    }
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_the_story_reads_in_one_sitting():
    assert len(STORY) == 10
    assert sum(lines_of_code(ROOT / path) for path in STORY) <= 1600


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
def test_the_examples_run(code: str) -> None:
    exec(compile(code, "CONTRIBUTING.md", "exec"), {})


def test_the_statement_that_is_shown_is_one_of_ours():
    (shown,) = re.findall(r"^    (defvjp\(.*)$", GUIDE, re.MULTILINE)
    assert shown in (ROOT / STORY[-1]).read_text().splitlines()


def test_the_sessions_of_nox_that_are_named_exist():
    defined = re.findall(r"^def (\w+)\(session|name=\"(\w+)\"", (ROOT / "noxfile.py").read_text(), re.MULTILINE)
    assert set(re.findall(r"nox -s (\w+)", GUIDE + (ROOT / ".ci/run").read_text())) <= {name for pair in defined for name in pair}


def test_the_files_and_programs_that_are_named_exist():
    for text in (GUIDE, DESIGN):
        for path in re.findall(r"\b(?:tests|docs|autograd_core|nn|optim|tools|notebooks)/[\w/.-]*\w", text):
            assert (ROOT / path).exists(), path
    for module in re.findall(r"python -m (tools[\w.]*)", GUIDE):
        assert importlib.util.find_spec(module) is not None, module


def test_the_design_names_every_room():
    rooms = {path.name for path in (ROOT / "autograd_core").iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert set(re.findall(r"^\| `(\w+)/` \|", DESIGN, re.MULTILINE)) == rooms
