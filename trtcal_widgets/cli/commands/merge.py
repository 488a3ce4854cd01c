"""``trtcal merge``: sessions that were recorded apart become one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.cli.outputs import CACHE, SESSION, Output, check_outputs
from trtcal_widgets.cli.progress import done_text
from trtcal_widgets.cli.registry import OK, Command
from trtcal_widgets.cli.results import warning_lines
from trtcal_widgets.cli.terminal import note, say
from trtcal_widgets.common.words import count_of, printable

if TYPE_CHECKING:
    import argparse


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sessions", metavar="SESSION", nargs="+", help="sessions that --session saved, in their order")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the session to write")
    parser.add_argument("--cache", metavar="CACHE", help="write the calibration cache too")
    parser.add_argument("--method", metavar="METHOD", help="how thresholds are picked; default: as the first one says")
    parser.add_argument("--trt-version", metavar="VERSION", help="the TensorRT that is to read the cache")
    parser.add_argument("--force", action="store_true", help="replace FILE or CACHE even where it is something else")


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.session import CalibrationSession

    outputs = (Output("--output", arguments.output, SESSION), Output("--cache", arguments.cache, CACHE))
    check_outputs(outputs, inputs=arguments.sessions, force=arguments.force)
    with CalibrationSession.load(arguments.sessions) as session:
        if arguments.method is not None:
            session.choose_all(arguments.method)
        cache = session.to_cache(version=arguments.trt_version) if arguments.cache else None
        say(*(warning_lines(session) if cache is not None else ()))
        session.save(arguments.output)
        if session.status.recorded != session.status.n_batches:
            note(session.status.message)
        say(f"wrote {printable(arguments.output)}: {printable(session.graph.name)}, {done_text(session.status)}")
        if cache is not None:
            cache.write(arguments.cache)
            say(f"wrote {printable(arguments.cache)}: {cache.header}, {count_of(len(cache.rows), 'row')}")
    return OK


COMMAND = Command(
    name="merge",
    summary="put sessions together that were recorded on several machines",
    description=(
        "Put saved sessions of one model together: the batches of all, in the order of the files. Their\n"
        "histograms must start from the same ranges, which `trtcal calibrate --range-from first.trtcal` sees\n"
        "to. What cannot be merged is refused and the reason said."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal calibrate model.onnx part1/ -o part1.cache --session part1.trtcal",
        "trtcal calibrate model.onnx part2/ -o part2.cache --session part2.trtcal --range-from part1.trtcal",
        "trtcal merge part1.trtcal part2.trtcal -o all.trtcal --cache all.cache",
    ),
)
