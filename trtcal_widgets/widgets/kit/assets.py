"""Scripts and style sheets of the package, and the one widget that carries Plotly's."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

import anywidget
import traitlets


@cache
def _built(name: str) -> str:
    """Return the text of a file that ``frontend/build.mjs`` made of a screen's sources."""
    return (resources.files("trtcal_widgets.widgets") / "static" / name).read_text(encoding="utf-8")


def script(panel: str) -> str:
    """Return a panel's module with all that it imports: ``explorer/stepper`` is ``explorer/js/stepper.js``."""
    return _built(f"{panel}.js")


def style(screen: str) -> str:
    """Return a screen's style sheet with that of the kit: ``explorer``."""
    return _built(f"{screen}/{screen}.css")


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
