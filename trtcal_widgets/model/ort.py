"""ONNX Runtime sessions made from bytes, with external data found in the model's own folder."""

from __future__ import annotations

import functools
import re
import threading
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import MissingDependencyError, ModelError
from trtcal_widgets.model.files import subgraphs
from trtcal_widgets.model.kinds import is_tensorrt_plugin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

OPTIMIZATIONS = ("off", "basic", "extended", "layout", "all")
"""Graph optimisation levels. Up to ``extended`` every tensor is bit for bit what the unoptimised graph gives;
``layout`` and ``all`` change the order of additions (seen: up to 2.4e-5 of amax)."""

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_ON_CUDA = {CUDA, "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"}

_AS_REQUESTED = "kSameAsRequested"

_CUDA_OPTIONS = {
    "use_tf32": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "arena_extend_strategy": _AS_REQUESTED,
}
"""What the CUDA provider is told where the user says nothing else: float32 products of float32 precision, algorithms
that are not chosen by a race (which two runs may decide differently), and memory as it is needed."""

ERRORS_ONLY = 3
SILENT = 4


def open_session(
    model: bytes,
    folder: Path,
    *,
    name: str,
    providers: Sequence[Any] | None = None,
    threads: int = 1,
    optimization: str = "off",
    spinning: bool = True,
    gpu_limit: int | None = None,
    stream: int | None = None,
    logs: bool = True,
    arena: bool = True,
) -> Any:
    """Create an ``onnxruntime.InferenceSession``.

    ``name``: the model's file name, for messages. ``providers``: execution providers by preference, names or (name,
    options) pairs; None for the CPU. ``spinning``: whether threads keep a core busy while they wait. ``gpu_limit``: the
    most bytes that it may take of a GPU for itself, beyond which it fails (:func:`is_full`). ``stream``: the CUDA
    stream that it works on. ``logs``: whether to say why a provider did not start, which is only logged. ``arena``:
    whether it keeps the memory of its tensors for the next run, which many sessions side by side cannot afford.
    Raises MissingDependencyError if a provider is not part of this ONNX Runtime, or could not start; ModelError if ONNX
    Runtime does not take the model.
    """
    import onnxruntime as ort

    wanted = list(providers or [CPU])
    options = ort.SessionOptions()
    # On the CPU all that would be logged is raised.
    on_cpu = [provider_name(provider) for provider in wanted] == [CPU]
    options.log_severity_level = SILENT if on_cpu or not logs else ERRORS_ONLY
    # An explicit number also keeps ONNX Runtime from pinning threads to cores that a container does not have.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait between operators without sleeping are quicker; after a run they must leave the cores to us.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder.absolute()))
    options.graph_optimization_level = _level(optimization)
    options.enable_cpu_mem_arena = arena
    _check_available(wanted, ort.get_available_providers())
    unloaded = _load_cuda() if {provider_name(provider) for provider in wanted} & _ON_CUDA else ""
    wanted = [_with_defaults(provider, gpu_limit, stream) for provider in wanted]
    try:
        # Its fallback would print to stdout and go on with other providers than the user asked for.
        try:
            session = ort.InferenceSession(model, options, providers=wanted, enable_fallback=0)
        except Exception as error:
            if "two nodes with same node name" not in str(error):
                raise
            model = without_node_names(model)
            session = ort.InferenceSession(model, options, providers=wanted, enable_fallback=0)
    except Exception as error:
        raise ModelError(f"ONNX Runtime {ort.__version__} does not take {name}: {_advice(error)}") from error
    _check_started(wanted, session.get_providers(), unloaded)
    return session


def without_node_names(model: bytes) -> bytes:
    """Return a model whose nodes have no names: ONNX lets several have the same one, ONNX Runtime does not."""
    import onnx

    proto = onnx.ModelProto.FromString(model)
    waiting = [proto.graph]
    while waiting:
        graph = waiting.pop()
        for node in graph.node:
            node.name = ""
            waiting.extend(subgraphs(node))
    return bytes(proto.SerializeToString())


