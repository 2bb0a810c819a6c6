"""The notebooks run from top to bottom."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PROVED = {
    "01_first_model.ipynb": ("not a bit has changed",),
    "02_read_the_explanations.ipynb": ("the same to the last bit", "counted by hand"),
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
# the kernel's own event loop, not ours, still speaks of what Python will drop
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_notebook_runs_and_says_what_it_did(path: Path) -> None:
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    kept = [cell.get("outputs") for cell in notebook.cells if cell.cell_type == "code"]
    assert any(kept), "commit the notebook with its outputs: people look before they run"
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    texts = " ".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if cell.cell_type == "code"
    )
    assert all(proof in texts for proof in PROVED[path.name])
