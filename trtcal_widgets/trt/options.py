"""What a build is asked for, checked against what this TensorRT and this model can do."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from trtcal_widgets.common.words import did_you_mean, some_of
from trtcal_widgets.errors import EngineError, UsageError
from trtcal_widgets.formats.scales import scale_of_amax
from trtcal_widgets.model.graph import FLOAT_DTYPES
from trtcal_widgets.trt.inputs import NUMPY_NAMES, each_tensor
from trtcal_widgets.trt.versions import no_calibrators

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.versions import Features


@dataclass(frozen=True)
class Settings:
    """What the builder is told.

    Attributes
    ----------
    int8, fp16, tf32
        Which arithmetic TensorRT may choose besides FP32. In a strongly typed network the model says, and
        ``int8`` and ``fp16`` set nothing.
    strongly_typed
        Whether the types come from the model alone.
    obey
        Whether the build fails where a layer's precision cannot be had, instead of choosing another.
    before_fusion
        Whether ``"entropy"`` and ``"legacy"`` calibrate before layer fusion (so that every tensor has a row), as
        ``"entropy2"`` and ``"minmax"`` always do.
    dla, gpu_fallback
        DLA core, and whether layers that DLA cannot run go to the GPU.
    workspace
        Bytes that layers may use as scratch memory; None: TensorRT's choice.
    level
        How long TensorRT looks for fast kernels, from 0 to 5; None: its own choice, 3.
    """

    int8: bool = True
    fp16: bool = False
    tf32: bool = True
    strongly_typed: bool = False
    obey: bool = True
    before_fusion: bool = False
    dla: int | None = None
    gpu_fallback: bool = True
    workspace: int | None = None
    level: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)


def has_qdq(graph: ModelGraph) -> bool:
    """Whether a model brings its own scales, as QuantizeLinear and DequantizeLinear nodes."""
    return any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in graph.nodes)


def resolve(
    has: Features,
    graph: ModelGraph,
    asked: Settings,
    *,
    scales_from: str,
    plan: PlanLike | None,
    strongly_typed: bool | None,
) -> Settings:
    """Check what is asked for, and fill in what was left open.

    ``has``: what this TensorRT has. ``graph``: the model. ``scales_from``: ``"calibrator"``, ``"cache"``,
    ``"session"``, ``"amax"``, or empty where no scales were given. ``plan``, ``strongly_typed``: as for
    :func:`trtcal_widgets.trt.build`; the latter counts, not the settings'. Raises UsageError if it cannot be done, or
    cannot be meant; says what to do instead.
    """
    fp16 = asked.fp16
    _check_numbers(asked.dla, asked.workspace, asked.level)
    qdq = has_qdq(graph)
    if not has.calibrators:
        _refuse_implicit(has, graph, scales_from, plan, fp16=fp16)
        if strongly_typed is False:
            raise UsageError(f"TensorRT {has.version} has strongly typed networks only: leave strongly_typed out")
    if scales_from and not asked.int8:
        raise UsageError(f"{scales_from}= gives INT8 scales, and int8=False asks for none of them: leave one out")
    if scales_from and qdq:
        raise UsageError(
            f"{graph.name} has its own scales (QuantizeLinear nodes), with which TensorRT uses no others: leave "
            f"{scales_from}= out, or build the model without Q/DQ"
        )
    if asked.int8 and not qdq and not scales_from:
        raise UsageError(_no_scales(has, graph))
    strong = _strongly_typed(has, graph, asked=strongly_typed, weak=_weak_reason(fp16, scales_from, plan), qdq=qdq)
    half = fp16 or (plan is not None and bool(plan.keep) and plan.precision == "fp16")
    return replace(asked, fp16=half, strongly_typed=strong)


def _check_numbers(dla: int | None, workspace: int | None, level: int | None) -> None:
    check_level(level)
    check_workspace(workspace)
    if dla is not None and (isinstance(dla, bool) or not isinstance(dla, int) or dla < 0):
        raise UsageError(f"dla must be the number of a DLA core (0, 1, …) or None, not {dla!r}")


def check_workspace(workspace: int | None) -> None:
    """Refuse what is no number of bytes."""
    if workspace is not None and (isinstance(workspace, bool) or not isinstance(workspace, int) or workspace <= 0):
        raise UsageError(f"workspace must be a number of bytes, such as 4 << 30 for 4 GiB, not {workspace!r}")


def check_level(level: int | None) -> None:
    """Refuse an optimisation level that TensorRT does not have."""
    if level is not None and (isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 5):
        raise UsageError(
            f"level must be a whole number from 0 (built in seconds) to 5 (looks longest for fast kernels), or None, "
            f"not {level!r}"
        )


def _refuse_implicit(has: Features, graph: ModelGraph, scales_from: str, plan: PlanLike | None, *, fp16: bool) -> None:
    """Refuse what TensorRT 11 took out."""
    subjects = {
        "calibrator": "A calibrator",
        "cache": "A calibration cache",
        "session": "A session's scales",
        "amax": "Dynamic ranges",
    }
    if scales_from:
        raise no_calibrators(has.version, subjects[scales_from])
    if plan is not None:
        raise no_calibrators(has.version, "A plan of layer precisions")
    if fp16:
        raise UsageError(
            f"fp16=True cannot be used with TensorRT {has.version}, which takes every type from the model: convert "
            f"{graph.name} to FP16 first (NVIDIA ModelOpt's AutoCast, or onnxconverter-common)"
        )


def _no_scales(has: Features, graph: ModelGraph) -> str:
    if not has.calibrators:
        return str(no_calibrators(has.version, f"{graph.name}, which has no QuantizeLinear nodes,"))
    return (
        f"INT8 needs scales, and {graph.name} has none: pass calibrator=make_calibrator(data, batch_size=32), "
        "cache='calibration.cache' or session=, or int8=False for a build without INT8"
    )


def _weak_reason(fp16: bool, scales_from: str, plan: PlanLike | None) -> str:
    """Return the argument that only a weakly typed network knows; empty where there is none."""
    if fp16:
        return "fp16=True"
    return f"{scales_from}=" if scales_from else "plan=" if plan is not None else ""


def _strongly_typed(has: Features, graph: ModelGraph, *, asked: bool | None, weak: str, qdq: bool) -> bool:
    if not has.calibrators:
        return True
    if asked is None:
        return qdq and has.strongly_typed and not weak
    if asked and not has.strongly_typed:
        raise UsageError(f"TensorRT {has.version} has no strongly typed networks (they came with 10): leave it out")
    if asked and weak:
        raise UsageError(
            f"strongly_typed=True takes every type from {graph.name} itself, so {weak} has no effect: leave one out"
        )
    return asked


def configure(trt: Any, builder: Any, config: Any, settings: Settings) -> None:
    """Tell a builder configuration the settings.

    Raises UsageError if the device has no such DLA core.
    """
    flags = trt.BuilderFlag
    if not settings.strongly_typed:
        if settings.int8:
            config.set_flag(flags.INT8)
        if settings.fp16:
            config.set_flag(flags.FP16)
    if not settings.tf32:
        config.clear_flag(flags.TF32)
    if settings.before_fusion:
        config.set_quantization_flag(trt.QuantizationFlag.CALIBRATE_BEFORE_FUSION)
    if settings.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace)
    if settings.level is not None:
        config.builder_optimization_level = settings.level
    if settings.dla is not None:
        _use_dla(trt, builder, config, settings.dla)
        if settings.gpu_fallback:
            config.set_flag(flags.GPU_FALLBACK)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that the engine can be inspected


def _use_dla(trt: Any, builder: Any, config: Any, core: int) -> None:
    cores = int(builder.num_DLA_cores)
    if core >= cores:
        there = f"only {cores}" if cores else "none (DLA is part of Jetson Xavier, Orin and Thor, and of DRIVE)"
        raise UsageError(f"dla={core} asks for DLA core {core}; this device has {there}")
    config.default_device_type = trt.DeviceType.DLA
    config.DLA_core = core


_METADATA = re.compile(r"\[ONNX Layer: (.*?)\](?=$|[\x1e\x1f\[])", re.DOTALL)
"""How TensorRT's ONNX parser writes node names into a layer's metadata (seen in engine dumps of others)."""


class PlanLike(Protocol):
    """What is needed of a precision plan."""

    @property
    def keep(self) -> tuple[str, ...]:
        """Names of ONNX nodes that are not to run in INT8."""

    @property
    def precision(self) -> str:
        """What they are to run in: ``"fp16"`` or ``"fp32"``."""


@dataclass(frozen=True)
class PlanApplied:
    """What became of a plan.

    ``set_on``: node name -> TensorRT's layers that were set. ``without_layer``: nodes of the model for which the
    network has no layer: TensorRT's parser folded them away.
    """

    set_on: Mapping[str, tuple[str, ...]]
    without_layer: tuple[str, ...]


def check_plan(plan: PlanLike, graph: ModelGraph) -> None:
    """Refuse a plan that is not for this model.

    Raises UsageError if it names nodes that the model does not have (with close names), or an unknown precision.
    """
    if not (hasattr(plan, "keep") and hasattr(plan, "precision")):
        raise UsageError(f"plan must be a PrecisionPlan, not a {type(plan).__name__}: PrecisionPlan(keep=('conv1',))")
    if plan.precision not in ("fp16", "fp32"):
        raise UsageError(f"the plan's precision must be 'fp16' or 'fp32', not {plan.precision!r}")
    names = {node.name for node in graph.nodes}
    unknown = [name for name in plan.keep if name not in names]
    if unknown:
        raise UsageError(
            f"the plan keeps nodes that {graph.name} does not have: {some_of(unknown, 5)}"
            f"{did_you_mean(unknown[0], names) or '.'} Was it made for another model, or another export of it?"
        )


def apply_plan(trt: Any, network: Any, plan: PlanLike, graph: ModelGraph) -> PlanApplied:
    """Set the precision of the layers that come from the plan's nodes, and the type of their float outputs.

    ``plan``: a plan that :func:`check_plan` accepted. ``graph``: the model: layers are found by their name, by their
    metadata, and by the tensors that they make. Raises EngineError if not one layer was found for any node of the plan.
    """
    dtype = trt.DataType.HALF if plan.precision == "fp16" else trt.DataType.FLOAT
    wanted = set(plan.keep)
    made_by = {output: node.name for node in graph.nodes if node.name in wanted for output in node.outputs if output}
    found: dict[str, list[str]] = {name: [] for name in plan.keep}
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        nodes = [name for name in dict.fromkeys(_nodes_of(layer, made_by)) if name in wanted]
        if nodes and _set_precision(layer, dtype):
            for name in nodes:
                found[name].append(str(layer.name))
    if plan.keep and not any(found.values()):
        raise EngineError(
            f"not one of the plan's {len(plan.keep)} nodes has a layer in TensorRT's network ({plan.keep[0]!r} …). "
            "Their layers cannot be told apart by name: give the model's nodes names of their own, and plan anew"
        )
    set_on = {name: tuple(own) for name, own in found.items() if own}
    return PlanApplied(set_on, tuple(name for name, own in found.items() if not own))


def _nodes_of(layer: Any, made_by: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of the ONNX nodes that a layer comes from, as far as it tells."""
    yield str(layer.name)
    if hasattr(layer, "metadata"):
        yield from _METADATA.findall(str(layer.metadata))
    for output in range(layer.num_outputs):
        itensor = layer.get_output(output)
        if itensor is not None and str(itensor.name) in made_by:
            yield made_by[str(itensor.name)]


