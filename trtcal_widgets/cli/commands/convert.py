"""``trtcal convert``: from any format of scales or ranges to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.commands.qdq import add_qdq_arguments, check_only_qdq, convert_to_qdq
from trtcal_widgets.cli.outputs import Output, check_outputs, table_kind
from trtcal_widgets.cli.registry import OK, Command
from trtcal_widgets.cli.scale_files import SCALE_FILE, open_scales
from trtcal_widgets.cli.terminal import note, print_file, say
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.words import count_of, printable, some_of
from trtcal_widgets.errors import ExportError, UsageError
from trtcal_widgets.formats.cache import KNOWN_ALGORITHMS, CalibrationCache
from trtcal_widgets.formats.detect import check_format
from trtcal_widgets.formats.reading import (
    CONVERT_TARGETS,
    convert,
    describe_format,
    scales_from_bytes,
    unusable_rows,
)
from trtcal_widgets.model.explicit.table import QdqTable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from trtcal_widgets.formats.reading import ScaleTable


_MOST_SAID = 5

NOT_TEXT = ("flatbuffers", "qdq")
"""Formats that only a file can hold."""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help=f"{SCALE_FILE}; recognised by its content")
    parser.add_argument(
        "-o", "--output", metavar="OUT", help="the file to write; without it a text format goes to stdout"
    )
    parser.add_argument(
        "--to",
        required=True,
        choices=(*CONVERT_TARGETS, "qdq"),
        help=(
            "cache: TensorRT's own; ranges: <name>:<amax> text; ort: ONNX Runtime's <name> <amax> text; "
            "json: {name: [min, max]}; flatbuffers: what ONNX Runtime's TensorRT provider reads; "
            "qdq: an ONNX model with explicit quantisation, the only road to TensorRT 11 (needs --model)"
        ),
    )
    parser.add_argument("--trt-version", metavar="VERSION", help="TensorRT version for the header of a cache")
    parser.add_argument("--algorithm", choices=KNOWN_ALGORITHMS, help="calibrator for the header of a cache")
    parser.add_argument(
        "--skip-unusable",
        action="store_true",
        help="leave out rows whose amax is negative, infinite or not a number, instead of refusing them",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace OUT even where it is something else; with --to qdq: take another model's scales",
    )
    add_qdq_arguments(parser)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.output is None and arguments.to in NOT_TEXT:
        raise UsageError(f"--to {arguments.to} is no text for a terminal: name the file to write with --output")
    if arguments.to == "qdq":
        return convert_to_qdq(arguments)
    check_only_qdq(arguments)
    version = arguments.trt_version if arguments.to == "cache" else None
    table = open_scales(arguments.file, version=version)
    kind = table_kind(check_format(arguments.to))
    check_outputs([Output("--output", arguments.output, kind)], inputs=[arguments.file], force=arguments.force)
    _refuse_unusable(table, arguments)
    data = convert(
        table,
        arguments.to,
        version=arguments.trt_version,
        algorithm=arguments.algorithm,
        skip_unusable=arguments.skip_unusable,
    )
    # What is printed is the file alone, so that it can go into a pipe; the rest is for people, on stderr.
    tell = note if arguments.output is None else say
    if arguments.output is None:
        print_file(data)
    else:
        write_atomic(Path(arguments.output), data)
    kept = scales_from_bytes(data, source=arguments.output or "stdout").amax
    skipped = [name for name in table.amax if name not in kept]
    tell(
        f"{printable(arguments.output or 'stdout')}: {describe_format(arguments.to)}, "
        f"{count_of(len(kept), 'tensor')}, from {printable(arguments.file)}"
    )
    if skipped:
        tell(f"left out: {', '.join(printable(name) for name in skipped)}")
    if isinstance(table, QdqTable):
        tell(*_said_of_model(table, arguments))
    return OK


def _said_of_model(table: QdqTable, arguments: argparse.Namespace) -> Iterator[str]:
    """Yield what a cache cannot say of the pairs, and what has none."""
    for oddity in table.oddities[:_MOST_SAID]:
        yield f"note: {oddity.message}"
    if len(table.oddities) > _MOST_SAID:
        yield f"note: {len(table.oddities) - _MOST_SAID:,} more; trtcal show {printable(arguments.file)} lists them"
    lacking = table.lacking
    if lacking:
        yield (
            f"{count_of(len(lacking), 'tensor')} of the model {'has' if len(lacking) == 1 else 'have'} no scale "
            f"({some_of(lacking, 5, printable)}): TensorRT runs {'its' if len(lacking) == 1 else 'their'} layers in "
            "higher precision, and DLA needs one for each"
        )


def _refuse_unusable(table: CalibrationCache | ScaleTable, arguments: argparse.Namespace) -> None:
    """Name the rows that the other format cannot hold, with the option that leaves them out."""
    if arguments.skip_unusable or (arguments.to == "cache" and isinstance(table, CalibrationCache)):
        return
    unusable = unusable_rows(table)
    if unusable:
        raise ExportError(
            f"{arguments.file}: {count_of(len(unusable), 'row')} with an amax that is negative, infinite or not a "
            f"number ({some_of(unusable, 5, printable)}) cannot be written as {arguments.to}. Add --skip-unusable to "
            "leave them out."
        )


COMMAND = Command(
    name="convert",
    summary="turn a cache into ranges, JSON, an ONNX Runtime table or a Q/DQ model, and back",
    description=(
        "Read a file of scales or ranges in any known format, a Q/DQ model included, and write it in another, or, with "
        "its FP32 model, write the "
        "model with QuantizeLinear and DequantizeLinear, which TensorRT 11 needs."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal convert calibration.cache -o ranges.txt --to ranges",
        "trtcal convert ranges.txt -o calibration.cache --to cache --trt-version 8.6.1",
        "trtcal convert quantised.onnx -o calibration.cache --to cache",
        "trtcal convert calibration.cache --model model.onnx --to qdq -o model.qdq.onnx",
    ),
)
