"""``trtcal compare-data``: what the thresholds of one set of data cost another one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trtcal_widgets.cli.data_source import count, loss_bar
from trtcal_widgets.cli.registry import DIFFERENT, OK, Command
from trtcal_widgets.cli.terminal import say, say_json
from trtcal_widgets.common.figures import decibels, percent
from trtcal_widgets.common.text_tables import Column, table_lines, wrap
from trtcal_widgets.common.words import count_of, json_number, printable, significant

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from trtcal_widgets.doctor.comparison import DataComparison, TensorDifference


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="session of the data that the thresholds are from: the calibration set")
    parser.add_argument("b", metavar="B", help="session of other data on the same model: production, another camera")
    parser.add_argument(
        "--bar",
        type=loss_bar,
        default=0.5,
        metavar="DB",
        help="by how many dB B's SQNR may be lower with A's thresholds than with its own; default: %(default)s",
    )
    parser.add_argument(
        "--most",
        type=count,
        default=20,
        metavar="N",
        help="tensors to list at most, the worst first; default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of a table")


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.doctor import DataComparison
    from trtcal_widgets.session import CalibrationSession

    with CalibrationSession.load(arguments.a) as a, CalibrationSession.load(arguments.b) as b:
        found = DataComparison(a, b, bar_db=arguments.bar)
        parting = found.parted
        if arguments.json:
            say_json(_as_json(found, arguments))
        else:
            say(*_lines(found, parting, arguments))
    return DIFFERENT if parting else OK


def _lines(found: DataComparison, parting: Sequence[TensorDifference], arguments: argparse.Namespace) -> Iterator[str]:
    yield f"A  {printable(arguments.a)}"
    yield f"B  {printable(arguments.b)}"
    yield from wrap(found.verdict, "")
    shown = parting[: arguments.most]
    if not shown:
        return
    more = f", the first {arguments.most:,}" if len(parting) > arguments.most else ""
    yield ""
    yield f"{count_of(len(parting), 'scale')} of {len(found.tensors):,} part by more than {arguments.bar:g} dB{more}:"
    columns = [
        Column("A ±amax", [significant(t.amax_a) for t in shown]),
        Column("B ±amax", [significant(t.amax_b) for t in shown]),
        Column("B clipped by A", [percent(t.clipped) for t in shown]),
        Column("B SQNR", [decibels(t.sqnr_own_db, column=True) for t in shown]),
        Column("with A's", [decibels(t.sqnr_db, column=True) for t in shown]),
        Column("loss", [decibels(t.loss_db) for t in shown]),
    ]
    yield from table_lines([t.name for t in shown], columns)


def _as_json(found: DataComparison, arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "a": arguments.a,
        "b": arguments.b,
        "bar_db": arguments.bar,
        "verdict": found.verdict,
        "tensors": [
            {
                **{key: json_number(value) if isinstance(value, float) else value for key, value in asdict(t).items()},
                "loss_db": json_number(t.loss_db),
            }
            for t in found.tensors
        ],
    }


COMMAND = Command(
    name="compare-data",
    summary="say what thresholds of one set of data cost another; exit code 1 where they part",
    description=(
        "Compare the data of two sessions of one model: how much of B is clipped by A's thresholds, and what\n"
        "that costs against B's own. For calibration against production, bright against dark, an old camera\n"
        "against a new one. Exit code 0 where no tensor loses more than the bar, 1 where one does, 2 for an\n"
        "error."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal compare-data calibration.trtcal production.trtcal",
        "trtcal compare-data calibration.trtcal production.trtcal --bar 1 --json",
    ),
)
