"""``trtcal debug``: which layers lose the accuracy, and a small plan that brings it back."""

from __future__ import annotations

import argparse
import contextlib
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trtcal_widgets.cli.data_source import (
    add_data_arguments,
    check_order,
    count,
    default_batch_size,
    files_read,
    named_path,
    open_source,
    share,
)
from trtcal_widgets.cli.outputs import PLAN, QDQ_MODEL, SEARCH, SESSION, Output, check_outputs, is_kind
from trtcal_widgets.cli.progress import compile_first, show_run, show_work
from trtcal_widgets.cli.registry import DIFFERENT, OK, Command
from trtcal_widgets.cli.terminal import did_you_mean, note, say
from trtcal_widgets.common.arguments import is_folder
from trtcal_widgets.common.damage import damage_as
from trtcal_widgets.common.files import read_whole
from trtcal_widgets.common.text_tables import Column, table_lines
from trtcal_widgets.common.words import count_of, printable, shorten_middle
from trtcal_widgets.errors import DataError, UsageError
from trtcal_widgets.formats.header import DEFAULT_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from trtcal_widgets.debug.results import LayerResult
    from trtcal_widgets.debug.search import SearchResult
    from trtcal_widgets.export.qdq.placement import PlacementLike
    from trtcal_widgets.model.graph import ModelGraph
    from trtcal_widgets.model.load import OnnxModel
    from trtcal_widgets.runners.evaluation import Evaluation, Score
    from trtcal_widgets.session import CalibrationSession


def add_evaluation_arguments(parser: argparse.ArgumentParser, evaluation: str) -> None:
    """Add what is calibrated, what is evaluated, by what, and how; ``evaluation``: what the evaluation data may be."""
    parser.add_argument("model", metavar="MODEL", help="ONNX model with FP32 weights")
    parser.add_argument("data", metavar="CALIBRATION_DATA", help="as for trtcal calibrate, or a saved session")
    parser.add_argument("evaluation", metavar="EVAL_DATA", help=evaluation)
    parser.add_argument(
        "--eval-also",
        type=named_path,
        action="append",
        default=[],
        metavar="NAME=DATA",
        help="evaluation data of another input, as --also is for calibration data",
    )
    parser.add_argument("--labels", metavar="FILE", help=".npy, IDX or text file of class indices, one per sample")
    parser.add_argument("--scores", metavar="NAME", help="the output that holds class scores; default: the first one")
    parser.add_argument(
        "--target", type=share, default=0.99, metavar="SHARE", help="share of FP32's accuracy to reach; default: 0.99"
    )
    parser.add_argument("--method", default="entropy", help="as for trtcal calibrate; default: %(default)s")
    parser.add_argument("--batch-size", type=count, metavar="N", help="samples per batch; default: the model's, or 32")
    parser.add_argument("--batches", type=count, metavar="N", help="use no more batches than this to calibrate")
    parser.add_argument("--eval-batches", type=count, metavar="N", help="use no more batches than this to evaluate")
    parser.add_argument(
        "--last", choices=("drop", "pad", "keep"), default="drop", help="short last calibration batch; default: drop"
    )
    parser.add_argument("--input", metavar="NAME", help="the model input that the data are for, where it has several")
    parser.add_argument(
        "--precision", choices=("fp16", "fp32"), default="fp16", help="what kept layers run in; default: fp16"
    )


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_evaluation_arguments(
        parser, "folder of images, .txt file that lists images (path label), .npy or .npz file, or IDX file"
    )
    parser.add_argument(
        "--placement",
        metavar="WHERE",
        default="recommended",
        help="where Q/DQ goes: recommended, implicit, weights-only-inputs, or the file of an engine's layers",
    )
    parser.add_argument(
        "--format",
        choices=("int8", "fp8"),
        default="int8",
        help="what is simulated and written by --qdq: int8 (the default), or fp8 with the same thresholds",
    )
    parser.add_argument("--keep-scales", action="store_true", help="do not try other methods and values for scales")
    parser.add_argument("--state", metavar="FILE", help="remember every score here; a stopped search goes on from it")
    parser.add_argument("--plan", metavar="FILE", help="write the plan as JSON")
    parser.add_argument("--qdq", metavar="FILE", help="write the model with Q/DQ by the plan")
    parser.add_argument("--force", action="store_true", help="replace a FILE even where it is something else")
    add_data_arguments(parser)


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.debug import Fp8Simulation, Int8Simulation, PlanSearch, scale_candidates

    model, placement, evaluation, calibrated = prepared(arguments, Output("--state", arguments.state, SEARCH))
    with calibrated() as session, show_work() as control:
        simulate = Fp8Simulation if arguments.format == "fp8" else Int8Simulation
        simulation = simulate(model, scales_of(session), placement=placement)
        search = PlanSearch(
            simulation,
            evaluation,
            target=arguments.target,
            precision=arguments.precision,
            candidates=None if arguments.keep_scales else scale_candidates(session),
            state=arguments.state,
            control=control,
        )
        with on_ctrl_c(arguments.state, "--state"):
            result = search.run()
        ranking = simulation.isolated(evaluation, control=control) if not search.ranking else search.ranking
    say("\n".join(_ranking_lines(ranking, simulation.words)))
    say("\n".join(_result_lines(result, simulation.words)))
    replaced = [printable(name) for name in simulation.outputs if name not in simulation.judged]
    if replaced and simulation.judged:
        judged = ", ".join(map(printable, simulation.judged))
        say(f"compared with FP32 by {judged}: {', '.join(replaced)} cannot be compared value by value")
    return _write(arguments, simulation, result)


