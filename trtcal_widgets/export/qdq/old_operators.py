"""Operators of old opsets whose meaning onnx's converter does not carry over, written out in newer ones.

- ``Upsample`` (7, 9) and ``Resize`` of opset 10 place their samples at x / scale; newer releases of ``Resize`` do so
  only where they are told to (``coordinate_transformation_mode="asymmetric"``). ``nearest`` takes the sample at or
  before that place where the size grows, at or after it where it shrinks: what ONNX Runtime, PyTorch's exporter and
  TensorRT's parser have in common for these opsets.
- ``Pad`` before 11 may have a ``value`` in a mode that fills with no value.
- ``Softmax``, ``LogSoftmax`` and ``Hardmax`` before 13 take all axes from ``axis`` on together; from 13 on, one axis.

Each is replaced by a node of a domain that the converter leaves alone, and that one by nodes of the new opset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from onnx import GraphProto, ModelProto, NodeProto

_DOMAIN = "trtcal.kept"

_FLATTENING = frozenset({"Softmax", "LogSoftmax", "Hardmax"})


def hide_old(small: ModelProto, opset: int) -> list[NodeProto]:
    """Replace such nodes of a model in ``opset`` by ones that a converter leaves alone; return what they were."""
    import onnx

    hidden: list[NodeProto] = []
    for node in small.graph.node:
        if node.domain in ("", "ai.onnx") and _is_old(node, opset):
            kept = onnx.NodeProto()
            kept.CopyFrom(node)
            hidden.append(kept)
            node.domain, node.op_type = _DOMAIN, f"Kept{len(hidden) - 1}"
            del node.attribute[:]
        elif node.op_type == "Pad" and opset < 11 and _pad_mode(node) != "constant":
            # The converter makes an input of a value that nothing reads, and of an empty name.
            kept_attributes = [attribute for attribute in node.attribute if attribute.name != "value"]
            del node.attribute[:]
            node.attribute.extend(kept_attributes)
    if hidden:
        small.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    return hidden


def _pad_mode(node: NodeProto) -> str:
    return next((attribute.s.decode() for attribute in node.attribute if attribute.name == "mode"), "constant")


def _is_old(node: NodeProto, opset: int) -> bool:
    if node.op_type in _FLATTENING:
        return opset < 13
    return node.op_type == "Upsample" or (node.op_type == "Resize" and opset < 11)


def write_out(
    converted: ModelProto, hidden: list[NodeProto], ranks: Mapping[str, int | None], constants: Mapping[str, Any]
) -> None:
    """Put nodes of the new opset where the hidden ones stand.

    ``converted``: the converted model; changed in place. ``hidden``: what :func:`hide_old` returned. ``ranks``: tensor
    name -> number of axes, None where unknown. ``constants``: tensor name -> values of the small constants: scales are
    looked up here.
    """
    if not hidden:
        return
    graph = converted.graph
    fresh = _names(graph)
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.domain == _DOMAIN:
            nodes.extend(_new_nodes(hidden[int(node.op_type.removeprefix("Kept"))], node, ranks, constants, fresh))
        else:
            nodes.append(node)
    kept = [entry for entry in converted.opset_import if entry.domain != _DOMAIN]
    del graph.node[:], converted.opset_import[:]
    graph.node.extend(nodes)
    converted.opset_import.extend(kept)


def _names(graph: GraphProto) -> Callable[[str], str]:
    """Return a function that gives names that nothing in the graph has."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    taken |= {info.name for info in (*graph.input, *graph.output, *graph.initializer)}

    def fresh(wanted: str) -> str:
        name = wanted
        while name in taken:
            name += "_"
        taken.add(name)
        return name

    return fresh


def _new_nodes(
    old: NodeProto,
    kept: NodeProto,
    ranks: Mapping[str, int | None],
    constants: Mapping[str, Any],
    fresh: Callable[[str], str],
) -> list[NodeProto]:
    attributes = _attributes(old)
    if old.op_type in _FLATTENING:
        return _one_axis(old, kept, attributes, ranks.get(old.input[0]), fresh)
    return _resize(old, kept, attributes, constants, fresh)


def _attributes(node: NodeProto) -> dict[str, Any]:
    import onnx

    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _one_axis(
    old: NodeProto, kept: NodeProto, attributes: dict[str, Any], rank: int | None, fresh: Callable[[str], str]
) -> list[NodeProto]:
    """Flatten, take the last axis, and bring the shape back; the last axis alone needs no flattening."""
    from onnx import helper

    axis, x, y = int(attributes.get("axis", 1)), kept.input[0], kept.output[0]
    if axis == -1 or (rank is not None and axis in (rank - 1, -1)):
        return [helper.make_node(old.op_type, [x], [y], name=old.name, axis=-1)]
    shape, flat, result = fresh(f"{y}_shape"), fresh(f"{y}_flat"), fresh(f"{y}_of_flat")
    return [
        helper.make_node("Shape", [x], [shape]),
        helper.make_node("Flatten", [x], [flat], axis=axis),
        helper.make_node(old.op_type, [flat], [result], name=old.name, axis=-1),
        helper.make_node("Reshape", [result, shape], [y]),
    ]


def _resize(
    old: NodeProto,
    kept: NodeProto,
    attributes: dict[str, Any],
    constants: Mapping[str, Any],
    fresh: Callable[[str], str],
) -> list[NodeProto]:
    """One Resize; two where ``nearest`` grows along one axis and shrinks along another."""
    import numpy as np
    from onnx import helper, numpy_helper

    x, y = kept.input[0], kept.output[0]
    mode = attributes.get("mode", b"nearest").decode()
    options: dict[str, Any] = {"mode": mode, "coordinate_transformation_mode": "asymmetric"}
    given = attributes.get("scales")
    scales: NDArray[np.float32] | None = np.asarray(given, np.float32) if given else constants.get(kept.input[1])
    if scales is None:
        if mode == "nearest":
            options["nearest_mode"] = "floor"
        return [helper.make_node("Resize", [x, "", kept.input[1]], [y], name=old.name, **options)]
    steps = [(scales, {})] if mode != "nearest" else _nearest_steps(scales)
    nodes = []
    for i, (factors, more) in enumerate(steps):
        last = i == len(steps) - 1
        name, made = fresh(f"{y}_scales"), y if last else fresh(f"{y}_smaller")
        value = numpy_helper.from_array(factors.astype(np.float32), name)
        nodes.append(helper.make_node("Constant", [], [name], value=value))
        label = old.name if last or not old.name else f"{old.name}_smaller"
        nodes.append(helper.make_node("Resize", [x, "", name], [made], name=label, **options, **more))
        x = made
    return nodes


def _nearest_steps(scales: NDArray[np.float32]) -> list[tuple[NDArray[np.float32], dict[str, str]]]:
    import numpy as np

    smaller, larger = np.minimum(scales, 1.0), np.maximum(scales, 1.0)
    steps: list[tuple[NDArray[np.float32], dict[str, str]]] = []
    if (smaller < 1.0).any():
        steps.append((smaller, {"nearest_mode": "ceil"}))
    if not steps or (larger > 1.0).any():
        steps.append((larger, {"nearest_mode": "floor"}))
    return steps
