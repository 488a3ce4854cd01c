"""The debugger's panels: small anywidgets, each with one state down and events up, like the explorer's."""

from __future__ import annotations

import traitlets

from trtcal_widgets.widgets.assets import script, style
from trtcal_widgets.widgets.debugger_help import HELP
from trtcal_widgets.widgets.palette import METHOD_STYLES
from trtcal_widgets.widgets.panels import Panel

__all__ = [
    "DebugDetailPanel",
    "DebugExportPanel",
    "DebugHazardsPanel",
    "DebugLayersPanel",
    "DebugShellPanel",
    "DebugSummaryPanel",
]


class DebugShellPanel(Panel):
    """The header; it also reads the theme and the keyboard, and brings the style sheets."""

    _esm = script("theme.js", "root.js", "debug_shell.js")
    _css = style("debug.css")

    theme = traitlets.Enum(("light", "dark"), default_value="light").tag(sync=True)
    palette = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        palette = {kind: {"light": style.light, "dark": style.dark} for kind, style in METHOD_STYLES.items()}
        super().__init__(palette=palette)


class DebugSummaryPanel(Panel):
    """Scores before and after, and the search for a plan."""

    _esm = script("debug_summary.js")

    def __init__(self) -> None:
        super().__init__(help=HELP["summary"])


class DebugLayersPanel(Panel):
    """The layers: ``columns`` and ``rows`` go once per run, ``keep`` and ``selected`` are places in them."""

    _esm = script("long_list.js", "debug_layers.js")

    columns = traitlets.Dict().tag(sync=True)
    rows = traitlets.Dict().tag(sync=True)
    keep = traitlets.List(traitlets.Int()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)

    def __init__(self) -> None:
        super().__init__(help=HELP["layers"])


class DebugDetailPanel(Panel):
    """The chosen tensor, and what other thresholds would give."""

    _esm = script("debug_detail.js")

    def __init__(self) -> None:
        super().__init__(help=HELP["detail"])


class DebugHazardsPanel(Panel):
    """What often costs accuracy, found in the graph and in the measurements."""

    _esm = script("debug_hazards.js")

    def __init__(self) -> None:
        super().__init__(help=HELP["hazards"])


class DebugExportPanel(Panel):
    """The plan as files and as text for other tools."""

    _esm = script("debug_export.js")

    def __init__(self) -> None:
        super().__init__(help=HELP["export"])
