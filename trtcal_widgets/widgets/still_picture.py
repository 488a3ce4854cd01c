"""The picture of a widget in a saved notebook: there where no kernel is, gone where the widget lives.

Of an output with several representations JupyterLab takes the widget's wherever the notebook is trusted, and shows
"model not found" where the kernel has gone, whatever else the output holds; neither the order of the representations
nor metadata changes that (ipywidgets' renderer handles the error itself, see matplotlib/ipympl#473 and
jupyterlab/jupyterlab#1139). So the picture is an output of its own in front, and brings the style that shows one of the
two: JupyterLab and Notebook 7 put both outputs side by side. Elsewhere the widget's script hides the picture.
"""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["show_with_picture"]

_STYLE = """\
.jp-OutputArea-child:has(> * .trtcal-static):has(+ .jp-OutputArea-child .trtcal-root),
.jp-OutputArea-child:has(> * .trtcal-static) + .jp-OutputArea-child > .lm-Panel.jp-OutputArea-output:not(:has(*)) \
{ display: none; }
body[data-jp-theme-light="false"] .trtcal-static img { filter: invert(0.89) hue-rotate(180deg); }
"""
"""Hide the picture before a living widget; hide words of JupyterLab alone (an output without any element) behind it.

On a dark page the picture is turned dark, its hues stay: nobody knows when the cell runs where it will be looked at."""


def show_with_picture(widget: Any, what: str) -> None:
    """Show a widget as the output of a cell, with its picture in front.

    Parameters
    ----------
    widget
        Gives both by ``_repr_mimebundle_``.
    what
        What it is called: "the calibration explorer".
    """
    from IPython.display import display

    bundle = widget._repr_mimebundle_()
    picture = None if bundle is None else bundle.pop("image/png", None)
    if picture is not None:
        widget.add_class(f"tc-of-{widget.model_id}")
        fallback = {"text/html": _html(picture, widget.model_id, what), "text/plain": f"a picture of {what}"}
        display(fallback, raw=True)  # type: ignore[no-untyped-call]
        bundle["text/plain"] = f"{type(widget).__name__}: run the cell to use it"
    display(bundle, raw=True)  # type: ignore[no-untyped-call]


def _html(picture: str, of: str, what: str) -> str:
    said = escape(f"A picture of {what} as it was when the cell ran. Run the cell to use it.", quote=True)
    return (
        f'<style>{_STYLE}</style><figure class="trtcal-static" data-of="{of}" style="margin: 0">'
        f'<img style="max-width: 100%" alt="{said}" src="data:image/png;base64,{picture}">'
        f'<figcaption style="opacity: 0.75; font-size: 12px">{said}</figcaption></figure>'
    )
