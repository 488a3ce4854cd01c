"""``trtcal calibrate``: from a model and data to a calibration cache."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from trtcal_widgets.cli.data_source import (
    add_data_arguments,
    check_order,
    count,
    default_batch_size,
    files_read,
    open_source,
)
from trtcal_widgets.cli.outputs import CACHE, SESSION, Output, check_outputs
from trtcal_widgets.cli.progress import compile_first, done_text, show_run
from trtcal_widgets.cli.registry import INTERRUPTED, OK, Command
from trtcal_widgets.cli.results import left_out_lines, warning_lines
from trtcal_widgets.cli.terminal import flush, note, say
from trtcal_widgets.cli.workers import add_worker_arguments, open_workers, providers_of
from trtcal_widgets.common.text_tables import wrap
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.data.lists import is_list, read_list
from trtcal_widgets.errors import TrtcalError, UsageError
from trtcal_widgets.formats.cache import DEFAULT_VERSION
from trtcal_widgets.formats.header import header_text
from trtcal_widgets.formats.installed import default_version
from trtcal_widgets.formats.native import writable_name

if TYPE_CHECKING:
    import argparse

    from trtcal_widgets.data.base import Source
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.session import CalibrationSession


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="ONNX model with FP32 weights")
    parser.add_argument(
        "data",
        metavar="DATA",
        help="folder of images or of .npy or .npz files (a sample each), .txt file that lists images, .npy or .npz "
        "file of inputs, or IDX file",
    )
    parser.add_argument(
        "-o", "--output", metavar="CACHE", default="calibration.cache", help="cache to write; default: %(default)s"
    )
    parser.add_argument(
        "--method",
        default="entropy",
        metavar="METHOD",
        help="how thresholds are picked: entropy, minmax, percentile (99.99), percentile:99.9, mse, "
        "legacy:QUANTILE,CUTOFF (cutoff 1 where left out); "
        "default: %(default)s",
    )
    parser.add_argument(
        "--batch-size", type=count, metavar="N", help="samples per batch; default: what the model fixes, else 32"
    )
    parser.add_argument("--batches", type=count, metavar="N", help="use no more than this many batches")
    parser.add_argument(
        "--last",
        choices=("drop", "pad", "keep"),
        default="drop",
        help="samples that do not fill the last batch: leave them out as TensorRT does, fill the batch up "
        "by repeating them, or run a shorter batch; default: %(default)s",
    )
    parser.add_argument(
        "--range",
        choices=("tensorrt", "two-pass"),
        default="tensorrt",
        help="tensorrt: the histogram's range starts at the first batch and doubles, as TensorRT's does; "
        "two-pass: the range is known first, so the order of batches does not matter; default: %(default)s",
    )
    parser.add_argument(
        "--infinite",
        choices=("finite", "tensorrt"),
        default="finite",
        help="where infinite values make TensorRT's scale infinite: write ours, which is finite, or infinity too; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--fast",
        action="store_true",
        help="let ONNX Runtime change results by up to 2.4e-5 of a tensor's amax: about a third less time, and some "
        "thresholds move (docs/algorithm.md)",
    )
    parser.add_argument("--input", metavar="NAME", help="the model input that the data are for, where it has several")
    parser.add_argument(
        "--trt-version",
        metavar="VERSION",
        help="the TensorRT that is to read it, for the header; with 8.x the rows too have its names and order; "
        f"default: the installed one, or {DEFAULT_VERSION}",
    )
    parser.add_argument("--session", metavar="FILE", help="save the session too, to explore it in a notebook")
    parser.add_argument(
        "--leave-out",
        metavar="FILE",
        action="append",
        default=[],
        help="calibrate without this image; a .txt file leaves out all that it lists; may be given several times",
    )
    parser.add_argument("--force", action="store_true", help="replace CACHE or FILE even where it is something else")
    parser.add_argument(
        "--range-from",
        metavar="SESSION",
        help="start histograms from the ranges of this saved session, so that `trtcal merge` can put both together",
    )
    add_worker_arguments(parser)
    add_data_arguments(parser)


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.core.thresholds import Method

    check_order("calibrate", arguments.model, arguments.data)
    output = Path(arguments.output)
    method = Method.parse(arguments.method)
    _check_paths(arguments, output)
    # What cannot be written must not cost a whole run.
    if arguments.infinite == "tensorrt" and arguments.range != "tensorrt":
        raise UsageError("--infinite tensorrt needs --range tensorrt: two passes know no first batch")
    header_text("EntropyCalibration2", arguments.trt_version or default_version())
    compile_first()  # before the rest is imported: the other process imports meanwhile
    from trtcal_widgets.model.load import load_graph
    from trtcal_widgets.model.rows import explicit_note
    from trtcal_widgets.session import CalibrationSession

    graph = load_graph(arguments.model)
    for name in graph.calibrated:
        writable_name(name)
    say(*wrap(explicit_note(graph), ""))
    source = open_source(arguments.data, arguments, graph)
    with (
        open_workers(arguments) as workers,
        CalibrationSession(
            arguments.model,
            source,
            batch_size=_batch_size(arguments, source, graph),
            last=arguments.last,
            max_batches=arguments.batches,
            range_mode=arguments.range,
            method=method,
            fast=arguments.fast,
            threads=arguments.threads,
            providers=providers_of(arguments),
            range_from=arguments.range_from,
        ) as session,
    ):
        left_out = _listed(arguments.leave_out)
        session.samples.expect(*left_out)
        say(f"{printable(graph.name)}: {count_of(len(session.calibrated), 'tensor')}, {printable(source.describe())}")
        try:
            if not _complete(session, workers):
                return _interrupted(session, arguments, output)
            if left_out:
                session.samples.leave_out(*left_out)
                say(f"left out: {count_of(len(session.samples.left_out), 'sample')}")
            return _finish(session, source, arguments, output)
        except Exception:
            _keep(session, arguments)
            raise


def _listed(names: list[str]) -> list[str]:
    """Return the images that are to be left out: a name itself, or those of a list file, without labels behind them."""
    found: list[str] = []
    for name in names:
        if is_list(Path(name)):
            found += [str(path) for path in read_list(Path(name))[0]]
        else:
            found.append(name)
    return found


def _batch_size(arguments: argparse.Namespace, source: Source, graph: ModelGraph) -> int | None:
    if arguments.batch_size is not None or source.prebatched:
        return cast("int | None", arguments.batch_size)
    return default_batch_size(graph, arguments.sample_axis)


def _check_paths(arguments: argparse.Namespace, output: Path) -> None:
    outputs = (Output("--output", output, CACHE), Output("--session", arguments.session, SESSION))
    read = (arguments.model, arguments.data, arguments.range_from, *files_read(arguments))
    check_outputs(outputs, inputs=read, force=arguments.force)


def _complete(session: CalibrationSession, workers: Any) -> bool:
    """Run all batches; False where Ctrl-C stopped it at a whole batch."""
    flush()
    try:
        with show_run(session):
            session.run(executor=workers)
    except KeyboardInterrupt:
        return False
    return session.status.phase != "cancelled"


def _interrupted(session: CalibrationSession, arguments: argparse.Namespace, output: Path) -> int:
    """Say what is left: a cache of part of the data would look like a whole one, so none is written."""
    kept = f"{output} is as it was" if output.exists() else "no cache was written"
    lines = [f"trtcal: stopped by Ctrl-C after {done_text(session.status)}; {kept}."]
    if arguments.session and session.status.recorded:
        session.save(arguments.session)
        lines.append(
            f"These batches are saved in {arguments.session}: a notebook shows them, and goes on from there with the "
            "model and the data."
        )
    elif session.status.recorded:
        lines.append("Add --session FILE to keep the batches that are done, or --batches N to use fewer.")
    note("\n".join(lines))
    return INTERRUPTED


def _keep(session: CalibrationSession, arguments: argparse.Namespace) -> None:
    """Save what was recorded before an error, where a file is given for it."""
    if not (arguments.session and session.status.recorded):
        return
    with contextlib.suppress(TrtcalError):  # the error at hand is the one to show
        session.save(arguments.session)
        note(f"the {done_text(session.status)} before the error are saved in {arguments.session}")


def _finish(session: CalibrationSession, source: Source, arguments: argparse.Namespace, output: Path) -> int:
    cache = session.to_cache(version=arguments.trt_version, infinite=arguments.infinite)
    say(*warning_lines(session))
    replaced = output.exists()
    cache.write(output)
    if session.status.dropped:
        dropped = count_of(session.status.dropped, "sample")
        say(
            f"{dropped} left out: they do not fill a batch, and TensorRT takes whole batches only; "
            "--last pad or --last keep uses them"
        )
    say(*(f"skipped: {printable(reason)}" for _, reason in getattr(source, "skipped", ())))  # it names the file
    say(
        f"{'replaced' if replaced else 'wrote'} {printable(str(output))}: {cache.header}, "
        f"{count_of(len(cache.rows), 'row')}, from {done_text(session.status)}"
    )
    say(*left_out_lines(session, arguments.trt_version))
    if arguments.session:
        session.save(arguments.session)
        say(f"saved the session to {printable(arguments.session)}")
    return OK


COMMAND = Command(
    name="calibrate",
    summary="calibrate an ONNX model and write a TensorRT calibration cache",
    description=(
        "Run an ONNX model on calibration data with ONNX Runtime, pick a threshold for every tensor and\n"
        "write the calibration cache that TensorRT reads. An existing cache is replaced, in one step\n"
        "and only after all batches are done; any other file at that path is left alone."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal calibrate resnet18.onnx calib/ --size 224x224 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225",
        "trtcal calibrate bert.onnx inputs.npz -o bert.cache --batch-size 8 --session bert.trtcal",
        "trtcal calibrate yolov8n.onnx calib/ --resize letterbox --method percentile:99.99",
        "trtcal calibrate resnet50.onnx calib/ --workers 16 --threads 1",
        "trtcal calibrate resnet50.onnx calib/ --gpu",
    ),
)
