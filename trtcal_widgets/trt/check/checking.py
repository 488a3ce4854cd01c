"""Asking NVIDIA's parser and builder about a model, on whatever machine this is."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of, one_of
from trtcal_widgets.errors import UsageError
from trtcal_widgets.model.dimensions import name_dimensions
from trtcal_widgets.model.explicit.pairs import read_pairs
from trtcal_widgets.model.load import OnnxModel, load_model, model_of
from trtcal_widgets.model.tap import MAX_PROTO_BYTES
from trtcal_widgets.trt.check.advice import advice_for, node_named, problems_of_file, without_places
from trtcal_widgets.trt.check.builders import Installed, find_builder
from trtcal_widgets.trt.check.layers import EngineLayer, layers_in_log, layers_of_inspector
from trtcal_widgets.trt.check.report import CheckProblem, CheckReport
from trtcal_widgets.trt.check.verdict import layer_verdicts, pair_verdicts
from trtcal_widgets.trt.log import capture
from trtcal_widgets.trt.network import create_builder
from trtcal_widgets.trt.profiles import DynamicInput, add_profiles, dynamic_inputs, resolve_profiles

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.log import LogBook

CAPABILITIES = ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")
"""GPU generations that TensorRT for RTX 1.7 builds for: Turing, Ampere (two), Ada, Blackwell (two)."""

_GUESSED = {4: 64, 3: 48, 5: 16}
"""Rank of an input -> what its open dimensions behind the first become where no shape is given; 16 for others."""

_SIZE = 16
"""What an input that holds sizes gets for each."""


def check_model(
    model: str | os.PathLike[str],
    *,
    builder: str = "auto",
    target: str = "SM89",
    shapes: Mapping[str, Sequence[int]] | None = None,
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
        For a builder, target or input that there is not.

    Notes
    -----
    The network is strongly typed, as TensorRT 11's are, from TensorRT 10 on. A build with TensorRT for RTX shows what
    that release's compiler does for that GPU generation; TensorRT chooses its kernels by measuring, and may do
    otherwise.
    """
    return _check(load_model(model), builder, target, shapes)


