"""``trtcal tune``: which layers are worth INT8, by what they gain on this GPU and what they cost in accuracy."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from trtcal_widgets.cli.commands.debug import add_evaluation_arguments, on_ctrl_c, prepared, scales_of
from trtcal_widgets.cli.data_source import add_data_arguments, count
from trtcal_widgets.cli.outputs import JOURNAL, TUNED, Output, is_kind
from trtcal_widgets.cli.progress import show_work
from trtcal_widgets.cli.registry import DIFFERENT, OK, Command
from trtcal_widgets.cli.terminal import note, say
from trtcal_widgets.cli.wording import without_python
from trtcal_widgets.common.figures import AS_GIVEN, milliseconds, percent, plain
from trtcal_widgets.common.files import write_atomic
from trtcal_widgets.common.text_tables import Column, table_lines
from trtcal_widgets.common.words import count_of, printable
from trtcal_widgets.errors import DeviceError, MissingDependencyError

if TYPE_CHECKING:
    import argparse

    from trtcal_widgets.debug.simulation import Int8Simulation
    from trtcal_widgets.debug.tuning.results import TunePoint, TuneResult
    from trtcal_widgets.model.plan import PrecisionPlan
    from trtcal_widgets.runners.evaluation import Evaluation
    from trtcal_widgets.trt.measuring.device import MeasuringDevice

_LAYERS = 15


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_evaluation_arguments(parser, "as for trtcal debug")
    parser.add_argument("--variants", type=count, default=8, metavar="N", help="plans to try besides the fixed ones")
    parser.add_argument(
        "--placement", metavar="WHERE", default="recommended", help="where Q/DQ goes, as for trtcal debug"
    )
    parser.add_argument(
        "--level", type=int, choices=range(6), metavar="0-5", help="how long TensorRT looks for fast kernels"
    )
    parser.add_argument("--timing-cache", metavar="FILE", help="keep times of kernels here: later builds are quick")
    parser.add_argument("--no-gpu", action="store_true", help="measure nothing: accuracy alone")
    parser.add_argument("--journal", metavar="FILE", help="keep what was measured here; a stopped run goes on")
    parser.add_argument("--json", metavar="FILE", help="write all variants and layers as JSON")
    parser.add_argument("--plan", metavar="FILE", help="write the plan of the fastest variant that reaches the target")
    parser.add_argument("--qdq", metavar="FILE", help="write the model with Q/DQ by that plan")
    parser.add_argument("--force", action="store_true", help="replace a FILE even where it is something else")
    add_data_arguments(parser)


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.debug import Int8Simulation, tune

    journal, tuned = Output("--journal", arguments.journal, JOURNAL), Output("--json", arguments.json, TUNED)
    model, placement, evaluation, calibrated = prepared(arguments, journal, tuned)
    if arguments.force and arguments.journal and not is_kind(Path(arguments.journal), JOURNAL):
        Path(arguments.journal).unlink(missing_ok=True)  # what it is replaced with begins anew
    with calibrated() as session, ExitStack() as stack:
        simulation = Int8Simulation(model, scales_of(session), placement=placement)
        device = _device(arguments, evaluation, stack)
        control = stack.enter_context(show_work())
        stack.enter_context(on_ctrl_c(arguments.journal, "--journal"))
        result = tune(
            simulation,
            evaluation,
            device=device,
            precision=arguments.precision,
            variants=arguments.variants,
            journal=arguments.journal,
            control=control,
        )
    say("\n".join(_layer_lines(result)))
    say(result.to_text())
    return _write(arguments, simulation, result)


def _device(arguments: argparse.Namespace, evaluation: Evaluation, stack: ExitStack) -> MeasuringDevice | None:
    """Return TensorRT on this machine's GPU; None where there is none, which is said."""
    if arguments.no_gpu:
        return None
    from trtcal_widgets.trt.measuring.device import EngineDevice

    try:
        made = EngineDevice(evaluation.plan.load(0).feeds, level=arguments.level, timing_cache=arguments.timing_cache)
    except (DeviceError, MissingDependencyError) as error:
        note(f"trtcal: nothing is measured, accuracy alone is looked at: {without_python(str(error))}")
        return None
    return stack.enter_context(made)


def _layer_lines(result: TuneResult) -> list[str]:
    """Return a table of the layers that are best kept out of INT8."""
    shown = result.trades[:_LAYERS]
    if not shown:
        return ["no layer is quantised"]
    measure = result.fp32.measure
    columns = [Column(f"loss of {measure}", [f"{trade.loss:+.4f}" for trade in shown])]
    if result.device:
        columns.insert(0, Column("gain in INT8, us", [f"{1000 * trade.gain_ms:+.1f}" for trade in shown]))
    title = f"layers, those that are best kept out of INT8 first ({len(shown)} of {len(result.trades)}):"
    return [title, *table_lines([trade.node for trade in shown], columns, title="layer"), ""]


