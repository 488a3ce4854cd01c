"""From an ONNX file to the facts of :mod:`trtcal_widgets.model.graph`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from trtcal_widgets.common.arguments import to_path
from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.constants import ConstantReader
from trtcal_widgets.model.files import check_external_data, read_proto
from trtcal_widgets.model.graph import ModelGraph
from trtcal_widgets.model.inference import infer_types
from trtcal_widgets.model.kinds import find_groups, join
from trtcal_widgets.model.structure import read_structure
from trtcal_widgets.model.trt8.facts import network_rows
from trtcal_widgets.model.trt8.inner import NO_INNER, InnerTensors

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from onnx import ModelProto

__all__ = ["OnnxModel", "load_graph", "load_model", "model_of"]


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A model file in memory, without its external data.

    Attributes
    ----------
    path
        The file it was read from; external data lie relative to its folder.
    proto
        onnx's ModelProto. It is shared: copy what you change.
    graph
        The facts.
    inner
        What computes the tensors that only TensorRT's network has.
    """

    path: Path
    proto: ModelProto
    graph: ModelGraph
    inner: InnerTensors = NO_INNER

    @cached_property
    def constants(self) -> ConstantReader:
        """Values of the constants that are stored in the model, read on demand."""
        return ConstantReader(self.proto, self.path.parent)


def load_graph(path: str | os.PathLike[str]) -> ModelGraph:
    """Read the facts of an ONNX model.

    Parameters
    ----------
    path
        The ``.onnx`` file; external data must lie beside it but are not read.

    Raises
    ------
    ModelError
        If the file is missing, not ONNX, cut short, empty, lacks external data, or its graph is broken.
    """
    return load_model(path).graph


def load_model(path: str | os.PathLike[str]) -> OnnxModel:
    """Read an ONNX model and its facts; ``path`` and errors as for :func:`load_graph`."""
    path = to_path(path, "an ONNX model", ModelError)
    proto, sha256 = read_proto(path)
    try:
        return _model(path, proto, sha256)
    except UnicodeDecodeError as error:  # protobuf decodes names when they are asked for
        raise ModelError(f"{path} is damaged: a name in it is not UTF-8 text; export it again") from error


def model_of(path: Path, proto: ModelProto) -> OnnxModel:
    """Return a model in memory with its facts; ``path``: the file that it would be, beside its external data.

    Raises ModelError if its graph is broken or its external data are not there.
    """
    return _model(path, proto, "")


def _model(path: Path, proto: ModelProto, sha256: str) -> OnnxModel:
    external_bytes = check_external_data(proto, path)
    types = infer_types(proto, path.parent)
    structure = read_structure(proto, str(path), types)
    counted = [name for name, tensor in structure.tensors.items() if tensor.is_float]
    trt8, inner = network_rows(proto, types, ConstantReader(proto, path.parent), counted)
    opsets = {entry.domain or "ai.onnx": entry.version for entry in proto.opset_import}
    metadata = {
        "producer": f"{proto.producer_name} {proto.producer_version}".strip(),
        "ir_version": str(proto.ir_version),
        "opsets": ", ".join(f"{domain} {version}" for domain, version in opsets.items()),
        "external_bytes": str(external_bytes),
    }
    graph = ModelGraph(
        name=path.name,
        sha256=sha256,
        opset=opsets.get("ai.onnx", 0),
        tensors=MappingProxyType(structure.tensors),
        nodes=structure.nodes,
        groups=find_groups(structure.nodes, structure.tensors),
        passing=join(structure.nodes, structure.tensors, structure.passing),
        trt8=trt8,
        metadata=MappingProxyType(metadata),
        output_names=tuple(info.name for info in proto.graph.output),
    )
    return OnnxModel(path, proto, graph, inner)
