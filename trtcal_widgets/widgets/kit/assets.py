"""Scripts and style sheets of the package, and the one widget that carries Plotly's."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import anywidget
import traitlets

__all__ = ["PlotlyScript", "asset", "plotly_script", "script", "style"]


@cache
def asset(name: str) -> str:
    """Return the text of a file of a screen, or of the kit: ``explorer/stepper.js``."""
    screen, _, file = name.rpartition("/")
    return (resources.files("trtcal_widgets.widgets") / (screen or "kit") / "js" / file).read_text(encoding="utf-8")


def script(*names: str) -> str:
    """Return a panel's module, with the helpers for all of them and the files that it shares with some in front.

    A module in a notebook cannot import its neighbour; the last of ``names`` is the panel's own file.
    """
    return "\n".join(map(asset, ("common.js", *names)))


def style(*names: str) -> str:
    """Return style sheets as one; the package's own comes first."""
    return "\n".join(map(asset, ("screens.css", *names)))


class PlotlyScript(anywidget.AnyWidget):
    """Carries Plotly's script to the browser, once for all figures of a kernel."""

    _esm = "export default {};"

    code = traitlets.Unicode().tag(sync=True)
    version = traitlets.Unicode().tag(sync=True)


_scripts: list[PlotlyScript] = []


def plotly_script() -> PlotlyScript:
    """Return the carrier of this kernel; a new one where the old one was closed (``Widget.close_all``)."""
    if not _scripts or _scripts[0].comm is None:
        from pathlib import Path

        import plotly

        path = Path(plotly.__file__).parent / "package_data" / "widgetbundle.js"
        code: Any = path.read_text(encoding="utf-8")
        _scripts[:] = [PlotlyScript(code=code, version=plotly.__version__)]
    return _scripts[0]
