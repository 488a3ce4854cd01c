"""The debugger's panels: each with one state down and events up, and the help that it shows."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import traitlets

from trtcal_widgets.widgets.kit.assets import script, style
from trtcal_widgets.widgets.kit.panels import Panel, ShellPanel, help_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_help = partial(help_text, page="debugging")

HELP: Mapping[str, dict[str, str]] = MappingProxyType(
    {
        "summary": _help(
            "Before and after",
            "The model's outputs over the evaluation data: in FP32, with every layer in INT8, and with your plan. "
            "The goal is a share of FP32's accuracy; 99 % is what NVIDIA's MNIST sample asks. SQNR and "
            "cosine compare the outputs with FP32's and need no labels. “Find a plan” tries other thresholds for the "
            "worst layers first, then keeps as few layers as possible in higher precision.",
            "Before and after",
        ),
        "layers": _help(
            "Each layer alone in INT8",
            "One row per layer that INT8 reaches. Its numbers were measured with only this layer in INT8 and all "
            "others in FP32, so that no layer is blamed for another's noise. A layer is in INT8 when its inputs and "
            "weights are quantised: click a row to look at the input that it quantises. Tick “keep” to leave the "
            "layer in FP16 or FP32; only what lies behind it is run again.",
            "Blame",
        ),
        "sqnr": _help(
            "SQNR along the graph",
            "The line is the accumulated SQNR: every layer in INT8, each tensor compared with its FP32 twin. Where it "
            "falls, signal is lost. The dashed line is the same with your plan. Squares show what a layer loses at "
            "its own output when it alone is in INT8, diamonds what that does to the model's outputs. 20 dB is poor, "
            "40 dB is good. Click a point to look at it.",
            "SQNR along the graph",
        ),
        "network": _help(
            "Network",
            "The chosen tensor in the middle, what it is made from on the left and what is made of it on the right, "
            "three steps far. Each box is a tensor with the operator that makes it; its colour and number are the "
            "SQNR there: below 20 dB red, below 40 dB amber, else green. A letter marks tensors that have one scale in "
            "TensorRT, dashes those that it does not calibrate, a short line at a box's side that the network goes "
            "on. Click a box, or walk with the arrow keys.",
            "The network",
        ),
        "detail": _help(
            "Chosen tensor",
            "Left: the values in FP32 and in the INT8 model over each other, with the threshold ±amax. Middle: how "
            "large the differences are. Right: FP32 against what the next layer reads in INT8; on the diagonal "
            "nothing is lost, flat ends are clipped, steps are levels. “Try other methods” scores each method's "
            "threshold for this tensor on the evaluation data; click one to use it in the session.",
            "One tensor",
        ),
        "hazards": _help(
            "Hazards",
            "What often costs accuracy in INT8, found in the graph and in what was measured, with the reason and the "
            "mend. A hazard is a hint: the table above says what a layer really costs here.",
            "Hazards",
        ),
        "export": _help(
            "Export",
            "The plan as a file, the model with Q/DQ made by it (the road to TensorRT 11), the calibration cache with "
            "its thresholds, and the plan in the words of trtexec, Polygraphy, ModelOpt and Python. Scales are those "
            "of the session at this moment.",
            "Export",
        ),
    }
)


class DebugShell(ShellPanel):
    """The header."""

    _esm = script("debugger/shell")
    _css = style("debugger")


class DebugSummaryPanel(Panel):
    """Scores before and after, and the search for a plan."""

    _esm = script("debugger/summary")


class DebugLayersPanel(Panel):
    """The layers: ``columns`` and ``rows`` go once per run, ``keep`` and ``selected`` are places in them."""

    _esm = script("debugger/layers")

    columns = traitlets.Dict().tag(sync=True)
    rows = traitlets.Dict().tag(sync=True)
    keep = traitlets.List(traitlets.Int()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)


class DebugDetailPanel(Panel):
    """The chosen tensor, and what other thresholds would give."""

    _esm = script("debugger/detail")


class DebugHazardsPanel(Panel):
    """What often costs accuracy, found in the graph and in the measurements."""

    _esm = script("debugger/hazards")


class DebugExportPanel(Panel):
    """The plan as files and as text for other tools."""

    _esm = script("debugger/export")
