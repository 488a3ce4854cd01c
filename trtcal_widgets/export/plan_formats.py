"""A precision plan in the words of other tools.

TensorRT up to 10 takes layer precisions (``trtexec``, Polygraphy, the Python API); TensorRT 11 takes only a Q/DQ model,
which :mod:`trtcal_widgets.export.qdq` makes of a plan, or ModelOpt, which is told which nodes to leave out. What each
tool does with odd names was read from its public source: ``docs/qdq.md``.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trtcal_widgets.errors import ExportError
from trtcal_widgets.export.qdq.scales import shared_amax
from trtcal_widgets.formats.header import row_of
from trtcal_widgets.formats.scales import scale_of_amax
from trtcal_widgets.model.kinds import is_default_domain
from trtcal_widgets.model.rows import constants_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trtcal_widgets.formats.cache import CalibrationCache
    from trtcal_widgets.model.graph import ModelGraph, NodeInfo
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.model.plan import PrecisionPlan

__all__ = [
    "PlanArguments",
    "PlanCache",
    "cache_for_plan",
    "modelopt_nodes_to_exclude",
    "polygraphy_arguments",
    "python_snippet",
    "trtexec_arguments",
]

_TRT_NAMES = {"fp16": "float16", "fp32": "float32"}


@dataclass(frozen=True)
class PlanArguments:
    """Arguments of a command line tool.

    Attributes
    ----------
    arguments
        One string per argument, not quoted for a shell.
    notes
        Layers that the tool cannot be told of, and other things to know.
    """

    arguments: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def command(self, *program: str) -> str:
        """Return a line for a POSIX shell: ``command("trtexec", "--onnx=model.onnx")``."""
        return shlex.join([*program, *self.arguments])


@dataclass(frozen=True)
class PlanCache:
    """A calibration cache for a plan.

    Attributes
    ----------
    cache
        The cache.
    dropped
        Tensors whose rows were left out.
    also_affected
        Layers that the plan does not keep and that lose INT8 too, because they read one of these tensors.
    """

    cache: CalibrationCache
    dropped: tuple[str, ...] = ()
    also_affected: tuple[str, ...] = ()


def cache_for_plan(
    plan: PrecisionPlan, cache: CalibrationCache, graph: ModelGraph, *, drop_rows: bool = False
) -> PlanCache:
    """Put a plan's thresholds into a calibration cache, and its kept layers where nothing else can be told.

    A cache has no place for precisions: use it together with :func:`trtexec_arguments` or the like. Where only the
    cache can be changed, ``drop_rows`` leaves out the rows of what the kept layers make. TensorRT then warns "Missing
    scale and zero-point" and cannot compute these tensors in INT8. That reaches further than the plan: whoever reads
    such a tensor has no INT8 input any more. It is named in ``also_affected``.

    Parameters
    ----------
    plan
        The plan.
    cache
        The cache to change; rows that are not concerned stay byte for byte.
    graph
        The model's facts.
    drop_rows
        Leave out the rows of the kept layers' outputs, and of the activations that are fused into them.

    Raises
    ------
    ModelError
        If the plan is another model's.
    ExportError
        If no row would be left.
    """
    kept = plan.nodes(graph)
    amax = shared_amax(graph, plan.amax)
    constants = frozenset(constants_of(graph))
    rows = {name: row_of(name, cache.scales) if name in constants else name for name in amax}
    scales = {row: float(scale_of_amax(amax[name])) for name, row in rows.items() if row in cache.scales}
    added = {name: float(scale_of_amax(v)) for name, v in plan.amax.items() if rows[name] not in cache.scales}
    changed = cache.with_scales({**scales, **added}, add_missing=True) if amax else cache
    if not drop_rows:
        return PlanCache(changed)
    made = dict.fromkeys(name for node in kept for name in _fused_outputs(graph, node))
    dropped = tuple(name for name in made if name in changed.scales)
    if len(dropped) == len(changed.scales):
        raise ExportError("the plan keeps every layer that has a row: nothing would be left of the cache")
    names = {node.name for node in kept}
    affected = dict.fromkeys(
        graph.nodes[index].name
        for name in dropped
        for index in graph.tensors[name].consumers
        if graph.nodes[index].name not in names and graph.nodes[index].outputs[0] not in made
    )
    return PlanCache(changed.without(dropped) if dropped else changed, dropped, tuple(affected))


_FUSED = frozenset({"Add", "BatchNormalization", "Clip", "LeakyRelu", "Mul", "Relu", "Sigmoid"})


def _fused_outputs(graph: ModelGraph, node: NodeInfo) -> Iterable[str]:
    """Yield what a layer makes, and what TensorRT computes in the same kernel: activations that alone read it."""
    for output in filter(None, node.outputs):
        name = output
        while True:
            tensor = graph.tensors[name]
            if tensor.is_float:
                yield name
            if len(tensor.consumers) != 1 or tensor.is_output:
                break
            after = graph.nodes[tensor.consumers[0]]
            moving = [one for one in after.inputs if one and not graph.tensors[one].is_fixed]
            if after.op_type not in _FUSED or not is_default_domain(after.domain) or len(moving) != 1:
                break
            name = after.outputs[0]


def _named(plan: PrecisionPlan, model: OnnxModel) -> tuple[list[NodeInfo], list[NodeInfo]]:
    """Return the kept nodes with a name of their own in the file, and those without one."""
    times = Counter(proto.name for proto in model.proto.graph.node if proto.name)
    named = {proto.output[0] for proto in model.proto.graph.node if times[proto.name] == 1 and proto.output}
    kept = plan.nodes(model.graph)
    return [n for n in kept if n.outputs[0] in named], [n for n in kept if n.outputs[0] not in named]


def _nameless_note(nodes: list[NodeInfo]) -> tuple[str, ...]:
    if not nodes:
        return ()
    shown = ", ".join(f"{node.name!r}" for node in nodes[:3]) + (", …" if len(nodes) > 3 else "")
    have = "kept layer has no name of its own" if len(nodes) == 1 else "kept layers have no name of their own"
    note = (
        f"{len(nodes)} {have} in the model file ({shown}): TensorRT gives such layers others. "
        "Use the Python snippet, which finds layers by the tensors that they make, or name the nodes"
    )
    return (note,)


def _flags(plan: PrecisionPlan) -> list[str]:
    return ["--int8", *(["--fp16"] if plan.precision == "fp16" else [])]


def trtexec_arguments(plan: PrecisionPlan, model: OnnxModel) -> PlanArguments:
    """Return trtexec's arguments for a plan (TensorRT 8.4 to 10; TensorRT 11 has none of them).

    trtexec splits the list at each comma, a pair at its last colon, drops single quotes, and takes the first ``*`` of
    a name as "anything". So a colon in a name needs no care, and a name with a comma or a single quote is written with
    ``*`` in its place, if that means no other layer.

    Parameters
    ----------
    plan
        The plan.
    model
        The model that it is for.

    Raises
    ------
    ModelError
        If the plan is another model's.
    """
    named, nameless = _named(plan, model)
    every = [node.name for node in model.graph.nodes]
    pairs, notes = [], list(_nameless_note(nameless))
    for node in named:
        pattern = _trtexec_pattern(node.name)
        caught = [name for name in every if name != node.name and _one_wildcard(pattern, name)]
        if caught and pattern != node.name:
            notes.append(
                f"{node.name!r} cannot be named to trtexec: {pattern!r} would also keep {caught[0]!r}. Use the "
                "Python snippet"
            )
            continue
        pairs.append(f"{pattern}:{plan.precision}")
    arguments = _flags(plan)
    if pairs:
        listed = ",".join(pairs)
        arguments += ["--precisionConstraints=obey", f"--layerPrecisions={listed}", f"--layerOutputTypes={listed}"]
    return PlanArguments(tuple(arguments), tuple(notes))


def _trtexec_pattern(name: str) -> str:
    """Return a name for trtexec's list: from the first to the last character that it cannot hold becomes ``*``."""
    odd = [index for index, character in enumerate(name) if character in ",'"]
    return name if not odd else f"{name[: odd[0]]}*{name[odd[-1] + 1 :]}"


