"""Everything that this package uses of TensorRT's Python API, in one table.

The tests walk it with the real bindings of several releases (each name exists, each method takes these arguments),
check that the code uses nothing that is not in it, and make their stand-in of TensorRT offer nothing else.
For the code check, TensorRT's objects are called as in :data:`HANDLES` throughout the package.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple


class Use(NamedTuple):
    """One name of TensorRT's API.

    Attributes
    ----------
    owner
        The class, or ``"tensorrt"`` for the module.
    name
        The attribute.
    kind
        ``"class"``, ``"value"`` (of an enumeration, or a module's), ``"property"``, ``"method"`` (called by us),
        ``"callback"`` (overridden by us, called by TensorRT), or ``"inherited"`` (left as TensorRT has it).
    parameters
        Of methods and callbacks, without ``self``.
    feature
        The field of :class:`~trtcal_widgets.trt.versions.Features` that must be true for it to be there; empty where
        every release from 8.6 on has it.
    """

    owner: str
    name: str
    kind: str
    parameters: tuple[str, ...] = ()
    feature: str = ""


HANDLES = MappingProxyType(
    {
        "trt": "tensorrt",
        "builder": "Builder",
        "config": "IBuilderConfig",
        "network": "INetworkDefinition",
        "networks": "INetworkDefinition",
        "layer": "ILayer",
        "layers": "ILayer",
        "itensor": "ITensor",
        "parser": "OnnxParser",
        "parser_error": "ParserError",
        "profile": "IOptimizationProfile",
        "runtime": "Runtime",
        "cuda_engine": "ICudaEngine",
        "context": "IExecutionContext",
        "inspector": "EngineInspector",
        "timings": "ITimingCache",
        "flags": "BuilderFlag",
        "kinds": "NetworkDefinitionCreationFlag",
    }
)
"""Names of variables and attributes that hold TensorRT's objects -> their class."""

_IMPLICIT = "calibrators"
_ANY_GPU = "compute_capabilities"


def _classes(feature: str, *names: str) -> list[Use]:
    return [Use("tensorrt", name, "class", (), feature) for name in names]


def _values(owner: str, feature: str, *names: str) -> list[Use]:
    return [Use(owner, name, "value", (), feature) for name in names]


def _properties(owner: str, feature: str, *names: str) -> list[Use]:
    return [Use(owner, name, "property", (), feature) for name in names]


def _calibrator(owner: str) -> list[Use]:
    return [
        Use(owner, "get_batch_size", "callback", (), _IMPLICIT),
        Use(owner, "get_batch", "callback", ("names",), _IMPLICIT),
        Use(owner, "read_calibration_cache", "callback", (), _IMPLICIT),
        Use(owner, "write_calibration_cache", "callback", ("cache",), _IMPLICIT),
        Use(owner, "get_algorithm", "inherited", (), _IMPLICIT),
    ]


_CALIBRATORS = (
    "IInt8EntropyCalibrator2",
    "IInt8EntropyCalibrator",
    "IInt8MinMaxCalibrator",
    "IInt8LegacyCalibrator",
)

USES: tuple[Use, ...] = (
    Use("tensorrt", "__version__", "value"),
    *_classes("", "Builder", "ILogger", "INetworkDefinition", "ILayer", "OnnxParser", "ParserError", "Runtime"),
    *_classes("", "BuilderFlag", "DataType", "DeviceType", "MemoryPoolType", "NetworkDefinitionCreationFlag"),
    *_classes("", "ProfilingVerbosity", "TensorIOMode", "TensorLocation", "LayerInformationFormat"),
    *_classes("", "IProfiler"),
    *_classes(_ANY_GPU, "ComputeCapability"),
    *_classes(_IMPLICIT, "IInt8Calibrator", *_CALIBRATORS, "QuantizationFlag"),
    *_classes("progress_monitor", "IProgressMonitor"),
    *_classes("debug_tensors", "IDebugListener"),
    # Enumerations: always by name, for TensorRT 11 numbers them anew.
    *_values("BuilderFlag", "", "TF32", "GPU_FALLBACK"),
    *_values("BuilderFlag", _IMPLICIT, "INT8", "FP16", "OBEY_PRECISION_CONSTRAINTS", "PREFER_PRECISION_CONSTRAINTS"),
    *_values("DataType", "", "FLOAT", "HALF"),
    *_values("DeviceType", "", "DLA"),
    *_values("MemoryPoolType", "", "WORKSPACE"),
    *_values("NetworkDefinitionCreationFlag", _IMPLICIT, "EXPLICIT_BATCH"),
    *_values("NetworkDefinitionCreationFlag", "strongly_typed", "STRONGLY_TYPED"),
    *_values("LayerInformationFormat", "", "JSON"),
    *_values("ProfilingVerbosity", "", "DETAILED"),
    *_values("QuantizationFlag", _IMPLICIT, "CALIBRATE_BEFORE_FUSION"),
    *_values("TensorIOMode", "", "INPUT"),
    *_values("TensorLocation", "", "DEVICE", "HOST"),
    # Building.
    Use("Builder", "__init__", "method", ("logger",)),
    Use("Builder", "create_network", "method", ("flags",)),
    Use("Builder", "create_builder_config", "method"),
    Use("Builder", "create_optimization_profile", "method"),
    Use("Builder", "build_serialized_network", "method", ("network", "config")),
    *_properties("Builder", "", "num_DLA_cores"),
    Use("IBuilderConfig", "set_flag", "method", ("flag",)),
    Use("IBuilderConfig", "clear_flag", "method", ("flag",)),
    Use("IBuilderConfig", "set_memory_pool_limit", "method", ("pool", "pool_size")),
    Use("IBuilderConfig", "add_optimization_profile", "method", ("profile",)),
    Use("IBuilderConfig", "set_calibration_profile", "method", ("profile",), _IMPLICIT),
    Use("IBuilderConfig", "set_quantization_flag", "method", ("flag",), _IMPLICIT),
    *_properties("IBuilderConfig", "", "DLA_core", "default_device_type", "profiling_verbosity"),
    *_properties("IBuilderConfig", "", "builder_optimization_level"),
    Use("IBuilderConfig", "create_timing_cache", "method", ("serialized_timing_cache",)),
    Use("IBuilderConfig", "set_timing_cache", "method", ("cache", "ignore_mismatch")),
    Use("ITimingCache", "serialize", "method"),
    *_properties("IBuilderConfig", _IMPLICIT, "int8_calibrator"),
    *_properties("IBuilderConfig", "progress_monitor", "progress_monitor"),
    *_properties("IBuilderConfig", _ANY_GPU, "num_compute_capabilities"),
    Use("IBuilderConfig", "set_compute_capability", "method", ("compute_capability", "index"), _ANY_GPU),
    Use("IOptimizationProfile", "set_shape", "method", ("input", "min", "opt", "max")),
    Use("IOptimizationProfile", "set_shape_input", "method", ("input", "min", "opt", "max")),
    Use("OnnxParser", "__init__", "method", ("network", "logger")),
    Use("OnnxParser", "parse_from_file", "method", ("model",)),
    Use("OnnxParser", "parse", "method", ("model", "path")),
    Use("OnnxParser", "get_error", "method", ("index",)),
    *_properties("OnnxParser", "", "num_errors"),
    Use("ParserError", "desc", "method"),
    Use("ParserError", "node", "method"),
    Use("ParserError", "node_name", "method", (), "parser_node_names"),
    Use("ParserError", "node_operator", "method", (), "parser_node_names"),
    # The network.
    *_properties("INetworkDefinition", "", "num_inputs", "num_outputs", "num_layers"),
    Use("INetworkDefinition", "get_input", "method", ("index",)),
    Use("INetworkDefinition", "get_layer", "method", ("index",)),
    Use("INetworkDefinition", "mark_output", "method", ("tensor",)),
    Use("INetworkDefinition", "mark_debug", "method", ("tensor",), "debug_tensors"),
    Use("INetworkDefinition", "mark_unfused_tensors_as_debug_tensors", "method", (), "unfused_debug_tensors"),
    *_properties("ILayer", "", "name", "num_outputs"),
    *_properties("ILayer", "layer_metadata", "metadata"),
    *_properties("ILayer", _IMPLICIT, "precision"),
    Use("ILayer", "get_output", "method", ("index",)),
    Use("ILayer", "set_output_type", "method", ("index", "dtype"), _IMPLICIT),
    *_properties("ITensor", "", "name", "shape", "dtype", "is_shape_tensor", "is_network_input", "is_network_output"),
    Use("ITensor", "set_dynamic_range", "method", ("min", "max"), _IMPLICIT),
    # Running.
    Use("Runtime", "__init__", "method", ("logger",)),
    Use("Runtime", "deserialize_cuda_engine", "method", ("serialized_engine",)),
    *_properties("ICudaEngine", "", "num_io_tensors"),
    Use("ICudaEngine", "create_execution_context", "method"),
    Use("ICudaEngine", "get_tensor_name", "method", ("index",)),
    Use("ICudaEngine", "get_tensor_mode", "method", ("name",)),
    Use("ICudaEngine", "get_tensor_dtype", "method", ("name",)),
    Use("ICudaEngine", "get_tensor_shape", "method", ("name",)),
    Use("ICudaEngine", "get_tensor_location", "method", ("name",)),
    Use("ICudaEngine", "get_tensor_profile_shape", "method", ("name", "profile_index")),
    Use("ICudaEngine", "create_engine_inspector", "method"),
    Use("EngineInspector", "get_engine_information", "method", ("format",)),
    Use("IExecutionContext", "set_input_shape", "method", ("name", "shape")),
    Use("IExecutionContext", "infer_shapes", "method"),
    Use("IExecutionContext", "get_tensor_shape", "method", ("name",)),
    Use("IExecutionContext", "set_tensor_address", "method", ("name", "memory")),
    Use("IExecutionContext", "execute_async_v3", "method", ("stream_handle",)),
    *_properties("IExecutionContext", "", "profiler"),
    Use("IExecutionContext", "set_debug_listener", "method", ("listener",), "debug_tensors"),
    Use("IExecutionContext", "set_all_tensors_debug_state", "method", ("flag",), "debug_tensors"),
    *_properties("IExecutionContext", "unfused_debug_tensors", "unfused_tensors_debug_state"),
    # What TensorRT calls.
    Use("ILogger", "__init__", "method"),
    Use("ILogger", "log", "callback", ("severity", "msg")),
    Use("IProfiler", "__init__", "method"),
    Use("IProfiler", "report_layer_time", "callback", ("layer_name", "ms")),
    Use("IProgressMonitor", "__init__", "method", (), "progress_monitor"),
    Use("IProgressMonitor", "phase_start", "callback", ("phase_name", "parent_phase", "num_steps"), "progress_monitor"),
    Use("IProgressMonitor", "step_complete", "callback", ("phase_name", "step"), "progress_monitor"),
    Use("IProgressMonitor", "phase_finish", "callback", ("phase_name",), "progress_monitor"),
    Use("IDebugListener", "__init__", "method", (), "debug_tensors"),
    Use(
        "IDebugListener",
        "process_debug_tensor",
        "callback",
        ("addr", "location", "type", "shape", "name", "stream"),
        "debug_tensors",
    ),
    *[use for owner in _CALIBRATORS for use in _calibrator(owner)],
)
"""The table."""