def check_proto(
    proto: ModelProto,
    folder: Path,
    name: str,
    *,
    builder: str = "auto",
    target: str = "SM89",
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> CheckReport:
    """Do the same for a model in memory.

    ``proto``: the model; its external data lie in ``folder``. ``name``: what its file is called in the report. Other
    arguments, result and errors as for :func:`check_model`.
    """
    return _check(model_of(folder / name, proto), builder, target, shapes)


def _check(model: OnnxModel, builder: str, target: str, shapes: Mapping[str, Sequence[int]] | None) -> CheckReport:
    import onnx

    one_of(target, CAPABILITIES, "target")
    given = _checked_shapes(model, shapes)
    installed = find_builder(builder)
    pairs = read_pairs(model)
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    name_dimensions(proto)
    run = _Run(
        installed,
        model.graph,
        target if installed.has.compute_capabilities else "this GPU",
        given,
        _named(model, proto),
    )
    run.do(proto, model.path)
    # What the file alone shows is said where it stopped the builder: a builder may know more than this package.
    known = () if run.built else problems_of_file(model.graph, pairs)
    named = {problem.node for problem in known if problem.node}
    own = [one for one in run.problems if not (one.node in named and one.stage == "parse")]
    return CheckReport(
        model=model.path.name,
        builder=installed.label,
        target=run.target,
        shapes=run.shapes,
        parsed=run.parsed,
        built=run.built,
        seconds=run.seconds,
        problems=(*own, *known) if own or known else (),
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


@dataclass
class _Run:
    """One parse and build."""

    installed: Installed
    graph: ModelGraph
    target: str
    shapes: dict[str, tuple[int, ...]]
    names: Mapping[str, str]
    parsed: bool = False
    built: bool = False
    seconds: float = 0.0
    problems: list[CheckProblem] = field(default_factory=list)
    layers: tuple[EngineLayer, ...] = ()

    def do(self, proto: ModelProto, path: Path) -> None:
        """Parse and build."""
        trt = self.installed.trt
        if proto.ByteSize() > MAX_PROTO_BYTES:
            raise UsageError(
                f"{path.name} exceeds 2 GB in memory: write it (result.write(path), which puts the weights into a file "
                "beside it) and check that file"
            )
        start = time.monotonic()
        with capture(trt, verbose=True) as (logger, book):
            builder = create_builder(trt, logger, book)
            kinds = trt.NetworkDefinitionCreationFlag
            strong = self.installed.has.strongly_typed
            network = builder.create_network(1 << int(kinds.STRONGLY_TYPED if strong else kinds.EXPLICIT_BATCH))
            parser = trt.OnnxParser(network, logger)
            self.parsed = bool(parser.parse(proto.SerializeToString(), str(path)))
            if self.parsed:
                self._build(builder, network, book)
            else:
                self._parser_problems(parser, book)
        self.seconds = time.monotonic() - start
        if not self.built and not self.problems:
            stage = "build" if self.parsed else "parse"
            self.problems.append(CheckProblem(stage, "", "", book.last_errors(), advice_for(book.last_errors())))

    def _parser_problems(self, parser: Any, book: LogBook) -> None:
        logged = _errors(book)
        for index in range(parser.num_errors):
            parser_error = parser.get_error(index)
            has_names = self.installed.has.parser_node_names
            name = parser_error.node_name() if has_names else ""
            op_type = parser_error.node_operator() if has_names else ""
            text = str(parser_error.desc())
            said = [line for line in logged if name and name in line] if text.startswith("Invalid Node") else []
            words = " | ".join([text, *said[:2]])
            name = name or node_named(words, self.names)
            self._add("parse", name, op_type, words)

    def _add(self, stage: str, name: str, op_type: str, words: str) -> None:
        node = self.names.get(name, name)
        self.problems.append(CheckProblem(stage, node, op_type, without_places(words), advice_for(words)))

    def _build(self, builder: Any, network: Any, book: LogBook) -> None:
        trt = self.installed.trt
        config = builder.create_builder_config()
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if not self.installed.has.strongly_typed:
            config.set_flag(trt.BuilderFlag.INT8)  # before TensorRT 10 pairs alone do not allow it
        if self.installed.has.compute_capabilities:
            config.num_compute_capabilities = 1
            config.set_compute_capability(trt.ComputeCapability.__members__[self.target], 0)
        inputs = dynamic_inputs(network)
        if inputs:
            self.shapes = {item.name: _shape_of(item, self.shapes) for item in inputs}
            profiles, _ = resolve_profiles(self.shapes, inputs, {}, calibrates=False)
            add_profiles(builder, config, profiles, inputs)
        else:
            self.shapes = {}
        memory = builder.build_serialized_network(network, config)
        self.built = memory is not None
        if memory is None:
            for line in _errors(book) or [book.last_errors()]:
                self._add("build", node_named(line, self.names), "", line)
            return
        found = layers_in_log(line.text for line in book.lines if line.severity == "verbose")
        self.layers = tuple(self._renamed(found or self._inspected(memory)))

    def _inspected(self, memory: Any) -> tuple[EngineLayer, ...]:
        """Ask the engine itself, which must be loaded for it: that needs the GPU."""
        trt = self.installed.trt
        with capture(trt) as (logger, _):
            cuda_engine = trt.Runtime(logger).deserialize_cuda_engine(memory)
            if cuda_engine is None:
                return ()
            inspector = cuda_engine.create_engine_inspector()
            return layers_of_inspector(
                str(inspector.get_engine_information(trt.LayerInformationFormat.JSON)), self.graph
            )

    def _renamed(self, layers: Iterable[EngineLayer]) -> Iterable[EngineLayer]:
        for kernel in layers:
            yield replace(kernel, nodes=tuple(self.names.get(name, name) for name in kernel.nodes))

    def notes(self, *, has_pairs: bool) -> Iterable[str]:
        """Yield what else is worth knowing."""
        if self.installed.note:
            yield f"{self.installed.note}: {self.installed.label} was asked instead."
        if not has_pairs and self.built:
            yield "The model has no Q/DQ pairs: it runs in the types that it is written in."
        elif self.built and not self.layers:
            yield "This builder does not list the engine's layers here: which of them run in INT8 is not known."
        elif self.built and self.installed.is_rtx:
            yield (
                f"Element types are those of {self.installed.label} for {self.target}. TensorRT itself chooses kernels "
                "by measuring on its GPU, and may choose others."
            )


def _errors(book: LogBook) -> list[str]:
    lines = [line.text.strip() for line in book.lines if line.severity in ("error", "internal error")]
    return list(dict.fromkeys(lines))


def _shape_of(item: DynamicInput, given: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape that is built for: the given one, or a batch of 1 and a small guess."""
    if item.name in given:
        return given[item.name]
    if item.is_shape_tensor:  # its values are sizes themselves
        return tuple(_SIZE for _ in range(math.prod(item.shape)))
    guess = _GUESSED.get(len(item.shape), 16)
    return tuple(size if size != -1 else 1 if axis == 0 else guess for axis, size in enumerate(item.shape))