def _write(arguments: argparse.Namespace, simulation: Int8Simulation, result: TuneResult) -> int:
    from trtcal_widgets.debug.goal import goal_of, reaches

    best = result.best(arguments.target)
    speed = milliseconds(best.ms) if result.device else f"{count_of(best.layers_in_int8, 'layer')} in INT8"
    met = reaches(best.score, goal_of(result.fp32, arguments.target))
    say(f"\n{'fastest that reaches the target' if met else 'most accurate'}: {best.name}, {speed}")
    if arguments.json:
        data: dict[str, Any] = {"format": "trtcal_widgets tuning", **result.to_json()}
        write_atomic(arguments.json, (json.dumps(data, indent=1) + "\n").encode())
        say(f"wrote {arguments.json}")
    if arguments.plan or arguments.qdq:
        _write_plan(arguments, simulation, best)
        if best.plan is None:
            _say_without_pairs(arguments, result, best)
    if not met:
        note(f"trtcal: no variant reaches {percent(arguments.target, AS_GIVEN)} of FP32's {result.fp32.measure}")
        return DIFFERENT
    return OK


def _write_plan(arguments: argparse.Namespace, simulation: Int8Simulation, best: TunePoint) -> None:
    """Write the plan and the model; those of a variant without INT8 keep every layer."""
    from trtcal_widgets.export.qdq.build import build_qdq

    plan = _nothing_in_int8(simulation, best) if best.plan is None else best.plan  # an empty plan is a plan
    if arguments.plan:
        plan.save(arguments.plan)
        say(f"wrote {arguments.plan}: {count_of(len(plan.keep), 'layer')} kept")
    if arguments.qdq:
        built = build_qdq(simulation.model, simulation.scales, placement=simulation.placement, plan=plan)
        built.write(Path(arguments.qdq))
        say(f"wrote {arguments.qdq}: {built.report.summary()}")


def _nothing_in_int8(simulation: Int8Simulation, best: TunePoint) -> PrecisionPlan:
    from trtcal_widgets.model.plan import PrecisionPlan

    precision: Literal["fp16", "fp32"] = "fp16" if best.kind == "fp16" else "fp32"
    reasons = dict.fromkeys(simulation.layers, f"tuned: {best.name}")
    return PrecisionPlan(simulation.layers, precision, reasons=reasons, model_sha256=simulation.graph.sha256)


def _say_without_pairs(arguments: argparse.Namespace, result: TuneResult, best: TunePoint) -> None:
    """Say what a plan without INT8 means for the build, and what the fastest variant with pairs would take."""
    files = [text for text in (arguments.plan, arguments.qdq) if text]
    build = (
        "build with FP16 and without INT8 (trtexec --fp16; TensorRT 11 takes types from the model: convert it to FP16)"
        if best.kind == "fp16"
        else "build without INT8"
    )
    note(f"trtcal: {best.name} wins, so that {' and '.join(map(printable, files))} keep every layer: {build}")
    _say_with_pairs(arguments, result, best)


def _say_with_pairs(arguments: argparse.Namespace, result: TuneResult, best: TunePoint) -> None:
    """Say what the fastest variant with pairs would take, and where its layers are."""
    from trtcal_widgets.debug.goal import goal_of, reaches

    goal = goal_of(result.fp32, arguments.target)
    good = [point for point in result.points if point.plan is not None and reaches(point.score, goal)]
    if not good:
        note("trtcal: no variant with pairs reaches the target")
        return
    near = min(good, key=lambda point: (point.cost, -point.score.value))
    times = f", {milliseconds(near.ms)}, {plain(near.ms / best.ms)} times as long" if result.device else ""
    note(
        f"trtcal: with pairs, the fastest that reaches the target is {near.name}{times}; the layers that it keeps are "
        + (f"in {printable(arguments.json)}" if arguments.json else "what --json FILE writes")
    )


COMMAND = Command(
    name="tune",
    summary="find the layers that are worth INT8 on this GPU, and the fastest variant that is accurate enough",
    description=(
        "Build FP32, FP16, implicit INT8, explicit INT8 and plans in between with TensorRT on this GPU, time them\n"
        "and their layers, score them by simulation, and print those than which none is both faster and more\n"
        "accurate. Without TensorRT or a GPU it says so and looks at accuracy alone. --journal keeps everything\n"
        "that was measured, so that a run that was stopped goes on. The files that are asked for are always written:\n"
        "where FP16 or FP32 wins, they keep every layer out of INT8, which is said. Exit code 1 where nothing reaches\n"
        "the target, 2 for an error."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal tune model.onnx calib/ val/ --labels val.txt --journal tune.json --timing-cache times.bin",
        "trtcal tune model.onnx calibration.trtcal val.npz --plan plan.json --qdq model.qdq.onnx",
    ),
)
