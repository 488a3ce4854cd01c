"""Models of older opsets brought to one that has the Q/DQ that is needed, with everything else kept.

onnx's own converter does it, on a copy without the large weights; the weights, the metadata and the external data
stay those of the model, byte for byte. What it gets wrong is written out here, and the result is run beside the
original: a model that computes something else is not given away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import ExportError, ModelError
from trtcal_widgets.export.qdq.old_operators import hide_old, write_out
from trtcal_widgets.export.qdq.same import compare_models
from trtcal_widgets.model.constants import ConstantReader
from trtcal_widgets.model.files import subgraphs
from trtcal_widgets.model.inference import skeleton
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onnx import GraphProto, ModelProto, NodeProto
    from onnx.defs import OpSchema

    from trtcal_widgets.model.load import OnnxModel

PER_CHANNEL_OPSET = 13
"""The first with one scale per channel (``axis``)."""

HALF_OPSET = 19
"""The first whose QuantizeLinear and DequantizeLinear take float16."""

_IR_OF_OPSET = {13: 7, 19: 9}


def upgraded(model: OnnxModel, opset: int) -> tuple[ModelProto, str]:
    """Return a copy of a model in at least this opset.

    ``opset``: version of the default domain that is needed. Returns a copy, with references to external data as in the
    model; and a note where it could not be run beside the original, ``""`` elsewhere. Raises ExportError if onnx cannot
    convert the model, or what it makes of it computes something else; says which node and why.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model.proto)
    if model.graph.opset >= opset:
        return copy, ""
    _refuse_old_subgraphs(model, opset)
    converted = _convert(model, opset)
    _take_nodes(copy, converted)
    _check_names(model, copy)
    copy.ir_version = max(copy.ir_version, _IR_OF_OPSET.get(opset, 7))
    for entry in copy.opset_import:
        if is_default_domain(entry.domain):
            entry.version = opset
    return copy, _compared(model, copy, opset)


def _compared(model: OnnxModel, copy: ModelProto, opset: int) -> str:
    """Refuse a copy that computes something else; return a note where that cannot be found out."""
    between = f"the change from opset {model.graph.opset} to {opset}"
    try:
        difference, why = compare_models(model.graph, model.proto, copy, model.path.parent)
    except (ModelError, ValueError, RuntimeError) as error:
        raise ExportError(
            f"{model.path}: {between} makes a model that does not run: {error}. Export the model again with opset "
            f"{opset} or later"
        ) from error
    if difference is not None:
        raise ExportError(
            f"{model.path}: {between} would give {difference.op_type} node {difference.node!r} another meaning (its "
            f"output {difference.tensor!r} differs by {difference.amount:.3g} of its largest value); export the model "
            f"again with opset {opset} or later"
        )
    return f"{between} could not be run beside the original: {why}" if why else ""


def _convert(model: OnnxModel, opset: int) -> ModelProto:
    import onnx

    small = skeleton(model.proto, model.path.parent)
    hidden = hide_old(small, model.graph.opset)
    foreign = [entry for entry in model.proto.opset_import if not is_default_domain(entry.domain)]
    try:
        converted = onnx.version_converter.convert_version(small, opset)
    except (RuntimeError, ValueError, TypeError, onnx.checker.ValidationError) as error:
        domains = f" (it has operators of {', '.join(e.domain for e in foreign)})" if foreign else ""
        raise ExportError(
            f"{model.path}: Q/DQ needs opset {opset}, the model has {model.graph.opset}, and onnx could not "
            f"convert it{domains}: {_first_line(error)}. Export the model again with opset {opset} or later"
        ) from error
    ranks = {name: None if info.shape is None else len(info.shape) for name, info in model.graph.tensors.items()}
    write_out(converted, hidden, ranks, _scales_of(model, hidden))
    return converted


def _scales_of(model: OnnxModel, hidden: list[NodeProto]) -> dict[str, Any]:
    """Return the stored constants among the second inputs of nodes: the scales of Upsample and Resize."""
    reader = ConstantReader(model.proto, model.path.parent)
    return {
        node.input[1]: reader.read(node.input[1]) for node in hidden if len(node.input) > 1 and node.input[1] in reader
    }


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".")


def _take_nodes(copy: ModelProto, converted: ModelProto) -> None:
    """Put the converted nodes into the copy, whose weights and metadata stay."""
    made = {name for node in converted.graph.node for name in node.output}
    # The large Constant nodes were inputs of what was converted.
    constants = [node for node in copy.graph.node if node.op_type == "Constant" and node.output[0] not in made]
    known = {tensor.name for tensor in copy.graph.initializer}
    added = [tensor for tensor in converted.graph.initializer if tensor.name not in known]
    nodes = [*constants, *converted.graph.node]
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    copy.graph.initializer.extend(added)


def _check_names(model: OnnxModel, copy: ModelProto) -> None:
    """Refuse a conversion that lost a tensor: the scales are found by name."""
    made = {name for node in copy.graph.node for name in node.output}
    lost = [name for node in model.graph.nodes for name in node.outputs if name and name not in made]
    if lost:
        raise ExportError(
            f"{model.path}: onnx's conversion of opset {model.graph.opset} lost the tensor {lost[0]!r}; export the "
            f"model again with opset {PER_CHANNEL_OPSET} or later"
        )


def _refuse_old_subgraphs(model: OnnxModel, opset: int) -> None:
    """Refuse a model whose subgraphs hold operators that changed: onnx's converter leaves subgraphs as they are."""
    for node in _inner_nodes(model.proto.graph):
        if is_default_domain(node.domain) and not _means_the_same(node.op_type, model.graph.opset, opset):
            raise ExportError(
                f"{model.path}: Q/DQ needs opset {opset}, the model has {model.graph.opset}, and a {node.op_type} "
                f"inside an If, Loop or Scan cannot be converted; export the model again with opset {opset} or later"
            )


def _means_the_same(op_type: str, old: int, new: int) -> bool:
    """Whether an operator was given other types at most between two opsets: no other inputs, attributes or defaults.

    Those whose old form has the same signature and another meaning, or is optional in another way, are named.
    """
    import onnx

    if op_type in _OTHER_MEANING and old < _OTHER_MEANING[op_type] <= new:
        return False
    try:
        before, after = (onnx.defs.get_schema(op_type, version) for version in (old, new))
    except onnx.defs.SchemaError:
        return False
    return before.since_version == after.since_version or _signature(before) == _signature(after)


_OTHER_MEANING = {
    "BatchNormalization": 14, "Dropout": 12, "Hardmax": 13, "LogSoftmax": 13, "Resize": 13, "Softmax": 13,
    "Upsample": 10, "AveragePool": 19, "LpPool": 18, "Cast": 19,
}  # fmt: skip
"""Operator -> the opset from which on it means something else, as far as its signature does not say so."""


def _signature(schema: OpSchema) -> object:
    attributes = {
        name: (str(one.type), one.required, one.default_value.SerializeToString())
        for name, one in schema.attributes.items()
    }
    inputs, outputs = ([(one.name, str(one.option)) for one in given] for given in (schema.inputs, schema.outputs))
    return attributes, inputs, outputs


def _inner_nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        for subgraph in subgraphs(node):
            yield from subgraph.node
            yield from _inner_nodes(subgraph)