def _one_wildcard(pattern: str, name: str) -> bool:
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern == name
    return len(name) >= len(head) + len(tail) and name.startswith(head) and name.endswith(tail)


def polygraphy_arguments(plan: PrecisionPlan, model: OnnxModel) -> PlanArguments:
    """Return Polygraphy's arguments for a plan (TensorRT 8.4 to 10).

    Polygraphy splits each argument at its last colon and compares names exactly, so every name can be given. It
    sets the precision that a layer computes in, but not its output type: for that use :func:`python_snippet` as
    ``--trt-network-postprocess-script``.
    """
    named, nameless = _named(plan, model)
    arguments = _flags(plan)
    if named:
        precision = _TRT_NAMES[plan.precision]
        arguments += ["--precision-constraints", "obey", "--layer-precisions"]
        arguments += [f"{node.name}:{precision}" for node in named]
    return PlanArguments(tuple(arguments), _nameless_note(nameless))


def modelopt_nodes_to_exclude(plan: PrecisionPlan, model: OnnxModel) -> tuple[str, ...]:
    """Return patterns for ModelOpt's ``nodes_to_exclude``: it takes regular expressions and matches from the start.

    Raises
    ------
    ExportError
        If a kept node has no name in the model file: ModelOpt sees only names.
    """
    named, nameless = _named(plan, model)
    if nameless:
        raise ExportError(
            _nameless_note(nameless)[0].split(":")[0] + ": name the nodes first, ModelOpt sees only names"
        )
    return tuple(dict.fromkeys(re.escape(node.name) + r"\Z" for node in named))


