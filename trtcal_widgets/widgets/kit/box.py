"""Views and their binding as one widget: a thread of its own, an end, and a picture for where no kernel is."""

from __future__ import annotations

import logging
import weakref
from base64 import b64encode
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar

import ipywidgets

from trtcal_widgets.widgets.kit.boundary import default_executor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Executor

    from trtcal_widgets.widgets.kit.boundary import Boundary
    from trtcal_widgets.widgets.kit.figures import FigureView

_STYLE = """\
.jp-OutputArea-child:has(> * .trtcal-static):has(+ .jp-OutputArea-child .trtcal-root),
.jp-OutputArea-child:has(> * .trtcal-static) + .jp-OutputArea-child > .lm-Panel.jp-OutputArea-output:not(:has(*)) \
{ display: none; }
body[data-jp-theme-light="false"] .trtcal-static img { filter: invert(0.89) hue-rotate(180deg); }
"""
"""Hide the picture before a living widget; hide words of JupyterLab alone (an output without any element) behind it.

On a dark page the picture is turned dark, its hues stay: nobody knows when the cell runs where it will be looked at."""


def show_with_picture(widget: Any, what: str) -> Any:
    """Show a widget as the output of a cell, with its picture in front; ``what`` it is: "the calibration explorer".

    Returns what changes the picture later, or None without one.
    """
    from IPython.display import display

    bundle = widget._repr_mimebundle_()
    picture = None if bundle is None else bundle.pop("image/png", None)
    handle: Any = None
    if picture is not None:
        widget.add_class(f"tc-of-{widget.model_id}")
        fallback = _in_a_picture(picture, widget.model_id, what)
        show: Any = display
        handle = show(fallback, raw=True, display_id=True)
        bundle["text/plain"] = f"{type(widget).__name__}: run the cell to use it"
    display(bundle, raw=True)  # type: ignore[no-untyped-call]
    return handle


def _in_a_picture(picture: str, of: str, what: str) -> dict[str, str]:
    return {"text/html": _html(picture, of, what), "text/plain": f"a picture of {what}"}


def _html(picture: str, of: str, what: str) -> str:
    said = escape(f"A picture of {what} as it was last seen. Run the cell to use it.", quote=True)
    return (
        f'<style>{_STYLE}</style><figure class="trtcal-static" data-of="{of}" style="margin: 0">'
        f'<img style="max-width: 100%" alt="{said}" src="data:image/png;base64,{picture}">'
        f'<figcaption style="opacity: 0.75; font-size: 12px">{said}</figcaption></figure>'
    )


_log = logging.getLogger(__name__)


def box(*children: ipywidgets.Widget, name: str) -> ipywidgets.Box:
    """Return a box of widgets; ``name`` is its class in the style sheet."""
    made = ipywidgets.Box(children)
    made.add_class("tc-box")
    made.add_class(name)
    return made


class BoundBox(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """Base of the widgets that have a binding; a subclass sets ``binding`` when its views are there.

    Without an ``executor`` slow work has a thread of its own, which ends with the widget.
    """

    binding: Boundary

    def __init__(self, children: Iterable[ipywidgets.Widget], executor: Executor | None) -> None:
        super().__init__(tuple(children))
        self.add_class("trtcal-root")
        self._owns_executor = executor is None
        self._executor = default_executor() if executor is None else executor

    def _words(self) -> str:
        """Return what is shown as text, for where no widget can live; empty for the usual."""
        return ""

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and beside it text for where there is no kernel behind it."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None and (words := self._words()):
            bundle["text/plain"] = words
        return bundle

    def close(self) -> None:
        """End the widget and stop its work; the session stays."""
        # An argument that is refused leaves a widget without either, and that is closed too.
        if hasattr(self, "binding"):
            self.binding.close()
        if getattr(self, "_owns_executor", False):
            self._executor.shutdown(wait=False)
        super().close()


_MOST_PLACES = 8
"""Of one widget, that is the output of so many cells, the picture is kept up to date."""

_on_pages: weakref.WeakSet[PicturedBox] = weakref.WeakSet()


def _renew_pictures(*_: object) -> None:
    """Bring the pictures of all widgets up to date: at the end of a cell, where a program that runs it would leave."""
    for box in tuple(_on_pages):
        box.renew_picture()


def _follow_cells() -> None:
    from IPython import get_ipython

    shell: Any = get_ipython()
    if shell is not None and _renew_pictures not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _renew_pictures)


class PicturedBox(BoundBox):
    """Base of the widgets that leave a picture in a saved notebook; a subclass sets ``plots``.

    ``what`` says what it is called. The picture is the screen as it was last seen: it is made anew once nothing has
    changed for some seconds, and at the end of a cell that changed something.
    """

    plots: Iterable[FigureView]
    _what: ClassVar[str] = "a widget"
    _places: tuple[Any, ...] = ()
    _seen: tuple[int, str] = (-1, "")
    """How many changes there had been when the picture was made, and the picture."""

    def __init_subclass__(cls, *, what: str = "", **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._what = what or cls._what

    def _ipython_display_(self) -> None:
        handle = show_with_picture(self, self._what)
        if handle is not None:
            self._places = (*self._places, handle)[-_MOST_PLACES:]
            self.binding.rested = self.renew_picture
            _on_pages.add(self)
            _follow_cells()

    def renew_picture(self) -> None:
        """Have the notebook keep a picture of what is on the screen now, where it is another one."""
        if not self._places or self.binding.running or self._seen[0] == self.binding.changes:
            return
        before, picture = self._seen[1], self._picture_text()
        if picture and picture != before:
            for place in self._places:
                place.update(_in_a_picture(picture, self.model_id, self._what), raw=True)

    def _picture_text(self) -> str:
        """Return the picture in base64; empty where it could not be made, which is logged."""
        changes = self.binding.changes
        try:
            picture = b64encode(self.picture()).decode("ascii")
        except Exception:  # noqa: BLE001 - whatever it is, it is logged, and the widget is shown without a picture
            _log.exception("the static picture of %s could not be made", type(self).__name__)
            picture = ""
        self._seen = (changes, picture)
        return picture

    def picture(self, *, width: int = 1000, dark: bool = False) -> bytes:
        """Return what is shown as a PNG."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the widget, and beside it a picture for where there is no kernel behind it."""
        for view in self.plots:
            view.figure.send_whole()
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        if picture := self._picture_text():
            bundle["image/png"] = picture
        return bundle

    def close(self) -> None:
        """End the widget and stop its work; the session and the last picture stay."""
        _on_pages.discard(self)
        super().close()
