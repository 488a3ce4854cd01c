"""``trtcal port``: carry a calibration cache over to a new export of the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.outputs import REPORT, Output, check_outputs, table_kind
from trtcal_widgets.cli.registry import OK, Command
from trtcal_widgets.cli.terminal import say
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.words import printable
from trtcal_widgets.formats.reading import ScaleTable, read_scale_file

if TYPE_CHECKING:
    import argparse


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD_MODEL", help="the ONNX model that was calibrated")
    parser.add_argument("new", metavar="NEW_MODEL", help="the new export of it, whose tensors have other names")
    parser.add_argument("cache", metavar="CACHE", help="the old model's cache, or another file of scales or ranges")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="the file to write, in CACHE's format")
    parser.add_argument("--json", metavar="REPORT", help="also write the report as JSON")
    parser.add_argument("--force", action="store_true", help="write OUT even if less than half of the rows were found")


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.export.port.scales import port_scales

    output = Path(arguments.output)
    table = read_scale_file(arguments.cache)
    outputs = (
        Output("--output", output, table_kind(table.format if isinstance(table, ScaleTable) else "cache")),
        Output("--json", arguments.json, REPORT),
    )
    check_outputs(outputs, inputs=(arguments.old, arguments.new, arguments.cache), force=arguments.force)
    result = port_scales(arguments.old, arguments.new, table, force=arguments.force)
    result.write(output)
    if arguments.json:
        write_atomic(arguments.json, (result.report.to_json() + "\n").encode())
    say(result.report.to_text())
    say(f"\nwritten: {printable(str(output))}")
    return OK


COMMAND = Command(
    name="port",
    summary="carry a cache over to a new export of the model, whose tensors have other names",
    description=(
        "Find the tensors of OLD_MODEL in NEW_MODEL by operators, weights and structure, and write the scales by "
        "their new names.\nThe report says what each row rests on, and what could not be carried over."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=("trtcal port old.onnx new.onnx calibration.cache -o new.cache",),
)
