"""Small ONNX models for tests, a line or two each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
node = helper.make_node


def value(name: str, shape: Sequence[int | str | None] | None = (None, 3), dtype: int = FLOAT) -> Any:
    """A graph input or output."""
    return helper.make_tensor_value_info(name, dtype, shape)


def const(name: str, array: Any, dtype: Any = np.float32) -> onnx.TensorProto:
    """An initialiser."""
    return numpy_helper.from_array(np.asarray(array, dtype), name)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    stored: Sequence[onnx.TensorProto] = (),
    *,
    opset: int = 17,
    ir: int = 8,
    domains: Sequence[str] = (),
    **graph: Any,
) -> Path:
    """Write a model without checking it: broken ones are wanted too."""
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    made = helper.make_graph(nodes, "graph", inputs, outputs, list(stored), **graph)
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=ir), path)
    return path
