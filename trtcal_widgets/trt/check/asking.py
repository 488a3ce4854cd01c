"""One parse and build by NVIDIA's builder: what it says, and the layers that it lists."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import UsageError
from trtcal_widgets.model.tap import MAX_PROTO_BYTES
from trtcal_widgets.trt.check.advice import advice_for, node_named, without_places
from trtcal_widgets.trt.check.layers import EngineLayer, layers_in_log, layers_of_inspector
from trtcal_widgets.trt.check.report import CheckProblem
from trtcal_widgets.trt.control import BuildControl, Progress, make_monitor
from trtcal_widgets.trt.log import capture
from trtcal_widgets.trt.network import create_builder
from trtcal_widgets.trt.profiles import DynamicInput, add_profiles, dynamic_inputs, resolve_profiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.check.builders import Installed
    from trtcal_widgets.trt.log import LogBook

_GUESSED = {4: 64, 3: 48, 5: 16}
"""Rank of an input -> what its open dimensions behind the first become where no shape is given; 16 for others."""

_SIZE = 16
"""What an input that holds sizes gets for each."""

TENSORRT_OWN_LEVEL = 3
"""How long TensorRT looks for fast kernels where it is not told: it times them all."""

QUICK_LEVEL = 0
"""The first kernel that works: what types a layer runs in hangs on its pairs, seldom on which kernel is fastest."""


@dataclass
class Run:
    """One parse and build."""

    installed: Installed
    graph: ModelGraph
    target: str
    shapes: dict[str, tuple[int, ...]]
    names: Mapping[str, str]
    level: int | None
    report: Callable[[Progress], object]
    control: BuildControl
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
        self.report(Progress("Parse"))
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
        if self.level is not None:
            config.builder_optimization_level = self.level
        raise_if_stopped = self.control.raise_if_cancelled
        if self.installed.has.progress_monitor:
            config.progress_monitor, raise_if_stopped = make_monitor(trt, self.report, self.control.raise_if_cancelled)
        self.report(Progress("Build"))
        self.control.raise_if_cancelled()
        memory = builder.build_serialized_network(network, config)
        raise_if_stopped()
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
        if self.built and not self.installed.is_rtx and self.level is not None and self.level < TENSORRT_OWN_LEVEL:
            yield (
                f"Built at level {self.level}, where TensorRT looks less long for fast kernels: it may take others at "
                f"{TENSORRT_OWN_LEVEL}, its own choice (--level {TENSORRT_OWN_LEVEL}: minutes instead of seconds)."
            )
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
