"""Whatever a user has at hand -> the source that fits it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trtcal_widgets.common.arguments import is_folder, to_path
from trtcal_widgets.common.words import did_you_mean
from trtcal_widgets.data.around import NamedSources, halved
from trtcal_widgets.data.array_files import ArrayFolder, holds_samples
from trtcal_widgets.data.arrays import ArrayBatches
from trtcal_widgets.data.base import ONLY_INPUT, Source
from trtcal_widgets.data.batch_files import BatchFiles, find_batch_files
from trtcal_widgets.data.files import IMAGE_SUFFIXES
from trtcal_widgets.data.idx import IdxImages, looks_like_idx
from trtcal_widgets.data.images import ImageFolder
from trtcal_widgets.data.iterables import IterableBatches
from trtcal_widgets.data.lists import is_list
from trtcal_widgets.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trtcal_widgets.model.graph import ModelGraph, TensorInfo


def as_source(data: Any, **options: Any) -> Source:
    """Return ``data`` as a batch source.

    Parameters
    ----------
    data
        A source (returned as it is); the path of a folder of images, of ``.npy`` or ``.npz`` files with a sample
        each, or of TensorRT sample batch files, of a ``.txt`` file that lists images, of a ``.npy``, ``.npz`` or IDX
        file; an array or tensor; a mapping of input name to array, or to a source or path of its own; or an iterable
        of batches.
    **options
        Passed on to the source that fits: see :class:`ImageFolder`, :class:`IdxImages`, :class:`ArrayBatches`,
        :class:`ArrayFolder`, :class:`BatchFiles` and :class:`IterableBatches`. An option that the source does not have
        is an error.

    Raises
    ------
    DataError
        If a path is missing or holds nothing that can be read.
    UsageError
        If ``data`` is nothing of the above, or an option does not fit it.
    """
    if _is_named(data):
        return NamedSources({name: as_source(one, **options) for name, one in data.items()})
    if isinstance(data, type):
        raise UsageError(f"{data.__name__} is a class; give an object of it")
    if isinstance(data, Source):
        if options:
            raise UsageError(f"{_keywords(options)}: set this on the {type(data).__name__} itself")
        return data
    is_path = isinstance(data, (str, os.PathLike))
    return _made(_maker_of_path(_path(data)) if is_path else _maker(data), data, options)


def _path(data: Any) -> Path:
    """Return the path of data: an empty text is none, and not the folder that one is in."""
    return to_path(data, "calibration data", DataError)


def _made(make: Callable[..., Source], data: Any, options: Mapping[str, Any]) -> Source:
    known = inspect.signature(make).parameters
    strange = {key: value for key, value in options.items() if key not in known}
    if strange:
        raise UsageError(f"{_keywords(strange)} does not go with {make.__name__}, which is what {_short(data)} needs")
    source: Source = make(data, **options)
    return source


def _is_named(data: Any) -> bool:
    """Whether data are a source or a path for each input, not an array for each."""
    return isinstance(data, Mapping) and any(isinstance(one, (str, os.PathLike, Source)) for one in data.values())


def _maker_of_path(path: Path) -> Callable[..., Source]:
    suffix = path.suffix.lower()
    folder = is_folder(path, DataError)
    if folder:
        if find_batch_files(path):
            return BatchFiles
        return ArrayFolder if holds_samples(path) else ImageFolder
    if folder is None:
        raise DataError(f"There is no file or folder {path}; check the path")
    if suffix in (".npy", ".npz"):
        return ArrayBatches
    if looks_like_idx(path):
        return IdxImages
    if is_list(path):
        return ImageFolder
    hint = "an image: give the folder that holds the images" if suffix in IMAGE_SUFFIXES else "none of them"
    raise DataError(
        f"{path} cannot be used as calibration data: a folder of images, a .txt file that "
        f"lists them, a .npz, .npy or IDX file is needed, and it "
        f"is {hint}"
    )


def _maker(data: Any) -> Callable[..., Source]:
    if isinstance(data, Mapping) or hasattr(data, "__array__"):
        return ArrayBatches
    if data is None or isinstance(data, (int, float, bytes)):
        raise UsageError(
            f"{_short(data)} is no calibration data; give arrays, a folder of images, a .npz, .npy or IDX file, or "
            "an iterable of batches"
        )
    if isinstance(data, (list, tuple)) and data and isinstance(data[0], (str, os.PathLike)):
        raise UsageError(f"a {type(data).__name__} of paths is not read; give the folder (ImageFolder has pattern=)")
    return IterableBatches


def _keywords(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in options.items())


def _short(data: Any) -> str:
    return repr(str(data)) if isinstance(data, (str, os.PathLike)) else f"an object of type {type(data).__name__}"


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
    if _is_named(data):
        unknown = [name for name in data if name not in [tensor.name for tensor in graph.inputs]]
        if unknown:
            raise _no_input(graph, unknown[0], repr(unknown[0]))
        found = {name: source_for_model(one, graph, input_name=name, **options) for name, one in data.items()}
        return NamedSources(found)
    if isinstance(data, Source):
        return as_source(data, **options)
    if input_name is not None:
        options["name"] = _input(graph, input_name).name
    if not isinstance(data, (str, os.PathLike)):
        return as_source(data, **options)
    make = _maker_of_path(_path(data))  # looks through a folder, which takes its time where it holds a million files
    fed = _image_input(graph, input_name) if make in (ImageFolder, ArrayFolder) else None
    if make is ImageFolder and fed is not None:
        options = _image_options(fed, options.get("layout")) | options
    source = _made(make, data, options)
    if isinstance(source, ArrayFolder) and "batch_axis" not in options:
        ranks = {tensor.name: None if tensor.shape is None else len(tensor.shape) for tensor in graph.inputs}
        ranks[ONLY_INPUT] = None if fed is None else ranks[fed.name]
        source.fit(ranks)
    return halved(source, graph)


def _input(graph: ModelGraph, name: str) -> TensorInfo:
    if name not in [known.name for known in graph.inputs]:
        raise _no_input(graph, name, f"input={name!r}")
    return graph.tensor(name)


def _no_input(graph: ModelGraph, name: str, shown: str) -> UsageError:
    inputs = [known.name for known in graph.inputs]
    has = ", ".join(map(repr, inputs))
    return UsageError(f"{shown} is no input of {graph.name}, which has {has}{did_you_mean(name, inputs)}")


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
    if tensor.dtype == "float16":
        options["dtype"] = "float16"
    elif tensor.dtype == "uint8":  # normalised inside
        options |= {"dtype": "uint8", "scale": 1.0}
    if channels == 1:
        options["color"] = "gray"
    return options