@contextlib.contextmanager
def on_ctrl_c(kept: str | None, option: str) -> Iterator[None]:
    """Say on Ctrl-C what is left of a search, and how it goes on."""
    try:
        yield
    except KeyboardInterrupt:
        if kept and Path(kept).exists():
            note(f"trtcal: what was scored is in {printable(kept)}: the same command goes on from there")
        elif not kept:
            note(f"trtcal: nothing is kept; with {option} FILE the same command would go on from here")
        raise


def prepared(
    arguments: argparse.Namespace, *outputs: Output
) -> tuple[OnnxModel, PlacementLike, Evaluation, Callable[[], CalibrationSession]]:
    """Check what can be checked before the work: the model, where its Q/DQ goes, the data, and what calibrates."""
    from trtcal_widgets.export.qdq.placement import as_placement
    from trtcal_widgets.model.load import load_model

    check_order(arguments.command, arguments.model, arguments.data, arguments.evaluation)
    check_outputs(
        (*outputs, Output("--plan", arguments.plan, PLAN), Output("--qdq", arguments.qdq, QDQ_MODEL)),
        inputs=(arguments.model, arguments.data, arguments.evaluation, arguments.labels, *files_read(arguments)),
        force=arguments.force,
    )
    compile_first()
    model = load_model(arguments.model)
    batch_size = arguments.batch_size or default_batch_size(model.graph, arguments.sample_axis)
    placement = as_placement(arguments.placement, model.graph)
    evaluation = _evaluation(arguments, model.graph, batch_size)
    return model, placement, evaluation, lambda: _calibrated(arguments, batch_size)


def _evaluation(arguments: argparse.Namespace, graph: ModelGraph, batch_size: int) -> Evaluation:
    """Return the evaluation data; refuse what the model cannot be fed, and an output that it has not.

    That is before the calibration, not after it.
    """
    from trtcal_widgets.debug import Evaluation
    from trtcal_widgets.runners.feeds import check_feeds, fitted

    options = argparse.Namespace(**{**vars(arguments), "also": arguments.eval_also})
    evaluation = Evaluation(
        open_source(arguments.evaluation, options, graph),
        batch_size=batch_size,
        labels=None if arguments.labels is None else read_labels(arguments.labels),
        output=arguments.scores,
        max_batches=arguments.eval_batches,
    )
    scores = arguments.scores
    outputs = [output.name for output in graph.outputs]
    if scores is not None and scores not in outputs:
        has = ", ".join(map(printable, outputs))
        raise UsageError(f"--scores: there is no output {scores!r}, but {has}{did_you_mean(scores, outputs)}")
    evaluation.check(graph)
    try:
        check_feeds(graph, fitted(graph, evaluation.plan.load(0)).feeds)
    except DataError as error:
        raise DataError(f"the evaluation data: {error}") from error
    return evaluation


def _calibrated(arguments: argparse.Namespace, batch_size: int) -> CalibrationSession:
    """Return a calibrated session: a saved one, or one that is run now."""
    from trtcal_widgets.session import CalibrationSession

    data = Path(arguments.data)
    if is_folder(data, DataError) is False and is_kind(data, SESSION):
        return CalibrationSession.load(data, arguments.model)
    from trtcal_widgets.model.load import load_graph

    session = CalibrationSession(
        arguments.model,
        open_source(arguments.data, arguments, load_graph(arguments.model)),
        batch_size=batch_size,
        last=arguments.last,
        max_batches=arguments.batches,
        method=arguments.method,
    )
    with show_run(session):
        session.run()
    return session


def scales_of(session: CalibrationSession) -> dict[str, float]:
    """Return a session's scales."""
    return dict(session.to_cache(version=DEFAULT_VERSION).scales)  # rows by the names of the ONNX model


