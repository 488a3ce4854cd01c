"""From an ONNX file to TensorRT's network, with errors that say what TensorRT only logs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import DeviceError, EngineError, ModelError
from trtcal_widgets.model.dimensions import name_dimensions
from trtcal_widgets.trt.inputs import each_tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from trtcal_widgets.trt.log import LogBook

_CUDA_ERROR = re.compile(
    r"(?:CUDA initialization failure with error|Cuda failure|cudaError)\D{0,20}(\d{1,3})", re.IGNORECASE
)

_REASONS = {
    2: "its memory is full: other programs hold it (nvidia-smi lists them)",
    3: "CUDA could not start. In a container, pass the GPU on (docker run --gpus all)",
    35: "the NVIDIA driver is too old for the CUDA of this TensorRT: update the driver (nvidia-smi shows its version), "
    "or install a TensorRT for an older CUDA (tensorrt-cu12, tensorrt-cu11)",
    46: "the GPU is in use exclusively by another process (nvidia-smi shows its compute mode)",
    100: "there is no NVIDIA GPU that CUDA can see; is CUDA_VISIBLE_DEVICES set to nothing?",
    802: "the system's GPUs are not ready yet (on NVSwitch machines the fabric manager must run)",
    804: "the driver is too old for this CUDA's compatibility package: update the driver",
    999: "the driver is in a bad state: after a driver update or suspend, reload it or restart the machine",
}
"""CUDA's error numbers when it starts -> what to do."""


@dataclass(frozen=True)
class Network:
    """A parsed network with the objects that it needs to stay alive.

    ``builder``, ``network``: TensorRT's. ``parser``: kept because the network's weights lie in the parser's memory.
    ``strongly_typed``: whether the network's types come from the model alone. ``dimensions``: input -> names that its
    dimensions were given on the way, because the file's were placeholders.
    """

    builder: Any
    network: Any
    parser: Any
    strongly_typed: bool
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def create_builder(trt: Any, logger: Any, book: LogBook) -> Any:
    """Create TensorRT's builder.

    Raises DeviceError if there is no usable GPU or driver; says which and what to do.
    """
    try:
        return trt.Builder(logger)
    except (TypeError, RuntimeError) as error:  # what pybind11 makes of a null pointer
        raise start_failed("TensorRT could not start its builder", book) from error


def start_failed(what: str, book: LogBook) -> DeviceError:
    """Return the error for a builder or runtime that TensorRT did not make.

    ``book``: TensorRT's log, which has the only reason there is.
    """
    lines = book.last_errors()
    found = _CUDA_ERROR.search(lines)
    code = int(found[1]) if found else None
    reason = _REASONS.get(code or 0, "is there an NVIDIA GPU with its driver (nvidia-smi)?")
    return DeviceError(
        f"{what}: {reason}{'' if reason.endswith('?') else '.'} TensorRT says: {lines}. Without a GPU, calibrate with "
        "ONNX Runtime and take the cache or the Q/DQ model to the machine that has one"
    )


def parse(trt: Any, builder: Any, logger: Any, path: Path, *, strongly_typed: bool) -> Network:
    """Parse an ONNX file.

    ``path``: the model; external data are found beside it. ``strongly_typed``: whether the types are to come from the
    model alone. TensorRT must know it. Raises ModelError if TensorRT does not take the model; names the nodes.
    """
    flags = 0
    kinds = trt.NetworkDefinitionCreationFlag
    if strongly_typed:
        flags |= 1 << int(kinds.STRONGLY_TYPED)
    elif hasattr(kinds, "EXPLICIT_BATCH"):
        flags |= 1 << int(kinds.EXPLICIT_BATCH)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    renamed, dimensions = _with_named_dimensions(path)
    # The path says where external data lie.
    parsed = parser.parse_from_file(str(path)) if renamed is None else parser.parse(renamed, str(path))
    if not parsed:
        raise ModelError(f"TensorRT {trt.__version__} does not take {path.name}: {_parser_errors(parser)}")
    if not network.num_outputs:
        raise ModelError(f"TensorRT {trt.__version__} found no output in {path.name}: export the model again")
    return Network(builder, network, parser, strongly_typed, dimensions)


def _with_named_dimensions(path: Path) -> tuple[bytes | None, Mapping[str, tuple[str, ...]]]:
    """Return the model with dimensions that have names of their own; None where the file is good as it is."""
    import onnx

    try:
        proto = onnx.load(path, load_external_data=False)
    except Exception:  # noqa: BLE001 - what is wrong with the file is for TensorRT's parser to say
        return None, {}
    dimensions = name_dimensions(proto)
    return (proto.SerializeToString() if dimensions else None), dimensions


def _parser_errors(parser: Any, limit: int = 4) -> str:
    errors = []
    for index in range(min(parser.num_errors, limit)):
        parser_error = parser.get_error(index)
        # node_name and node_operator came after 8.6.
        name = parser_error.node_name() if hasattr(parser_error, "node_name") else ""
        operator = parser_error.node_operator() if hasattr(parser_error, "node_operator") else ""
        where = f"{operator} node {name!r}" if operator else f"node {parser_error.node()}"
        errors.append(f"{where}: {parser_error.desc()}")
    if parser.num_errors > limit:
        errors.append(f"and {parser.num_errors - limit} more")
    return "; ".join(errors) or "its parser gave no reason"


def mark_outputs(network: Any, names: Iterable[str]) -> tuple[str, ...]:
    """Mark tensors as outputs of the network, so that they exist when it runs. Prevents fusions across them.

    Returns the names that the network does not have as a tensor: what TensorRT folded or renamed.
    """
    by_name = {str(itensor.name): itensor for itensor in each_tensor(network)}
    missing = []
    for name in dict.fromkeys(names):
        itensor = by_name.get(name)
        if itensor is None:
            missing.append(name)
        elif not (itensor.is_network_output or itensor.is_network_input):
            network.mark_output(itensor)
    return tuple(missing)


def mark_debug(network: Any, names: Iterable[str] | None) -> tuple[str, ...]:
    """Mark tensors for :class:`IDebugListener`.

    ``network``: an ``INetworkDefinition`` that has debug tensors. ``names``: the tensors; None for all that no fusion
    swallows, which leaves the engine as it would be. Returns the names that the network does not have as a tensor.
    Raises EngineError if TensorRT refuses to mark them.
    """
    if names is None:
        if not network.mark_unfused_tensors_as_debug_tensors():
            raise EngineError("TensorRT refused to mark the unfused tensors as debug tensors")
        return ()
    by_name = {str(itensor.name): itensor for itensor in each_tensor(network)}
    missing = []
    for name in dict.fromkeys(names):
        if name not in by_name:
            missing.append(name)
        elif not network.mark_debug(by_name[name]):
            raise EngineError(f"TensorRT refused to mark {name!r} as a debug tensor")
    return tuple(missing)
