"""Building an engine: one call from an ONNX file to bytes that know where they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat

from trtcal_widgets.common.arguments import kind_of, one_of, to_path
from trtcal_widgets.errors import UsageError
from trtcal_widgets.formats.scales import scale_of_amax
from trtcal_widgets.model.load import load_graph
from trtcal_widgets.trt.builder import Build, Request
from trtcal_widgets.trt.calibration.scales import Scales
from trtcal_widgets.trt.control import BuildControl, Progress, check_listeners
from trtcal_widgets.trt.log import capture
from trtcal_widgets.trt.options import Settings, check_plan, resolve
from trtcal_widgets.trt.versions import Features, features, load_tensorrt

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.trt.calibration.feed import Stale
    from trtcal_widgets.trt.engine import Engine
    from trtcal_widgets.trt.log import LogLine
    from trtcal_widgets.trt.options import PlanLike


def build(
    model: str | os.PathLike[str],
    *,
    int8: bool = True,
    calibrator: Any = None,
    cache: CalibrationCache | str | os.PathLike[str] | None = None,
    session: Any = None,
    amax: Mapping[str, float] | None = None,
    plan: PlanLike | None = None,
    fp16: bool = False,
    tf32: bool = True,
    profiles: Any = None,
    dla: int | None = None,
    gpu_fallback: bool = True,
    strongly_typed: bool | None = None,
    workspace: int | None = None,
    level: int | None = None,
    timing_cache: str | os.PathLike[str] | None = None,
    debug: bool | Sequence[str] = False,
    stale: Stale = "error",
    constraints: str = "obey",
    before_fusion: bool = False,
    progress: Callable[[Progress], object] | None = None,
    log: Callable[[LogLine], object] | None = None,
    verbose: bool = False,
    control: BuildControl | None = None,
) -> Engine:
    """Build a TensorRT engine from an ONNX file.

    Parameters
    ----------
    model
        The ``.onnx`` file. One with QuantizeLinear nodes brings its own scales (the only way in TensorRT 11).
    int8
        Whether layers may run in INT8.
    calibrator, cache, session
        Where the scales come from, one of the three: a calibrator (:func:`make_calibrator`, or the user's own
        instance of a TensorRT class), a calibration cache or its path, or a session.
    amax
        Tensor name -> threshold in real units: overrides rows of the cache or session; without either, the ranges are
        set on the tensors (``set_dynamic_range``).
    plan
        Which nodes to keep out of INT8: an object with ``keep`` and ``precision`` (and ``amax``), such as a
        ``PrecisionPlan``. Up to TensorRT 10.
    fp16, tf32
        Whether layers may run in FP16 and TF32 (which TensorRT allows unless told otherwise).
    profiles
        Shapes for dynamic inputs: ``{input: (min, opt, max)}`` or ``{input: shape}``, or a list of these. Left out,
        the calibration batch is the largest one.
    dla, gpu_fallback
        DLA core, and whether layers that it cannot run go to the GPU.
    strongly_typed
        Whether the types come from the model alone; None: if it has Q/DQ, TensorRT can, and nothing speaks against.
    workspace
        Bytes of scratch memory that layers may use.
    level
        How long TensorRT looks for fast kernels: from 0 (built in seconds instead of minutes, runs slower) to 5; None:
        its own choice, 3.
    timing_cache
        A file in which TensorRT keeps how fast kernels were on this GPU: later builds of the same or a similar model
        take seconds instead of minutes. Made where there is none; one of another GPU or release is made anew. Where it
        cannot be written, the engine's log has a warning.
    debug
        Inner tensors that :func:`compare` can look at: True for all that no fusion swallows, or names. Where
        TensorRT has no debug tensors (8.6), names become outputs, which prevents fusions across them.
    stale
        What becomes of a cache of another version, algorithm or model: see :func:`make_calibrator`.
    constraints
        ``"obey"``: fail where a layer of the plan cannot have its precision; ``"prefer"``: take another.
    before_fusion
        Whether the ``"entropy"`` and ``"legacy"`` calibrators run before fusion, so that every tensor has a row.
    progress, log
        Called with :class:`Progress` and :class:`LogLine` values, perhaps from TensorRT's own threads. What they raise
        ends the build.
    verbose
        Whether TensorRT's verbose lines are taken too.
    control
        Buttons to pause, step and cancel with, from another thread.

    Returns
    -------
    Engine
        Its bytes, and what it was made from. ``.save(path)`` writes both.

    Raises
    ------
    MissingDependencyError
        If TensorRT is not installed.
    UsageError
        If what is asked for cannot be done with this TensorRT, this model or this device.
    ModelError
        If the file is no model, or TensorRT does not take it.
    DeviceError
        If there is no usable GPU, or its memory is full (says how large a batch would fit).
    EngineError
        If TensorRT refuses to build; has its reason.
    CancelledError
        If ``control`` said so.
    Exception
        What the data source, ``progress`` or ``log`` raised, as it is. No cache of an incomplete calibration is kept.
    """
    trt = load_tensorrt()
    has = features(trt)
    path = to_path(model, "an ONNX model")
    graph = load_graph(path)
    if plan is not None:
        check_plan(plan, graph)
    one_of(constraints, ("obey", "prefer"), "constraints")
    check_listeners(progress, log, control)
    scales = Scales(calibrator, cache, session, _amax(plan, amax), stale)
    obey = constraints == "obey"
    asked = Settings(int8, fp16, tf32, False, obey, before_fusion, dla, gpu_fallback, workspace, level)
    settings = resolve(has, graph, asked, scales_from=scales.given, plan=plan, strongly_typed=strongly_typed)
    times = None if timing_cache is None else to_path(timing_cache, "a timing cache")
    request = Request(path, graph, settings, scales, plan, profiles, _debug(debug, has), timing_cache=times)
    with capture(trt, log, verbose=verbose) as (logger, book):
        return Build(trt, has, logger, book, request, progress or _ignore, control or BuildControl()).run()


def build_network(trt: Any, request: Request, *, log: Callable[[LogLine], object] | None = None) -> Engine:
    """Build what a request says, for callers that have one ready."""
    with capture(trt, log) as (logger, book):
        return Build(trt, features(trt), logger, book, request, _ignore, BuildControl()).run()


def _ignore(_: Progress) -> None:
    """Report to nobody."""


def _amax(plan: PlanLike | None, amax: Any) -> dict[str, float]:
    """Return the plan's thresholds and the user's, which come last."""
    if amax is not None and not isinstance(amax, Mapping):
        raise UsageError(f"amax must be a dict of tensor name -> threshold, not {kind_of(amax)}")
    both = {**getattr(plan, "amax", {}), **(amax or {})}
    for name, value in both.items():
        if isinstance(value, bool) or not isinstance(value, SupportsFloat):
            raise UsageError(f"amax of {name!r} must be a number in the tensor's own unit, not {value!r}")
        scale_of_amax(float(value))  # refuses what cannot be an amax
    return {name: float(value) for name, value in both.items()}


def _debug(debug: bool | Sequence[str], has: Features) -> tuple[str, ...] | None:
    if debug is False or (isinstance(debug, Sequence) and not debug):
        return None
    if isinstance(debug, str):
        raise UsageError(f"debug must be True or a list of tensor names: debug=[{debug!r}]")
    if debug is not True and not (isinstance(debug, Sequence) and all(isinstance(name, str) for name in debug)):
        raise UsageError(f"debug must be True or a list of tensor names, not {debug!r:.80}")
    if debug is True and not has.unfused_debug_tensors:
        raise UsageError(
            f"TensorRT {has.version} cannot mark all unfused tensors for debugging: name them, debug=['conv1', …]. "
            "Marking a tensor may prevent a fusion"
        )
    return () if debug is True else tuple(debug)
