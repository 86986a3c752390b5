"""The notebooks run from the first cell to the last, and what is stored in them is clean."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore")
def test_notebook_runs_from_the_first_cell_to_the_last(path, monkeypatch) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(path.parent.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, 4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
    pictures = sum("image/svg+xml" in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    stored = sum("image/svg+xml" in output.get("data", {}) for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", []))
    assert pictures == stored


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_notebook_has_its_outputs_and_no_path_of_a_machine(path) -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert not re.search(r"/(home|root|tmp|work|usr|Users)/", path.read_text(encoding="utf-8"))
