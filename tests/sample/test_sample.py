import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import trtcal_widgets
from tests.support.shared import shared_path
from trtcal_widgets import sample
from trtcal_widgets.core.calibrate import calibrate_array
from trtcal_widgets.data import ONLY_INPUT, BatchPlan, IdxImages

FOLDER = Path(sample.__file__).parent


@pytest.fixture(scope="module")
def model():
    return onnx.load(sample.model_path())


def accuracy(source):
    session = onnxruntime.InferenceSession(str(sample.model_path()), providers=["CPUExecutionProvider"])
    found = [
        session.run(["prob"], {"data": batch.feeds[ONLY_INPUT]})[0].argmax(1)
        for batch in BatchPlan(source, 500, last="keep")
    ]
    return float((np.concatenate(found) == source.labels).mean())


def test_topology_and_names_are_those_of_the_nvidia_sample(model):
    onnx.checker.check_model(model, full_check=True)
    nodes = [(node.op_type, node.input[0], node.output[0]) for node in model.graph.node]
    assert nodes == [
        ("Conv", "data", "conv1"),
        ("MaxPool", "conv1", "pool1"),
        ("Conv", "pool1", "conv2"),
        ("MaxPool", "conv2", "pool2"),
        ("Flatten", "pool2", "flatten"),
        ("Gemm", "flatten", "ip1"),
        ("Relu", "ip1", "relu1"),
        ("Gemm", "relu1", "ip2"),
        ("Softmax", "ip2", "prob"),
    ]
    shapes = {weight.name: list(weight.dims) for weight in model.graph.initializer}
    assert shapes == {
        "conv1.weight": [20, 1, 5, 5], "conv1.bias": [20], "conv2.weight": [50, 20, 5, 5], "conv2.bias": [50],
        "ip1.weight": [500, 800], "ip1.bias": [500], "ip2.weight": [10, 500], "ip2.bias": [10],
    }  # fmt: skip


def test_it_runs_in_old_runtimes_and_takes_any_batch(model):
    assert model.ir_version <= 8
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 13)]
    for value in (*model.graph.input, *model.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param
    assert sample.model_path().stat().st_size < 2_000_000


def test_it_recognises_the_bundled_images():
    assert accuracy(sample.test_images()) >= 0.985
    assert accuracy(sample.calibration_images()) >= 0.985


def test_it_recognises_the_whole_test_set():
    mnist = shared_path("data", "mnist")
    source = IdxImages(mnist / "t10k-images-idx3-ubyte.gz", mnist / "t10k-labels-idx1-ubyte.gz")
    assert accuracy(source) >= 0.99


@pytest.mark.parametrize(
    ("bundled", "original", "header", "size"),
    [
        ("calibration-images-idx3-ubyte.gz", "train-images-first19690-idx3-ubyte.gz", 16, 500 * 28 * 28),
        ("calibration-labels-idx1-ubyte.gz", "train-labels-first19690-idx1-ubyte.gz", 8, 500),
        ("test-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz", 16, 1000 * 28 * 28),
        ("test-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz", 8, 1000),
    ],
)
def test_bundled_files_are_the_first_of_mnist_byte_for_byte(bundled, original, header, size):
    ours = gzip.decompress((FOLDER / bundled).read_bytes())
    theirs = gzip.decompress(shared_path("data", "mnist", original).read_bytes())
    assert len(ours) == header + size
    assert ours[header:] == theirs[header : header + size]


def test_ten_batches_of_fifty_give_the_scale_in_nvidias_table():
    batches = [batch.feeds[ONLY_INPUT] for batch in BatchPlan(sample.calibration_images(), 50)]
    assert len(batches) == 10
    assert calibrate_array(batches, "entropy").hex == "3c008912"


def test_activations_are_of_a_size_that_int8_can_hold():
    """No tensor's largest value is a lone outlier: a few per cent of the values reach a tenth of it."""
    model = onnx.load(sample.model_path())
    names = ["conv1", "conv2", "ip1", "relu1", "ip2"]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    fed = sample.calibration_images().load(0, 500)[ONLY_INPUT]
    for name, array in zip(names, session.run(names, {"data": fed}), strict=True):
        magnitude = np.abs(array)
        assert (magnitude > magnitude.max() / 10).mean() > 0.03, name


def test_it_works_where_it_is_installed(tmp_path):
    """A copy of the package elsewhere, imported in a fresh interpreter, finds its own files."""
    package = Path(trtcal_widgets.__file__).parent
    shutil.copytree(package, tmp_path / "trtcal_widgets", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from trtcal_widgets import sample; print(sample.model_path(), sample.test_images().n_items())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.split() == [str(tmp_path / "trtcal_widgets" / "sample" / "lenet.onnx"), "1000"]
