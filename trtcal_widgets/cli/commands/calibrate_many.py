"""``trtcal calibrate-many``: every model of a list, and a page with one line for each."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.commands.calibrate import COMMAND as CALIBRATE
from trtcal_widgets.cli.many import argv_of, parser_of, read_entries
from trtcal_widgets.cli.outputs import CACHE, PAGE, SESSION, Output, check_outputs
from trtcal_widgets.cli.registry import FAILED, INTERRUPTED, OK, Command
from trtcal_widgets.cli.terminal import complain, say
from trtcal_widgets.cli.wording import in_options, options_of
from trtcal_widgets.cli.workers import add_worker_arguments, open_workers
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.errors import ExportError, TrtcalError

if TYPE_CHECKING:
    import argparse

    from trtcal_widgets.cli.many import Entry
    from trtcal_widgets.report.index import ModelLine
    from trtcal_widgets.runners.inputs import Inputs


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", metavar="MODELS", help="YAML file that lists the models")
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", default="calibrated", help="folder to write to; default: %(default)s"
    )
    parser.add_argument("--title", metavar="TEXT", help="heading of the page; default: the name of MODELS")
    parser.add_argument("--force", action="store_true", help="replace files there even where they are something else")
    add_worker_arguments(parser)


def _run(arguments: argparse.Namespace) -> int:
    listed = Path(arguments.models)
    entries = read_entries(listed)
    folder = Path(arguments.output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise ExportError(f"{folder} cannot be made a folder ({why}): choose another one with --output") from error
    index = folder / "index.html"
    read = _inputs(listed, entries)
    check_outputs([Output("--output", index, PAGE)], inputs=read, force=arguments.force)
    with open_workers(arguments) as workers:  # what is wrong with them is so for all models
        arguments.executor = workers
        return _run_all(arguments, listed, entries, read)


def _run_all(arguments: argparse.Namespace, listed: Path, entries: list[Entry], read: Inputs) -> int:
    from trtcal_widgets.report.index import ModelLine, index_page

    folder = Path(arguments.output)
    index = folder / "index.html"
    lines: list[ModelLine] = []
    interrupted, written = False, -math.inf
    for entry in entries:
        shown = (str(entry.facts.get("model", "")), str(entry.facts.get("data", "")))
        line: ModelLine
        if interrupted:
            line = ModelLine(entry.title, *shown, failed="not run: stopped by Ctrl-C")
        else:
            say(f"{printable(entry.title)} ({len(lines) + 1} of {len(entries)})", flush=True)
            try:
                line = _calibrated(entry, folder, arguments, read)
                interrupted = line.failed == _STOPPED
            except KeyboardInterrupt:
                line, interrupted = ModelLine(entry.title, *shown, failed=_STOPPED), True
        lines.append(line)
        if len(lines) == len(entries) or time.monotonic() - written > _EVERY:
            page = index_page(lines, arguments.title or listed.stem)
            write_atomic(index, page.encode("utf-8"))
            written = time.monotonic()
    failed = [line for line in lines if line.failed]
    say(f"wrote {printable(str(index))}: {count_of(len(lines) - len(failed), 'model')} calibrated, {len(failed)} not")
    if interrupted:
        return INTERRUPTED
    return FAILED if failed else OK


_STOPPED = "stopped by Ctrl-C"
_EVERY = 2.0
"""Seconds between two states of the page at least: it has all lines, and there may be thousands."""


def _inputs(listed: Path, entries: list[Entry]) -> Inputs:
    """Return what all models of a list read: what is written for one is never another one's model or data."""
    from trtcal_widgets.runners.inputs import Inputs

    named = (entry.facts.get(key) for entry in entries for key in ("model", "data"))
    return Inputs.of((listed, *dict.fromkeys(path for path in named if isinstance(path, str)))).looked_up()


def _calibrated(entry: Entry, folder: Path, arguments: argparse.Namespace, read: Inputs) -> ModelLine:
    """Calibrate one model and write its report; what goes wrong is in the line."""
    from trtcal_widgets.report.index import ModelLine

    shown = (str(entry.facts.get("model", "")), str(entry.facts.get("data", "")))
    parser = parser_of(CALIBRATE.add_arguments)
    try:
        if entry.wrong:
            failed = entry.wrong
        else:
            return _run_one(entry, folder, arguments, shown, read)
    except TrtcalError as error:
        failed = in_options(str(error), options_of(parser))
    except Exception as error:  # noqa: BLE001 - a fault of ours with one model must not cost the others
        failed = f"unexpected {type(error).__name__}: {error}. This is a fault in trtcal"
    complain(f"{entry.name}: {failed}")
    return ModelLine(entry.title, *shown, failed=failed)


def _run_one(
    entry: Entry, folder: Path, arguments: argparse.Namespace, shown: tuple[str, str], read: Inputs
) -> ModelLine:
    from trtcal_widgets.report.index import ModelLine, worst_tensors
    from trtcal_widgets.report.writing import write_report
    from trtcal_widgets.session import CalibrationSession

    cache, saved, report = (folder / f"{entry.name}{suffix}" for suffix in (".cache", ".trtcal", ".html"))
    outputs = (Output("--output", cache, CACHE), Output("--session", saved, SESSION), Output("--output", report, PAGE))
    check_outputs(outputs, inputs=read, force=arguments.force)
    parser = parser_of(CALIBRATE.add_arguments)
    made = parser.parse_args([f"--output={cache}", f"--session={saved}", *argv_of(entry)])
    made.force = arguments.force
    made.workers, made.dask, made.executor = arguments.workers, arguments.dask, arguments.executor
    made.threads = arguments.threads if made.threads is None else made.threads
    made.gpu |= arguments.gpu and "gpu" not in entry.facts
    started = time.monotonic()
    if CALIBRATE.run(made) == INTERRUPTED:
        return ModelLine(entry.title, *shown, failed=_STOPPED)
    seconds = time.monotonic() - started
    with CalibrationSession.load(saved) as session:
        write_report(session, report, title=entry.title)
        worst, suspicious = worst_tensors(session)
        return ModelLine(
            entry.title,
            *shown,
            cache=cache.name,
            report=report.name,
            tensors=len(session.calibrated),
            batches=session.status.recorded,
            samples=session.status.n_samples,
            seconds=seconds,
            worst=worst,
            suspicious=suspicious,
        )


COMMAND = Command(
    name="calibrate-many",
    summary="calibrate every model of a list and write a page about all",
    description=(
        "Calibrate every model that a YAML file lists and write, for each, NAME.cache, the session\n"
        "NAME.trtcal and the report NAME.html, and index.html with one line for each model and its worst\n"
        "tensors. A model that fails is a line of the page and does not stop the others: the exit code is 2\n"
        "then, and 0 where all are done. MODELS is a list; each model has `model:` and `data:`, paths\n"
        "relative to the file, perhaps `name:`, and options of `trtcal calibrate` without their dashes:\n"
        "\n"
        "  defaults: {batch-size: 16, method: entropy}\n"
        "  models:\n"
        "    - {model: det.onnx, data: photos/, size: 640x640, batch-size: 1}\n"
        "    - {name: resnet, model: r18.onnx, data: calib/, mean: [0.485, 0.456, 0.406]}\n"
    ),
    add_arguments=_arguments,
    run=_run,
    examples=("trtcal calibrate-many models.yaml -o calibrated/ --workers 8 --threads 1",),
)