_SNIPPET = '''\
"""Keep layers in higher precision: made from a precision plan, for TensorRT 8.4 to 10.

    network = builder.create_network(...)   # parse the ONNX model into it, then:
    postprocess(network)
    config.set_flag(trt.BuilderFlag.INT8)
{flag}    config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)

Polygraphy takes this file as --trt-network-postprocess-script. TensorRT 11 has no layer precisions: there, export the
plan as a Q/DQ model.
"""

import tensorrt as trt

PRECISION = trt.{precision}

# Names of layers, and of the tensors that they make: TensorRT renames layers that have no name in the model.
LAYERS = {layers}
TENSORS = {tensors}


def postprocess(network):
    kept = set()
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        outputs = [layer.get_output(i) for i in range(layer.num_outputs)]
        names = {{tensor.name for tensor in outputs if tensor is not None}}
        if layer.name not in LAYERS and not names & TENSORS:
            continue
        types = [None if tensor is None else tensor.dtype for tensor in outputs]
        floats = [i for i, dtype in enumerate(types) if dtype in (trt.float32, trt.float16)]
        if not floats:
            continue
        layer.precision = PRECISION
        for i in floats:
            layer.set_output_type(i, PRECISION)
        kept |= names & TENSORS
    for name in sorted(TENSORS - kept):
        print("no layer of the network makes", repr(name))
'''


def python_snippet(plan: PrecisionPlan, model: OnnxModel) -> str:
    """Return a Python module whose ``postprocess(network)`` applies a plan (TensorRT 8.4 to 10, or Polygraphy).

    Any name can be given: it is written as a Python literal in ASCII.
    """
    named, nameless = _named(plan, model)
    tensors = [name for node in (*named, *nameless) for name in node.outputs if name]
    return _SNIPPET.format(
        flag="    config.set_flag(trt.BuilderFlag.FP16)\n" if plan.precision == "fp16" else "",
        precision=_TRT_NAMES[plan.precision],
        layers=_literal(node.name for node in named),
        tensors=_literal(tensors),
    )


def _literal(names: Iterable[str]) -> str:
    lines = "".join(f"    {name!a},\n" for name in dict.fromkeys(names))
    return f"{{\n{lines}}}" if lines else "set()"
