"""The panels that ipywidgets has no control for: small anywidgets, each with one state down and events up.

The state is a JSON trait; an event is a custom message, so that nothing echoes. A panel knows neither the session nor
another panel.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from trtcal_widgets.widgets.assets import script, style
from trtcal_widgets.widgets.help_texts import HELP
from trtcal_widgets.widgets.palette import METHOD_STYLES

__all__ = [
    "CaptionPanel",
    "DetailPanel",
    "ExportPanel",
    "ListPanel",
    "NumbersPanel",
    "Panel",
    "ShellPanel",
    "StepperPanel",
]


class Panel(anywidget.AnyWidget):
    """A panel: ``state`` goes down, events come up as custom messages."""

    state = traitlets.Dict().tag(sync=True)
    help = traitlets.Dict().tag(sync=True)

    def show(self, **state: Any) -> None:
        """Send a state to the browser where it differs from the one that is there."""
        if state != self.state:
            self.state = state


class ShellPanel(Panel):
    """The header; it also reads the theme and the keyboard, and brings the style sheet."""

    _esm = script("theme.js", "root.js", "shell.js")
    _css = style()

    theme = traitlets.Enum(("light", "dark"), default_value="light").tag(sync=True)
    palette = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        palette = {kind: {"light": style.light, "dark": style.dark} for kind, style in METHOD_STYLES.items()}
        super().__init__(palette=palette)


class StepperPanel(Panel):
    """Run control, the strip of batches, the pictures of the last batch."""

    _esm = script("stepper.js")

    thumbs = traitlets.Dict({"width": 0, "height": 0, "count": 0, "label": ""}).tag(sync=True)
    pixels = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self) -> None:
        super().__init__(help=HELP["stepper"].as_state())


class ListPanel(Panel):
    """The tensor list.

    ``columns`` goes once, ``rows`` where all numbers are new, ``patch`` where a few rows are.
    """

    _esm = script("long_list.js", "tensor_list.js")

    columns = traitlets.Dict().tag(sync=True)
    rows = traitlets.Dict().tag(sync=True)
    patch = traitlets.Dict().tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)

    def __init__(self) -> None:
        super().__init__(help=HELP["list"].as_state())

    def send_patch(self, index: list[int], values: dict[str, list[Any]], method_names: list[str]) -> None:
        """Send some rows. ``rows`` is kept up to date here without sending it, for a page that is opened later."""
        for key, column in values.items():
            kept = self.rows[key]
            for at, value in zip(index, column, strict=True):
                kept[at] = value
        self.rows["method_names"] = method_names
        self.patch = {"index": index, "method_names": method_names, **values}


class DetailPanel(Panel):
    """The chosen tensor: facts, methods, amax."""

    _esm = script("detail.js")

    def __init__(self) -> None:
        super().__init__(help=HELP["histogram"].as_state())


class NumbersPanel(Panel):
    """What the threshold costs."""

    _esm = script("numbers.js")

    def __init__(self) -> None:
        super().__init__(help=HELP["numbers"].as_state())


class ExportPanel(Panel):
    """The calibration cache: header, rows, preview, file."""

    _esm = script("export.js")

    def __init__(self) -> None:
        super().__init__(help=HELP["export"].as_state())


class CaptionPanel(Panel):
    """A plot's title and its help."""

    _esm = script("caption.js")

    name = traitlets.Unicode().tag(sync=True)

    def __init__(self, name: str, title: str) -> None:
        super().__init__(name=name, help=HELP[name].as_state(), state={"title": title, "note": ""})