def read_labels(path: str) -> NDArray[np.int64]:
    """Read class indices from an ``.npy`` file, an IDX file or text with one number per line.

    Raises UsageError if the file is none of them; the message names it.
    """
    from trtcal_widgets.data.arrays import open_npy
    from trtcal_widgets.data.idx import looks_like_idx, read_idx

    advice = "Give an .npy or IDX file, or text with one class index per line"
    with damage_as(UsageError, f"the labels in {path} cannot be read", advice):
        if looks_like_idx(Path(path)):
            return np.asarray(read_idx(path), np.int64)
        if path.lower().endswith(".npy"):
            return np.array(open_npy(Path(path)))
        text = read_whole(path, error=UsageError, what="the labels")
        words = text.decode("utf-8-sig").split()
        wrong = next((word for word in words if not re.fullmatch(r"[+-]?[0-9]{1,18}", word)), None)
        if wrong is not None:
            raise UsageError(f"{path}: {shorten_middle(wrong, 40)!r} is no class index. {advice}")
        return np.array(words, np.int64)


def _number(value: float, digits: int = 2) -> str:
    return "-" if math.isnan(value) else "inf" if math.isinf(value) else f"{value:.{digits}f}"


def _ranking_lines(ranking: Sequence[LayerResult], words: str, shown: int = 15) -> list[str]:
    """Return a table of the layers that lose most when they alone are in INT8."""
    if not ranking:
        return ["no layer is quantised"]
    worst = ranking[:shown]
    measure = worst[0].score.measure
    columns = [
        Column("operator", [layer.op_type for layer in worst], is_number=False),
        Column(f"loss of {measure}", [f"{layer.loss:+.4f}" for layer in worst]),
        Column("SQNR at outputs, dB", [_number(layer.output_sqnr_db) for layer in worst]),
        Column("own SQNR, dB", [_number(layer.own_sqnr_db) for layer in worst]),
    ]
    title = f"each layer alone in {words}, worst first ({len(worst)} of {len(ranking)}):"
    return [title, *table_lines([layer.node for layer in worst], columns, title="layer"), ""]


def _score_row(score: Score) -> tuple[str, str, str, str]:
    return (
        _number(100 * score.top1),
        _number(100 * score.top5),
        _number(score.outputs.sqnr_db),
        _number(score.outputs.cosine, 6),
    )


def _result_lines(result: SearchResult, words: str) -> list[str]:
    rows = {"FP32": result.fp32, f"{words}, all layers": result.before, f"{words} with the plan": result.after}
    cells = [_score_row(score) for score in rows.values()]
    titles = ("top-1, %", "top-5, %", "SQNR at outputs, dB", "cosine")
    columns = [Column(title, [row[i] for row in cells]) for i, title in enumerate(titles)]
    lines = list(table_lines(list(rows), columns, title=count_of(result.fp32.n_samples, "sample")))
    plan = result.plan
    if not plan:
        lines.append(f"\n{words} is good enough as it is: no plan is needed." if result.met else "")
        return lines
    lines.append(f"\nthe plan {'reaches' if result.met else 'does NOT reach'} the goal of {_goal_text(result)}:")
    lines += [
        f"  keep {printable(node)} in {plan.precision.upper()}: {plan.reasons.get(node, '')}" for node in plan.keep
    ]
    lines += [
        f"  {printable(name)}: amax {amax:.6g} ({plan.reasons.get(name, '')})" for name, amax in plan.amax.items()
    ]
    return lines


def _goal_text(result: SearchResult) -> str:
    """Return the goal in the unit of what decides: ``98.31 %`` for top-1."""
    from trtcal_widgets.debug.goal import value_text

    return value_text(result.fp32, result.goal)


def _write(arguments: argparse.Namespace, simulation: Any, result: SearchResult) -> int:
    from trtcal_widgets.export.qdq.build import build_qdq

    if arguments.plan:
        result.plan.save(arguments.plan)
        kept, moved = len(result.plan.keep), len(result.plan.amax)
        say(f"wrote {arguments.plan}: {count_of(kept, 'layer')} kept, {count_of(moved, 'scale')} changed")
    if arguments.qdq:
        built = build_qdq(
            simulation.model,
            simulation.scales,
            placement=arguments.placement,
            plan=result.plan,
            format=arguments.format,
        )
        built.write(arguments.qdq)
        say(f"wrote {arguments.qdq}: {built.report.summary()}")
    if not result.met:
        note(f"trtcal: no plan was found that reaches {_goal_text(result)}")
        return DIFFERENT
    return OK


COMMAND = Command(
    name="debug",
    summary="find the layers that lose accuracy in INT8, and a plan that brings it back",
    description=(
        "Calibrate, simulate INT8 beside FP32, rank the layers by what each alone costs, and look for a\n"
        "small plan (better scales first, then layers in higher precision) that reaches the target.\n"
        "Exit code 1 where no plan reaches it."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal debug model.onnx calib/ val/ --labels val.txt --target 0.99 --plan plan.json",
        "trtcal debug model.onnx calibration.trtcal val.npz --qdq model.qdq.onnx",
    ),
)
