"""Pictures for where no widget can live: a saved notebook without a kernel, a terminal, a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trtcal_widgets.widgets.static_cache import draw_cache
from trtcal_widgets.widgets.static_canvas import to_png
from trtcal_widgets.widgets.static_explorer import draw_explorer

if TYPE_CHECKING:
    from trtcal_widgets.core.cache import CalibrationCache
    from trtcal_widgets.core.formats import ScaleTable
    from trtcal_widgets.session import CalibrationSession

    ScaleFile = CalibrationCache | ScaleTable

__all__ = ["cache_picture", "explorer_picture"]


def explorer_picture(session: CalibrationSession, *, width: int = 1000, dark: bool = False) -> bytes:
    """Return what the explorer shows of the selected tensor as a PNG.

    Parameters
    ----------
    session
        At any state: without data the picture says so.
    width
        In pixels; the height follows.
    dark
        For a dark background.
    """
    return to_png(lambda figure: draw_explorer(figure, session, dark=dark), width, 0.72, dark=dark)


def cache_picture(cache: ScaleFile, other: ScaleFile | None = None, *, width: int = 1000, dark: bool = False) -> bytes:
    """Return the thresholds of a cache, in the order of the file, as a PNG; of two caches, both and their ratio.

    Parameters
    ----------
    cache, other
        What ``read_scale_file`` gives.
    width
        In pixels; the height follows.
    dark
        For a dark background.
    """
    aspect = 0.42 if other is None else 0.6
    return to_png(lambda figure: draw_cache(figure, cache, other, dark=dark), width, aspect, dark=dark)
