"""The rows of a scale file against a model's tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.formats.compare import compare_with_names
from trtcal_widgets.formats.header import constant_row
from trtcal_widgets.model.graph import TensorKind

if TYPE_CHECKING:
    from trtcal_widgets.formats.compare import NameComparison, ScaleFile
    from trtcal_widgets.model.graph import ModelGraph


def constants_of(graph: ModelGraph) -> tuple[str, ...]:
    """Return the constants that TensorRT calibrates (see :mod:`~trtcal_widgets.model.kinds`), under a name of its own.

    A constant is not among them where another tensor of the model has the name of its row
    (:func:`~trtcal_widgets.formats.header.constant_row`): that row is the other tensor's.
    """
    return tuple(
        name
        for name in graph.calibrated
        if graph.tensors[name].kind is TensorKind.CONSTANT and constant_row(name) not in graph.tensors
    )


def compare_with_model(file: ScaleFile, graph: ModelGraph) -> NameComparison:
    """Match the rows of a file with a model's tensors; a constant may have its row under TensorRT 10's name.

    ``file``: a calibration cache or another file of scales.
    """
    return compare_with_names(
        file,
        graph.calibrated,
        also_known=graph.tensors,
        constants=constants_of(graph),
        layers=[node.name for node in graph.nodes],
    )