def _with_defaults(provider: Any, gpu_limit: int | None, stream: int | None) -> Any:
    """Return a provider with the options that hold unless the user gave others, a limit of its memory, a stream."""
    if provider_name(provider) != CUDA:
        return provider
    given = provider_options(provider)
    options = {**_CUDA_OPTIONS, **given}
    if gpu_limit is not None:
        options |= {"gpu_mem_limit": str(gpu_limit), "arena_extend_strategy": _AS_REQUESTED}
    if stream is not None and "user_compute_stream" not in given:
        options |= {"has_user_compute_stream": "1", "user_compute_stream": str(stream)}
    return CUDA, options


def for_onnxruntime(array: NDArray[np.generic]) -> Any:
    """Wrap an array of bfloat16, a type that NumPy does not have and ONNX Runtime takes as 16-bit words."""
    if array.dtype.name != "bfloat16":
        return array
    import numpy as np
    import onnxruntime as ort
    from onnx import TensorProto

    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(np.uint16), TensorProto.BFLOAT16)


_ALLOCATING = re.compile(
    r"fail\w* to allocate|smaller than requested|out of memory|memory ?allocation|alloc(?:ation)?_failed|bad[ _]alloc"
    r"|cudaMalloc|(?:not enough|insufficient) (?:memory|resources|workspace)",
    re.IGNORECASE,
)
"""What any of ONNX Runtime's arena, CUDA, cuBLAS, cuDNN and C++ says where there is no memory."""


