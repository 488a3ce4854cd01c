"""Finding TensorRT, or saying why it cannot be had."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from trtcal_widgets import sample
from trtcal_widgets.errors import MissingDependencyError
from trtcal_widgets.trt import build, make_calibrator
from trtcal_widgets.trt.runner import TensorRTRunner
from trtcal_widgets.trt.versions import load_tensorrt, no_calibrators


@pytest.fixture
def importing(monkeypatch, tmp_path):
    """Return a function that makes ``import tensorrt`` run some code."""

    def put_in(code: str) -> None:
        (tmp_path / "tensorrt.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "tensorrt", raising=False)

    yield put_in
    sys.modules.pop("tensorrt", None)


@pytest.fixture
def without(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)


@pytest.mark.parametrize(
    "use",
    [
        load_tensorrt,
        lambda: make_calibrator([[0.0]], batch_size=1),
        lambda: build(sample.model_path()),
        lambda: TensorRTRunner(sample.model_path()),
    ],
)
def test_without_tensorrt_says_what_to_install_and_what_works_without(without, use):
    with pytest.raises(MissingDependencyError, match=r"pip install 'tensorrt<11'") as caught:
        use()
    assert "trtcal convert" in str(caught.value)
    assert isinstance(caught.value, ImportError)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("raise ImportError('libcuda.so.1: cannot open shared object file')", "no NVIDIA driver"),
        ("raise ImportError('libnvinfer.so.10: cannot open shared object file')", "LD_LIBRARY_PATH"),
        ("raise OSError('libnvinfer_plugin.so.10: undefined symbol')", "of one version"),
        ("import tensorrt_libs", "is not installed"),
        ("__version__ = '1.0'", "not NVIDIA's TensorRT"),
        ("__version__ = '8.4.1.5'\nclass Builder: pass", "too old: 8.6"),
    ],
)
def test_a_tensorrt_that_does_not_work_says_why(importing, code, says):
    importing(code)
    with pytest.raises(MissingDependencyError) as caught:
        load_tensorrt()
    assert says in str(caught.value)


def test_an_import_error_of_something_else_is_not_taken_for_it(importing):
    importing("import a_module_that_is_not_there")
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there") as caught:
        load_tensorrt()
    assert not isinstance(caught.value, MissingDependencyError)


def test_a_folder_called_tensorrt_is_not_tensorrt(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", ModuleType("tensorrt"))
    with pytest.raises(MissingDependencyError, match="beside the notebook"):
        load_tensorrt()


def test_what_11_lacks_names_both_ways():
    text = str(no_calibrators("11.4.0", "A calibrator"))
    assert "trtcal convert calibration.cache --model model.onnx --to qdq" in text
    assert "tensorrt<11" in text
