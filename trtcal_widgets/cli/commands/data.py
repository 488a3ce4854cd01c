"""``trtcal data``: whether the data of a saved session are good enough to calibrate with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trtcal_widgets.cli.commands.calibrate import COMMAND as CALIBRATE
from trtcal_widgets.cli.data_source import count, loss_bar, share
from trtcal_widgets.cli.many import parser_of
from trtcal_widgets.cli.outputs import PAGE, Output, check_outputs
from trtcal_widgets.cli.progress import show_work
from trtcal_widgets.cli.registry import DIFFERENT, OK, Command
from trtcal_widgets.cli.terminal import note, say, say_json
from trtcal_widgets.cli.wording import in_options, options_of
from trtcal_widgets.common.figures import decibels
from trtcal_widgets.common.text_tables import Column, table_lines, wrap
from trtcal_widgets.common.words import count_of, json_number, printable, significant

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from trtcal_widgets.doctor.types import DataReport, DataWarning, Gate, Needed, Settling


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="file that calibrate --session or a notebook saved")
    parser.add_argument(
        "--bar",
        type=loss_bar,
        default=0.5,
        metavar="DB",
        help="by how many dB the SQNR of a tensor may be off before the data are not enough; default: %(default)s",
    )
    parser.add_argument(
        "--share",
        type=share,
        default=1.0,
        metavar="SHARE",
        help="share of the scales that must be within the bar, such as 0.95; default: all",
    )
    parser.add_argument(
        "--warnings",
        choices=("severe", "warning", "none"),
        default="severe",
        help="which warnings about the samples fail, too: severe ones (the default), all but notes, or none",
    )
    parser.add_argument(
        "--most",
        type=count,
        default=20,
        metavar="N",
        help="tensors to list at most, the worst first; default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text")
    parser.add_argument("--html", metavar="HTML", help="write what was found as one HTML file, too")
    parser.add_argument("--force", action="store_true", help="replace HTML even where it is something else")


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.doctor import enough, examine
    from trtcal_widgets.session import CalibrationSession

    check_outputs([Output("--html", arguments.html, PAGE)], inputs=[arguments.session], force=arguments.force)
    with CalibrationSession.load(arguments.session) as session, show_work() as control:
        report = examine(
            session,
            bar_db=arguments.bar,
            progress=lambda done, total: control.report(done, total, "examining the data"),
        )
    passed = enough(report, share=arguments.share, warnings=arguments.warnings)
    if arguments.html:
        from trtcal_widgets.report.data import write_data_report

        write_data_report(report, Path(arguments.html))
        note(f"wrote {arguments.html}")
    if arguments.json:
        say_json(as_json(report, passed))
    else:
        say(*_lines(report, passed, arguments.most))
    return OK if passed.passed else DIFFERENT


def _lines(report: DataReport, passed: Gate, most: int) -> Iterator[str]:
    counted = f"{count_of(report.n_samples, 'sample')} in {count_of(len(report.batches), 'batch', 'batches')}"
    yield f"{printable(report.model)}: {counted}"
    for line in report.verdict.lines:
        yield from wrap(line)
    if report.warnings:
        yield ""
        yield "what stands out:"
    for warning in report.warnings:
        yield f"  {warning.severity}: {warning.kind} ({warning.sure})"
        for text in (warning.what, warning.evidence, f"-> {_mend(warning)}"):
            if text:
                yield from wrap(text, "    ")
    yield from _tensor_lines("not settled", report.unsettled, report, most)
    yield from _tensor_lines("cannot be told", report.unknown, report, most)
    yield from _tensor_lines("dependent on the order of the batches", report.order_dependent, report, most)
    yield ""
    yield f"{'passed' if passed.passed else 'FAILED'}: {passed.text}"


def _mend(warning: DataWarning) -> str:
    """Return what to do about a warning, with the options of ``trtcal calibrate``."""
    return in_options(warning.mend, options_of(parser_of(CALIBRATE.add_arguments)))


def _tensor_lines(what: str, found: Sequence[Settling], report: DataReport, most: int) -> Iterator[str]:
    if not found:
        return
    yield ""
    more = f", the first {most:,}" if len(found) > most else ""
    yield f"{what}: {len(found):,} of {count_of(len(report.tensors), 'scale')}{more}"
    shown = found[:most]
    columns = [
        Column("±amax", [significant(t.amax) for t in shown]),
        Column("may be off", [decibels(t.off_db) for t in shown]),
        Column("order", [decibels(t.order.worst_db) for t in shown]),
        Column("samples needed", [_needed(t.needed) for t in shown]),
    ]
    yield from (f"  {line}" for line in table_lines([t.name for t in shown], columns))


def _needed(needed: Needed) -> str:
    if needed.images is None:
        return "cannot tell"
    return f"{needed.images:,} ({needed.low or 0:,} to {needed.high or 0:,})"


def as_json(report: DataReport, passed: Gate) -> dict[str, Any]:
    """Return a report as plain JSON; a number that cannot be told is null."""
    return {
        "model": report.model,
        "samples": report.n_samples,
        "batches": list(report.batches),
        "recorded": report.recorded_way,
        "bar_db": report.bar_db,
        "resamples": report.resamples,
        "seed": report.seed,
        "passed": passed.passed,
        "why": passed.text,
        "enough": report.verdict.enough,
        "verdict": list(report.verdict.lines),
        "needed": _needed_json(report.needed),
        "warnings": [{**asdict(warning), "mend": _mend(warning)} for warning in report.warnings],
        "tensors": [_tensor_json(found) for found in report.tensors],
    }


def _tensor_json(found: Settling) -> dict[str, Any]:
    return {
        "name": found.name,
        "group": list(found.group),
        "method": found.method,
        "amax": json_number(found.amax),
        "settled": found.settled,
        "off_db": json_number(found.off_db),
        "off_low": json_number(found.off_low),
        "off_high": json_number(found.off_high),
        "needed": _needed_json(found.needed),
        "order": {
            "depends": found.order.depends,
            "worst_db": json_number(found.order.worst_db),
            "low": json_number(found.order.low),
            "high": json_number(found.order.high),
        },
        "reason": found.reason,
    }


def _needed_json(needed: Needed) -> dict[str, Any]:
    return {"samples": needed.images, "low": needed.low, "high": needed.high, "reason": needed.reason}


COMMAND = Command(
    name="data",
    summary="say whether calibration data are enough; exit code 1 where they are not",
    description=(
        "Say whether the data of a saved session are good enough: which thresholds more data would move and\n"
        "how many it takes, which depend on the order of the batches, and what stands out among the\n"
        "samples. Needs neither the model nor the data. Exit code 0 where all is within the bar, 1 where\n"
        "something is not or cannot be told, 2 for an error: a gate for CI."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal calibrate model.onnx images/ --session run.trtcal",
        "trtcal data run.trtcal",
        "trtcal data run.trtcal --bar 1 --share 0.95 --html data.html",
        "trtcal data run.trtcal --json | jq '.warnings[].what'",
    ),
)
