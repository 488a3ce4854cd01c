"""Which tensors share one scale.

Seen equal in every real cache looked at: the input and output of ``MaxPool`` and of nearest ``Resize``, of
``Reshape``, ``Transpose``, ``Squeeze`` and ``Unsqueeze``, and a constant and the shuffle after it.
``Flatten``, ``Identity``, ``Dropout`` and the two depth/space operators are expected to share, because
TensorRT's open ONNX parser makes the same shuffle layers of them (or nothing at all); no cache shows it.
Not shared: ``Concat``, ``Slice`` and ``Split`` (sometimes equal, not always), ``Relu``, ``AveragePool``,
linear ``Resize``, and everything that computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.model.graph import TensorKind
from trtcal_widgets.model.kinds import is_default_domain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from trtcal_widgets.model.graph import NodeInfo, TensorInfo

__all__ = ["SHARING_OPS", "find_groups", "shares_scale"]

SHARING_OPS = frozenset(
    {
        "DepthToSpace",
        "Dropout",
        "Flatten",
        "Identity",
        "MaxPool",
        "Reshape",
        "SpaceToDepth",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators whose first output has the scale of their first input, whatever their attributes are."""

_RESIZE_OPS = frozenset({"Resize", "Upsample"})


def shares_scale(op_type: str, domain: str, attributes: Mapping[str, object]) -> bool:
    """Whether a node's first output shares the scale of its first input.

    Parameters
    ----------
    op_type, domain
        The operator.
    attributes
        Its string attributes by name; only those of ``Resize`` and ``Upsample`` matter.
    """
    if not is_default_domain(domain):
        return False
    if op_type in _RESIZE_OPS:
        # Cropping resizes invent values outside the image (extrapolation_value).
        return (
            attributes.get("mode", "nearest") == "nearest"
            and attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize"
        )
    return op_type in SHARING_OPS


def find_groups(
    nodes: Sequence[NodeInfo], tensors: Mapping[str, TensorInfo], sharing: Collection[int]
) -> tuple[tuple[str, ...], ...]:
    """Find the sets of calibrated tensors that share one scale.

    Parameters
    ----------
    nodes
        All nodes in topological order.
    tensors
        All tensors in graph order.
    sharing
        Indices of the nodes for which :func:`shares_scale` holds.

    Returns
    -------
    tuple of tuples of str
        Groups of two and more in graph order, and so with the most upstream member, the leader, first.
    """
    leader: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    for index in sorted(sharing):  # topological: a node's input has its leader before its output asks for it
        node = nodes[index]
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
