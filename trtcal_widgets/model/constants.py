"""The values of a model's constants, read one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trtcal_widgets.errors import ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, SparseTensorProto, TensorProto


def constant_tensor(node: NodeProto) -> TensorProto | None:
    """Return the tensor that a ``Constant`` node holds as such, None for other nodes and scalar attributes."""
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    for attribute in node.attribute:
        if attribute.name == "value" and attribute.HasField("t"):
            value: TensorProto = attribute.t
            return value
    return None


def external_to_raw(tensor: TensorProto, folder: Path) -> TensorProto:
    """Return the tensor with its external data read, or itself where it has none.

    Raises ModelError if its data file is missing, too short or outside the folder.
    """
    import onnx
    from onnx.external_data_helper import load_external_data_for_tensor

    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return tensor
    copy = onnx.TensorProto()
    copy.CopyFrom(tensor)
    try:
        load_external_data_for_tensor(copy, str(folder))
    except (onnx.checker.ValidationError, ValueError, RuntimeError, OSError) as error:
        raise ModelError(
            f"the external data of tensor {tensor.name!r} cannot be read from {folder}: {error}"
        ) from error
    copy.data_location = onnx.TensorProto.DEFAULT  # onnx before 1.23 leaves it as it was
    return copy


class ConstantReader:
    """Values of initialisers and ``Constant`` nodes of the main graph, read on demand.

    ``proto``: the model, read without its external data.
    """

    def __init__(self, proto: ModelProto, folder: Path) -> None:
        self._folder = folder
        self._dense: dict[str, TensorProto] = {t.name: t for t in proto.graph.initializer}
        self._sparse: dict[str, SparseTensorProto] = {s.values.name: s for s in proto.graph.sparse_initializer}
        self._nodes: dict[str, NodeProto] = {
            node.output[0]: node
            for node in proto.graph.node
            if node.op_type == "Constant" and node.domain in ("", "ai.onnx") and node.output
        }

    def __contains__(self, name: object) -> bool:
        """Whether the constant is stored in the file, and not computed from others."""
        return name in self._dense or name in self._nodes or name in self._sparse

    def read(self, name: str) -> NDArray[np.generic]:
        """Return the values of one constant.

        Nothing is kept: the array is the caller's, and read-only where it is a view of the model in memory.

        Raises ModelError if there is no stored constant of that name, or its data cannot be read.
        """
        if name in self._dense:
            return self._to_array(self._dense[name], name)
        if name in self._sparse:
            return self._from_sparse(self._sparse[name], name)
        if name in self._nodes:
            return self._from_node(self._nodes[name], name)
        raise ModelError(f"the model stores no constant {name!r}")

    def _to_array(self, tensor: TensorProto, name: str) -> NDArray[np.generic]:
        from onnx import numpy_helper

        try:
            array: NDArray[np.generic] = numpy_helper.to_array(external_to_raw(tensor, self._folder))
        except (ValueError, TypeError) as error:
            raise ModelError(
                f"constant {name!r} does not hold what its shape {tuple(tensor.dims)} promises: {error}"
            ) from error
        return array

    def _from_sparse(self, sparse: SparseTensorProto, name: str) -> NDArray[np.generic]:
        values = self._to_array(sparse.values, name)
        indices = self._to_array(sparse.indices, name).astype(np.int64)
        dense = np.zeros(tuple(sparse.dims), values.dtype)
        if indices.ndim == 2:
            dense[tuple(indices.T)] = values
        else:
            dense.reshape(-1)[indices] = values
        return dense

    def _from_node(self, node: NodeProto, name: str) -> NDArray[np.generic]:
        from onnx import helper

        for attribute in node.attribute:
            if attribute.name == "value":
                return self._to_array(attribute.t, name)
            if attribute.name == "sparse_value":
                return self._from_sparse(attribute.sparse_tensor, name)
            value = helper.get_attribute_value(attribute)
            if attribute.name in ("value_float", "value_floats"):
                return np.asarray(value, np.float32)
            if attribute.name in ("value_int", "value_ints"):
                return np.asarray(value, np.int64)
            if attribute.name in ("value_string", "value_strings"):
                return np.asarray(value, object)
        raise ModelError(f"the Constant node that makes {name!r} holds no value")
