"""Every notebook in notebooks/ runs from top to bottom in an empty folder, and is committed without outputs.

nbformat is imported where it is used: it makes a grammar when it is imported, for seconds, and every process of the
tests collects all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))

# What Python and the kernel say about themselves; a warning from us or from a library we chose fails.
NOT_OURS = ("frozen_modules", "Debugger warning", "PYDEVD_DISABLE_FILE_VALIDATION")


def test_there_are_notebooks():
    assert NOTEBOOKS / "01_explore_calibration.ipynb" in PATHS


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_committed_without_outputs(path):
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
        assert cell.metadata == {}, "no trace of the editor"
    assert "widgets" not in notebook.metadata


@pytest.fixture(params=PATHS, ids=lambda path: path.name)
def executed(request, tmp_path, monkeypatch):
    """A notebook after its run, and the folder that it ran in."""
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PYTHONWARNINGS", "default")
    notebook = nbformat.read(request.param, as_version=4)
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()  # raises CellExecutionError with the cell's traceback
    return notebook, tmp_path, request.param.name


# what each notebook is meant to write
FILES = {
    "01_explore_calibration.ipynb": {"calibration.cache", "ten-ones.cache"},
    "03_tensorrt.ipynb": {"calib", "lenet.cache", "lenet.qdq.onnx", "merged.cache"},
    "02_debug_accuracy.ipynb": {"uneven.onnx", "even.onnx", "uneven.qdq.onnx", "plan.json", "calibration.cache"},
    "04_calibration_data.ipynb": {"any-light.onnx", "bright.trtcal", "evening.trtcal"},
}


def test_runs(executed):
    notebook, folder, name = executed
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            if output.get("name") == "stderr":
                lines = [line for line in output.text.splitlines() if not any(word in line for word in NOT_OURS)]
                assert lines == [], cell.source
    written = {path.name for path in folder.iterdir()}
    if name in FILES:
        assert written == FILES[name]
    if name == "01_explore_calibration.ipynb":
        from trtcal_widgets.formats.cache import CalibrationCache

        assert CalibrationCache.read(folder / "calibration.cache").hex("data") == "3c008912"
        outputs = [o for cell in notebook.cells for o in cell.get("outputs", ())]
        shown = [o for o in outputs if o.output_type in ("execute_result", "display_data")]
        widgets = [o for o in shown if "application/vnd.jupyter.widget-view+json" in o.data]
        assert len(widgets) == 2, "the explorer and the viewer"
        pictures = [o for o in shown if "image/png" in o.data or "data:image/png;base64" in o.data.get("text/html", "")]
        assert len(pictures) == 2, "each with a picture for where no widget can live"
