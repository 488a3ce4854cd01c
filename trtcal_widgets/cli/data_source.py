"""From DATA and the image options of ``trtcal calibrate`` to a batch source."""

from __future__ import annotations

import argparse
import math
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trtcal_widgets.data.base import Source
    from trtcal_widgets.model.graph import ModelGraph

_DEFAULT_BATCH = 32
_IMAGE_OPTIONS = ("size", "resize", "short_side", "mean", "std", "scale", "color", "layout")


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how images become arrays."""
    parser.add_argument(
        "--sample-axis",
        type=_axes,
        default=0,
        metavar="AXIS",
        help="where samples are in .npy and .npz files: 1 for time-major sequences, none where a file is one feed, or "
        "by input: x=1,h0=none; default: 0",
    )
    parser.add_argument(
        "--also",
        type=named_path,
        action="append",
        default=[],
        metavar="NAME=DATA",
        help="data of another input: with --input l, --also r=right/ feeds two folders of images side by side; may be "
        "given several times",
    )
    group = parser.add_argument_group("images", "How images are fed: (pixel * scale - mean) / std.")
    group.add_argument("--size", type=_size, metavar="HxW", help="height and width; default: the model's")
    group.add_argument("--resize", choices=("stretch", "crop", "letterbox"), help="how images come to that size")
    group.add_argument(
        "--short-side", type=count, metavar="N", help="with --resize crop: scale the shorter side to this first"
    )
    group.add_argument("--mean", type=_numbers, metavar="R,G,B", help="one number, or one per channel")
    group.add_argument("--std", type=_numbers, metavar="R,G,B", help="one number, or one per channel")
    group.add_argument("--scale", type=_fraction, metavar="FACTOR", help="such as 1/255 (the default) or 1")
    group.add_argument(
        "--color",
        choices=("RGB", "BGR", "gray"),
        help="order of the channels; default: RGB, or gray where the model has one channel",
    )
    group.add_argument("--layout", choices=("NCHW", "NHWC"), help="order of the axes; default: the model's")
    group.add_argument(
        "--skip-unreadable", action="store_true", help="leave out images that cannot be read, instead of stopping"
    )


def check_order(command: str, first: str, *others: str) -> None:
    """Refuse a model that was not given first: raises UsageError with the order that was meant."""
    from trtcal_widgets.model.explicit.table import is_onnx

    if is_onnx(first):
        return
    models = [path for path in others if is_onnx(path) and Path(path).is_file()]
    if models:
        rest = [path for path in (first, *others) if path != models[0]]
        meant = " ".join(map(shlex.quote, ["trtcal", command, models[0], *rest]))
        raise UsageError(f"the model comes first, then the data; did you mean {meant}?")


def named_path(text: str) -> tuple[str, Path]:
    """Read the data of an input: an argument's type."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DATA, an input and its data")
    return name, Path(path)


def _axes(text: str) -> object:
    """Read where samples are: an axis, ``none``, or either by input name."""
    named: dict[str, int | None] = {}
    for part in text.split(",") if "=" in text else ():
        name, _, axis = part.rpartition("=")
        named[name.strip()] = _axis(axis)
    return named or _axis(text)


def _axis(text: str) -> int | None:
    if text.strip().lower() == "none":
        return None
    if re.fullmatch(r"-?[0-9]{1,2}", text.strip()):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither an axis (0, 1, …) nor none; by input: x=1,h0=none")


def open_source(data: str, options: argparse.Namespace, graph: ModelGraph) -> Source:
    """Open DATA: a folder of images or of TensorRT sample batches, an ``.npy`` or ``.npz`` file, or an IDX file.

    Raises DataError if it is none of them or cannot be read; UsageError if an image option is given for data that is no
    images.
    """
    from trtcal_widgets.data import source_for_model

    given = {name: value for name in _IMAGE_OPTIONS if (value := getattr(options, name)) is not None}
    if options.skip_unreadable:
        given["on_error"] = "skip"
    if options.sample_axis != 0:
        given["sample_axis"] = options.sample_axis
    if not options.also:
        return source_for_model(Path(data), graph, input_name=options.input, **given)
    if options.input is None:
        raise UsageError("--also is for a further input: say with --input which one the first data are for")
    named = {options.input: Path(data), **dict(options.also)}
    if len(named) <= len(options.also):
        raise UsageError("an input is named twice by --input and --also: each has data once")
    return source_for_model(named, graph, **given)


def files_read(options: argparse.Namespace) -> list[str]:
    """Return the paths that a command's options name besides its own arguments: no output may be one of them."""
    named = [*getattr(options, "also", ()), *getattr(options, "eval_also", ())]
    others = [getattr(options, name, None) for name in ("placement", "timing_cache")]
    return [*(str(path) for _, path in named), *getattr(options, "leave_out", ()), *(one for one in others if one)]


def default_batch_size(graph: ModelGraph, sample_axis: Any = 0) -> int:
    """Return the batch size that the model's inputs fix, or 32; 1 where the data are one feed."""
    if sample_axis is None:
        return 1
    axes = {t.name: sample_axis.get(t.name) if isinstance(sample_axis, dict) else sample_axis for t in graph.inputs}
    sizes = [
        tensor.shape[axis]
        for tensor in graph.inputs
        if tensor.shape and (axis := axes[tensor.name]) is not None and -len(tensor.shape) <= axis < len(tensor.shape)
    ]
    fixed = [size for size in sizes if isinstance(size, int)]
    return fixed[0] if fixed and fixed[0] > 0 else _DEFAULT_BATCH


def count(text: str) -> int:
    """Read a whole number of at least 1: an argument's type."""
    if re.fullmatch(r"\+?0*[1-9][0-9]{0,8}", text.strip()):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")


def share(text: str) -> float:
    """Read a share greater than 0 and at most 1: an argument's type."""
    return share_within(text, lambda value: 0 < value <= 1, "greater than 0 and at most 1, such as 0.99")


def share_within(text: str, fits: Callable[[float], bool], wanted: str) -> float:
    """Read a share, also one in %; ``wanted``: the words for those that fit."""
    number, percent, rest = text.strip().partition("%")
    try:
        value = math.nan if rest else float(number) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if fits(value):
        return value
    hint = f"; {number} % is {value / 100:g}" if not percent and value >= 1 and fits(value / 100) else ""
    raise argparse.ArgumentTypeError(f"{text!r} is not a share {wanted}{hint}")


def loss_bar(text: str) -> float:
    """Read a number of dB greater than 0: an argument's type."""
    try:
        value = float(text.strip().lower().removesuffix("db"))
    except ValueError:
        value = math.nan
    if 0 < value < math.inf:
        return value
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of dB greater than 0, such as 0.5")


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9][0-9]{0,5})(?:[xX,*]([1-9][0-9]{0,5}))?", text.strip())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size in pixels: write height x width, such as 224x224")
    return int(match[1]), int(match[2] or match[1])


def _numbers(text: str) -> tuple[float, ...]:
    parts = [part for part in re.split(r"[,\s]+", text.strip("[]() ")) if part]
    if not parts:
        raise argparse.ArgumentTypeError("expected a number, or numbers with commas between, such as 0.485,0.456,0.406")
    return tuple(_fraction(part) for part in parts)


def _fraction(text: str) -> float:
    over, slash, under = text.partition("/")
    try:
        return float(over) / float(under) if slash else float(over)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number; write 0.0039 or 1/255") from None
