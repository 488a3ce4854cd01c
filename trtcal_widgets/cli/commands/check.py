"""``trtcal check``: whether NVIDIA's parser and builder take a model, and what they make of its Q/DQ pairs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from trtcal_widgets.cli.outputs import PLAN, Output, check_outputs
from trtcal_widgets.cli.progress import show_build
from trtcal_widgets.cli.registry import DIFFERENT, OK, Command
from trtcal_widgets.cli.terminal import say
from trtcal_widgets.cli.wording import without_python
from trtcal_widgets.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="the ONNX model, with Q/DQ or without")
    parser.add_argument(
        "--builder",
        choices=("auto", "tensorrt", "rtx"),
        default="auto",
        help=(
            "tensorrt: the installed TensorRT, which needs its GPU; rtx: TensorRT for RTX, which builds without one; "
            "auto (the default): TensorRT where it finds its GPU, else TensorRT for RTX"
        ),
    )
    parser.add_argument(
        "--for",
        dest="target",
        metavar="GPU",
        default="SM89",
        help="GPU generation that TensorRT for RTX builds for: SM75, SM80, SM86, SM89 (the default), SM120 or SM121",
    )
    parser.add_argument(
        "--shape",
        dest="shapes",
        metavar="INPUT=SHAPE",
        action="append",
        default=[],
        help="shape of an input that the model leaves open, such as x=1x3x640x640; repeat for more inputs",
    )
    parser.add_argument(
        "--plan",
        metavar="PLAN",
        help="write a precision plan that keeps the layers that run in floating point although they are quantised",
    )
    parser.add_argument(
        "--level",
        type=int,
        choices=range(6),
        metavar="0-5",
        help=(
            "how long TensorRT looks for fast kernels; default: 0, the first that works, in seconds. TensorRT's own "
            "choice, 3, times them all and takes minutes. TensorRT for RTX times none and is quick at any level"
        ),
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--force", action="store_true", help="replace PLAN even where it is something else")


def _run(arguments: argparse.Namespace) -> int:
    from trtcal_widgets.trt.check import check_model

    output = Output("--plan", arguments.plan, PLAN)
    check_outputs([output], inputs=[arguments.model], force=arguments.force)
    shapes = _shapes(arguments.shapes)
    with show_build(Path(arguments.model).name) as progress:
        report = check_model(
            arguments.model,
            builder=arguments.builder,
            target=arguments.target,
            shapes=shapes,
            level=arguments.level,
            progress=progress,
        )
    say(without_python(report.to_json() if arguments.json else report.to_text()))
    if arguments.plan and report.ok:
        report.plan().save(arguments.plan)
        if not arguments.json:
            say(f"\nwritten: {arguments.plan}")
    return OK if report.ok else DIFFERENT


def _shapes(given: Iterable[str]) -> dict[str, tuple[int, ...]]:
    found = {}
    for text in given:
        name, _, sizes = text.rpartition("=")
        if not name or not re.fullmatch(r"\d+([x×,]\d+)*", sizes):
            raise UsageError(f"--shape {text!r} is not INPUT=SHAPE: write it as x=1x3x640x640")
        found[name] = tuple(map(int, re.split("[x×,]", sizes)))
    return found


COMMAND = Command(
    name="check",
    summary="ask NVIDIA's builder whether it takes a Q/DQ model, and what it runs in INT8",
    description=(
        "Parse and build a model with what is installed: TensorRT, or TensorRT for RTX, which needs no GPU\n"
        "(pip install 'trtcal_widgets[rtx]'). Says which nodes are refused and what to do, which quantised\n"
        "layers run in INT8 and which fell back to floating point, and which Q/DQ pairs only cost accuracy.\n"
        "Exit code 0 where the model is taken, 1 where it is refused, 2 for an error."
    ),
    add_arguments=_arguments,
    run=_run,
    examples=(
        "trtcal check model.qdq.onnx",
        "trtcal check model.qdq.onnx --shape x=1x3x640x640 --for SM120",
        "trtcal check model.qdq.onnx --plan keep.json",
    ),
)
