"""Parse a model as TensorRT 8's ONNX parser does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from trtcal_widgets.model.trt8 import matrix, moving, norms, picking, pointwise, recurrent
from trtcal_widgets.model.trt8.importing import IMPORTERS, Node, Parser, Weights
from trtcal_widgets.model.trt8.network import Tensor, UnsureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto

    from trtcal_widgets.model.constants import ConstantReader
    from trtcal_widgets.model.inference import TensorType
    from trtcal_widgets.model.trt8.importing import Given
    from trtcal_widgets.model.trt8.network import Dims, Network

_REGISTERED = (matrix, moving, norms, picking, pointwise, recurrent)
"""Modules whose importers are known by being loaded."""

_BROKEN = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What an importer raises for a node that is no valid ONNX: what that becomes is not to be known."""

_DTYPES = {"float32": "float", "float64": "float", "float16": "half", "bfloat16": "half", "bool": "bool"}
_OLDEST_OPSET = 7


def parse_network(proto: ModelProto, types: Mapping[str, TensorType], constants: ConstantReader) -> Network:
    """Return the layers that the parser of TensorRT 8.6 makes of a model.

    ``proto``: the model. ``types``: tensor name -> element type and shape, by ONNX's shape inference. ``constants``:
    what the model stores. Returns Network: where an operator cannot be followed, ``unsure`` says why, and the names of
    what comes behind are not certain.
    """
    return _Walk(proto, types, constants).network()


class _Walk:
    """One way through a model."""

    def __init__(self, proto: ModelProto, types: Mapping[str, TensorType], constants: ConstantReader) -> None:
        opset = max((o.version for o in proto.opset_import if o.domain in ("", "ai.onnx")), default=1)
        made = {name for node in proto.graph.node for name in node.output}
        self._parser = Parser(opset, frozenset(made))
        self._graph = proto.graph
        self._types = types
        self._constants = constants
        if opset < _OLDEST_OPSET:
            self._parser.net.unsure = f"opset {opset} is older than what TensorRT's parser supports"

    def network(self) -> Network:
        parser, graph = self._parser, self._graph
        stored = [tensor.name for tensor in graph.initializer]
        for info in graph.input:
            if info.name not in stored:
                given = parser.net.input(info.name, *self._type(info.name))
                given.symbols = self._symbols(info.name)
                parser.tensors[info.name] = given
        for name in stored:
            parser.tensors[name] = self._weights(name)
        for index in self._order():
            self._take(graph.node[index])
        self._mark_outputs()
        return parser.net

    def _type(self, name: str) -> tuple[str, Dims | None]:
        known = self._types.get(name)
        if known is None:
            return "int", None
        dims = None if known.shape is None else tuple(d if isinstance(d, int) else -1 for d in known.shape)
        return _DTYPES.get(known.dtype, "int"), dims

    def _symbols(self, name: str) -> tuple[str | None, ...]:
        shape = self._types[name].shape if name in self._types else None
        return tuple(d if isinstance(d, str) else None for d in shape or ())

    def _weights(self, name: str) -> Weights:
        dtype, dims = self._type(name)
        read: partial[NDArray[np.generic]] = partial(self._constants.read, name)
        return Weights(name, dtype, dims if dims is not None else read().shape, read)

    def _order(self) -> list[int]:
        """Return the nodes as the parser walks through them: producers first, otherwise in the file's order."""
        nodes = self._graph.node
        maker = {name: index for index, node in enumerate(nodes) for name in node.output if name}
        order: dict[int, None] = {}
        for first in range(len(nodes)):
            stack = [first]
            while stack:
                index = stack[-1]
                missing = [maker[n] for n in nodes[index].input if n in maker and maker[n] not in order]
                if index in order or not missing:
                    order.setdefault(stack.pop())
                else:
                    stack.extend(reversed(missing))
        return list(order)

    def _take(self, proto: NodeProto) -> None:
        parser = self._parser
        inputs: list[Given] = [parser.tensors.get(name) if name else None for name in proto.input]
        while inputs and inputs[-1] is None and not proto.input[len(inputs) - 1]:
            inputs.pop()
        found = [self._type(name) for name in proto.output]
        node = Node(proto, parser, inputs, [dims for _, dims in found], [dtype for dtype, _ in found])
        for name, made in zip(proto.output, self._import(node), strict=False):
            if not name:
                continue
            if isinstance(made, Tensor):
                made.dims = _better(made.dims, self._type(name)[1])
                if len(symbols := self._symbols(name)) == len(made.dims or ()):
                    made.symbols = symbols
            parser.register(made, name)

    def _import(self, node: Node) -> Sequence[Tensor | Weights]:
        """Return what a node becomes; one that cannot be followed becomes one unknown layer."""
        net = self._parser.net
        if node.op_type == "Constant" and node.proto.domain in ("", "ai.onnx"):
            return [self._weights(node.proto.output[0])]
        before = len(net.layers)
        importer = IMPORTERS.get(node.op_type) if node.proto.domain in ("", "ai.onnx") else None
        why = f"{node.op_type} is not among the operators whose layers are known"
        if importer is not None:
            try:
                return importer(node)
            except UnsureError as error:
                why = str(error)
            except _BROKEN as error:
                why = f"{node.op_type} cannot be followed ({type(error).__name__})"
        del net.layers[before:]
        net.unsure = net.unsure or f"{why} (tensor {node.proto.output[0] if node.proto.output else '?'!r})"
        read = [self._parser.tensor(given) for given in node.inputs if given is not None]
        made = net.add("UNKNOWN", read, "int", n_outputs=len(node.out_dims)).outputs
        for tensor, dims, dtype in zip(made, node.out_dims, node.out_dtypes, strict=True):
            tensor.dims, tensor.dtype = dims, dtype
        return made

    def _mark_outputs(self) -> None:
        parser = self._parser
        for info in self._graph.output:
            given = parser.tensors.get(info.name)
            if given is None:
                continue
            tensor = parser.tensor(given)
            if tensor in parser.net.inputs:
                tensor.name = f"__{info.name}"
                tensor = parser.identity(tensor)
            tensor.name, tensor.sure = info.name, True
            parser.net.outputs.append(tensor)


def _better(own: Dims | None, inferred: Dims | None) -> Dims | None:
    """Join what the layer and ONNX's inference know of a shape."""
    if own is None or inferred is None or len(own) != len(inferred):
        return own if own is not None else inferred
    return tuple(a if a >= 0 else b for a, b in zip(own, inferred, strict=True))
