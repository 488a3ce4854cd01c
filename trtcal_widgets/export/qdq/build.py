"""Explicit quantisation: an ONNX model with QuantizeLinear and DequantizeLinear, made from calibrated scales.

This is the road from a calibration cache of TensorRT up to 10 to TensorRT 11, which has no calibrators, and the model
that the INT8 simulation runs. ``docs/qdq.md`` says what goes where and why.

>>> result = build_qdq("model.onnx", read_scale_file("calibration.cache"))  # doctest: +SKIP
>>> result.write("model.qdq.onnx")  # doctest: +SKIP
>>> print(result.report.to_text())  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import kind_of
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.export.qdq.decide import decide, foreign_nodes
from trtcal_widgets.export.qdq.decision import Decision
from trtcal_widgets.export.qdq.formats import find_format
from trtcal_widgets.export.qdq.insert import Pair, insert_pairs
from trtcal_widgets.export.qdq.passes.already import quantized_before
from trtcal_widgets.export.qdq.placement import PLACEMENTS, as_placement, name_of, place, quantized_inputs
from trtcal_widgets.export.qdq.refusals import nothing_left, nothing_to_quantise
from trtcal_widgets.export.qdq.report import LeftNode, MissingScale, QdqReport, QuantizedTensor, UnusedRow
from trtcal_widgets.export.qdq.rows import check_match, match_rows, unused_rows
from trtcal_widgets.export.qdq.scales import rows_of
from trtcal_widgets.export.qdq.upgrade import HALF_OPSET, upgraded
from trtcal_widgets.export.qdq.weights import WeightScales
from trtcal_widgets.export.qdq.write import signed, write_model
from trtcal_widgets.model.dimensions import name_dimensions, words_of_dimensions
from trtcal_widgets.model.kinds import is_default_domain
from trtcal_widgets.model.load import OnnxModel, load_model
from trtcal_widgets.model.plan import PrecisionPlan
from trtcal_widgets.model.rows import with_tensor_names
from trtcal_widgets.model.tap import MAX_PROTO_BYTES
from trtcal_widgets.runners.inputs import Inputs

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from onnx import ModelProto

    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.trt.check import CheckReport
    from trtcal_widgets.trt.control import Progress

__all__ = [
    "PLACEMENTS",
    "LeftNode",
    "MissingScale",
    "QdqBuilder",
    "QdqReport",
    "QdqResult",
    "QuantizedTensor",
    "UnusedRow",
    "build_qdq",
    "qdq_bytes",
    "quantized_inputs",
]


@dataclass(frozen=True, eq=False)
class QdqResult:
    """A model with Q/DQ, in memory.

    Attributes
    ----------
    proto
        onnx's ModelProto. Its external data, if it has some, lie in :attr:`folder`: :meth:`write` copies them.
    folder
        The folder of the model that it was made from.
    report
        What became of every tensor, row and layer.
    inputs
        The files that it was made from: :meth:`write` replaces none of them.
    """

    proto: ModelProto
    folder: Path
    report: QdqReport
    inputs: Inputs = field(default_factory=Inputs)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()

    def _repr_markdown_(self) -> str:
        return self.report._repr_markdown_()

    def to_bytes(self) -> bytes:
        """Serialise the model; external data are referred to, relative to :attr:`folder`.

        Raises
        ------
        ExportError
            If it exceeds protobuf's 2 GB: :meth:`write` it instead.
        """
        if self.proto.ByteSize() > MAX_PROTO_BYTES:
            raise ExportError(f"{self.report.model} with Q/DQ exceeds 2 GB: write it to a file instead")
        data: bytes = self.proto.SerializeToString()
        return data

    def write(self, path: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Write the model, and its external data beside it as ``<name>.<hash>.data``; return the files.

        Raises
        ------
        ExportError
            If a file cannot be written; an old one is left as it was.
        """
        return write_model(self.proto, self.folder, path, self.inputs)

    def check(
        self,
        *,
        builder: str = "auto",
        target: str = "SM89",
        shapes: Mapping[str, Sequence[int]] | None = None,
        level: int | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> CheckReport:
        """Parse and build the model with NVIDIA's builder, and say what became of each layer and pair.

        Parameters
        ----------
        builder
            ``"tensorrt"``, ``"rtx"`` (TensorRT for RTX, which builds without a GPU), or ``"auto"``.
        target
            The GPU generation that TensorRT for RTX builds for.
        shapes
            Input -> shape, for inputs whose shape the model leaves open.
        level
            How long TensorRT looks for fast kernels, 0 to 5; None: 0, which takes seconds instead of minutes.
        progress
            Called about ten times a second with what the builder is at.

        Raises
        ------
        MissingDependencyError
            If neither is installed: ``pip install 'trtcal_widgets[rtx]'``.
        DeviceError, UsageError
            See :func:`trtcal_widgets.trt.check.check_model`.
        """
        from trtcal_widgets.trt.check import check_proto

        return check_proto(
            self.proto, self.folder, self.report.model,
            builder=builder, target=target, shapes=shapes, level=level, progress=progress,
        )  # fmt: skip


def build_qdq(
    model: OnnxModel | str | os.PathLike[str],
    scales: Any,
    *,
    placement: Any = "recommended",
    plan: PrecisionPlan | None = None,
    only: Collection[str] | None = None,
    force: bool = False,
    format: str = "int8",  # noqa: A002 - what it is called everywhere
) -> QdqResult:
    """Make a model with Q/DQ.

    Parameters
    ----------
    model
        A loaded model or its path. It is not changed.
    scales
        Tensor name -> scale; the path of a calibration cache or of any other file of scales or ranges; what
        ``read_scale_file`` gives; or a session.
    placement
        ``"recommended"``; ``"implicit"``: less what TensorRT's implicit INT8 leaves in floating point;
        ``"weights-only-inputs"``: only the inputs and weights of Conv, ConvTranspose, Gemm and MatMul; or what an
        engine ran in INT8, so that the explicit engine does as it did: ``trt.layer_precisions(engine, model)``, a dict
        of node name -> ``"int8"``, or a file (of these, or of ``trtexec --exportLayerInfo``).
    plan
        Layers to keep in higher precision, and thresholds that replace those of ``scales``.
    only
        Names of the nodes that may be quantised, for looking at layers one by one; None for all.
    force
        Take scales although most of their names are not in the model, and add pairs to a model that already has some.
    format
        What values are quantised to: ``"int8"``, or ``"fp8"`` (E4M3): the same thresholds and places, scale = amax /
        448, opset 19. Operators that TensorRT has no FP8 kernel for are left, and the report says so.

    Returns
    -------
    QdqResult
        The model and the report. A model that already has Q/DQ comes back unchanged, and the report says so.

    Raises
    ------
    ExportError
        If the scales are another model's, nothing could be quantised, or the opset cannot be upgraded.
    ModelError
        If the model cannot be read, or the plan names layers that it does not have.
    UsageError
        For an unknown placement or format, or something that holds no scales.
    """
    return QdqBuilder(model, scales, placement=placement, force=force, format=format).build(plan=plan, only=only)


def qdq_bytes(model: OnnxModel | str | os.PathLike[str], scales: Any, **options: Any) -> bytes:
    """Return the serialised model of :func:`build_qdq`, which takes the same arguments, for an inference session."""
    return build_qdq(model, scales, **options).to_bytes()


class QdqBuilder:
    """Makes many Q/DQ models of one model and one set of scales: what does not change is computed once.

    Parameters
    ----------
    model, scales, placement, force, format
        As in :func:`build_qdq`.
    """

    def __init__(
        self,
        model: OnnxModel | str | os.PathLike[str],
        scales: Any,
        *,
        placement: Any = "recommended",
        force: bool = False,
        format: str = "int8",  # noqa: A002 - what it is called everywhere
    ) -> None:
        self.model = model if isinstance(model, OnnxModel) else load_model(model)
        self.placement = as_placement(placement, self.model.graph)
        self.format = find_format(format)
        self._inputs = Inputs.of((self.model.path,))
        self._force = force
        self._rows = rows_of(scales)
        self._match = match_rows(self._rows, self.graph)
        self._scales = with_tensor_names(self._rows, self.graph)
        if not (force or self._is_explicit):
            check_match(self._match, self._rows, self.graph)
        self._weights = WeightScales(self.model, self.format.levels)
        self._bases: dict[int, tuple[ModelProto, tuple[str, ...]]] = {}

    @property
    def graph(self) -> ModelGraph:
        """The model's facts."""
        return self.model.graph

    @cached_property
    def _sites(self) -> Any:
        return place(self.graph, self.placement)

    @cached_property
    def _already(self) -> Mapping[int, str]:
        return quantized_before(self.graph)

    @property
    def _is_explicit(self) -> bool:
        return bool(self._already)

    def build(self, *, plan: PrecisionPlan | None = None, only: Collection[str] | None = None) -> QdqResult:
        """Make the model with Q/DQ for one plan; arguments, result and errors as in :func:`build_qdq`."""
        if plan is not None and not isinstance(plan, PrecisionPlan):
            raise UsageError(f"plan is a PrecisionPlan (PrecisionPlan.load(path) reads one), not {kind_of(plan)}")
        plan = plan or PrecisionPlan()
        if self._is_explicit and not self._force:
            return self._unchanged()
        decision = decide(
            self.graph, self._sites, self._scales, self._weights, plan=plan, already=self._already, only=only,
            format=self.format,
        )  # fmt: skip
        self._refuse_nothing(decision, plan, only)
        pairs = _pairs(self.graph, decision)
        half = any(pair.dtype == "float16" for pair in pairs)
        proto, notes = self._base(HALF_OPSET if half else self.format.opset)
        names = insert_pairs(signed(proto), pairs, self.format)
        if self._left_to_floats:
            notes = (*notes, self._nothing_placed())
        quantized = tuple(_quantized(self.graph, pair, name, decision) for pair, name in zip(pairs, names, strict=True))
        report = self._report(proto, decision, quantized, self._noted(notes))
        return QdqResult(proto, self.model.path.parent, report, self._inputs)

    def _noted(self, notes: tuple[str, ...]) -> tuple[str, ...]:
        return (*notes, self.format.note) if self.format.note else notes

    def _base(self, opset: int) -> tuple[ModelProto, tuple[str, ...]]:
        """Return a fresh copy of the model in at least this opset, and what is to be said of it."""
        import onnx

        if opset not in self._bases:
            base, note = upgraded(self.model, opset)
            named = words_of_dimensions(name_dimensions(base))
            self._bases[opset] = base, tuple(filter(None, (note, named)))
        base, notes = self._bases[opset]
        copy = onnx.ModelProto()
        copy.CopyFrom(base)
        return copy, notes

    @property
    def _left_to_floats(self) -> bool:
        """Whether the placement leaves all layers in floating point that could be quantised: that is an answer."""
        return self.placement not in PLACEMENTS[:1] and not self._sites.sites and bool(quantized_inputs(self.graph))

    def _nothing_placed(self) -> str:
        whole = len(quantized_inputs(self.graph))
        return (
            f"this placement ({name_of(self.placement)}) quantises nothing here: TensorRT's implicit INT8 runs all "
            f"{whole} layers that could be in INT8 in floating point. placement='recommended' quantises them"
        )

    def _unchanged(self) -> QdqResult:
        import onnx

        copy = onnx.ModelProto()
        copy.CopyFrom(self.model.proto)
        note = (
            f"{self.graph.name} already has explicit quantisation ({len(self._already)} nodes of it): nothing was "
            "added. TensorRT takes the scales from it and ignores a calibration cache; `trtcal check` says whether it "
            "takes the model"
        )
        report = self._report(copy, Decision(), (), (note,))
        return QdqResult(copy, self.model.path.parent, report, self._inputs)

    def _refuse_nothing(self, decision: Decision, plan: PrecisionPlan, only: Collection[str] | None) -> None:
        if decision.active or plan or only is not None or self._force or self._left_to_floats:
            return
        if not self._sites.sites:
            raise ExportError(nothing_to_quantise(self.graph, foreign_nodes(self.graph, self.model.proto)))
        raise ExportError(nothing_left(self.graph, decision, self.format))

    def _report(
        self,
        proto: ModelProto,
        decision: Decision,
        quantized: tuple[QuantizedTensor, ...],
        notes: tuple[str, ...] = (),
    ) -> QdqReport:
        after = next(entry.version for entry in proto.opset_import if is_default_domain(entry.domain))
        return QdqReport(
            model=self.graph.name,
            placement=name_of(self.placement),
            opset_before=self.graph.opset,
            opset_after=after,
            rows=len(self._rows),
            matched=len(self._match.matched),
            synthetic=len(self._match.synthetic),
            quantized=quantized,
            unused=unused_rows(self._rows, self._match, self.graph, self._sites, decision),
            missing=decision.missing,
            kept=decision.kept,
            left=(*decision.left, *foreign_nodes(self.graph, self.model.proto)),
            already_quantized=tuple(self._already.values()),
            notes=notes,
            format=self.format.name,
        )


def _pairs(graph: ModelGraph, decision: Decision) -> list[Pair]:
    """Return one pair per tensor and axis, in graph order."""
    readers: dict[tuple[str, int], list[tuple[str, int]]] = {}
    dtypes: dict[tuple[str, int], str] = {}
    for index, sites in decision.active.items():
        output = next(name for name in graph.nodes[index].outputs if name)
        for site in sites:
            key = (site.tensor, decision.axes[index, site.position])
            readers.setdefault(key, []).append((output, site.position))
            dtypes[key] = site.dtype
    return [
        Pair(tensor, decision.scales[tensor, axis].values, axis, dtypes[tensor, axis], tuple(own))
        for (tensor, axis), own in readers.items()
    ]


def _quantized(graph: ModelGraph, pair: Pair, names: tuple[str, str], decision: Decision) -> QuantizedTensor:
    made_by = {output: graph.nodes[graph.tensors[output].producer].name for output, _ in pair.readers}
    scale = pair.scale.astype(pair.dtype)
    return QuantizedTensor(
        name=pair.tensor,
        quantized_name=names[0],
        dequantized_name=names[1],
        scale=float(scale.max()),
        axis=pair.axis,
        channels=int(scale.size),
        consumers=tuple(dict.fromkeys(made_by[output] for output, _ in pair.readers)),
        is_weight=graph.tensors[pair.tensor].kind.value in ("constant", "weight"),
        source=decision.scales[pair.tensor, pair.axis].source,
    )
