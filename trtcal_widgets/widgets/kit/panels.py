"""What ipywidgets has no control for: small anywidgets, each with one state down and events up.

The state is a JSON trait; an event is a custom message, so that nothing echoes. A panel knows neither what it shows nor
another panel. Here are the base of all and the panels that several screens have.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from trtcal_widgets.common.palette import METHOD_STYLES
from trtcal_widgets.widgets.kit.assets import script


def help_text(title: str, text: str, section: str, page: str) -> dict[str, str]:
    """Return a panel's help: a title, what one sees, and the section of ``docs/page.md`` that says more."""
    return {"title": title, "text": text, "more": f"docs/{page}.md, section “{section}”"}


class Panel(anywidget.AnyWidget):
    """A panel: ``state`` goes down, events come up as custom messages."""

    state = traitlets.Dict().tag(sync=True)
    help = traitlets.Dict().tag(sync=True)

    def show(self, **state: Any) -> None:
        """Send a state to the browser where it differs from the one that is there."""
        if state != self.state:
            self.state = state


class ShellPanel(Panel):
    """Base of the headers: they also read the theme and the keyboard, and bring the style sheets."""

    theme = traitlets.Enum(("light", "dark"), default_value="light").tag(sync=True)
    palette = traitlets.Dict(
        {kind: {"light": style.light, "dark": style.dark} for kind, style in METHOD_STYLES.items()}
    ).tag(sync=True)


class NumbersPanel(Panel):
    """Numbers of the chosen tensor, each with its unit, and the tensors that share its scale."""

    _esm = script("kit/numbers")


class NetworkPanel(Panel):
    """The neighbourhood of the chosen tensor; its state is that of :func:`~.network.network_state`, and a ``note``."""

    _esm = script("kit/network")


class CaptionPanel(Panel):
    """A plot's title and its help."""

    _esm = script("kit/caption")

    name = traitlets.Unicode().tag(sync=True)
