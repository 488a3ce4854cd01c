"""``trtcal report``: a saved session as one HTML file for a colleague."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.data_source import count
from trtcal_widgets.cli.outputs import PAGE, Output, check_outputs
from trtcal_widgets.cli.registry import OK, Command
from trtcal_widgets.cli.terminal import say
from trtcal_widgets.common.words import count_of

if TYPE_CHECKING:
    import argparse


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", help="file that calibrate --session or a notebook saved")
    parser.add_argument(
        "-o", "--output", metavar="HTML", default="report.html", help="file to write; default: %(default)s"
    )
    parser.add_argument(
        "--model", metavar="MODEL", help="the ONNX model, to look for hazards in its weights and constants too"
    )
    parser.add_argument("--plan", metavar="PLAN", help="precision plan (JSON) to show")
    parser.add_argument("--title", metavar="TEXT", help="heading; default: the model's name")
    parser.add_argument(
        "--worst", type=count, metavar="N", default=12, help="tensors to show with histograms; default: %(default)s"
    )
    parser.add_argument("--force", action="store_true", help="replace HTML even where it is something else")


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.debug.hazards.finding import find_hazards
    from trtcal_widgets.model.plan import PrecisionPlan
    from trtcal_widgets.report.writing import write_report
    from trtcal_widgets.session import CalibrationSession

    output = Path(arguments.output)
    inputs = (arguments.session, arguments.model, arguments.plan)
    check_outputs([Output("--output", output, PAGE)], inputs=inputs, force=arguments.force)
    plan = PrecisionPlan.load(arguments.plan) if arguments.plan else None
    with CalibrationSession.load(arguments.session) as session:
        # The hash of the model is compared with that of the session.
        model = arguments.model or session
        hazards = find_hazards(model, session, channel_batches=0)
        write_report(
            session, output, hazards=hazards, plan=plan, title=arguments.title or None, n_worst=arguments.worst
        )
    severe = sum(hazard.severity == "severe" for hazard in hazards)
    say(f"wrote {output}: {count_of(len(hazards), 'hazard')}, {severe:,} severe")
    return OK


COMMAND = Command(
    name="report",
    summary="write what a session found as one HTML file",
    description=(
        "Write a saved session as one HTML file to hand on: ranges, the tensors that lose most with\n"
        "their histograms, hazards, decisions made by hand, versions and hashes. The file needs no\n"
        "network, and neither the model nor the data."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal calibrate model.onnx images/ --session run.trtcal",
        "trtcal report run.trtcal -o report.html",
        "trtcal report run.trtcal --model model.onnx --plan plan.json -o report.html",
    ),
)
