"""README.md tells the truth: its code runs, its picture is what its code draws, and its commands are those that are checked."""

from __future__ import annotations

import doctest
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = [(README[: found.start(1)].count("\n"), found[1]) for found in re.finditer(r"```python\n(.*?)```", README, re.DOTALL)]
DEMO = 'pip install -e ".[demo]" && python -m tools.demo'
TESTS = 'pip install -e ".[dev]" && pytest -n auto --dist worksteal'


def run(blocks, names):
    """Run code blocks one after the other, as a reader would; line numbers in a traceback are those of README.md."""
    for line, text in blocks:
        if text.startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(text, names, "README.md", "README.md", line)
            report = []
            failures, tried = doctest.DocTestRunner().run(example, out=report.append, clear_globs=False)
            assert tried
            assert not failures, "".join(report)
            names.update(example.globs)
        else:
            exec(compile("\n" * line + text, "README.md", "exec"), names)
    return names


def test_every_code_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(BLOCKS) >= 10
    run(BLOCKS, {})


def words_in(svg):
    """What can be read in a picture, whatever its style."""
    return re.sub(r"<style>.*?</style>|<[^>]*>", " ", svg, flags=re.DOTALL).split()


def test_the_picture_shows_what_the_first_block_draws(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(BLOCKS[:1], {})
    (picture,) = re.findall(r"!\[.*?\]\((.*?)\)", README)
    drawn = words_in((tmp_path / "graph.svg").read_text())
    assert "tanh" in drawn
    assert words_in((ROOT / picture).read_text()) == drawn, f"run README's first block, copy its graph.svg to {picture}, and look at it"


def test_the_first_screen_shows_code_and_picture_and_the_two_commands():
    first_screen = README.split("\n## ")[0]
    assert len(BLOCKS[0][1].strip().splitlines()) <= 10
    assert BLOCKS[0][1] in first_screen
    assert "![" in first_screen
    for command in (DEMO, TESTS):
        assert f"\n    {command}\n" in first_screen


def test_what_is_checked_is_what_the_readme_says():
    checks = (ROOT / ".ci" / "run").read_text()
    for mark in re.findall(r"readme_command '(.*?)'", checks):
        lines = [line for line in README.splitlines() if mark in line]
        assert [line.strip() for line in lines] in ([DEMO], [TESTS])
    assert checks.count("readme_command '") == 2


@pytest.mark.parametrize("extra", ["viz", "scipy", "demo", "dev", "peers"])
def test_the_extras_that_the_readme_names_exist(extra):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert f"`{extra}`" in README
    assert extras[extra]


def test_every_file_that_the_layout_names_exists():
    layout = README.split("## Layout")[1]
    above = ROOT  # the folder that a deeper line is about
    for line in layout.splitlines():
        if not line.startswith("    "):
            continue
        top = not line.startswith("     ")
        for name in re.split(r"\s{2,}", line.strip())[0].split(", "):
            path = (ROOT if top else above) / name
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"README names {path.relative_to(ROOT)}, which does not exist"
            above = path if top else above


def test_the_speed_table_has_the_workloads_of_the_benchmark():
    from tools.bench.engine import COLUMNS, WORKLOADS

    table = README.split("## Speed")[1].split("\n## ")[0]
    assert "python -m tools.bench.engine" in table
    for workload in WORKLOADS:
        assert re.search(rf"\| {workload} ", table), workload
    assert all(column in table for column in COLUMNS if column != "goal")
