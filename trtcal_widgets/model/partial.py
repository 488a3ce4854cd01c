"""The part of a model that lies downstream of a change, as a model of its own.

When one layer is quantised, only what lies behind it can differ. That part is cut out here; the tensors that flow into
it from the unchanged rest are its inputs, and come from a run of the unchanged model that is made once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.errors import ModelError
from trtcal_widgets.model.data_shapes import has_numpy_type
from trtcal_widgets.model.structure import read_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnx import ModelProto

_BOUNDARY_OPS = frozenset({"QuantizeLinear", "DequantizeLinear"})
"""Cheap nodes that are repeated in the part instead of becoming inputs of it."""


@dataclass(frozen=True, eq=False)
class PartialModel:
    """A part of a model.

    ``proto``: the part as onnx's ModelProto; external data are referred to as in the whole. ``inputs``: tensors that
    flow into it: outputs of the unchanged rest, or inputs of the whole model. ``outputs``: the wanted tensors that it
    computes. Those that the change cannot reach are not among them.
    """

    proto: ModelProto
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def downstream_part(
    base: ModelProto, changed: ModelProto, dtypes: Mapping[str, str], wanted: Sequence[str]
) -> PartialModel | None:
    """Cut out what differs between two versions of a model and everything behind it.

    ``base``: the unchanged model. Nodes are in topological order. ``changed``: the same model with nodes added,
    replaced or rewired. ``dtypes``: element types of tensors by NumPy's names. ``wanted``: tensors of ``changed`` that
    are to be computed. Returns None where the change reaches none of the wanted tensors. Raises ModelError if a tensor
    on the boundary has no known element type.
    """
    nodes = list(changed.graph.node)
    dirty = _changed_constants(base, changed)
    known = {node.output[0]: node.SerializeToString(deterministic=True) for node in base.graph.node if node.output}
    reached: list[int] = []
    for i, node in enumerate(nodes):
        same = bool(node.output) and known.get(node.output[0]) == node.SerializeToString(deterministic=True)
        if not same or any(name in dirty for name in read_names(node)):
            reached.append(i)
            dirty.update(name for name in node.output if name)
    outputs = tuple(name for name in wanted if name in dirty)
    if not outputs:
        return None
    whole = frozenset(name for name, dtype in dtypes.items() if not has_numpy_type(dtype))
    kept, boundary = _needed(changed, reached, outputs, whole)
    return assemble(changed, kept, boundary, outputs, dtypes)


def _changed_constants(base: ModelProto, changed: ModelProto) -> set[str]:
    old = {tensor.name: tensor for tensor in base.graph.initializer}
    return {t.name for t in changed.graph.initializer if t.name in old and not (old[t.name] is t or old[t.name] == t)}


def _needed(
    changed: ModelProto, reached: Iterable[int], outputs: Iterable[str], whole: frozenset[str]
) -> tuple[set[int], list[str]]:
    """Return the nodes that the outputs need, and the names that flow in; those of ``whole`` cannot flow."""
    nodes = changed.graph.node
    maker = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    constants = {tensor.name for tensor in changed.graph.initializer}
    constants |= {sparse.values.name for sparse in changed.graph.sparse_initializer}
    inside = set(reached)
    for i, node in enumerate(nodes):
        # What is computed from constants alone is computed again: it is cheap, and nobody keeps it.
        if node.op_type == "Constant" or (node.input and all(name in constants for name in read_names(node))):
            inside.add(i)
            constants.update(name for name in node.output if name)
    kept: set[int] = set()
    boundary: dict[str, None] = {}
    stack = [*outputs]
    while stack:
        name = stack.pop()
        made_by = maker.get(name)
        if made_by is not None and (made_by in inside or nodes[made_by].op_type in _BOUNDARY_OPS or name in whole):
            if made_by not in kept:
                kept.add(made_by)
                stack.extend(read_names(nodes[made_by]))
        elif made_by is not None or name not in constants:
            boundary[name] = None
    return kept, list(boundary)


def assemble(
    changed: ModelProto, kept: set[int], boundary: Sequence[str], outputs: Sequence[str], dtypes: Mapping[str, str]
) -> PartialModel:
    """Return the kept nodes of a model, by index, as a model that reads ``boundary`` and gives ``outputs``.

    ``dtypes``: of the tensors on the boundary. Raises ModelError where one has no known element type.
    """
    import onnx

    part = onnx.ModelProto()
    part.ir_version = changed.ir_version
    part.opset_import.extend(changed.opset_import)
    part.functions.extend(changed.functions)
    part.graph.name = f"part of {changed.graph.name}"
    given = {info.name: info for info in changed.graph.input}
    read: set[str] = set(outputs)
    for i, node in enumerate(changed.graph.node):
        if i in kept:
            part.graph.node.append(node)
            read.update(read_names(node))
    part.graph.initializer.extend(t for t in changed.graph.initializer if t.name in read)
    part.graph.sparse_initializer.extend(s for s in changed.graph.sparse_initializer if s.values.name in read)
    for name in boundary:
        if name in given:
            part.graph.input.append(given[name])
        else:
            part.graph.input.add(name=name).type.tensor_type.elem_type = _element_type(name, dtypes)
    for name in outputs:
        part.graph.output.add(name=name)  # without a type: ONNX Runtime infers it
    return PartialModel(part, tuple(boundary), tuple(outputs))


def _element_type(name: str, dtypes: Mapping[str, str]) -> int:
    import onnx

    dtype = dtypes.get(name, "")
    code = {"float64": "DOUBLE", "float32": "FLOAT"}.get(dtype, dtype.upper())
    try:
        return int(onnx.TensorProto.DataType.Value(code))
    except ValueError:
        raise ModelError(f"tensor {name!r} has no known element type, so the model cannot be cut there") from None
