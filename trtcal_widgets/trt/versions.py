"""Finding TensorRT, and asking it what it can do instead of guessing from its version."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import EngineError, MissingDependencyError, UsageError
from trtcal_widgets.formats.header import parse_version

if TYPE_CHECKING:
    from types import ModuleType

OLDEST = (8, 6)
"""The oldest release whose Python API this package drives (tensors by name, ``execute_async_v3``)."""

_WITHOUT = (
    "Without TensorRT everything else works: calibrate with ONNX Runtime (in Python: CalibrationSession), then write a "
    "TensorRT cache or an explicit Q/DQ model with `trtcal convert`, and build on the machine that has TensorRT."
)


@dataclass(frozen=True)
class Features:
    """What the installed TensorRT has.

    Attributes
    ----------
    version
        As TensorRT gives it: ``"10.16.1.11"``.
    calibrators
        Implicit INT8: calibrators, ``BuilderFlag.INT8``, dynamic ranges, layer precisions. Gone in TensorRT 11.
    strongly_typed
        Networks whose types come from the model alone (from TensorRT 10; the only kind in 11).
    progress_monitor
        ``IProgressMonitor``: phases of the build, and a way to stop it (from 10).
    debug_tensors
        ``mark_debug`` and ``IDebugListener``: inner tensors of a running engine (from 10).
    unfused_debug_tensors
        ``mark_unfused_tensors_as_debug_tensors``: the same without preventing any fusion (10.13 has it, 10.9 not).
    layer_metadata
        ``ILayer.metadata``: which ONNX node a layer comes from.
    parser_node_names
        ``ParserError.node_name``: which node the parser does not take.
    compute_capabilities
        ``IBuilderConfig.set_compute_capability``: building for a GPU that is not here (TensorRT for RTX).
    """

    version: str
    calibrators: bool
    strongly_typed: bool
    progress_monitor: bool
    debug_tensors: bool
    unfused_debug_tensors: bool
    layer_metadata: bool
    parser_node_names: bool
    compute_capabilities: bool = False


def load_tensorrt() -> ModuleType:
    """Import TensorRT.

    Raises
    ------
    MissingDependencyError
        If it is not installed, too old, or its libraries do not load; says what to do, and which road works without.
    """
    try:
        trt = importlib.import_module("tensorrt")
    except ModuleNotFoundError as error:
        if error.name not in ("tensorrt", "tensorrt_bindings", "tensorrt_libs"):
            raise
        raise MissingDependencyError(
            "TensorRT is not installed (Python finds no package tensorrt). On a machine with an NVIDIA GPU: "
            f"pip install 'tensorrt<11' for the calibrators, or tensorrt for explicit Q/DQ models only. {_WITHOUT}"
        ) from error
    except (ImportError, OSError) as error:
        raise MissingDependencyError(_broken(error)) from error
    if not hasattr(trt, "Builder"):
        raise MissingDependencyError(
            f"`import tensorrt` found {getattr(trt, '__file__', None) or 'an empty folder'}, which is not "
            f"NVIDIA's TensorRT. Is there a file or folder named tensorrt beside the notebook? {_WITHOUT}"
        )
    version = tensorrt_version(trt)
    if version[:2] < OLDEST:
        raise MissingDependencyError(
            f"TensorRT {trt.__version__} is too old: {OLDEST[0]}.{OLDEST[1]} or later is needed. "
            f"Its cache can still be made here: export for this version with `trtcal convert`. {_WITHOUT}"
        )
    return trt


def load_rtx() -> ModuleType:
    """Import TensorRT for RTX, whose parser and builder run on a machine without a GPU.

    Raises MissingDependencyError if it is not installed or its libraries do not load; says what to do.
    """
    try:
        trt = importlib.import_module("tensorrt_rtx")
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("tensorrt_rtx"):
            raise
        raise MissingDependencyError(
            "TensorRT for RTX, which builds without a GPU, is not installed: pip install 'trtcal_widgets[rtx]' "
            "(Linux on x86-64)"
        ) from error
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"TensorRT for RTX is installed but cannot be loaded: {error}. Its bindings and its libraries must be of "
            "one version: pip install --force-reinstall 'trtcal_widgets[rtx]'"
        ) from error
    if not hasattr(trt, "Builder"):
        raise MissingDependencyError(
            f"`import tensorrt_rtx` found {getattr(trt, '__file__', None) or 'an empty folder'}, which is not NVIDIA's "
            "TensorRT for RTX. Is there a file or folder of that name beside the notebook?"
        )
    return trt


def _broken(error: ImportError | OSError) -> str:
    text = str(error)
    if "libcuda" in text or "nvcuda" in text:
        return (
            f"TensorRT is installed but finds no NVIDIA driver ({text}). Install the driver, or in a container "
            f"pass the GPU on (docker run --gpus all). {_WITHOUT}"
        )
    return (
        f"TensorRT is installed but cannot be loaded: {text}. Its bindings and its libraries must be of one version: "
        f"pip install --force-reinstall tensorrt, or put its lib folder on LD_LIBRARY_PATH. {_WITHOUT}"
    )


def tensorrt_version(trt: Any) -> tuple[int, int, int]:
    """Return ``(major, minor, patch)`` of a TensorRT module.

    Raises EngineError if its version cannot be read.
    """
    text = ".".join(str(trt.__version__).split(".")[:3])
    try:
        return parse_version(text)
    except UsageError as error:
        raise EngineError(f"this TensorRT calls its version {trt.__version__!r}, which cannot be read") from error


def features(trt: Any) -> Features:
    """Return what a TensorRT module has, by looking."""
    networks, layers = trt.INetworkDefinition, trt.ILayer
    return Features(
        version=str(trt.__version__),
        calibrators=hasattr(trt, "IInt8Calibrator") and hasattr(trt.BuilderFlag, "INT8"),
        strongly_typed=hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED"),
        progress_monitor=hasattr(trt, "IProgressMonitor"),
        debug_tensors=hasattr(networks, "mark_debug") and hasattr(trt, "IDebugListener"),
        unfused_debug_tensors=hasattr(networks, "mark_unfused_tensors_as_debug_tensors"),
        layer_metadata=hasattr(layers, "metadata"),
        parser_node_names=hasattr(trt.ParserError, "node_name"),
        compute_capabilities=hasattr(trt, "ComputeCapability"),
    )


def no_calibrators(version: str, what: str) -> UsageError:
    """Return the error for something that TensorRT 11 no longer has.

    ``what``: what was asked for, as the subject of a sentence: ``"A calibrator"``.
    """
    return UsageError(
        f"{what} cannot be used with TensorRT {version}: TensorRT 11 took out calibrators, INT8 and FP16 flags, "
        "dynamic ranges and layer precisions, and takes INT8 only from the model. Write the scales into it: "
        "`trtcal convert calibration.cache --model model.onnx --to qdq -o model.qdq.onnx`, then build model.qdq.onnx. "
        "Or install a release that has calibrators: pip install 'tensorrt<11'."
    )
