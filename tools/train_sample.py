"""Train the bundled LeNet on MNIST and write everything that ``trtcal_widgets/sample`` holds.

Development only: needs torch (2.13.0 wrote the committed files) and the MNIST files named below.
The network has the topology and tensor names of NVIDIA's MNIST sample, so that its calibration cache can be
laid beside the table that NVIDIA published. The seed and the number of threads are fixed: the same torch on
the same processor gives the same weights again.

    python tools/train_sample.py ../shared/data/mnist
"""

from __future__ import annotations

import argparse
import gzip
import struct
import time
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.nn import functional

SEED = 20240501
THREADS = 2
EPOCHS = 30
BATCH = 64
MAX_SHIFT = 2
N_CALIBRATION = 500
N_TEST = 1000
TRAIN_IMAGES = "train-images-first19690-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-first19690-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
SAMPLE = Path(__file__).resolve().parent.parent / "trtcal_widgets" / "sample"


class LeNet(nn.Module):
    """conv 20@5x5, pool, conv 50@5x5, pool, 500 + relu, 10: layer names are the ONNX tensor names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.ip1 = nn.Linear(800, 500)
        self.ip2 = nn.Linear(500, 10)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        """Return the logits of ``data`` [N,1,28,28]; dropout is on in training only."""
        pool1 = functional.max_pool2d(self.conv1(data), 2)
        pool2 = functional.max_pool2d(self.conv2(pool1), 2)
        hidden = functional.relu(self.ip1(pool2.flatten(1)))
        return self.ip2(functional.dropout(hidden, 0.5, self.training))


def read_idx(path: Path) -> np.ndarray:
    """Read an IDX file of unsigned bytes."""
    raw = gzip.decompress(path.read_bytes())
    shape = struct.unpack(f">{raw[3]}I", raw[4 : 4 + 4 * raw[3]])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write unsigned bytes as gzipped IDX; no time stamp, so the same data gives the same file."""
    header = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=9, mtime=0))


def fed(images: np.ndarray) -> torch.Tensor:
    """Return uint8 images as the network is fed: float32 [N,1,28,28], pixel / 255."""
    return torch.from_numpy((images[:, None] / 255.0).astype(np.float32))


def shifted(batch: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Move each image by up to MAX_SHIFT pixels in x and y, zeros coming in at the edges."""
    n, _, height, width = batch.shape
    padded = functional.pad(batch, (MAX_SHIFT,) * 4)
    dy, dx = torch.randint(0, 2 * MAX_SHIFT + 1, (2, n), generator=generator)
    rows = (torch.arange(height)[None] + dy[:, None])[:, None, :, None]
    columns = (torch.arange(width)[None] + dx[:, None])[:, None, None, :]
    return padded[torch.arange(n)[:, None, None, None], 0, rows, columns]


def accuracy(model: LeNet, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Top-1 accuracy in 0 to 1."""
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part).argmax(1) for part in images.split(1000)])
    return float((found == labels).double().mean())


def train(images: torch.Tensor, labels: torch.Tensor) -> LeNet:
    """Train with SGD, a cosine learning rate, weight decay and shifted images."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = LeNet()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.05, total_steps=steps, pct_start=0.1)
    for epoch in range(EPOCHS):
        model.train()
        started, total = time.perf_counter(), 0.0
        order = torch.randperm(len(images), generator=generator)
        for picked in order.split(BATCH)[: len(images) // BATCH]:
            logits = model(shifted(images[picked], generator))
            loss = functional.cross_entropy(logits, labels[picked], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1:2}/{EPOCHS}  loss {total * BATCH / len(images):.4f}  {seconds:.1f} s")
    return model


def to_onnx(model: LeNet, note: str) -> onnx.ModelProto:
    """Build the ONNX model by hand: the names of tensors are the point of it."""
    weights = {name: value.detach().numpy() for name, value in model.named_parameters()}
    node = helper.make_node
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    nodes = [
        node("Conv", ["data", "conv1.weight", "conv1.bias"], ["conv1"], "conv1", kernel_shape=[5, 5]),
        node("MaxPool", ["conv1"], ["pool1"], "pool1", **pool),
        node("Conv", ["pool1", "conv2.weight", "conv2.bias"], ["conv2"], "conv2", kernel_shape=[5, 5]),
        node("MaxPool", ["conv2"], ["pool2"], "pool2", **pool),
        node("Flatten", ["pool2"], ["flatten"], "flatten", axis=1),
        node("Gemm", ["flatten", "ip1.weight", "ip1.bias"], ["ip1"], "ip1", transB=1),
        node("Relu", ["ip1"], ["relu1"], "relu1"),
        node("Gemm", ["relu1", "ip2.weight", "ip2.bias"], ["ip2"], "ip2", transB=1),
        node("Softmax", ["ip2"], ["prob"], "prob", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "lenet",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(w), name) for name, w in weights.items()],
    )
    opset = helper.make_opsetid("", 13)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=7, producer_name="trtcal_widgets")
    made.doc_string = note
    onnx.checker.check_model(made, full_check=True)
    return made


def main() -> None:
    """Train, print the accuracy, write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("mnist", type=Path, help="folder with the four MNIST files")
    parser.add_argument("-o", "--output", type=Path, default=SAMPLE, help="folder to write to")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(mode=True)

    names = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
    images, labels, test_images, test_labels = (read_idx(options.mnist / name) for name in names)
    model = train(fed(images), torch.from_numpy(labels.astype(np.int64)))
    top1 = accuracy(model, fed(test_images), torch.from_numpy(test_labels.astype(np.int64)))
    print(f"top-1 on {len(test_images)} test images: {top1:.2%}")

    note = (
        "LeNet for 28x28 digits, fed with pixel/255. Trained by tools/train_sample.py on the first "
        f"{len(images)} MNIST training images; top-1 {top1:.2%} on the 10,000 MNIST test images."
    )
    options.output.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(model, note), options.output / "lenet.onnx")
    write_idx(options.output / "calibration-images-idx3-ubyte.gz", images[:N_CALIBRATION])
    write_idx(options.output / "calibration-labels-idx1-ubyte.gz", labels[:N_CALIBRATION])
    write_idx(options.output / "test-images-idx3-ubyte.gz", test_images[:N_TEST])
    write_idx(options.output / "test-labels-idx1-ubyte.gz", test_labels[:N_TEST])


if __name__ == "__main__":
    main()
