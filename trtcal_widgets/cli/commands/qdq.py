"""``trtcal convert … --to qdq``: a calibration cache and its model become an explicit Q/DQ model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.data_source import files_read
from trtcal_widgets.cli.outputs import QDQ_MODEL, REPORT, Output, check_outputs
from trtcal_widgets.cli.registry import OK
from trtcal_widgets.cli.scale_files import open_scales
from trtcal_widgets.cli.terminal import say
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.words import printable
from trtcal_widgets.errors import ExportError, UsageError

if TYPE_CHECKING:
    import argparse

_ONLY_QDQ = ("model", "placement", "plan", "report", "format")


def add_qdq_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``--to qdq`` takes besides to the parser of ``convert``."""
    group = parser.add_argument_group("for --to qdq")
    group.add_argument("--model", metavar="ONNX", help="the model that the scales are for")
    group.add_argument(
        "--placement",
        metavar="WHERE",
        help=(
            "recommended (the default): inputs of layers with weights, residuals, concatenations and average "
            "pools; implicit: less what TensorRT's implicit INT8 leaves in floating point; weights-only-inputs: inputs "
            "of layers with weights alone; or the file of an engine's layers (trtexec --exportLayerInfo, detailed): "
            "what that engine ran in INT8"
        ),
    )
    group.add_argument(
        "--format",
        choices=("int8", "fp8"),
        help=(
            "int8 (the default), or fp8: E4M3 with the same thresholds and places, for TensorRT 10 or later on Ada, "
            "Hopper and Blackwell GPUs"
        ),
    )
    group.add_argument("--plan", metavar="PLAN", help="a precision plan (JSON): layers to keep, thresholds to change")
    group.add_argument("--report", metavar="JSON", help="also write the report as JSON")


def check_only_qdq(arguments: argparse.Namespace) -> None:
    """Refuse the options of ``--to qdq`` for other targets."""
    given = [name for name in _ONLY_QDQ if getattr(arguments, name)]
    if given:
        raise UsageError(f"--{given[0]} is for --to qdq")


def convert_to_qdq(arguments: argparse.Namespace) -> int:
    """Make the Q/DQ model, print the report, return the exit code."""
    from trtcal_widgets.export.qdq.build import build_qdq
    from trtcal_widgets.model.plan import PrecisionPlan

    if not arguments.model:
        raise UsageError("--to qdq needs the model that the scales are for: add --model model.onnx")
    if arguments.trt_version or arguments.algorithm or arguments.skip_unusable:
        raise UsageError(
            "--trt-version and --algorithm are for the header of a cache, and --to qdq leaves rows that cannot be used "
            "out by itself: remove these options"
        )
    output = Path(arguments.output)
    table = open_scales(arguments.file)
    outputs = (Output("--output", output, QDQ_MODEL), Output("--report", arguments.report, REPORT))
    inputs = (arguments.file, arguments.model, arguments.plan, *files_read(arguments))
    check_outputs(outputs, inputs=inputs, force=arguments.force)
    plan = PrecisionPlan.load(arguments.plan) if arguments.plan else None
    placement = arguments.placement or "recommended"
    result = build_qdq(
        arguments.model,
        table,
        placement=placement,
        plan=plan,
        force=arguments.force,
        format=arguments.format or "int8",
    )
    if result.report.already_quantized and not result.report.quantized:
        if arguments.force:
            raise ExportError(
                f"{printable(result.report.model)} already has explicit quantisation and no other layer that the "
                "scales could quantise: nothing was written. trtcal check says whether TensorRT takes it as it is."
            )
        raise ExportError(f"{result.report.notes[0]}. Nothing was written; --force adds Q/DQ to its other layers.")
    files = result.write(output)
    if arguments.report:
        write_atomic(arguments.report, (result.report.to_json() + "\n").encode())
    say(result.report.to_text())
    say(f"\nwritten: {', '.join(printable(str(file)) for file in files)}")
    return OK
