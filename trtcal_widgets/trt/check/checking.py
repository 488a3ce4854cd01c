"""Asking NVIDIA's parser and builder about a model, on whatever machine this is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, one_of
from trtcal_widgets.errors import UsageError
from trtcal_widgets.model.dimensions import name_dimensions
from trtcal_widgets.model.explicit.pairs import read_pairs
from trtcal_widgets.model.load import OnnxModel, load_model, model_of
from trtcal_widgets.trt.check.advice import problems_of_file, shortened
from trtcal_widgets.trt.check.asking import QUICK_LEVEL, Run
from trtcal_widgets.trt.check.builders import BUILDERS, find_builder
from trtcal_widgets.trt.check.report import CheckReport
from trtcal_widgets.trt.check.verdict import layer_verdicts, pair_verdicts
from trtcal_widgets.trt.control import BuildControl, Progress, check_listeners
from trtcal_widgets.trt.options import check_level
from trtcal_widgets.trt.waiting import run_aside

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

CAPABILITIES = ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")
"""GPU generations that TensorRT for RTX 1.7 builds for: Turing, Ampere (two), Ada, Blackwell (two)."""


def check_model(
    model: str | os.PathLike[str],
    *,
    builder: str = "auto",
    target: str = "SM89",
    shapes: Mapping[str, Sequence[int]] | None = None,
    level: int | None = None,
    progress: Callable[[Progress], object] | None = None,
    control: BuildControl | None = None,
) -> CheckReport:
    """Parse and build a model with what is installed, and say what became of its Q/DQ pairs.

    Parameters
    ----------
    model
        The ``.onnx`` file, with Q/DQ or without.
    builder
        ``"tensorrt"``; ``"rtx"``: TensorRT for RTX, which builds without a GPU; or ``"auto"``: TensorRT where it finds
        its GPU, else TensorRT for RTX.
    target
        The GPU generation that TensorRT for RTX builds for, one of :data:`CAPABILITIES`. TensorRT builds for the GPU
        that is there.
    shapes
        Input -> shape, for inputs whose shape the model leaves open. Others get a batch of 1 and a small guess, which
        the report states.
    level
        How long TensorRT looks for fast kernels, 0 to 5. None: 0, the first kernel that works, because TensorRT's own
        choice, 3, times them all, which takes minutes for a convolutional network; TensorRT for RTX, which times
        none, is left its own choice.
    progress
        Called about ten times a second, in the calling thread, with what the builder is at.
    control
        Cancels it, from another thread. Ctrl-C does so too.

    Returns
    -------
    CheckReport
        What was refused, by node, with what to do; and, where the builder lists the engine's layers, what each
        quantised layer runs in and what became of each pair.

    Raises
    ------
    ModelError
        If the file is no ONNX model.
    MissingDependencyError
        If neither TensorRT nor TensorRT for RTX is installed; says what to install.
    DeviceError
        If only TensorRT is installed, and there is no usable GPU.
    UsageError
        For a builder, target, level or input that there is not.
    CancelledError
        If ``control`` said so. TensorRT before 10 cannot be stopped: its build is left behind, and ends by itself or
        with the process.

    Notes
    -----
    The network is strongly typed, as TensorRT 11's are, from TensorRT 10 on. A build with TensorRT for RTX shows what
    that release's compiler does for that GPU generation; TensorRT chooses its kernels by measuring, and may do
    otherwise.
    """
    return _check(load_model(model), builder, target, shapes, _Way(level, progress, control))


def check_proto(
    proto: ModelProto,
    folder: Path,
    name: str,
    *,
    builder: str = "auto",
    target: str = "SM89",
    shapes: Mapping[str, Sequence[int]] | None = None,
    level: int | None = None,
    progress: Callable[[Progress], object] | None = None,
    control: BuildControl | None = None,
) -> CheckReport:
    """Do the same for a model in memory.

    ``proto``: the model; its external data lie in ``folder``. ``name``: what its file is called in the report. Other
    arguments, result and errors as for :func:`check_model`.
    """
    return _check(model_of(folder / name, proto), builder, target, shapes, _Way(level, progress, control))


class _Way:
    """How it is built and watched."""

    def __init__(
        self, level: int | None, progress: Callable[[Progress], object] | None, control: BuildControl | None
    ) -> None:
        check_level(level)
        check_listeners(progress, None, control)
        self.level, self.progress = level, progress
        self.control = control or BuildControl()
        self.at = Progress("Parse")

    def heard(self, progress: Progress) -> None:
        """Take what the builder says of itself, in whichever thread; parts of a phase are too quick to be read."""
        if not progress.parent:
            self.at = progress

    def waiting(self) -> None:
        """Pass it on, in the thread that waits."""
        self.control.raise_if_cancelled()
        if self.progress is not None:
            self.progress(self.at)


def _check(
    model: OnnxModel, builder: str, target: str, shapes: Mapping[str, Sequence[int]] | None, way: _Way
) -> CheckReport:
    import onnx

    one_of(target, CAPABILITIES, "target")
    one_of(builder, BUILDERS, "builder")
    given = _checked_shapes(model, shapes)
    pairs = read_pairs(model)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    name_dimensions(proto)
    names = _named(model, proto)

    def ask() -> Run:
        installed = find_builder(builder)
        level = QUICK_LEVEL if way.level is None and not installed.is_rtx else way.level
        where = target if installed.has.compute_capabilities else "this GPU"
        run = Run(installed, model.graph, where, given, names, level, way.heard, way.control)
        run.do(proto, model.path)
        return run

    run = run_aside(ask, waiting=way.waiting, stop=way.control.cancel)
    # What the file alone shows is said where it stopped the builder: a builder may know more than this package.
    known = () if run.built else problems_of_file(model.graph, pairs)
    named = {problem.node for problem in known if problem.node}
    # So is a type that it does not have, of which its parser names a stored tensor and no node.
    own = [
        one
        for one in run.problems
        if one.stage != "parse" or not (one.node in named or (named and "Failed to import initializer" in one.message))
    ]
    return CheckReport(
        model=model.path.name,
        builder=run.installed.label,
        target=run.target,
        shapes=run.shapes,
        parsed=run.parsed,
        built=run.built,
        seconds=run.seconds,
        level=run.level,
        problems=(*own, *shortened(known)),
        verdicts=layer_verdicts(model.graph, pairs, run.layers) if run.layers else (),
        pairs=pair_verdicts(pairs, run.layers) if run.layers else (),
        layers=run.layers,
        notes=tuple(run.notes(has_pairs=bool(pairs))),
    )


def _checked_shapes(model: OnnxModel, shapes: Any) -> dict[str, tuple[int, ...]]:
    if shapes is None:
        return {}
    if not hasattr(shapes, "items"):
        raise UsageError(f"shapes must be a dict of input name -> shape, not {kind_of(shapes)}")
    inputs = {tensor.name: tensor for tensor in model.graph.inputs}
    for name, shape in shapes.items():
        if name not in inputs:
            there = ", ".join(map(repr, inputs))
            raise UsageError(f"shapes names {name!r}, which is no input of {model.graph.name}; those are {there}")
        own = inputs[name].shape
        if not isinstance(shape, (list, tuple)):
            raise UsageError(f"the shape of input {name!r} is a list of sizes, such as (1, 3, 224, 224), not {shape!r}")
        sizes = tuple(shape)
        bad = any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes)
        fits = own is None or (
            len(own) == len(sizes) and all(not isinstance(a, int) or a == b for a, b in zip(own, sizes, strict=True))
        )
        if bad or not fits:
            raise UsageError(f"the shape {sizes} does not fit input {name!r}, which is {_shape_text(own)}")
    return {name: tuple(shape) for name, shape in shapes.items()}


def _shape_text(shape: tuple[int | str | None, ...] | None) -> str:
    return "of any shape" if shape is None else "×".join("?" if size is None else str(size) for size in shape)


def _named(model: OnnxModel, proto: ModelProto) -> dict[str, str]:
    """Give every node of the main graph a name that TensorRT can repeat; return that name -> ours."""
    names: dict[str, str] = {}
    tensors = model.graph.tensors
    for index, node in enumerate(proto.graph.node):
        made = next((name for name in node.output if name in tensors), "")
        own = model.graph.nodes[tensors[made].producer].name if made and tensors[made].producer >= 0 else node.name
        safe = own if own and own.isprintable() and not set(own) & set("[]") else f"node_{index}_{node.op_type}"
        while safe in names:
            safe += "_"
        names[safe] = own or safe
        node.name = safe
    return names