def is_full(error: BaseException) -> bool:
    """Whether an error, or what it came from, is one of memory: NumPy's, C++'s, or of any library below a provider."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or _ALLOCATING.search(str(seen)):
            return True
        seen = seen.__cause__
    return False


def _level(optimization: str) -> Any:
    import onnxruntime as ort

    levels = ort.GraphOptimizationLevel
    names = {
        "off": levels.ORT_DISABLE_ALL,
        "basic": levels.ORT_ENABLE_BASIC,
        "extended": levels.ORT_ENABLE_EXTENDED,
        # Releases before 1.22 have no level of its own for layouts: they belong to "all".
        "layout": getattr(levels, "ORT_ENABLE_LAYOUT", levels.ORT_ENABLE_ALL),
        "all": levels.ORT_ENABLE_ALL,
    }
    return names[optimization]


def provider_name(provider: Any) -> str:
    """Return the name of an execution provider that is given alone or with options."""
    return str(provider[0] if isinstance(provider, tuple | list) else provider)


def provider_options(provider: Any) -> Mapping[str, Any]:
    """Return the options that an execution provider is given with; none where it is given alone."""
    options: Mapping[str, Any] = provider[1] if isinstance(provider, tuple | list) and len(provider) > 1 else {}
    return options


def _check_available(wanted: Sequence[Any], available: Sequence[str]) -> None:
    for provider in map(provider_name, wanted):
        if provider not in available:
            raise MissingDependencyError(
                f"this ONNX Runtime has no {provider} (it has {', '.join(available)}); install the package that "
                "does (onnxruntime-gpu for CUDA and TensorRT, after the one for the CPU, which writes the same "
                "folder), or leave providers= out to use the CPU"
            )


def _check_started(wanted: Sequence[Any], running: Sequence[str], unloaded: str) -> None:
    # ONNX Runtime falls back to the CPU with nothing but a line in its log: the user asked for something else.
    for provider in map(provider_name, wanted):
        if provider not in running:
            raise MissingDependencyError(
                f"{provider} could not start (its libraries or the device are missing; ONNX Runtime wrote the reason "
                f"to stderr{unloaded and f'. {unloaded}'}); leave providers= out to use the CPU"
            )


_loading = threading.Lock()


def _load_cuda() -> str:
    """Load CUDA's and cuDNN's libraries from NVIDIA's packages, as pip installs them, once in a process.

    The system's loader does not look there. Where other libraries are loaded already, or found first, they stay.
    Returns what ONNX Runtime says of those that it could not load; of cuDNN it says nothing.
    """
    with _loading:
        return _loaded()


@functools.cache
def _loaded() -> str:
    import onnxruntime as ort

    load = getattr(ort, "preload_dlls", None)  # from ONNX Runtime 1.21 on, in builds for CUDA and the CPU
    if load is None:
        return ""
    said: list[str] = []
    # It prints. Standard output is everyone's, also of other threads: only what this function prints is caught.
    load.__globals__["print"] = lambda *words, **_: said.append(" ".join(map(str, words)))
    try:
        load(msvc=False)
    finally:
        del load.__globals__["print"]
    return "; ".join(line for line in said if line.startswith("Failed to load"))


_NOISE = (
    re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : "),
    re.compile(r"^Load model from .{0,500}? failed:\s*"),
    re.compile(r"^This is an invalid model\. "),
    re.compile(r"^Exception during initialization: "),
    re.compile(r"^\S+\.(?:cc|h|cu|cuh):\d+ "),  # source file and line
    re.compile(
        r"^[^(){}:\n]*onnxruntime::[^(){}\n]*\((?:[^()]|\([^()]*\))*\)(?: const)? (?:\[with [^\]]*\] )?"
    ),  # C++ signature
    re.compile(r"^[^.\n]+ was false\. (?=\S)"),  # the condition, where words follow
)

_UNKNOWN_OPERATOR = re.compile(
    r"(\w+)\(-?\d+\) is not a registered function/op"
    r"|No Op registered for (\w+)"
    r"|Could not find an implementation for (\w+)\("
    r"|with schema\(::(\w+):\d"
    r'|In Node, \("(?:[^"\\]|\\.)*", (\w+), '
    r"|for operator (\w+)"
)
"""How ONNX Runtime names an operator that it does not know, has no kernel for, or has a schema alone of."""

_FAILED_NODE = re.compile(
    r"Non-zero status code returned while running (\w+) node\. Name:'(.*?)' Status Message:\s*(.*)", re.DOTALL
)


def short_message(text: str) -> str:
    """Return an ONNX Runtime message without error codes, source files, C++ signatures and conditions."""
    text = text.strip()
    for noise in _NOISE:
        text = noise.sub("", text, count=1)
    return text.strip().rstrip(".")


def failure(error: BaseException) -> tuple[str, str]:
    """Return where a run failed (``"Reshape node 'name'"``, ``"the run"`` where it is not said) and why."""
    found = _FAILED_NODE.search(str(error))
    if found is None:
        return "the run", short_message(str(error))
    op_type, name, reason = found.groups()
    where = f"{op_type} node {name!r}" if name else f"a {op_type} node without a name"
    return where, short_message(reason)


def _advice(error: BaseException) -> str:
    text = short_message(str(error))
    named = [next(filter(None, found.groups())) for found in _UNKNOWN_OPERATOR.finditer(text)]
    op_type = next(filter(is_tensorrt_plugin, named), "")
    if op_type:
        return (
            f"{op_type} is a TensorRT plugin, which only TensorRT can compute. Cut the model off before it (its inputs "
            "become outputs of the model) to calibrate the rest, or run the model with TensorRTRunner"
        )
    if "is not a registered function/op" in text or "No Op registered for" in text:
        return (
            f"{text}. It has an operator that ONNX Runtime does not know (a TensorRT plugin?); "
            "its tensors cannot be computed without TensorRT"
        )
    if "opset" in text and "official support" in text.lower():
        return f"{text}. Upgrade onnxruntime, or export the model with an older opset"
    if "Unsupported model IR version" in text:
        return f"{text}. Upgrade onnxruntime"
    return text