def _set_precision(layer: Any, dtype: Any) -> bool:
    """Set a layer's precision; False where it computes no floats, so that there is none to set."""
    floats = [index for index in range(layer.num_outputs) if _is_ranged(layer.get_output(index))]
    if not floats:
        return False
    layer.precision = dtype
    for index in floats:
        layer.set_output_type(index, dtype)
    return True


def _is_ranged(itensor: Any) -> bool:
    if itensor is None or itensor.is_shape_tensor:
        return False
    return NUMPY_NAMES.get(itensor.dtype.name, "") in FLOAT_DTYPES


def set_ranges(network: Any, amax: Mapping[str, float]) -> tuple[str, ...]:
    """Set the dynamic ranges of tensors to ±amax, for a build without a calibrator.

    ``network``: an ``INetworkDefinition``. ``amax``: tensor name -> threshold in real units. Returns the float tensors
    that have no range: TensorRT runs the layers that need one in higher precision. Raises UsageError if the network has
    no such tensor, or a value is no amax; EngineError if TensorRT refuses a range.
    """
    by_name = {str(itensor.name): itensor for itensor in each_tensor(network)}
    for name, value in amax.items():
        scale_of_amax(value)  # refuses what cannot be an amax
        if name not in by_name:
            hint = did_you_mean(name, by_name)
            raise UsageError(f"amax names {name!r}, which TensorRT's network does not have{hint}")
        itensor = by_name[name]
        if not itensor.set_dynamic_range(-float(value), float(value)):
            raise EngineError(f"TensorRT refused the range ±{value:g} for {name!r}")
    return tuple(name for name, itensor in by_name.items() if _is_ranged(itensor) and name not in amax)
