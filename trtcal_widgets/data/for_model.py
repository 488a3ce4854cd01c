"""Data for one model: what its input says about how images are fed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.data.batch_files import find_batch_files
from trtcal_widgets.data.coerce import as_source
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from trtcal_widgets.data.base import Source
    from trtcal_widgets.model.graph import ModelGraph, TensorInfo

__all__ = ["source_for_model"]


def source_for_model(data: Any, graph: ModelGraph, *, input_name: str | None = None, **options: Any) -> Source:
    """Return ``data`` as a batch source for a model.

    Where ``data`` is the path of a folder of images, what the user did not say is taken from the model's input:
    layout, size where the model fixes it, and gray where it has one channel. Everything else is
    :func:`~trtcal_widgets.data.as_source`.

    Parameters
    ----------
    data
        What :func:`~trtcal_widgets.data.as_source` takes.
    graph
        The model's facts.
    input_name
        The model input that the data are for; None for a model with one input, or data that carry names.
    **options
        Of the source that fits; they win over what the model says.

    Raises
    ------
    DataError, UsageError
        As :func:`~trtcal_widgets.data.as_source`; also if ``input_name`` is no input of the model.
    """
    if input_name is not None:
        options["name"] = _input(graph, input_name).name
    if _is_image_folder(data):
        fed = _image_input(graph, input_name)
        if fed is not None:
            options = _image_options(fed, options.get("layout")) | options
    return as_source(data, **options)


def _is_image_folder(data: Any) -> bool:
    if not isinstance(data, (str, os.PathLike)):
        return False
    path = Path(data)
    return path.is_dir() and not find_batch_files(path)


def _input(graph: ModelGraph, name: str) -> TensorInfo:
    tensor = graph.tensor(name)
    inputs = [known.name for known in graph.inputs]
    if name not in inputs:
        raise UsageError(f"input={name!r} is no input of {graph.name}, which has {', '.join(map(repr, inputs))}")
    return tensor


def _image_input(graph: ModelGraph, name: str | None) -> TensorInfo | None:
    """Return the input that the images go to; None where it is not clear."""
    if name is not None:
        return _input(graph, name)
    return graph.inputs[0] if len(graph.inputs) == 1 else None


def _image_options(tensor: TensorInfo, layout: str | None) -> dict[str, Any]:
    """Return what an input of four axes says about size, layout and colour; empty for other inputs."""
    shape = tensor.shape
    if shape is None or len(shape) != 4:
        return {}
    channels_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    layout = layout or ("NHWC" if channels_last else "NCHW")
    channels, height, width = (shape[3], shape[1], shape[2]) if layout == "NHWC" else shape[1:]
    options: dict[str, Any] = {"layout": layout}
    if isinstance(height, int) and isinstance(width, int):
        options["size"] = (height, width)
    if channels == 1:
        options["color"] = "gray"
    return options
