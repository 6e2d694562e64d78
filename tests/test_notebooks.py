"""The notebooks are stored without outputs, and run from the first cell to the last with few steps."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "docs" / "notebooks").glob("*.ipynb"))
IDS = [path.stem for path in NOTEBOOKS]
SHORT = {  # instead of the values of the cell with the tag "parameters"
    "1_start": "STEPS, N = 20, 300",
    "2_your_images": "BUDGET, N = 4, 100",
    "3_comparing": "STEPS, SEEDS, N = 4, 2, 300",
}
FILES = {
    "1_start": ["runs/start/report.html"],
    "2_your_images": ["runs/mine/explorer.html", "codes.csv"],
    "3_comparing": ["studies/honest/compare.html"],
}
KINDS = {  # of output, beside text
    "1_start": {"text/html", "image/png", "image/gif"},
    "2_your_images": {"text/html", "image/png"},
    "3_comparing": {"text/html"},
}


def cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook, each with its source as one text."""
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [{**cell, "source": "".join(cell["source"])} for cell in found]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_a_notebook_has_no_outputs_and_a_line_for_colab(path: Path) -> None:
    for cell in cells(path):
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    assert cells(path)[1]["source"].startswith("# On Colab: ")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_links_of_a_notebook_lead_to_existing_files(path: Path) -> None:
    text = "\n".join(cell["source"] for cell in cells(path) if cell["cell_type"] == "markdown")
    assert all((path.parent / target).is_file() for target in re.findall(r"\]\(([^)#:]+)\)", text))


@pytest.mark.extra
@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    for folder in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(folder, str(tmp_path / "jupyter"))
    notebook = nbformat.read(path, as_version=4)
    (place,) = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(SHORT[path.stem]))
    NotebookClient(notebook, timeout=250, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert {kind for output in outputs for kind in output.get("data", {})} >= KINDS[path.stem]
    assert all((tmp_path / name).is_file() for name in FILES[path.stem])
