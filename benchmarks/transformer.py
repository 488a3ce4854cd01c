"""What quantising costs MiniLM, by method, placement and format: the table "Transformers" of docs/qdq.md.

    python -m benchmarks.transformer

SQNR of the last hidden state against FP32 over the tokens that are no padding, in the simulation; calibrated on 32
sentences of the text below and measured on 16 others. About four minutes on two cores.
"""

from __future__ import annotations

import math

import numpy as np
import onnxruntime as ort

from tests.support.minilm import encode, minilm_model
from trtcal_widgets import CalibrationSession
from trtcal_widgets.data import IterableBatches
from trtcal_widgets.export.qdq import QdqBuilder
from trtcal_widgets.model.plan import PrecisionPlan

WORDS = (
    "Calibration chooses for every tensor the range that eight bits shall hold. A photograph of a harbour at dusk, "
    "with two boats and a lamp. The committee met on Tuesday and decided nothing of importance. How do I return a "
    "parcel that arrived damaged? Water boils at a lower temperature on a mountain. She sells old maps and globes "
    "in a narrow street near the station. The engine stopped twice before we reached the pass. Python is a "
    "language, and also a snake. Interest rates rose by a quarter of a point in March. The recipe asks for three "
    "eggs, flour, butter and a little salt. He could not remember where he had left the keys. Neural networks are "
    "trained on large collections of text."
)
METHODS = ("entropy", "minmax", "mse", "percentile:99.99")


def sentences(seed: int, count: int) -> list[str]:
    """Join sentences of the text in random order: short and long ones."""
    random = np.random.default_rng(seed)
    parts = [part.strip() for part in WORDS.replace("?", ".").split(".") if part.strip()]
    return [". ".join(random.permutation(parts)[: random.integers(1, 6)]) for _ in range(count)]


def run(model: bytes, feeds: dict[str, np.ndarray]) -> np.ndarray:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)[0]


def main() -> None:
    path = minilm_model()
    calibration = encode(sentences(1, 32), 64)
    test = encode(sentences(2, 16), 64)
    kept = test["attention_mask"].astype(bool)
    batches = [{name: array[i : i + 8] for name, array in calibration.items()} for i in range(0, 32, 8)]
    session = CalibrationSession(path, IterableBatches(lambda: iter(batches)))
    session.run()
    reference = run(path.read_bytes(), test)[kept].astype(np.float64)

    def sqnr(model: bytes) -> str:
        error = run(model, test)[kept] - reference
        return f"{10 * math.log10((reference**2).sum() / (error**2).sum()):.1f}"

    print("| thresholds | INT8 | … without the second feed-forward layers | FP8 |\n|---|---|---|---|")
    for method in METHODS:
        session.update(method=method)
        int8, fp8 = (QdqBuilder(path, session, format=name) for name in ("int8", "fp8"))
        layers = int8.build().report.quantized_nodes
        second = tuple(name for name in layers if "/output/dense/" in name and "attention" not in name)
        plan = PrecisionPlan(keep=second)
        cells = [sqnr(int8.build().to_bytes()), sqnr(int8.build(plan=plan).to_bytes()), sqnr(fp8.build().to_bytes())]
        print(f"| {method} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
