"""Which constants are parts of a layer, which TensorRT sees as tensors with a range, and which tensors share a scale.

TensorRT's ONNX parser turns some constant inputs of a node into the layer's own weights or attributes and
the others into constant layers, whose outputs are network tensors and so get a row in a calibration cache.

Seen in real caches
    Rows for the constant operands of ``MatMul``, ``Add``, ``Mul``, ``Div`` and ``Where``, and for the slope of
    ``PRelu``; no rows for what ``Conv``, ``BatchNormalization`` and ``LayerNormalization`` hold. The constants
    of ``Gemm`` have no rows in 8.0; 8.4 and 8.6 compute it as a matrix product of constant layers and
    give them rows, but under names of their own (``(Unnamed Layer* 177) [Constant]_output``) that no ONNX
    tensor has.
Assumed
    ``Gemm`` constants count as weights, since no row of theirs carries an ONNX name. ``ConvTranspose``,
    the other normalisations, recurrent layers, and inputs that a layer takes as attributes (bounds of
    ``Clip``, scales of ``Resize``, value of ``Pad``, …) are as for ``Conv``: the parser asks for weights there.
    Everything else (embedding tables, initial states, …) is taken for a tensor.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from trtcal_widgets.model.graph import NodeInfo, TensorInfo

LAYER_PARAMETERS: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        op_type: frozenset(positions)
        for op_type, positions in {
            "BatchNormalization": (1, 2, 3, 4),
            "Clip": (1, 2),
            "Conv": (1, 2),
            "ConvTranspose": (1, 2),
            "DeformConv": (1, 3),
            "DequantizeLinear": (1, 2),
            "Dropout": (1, 2),
            "GRU": (1, 2, 3),
            "Gemm": (1, 2),
            "GroupNormalization": (1, 2),
            "InstanceNormalization": (1, 2),
            "LSTM": (1, 2, 3, 7),
            "LayerNormalization": (1, 2),
            "NonMaxSuppression": (2, 3, 4),
            "OneHot": (1, 2),
            "Pad": (1, 2, 3),
            "QuantizeLinear": (1, 2),
            "RMSNormalization": (1,),
            "RNN": (1, 2, 3),
            "Resize": (1, 2, 3),
            "Upsample": (1,),
        }.items()
    }
)
"""Input positions that a layer takes as its own, by operator of the default domain."""


def is_default_domain(domain: str) -> bool:
    """Whether a node's domain is ONNX's own, which has two spellings."""
    return domain in ("", "ai.onnx")


_PLUGINS = frozenset(
    {
        "CoordConvAC", "CropAndResize", "CropAndResizeDynamic", "CustomEmbLayerNormPluginDynamic",
        "CustomFCPluginDynamic", "CustomGeluPluginDynamic", "CustomQKVToContextPluginDynamic",
        "CustomSkipLayerNormPluginDynamic", "DecodeBbox3DPlugin", "GroupNormalizationPlugin", "ModulatedDeformConv2d",
        "PillarScatterPlugin", "Proposal", "ProposalDynamic", "VoxelGeneratorPlugin",
    }
)  # fmt: skip
"""Operators of TensorRT's plugin library whose names do not end in _TRT, as most do."""


def is_tensorrt_plugin(op_type: str) -> bool:
    """Whether an operator that ONNX does not have is one of TensorRT's plugins, or is called like one."""
    return op_type in _PLUGINS or op_type.endswith("_TRT")


def constant_kinds(
    nodes: Sequence[NodeInfo],
    consumers: Mapping[str, Sequence[int]],
    constants: Collection[str],
    outputs: Collection[str],
) -> dict[str, TensorKind]:
    """Tell the weights among the constants.

    ``nodes``: all nodes in topological order. ``consumers``: tensor name -> indices of the nodes that read it, also
    from inside a subgraph. ``constants``: names of the tensors that depend on no input, in topological order.
    ``outputs``: names of the graph's outputs. Returns dict: name -> ``WEIGHT`` or ``CONSTANT``. A constant that is only
    made into other constants (transposed, cast, dequantised) is a weight if all of these are; one that nothing reads is
    a weight too, as it has no row.
    """
    kinds: dict[str, TensorKind] = {}
    folded = frozenset(constants)
    for name in reversed(list(constants)):
        own = name not in outputs and all(
            _is_parameter(nodes[index], name, folded, kinds) for index in consumers.get(name, ())
        )
        kinds[name] = TensorKind.WEIGHT if own else TensorKind.CONSTANT
    return kinds


