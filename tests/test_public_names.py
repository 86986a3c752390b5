"""What users see of the engine when they look around: names, completions, descriptions, the version."""

from __future__ import annotations

import inspect
import re
import rlcompleter
import tomllib
from pathlib import Path
from typing import Any

import pytest

import autograd_core as ag

ROOT = Path(__file__).parent.parent


def test_looking_into_the_package_shows_public_names_only():
    shown = [name for name in dir(ag) if not re.fullmatch(r"__\w+__", name)]
    assert shown == sorted(ag.__all__)
    assert {"__doc__", "__name__", "__version__"} <= set(dir(ag))


def test_tab_completes_public_names_only():
    completer = rlcompleter.Completer({"ag": ag})
    found = []
    while (completion := completer.complete("ag.", len(found))) is not None:
        found.append(completion.removeprefix("ag.").rstrip("()"))
    assert set(found) == set(ag.__all__)


def test_every_public_name_is_there():
    assert [name for name in ag.__all__ if not hasattr(ag, name)] == []
    assert len(set(ag.__all__)) == len(ag.__all__)


@pytest.mark.parametrize("name", ag.__all__)
def test_every_public_name_is_described(name: str) -> None:
    assert inspect.getdoc(getattr(ag, name))


@pytest.mark.parametrize("name", [name for name in dir(ag.Tensor) if not name.startswith("_")])
def test_every_attribute_of_a_tensor_is_described(name: str) -> None:
    attribute: Any = inspect.getattr_static(ag.Tensor, name)
    assert inspect.getdoc(attribute) or inspect.getdoc(getattr(ag.Tensor, name))


def test_there_is_one_version():
    written = (ROOT / "autograd_core/__init__.py").read_text()
    assert written.count(f'"{ag.__version__}"') == 1
    assert f"\n## {ag.__version__} - " in (ROOT / "CHANGELOG.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "autograd_core/__init__.py"
