"""The stand-in's network and parser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnx import external_data_helper

from tests.support.trt_fake_base import Dims, Machine

if TYPE_CHECKING:
    from types import ModuleType


class ITensor:
    __slots__ = ("_is_input", "_is_output", "_range", "dtype", "is_shape_tensor", "name", "shape")

    def __init__(self, name: str, dtype: Any, shape: tuple[int, ...], is_input: bool = False) -> None:
        self.name, self.dtype, self.shape = name, dtype, Dims(shape)
        self.is_shape_tensor = False
        self._is_input, self._is_output, self._range = is_input, False, None

    @property
    def is_network_input(self) -> bool:
        return self._is_input

    @property
    def is_network_output(self) -> bool:
        return self._is_output

    def set_dynamic_range(self, min: float, max: float) -> bool:  # noqa: A002 - TensorRT's names
        if not min < max:
            return False
        self._range = (min, max)
        return True


class ILayer:
    __slots__ = ("_outputs", "_precision", "_types", "metadata", "name")

    def __init__(self, name: str, outputs: list[ITensor], metadata: str) -> None:
        self.name, self._outputs, self.metadata = name, outputs, metadata
        self._precision, self._types = None, {}

    @property
    def precision(self) -> Any:
        return self._precision

    @precision.setter
    def precision(self, dtype: Any) -> None:
        self._precision = dtype

    @property
    def num_outputs(self) -> int:
        return len(self._outputs)

    def get_output(self, index: int) -> ITensor:
        return self._outputs[index]

    def set_output_type(self, index: int, dtype: Any) -> None:
        self._types[index] = dtype


class INetworkDefinition:
    __slots__ = ("_debug", "_dimensions", "_flags", "_inputs", "_layers", "_model", "_outputs", "_unfused")

    def __init__(self, flags: int) -> None:
        self._flags, self._inputs, self._layers, self._outputs = flags, [], [], []
        self._debug, self._unfused, self._model, self._dimensions = [], False, None, {}

    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))
    num_layers = property(lambda self: len(self._layers))

    def get_input(self, index: int) -> ITensor:
        return self._inputs[index]

    def get_layer(self, index: int) -> ILayer:
        return self._layers[index]

    def mark_output(self, tensor: ITensor) -> None:
        assert not tensor._is_output, "TensorRT logs an error when a tensor is marked twice"
        tensor._is_output = True
        self._outputs.append(tensor)

    def mark_debug(self, tensor: ITensor) -> bool:
        self._debug.append(tensor.name)
        return True

    def mark_unfused_tensors_as_debug_tensors(self) -> bool:
        self._unfused = True
        return True


class IOptimizationProfile:
    __slots__ = ("_shapes",)

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[Any, Any, Any]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:  # noqa: A002
        self._shapes[input] = (tuple(min), tuple(opt), tuple(max))

    set_shape_input = set_shape


class ParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text

    def node(self) -> int:
        return 3

    def node_name(self) -> str:
        return "odd"

    def node_operator(self) -> str:
        return "Frobnicate"


def add_parser(trt: ModuleType, machine: Machine) -> None:
    class OnnxParser:
        def __init__(self, network: INetworkDefinition, logger: Any) -> None:
            self._network, self._logger, self._errors = network, logger, []

        @property
        def num_errors(self) -> int:
            return len(self._errors)

        def get_error(self, index: int) -> ParserError:
            return self._errors[index]

        def parse_from_file(self, model: str) -> bool:
            return self._take(onnx.load(model), model)

        def parse(self, model: bytes, path: str | None = None) -> bool:
            assert path is not None  # where external data lie
            proto = onnx.load_model_from_string(model)
            external_data_helper.load_external_data_for_model(proto, str(Path(path).parent))
            return self._take(proto, path)

        def _take(self, proto: onnx.ModelProto, path: str) -> bool:
            if machine.parser_error:
                self._errors.append(trt.ParserError(machine.parser_error))
                return False
            _parse(trt, machine, self._network, proto, path)
            return True

    trt.OnnxParser = OnnxParser


def _parse(trt: Any, machine: Machine, network: INetworkDefinition, proto: onnx.ModelProto, path: str) -> None:
    model = onnx.shape_inference.infer_shapes(proto)
    graph = model.graph
    constants = {tensor.name for tensor in graph.initializer}
    old = machine.release.startswith("8")
    types = {1: "FLOAT", 10: "HALF", 6: "INT32", 7: "INT32" if old else "INT64", 9: "BOOL"}
    infos = {v.name: v.type.tensor_type for v in (*graph.input, *graph.value_info, *graph.output)}

    def tensor(name: str, is_input: bool = False) -> ITensor:
        info = infos.get(name)
        shape = () if info is None else (d.dim_value if d.HasField("dim_value") else -1 for d in info.shape.dim)
        dtype = types.get(info.elem_type if info is not None else 1, "FLOAT")
        return trt.ITensor(name, getattr(trt.DataType, dtype), tuple(shape), is_input)

    network._inputs = [tensor(v.name, is_input=True) for v in graph.input if v.name not in constants]
    made = {}
    for index, node in enumerate(graph.node):
        outputs = [tensor(name) for name in node.output if name]
        made |= {t.name: t for t in outputs}
        name = node.name or f"(Unnamed Layer* {index}) [{node.op_type}]"
        network._layers.append(trt.ILayer(name, outputs, f"[ONNX Layer: {node.name}]"))
    for output in graph.output:
        made[output.name]._is_output = True
        network._outputs.append(made[output.name])
    network._model = path
    network._dimensions = {v.name: [d.dim_param for d in v.type.tensor_type.shape.dim] for v in graph.input}