def _is_parameter(node: NodeInfo, name: str, constants: frozenset[str], kinds: Mapping[str, TensorKind]) -> bool:
    made = [output for output in node.outputs if output]
    if made and all(output in constants for output in made):
        return all(kinds[output] is TensorKind.WEIGHT for output in made)
    positions = [i for i, read in enumerate(node.inputs) if read == name]
    allowed = LAYER_PARAMETERS.get(node.op_type, frozenset())
    return is_default_domain(node.domain) and bool(positions) and allowed.issuperset(positions)


SHARING_OPS = frozenset({"AveragePool", "MaxPool"})
"""Operators whose output has the scale of its input (run: TensorRT 8.6.0, EntropyCalibration2 and MinMax)."""

_PASSING_OPS = frozenset(
    {
        *("DepthToSpace", "Dropout", "Flatten", "Identity", "MaxPool", "Reshape", "SpaceToDepth"),
        *("Squeeze", "Transpose", "Unsqueeze"),
    }
)
_RESIZE_OPS = frozenset({"Resize", "Upsample"})

_BETWEEN_SHUFFLES = 3
"""Rank at which TensorRT's parser puts a shuffle before a pool and one behind it, which has a histogram of its own."""


def shares_scale(op_type: str, domain: str) -> bool:
    """Whether a node's first output shares the scale of its first input."""
    return is_default_domain(domain) and op_type in SHARING_OPS


def passes_values(op_type: str, domain: str, attributes: Mapping[str, object]) -> bool:
    """Whether a node's first output holds values of its first input and no others, so that one row fits both.

    ``attributes``: its string attributes by name; only those of ``Resize`` and ``Upsample`` matter.
    """
    if not is_default_domain(domain):
        return False
    if op_type in _RESIZE_OPS:
        # Cropping resizes invent values outside the image (extrapolation_value).
        return (
            attributes.get("mode", "nearest") == "nearest"
            and attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize"
        )
    return op_type in _PASSING_OPS


def find_groups(nodes: Sequence[NodeInfo], tensors: Mapping[str, TensorInfo]) -> tuple[tuple[str, ...], ...]:
    """Find the sets of calibrated tensors that share one scale; see :func:`join`."""
    return join(
        nodes,
        tensors,
        [n.index for n in nodes if shares_scale(n.op_type, n.domain) and _rank(tensors, n) != _BETWEEN_SHUFFLES],
    )


def _rank(tensors: Mapping[str, TensorInfo], node: NodeInfo) -> int:
    source = tensors.get(node.inputs[0]) if node.inputs else None
    return -1 if source is None or source.shape is None else len(source.shape)


def join(
    nodes: Sequence[NodeInfo], tensors: Mapping[str, TensorInfo], joining: Collection[int]
) -> tuple[tuple[str, ...], ...]:
    """Join the first input and the first output of some nodes into sets of calibrated tensors.

    ``nodes``: all nodes in topological order. ``joining``: indices of the nodes that join. Returns sets of two and
    more in graph order, and so with the most upstream member, the leader, first.
    """
    leader: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for index in sorted(joining):  # topological: a node's input has its leader before its output asks for it
        node = nodes[index]
        if not (node.inputs and node.outputs):
            continue
        source, target = tensors.get(node.inputs[0]), tensors.get(node.outputs[0])
        if source is None or target is None or not (_has_row(source) and _has_row(target)):
            continue
        root = leader.setdefault(source.name, source.name)
        leader[target.name] = root
        members.setdefault(root, [root]).append(target.name)
    place = {name: i for i, name in enumerate(tensors)}
    groups = (tuple(sorted(group, key=place.__getitem__)) for group in members.values())
    return tuple(sorted(groups, key=lambda group: place[group[0]]))


def _has_row(tensor: TensorInfo) -> bool:
    return tensor.is_float and tensor.kind is not TensorKind.WEIGHT
